"""The calculator teacher: what it must keep true, and examples of every rule.

- A program evaluates to what the solution states, for any annotated solution (property, by an evaluator of its own).
- A number becomes a variable only where nothing else can have been meant.
- The reference chooses what is printed at most; it never supplies a number or an operation.
- What cannot be converted is refused by name, and nothing raises, whatever the text.

Programs are evaluated here by walking their syntax tree over fractions; one test runs them in the real interpreter.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import keyword
import operator
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario.data.calculator import SHAPES, Conversion, Refusal, RefusalReason, convert
from mario.data.calculator.arithmetic import decimal_text
from mario.data.calculator.question import question_values
from mario.data.readers import read_gsm8k
from mario.data.wordproblems import generate
from mario.interpreter import InterpreterPool
from mario.transcript.shape import program_key, program_shape
from mario.types import Problem, Sampling, Step, StopReason, Trajectory

OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def run_exactly(code: str) -> tuple[dict[str, Fraction], str]:
    """The variables of a program and the one it prints; fails on anything but assignments of arithmetic."""
    *assignments, last = ast.parse(code).body
    values: dict[str, Fraction] = {}

    def value(node: ast.expr) -> Fraction:
        match node:
            case ast.BinOp(left, op, right):
                return Fraction(OPERATORS[type(op)](value(left), value(right)))
            case ast.UnaryOp(ast.USub(), operand):
                return -value(operand)
            case ast.Constant(number):
                return Fraction(str(number))
            case ast.Name(name):
                return values[name]
        raise AssertionError(ast.dump(node))

    for statement in assignments:
        match statement:
            case ast.Assign([ast.Name(name)], expression) if name not in values:
                values[name] = value(expression)
            case _:
                raise AssertionError(ast.dump(statement))
    match last:
        case ast.Expr(ast.Call(ast.Name("print"), [ast.Name(name)])):
            return values, name
        case ast.Expr(ast.Call(ast.Name("print"), [ast.JoinedStr([ast.FormattedValue(ast.Name(name))])])):
            return values, name
    raise AssertionError(ast.dump(last))


def problem(question: str, solution: str, answer: str) -> Problem:
    return Problem("own/1", question, answer, "own", "train", solution=solution)


def converted(question: str, solution: str, answer: str) -> Conversion:
    made = convert(problem(question, solution, answer))
    assert isinstance(made, Conversion), made
    values, printed = run_exactly(made.code)
    assert decimal_text(values[printed]) == made.output
    return made


def refused(question: str, solution: str | None, answer: str) -> Refusal:
    made = convert(Problem("own/1", question, answer, "own", "train", solution=solution))
    assert isinstance(made, Refusal), made
    return made


def code_of(solution: str, answer: str, question: str = "How many?") -> list[str]:
    return converted(question, solution, answer).code.splitlines()


# --- one example of everything ---------------------------------------------------------------------------------------


def test_a_whole_conversion() -> None:
    made = converted(
        "Ida picks 17 baskets of 23 plums. She gives away 58 plums and shares the rest among 37 shops. How many each?",
        "Ida has 17*23 = <<17*23=391>>391 plums in her barn.\n"
        "After that 391-58 = <<391-58=333>>333 plums are left.\n"
        "Each shop gets 333/37 = <<333/37=9>>9 plums.\n#### 9",
        "9",
    )
    assert made == Conversion(
        problem_id="own/1",
        thought="Ida has 17*23 plums in her barn.\nAfter that plums_in_barn-58 plums are left.\n"
        "Each shop gets plums/37 plums.",
        programs=(
            'plums_in_barn = 17 * 23\nplums = plums_in_barn - 58\nshop = plums / 37\nprint(f"{shop:.12g}")',
            'print(f"{(17 * 23 - 58) / 37:.12g}")',
            "def solve():\n    plums_in_barn = 17 * 23\n    plums = plums_in_barn - 58\n    return plums / 37\n\n"
            'print(f"{solve():.12g}")',
            "n1, n2, n3, n4 = 17, 23, 58, 37\nplums_in_barn = n1 * n2\nplums = plums_in_barn - n3\nshop = plums / n4\n"
            'print(f"{shop:.12g}")',
            "def solve(n1, n2, n3, n4):\n    plums_in_barn = n1 * n2\n    plums = plums_in_barn - n3\n"
            "    return plums / n4\n\n"
            'print(f"{solve(17, 23, 58, 37):.12g}")',
            'n1, n2, n3, n4 = 17, 23, 58, 37\nprint(f"{(n1 * n2 - n3) / n4:.12g}")',
            "plums_in_barn = 17\nplums_in_barn *= 23\nplums = plums_in_barn\nplums -= 58\nshop = plums\nshop /= 37\n"
            'print(f"{shop:.12g}")',
            "def main():\n    plums_in_barn = 17 * 23\n    plums = plums_in_barn - 58\n    shop = plums / 37\n"
            '    print(f"{shop:.12g}")\n\nmain()',
        ),
        output="9",
        text_thought="Ida has 17*23 = 391 plums in her barn.\nAfter that 391-58 = 333 plums are left.\n"
        "Each shop gets 333/37 = 9 plums.",
        reference_chose_variable=False,
        annotated_steps=3,
        plain_steps=0,
    )
    assert made.output == "9"


# --- where a number comes from ---------------------------------------------------------------------------------------


def test_a_number_of_the_question_stays_a_literal() -> None:
    solution = "He has 17+23=<<17+23=40>>40 pens.\nHe sells 40*3=<<40*3=120>>120 pens."
    assert code_of(solution, "120")[1] == "pens_2 = pens * 3" or code_of(solution, "120")[1].endswith("pens * 3")
    assert code_of(solution, "120", "He has 17 pens, then 23; and 40 pencils.")[1].endswith("= 40 * 3")
    assert code_of(solution, "120", "He has forty pencils.")[1].endswith("= 40 * 3")


@pytest.mark.parametrize(
    ("question", "values"),
    [
        ("20% of 1,250.50 pens", ["20", "0.2", "1250.5"]),
        ("twenty-five and two hundred five", ["20", "5", "25", "2", "205"]),
        ("three-fourths, a third, half, 2½ and 3 1/4", ["3/4", "3", "1/3", "1/2", "2", "5/2", "13/4", "1/4"]),
        ("a dozen, twice, 6 thousand", ["12", "2", "6", "6000"]),
        ("75 cents", ["75", "0.75"]),
    ],
)
def test_the_numbers_of_a_question(question: str, values: list[str]) -> None:
    assert {Fraction(value) for value in values} <= question_values(question)


def test_of_several_equal_results_none_is_chosen_outside_a_sum() -> None:
    start = "Ann has 17+23=<<17+23=40>>40 pens.\nBob has 19+21=<<19+21=40>>40 cards.\n"
    assert code_of(start + "They have 40+40=<<40+40=80>>80.", "80")[2].endswith("= pens + cards")
    assert code_of(start + "That is 40*7=<<40*7=280>>280 cents.", "280")[2].endswith("= 40 * 7")
    assert code_of(start + "That is 40+9=<<40+9=49>>49 in all.", "49")[2].endswith("= 40 + 9")


def test_a_number_that_stands_twice_in_a_product_stays_a_literal() -> None:
    start = "It takes 17-6=<<17-6=11>>11 hours.\n"
    assert code_of(start + "It costs 11*11=<<11*11=121>>121.", "121")[1].endswith("= 11 * 11")
    assert code_of(start + "Both ways take 11+11=<<11+11=22>>22.", "22")[1].endswith("= hours + hours")


def test_a_common_number_needs_a_reason() -> None:
    start = "The first part takes 18+42=<<18+42=60>>60 minutes.\n"
    assert code_of(start + "All nine take 60*9=<<60*9=540>>540.", "540")[1].endswith("= minutes * 9")
    two = start + "All nine take 60*9=<<60*9=540>>540 minutes.\nThat is 540/60=<<540/60=9>>9 hours."
    assert (
        code_of(two, "9")[1:3] == ["minutes_2 = 60 * 9", "hours = minutes_2 / 60"] or "60 * 9" in code_of(two, "9")[1]
    )
    assert code_of(two, "9")[2].endswith("/ 60")
    term = start + "With the break 60+9=<<60+9=69>>69 minutes.\nThat is 69/60=<<69/60=1.15>>1.15 hours."
    assert code_of(term, "1.15")[1].endswith("= minutes + 9")
    assert code_of(term, "1.15")[2].endswith("/ 60")


def test_a_constant_is_a_result_only_directly_after_it() -> None:
    start = "There are 31-29=<<31-29=2>>2 boxes.\n"
    assert code_of(start + "They hold 2*45=<<2*45=90>>90 pens.", "90")[1].endswith("= boxes * 45")
    apart = start + "One weighs 45-8=<<45-8=37>>37 grams.\nThat is 2*37=<<2*37=74>>74 grams."
    assert code_of(apart, "74")[2].startswith("grams_2 = 2 * ") or "= 2 * " in code_of(apart, "74")[2]
    perimeter = start + "Around it is 2*45+2*61=<<2*45+2*61=212>>212."
    assert code_of(perimeter, "212")[1].endswith("= 2 * 45 + 2 * 61")


def test_percents_and_fractions_of_earlier_steps() -> None:
    percent = "Then 100-37 = <<100-37=63>>63% stay.\nSo 300*.63 = <<300*.63=189>>189 stay."
    assert code_of(percent, "189")[1].endswith("= 300 * (stay / 100)")
    fraction = "The rest is 1 - 3/11 = 8/11 of it.\nThat is 55 * (8/11) = <<55*(8/11)=40>>40 pens."
    assert code_of(fraction, "40")[1].startswith("pens = 55 * rest")


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solution", "answer", "expression"),
    [
        ("It is 5 + 13 = 18 pens.", "18", "5 + 13"),
        ("Cost: $1,200 x 3 = $3,600", "3,600", "1200 * 3"),
        ("5 jars * 13 plums/jar = 65 plums", "65", "5 * 13"),
        ("He pays 2(13)=26", "26", "2 * 13"),
        ("He pays (1/2)(26)=13", "13", "1 / 2 * 26"),
        ("It takes 14 * 1 1/2 = 21 cups", "21", "14 * 1.5"),
        ("It takes 10 - 1 1/3 = 8 2/3 cups, and 3 * 8 2/3 = 26", "26", "3 * cups"),
        ("Tax is 20% of 80 = 16", "16", "0.2 * 80"),
        ("Left: 100% - 35% = 65%", "65", "100 - 35"),
        ("Both: 60% * 50% = 30%", "30", "0.6 * 0.5 * 100"),
        ("3 out of 12 is 3 / 12 = 25%", "25", "3 / 12 * 100"),
        ("It is .5*.5 = .25", "0.25", "0.5 * 0.5"),
        ("There are 30 plus 28 plus 32 equals 90.", "90", "30 + 28 + 32"),
        ("It lasts 560//10 = 56", "56", "560 / 10"),
        ("It is 6 × 7 ÷ 3 – 1 = 13", "13", "6 * 7 / 3 - 1"),
        ("He has $80 000 - $16 000 = $64 000", "64 000", "80000 - 16000"),
        ("So 24/8 * 2 = 3 * 2 = 6", "6", "24 / 8 * 2"),
        ("It is 5^2 = 25", "25", "5 ** 2"),
        ("2 miles / 1/6 hour = 12 miles/hour", "12", "2 / (1 / 6)"),
        ("4.8 L / 1.2 L/hour = 4 hours", "4", "4.8 / 1.2"),
        ("It fell to 3 - 8 = -5", "-5", "3 - 8"),
        ("It is 25 - (3 + 4) = <<25-(3+4)=18>>18", "18", "25 - (3 + 4)"),
        ("It is 20 / (5 * 2) = <<20/(5*2)=2>>2", "2", "20 / (5 * 2)"),
        ("The result is 287 x 4 = <<1148=1148>>1,148", "1148", "287 * 4"),
    ],
)
def test_calculations_are_read(solution: str, answer: str, expression: str) -> None:
    *_, assignment, _ = code_of(solution, answer)
    assert assignment.split(" = ", 1)[1] == expression


@pytest.mark.parametrize(
    ("solution", "answer", "expression"),
    [
        ("Let x be the number of goats.\n3 + 2x + x = 36\n3x = 33\nx = 11", "11", "(36 - 3) / (2 + 1)"),
        ("20(y + 15) = 40y\ny=<<15=15>>15", "15", "20 * 15 / (40 - 20)"),
        ("6W = 30 feet, so W = 5 feet.", "5", "30 / 6"),
        ("X - 1/4*X = 24\nX = 32", "32", "24 / (1 - 1 / 4)"),
        ("n/5 + 2 = 9\nn = 35", "35", "(9 - 2) / (1 / 5)"),
        ("7 + x = 2 * x\nSo 7 = x.", "7", "7 / (2 - 1)"),
        ("X - 1/2*X - 14 - 16 = $0\nX = $60", "60", "(14 + 16) / (1 - 1 / 2)"),
    ],
)
def test_linear_equations_are_solved_with_their_own_numbers(solution: str, answer: str, expression: str) -> None:
    *_, assignment, _ = code_of(solution, answer)
    assert assignment.split(" = ", 1)[1] == expression


def test_a_chain_of_equations_is_one_step() -> None:
    assert code_of("He drinks 1/4 * 28 = 28/4 = <<28/4=7>>7 cups.", "7")[:-1] == ["drinks = 1 / 4 * 28"]
    assert code_of("He has 3 - .9 - 1.4 = .7 cups * 100% = 70%", "70")[1].endswith("* 100")
    assert len(code_of("He has 3 - .9 - 1.4 = .7 cups * 100% = 70%", "70")) == 3


def test_a_solved_letter_is_used_by_later_steps_and_named_by_its_introduction() -> None:
    made = converted("?", "Let g be the number of goats.\n3g = 51\ng = 17\nThe cows are 2g = 34.", "34")
    assert made.code.splitlines()[0] == "goats = 51 / 3"
    assert "goats" in made.code.splitlines()[1]


# --- what is refused, and what is told -------------------------------------------------------------------------------


def test_the_reference_chooses_but_does_not_compute() -> None:
    solution = "There are 17+23=<<17+23=40>>40 pens.\nThat is 40-9=<<40-9=31>>31 fewer."
    assert converted("?", solution, "31").reference_chose_variable is False
    chosen = converted("?", solution, "40")
    assert chosen.reference_chose_variable is True
    assert chosen.code == "pens = 17 + 23\nprint(pens)"
    assert refused("?", solution, "62").reason is RefusalReason.NO_STEP_GIVES_ANSWER


@pytest.mark.parametrize(
    ("solution", "answer", "reason"),
    [
        (None, "3", RefusalReason.NO_SOLUTION),
        ("", "3", RefusalReason.NO_SOLUTION),
        ("It is three.", "3", RefusalReason.NO_CALCULATION),
        ("x = <<9=9>>9", "9", RefusalReason.NO_CALCULATION),  # a number from nowhere
        ("It is 5+5=<<5+5=11>>11", "11", RefusalReason.NO_CALCULATION),  # not true
        ("It is 5+5=11", "11", RefusalReason.NO_CALCULATION),
        ("100/3 = 33.33", "33.33", RefusalReason.NO_CALCULATION),  # rounded
        ("5+5=<<5+5=10>>10", "ten", RefusalReason.REFERENCE_NOT_A_NUMBER),
        ("5+5=<<5+5=10>>10", "", RefusalReason.REFERENCE_NOT_A_NUMBER),
        ("5/0=<<5/0=0>>0", "0", RefusalReason.NO_CALCULATION),
        ("0.1*3-0.3 = <<0.1*3-0.3=0>>0", "0", RefusalReason.FLOATING_POINT),
        (
            "It is 10**12+.5=<<10**12+.5=1000000000000.5>>1000000000000.5",
            "1000000000000.5",
            RefusalReason.FLOATING_POINT,
        ),
    ],
)
def test_refusals_have_reasons(solution: str | None, answer: str, reason: RefusalReason) -> None:
    assert refused("?", solution, answer).reason is reason


def test_doubtful_literals_are_told() -> None:
    made = converted("He has 40 pens.", "So 17+23=<<17+23=40>>40.\nThen 40*77=<<40*77=3080>>3080.", "3080")
    assert made.ambiguous == ("40",)
    assert made.unexplained == ("17", "23", "77")


@pytest.mark.parametrize(
    ("solution", "answer", "last_line", "output"),
    [
        ("700*100 = <<700*100=70000>>70000", "70,000", "print(cost)", "70000"),
        ("7000/.1 = <<7000/.1=70000>>70000", "70000", 'print(f"{cost:.12g}")', "70000"),
        (".1+.2 = <<.1+.2=.3>>.3", "0.30", 'print(f"{cost:.12g}")', "0.3"),
        ("9/4 = <<9/4=2.25>>2.25", "$2.25", 'print(f"{cost:.12g}")', "2.25"),
    ],
)
def test_numbers_are_printed_as_people_write_them(solution: str, answer: str, last_line: str, output: str) -> None:
    made = converted("?", f"The cost is {solution}", answer)
    assert made.code.splitlines()[-1] == last_line
    assert made.output == output


@pytest.mark.parametrize(
    "words", ["print", "class", "list", "match", "sum of it", "None", "Äpfel", "x", "the", "", "a_b"]
)
def test_names_are_safe(words: str) -> None:
    solution = f"So 17+23=<<17+23=40>>40 {words}.\nSo 40*77=<<40*77=3080>>3080 {words}."
    values, _ = run_exactly(converted("?", solution, "3080").code)
    for name in values:
        assert name.isidentifier() and name.isascii() and name == name.lower()
        assert not keyword.iskeyword(name) and not hasattr(builtins, name)


HOSTILE = [
    "-" * 5000 + "1 = 1",
    "(" * 5000 + "1" + ")" * 5000 + " = 1",
    "1+" * 5000 + "1 = 5001",
    "<<" + "1+" * 5000 + "1=5001>>5001",
    "9**9**9**9 = 1",
    "((((9**12)**12)**12)**12)**12 = 1",
    "9" * 6000 + " + 1 = 2",
    "<<" * 3000 + "=" * 3000,
    "x = " * 500 + "3x + 2 = 5 " * 200,
    "let x be x = x = x\nx = 1",
    "1 1/2 1/2 1/2 = / / 3 of of of 4 = 2 %%%",
    "\x00\ud800 ½ ² ٣ + ٤ = ٧",
]


@pytest.mark.parametrize("solution", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.timeout(10)
def test_hostile_text_is_refused_or_converted_never_an_exception(solution: str) -> None:
    assert isinstance(convert(problem(solution, solution, "1")), Conversion | Refusal)
    assert isinstance(convert(problem("?", "1+1=<<1+1=2>>2", solution)), Conversion | Refusal)


# --- properties ------------------------------------------------------------------------------------------------------

NOUNS = ["plums", "red boxes", "dollars", "miles in total", "of them", "", "class", "left over"]


@st.composite
def annotated_solutions(draw: st.DrawFn) -> tuple[str, list[Fraction]]:
    """A solution in which every line calculates with fresh numbers and earlier results, and its results in order."""
    results: list[Fraction] = []
    lines = []
    for _ in range(draw(st.integers(1, 6))):
        fresh = st.one_of(st.integers(0, 999), st.integers(1, 999).map(lambda n: Fraction(n, 100))).map(Fraction)
        operand = st.one_of(fresh, st.sampled_from(results)) if results else fresh
        terms = draw(st.lists(operand, min_size=2, max_size=4))
        symbols = draw(st.lists(st.sampled_from("+-*/"), min_size=len(terms) - 1, max_size=len(terms) - 1))
        if any(term < 0 or decimal_text(term) is None for term in terms) or 0 in terms:
            continue
        expression = str(decimal_text(terms[0]))
        for symbol, term in zip(symbols, terms[1:], strict=True):
            expression += symbol + str(decimal_text(term))
        value = eval_exactly(expression)
        text = decimal_text(value)
        if text is None or len(text) > 9:
            continue
        noun = draw(st.sampled_from(NOUNS))
        lines.append(f"Now there are {expression.replace('*', ' x ')} = $<<{expression}={text}>>{text} {noun}.")
        results.append(value)
    return "\n".join(lines), results


def eval_exactly(expression: str) -> Fraction:
    values, name = run_exactly(f"v = {expression}\nprint(v)")
    return values[name]


@settings(max_examples=250, deadline=None)
@given(annotated_solutions())
def test_any_annotated_solution_converts_to_its_own_results(made: tuple[str, list[Fraction]]) -> None:
    solution, results = made
    if not results:
        return
    own = problem("?", solution, str(decimal_text(results[-1])))
    conversion = convert(own)
    if isinstance(conversion, Refusal):
        assert conversion.reason is RefusalReason.FLOATING_POINT
        return
    values, printed = run_exactly(conversion.code)
    assert list(values.values()) == results
    assert values[printed] == results[-1] and list(values)[-1] == printed
    assert conversion.output == decimal_text(results[-1])
    assert not conversion.reference_chose_variable
    assert "<<" not in conversion.text_thought
    assert convert(own) == conversion


def test_conversion_does_not_depend_on_the_hash_seed() -> None:
    solution = "a + b = 30, a = 2b\n2b + b = 30\nb = 10\na = 2b = 20\nIn all a + 7 = 27"
    code = (
        "from mario.data.calculator import convert; from mario.types import Problem;"
        f"print(convert(Problem('1', '?', '27', 's', 't', solution={solution!r})))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3", "4")
    }
    assert len(printed) == 1 and printed.pop().startswith(b"Conversion(")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789 .,%$=+-*/x()<>abof\n½", max_size=80), st.text("0123456789.,-/ ", max_size=8))
def test_any_text_at_all_gives_a_conversion_or_a_refusal(solution: str, answer: str) -> None:
    made = convert(problem(solution, solution, answer))
    if isinstance(made, Conversion):
        values, printed = run_exactly(made.code)
        assert decimal_text(values[printed]) == made.output


# --- shapes ----------------------------------------------------------------------------------------------------------


def test_the_expression_keeps_names_of_what_is_used_twice_and_drops_what_is_not_used() -> None:
    made = converted(
        "?",
        "She has 17+23=<<17+23=40>>40 plums.\nHe has 19+6=<<19+6=25>>25 pears.\nTwice 40 is 40*40=<<40*40=1600>>1600.\n"
        "With both hands 40+1600=<<40+1600=1640>>1640 plums, and 25*3=<<25*3=75>>75 pears.\n"
        "So 1640-40=<<1640-40=1600>>1600.",
        "1600",
    )
    *named, shown = made.programs[1].splitlines()
    assert named == ["plums = 17 + 23"]
    assert shown.startswith("print(") and "plums" in shown and "19 + 6" not in made.programs[1]
    assert made.programs[5].splitlines()[:2] == ["n1, n2, n3, n4 = 17, 23, 40, 40", "plums = n1 + n2"]


@pytest.mark.parametrize(
    ("solution", "answer", "updates"),
    [
        ("It is 30-(4+5)*2 = <<30-(4+5)*2=12>>12", "12", ["cost = 30", "cost -= (4 + 5) * 2"]),
        ("It is (30-4)*(2+3) = <<(30-4)*(2+3)=130>>130", "130", ["cost = 30", "cost -= 4", "cost *= 2 + 3"]),
        ("It is 2^3*5 = <<2^3*5=40>>40", "40", ["cost = 2", "cost **= 3", "cost *= 5"]),
        ("It is 1/3*(8+1) = <<1/3*(8+1)=3>>3", "3", ["cost = 1", "cost /= 3", "cost *= 8 + 1"]),
    ],
)
def test_updates_apply_one_operation_at_a_time(solution: str, answer: str, updates: list[str]) -> None:
    made = converted("?", f"The cost? {solution} cost.", answer)
    assert made.programs[6].splitlines()[:-1] == updates
    assert printed_by(made.programs[6]) == made.output


@pytest.mark.parametrize("step", ["{0}", "1*(1*({0}))", "1*(1*(1*(1*(1*(1*({0}))))))"])
def test_what_is_long_keeps_its_name(step: str) -> None:
    """Without a bound the second would have more parentheses than Python reads."""
    lines, value = ["It is 17+23=<<17+23=40>>40 first."], 40
    for number in range(101, 160):
        expression = step.format(f"{value}+{number}")
        value += number
        lines.append(f"Then {expression}=<<{expression}={value}>>{value}.")
    made = convert(problem("?", "\n".join(lines), str(value)))
    assert isinstance(made, Conversion)
    assert len(made.code.splitlines()) == len(lines) + 1
    assert 1 < len(made.programs[1].splitlines()) < len(lines) // 2
    assert all(printed_by(program) == made.output for program in made.programs)


@pytest.mark.parametrize("steps", [[1], [2], [3], [4]])
def test_the_shapes_are_different_programs_that_print_the_same(steps: list[int]) -> None:
    for found in generate("train", 40, 5, steps=steps):
        made = convert(found)
        assert isinstance(made, Conversion)
        assert len(made.programs) == SHAPES == len({key_of(program) for program in made.programs})
        assert len({shape_of(program) for program in made.programs}) == SHAPES
        assert {printed_by(program) for program in made.programs} == {made.output}


@settings(max_examples=150, deadline=None)
@given(annotated_solutions())
def test_any_annotated_solution_prints_the_same_in_every_shape(made: tuple[str, list[Fraction]]) -> None:
    solution, results = made
    conversion = convert(problem("?", solution, str(decimal_text(results[-1])))) if results else None
    if isinstance(conversion, Conversion):
        assert {printed_by(program) for program in conversion.programs} == {conversion.output}
        assert len({shape_of(program) for program in conversion.programs}) == SHAPES


def printed_by(program: str) -> str:
    """What one of our own programs prints; those of models run in the sandbox only."""
    with contextlib.redirect_stdout(io.StringIO()) as heard:
        exec(compile(program, "program", "exec"), {})
    return heard.getvalue().strip()


def key_of(program: str) -> str:
    return program_key(attempt(program))


def shape_of(program: str) -> str:
    return program_shape(attempt(program))


def attempt(program: str) -> Trajectory:
    return Trajectory("p", 0, "inline", "m", Sampling(0, 1, 1, 0), (Step("", program),), StopReason.ANSWERED)


# --- the real thing --------------------------------------------------------------------------------------------------


def test_programs_print_their_output_in_the_real_interpreter() -> None:
    made = [
        converted("?", "It is 9/4=<<9/4=2.25>>2.25 miles.\nThat is 2.25*4=<<2.25*4=9>>9 miles.", "9"),
        converted("?", "So .1+.2 = <<.1+.2=.3>>.3 cups.", "0.3"),
        converted("?", "3 + 2x + x = 36\nx = 11", "11"),
        converted("?", "It costs 1234567*1000=<<1234567*1000=1234567000>>1234567000", "1,234,567,000"),
    ]
    with InterpreterPool(workers=1) as pool:
        for conversion in made:
            for program in conversion.programs:
                kernel = pool.open()
                assert kernel.run(program).output.strip() == conversion.output


@pytest.mark.realdata
def test_real_gsm8k_converts_at_the_measured_rate() -> None:
    root = Path(os.environ.get("MARIO_DATA", ""))
    if "MARIO_DATA" not in os.environ or not root.is_dir():
        pytest.skip(
            "MARIO_DATA names no folder with the real data sets: the share of GSM8K that converts was NOT measured"
        )
    made = [convert(found) for found in read_gsm8k(root / "gsm8k" / "train.jsonl.gz", split="train")]
    good = [conversion for conversion in made if isinstance(conversion, Conversion)]
    for conversion in good:
        values, printed = run_exactly(conversion.code)
        assert decimal_text(values[printed]) == conversion.output
        assert {printed_by(program) for program in conversion.programs} == {conversion.output}
        assert len({shape_of(program) for program in conversion.programs}) == SHAPES
    assert len(good) / len(made) >= 0.985
    assert sum(conversion.reference_chose_variable for conversion in good) <= 15
    assert Counter(refusal.reason for refusal in made if isinstance(refusal, Refusal)).keys() <= {
        RefusalReason.NO_STEP_GIVES_ANSWER,
        RefusalReason.NO_CALCULATION,
    }


@pytest.mark.parametrize(
    ("question", "solution", "answer", "thought"),
    [
        ("Half of 48?", "She sold 48/2 = $<<48/2=24>>24 in May.", "24", "She sold 48/2 in May."),
        (
            "Of 30 birds 7 left; 4 nests share the rest.",
            "There stay 30-7=<<30-7=23>>23 birds.\nThose 23 birds share 4 nests: 23/4=<<23/4=5.75>>5.75 a nest",
            "5.75",
            "There stay 30-7 birds.\nThose birds share 4 nests: birds/4 a nest",
        ),
        (
            "A rope of 12 m is cut, one part twice the other.",
            "Let x be the short part.\nx + 2x = 12\nx = 4\n",
            "4",
            "Let x be the short part.\nx + 2x = 12\nx =12/(1+2)",
        ),
        (
            "Ann has 3 bags of 8 nuts and eats 5.",
            "She had 3*8=<<3*8=24>>24 nuts.\nShe eats some of the 24.\nSo 24-5=<<24-5=19>>19 nuts stay. That is a lot!",
            "19",
            "She had 3*8 nuts.\nShe eats some of the nuts.\nSo nuts-5 nuts stay. That is a lot!",
        ),
    ],
)
def test_a_thought_holds_nothing_that_is_not_yet_computed(
    question: str, solution: str, answer: str, thought: str
) -> None:
    made = convert(Problem("p", question, answer, "tests", "train", solution))
    assert isinstance(made, Conversion)
    assert made.thought == thought
