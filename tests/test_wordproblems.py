"""The generated word problems keep their promises.

- Every annotation of a solution evaluates exactly, the last one is the answer, and no value is negative or odd money.
- Every number of a solution comes from the question, an earlier step, or a word of the question ("dozen", "%").
- No question shows its answer; all numbers of a problem differ, so that each has one origin.
- Problem i depends on (seed, split, i) alone: not on count, nor on the digits and steps asked for.
- The splits share no question, and train and test-shared no (template, operands), whatever the seeds.
- Digits and steps are as asked and balanced; held-out templates need no operation that training lacks.
"""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import pytest

from mario.data.wordproblems import DIGITS, HELDOUT, SPLITS, STEPS, TRAINED, generate, make_problem
from mario.data.wordproblems.generate import templates_of
from mario.data.wordproblems.template import Template, level
from mario.errors import DataError, UsageError
from mario.provenance import content_hash, from_json, to_json
from mario.types import Problem

NUMBER = re.compile(r"\d+(?:\.\d+)?")
ANNOTATION = re.compile(r"(\S+)=<<([^<>=]+)=([^<>=]+)>>(\S+) (.+)\.")
# what a question may say instead of a number that its solution uses
SAID = {
    2: ("half", "twice", "rectang", "around", "perimeter"),
    3: ("3",),
    7: ("week",),
    12: ("dozen",),
    100: ("%",),
}
PER_SPLIT = 1120


def value(text: str) -> Fraction:
    """Exact value of + - * / over decimal numbers."""

    def walk(node: ast.expr) -> Fraction:
        match node:
            case ast.Constant():
                return Fraction(ast.get_source_segment(text, node) or "")
            case ast.BinOp(left=left, op=op, right=right):
                a, b = walk(left), walk(right)
                match op:
                    case ast.Add():
                        return a + b
                    case ast.Sub():
                        return a - b
                    case ast.Mult():
                        return a * b
                    case ast.Div():
                        return a / b
        raise AssertionError(f"not plain arithmetic: {text}")

    return walk(ast.parse(text, mode="eval").body)


def numbers(text: str) -> list[str]:
    return NUMBER.findall(text)


def digits_of(number: str) -> int:
    return len(number.replace(".", ""))


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return [problem for split in SPLITS for problem in generate(split, PER_SPLIT, seed=0)]


def every_template() -> list[tuple[Template, str, int]]:
    """Every template with every phrasing at every level it claims."""
    return [(t, question, int(d)) for t in (*TRAINED, *HELDOUT) for question in t.questions for d in t.digits]


# --- solutions ---


def test_every_annotation_is_exact_and_the_last_is_the_answer(problems: list[Problem]) -> None:
    for problem in problems:
        *steps, last = (problem.solution or "").split("\n")
        assert last == f"#### {problem.answer}"
        results = []
        for step in steps:
            found = ANNOTATION.search(step)
            assert found, step
            left, inside, result, shown, named = found.groups()
            assert left == inside and result == shown
            assert value(inside) == Fraction(result) >= 2
            assert re.fullmatch(r"\d+|\d+\.(25|50|75)", result), result
            assert re.search(r"[a-z]", named), "the sentence names what it computed, after the number"
            results.append((result, named))
        assert results[-1][0] == problem.answer
        assert len({named for _, named in results}) == len(results) == problem.tags["steps"], "one name a quantity"


def test_decimals_only_where_money_is(problems: list[Problem]) -> None:
    for problem in problems:
        if "." in problem.answer or any("." in n for n in numbers(problem.question)):
            assert "$" in problem.question and "dollars" in problem.question


def test_every_number_has_one_origin(problems: list[Problem]) -> None:
    for problem in problems:
        asked = {Fraction(n) for n in numbers(problem.question)}
        assert len(asked) == len(numbers(problem.question)), problem.question
        known = set(asked)
        used = set()
        for _, inside, result, _, _ in ANNOTATION.findall(problem.solution or ""):
            for leaf in map(Fraction, numbers(inside)):
                used.add(leaf)
                if leaf not in known:
                    assert any(word in problem.question.lower() for word in SAID.get(int(leaf), ())), problem
            assert Fraction(result) not in known, "a result that equals another number has two origins"
            known.add(Fraction(result))
        assert asked <= used, "every number of the question is used"


def test_no_question_shows_its_answer(problems: list[Problem]) -> None:
    for problem in problems:
        assert Fraction(problem.answer) not in {Fraction(n) for n in numbers(problem.question)}


# --- text ---


def test_every_phrasing_of_every_template_at_every_level_is_sane() -> None:
    for template, question, digits in every_template():
        draft = replace(template, questions=(question,)).draft(random.Random(f"{template.name} {question}"), digits)
        text = f"{draft.question}\n{draft.solution}"
        assert not re.search(r"[{}|]", text), text
        assert "  " not in text and not re.search(r"\b[aA] [aeio8]", text), text
        assert re.fullmatch(r"[A-Z0-9].*\?", draft.question), text
        assert len(draft.question.split()) <= 45, draft.question
        assert len(draft.solution.split("\n")) == len(template.steps) + 1
        assert sorted(numbers(draft.question)) == sorted({*draft.operands, *map(str, literals(template, question))})
        assert max(map(digits_of, numbers(draft.question))) == digits, draft.question


def literals(template: Template, question: str) -> set[int]:
    return {int(n) for n in numbers(question) if int(n) in template.constants}


def test_templates_are_many_and_distinct() -> None:
    templates = (*TRAINED, *HELDOUT)
    assert len(TRAINED) >= 60 and len(HELDOUT) >= 20
    assert len({t.name for t in templates}) == len(templates)
    questions = [question for t in templates for question in t.questions]
    assert len(set(questions)) == len(questions)
    assert all(len(t.questions) >= 2 for t in templates)
    assert len({t.structure for t in templates}) >= 45


# --- the stream ---


def test_a_problem_depends_on_seed_split_and_index_alone() -> None:
    many = list(generate("train", 200, seed=7))
    assert many[:50] == list(generate("train", 50, seed=7))
    assert many[123] == make_problem("train", 7, 123)
    assert many[0].id == "wordproblems/train/seed7/000000"
    chosen = list(generate("train", 20, seed=7, digits=(2, 4), steps=(3,)))
    assert chosen == [p for p in many if p.level in ("2", "4") and p.tags["steps"] == 3][:20]
    assert [p.question for p in generate("train", 50, seed=8)] != [p.question for p in many[:50]]


def test_the_stream_is_the_one_our_numbers_were_measured_on() -> None:
    """A change here changes every published score on this data: say so in the changelog, then update the hash."""
    stream = [p for split in SPLITS for p in generate(split, 160, seed=0)]
    assert content_hash(stream) == "sha256:842da7bc8a34e8be2cc21c8d1b4182f7ab78a54e0746491b19c8a45b03048c83"


def test_generation_is_lazy() -> None:
    assert len(list(islice(generate("train", 10**12, seed=0), 3))) == 3


def test_digits_and_steps_are_as_asked_and_balanced(problems: list[Problem]) -> None:
    for problem in problems:
        digits = max(map(digits_of, numbers(problem.question)))
        assert problem.level == str(digits) and problem.tags["digits"] == digits
        assert problem.tags["steps"] == (problem.solution or "").count("<<")
    for split in SPLITS:
        counts = Counter((p.tags["digits"], p.tags["steps"]) for p in problems if p.split == split)
        assert counts == {(d, s): PER_SPLIT // 16 for d in DIGITS for s in STEPS}


def test_templates_take_turns() -> None:
    for split in SPLITS:
        for digits in DIGITS:
            for steps in STEPS:
                pool = templates_of(split, digits, steps)
                assert len(pool) >= 3
                chosen = list(generate(split, 2 * len(pool), 3, (digits,), (steps,)))
                assert set(Counter(p.tags["template"] for p in chosen).values()) == {2}


def test_problems_survive_json(problems: list[Problem]) -> None:
    assert [from_json(Problem, to_json(p)) for p in problems[:32]] == problems[:32]


@pytest.mark.parametrize(
    ("split", "count", "digits", "steps", "told"),
    [
        ("test", 1, (1,), (1,), "test-heldout, got 'test'"),
        ("train", 1, (5,), (1,), "1, 2, 3, 4, got 5"),
        ("train", 1, (), (1,), "got none"),
        ("train", 1, (1,), (0,), "got 0"),
        ("train", -1, (1,), (1,), "got -1"),
    ],
)
def test_what_cannot_be_made_is_refused_at_once(
    split: str, count: int, digits: tuple[int, ...], steps: tuple[int, ...], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        generate(split, count, 0, digits, steps)


def test_an_impossible_template_is_named() -> None:
    template = Template("none", {"a": level(), "b": level()}, ("{a} {b}?",), ("{x=a-b}.",), where=("a < b",))
    with pytest.raises(DataError, match="'none'"):
        template.draft(random.Random(0), 2)


# --- the splits ---


def operands(problem: Problem) -> tuple[str, ...]:
    return problem.tags["template"], *sorted(numbers(problem.question))


def test_train_and_test_share_no_question_and_no_operands_under_any_seed() -> None:
    train = [p for seed in range(3) for p in generate("train", PER_SPLIT, seed)]
    shared = [p for seed in range(3) for p in generate("test-shared", PER_SPLIT // 2, seed)]
    heldout = [p for seed in range(3) for p in generate("test-heldout", PER_SPLIT // 2, seed)]
    assert not {p.question for p in train} & {p.question for p in (*shared, *heldout)}
    assert not {operands(p) for p in train} & {operands(p) for p in shared}
    trained = {p.tags["template"] for p in train}
    assert trained == {p.tags["template"] for p in shared} == {t.name for t in TRAINED}
    assert {p.tags["template"] for p in heldout} == {t.name for t in HELDOUT}


def kinds(template: Template) -> set[str]:
    """The operations of its steps, with n for an operand and r for a result: `n+r` is `r+n`."""
    found = set()
    for step in re.sub(r"([nr])\d+", r"\1", template.structure).split("; "):
        for operation in "+*":
            if re.fullmatch(rf"[^-/+*]+(\{operation}[^-/+*]+)+", step):
                step = operation.join(sorted(step.split(operation)))
        found.add(step)
    return found


def test_heldout_templates_recombine_trained_operations() -> None:
    known = set().union(*map(kinds, TRAINED))
    for template in HELDOUT:
        assert kinds(template) <= known, template.name
    structures = {t.structure for t in TRAINED}
    new = [t for t in HELDOUT if t.structure not in structures]
    assert len(new) >= len(HELDOUT) // 2, "most held-out templates order the operations in a new way"


def test_the_page_about_them_counts_right() -> None:
    page = (Path(__file__).parents[1] / "docs" / "wordproblems.md").read_text()
    for name, templates in (("`train` and `test-shared`", TRAINED), ("`test-heldout`", HELDOUT)):
        counts = Counter(len(t.steps) for t in templates)
        assert f"| {name} | {len(templates)} | " + " | ".join(str(counts[s]) for s in STEPS) + " |" in page
    assert f"({sum(len(t.questions) for t in (*TRAINED, *HELDOUT))} in all)" in page
