"""The calculator teacher: a written solution becomes a short plan, a program, and the same solution as plain text.

The one idea is where a number comes from. A number in a calculation becomes the variable of an earlier result only when
nothing else can have been meant (`_Origins` has the rules); otherwise it stays a literal, as the solution wrote it.

The reference answer may choose which variable is printed, and that is told (`reference_chose_variable`); it never
supplies a number or an operation. What this module does not do: run anything. Callers run the code in the interpreter
and grade what it prints.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from mario.data.calculator.arithmetic import (
    Negative,
    Number,
    Operation,
    Tree,
    Unreadable,
    Variable,
    decimal_text,
    evaluate,
    leaves,
    parse,
    to_python,
    tokenize,
    without_percent,
)
from mario.data.calculator.names import choose_name, describe
from mario.data.calculator.question import question_values
from mario.data.calculator.read import Step, read_steps, strip_annotations
from mario.types import Problem

# Whatever results equal them, these come as often from the way of computing: one more, twice, half, percent.
CONSTANTS = frozenset(map(Fraction, (0, 1, 2, 100, 1000))) | {Fraction(1, 2), Fraction(1, 4), Fraction(1, 100)}
# Numbers that everybody knows (days, months, hours, minutes, ounces, inches, cents) or counts without being told.
COMMON = frozenset(map(Fraction, (3, 4, 5, 7, 8, 12, 16, 24, 25, 30, 36, 52, 60, 90, 365)))

MAX_STEPS = 60  # of one solution; real ones have at most a quarter of it


class RefusalReason(StrEnum):
    NO_SOLUTION = "no_solution"
    NO_CALCULATION = "no_calculation"  # the solution states none that holds
    REFERENCE_NOT_A_NUMBER = "reference_not_a_number"
    NO_STEP_GIVES_ANSWER = "no_step_gives_answer"
    FLOATING_POINT = "floating_point"  # the program would not print the exact value


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a problem was not converted."""

    problem_id: str
    reason: RefusalReason
    detail: str


@dataclass(frozen=True, slots=True)
class Conversion:
    """A solution as a tool-integrated step (`thought`, `code`) and as text only (`text_thought`, `text_answer`).

    `output` is what the code prints. `ambiguous` are the literals that equal an earlier result and yet stay literals;
    `unexplained` are those that stand neither in the question nor among common numbers nor among earlier results: the
    solution's author brought them.
    """

    problem_id: str
    thought: str
    code: str
    output: str
    text_thought: str
    reference_chose_variable: bool
    annotated_steps: int
    plain_steps: int
    ambiguous: tuple[str, ...] = ()
    unexplained: tuple[str, ...] = ()

    @property
    def text_answer(self) -> str:
        return self.output


@dataclass(frozen=True, slots=True)
class _Line:
    """One assignment of the program."""

    step: Step
    words: tuple[str, ...]
    variable: Variable
    tree: Tree


def convert(problem: Problem) -> Conversion | Refusal:
    """Convert one problem; pure and deterministic."""

    def refuse(reason: RefusalReason, detail: str) -> Refusal:
        return Refusal(problem.id, reason, detail)

    if not problem.solution:
        return refuse(RefusalReason.NO_SOLUTION, "the problem has no solution")
    reference = _reference_value(problem.answer)
    if reference is None:
        return refuse(RefusalReason.REFERENCE_NOT_A_NUMBER, problem.answer)
    steps = read_steps(problem.solution)[:MAX_STEPS]
    if not steps:
        return refuse(RefusalReason.NO_CALCULATION, "no annotation and no plain equation holds")
    printed = next((at for at in reversed(range(len(steps))) if steps[at].value == reference), None)
    if printed is None:
        found = ", ".join(str(step.value) for step in steps)
        return refuse(RefusalReason.NO_STEP_GIVES_ANSWER, f"reference {problem.answer}, results {found}")
    known = question_values(problem.question)
    lines = _program(steps[: printed + 1], problem.solution, known)
    ambiguous, unexplained = _doubtful_literals(lines, known)
    output = decimal_text(reference)
    if (printed_text := _printed(lines)) != output:
        return refuse(RefusalReason.FLOATING_POINT, f"would print {printed_text} for {output or reference}")
    return Conversion(
        problem_id=problem.id,
        thought=_plan(lines),
        code=_code(lines),
        output=printed_text,
        text_thought=strip_annotations(problem.solution),
        reference_chose_variable=printed != len(steps) - 1,
        annotated_steps=sum(line.step.annotated for line in lines),
        plain_steps=sum(not line.step.annotated for line in lines),
        ambiguous=ambiguous,
        unexplained=unexplained,
    )


def _reference_value(answer: str) -> Fraction | None:
    try:
        return evaluate(without_percent(parse(tokenize(answer))))
    except Unreadable:
        return None


def _program(steps: list[Step], solution: str, known: frozenset[Fraction]) -> list[_Line]:
    """Name every step's result and give every number its origin."""
    lines: list[_Line] = []
    origins = _Origins(steps, known)
    for step in steps:
        name, words = choose_name(describe(step, solution), {line.variable.name for line in lines})
        tree = origins.resolve(step.tree, lines)
        lines.append(_Line(step, tuple(words), Variable(name, step.value), tree))
    return lines


class _Origins:
    """Which numbers of a solution can only be an earlier result.

    A literal is one when it equals exactly one earlier result, unless
    - the question mentions it;
    - it stands twice in a calculation that is not a plain sum (7 * 7: one may be the days of a week);
    - it is `COMMON`, and neither a term of a sum nor needed: the only such number in the solution, without which the
      result would have been computed for nothing;
    - it is one of `CONSTANTS`, and not both needed and the result of the step just before.
    Of several equal results (40 + 40 after two of 40) each is one term, for in a sum it does not matter which.
    """

    def __init__(self, steps: list[Step], known: frozenset[Fraction]) -> None:
        self._known = known
        self._literals = Counter(leaf.value for step in steps for leaf in leaves(step.tree) if isinstance(leaf, Number))

    def resolve(self, tree: Tree, earlier: list[_Line]) -> Tree:
        here = Counter(leaf.value for leaf in leaves(tree) if isinstance(leaf, Number))
        is_sum, used = _is_sum(tree), Counter[Fraction]()

        def origin(leaf: Number | Variable, is_term: bool) -> Tree:
            if isinstance(leaf, Variable):  # a letter that an equation solved, or a fraction
                return next((line.variable for line in earlier if line.step.unknown == leaf.name), leaf)
            value = leaf.value
            found = [line.variable for line in earlier if line.step.value == value]
            if leaf.percent or not found:
                return self._from_percent(leaf, earlier) or leaf
            if len(found) == 1 and here[value] <= 1:
                is_certain = self._is_certain(value, is_term=is_term, is_next=earlier[-1].step.value == value)
            else:
                is_certain = is_sum and len(found) in (1, here[value]) and value not in CONSTANTS
            if value in self._known or not is_certain:
                return leaf
            used[value] += 1
            return found[(used[value] - 1) % len(found)]

        return _replace_leaves(self._with_fractions(tree, earlier), origin, is_term=False)

    def _with_fractions(self, tree: Tree, earlier: list[_Line]) -> Tree:
        """`60 * 2/3` after a result written as 2/3: the fraction is one number."""
        match tree:
            case Operation(_, left, right):
                return replace(tree, left=self._fraction(left, earlier), right=self._fraction(right, earlier))
            case Negative(operand):
                return Negative(self._fraction(operand, earlier))
            case _:
                return tree

    def _fraction(self, tree: Tree, earlier: list[_Line]) -> Tree:
        match tree:
            case Operation("/", Number(top), Number(bottom)) if bottom and top / bottom not in self._known:
                written = f"{top}/{bottom}"
                ends = [(line, line.step.text[: line.step.end].replace(" ", "")) for line in earlier]
                found = [
                    line.variable for line, text in ends if text.endswith(written) and line.step.value == top / bottom
                ]
                return found[0] if len(found) == 1 else tree
            case _:
                return self._with_fractions(tree, earlier)

    def _is_certain(self, value: Fraction, *, is_term: bool, is_next: bool) -> bool:
        is_needed = self._literals[value] == 1
        if value in CONSTANTS:
            return is_needed and is_next
        return is_needed or is_term or value not in COMMON

    def _from_percent(self, leaf: Number, earlier: list[_Line]) -> Tree | None:
        """`60%` or `.6` after a result of 60 that the solution calls percent."""
        points = leaf.value if leaf.percent else leaf.value * 100
        found = [line.variable for line in earlier if line.step.value == points and "%" in line.step.text]
        if len(found) != 1 or {points, points / 100} & self._known or points in CONSTANTS:
            return None
        return Operation("/", found[0], Number(Fraction(100)))


def _is_sum(tree: Tree) -> bool:
    match tree:
        case Operation(operator, left, right):
            return operator == "+" and _is_sum(left) and _is_sum(right)
        case Negative():
            return False
        case _:
            return True


def _replace_leaves(tree: Tree, origin: Callable[[Number | Variable, bool], Tree], *, is_term: bool) -> Tree:
    """`origin(leaf, is_term)` for every leaf; a term is a leaf directly under a plus or minus."""
    match tree:
        case Operation(operator, left, right):
            terms = operator in ("+", "-")
            return replace(
                tree,
                left=_replace_leaves(left, origin, is_term=terms),
                right=_replace_leaves(right, origin, is_term=terms),
            )
        case Negative(operand):
            return Negative(_replace_leaves(operand, origin, is_term=is_term))
        case _:
            return origin(tree, is_term)


def _plan(lines: list[_Line]) -> str:
    phrases: list[str] = []
    for line in lines:
        phrase = " ".join(line.words) or "the result"
        if phrase not in phrases:
            phrases.append(phrase)
    return "Find " + ", then ".join(phrases) + "."


def _code(lines: list[_Line]) -> str:
    assignments = [f"{line.variable.name} = {to_python(line.tree)}" for line in lines]
    name = lines[-1].variable.name
    # .12g writes 70000.0 as 70000 and 0.30000000000000004 as 0.3
    shown = f'f"{{{name}:.12g}}"' if isinstance(_run(lines), float) else name
    return "\n".join([*assignments, f"print({shown})"])


def _printed(lines: list[_Line]) -> str:
    try:
        value = _run(lines)
    except ArithmeticError as error:  # an overflow, or a divisor that is zero only in floating point
        return type(error).__name__
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _run(lines: list[_Line]) -> int | float:
    """The program's value in Python's own numbers."""
    values: dict[str, int | float] = {}
    for line in lines:
        values[line.variable.name] = _python_value(line.tree, values)
    return values[lines[-1].variable.name]


def _python_value(tree: Tree, values: dict[str, int | float]) -> int | float:
    match tree:
        case Variable(name):
            return values[name]
        case Number():
            value = evaluate(tree)
            return int(value) if value.denominator == 1 else float(value)
        case Negative(operand):
            return -_python_value(operand, values)
        case Operation(operator, left, right):
            a, b = _python_value(left, values), _python_value(right, values)
            match operator:
                case "+":
                    return a + b
                case "-":
                    return a - b
                case "*":
                    return a * b
                case "/":
                    return a / b
                case "**":
                    return float(a**b) if isinstance(a, float) else int(a**b)


def _doubtful_literals(lines: list[_Line], known: frozenset[Fraction]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The literals that equal an earlier result, and those that come from nowhere we know."""
    ambiguous, unexplained = [], []
    results: set[Fraction] = set()
    for line in lines:
        for leaf in leaves(line.tree):
            if isinstance(leaf, Number) and leaf.value in results:
                ambiguous.append(to_python(leaf))
            elif isinstance(leaf, Number) and not {leaf.value, evaluate(leaf)} & (known | CONSTANTS | COMMON):
                unexplained.append(to_python(leaf))
        results.add(line.step.value)
    return tuple(ambiguous), tuple(unexplained)
