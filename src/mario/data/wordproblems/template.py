"""A word problem with holes: numbers to draw, several ways to ask, and the steps of its solution.

One idea: the steps are the only place where arithmetic is written. `{x=a+b}` inside a sentence is at once the
annotation of the solution (`24+17=<<24+17=41>>41`), the rule that gives `x`, and the template's structure.
Numbers are drawn until everything is sane: every result at least 2 (so nothing is negative, and plurals are
right), quotients exact, and all operands, constants and results different. So a number in a solution has one
possible origin, and no question shows its own answer.

What this module does not do: it knows no story (`one_step` … `four_steps`) and no split (`generate`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from random import Random

from mario.data.wordproblems.vocabulary import choose_words
from mario.errors import DataError

_SLOT = re.compile(r"\{([^{}]+)\}")
_LETTER = re.compile(r"[a-z]")
_TRIES = 20_000  # the rarest template needs a few hundred; past this the template itself is wrong


@dataclass(frozen=True, slots=True)
class Number:
    """How to draw one operand; without `low` and `high` it has exactly the digits of the level."""

    low: int | None = None
    high: int | None = None
    multiple_of: str = ""  # an operand drawn before this one
    options: tuple[int, ...] = ()
    quarters: bool = False  # dollars and cents, in quarters: exact in binary too

    def draw(self, rng: Random, digits: int, drawn: Mapping[str, Fraction]) -> Fraction:
        """Draw a value of at most `digits` digits, counted as written (`2.50` has three)."""
        if self.options:
            return Fraction(rng.choice(self.options))
        if self.quarters:
            dollars = rng.randrange(10 ** (digits - 3), 10 ** (digits - 2))
            return Fraction(4 * dollars + rng.randrange(1, 4), 4)
        smallest = (2 if digits == 1 else 10 ** (digits - 1)) if self.low is None else self.low
        largest = 10**digits - 1 if self.high is None else min(self.high, 10**digits - 1)
        unit = int(drawn[self.multiple_of]) if self.multiple_of else 1
        return Fraction(unit * rng.randint(-(-smallest // unit), largest // unit))


def level(of: str = "", high: int | None = None) -> Number:
    """An operand with the digits of the level, perhaps a multiple of an earlier one, perhaps bounded."""
    return Number(multiple_of=of, high=high)


def small(low: int, high: int) -> Number:
    """A count in a believable range, cut at the digits of the level."""
    return Number(low, high)


PRICE = Number(quarters=True)
BANKNOTES = Number(options=(10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 600))
PERCENT = Number(options=(5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 75, 80, 90))


@dataclass(frozen=True, slots=True)
class Draft:
    """A template with its holes filled; `operands` are the numbers of the question as written."""

    question: str
    solution: str
    answer: str
    operands: tuple[str, ...]


@dataclass(frozen=True)
class Template:
    """One kind of story: a few ways to ask, and the sentences of the solution.

    In `numbers` and in slots, a lower-case letter is a number and `x=…` the result of a step; longer slots are words
    of the vocabulary. A question may end in ` | word`: what it counts, for the slot `{unit}` of the solution.
    """

    name: str
    numbers: Mapping[str, Number]
    questions: tuple[str, ...]
    steps: tuple[str, ...]
    digits: str = "1234"  # the levels at which the story is believable
    where: tuple[str, ...] = ()  # comparisons of letters, such as "x<a"

    @cached_property
    def rules(self) -> tuple[tuple[str, str], ...]:
        """The steps' arithmetic: (`x`, `a+b`), …"""
        slots = (slot for step in self.steps for slot in _SLOT.findall(step) if "=" in slot)
        return tuple((name, rule) for name, _, rule in (slot.partition("=") for slot in slots))

    @cached_property
    def constants(self) -> frozenset[int]:
        """Numbers the solution knows without being told: 100 of a percentage, 7 days of a week."""
        return frozenset(int(n) for _, rule in self.rules for n in re.findall(r"\d+", rule))

    @property
    def structure(self) -> str:
        """The arithmetic without the story, letters renamed in order: `n1+n2; r1-n3`."""
        names: dict[str, str] = {}
        for result, _ in self.rules:
            names[result] = f"r{len(names) + 1}"
        operands = (c for _, rule in self.rules for c in _LETTER.findall(rule) if c not in names)
        names |= {c: f"n{i}" for i, c in enumerate(dict.fromkeys(operands), 1)}
        return "; ".join(_LETTER.sub(lambda m: names[m[0]], rule) for _, rule in self.rules)

    def draft(self, rng: Random, digits: int) -> Draft:
        """Draw numbers, words and a phrasing.

        Raises:
            DataError: no sane numbers were found: the template asks for the impossible.
        """
        for _ in range(_TRIES):
            values = self._values(rng, digits)
            if values is not None:
                return self._fill(rng, digits, values)
        raise DataError(f"word problem template {self.name!r}: no sane numbers of {digits} digits in {_TRIES} draws")

    def _values(self, rng: Random, digits: int) -> dict[str, Fraction] | None:
        """Operands and results of one draw, or None when they are not sane."""
        values: dict[str, Fraction] = {}
        for letter, number in self.numbers.items():
            values[letter] = number.draw(rng, digits, values)
        grain = 4 if any(number.quarters for number in self.numbers.values()) else 1
        for (name, _), tree in zip(self.rules, self._trees, strict=True):
            values[name] = _evaluate(tree, values)
            if values[name] < 2 or (values[name] * grain).denominator != 1:
                return None
        if len({*values.values(), *self.constants}) < len(values) + len(self.constants):
            return None
        return values if all(_holds(tree, values) for tree in self._conditions) else None

    def _fill(self, rng: Random, digits: int, values: Mapping[str, Fraction]) -> Draft:
        words = choose_words(rng, digits) | {letter: written(value) for letter, value in values.items()}

        def slot(match: re.Match[str]) -> str:
            name, _, rule = match[1].partition("=")
            if not rule:
                return words[name]
            left = _LETTER.sub(lambda m: words[m[0]], rule)
            return f"{left}=<<{left}={words[name]}>>{words[name]}"

        question, _, unit = rng.choice(self.questions).partition(" | ")
        words["unit"] = _SLOT.sub(slot, unit)
        answer = words[self.rules[-1][0]]
        return Draft(
            question=_SLOT.sub(slot, question),
            solution="\n".join([*(_SLOT.sub(slot, step) for step in self.steps), f"#### {answer}"]),
            answer=answer,
            operands=tuple(words[letter] for letter in self.numbers),
        )

    @cached_property
    def _trees(self) -> tuple[ast.expr, ...]:
        return tuple(ast.parse(rule, mode="eval").body for _, rule in self.rules)

    @cached_property
    def _conditions(self) -> tuple[ast.expr, ...]:
        return tuple(ast.parse(condition, mode="eval").body for condition in self.where)


def written(value: Fraction) -> str:
    """A whole number plainly, money with its two places."""
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.2f}"


def _evaluate(node: ast.expr, values: Mapping[str, Fraction]) -> Fraction:
    match node:
        case ast.Name(id=name):
            return values[name]
        case ast.Constant(value=int(value)):
            return Fraction(value)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _evaluate(left, values), _evaluate(right, values)
            match op:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.Div():
                    return a / b
    raise DataError(f"word problem template: {ast.unparse(node)!r} is not made of letters, numbers and + - * /")


def _holds(node: ast.expr, values: Mapping[str, Fraction]) -> bool:
    match node:
        case ast.Compare(left=left, ops=[ast.Lt()], comparators=[right]):
            return _evaluate(left, values) < _evaluate(right, values)
    raise DataError(f"word problem template: {ast.unparse(node)!r} is not a comparison with <")
