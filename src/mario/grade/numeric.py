"""Are two values the same number or the same expression? Exact first, then the two named rules for decimals.

Rationals are compared as rationals. Everything else is compared by balls: at several seeded points when symbols
occur, at rising precision when none do. A decimal may stand for an exact value in two ways only: it is the correct
rounding to `rounding_digits` digits or more, or it is off by floating point noise.

What this file does not do: no units, no containers, no equations.
"""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import NamedTuple

from flint import acb, arb

from mario.grade.balls import INTEGER_ROUNDS, Evaluation, OverBudget, Undefined, has_imaginary, precision
from mario.grade.exact import MAX_TERMS, rational
from mario.grade.options import Options
from mario.grade.tree import ELLIPSIS, Apply, Constant, Node, Number, Symbol, children, rebuild, symbols, walk

NOISE = Fraction(1, 10**10)
NOISE_DIGITS = 10  # a decimal shown with so many digits came from a machine
ROUNDS = 8
ENOUGH = 3  # agreeing points that accept; one disagreeing point refutes
STEPS = frozenset({"floor", "ceil", "sign", "mod", "max", "min"})  # constant over stretches: every point is looked at
LEVELS = (80, 320, 1600, 6400)  # bits tried on constants before giving up


class Match(NamedTuple):
    """`same` is None when it could not be decided within the budget."""

    same: bool | None
    reason: str


def no(reason: str) -> Match:
    return Match(False, reason)


def same_value(a: Node, b: Node, options: Options) -> Match:
    """Compare two values (numbers or expressions)."""
    if a == b:
        return Match(True, "same expression")
    left, right = rational(a), rational(b)
    if left is not None and right is not None:
        if left == right:
            return Match(True, "same rational number")
        if options.percent_guess and (left == 100 * right or right == 100 * left):
            return Match(True, "equal up to a factor of 100 (option percent_guess)")
        if isinstance(a, Number) and isinstance(b, Number) and not a.digits and not b.digits:
            return Match(False, f"{_short(left)} is not {_short(right)}")
    if folded(a) == folded(b):
        return Match(True, "same expression")
    exact = _compare(a, b, left, right)
    if exact.same is False and (unknown := unevaluated(a) or unevaluated(b)):
        exact = Match(None, f"{unknown} is not evaluated")
    if exact.same is True:
        return exact
    if options.rounding_digits or options.float_noise:
        rounded = _rounding(a, b, options)
        if rounded is not None:
            return rounded
    return exact


def unevaluated(node: Node) -> str:
    """The first term that stands as an unknown in evaluation although it has a value; empty when there is none."""
    for part in walk(node):
        if part == Symbol(ELLIPSIS):
            return "what the dots leave out"
        if isinstance(part, Apply):
            if part.head in ("integral", "limit") or (part.head.startswith("?") and len(part.head) > 2):
                return f"the term {part.head.lstrip('?')}"
            if part.head in ("sum", "product"):
                low, high = rational(part.args[2]), rational(part.args[3])
                if low is None or high is None or high - low >= MAX_TERMS:
                    return f"the {part.head}"
    return ""


def folded(node: Node) -> Node:
    """The tree with every rational part worked out, so that 7^{7^7} and 7^{823543} are one tree."""
    value = rational(node)
    if value is not None:
        return Number(value)
    parts = children(node)
    return rebuild(node, tuple(folded(part) for part in parts)) if parts else node


def _short(value: Fraction) -> str:
    bits = value.numerator.bit_length() + value.denominator.bit_length()
    return str(value) if bits <= 100 else f"a number of about {bits * 3 // 10} digits"


def _compare(a: Node, b: Node, left: Fraction | None, right: Fraction | None) -> Match:
    if left is not None and right is not None:
        return Match(False, f"{_short(left)} is not {_short(right)}")
    infinite = _infinity(a), _infinity(b)
    if any(infinite):
        return Match(infinite[0] == infinite[1], "infinities of the same sign" if infinite[0] else "not both infinite")
    bases = (0, 10) if any(isinstance(p, Apply) and p.head == "log" and len(p.args) == 1 for p in walk(a)) else (0,)
    if len(bases) == 1 and any(isinstance(p, Apply) and p.head == "log" and len(p.args) == 1 for p in walk(b)):
        bases = (0, 10)
    results = [_constants(a, b, base) if not (symbols(a) | symbols(b)) else _points(a, b, base) for base in bases]
    for result in results:
        if result.same is True:
            return result
    return results[0]


def _infinity(node: Node) -> int:
    """The sign of an infinity, with a rational factor or without; 0 for what is none."""
    match node:
        case Apply("mul", args):
            infinite = [_infinity(arg) for arg in args]
            if not any(infinite):
                return 0
            return prod(sign or _sign(rational(arg)) for sign, arg in zip(infinite, args, strict=True))
        case Constant("oo"):
            return 1
        case Apply("neg", (inner,)):
            return -_infinity(inner)
    return 0


def _sign(value: Fraction | None) -> int:
    return 0 if value is None else (value > 0) - (value < 0)


def _constants(a: Node, b: Node, log_base: int) -> Match:
    for bits in LEVELS:
        with precision(bits):
            try:
                x, y = _value(a, log_base), _value(b, log_base)
            except OverBudget:
                return Match(None, "too many operations")
            if x is None or y is None:
                return Match(None, "neither has a value") if x is y else Match(False, "one side has no value")
            if not x.overlaps(y):
                return Match(False, f"{_shown(x)} is not {_shown(y)}")
            if bits > LEVELS[0] and _tight(x, y):
                return Match(True, f"equal to {bits} bits")
    return Match(None, "equal as far as they could be evaluated")


def _value(node: Node, log_base: int) -> acb | None:
    try:
        return Evaluation(log_base=log_base).evaluate(node)
    except Undefined:
        return None


def _tight(x: acb, y: acb) -> bool:
    """The overlap is so narrow that it can only be equality."""
    difference = x - y
    width = abs(difference).upper()
    size = abs(x).upper()
    if width < arb(2) ** -200:
        return True
    return bool(width < arb(2) ** -60 and width < size * arb(2) ** -60)


def _shown(value: acb) -> str:
    real = value.real.mid().str(8, radius=False)
    if value.imag.contains(0):
        return str(real)
    return f"{real} + {value.imag.mid().str(8, radius=False)}i"


def _points(a: Node, b: Node, log_base: int) -> Match:
    """Expressions with symbols: real points of both signs, then positive integers, then the complex plane."""
    plans = [(False, range(ROUNDS))]
    if not (has_imaginary(a) or has_imaginary(b)):
        plans = [(True, range(ROUNDS)), (True, range(INTEGER_ROUNDS, INTEGER_ROUNDS + 6)), (False, range(ROUNDS))]
    steps = any(isinstance(p, Apply) and p.head in STEPS for node in (a, b) for p in walk(node))
    try:
        for is_real, rounds in plans:
            agreed = 0
            for round_ in rounds:
                verdict = _at(a, b, round_, is_real, log_base, 160)
                if verdict is None:
                    continue
                if not verdict:
                    return Match(False, "different at a test point")
                agreed += 1
                if agreed > ENOUGH and not steps:
                    break
            if agreed >= ENOUGH:
                return _confirmed(a, b, rounds, is_real, log_base)
    except OverBudget:
        return Match(None, "too many operations")
    return Match(None, "no test point is in both domains")


def _at(a: Node, b: Node, round_: int, is_real: bool, log_base: int, bits: int) -> bool | None:
    with precision(bits):
        try:
            x = Evaluation(round_, is_real, None, log_base).evaluate(a)
            y = Evaluation(round_, is_real, None, log_base).evaluate(b)
        except Undefined:
            return None
        return bool(x.overlaps(y))


def _confirmed(a: Node, b: Node, rounds: range, is_real: bool, log_base: int) -> Match:
    """One more look at high precision, so that huge or tiny terms cannot hide in the width of a ball."""
    for bits in LEVELS[2:]:
        for round_ in rounds:
            with precision(bits):
                try:
                    x = Evaluation(round_, is_real, None, log_base).evaluate(a)
                    y = Evaluation(round_, is_real, None, log_base).evaluate(b)
                except Undefined:
                    continue
                if not x.overlaps(y):
                    return Match(False, "different at a test point")
                if _tight(x, y):
                    return Match(True, "equal at every test point")
                break
    return Match(None, "equal as far as they could be evaluated")


def _rounding(a: Node, b: Node, options: Options) -> Match | None:
    """The rules for decimals; None when they do not apply or do not help."""
    shown_a, shown_b = _digits(a), _digits(b)
    if not shown_a and not shown_b:
        return None
    coarse_a = shown_a and (not shown_b or shown_a <= shown_b)
    if shown_a and shown_b and abs(shown_a - shown_b) < 2 and min(shown_a, shown_b) < NOISE_DIGITS:
        return None  # two readings of one precision: each says exactly what it says

    def radius(number: Number) -> Fraction:
        return slack(number, options)

    def noise_only(number: Number) -> Fraction:
        return slack(number, options) if number.digits >= NOISE_DIGITS else Fraction(0)

    first, second = (radius, noise_only) if coarse_a else (noise_only, radius)
    free = symbols(a) | symbols(b)
    rounds: range = range(ROUNDS) if free else range(1)
    agreed = 0
    for round_ in rounds:
        with precision(160):
            try:
                x = Evaluation(round_, False, first).evaluate(a)
                y = Evaluation(round_, False, second).evaluate(b)
            except (Undefined, OverBudget):
                continue
            if not x.overlaps(y) or _wide(x) or _wide(y):
                return None
            agreed += 1
    if agreed < (ENOUGH if free else 1):
        return None
    shown = min(d for d in (shown_a, shown_b) if d)
    if shown >= NOISE_DIGITS:
        return Match(True, "equal up to floating point noise")
    return Match(True, f"a correct rounding to {shown} digits")


def _wide(value: acb) -> bool:
    """A ball too wide to mean anything: wider than a thousandth of its size (noise around zero excepted)."""
    width = max(value.real.rad(), value.imag.rad(), key=lambda r: float(r.mid()) if r.is_finite() else 1e300)
    return bool(width > abs(value).upper() / 500) and bool(width > arb(10) ** -10)


def _digits(node: Node) -> int:
    """Least number of digits shown by the decimals of a tree, whole numbers apart; 0 when there are none."""
    found = [p.digits for p in walk(node) if isinstance(p, Number) and (p.value.denominator != 1 or _machine(p))]
    return min((digits for digits in found if digits), default=0)


def _machine(number: Number) -> bool:
    """A huge number as floating point prints it: 3.67401822487761e+603."""
    return number.places < 0 and number.digits >= NOISE_DIGITS


def slack(number: Number, options: Options) -> Fraction:
    """How far the value that a decimal stands for may lie from the decimal."""
    size = abs(number.value)
    if _machine(number):
        return Fraction(10) ** -number.places / 2 if options.float_noise else Fraction(0)
    if number.value.denominator == 1 or number.places <= 0:
        return Fraction(0)
    if options.float_noise:
        if number.digits >= NOISE_DIGITS and size < NOISE:
            return size
        if Fraction(1, 10**17) <= size < Fraction(1, 10**14):
            return size
        if number.digits >= NOISE_DIGITS:
            return max(Fraction(1, 2 * 10**number.places), size * NOISE)
    if options.rounding_digits and number.digits >= options.rounding_digits:
        return Fraction(1, 2 * 10**number.places)
    return Fraction(0)
