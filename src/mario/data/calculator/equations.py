"""Linear equations in one unknown, solved the way a program can compute: `x = (total - constant) / coefficient`.

The one idea: an equation stays made of the numbers that stand in it. `3 + 2x + x = 36` becomes
`x = (36 - 3) / (2 + 1)`, so no number appears that the solution's equation does not show.

What this module does not do: several unknowns at once, squares, inequalities.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mario.data.calculator.arithmetic import Negative, Number, Operation, Tree, Unreadable, Variable, evaluate

UNKNOWN = Variable("", Fraction(0))  # stands for the unknown while an equation is read
_ONE = Number(Fraction(1))


@dataclass(frozen=True, slots=True)
class _Linear:
    """coefficient * unknown + constant; None is zero."""

    coefficient: Tree | None
    constant: Tree | None


def solve(left: Tree, right: Tree) -> Tree:
    """The unknown, as arithmetic on the numbers of `left = right`.

    Raises:
        Unreadable: not linear, or no single solution.
    """
    a, b = _linear(left), _linear(right)
    if _value(a.coefficient) < _value(b.coefficient) or (
        _value(a.coefficient) == -_value(b.coefficient) and _value(a.coefficient) < 0
    ):
        a, b = b, a
    coefficient = _minus(a.coefficient, b.coefficient)
    constant = _minus(b.constant, a.constant) or Number(Fraction(0))
    if coefficient is None or evaluate(coefficient) == 0:
        raise Unreadable
    return constant if coefficient == _ONE else Operation("/", constant, coefficient)


def _value(tree: Tree | None) -> Fraction:
    return Fraction(0) if tree is None else evaluate(tree)


def _linear(tree: Tree) -> _Linear:
    if tree is UNKNOWN:
        return _Linear(_ONE, None)
    match tree:
        case Negative(operand):
            part = _linear(operand)
            return _Linear(_minus(None, part.coefficient), _minus(None, part.constant))
        case Operation("+", left, right):
            a, b = _linear(left), _linear(right)
            return _Linear(_plus(a.coefficient, b.coefficient), _plus(a.constant, b.constant))
        case Operation("-", left, right):
            a, b = _linear(left), _linear(right)
            return _Linear(_minus(a.coefficient, b.coefficient), _minus(a.constant, b.constant))
        case Operation("*", left, right):
            a, b = _linear(left), _linear(right)
            if a.coefficient is not None:
                a, b = b, a
            if a.coefficient is not None:
                raise Unreadable  # a square
            return _Linear(_times(a.constant, b.coefficient), _times(a.constant, b.constant))
        case Operation("/", left, right):
            a, b = _linear(left), _linear(right)
            if b.coefficient is not None or b.constant is None:
                raise Unreadable
            return _Linear(_over(a.coefficient, b.constant), _over(a.constant, b.constant))
        case Operation():
            raise Unreadable
        case Number(value) if value == 0:
            return _Linear(None, None)
        case _:
            return _Linear(None, tree)


def _plus(left: Tree | None, right: Tree | None) -> Tree | None:
    if left is None or right is None:
        return left or right
    return Operation("+", left, right)


def _minus(left: Tree | None, right: Tree | None) -> Tree | None:
    if right is None:
        return left
    if left is None:
        return _negated(right)
    return Operation("+", left, right.operand) if isinstance(right, Negative) else Operation("-", left, right)


def _negated(tree: Tree) -> Tree | None:
    """-(-14 - 16) as 14 + 16."""
    match tree:
        case Negative(operand):
            return operand
        case Operation("+", left, right):
            return _minus(_negated(left), right)
        case Operation("-", left, right):
            return _plus(_negated(left), right)
        case _:
            return Negative(tree)


def _times(factor: Tree | None, other: Tree | None) -> Tree | None:
    if factor is None or other is None:
        return None
    return factor if other == _ONE else other if factor == _ONE else Operation("*", factor, other)


def _over(top: Tree | None, bottom: Tree) -> Tree | None:
    return None if top is None else Operation("/", top, bottom)
