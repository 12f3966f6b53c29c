"""Exact rational values of trees, under caps that are checked before anything is computed.

`rational` answers "which rational is this?" or None. Integers may grow to `MAX_BITS` bits and no further: a power
tower is refused by its exponent, a factorial by its argument.

What this file does not do: no radicals beyond perfect powers, no floats.
"""

from __future__ import annotations

import math
from fractions import Fraction

from mario.grade.tree import Apply, Node, Number

MAX_BITS = 40_000  # 12,000 digits: more than any answer in print, and still microseconds
MAX_FACTORIAL = 3_000
MAX_TERMS = 2_000  # of a finite sum or product


def rational(node: Node) -> Fraction | None:
    """The exact value of a constant rational tree; None for any other."""
    if isinstance(node, Number):
        return node.value
    if not isinstance(node, Apply):
        return None
    head = node.head
    if head in ("sum", "product"):
        return None
    values: list[Fraction] = []
    for arg in node.args:
        value = rational(arg)
        if value is None:
            return None
        values.append(value)
    try:
        return _apply(head, values)
    except (ZeroDivisionError, ValueError, OverflowError):
        return None


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()


def _apply(head: str, values: list[Fraction]) -> Fraction | None:
    match head, values:
        case "add", _:
            return _within(sum(values, Fraction(0)))
        case "mul", _:
            if sum(map(_bits, values)) > MAX_BITS:
                return None
            return math.prod(values, start=Fraction(1))
        case "neg", [x]:
            return -x
        case "div", [x, y]:
            return x / y if _bits(x) + _bits(y) <= MAX_BITS else None
        case "pow", [x, y]:
            return power(x, y)
        case "root", [x, n]:
            return power(x, 1 / n) if n > 0 else None
        case "abs", [x]:
            return abs(x)
        case "factorial", [x]:
            return Fraction(math.factorial(int(x))) if x.denominator == 1 and 0 <= x <= MAX_FACTORIAL else None
        case "floor", [x]:
            return Fraction(math.floor(x))
        case "ceil", [x]:
            return Fraction(math.ceil(x))
        case "binom", [n, k] if n.denominator == k.denominator == 1 and k >= 0 and 0 <= n <= MAX_FACTORIAL:
            return Fraction(math.comb(int(n), int(k)))
        case "mod", [x, y]:
            return x % y
        case (("max" | "min"), [_, *_]):
            return max(values) if head == "max" else min(values)
        case (("gcd" | "lcm"), [_, *_]) if all(v.denominator == 1 for v in values):
            return Fraction((math.gcd if head == "gcd" else math.lcm)(*map(int, values)))
        case "sign", [x]:
            return Fraction((x > 0) - (x < 0))
        case "side-", [x]:
            return x
        case "pct", [x]:
            return x / 100
    return None


def _within(value: Fraction) -> Fraction | None:
    return value if _bits(value) <= MAX_BITS else None


def power(base: Fraction, exponent: Fraction) -> Fraction | None:
    """base ** exponent when that is rational and small enough, real root for odd denominators."""
    if base == 0:
        return Fraction(0) if exponent > 0 else Fraction(1) if exponent == 0 else None
    if abs(exponent.numerator) * max(1, _bits(base) - 2) > MAX_BITS * exponent.denominator and abs(base) != 1:
        return None
    if exponent.denominator == 1:
        if abs(base) == 1:
            return base if exponent.numerator % 2 else Fraction(1)
        return base**exponent.numerator
    root = exponent.denominator
    if root > 64 or (base < 0 and root % 2 == 0):
        return None
    top, bottom = _integer_root(abs(base.numerator), root), _integer_root(base.denominator, root)
    if top is None or bottom is None:
        return None
    return Fraction(-top if base < 0 else top, bottom) ** exponent.numerator


def _integer_root(value: int, n: int) -> int | None:
    if n == 2:
        root = math.isqrt(value)
        return root if root * root == value else None
    if value.bit_length() > 2_000:
        return None
    low, high = 0, 1 << (value.bit_length() // n + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if middle**n <= value:
            low = middle
        else:
            high = middle - 1
    return low if low**n == value else None
