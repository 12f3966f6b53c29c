"""Numeric variation: the same story and the same program with other numbers, in the question and in the solution.

The one idea: a number is changed only when it is known where it comes from and everywhere it goes. Every literal of the
program must stand in the question (once) or be no number of the story at all (percent, minutes of an hour), and every
number of the written solution must be one of these or a result. Then question, program and solution are changed
together, and the new solution is read afresh by the same converter: it must hold exactly, line by line, and give the
same program.

    template(problem)       what may be changed, or why nothing may
    draw(template, rng)     one set of new numbers that keeps the story sane, or None

Sane: results stay whole where they were whole (and never get more decimals), stay positive, stay within a factor of
`REACH` of what they were, and all quantities keep their order; percentages stay below 100, and hours of a day below 24.

What this module does not do: run the new program (`augment`), or judge whether a story with 31 cousins is likely.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from itertools import combinations
from random import Random

from mario.data.calculator.arithmetic import (
    Number,
    Operation,
    Tree,
    Unreadable,
    Variable,
    decimal_text,
    evaluate,
    leaves,
)
from mario.data.calculator.mentions import SMALL_WORDS, Mention, find_mentions, unit_values
from mario.data.calculator.notation import to_number
from mario.data.calculator.origins import Line, replace_leaves
from mario.data.calculator.teacher import Program, Refusal, read_program, write_code
from mario.types import Problem

TRIES = 400  # draws before a problem is given up
REACH = 4  # how many times larger or smaller a result may become
MAX_RESULT = Fraction(10**7)
_ALWAYS = frozenset({Fraction(0), Fraction(1)})
_YEARS = re.compile(r"\s*[-\s]?(?:more\s)?(?:years?|yrs?)\b", re.IGNORECASE)
_TIMES = re.compile(
    r"\s*[-\s]?(?:more\s|full\s|extra\s)?(?:hours?|hrs?|minutes?|mins?|seconds?|days?|weeks?|months?)\b", re.IGNORECASE
)
_PERCENT = re.compile(r"\s*(?:%|percent)", re.IGNORECASE)
# Where these are spoken of, a result below 100 stays below: percentages, scores, ages.
_HUNDRED = re.compile(
    r"%|\b(?:percent\w*|scores?|grades?|exams?|tests?|quiz\w*|age[ds]?|old|older|younger)\b", re.IGNORECASE
)
_LIMITS = tuple(map(Fraction, (5, 7, 12, 24, 31, 60, 100, 365)))  # a time below one of these stays below it
_NUMBER = re.compile(r"(?<![\d.])(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)")
_WORD = re.compile(rf"\b(?:{'|'.join(SMALL_WORDS[2:])})\b(?!-)", re.IGNORECASE)
_AN = re.compile(r"\ban?\s+[$£€]?$", re.IGNORECASE)


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
    for leaf in _literals(program.lines):
        owners = [mention for mention in mentions if leaf & mention.values]
        if not owners and not leaf & constants:
            return Unvaried.UNKNOWN_LITERAL
        used |= set(owners)
    if any(mention.is_numeral and not _has_a_literal(mention, mentions, program.lines) for mention in mentions):
        return Unvaried.UNUSED_NUMBER  # it may bound the others: of 175 balls the first 100, the next 75
    free = [m for m in mentions if m in used and m.kind != "fixed" and not m.values & (units | _ALWAYS)]
    free = [mention for mention in free if not _is_a_count(mention, program.lines, problem.question)]
    free = [mention for mention in free if not _has_neighbour(mention, mentions, problem.question)]
    if not free:
        return Unvaried.NOTHING_TO_CHANGE
    constants |= {value for m in mentions if m not in free for value in m.values}
    made = Template(problem, program, tuple(mentions), tuple(free), constants)
    same = {mention: mention.value for mention in free}
    try:  # nothing changed must give the solution itself back
        _rewrite(problem.solution, _mapping(made, same, program.lines), constants)
    except _UnknownNumber:
        return Unvaried.UNKNOWN_NUMBER
    return Unvaried.AMBIGUOUS_NUMBER if _is_ambiguous(made) else made


def draw(made: Template, rng: Random) -> Variation | None:
    """New numbers that keep every result sane, or None when `TRIES` draws found none."""
    for attempt in range(TRIES):
        # All at once first; when that keeps failing, some of them.
        chosen = [m for m in made.free if attempt < TRIES // 2 or rng.random() < 0.5]
        values = {mention: _draw_value(mention, made.problem.question, rng) if mention in chosen else mention.value
                  for mention in made.free}  # fmt: skip
        if all(values[mention] == mention.value for mention in made.free):
            continue
        variation = vary(made, values)
        if variation is not None:
            return variation
    return None


def vary(made: Template, values: Mapping[Mention, Fraction]) -> Variation | None:
    """The problem with these numbers; None when a result would not be sane, or the new solution does not read back."""
    if not _keeps_order({m: m.number for m in made.mentions if m.number is not None}, values):
        return None
    try:
        lines = _recompute(made, values)
    except Unreadable:
        return None
    if not _is_sane(made, values, lines):
        return None
    try:
        mapping = _mapping(made, values, lines)
        solution = _rewrite(made.problem.solution or "", mapping, made.constants)
    except _UnknownNumber:
        return None
    answer = decimal_text(lines[-1].step.value)
    if answer is None:
        return None
    changed = {m.text: _written(m, values[m]) for m in made.free if values[m] != m.value}
    problem = replace(made.problem, question=_question(made, values), answer=answer, solution=solution)
    again = read_program(problem)  # the second way: the new solution's own chain, read as if it were anybody's
    if isinstance(again, Refusal) or any(again.doubts) or again.output != answer:
        return None
    if [_shape(line.tree) for line in again.lines] != [_shape(line.tree) for line in lines]:
        return None
    return Variation(problem, write_code(lines), changed)


class _UnknownNumber(Exception):
    """A number of the solution that nobody accounts for, or that means two things."""


def _literals(lines: list[Line]) -> list[frozenset[Fraction]]:
    """Every literal as the values it may be known by: 20 % is 20 and 0.2."""
    return [
        frozenset({leaf.value, evaluate(leaf)})
        for line in lines
        for leaf in leaves(line.tree)
        if isinstance(leaf, Number)
    ]


def _has_a_literal(mention: Mention, mentions: list[Mention], lines: list[Line]) -> bool:
    """Whether the program has a literal for this mention beside those for others that look the same."""
    literals = sum(1 for leaf in _literals(lines) if leaf & mention.values)
    alike = sum(1 for other in mentions if other.is_amount and other.values & mention.values)
    return literals >= alike


def _is_a_count(mention: Mention, lines: list[Line], question: str) -> bool:
    """Whether a small number may count what the text lists, or how often the solution does something."""
    value = mention.value
    if value.denominator != 1 or value > 10:
        return False
    terms = {_terms(line.tree) for line in lines} - {1, 2}
    repeats = {len(lines)} if value > 2 else set()
    lists = {
        found.count(",") + (2 if re.search(r"(?<!,) (?:and|or) ", found) else 1)
        for found in re.findall(r"[^.?!:;]+,[^.?!;]+", question)
    }
    is_divisor = any(
        isinstance(node, Operation) and node.operator == "/" and isinstance(node.right, Number)
        and node.right.value == value and (_terms(node.left) == value or isinstance(node.left, Variable))
        for line in lines for node in _nodes(line.tree)
    )  # fmt: skip
    sums = {_terms(line.tree) for line in lines}
    return int(value) in terms | repeats | lists or (is_divisor and int(value) in sums)


def _has_neighbour(mention: Mention, mentions: list[Mention], question: str) -> bool:
    """Whether the next number counts the same thing: of 5 quizzes, 4 are written, and one is to come."""
    noun = _noun(mention, question)
    return any(
        other.number is not None and abs(other.number - mention.value) == 1 and _noun(other, question) == noun != ""
        for other in mentions
    )


def _noun(mention: Mention, question: str) -> str:
    found = re.match(r"\s+([A-Za-z]+)", question[mention.end :])
    return found.group(1).lower().rstrip("s") if found else ""


def _nodes(tree: Tree) -> list[Tree]:
    return [tree, *_nodes(tree.left), *_nodes(tree.right)] if isinstance(tree, Operation) else [tree]


def _terms(tree: Tree) -> int:
    if isinstance(tree, Operation) and tree.operator == "+":
        return _terms(tree.left) + _terms(tree.right)
    return 1


def _recompute(made: Template, values: Mapping[Mention, Fraction]) -> list[Line]:
    """The program with the new numbers, every result computed exactly.

    Raises:
        Unreadable: a division by zero.
    """
    changes = {old: new for m, value in values.items() for old, new in _aliases(m, value).items()}
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


def _aliases(mention: Mention, value: Fraction) -> dict[Fraction, Fraction]:
    """Each value the mention was known by, and what it is now: 20 and 0.2 of `20%`."""
    return {old: value * old / mention.value for old in mention.values}


def _is_sane(made: Template, values: Mapping[Mention, Fraction], lines: list[Line]) -> bool:
    old_lines = made.program.lines
    for old, new in zip(old_lines, lines, strict=True):
        a, b = old.step.value, new.step.value
        if (a > 0) != (b > 0) or (a == 0) != (b == 0) or abs(b) > max(MAX_RESULT, abs(a) * 2):
            return False
        if a and not Fraction(1, REACH) <= b / a <= REACH:
            return False
        if (a < 1) != (b < 1) or (a == 1) != (b == 1) or _decimals(b) > _decimals(a):
            return False
        if a <= 100 < b and (old.step.percent or _HUNDRED.search(made.problem.question)):
            return False
    if lines[-1].step.value == old_lines[-1].step.value and len(lines) > 1:
        return False
    before = [m.value for m in made.free] + [line.step.value for line in old_lines]
    after = [values[m] for m in made.free] + [line.step.value for line in lines]
    return all((a < b) == (c < d) and (a > b) == (c > d)
               for (a, c), (b, d) in combinations(zip(before, after, strict=True), 2))  # fmt: skip


def _keeps_order(before: Mapping[Mention, Fraction], values: Mapping[Mention, Fraction]) -> bool:
    """Whether the numbers of the question, changed or not, stand in the same order as before."""
    return all((a < b) == (values.get(m, a) < values.get(n, b)) and (a > b) == (values.get(m, a) > values.get(n, b))
               for (m, a), (n, b) in combinations(before.items(), 2))  # fmt: skip


def _decimals(value: Fraction) -> int:
    """Digits after the point; a thousand where they do not end."""
    text = decimal_text(value)
    return 1000 if text is None else len(text.partition(".")[2])


def _draw_value(mention: Mention, question: str, rng: Random) -> Fraction:
    """A number near the old one, in its style: as round, with as many decimals, after the same article."""
    old, after = mention.value, question[mention.end :]
    step = _step(mention)
    low: Fraction = max(Fraction(2) if old >= 2 else step, min(old * 3 / 5, old - 2 * step))
    high: Fraction = max(old * 8 / 5, old + 2 * step)
    if _YEARS.match(after):  # of somebody's life
        high = min(high, old * 5 / 4 + 1)
    if _PERCENT.match(after) and old <= 100:
        high = min(high, Fraction(100) - step)
    if _TIMES.match(after):
        for limit in _LIMITS:
            if old <= limit:
                high = min(high, limit if old == limit else limit - step)
    if mention.kind == "word":
        high = min(high, Fraction(20))
    units = range(math.ceil(low / step), math.floor(high / step) + 1)
    value = step * rng.choice(units) if units else old
    is_plain = _decimals(old) != 1 or _decimals(value) == 1  # 6.5 does not become 6.0; 3.50 may become 4.00
    return value if is_plain else old


def _step(mention: Mention) -> Fraction:
    """How round a number is: 250 goes by fifties, 24 by ones, 3.50 by quarters of ten cents."""
    old = mention.value
    decimals = len(mention.text.partition(".")[2]) if mention.kind == "digits" else 0
    smallest = Fraction(1, 10**decimals)
    for size in (10000, 1000, 500, 100, 50, 10, 5):
        step = smallest * size
        if old % step == 0 and old >= 3 * step:
            return step
    return smallest


def _written(mention: Mention, value: Fraction) -> str:
    """The new number in the style of the old one: a word, with thousands parted, with two decimals."""
    if mention.kind == "word":
        word = SMALL_WORDS[int(value)]
        return word.capitalize() if mention.text[0].isupper() else word
    decimals = len(mention.text.partition(".")[2])
    comma = "," if "," in mention.text or (value >= 10_000 and mention.value < 10_000) else ""
    return f"{value.numerator * 10**decimals // value.denominator / 10**decimals:{comma}.{decimals}f}"


def _question(made: Template, values: Mapping[Mention, Fraction]) -> str:
    text, at = "", 0
    for mention in made.free:
        text += made.problem.question[at : mention.start]
        written = _written(mention, values[mention])
        if found := _AN.search(text):
            text = text[: found.start()] + _with_article(found.group(), written)
        text += written
        at = mention.end
    return text + made.problem.question[at:]


def _with_article(article: str, written: str) -> str:
    """`a ` or `an ` before this number, as it is spoken."""
    spoken = re.match(r"8|1[18](?!\d)|1[18],|eight|eleven", written, re.IGNORECASE)
    first = article[0]
    rest = article.lstrip("aAnN")
    return first + ("n" if spoken and "$" not in article and "£" not in article else "") + rest


def _mapping(made: Template, values: Mapping[Mention, Fraction], lines: list[Line]) -> dict[Fraction, Fraction]:
    """Every old number of the solution and what it is now.

    Raises:
        _UnknownNumber: one old number would have to become two.
    """
    mapping: dict[Fraction, Fraction] = {}

    def add(old: Fraction, new: Fraction) -> None:
        if mapping.setdefault(old, new) != new or (old in made.constants and old != new):
            raise _UnknownNumber

    for mention, value in values.items():
        for old, new in _aliases(mention, value).items():
            add(old, new)
    for old_line, new_line in zip(made.program.lines, lines, strict=True):
        add(old_line.step.value, new_line.step.value)
    for old_line, new_line in zip(made.program.lines, lines, strict=True):
        if old_line.step.percent or "%" in old_line.step.text:
            for factor in (Fraction(1, 100), Fraction(100)):
                mapping.setdefault(old_line.step.value * factor, new_line.step.value * factor)
    return mapping


def _is_ambiguous(made: Template) -> bool:
    """Whether a result looks like a number that stays: then nobody could tell them apart in the solution."""
    changing = {value for m in made.free for value in m.values}
    results = [line.step.value for line in made.program.lines]
    return any(value in changing or value in made.constants for value in results) or len(set(results)) < len(results)


def _rewrite(solution: str, mapping: Mapping[Fraction, Fraction], constants: frozenset[Fraction]) -> str:
    """The solution with every number replaced by what it is now.

    Raises:
        _UnknownNumber: a number is none of those known.
    """

    def renew(match: re.Match[str]) -> str:
        old = to_number(match.group())
        if old not in mapping:
            if old in constants:
                return match.group()
            raise _UnknownNumber
        new = mapping[old]
        if new == old:
            return match.group()
        text = decimal_text(new)
        if text is None:
            raise _UnknownNumber
        whole, _, part = match.group().partition(".")
        if "," in whole:
            new_whole, _, new_part = text.partition(".")
            text = f"{int(new_whole):,}" + (f".{new_part}" if new_part else "")
        if len(part) > len(text.partition(".")[2]):  # $3.50 stays in cents
            text += ("" if "." in text else ".") + "0" * (len(part) - len(text.partition(".")[2]))
        return text if whole else text.removeprefix("0")

    def renew_word(match: re.Match[str]) -> str:
        old = Fraction(SMALL_WORDS.index(match.group().lower()))
        new = mapping.get(old, old)
        if new == old:
            return match.group()
        text = SMALL_WORDS[int(new)] if new.denominator == 1 and 0 <= new <= 20 else decimal_text(new) or ""
        return text.capitalize() if match.group()[0].isupper() else text

    return _WORD.sub(renew_word, _NUMBER.sub(renew, solution))


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
