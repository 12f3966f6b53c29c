"""Numeric variation: the same story and the same program with other numbers, in the question and in the solution.

The one idea: a number is changed only when it is known where it comes from and everywhere it goes. Every literal of the
program must stand in the question (once) or be no number of the story at all (percent, minutes of an hour), and every
number of the written solution must be one of these or a result. Then question, program and solution are changed
together, and the new solution is read afresh by the same converter: it must hold exactly, line by line, and give the
same program.

    template(problem)       what may be changed, or why nothing may
    draw(template, rng)     one set of new numbers that keeps the story sane, or None

Sane: results stay whole where they were whole (and never get more decimals), stay positive, stay within a factor of
four of what they were, and all quantities keep their order; percentages stay below 100, and hours of a day below 24.

What this module does not do: run the new program (`augment`), or judge whether a story with 31 cousins is likely.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from random import Random

from mario.data.calculator.arithmetic import (
    Number,
    Operation,
    Tree,
    Unreadable,
    Variable,
    decimal_text,
    evaluate,
)
from mario.data.calculator.mentions import Mention, find_mentions, unit_values
from mario.data.calculator.origins import Line, replace_leaves
from mario.data.calculator.plausible import (
    draw_value,
    has_a_literal,
    has_neighbour,
    is_a_count,
    is_sane,
    literals,
    same_order,
)
from mario.data.calculator.programs import write_code
from mario.data.calculator.restate import UnknownNumber, aliases, restate_question, restate_solution, table, written
from mario.data.calculator.teacher import Program, Refusal, read_program
from mario.types import Problem

TRIES = 400  # draws before a problem is given up
_ALWAYS = frozenset({Fraction(0), Fraction(1)})


class Unvaried(StrEnum):
    """Why a problem's numbers are left as they are."""

    NOT_CONVERTED = "not converted"
    DOUBTFUL_LITERAL = "a number of the program may be an earlier result"
    UNKNOWN_LITERAL = "a number of the program does not stand in the question"
    UNUSED_NUMBER = "a number of the question does not stand in the program"
    UNKNOWN_NUMBER = "a number of the solution does not stand in the question and is no result"
    AMBIGUOUS_NUMBER = "two numbers of the solution look the same and mean two things"
    NOTHING_TO_CHANGE = "no number may be changed"
    NOT_SANE = "no new numbers found that keep every result sane"


@dataclass(frozen=True, slots=True)
class Template:
    """A problem whose numbers may be changed: those of `free` mentions."""

    problem: Problem
    program: Program
    mentions: tuple[Mention, ...]
    free: tuple[Mention, ...]
    constants: frozenset[Fraction]


@dataclass(frozen=True, slots=True)
class Variation:
    """The new problem, and the old program with the new numbers; `changed` is old text to new, as in the question."""

    problem: Problem
    code: str
    changed: dict[str, str]


def template(problem: Problem) -> Template | Unvaried:
    """What of a problem may be changed."""
    program = read_program(problem)
    if isinstance(program, Refusal) or not problem.solution:
        return Unvaried.NOT_CONVERTED
    if any(program.doubts):
        return Unvaried.DOUBTFUL_LITERAL
    mentions = find_mentions(problem.question)
    fixed = frozenset(value for mention in mentions if mention.kind == "fixed" for value in mention.values)
    units = unit_values(f"{problem.question} {problem.solution}")
    constants = fixed | units | _ALWAYS
    used: set[Mention] = set()
    for leaf in literals(program.lines):
        owners = [mention for mention in mentions if leaf & mention.values]
        if not owners and not leaf & constants:
            return Unvaried.UNKNOWN_LITERAL
        used |= set(owners)
    if any(mention.is_numeral and not has_a_literal(mention, mentions, program.lines) for mention in mentions):
        return Unvaried.UNUSED_NUMBER  # it may bound the others: of 175 balls the first 100, the next 75
    free = [m for m in mentions if m in used and m.kind != "fixed" and not m.values & (units | _ALWAYS)]
    free = [mention for mention in free if not is_a_count(mention, program.lines, problem.question)]
    free = [mention for mention in free if not has_neighbour(mention, mentions, problem.question)]
    if not free:
        return Unvaried.NOTHING_TO_CHANGE
    constants |= {value for m in mentions if m not in free for value in m.values}
    made = Template(problem, program, tuple(mentions), tuple(free), constants)
    same = {mention: mention.value for mention in free}
    try:  # nothing changed must give the solution itself back
        restate_solution(
            problem.solution, table(zip(program.lines, program.lines, strict=True), same, constants), constants
        )
    except UnknownNumber:
        return Unvaried.UNKNOWN_NUMBER
    return Unvaried.AMBIGUOUS_NUMBER if _is_ambiguous(made) else made


def draw(made: Template, rng: Random) -> Variation | None:
    """New numbers that keep every result sane, or None when `TRIES` draws found none."""
    for attempt in range(TRIES):
        # All at once first; when that keeps failing, some of them.
        chosen = [m for m in made.free if attempt < TRIES // 2 or rng.random() < 0.5]
        values = {mention: draw_value(mention, made.problem.question, rng) if mention in chosen else mention.value
                  for mention in made.free}  # fmt: skip
        if all(values[mention] == mention.value for mention in made.free):
            continue
        variation = vary(made, values)
        if variation is not None:
            return variation
    return None


def vary(made: Template, values: Mapping[Mention, Fraction]) -> Variation | None:
    """The problem with these numbers; None when a result would not be sane, or the new solution does not read back."""
    numbers = {m: m.number for m in made.mentions if m.number is not None}
    if not same_order(list(numbers.values()), [values.get(m, number) for m, number in numbers.items()]):
        return None
    try:
        lines = _recompute(made, values)
    except Unreadable:
        return None
    old_lines = made.program.lines
    before = [m.value for m in made.free] + [line.step.value for line in old_lines]
    after = [values[m] for m in made.free] + [line.step.value for line in lines]
    if not is_sane(made.problem.question, old_lines, lines) or not same_order(before, after):
        return None
    try:
        known = table(zip(old_lines, lines, strict=True), values, made.constants)
        solution = restate_solution(made.problem.solution or "", known, made.constants)
    except UnknownNumber:
        return None
    answer = decimal_text(lines[-1].step.value)
    if answer is None:
        return None
    changed = {m.text: written(m, values[m]) for m in made.free if values[m] != m.value}
    problem = replace(
        made.problem, question=restate_question(made.problem.question, values), answer=answer, solution=solution
    )
    again = read_program(problem)  # the second way: the new solution's own chain, read as if it were anybody's
    if isinstance(again, Refusal) or any(again.doubts) or again.output != answer:
        return None
    if [_shape(line.tree) for line in again.lines] != [_shape(line.tree) for line in lines]:
        return None
    return Variation(problem, write_code(lines), changed)


def _recompute(made: Template, values: Mapping[Mention, Fraction]) -> list[Line]:
    """The program with the new numbers, every result computed exactly.

    Raises:
        Unreadable: a division by zero.
    """
    changes = {old: new for m, value in values.items() for old, new in aliases(m, value).items()}
    results: dict[str, Variable] = {}
    lines: list[Line] = []

    def renew(leaf: Number | Variable, _: bool) -> Tree:
        if isinstance(leaf, Variable):
            return results[leaf.name]
        return replace(leaf, value=changes.get(leaf.value, leaf.value))

    for line in made.program.lines:
        tree = replace_leaves(line.tree, renew, is_term=False)
        variable = Variable(line.variable.name, evaluate(tree))
        results[variable.name] = variable
        lines.append(Line(replace(line.step, value=variable.value), variable, tree))
    return lines


def _is_ambiguous(made: Template) -> bool:
    """Whether a result looks like a number that stays: then nobody could tell them apart in the solution."""
    changing = {value for m in made.free for value in m.values}
    results = [line.step.value for line in made.program.lines]
    return any(value in changing or value in made.constants for value in results) or len(set(results)) < len(results)


def _shape(tree: Tree) -> object:
    """The tree without its numbers."""
    match tree:
        case Operation(operator, left, right):
            return operator, _shape(left), _shape(right)
        case Variable(name):
            return name
        case Number():
            return "#"
    return "-", _shape(tree.operand)
