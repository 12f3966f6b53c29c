"""The calculator teacher: a written solution becomes a thought, programs, and the same solution as plain text.

The one idea: the program is the solution's own calculations, line by line, with names for results and with origins for
numbers (`origins.py`). No step is dropped but those after the answer. Other shapes of it are made from the same lines.

    read.py       calculations of a solution      equations.py  one unknown, solved by its own numbers
    notation.py   text to tree                    origins.py    which numbers are earlier results
    arithmetic.py trees: exact value, Python      names.py      variable names from the words around
    thought.py    the sentences before the code           programs.py   calculations to Python, in several shapes

The reference answer may choose which variable is printed, and that is told (`reference_chose_variable`); it never
supplies a number or an operation. What this module does not do: run anything. Callers run the code in the interpreter
and grade what it prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from mario.data.calculator.arithmetic import (
    Unreadable,
    Variable,
    decimal_text,
    evaluate,
    without_percent,
)
from mario.data.calculator.names import choose_name, describe
from mario.data.calculator.notation import parse, tokenize
from mario.data.calculator.origins import Line, Origins, doubtful_literals
from mario.data.calculator.programs import run, write_code, write_shapes
from mario.data.calculator.question import question_values
from mario.data.calculator.read import Step, read_steps, strip_annotations
from mario.data.calculator.thought import write_thought
from mario.types import Problem

MAX_STEPS = 60  # of one solution; real ones have at most a quarter of it


class RefusalReason(StrEnum):
    NO_SOLUTION = "no_solution"
    NO_CALCULATION = "no_calculation"  # the solution states none that holds
    REFERENCE_NOT_A_NUMBER = "reference_not_a_number"
    NO_STEP_GIVES_ANSWER = "no_step_gives_answer"
    FLOATING_POINT = "floating_point"  # the program would not print the exact value
    NOT_WRITABLE = "not_writable"  # its words cannot stand in the markup (told by the caller)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a problem was not converted."""

    problem_id: str
    reason: RefusalReason
    detail: str


@dataclass(frozen=True, slots=True)
class Conversion:
    """A solution as a tool-integrated step (`thought`, and one of `programs`) and as text only (`text_thought`).

    `programs` are the shapes of one computation, the steps first; `output` is what each prints. `ambiguous` are the
    literals that equal an earlier result and yet stay literals; `unexplained` are those that stand neither in the
    question nor among common numbers nor among earlier results: the solution's author brought them.
    """

    problem_id: str
    thought: str
    programs: tuple[str, ...]
    output: str
    text_thought: str
    reference_chose_variable: bool
    annotated_steps: int
    plain_steps: int
    ambiguous: tuple[str, ...] = ()
    unexplained: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The program in its plainest shape."""
        return self.programs[0]


@dataclass(frozen=True, slots=True)
class Program:
    """A solution's calculations, named and with origins; `known` are the values that the question mentions."""

    lines: list[Line]
    known: frozenset[Fraction]
    reference_chose_variable: bool
    output: str  # what it prints

    @property
    def code(self) -> str:
        return write_code(self.lines)

    @property
    def doubts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Literals that equal an earlier result, and literals that come from nowhere we know."""
        return doubtful_literals(self.lines, self.known)


def convert(problem: Problem) -> Conversion | Refusal:
    """Convert one problem; pure and deterministic."""
    program = read_program(problem)
    if isinstance(program, Refusal):
        return program
    assert problem.solution is not None  # a program was read from it
    ambiguous, unexplained = program.doubts
    return Conversion(
        problem_id=problem.id,
        thought=write_thought(program.lines, problem.solution, program.known),
        programs=write_shapes(program.lines),
        output=program.output,
        text_thought=strip_annotations(problem.solution),
        reference_chose_variable=program.reference_chose_variable,
        annotated_steps=sum(line.step.annotated for line in program.lines),
        plain_steps=sum(not line.step.annotated for line in program.lines),
        ambiguous=ambiguous,
        unexplained=unexplained,
    )


def read_program(problem: Problem) -> Program | Refusal:
    """The program of a problem's written solution, up to the line that gives the reference answer."""

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
    output = decimal_text(reference)
    if (printed_text := _printed(lines)) != output:
        return refuse(RefusalReason.FLOATING_POINT, f"would print {printed_text} for {output or reference}")
    return Program(lines, known, printed != len(steps) - 1, printed_text)


def _reference_value(answer: str) -> Fraction | None:
    try:
        return evaluate(without_percent(parse(tokenize(answer))))
    except Unreadable:
        return None


def _program(steps: list[Step], solution: str, known: frozenset[Fraction]) -> list[Line]:
    """Name every step's result and give every number its origin."""
    lines: list[Line] = []
    origins = Origins(steps, known)
    for step in steps:
        name = choose_name(describe(step, solution), {line.variable.name for line in lines})
        tree = origins.resolve(step.tree, lines)
        lines.append(Line(step, Variable(name, step.value), tree))
    return lines


def _printed(lines: list[Line]) -> str:
    try:
        value = run(lines)
    except ArithmeticError as error:  # an overflow, or a divisor that is zero only in floating point
        return type(error).__name__
    return f"{value:.12g}" if isinstance(value, float) else str(value)
