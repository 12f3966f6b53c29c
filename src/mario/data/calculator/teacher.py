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
    """A solution as a tool-integrated step (`thought`, `code`) and as text only (`text_thought`).

    `output` is what the code prints; `unexplained` are the literals that stand neither in the question nor among
    common numbers nor among earlier results: the solution's author brought them.
    """

    problem_id: str
    thought: str
    code: str
    output: str
    text_thought: str
    reference_chose_variable: bool
    annotated_steps: int
    plain_steps: int
    unexplained: tuple[str, ...] = ()


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
    steps = read_steps(problem.solution)
    if not steps:
        return refuse(RefusalReason.NO_CALCULATION, "no annotation and no plain equation holds")
    printed = next((at for at in reversed(range(len(steps))) if steps[at].value == reference), None)
    if printed is None:
        found = ", ".join(str(step.value) for step in steps)
        return refuse(RefusalReason.NO_STEP_GIVES_ANSWER, f"reference {problem.answer}, results {found}")
    known = question_values(problem.question)
    lines = _keep_used(_program(steps[: printed + 1], problem.solution, known))
    output = decimal_text(reference)
    if output is None or _printed(lines) != output:
        return refuse(RefusalReason.FLOATING_POINT, f"would print {_printed(lines)} for {reference}")
    return Conversion(
        problem_id=problem.id,
        thought=_plan(lines),
        code=_code(lines),
        output=output,
        text_thought=strip_annotations(problem.solution),
        reference_chose_variable=printed != len(steps) - 1,
        annotated_steps=sum(line.step.annotated for line in lines),
        plain_steps=sum(not line.step.annotated for line in lines),
        unexplained=_unexplained(lines, known),
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
        results = {value: [line.variable for line in earlier if line.step.value == value] for value in here}
        is_sum, used = _is_sum(tree), Counter[Fraction]()

        def origin(leaf: Number | Variable, is_term: bool) -> Tree:
            if isinstance(leaf, Variable):  # a letter that an equation solved
                return next(line.variable for line in earlier if line.step.unknown == leaf.name)
            value, found = leaf.value, results[leaf.value]
            if not found or value in self._known:
                return leaf
            if leaf.percent:
                plain = len(found) == 1 and evaluate(leaf) not in self._known
                return Operation("/", found[0], Number(Fraction(100))) if plain else leaf
            if len(found) == 1 and here[value] == 1:
                is_needed = self._literals[value] == 1
                if value in CONSTANTS:
                    is_certain = is_needed and earlier[-1].step.value == value
                else:
                    is_certain = is_needed or is_term or value not in COMMON
            else:
                is_certain = is_sum and len(found) in (1, here[value]) and value not in CONSTANTS
            if not is_certain:
                return leaf
            used[value] += 1
            return found[(used[value] - 1) % len(found)]

        return _replace_leaves(tree, origin, is_term=False)


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


def _keep_used(lines: list[_Line]) -> list[_Line]:
    """Without results that nothing needs; one whose value stays as a literal later on is kept as its likely source."""
    needed, literals, kept = {lines[-1].variable.name}, set[Fraction](), []
    for line in reversed(lines):
        if line.variable.name in needed or line.step.value in literals:
            kept.append(line)
            for leaf in leaves(line.tree):
                if isinstance(leaf, Variable):
                    needed.add(leaf.name)
                else:
                    literals.add(leaf.value)
    return kept[::-1]


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
    value = _run(lines)
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


def _unexplained(lines: list[_Line], known: frozenset[Fraction]) -> tuple[str, ...]:
    found: list[str] = []
    for at, line in enumerate(lines):
        results = {earlier.step.value for earlier in lines[:at]}
        for leaf in leaves(line.tree):
            if isinstance(leaf, Number) and not {leaf.value, evaluate(leaf)} & (known | CONSTANTS | COMMON | results):
                found.append(to_python(leaf))
    return tuple(found)
