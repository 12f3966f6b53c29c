"""Arithmetic as a tree: evaluated exactly, and written as Python.

The one idea: an expression is a tree of numbers and four operations (and powers) over `Fraction`, so a claim such as
`3/8 x $200 = $75` is checked exactly and nothing is ever evaluated as code. Percent signs stay on their numbers, for
`100% - 30% = 70%` and `60% * 50% = 30%` mean different things by them (`read.py` decides which).

What this module does not do: read text (`notation.py`), solve equations (`equations.py`), take roots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

MAX_EXPONENT = 12


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written; with `percent` it means hundredths."""

    value: Fraction
    percent: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    value: Fraction


@dataclass(frozen=True, slots=True)
class Operation:
    operator: Literal["+", "-", "*", "/", "**"]
    left: Tree
    right: Tree


@dataclass(frozen=True, slots=True)
class Negative:
    operand: Tree


Tree = Number | Variable | Operation | Negative


class Unreadable(Exception):
    """Not arithmetic; caught where expressions are looked for."""


def evaluate(tree: Tree) -> Fraction:
    """The exact value; percent signs mean hundredths.

    Raises:
        Unreadable: division by zero, or a power out of bounds.
    """
    match tree:
        case Number(value, percent):
            return value / 100 if percent else value
        case Variable(_, value):
            return value
        case Negative(operand):
            return -evaluate(operand)
        case Operation(operator, left, right):
            return _combine(operator, evaluate(left), evaluate(right))


def _combine(operator: str, left: Fraction, right: Fraction) -> Fraction:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/" if right:
            return left / right
        case "**" if right.denominator == 1 and 0 <= right <= MAX_EXPONENT and left.numerator.bit_length() < 256:
            return Fraction(left ** int(right))
    raise Unreadable


def python_value(tree: Tree, values: Mapping[str, int | float]) -> int | float:
    """What Python makes of the tree, in its own numbers.

    Raises:
        ArithmeticError: overflow, or a divisor that is zero only in floating point.
    """
    match tree:
        case Variable(name):
            return values[name]
        case Number():
            value = evaluate(tree)
            return int(value) if value.denominator == 1 else float(value)
        case Negative(operand):
            return -python_value(operand, values)
        case Operation(operator, left, right):
            a, b = python_value(left, values), python_value(right, values)
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


def leaves(tree: Tree) -> Iterator[Number | Variable]:
    match tree:
        case Operation(_, left, right):
            yield from leaves(left)
            yield from leaves(right)
        case Negative(operand):
            yield from leaves(operand)
        case _:
            yield tree


def without_percent(tree: Tree) -> Tree:
    """The tree with percent signs taken as a mere unit: `100% - 30%` is 70."""
    match tree:
        case Number():
            return replace(tree, percent=False)
        case Operation(operator, left, right):
            return Operation(operator, without_percent(left), without_percent(right))
        case Negative(operand):
            return Negative(without_percent(operand))
        case _:
            return tree


_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "**": 4}
_UNARY = 3
_ATOM = 5


def to_python(tree: Tree) -> str:
    """Python source with no more parentheses than needed; it evaluates to `evaluate(tree)` up to floating point."""
    return _render(tree)[0]


def _render(tree: Tree) -> tuple[str, int]:
    match tree:
        case Number():
            return _render_number(evaluate(tree))
        case Variable(name):
            return name, _ATOM
        case Negative(operand):
            return "-" + _wrapped(operand, _UNARY), _UNARY
        case Operation(operator, left, right):
            binding = _BINDING[operator]
            left_needs = binding + 1 if operator == "**" else binding
            right_needs = binding + 1 if operator in ("-", "/", "*") else binding
            return f"{_wrapped(left, left_needs)} {operator} {_wrapped(right, right_needs)}", binding


def _wrapped(tree: Tree, needs: int) -> str:
    text, binding = _render(tree)
    return text if binding >= needs else f"({text})"


def _render_number(value: Fraction) -> tuple[str, int]:
    if value < 0:
        return "-" + _render_number(-value)[0], _UNARY
    decimal = decimal_text(value)
    return (decimal, _ATOM) if decimal is not None else (f"{value.numerator} / {value.denominator}", _BINDING["/"])


def decimal_text(value: Fraction) -> str | None:
    """The value as people write it (`70000`, `0.3`), or None when its decimals do not end."""
    rest, digits = value.denominator, 0
    while rest % 10 == 0:
        rest, digits = rest // 10, digits + 1
    for prime in (2, 5):
        while rest % prime == 0:
            rest, digits = rest // prime, digits + 1
    if rest != 1:
        return None
    scaled = abs(value.numerator) * 10**digits // value.denominator
    whole, part = divmod(scaled, 10**digits)
    fraction = f".{part:0{digits}d}".rstrip("0").rstrip(".") if digits else ""
    return f"{'-' if value < 0 else ''}{whole}{fraction}"
