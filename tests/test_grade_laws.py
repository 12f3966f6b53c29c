"""Laws of the grader, as properties over generated answers.

- An answer is equivalent to itself and to every rewriting that says the same: dollars, a box, spaces, `\\dfrac`,
  `\\left..\\right`, its own canonical text.
- The relation is symmetric but for `[a, b]` against `{a, b}`.
- Different values are different answers.
- The canonical text of a canonical text is itself.
- Classes do not depend on the order of the answers, and members of one class are equivalent.
- Nothing that is thrown at it raises.
"""

from __future__ import annotations

import random
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from mario.grade import AnswerType, answer_type, canonical, extract, grade, group, is_equivalent

SETTINGS = settings(max_examples=150, deadline=None, derandomize=True)

integers = st.integers(-(10**6), 10**6)
rationals = st.builds(Fraction, integers, st.integers(1, 10**4))


def frac(value: Fraction) -> str:
    sign = "-" if value < 0 else ""
    return f"{sign}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


numbers = rationals.map(frac) | integers.map(str) | rationals.map(lambda v: f"{v.numerator}/{v.denominator}")
atoms = numbers | st.sampled_from(["x", "y", "\\pi", "\\sqrt{2}", "\\sin x", "e^{x}", "|y|", "x_1", "\\theta"])


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    return (
        pair.map(lambda p: f"({p[0]})+({p[1]})")
        | pair.map(lambda p: f"({p[0]})({p[1]})")
        | pair.map(lambda p: f"\\frac{{{p[0]}}}{{({p[1]})^2+1}}")
        | inner.map(lambda a: f"\\sqrt{{({a})^2+1}}")
        | inner.map(lambda a: f"-({a})")
    )


expressions = st.recursive(atoms, combined, max_leaves=6)
lists = st.lists(expressions, min_size=2, max_size=4)
answers = (
    expressions
    | lists.map(lambda xs: "(" + ", ".join(xs) + ")")
    | lists.map(lambda xs: "\\{" + ", ".join(xs) + "\\}")
    | lists.map(", ".join)
    | st.tuples(integers, integers).map(lambda p: f"[{min(p)}, {max(p) + 1})")
    | expressions.map(lambda a: f"z = {a}")
    | numbers.map(lambda a: f"{a} \\text{{ cm}}")
    | lists.map(lambda xs: "\\begin{pmatrix} " + " \\\\ ".join(xs) + " \\end{pmatrix}")
    | st.sampled_from(["\\text{no solution}", "B", "7:15 \\text{ p.m.}", "1101_2", "\\emptyset", "3 \\pm \\sqrt{5}"])
)


@given(answers)
@SETTINGS
def test_reflexive_under_rewriting(answer: str) -> None:
    forms = [
        answer,
        f"${answer}$",
        f"\\boxed{{{answer}}}",
        f"  {answer} ",
        answer.replace("\\frac", "\\dfrac"),
        answer.replace("(", "\\left(").replace(")", "\\right)") if "[" not in answer else answer,
        canonical(answer) or "",
    ]
    for form in forms:
        assert is_equivalent(answer, form), form
        assert is_equivalent(form, answer), form


@given(answers, answers)
@SETTINGS
def test_symmetric(a: str, b: str) -> None:
    assert is_equivalent(a, b) == is_equivalent(b, a)


@given(answers)
@SETTINGS
def test_canonical_is_idempotent(answer: str) -> None:
    text = canonical(answer)
    assert text is not None
    assert canonical(text) == text


@given(rationals, rationals)
@SETTINGS
def test_different_rationals_differ(a: Fraction, b: Fraction) -> None:
    assert is_equivalent(frac(a), f"{b.numerator}/{b.denominator}") == (a == b)


@given(rationals, st.integers(4, 12))
@SETTINGS
def test_a_correct_rounding_is_accepted_and_the_next_decimal_is_not(value: Fraction, digits: int) -> None:
    places = digits + 6
    scaled = round(abs(value) * 10**places)
    exact = Fraction(scaled, 10**places) == abs(value)
    if exact or scaled < 10 ** (digits - 1) or value == 0:
        return
    text = f"{scaled // 10**places}.{scaled % 10**places:0{places}d}"
    assert is_equivalent(frac(abs(value)), text)
    wrong = scaled + 3 * 10 ** max(0, len(str(scaled)) - 4)
    worse = f"{wrong // 10**places}.{wrong % 10**places:0{places}d}"
    assert not is_equivalent(frac(abs(value)), worse)


@given(st.lists(answers | st.none() | st.just(""), max_size=8), st.randoms(use_true_random=False))
@SETTINGS
def test_classes_ignore_order(items: list[str | None], shuffle: random.Random) -> None:
    classes = group(items)
    order = list(range(len(items)))
    shuffle.shuffle(order)
    shuffled = group([items[i] for i in order])
    assert {frozenset(c) for c in classes} == {frozenset(order[i] for i in c) for c in shuffled}
    members = sorted(i for c in classes for i in c)
    assert members == [i for i, item in enumerate(items) if item and item.strip()]
    for members_of_class in classes:
        first = items[members_of_class[0]]
        for other in members_of_class[1:]:
            assert is_equivalent(str(first), str(items[other]))


noise = st.text(max_size=60) | st.text("0123456789x+-*/^_{}()[]\\ ,.$%&|!=<>abfrcsqt", max_size=80)


@given(noise, noise, answers)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_noise_never_raises(left: str, right: str, answer: str) -> None:
    for text in (left, left + answer, answer + right, left + answer + right):
        grade(answer, text)
        grade(text, answer)
        canonical(text)
        assert answer_type(text) in AnswerType
        extract(text, last_output=True)
    group([left, right, answer])
