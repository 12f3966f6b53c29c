"""Rigorous evaluation of trees in ball arithmetic (FLINT's arb and acb, through python-flint).

`evaluate` maps a tree to a complex ball that surely contains its value at a point where every symbol has a seeded
rational value; an unknown function is a symbol named by its arguments. Two balls that do not overlap prove the
values different; balls that overlap at several points and high precision are taken as equal.

What it does not do: it decides nothing about rounding (`numeric`) and never expands a sum beyond its cap.
Precision is a global of FLINT, so one lock guards every evaluation; it is held for microseconds.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from flint import acb, arb, ctx, fmpq

from mario.grade.exact import MAX_TERMS, rational
from mario.grade.names import words
from mario.grade.render import render
from mario.grade.tree import Apply, Constant, Node, Number, Symbol, rebuild, walk

MAX_STEPS = 20_000  # operations in one evaluation


class Undefined(Exception):
    """No value here: outside the domain, not finite, or not a number at all."""


class OverBudget(Exception):
    """More operations than `MAX_STEPS`."""


_LOCK = threading.RLock()


@contextmanager
def precision(bits: int) -> Iterator[None]:
    with _LOCK:
        before = ctx.prec
        ctx.prec = bits
        try:
            yield
        finally:
            ctx.prec = before


def ball(value: Fraction) -> acb:
    return acb(arb(fmpq(value.numerator, value.denominator)))


@lru_cache(maxsize=4096)
def point(name: str, round_: int) -> Fraction:
    """The seeded value of a symbol in one round: both signs, away from small integers, the same in every process."""
    draw = random.Random(f"{name}/{round_}")
    if round_ >= INTEGER_ROUNDS:
        return Fraction(draw.randint(2, 9))
    # Sizes grow with the rounds, so that a floor or a high power shows itself; denominators are no small primes.
    reach = (400, 400, 2_000, 2_000, 10_000, 400, 40_000, 2_000)[round_ % 8]
    value = Fraction(draw.randint(reach // 40, reach), draw.choice((89, 97, 101, 103)))
    # Rounds alternate in sign so that |x| and x, or sqrt(x^2) and x, are told apart, and domains x > 0 are met.
    sign = (1, -1, 1, draw.choice((1, -1)))[round_ % 4]
    return sign * value


INTEGER_ROUNDS = 100


@dataclass
class Evaluation:
    """One point: `round_` picks the seeded values, `radius` how far a decimal may be from what it shows."""

    round_: int = 0
    is_real: bool = False  # stay on the real line: roots and logarithms of negative numbers are undefined
    radius: Callable[[Number], Fraction] | None = None
    log_base: int = 0  # what `log` without a base means; 0 is e
    bound: dict[str, acb] = field(default_factory=dict)
    steps: int = 0

    def evaluate(self, node: Node) -> acb:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise OverBudget
        match node:
            case Number():
                return self.number(node)
            case Symbol(name):
                if name in self.bound:
                    return self.bound[name]
                return ball(point(name, self.round_))
            case Constant(name):
                return constant(name)
            case Apply(head, args):
                value = self.apply(head, args)
                if not value.is_finite():
                    raise Undefined(head)
                if self.is_real and not value.imag.is_zero():
                    raise Undefined(head)
                return value
        raise Undefined(type(node).__name__)

    def number(self, node: Number) -> acb:
        value = ball(node.value)
        if self.radius is not None and node.digits:
            slack = self.radius(node)
            if slack:
                value = acb(value.real + arb(0, _upper(slack)))
        return value

    def apply(self, head: str, args: tuple[Node, ...]) -> acb:
        if head in ("sum", "product"):
            return self.series(head, args)
        if head == "integral" or head == "limit" or head.startswith("?"):
            return self.opaque(head, args)
        if head == "pow" and args[0] == Constant("e"):
            return self.evaluate(args[1]).exp()
        if head in ("floor", "ceil", "sign", "abs", "factorial", "mod", "gcd", "lcm", "max", "min", "binom"):
            plain = Apply(head, args)
            exact_value = rational(plain)
            if exact_value is not None:
                return ball(exact_value)
        values = [self.evaluate(arg) for arg in args]
        match head, values:
            case "add", _:
                total = values[0]
                for value in values[1:]:
                    total = total + value
                return total
            case "mul", _:
                product = values[0]
                for value in values[1:]:
                    product = product * value
                return product
            case "neg", [x]:
                return -x
            case "div", [x, y]:
                return x / y
            case "pow", [x, y]:
                return self.power(x, y, args[1])
            case "root", [x, n]:
                return self.root(x, n, args[1])
            case "deg", [x]:
                return x * acb.pi() / 180
            case "pct", [x]:
                return x / 100
            case "log", [x]:
                return self.log(x) / (acb(self.log_base).log() if self.log_base else 1)
            case "ln", [x]:
                return self.log(x)
            case "log", [x, base]:
                return self.log(x) / self.log(base)
            case _, [x] if head in _UNARY:
                return _UNARY[head](x)
            case _, [x] if head in _REAL_UNARY:
                if not x.imag.is_zero():
                    raise Undefined(head)
                return acb(_REAL_UNARY[head](x.real))
            case "abs" | "norm", [x]:
                return acb(abs(x.real)) if x.imag.is_zero() else acb(abs(x))
            case "binom", [n, k]:
                one = acb(1)
                return (n + one).gamma() / ((k + one).gamma() * (n - k + one).gamma())
            case "conjugate", [x]:
                return acb(x.real, -x.imag)
            case "side-", [x]:
                return x
            case (("max" | "min"), [_, *_]) if all(v.imag.is_zero() for v in values):
                pick = values[0].real
                for value in values[1:]:
                    pick = pick.max(value.real) if head == "max" else pick.min(value.real)
                return acb(pick)
            case "mod", [x, y] if x.imag.is_zero() and y.imag.is_zero():
                return x - y * acb((x.real / y.real).floor())
        return self.opaque(head, args)

    def power(self, x: acb, y: acb, exponent: Node) -> acb:
        exact_exponent = rational(exponent)
        if exact_exponent is not None and exact_exponent.denominator == 1 and abs(exact_exponent) < 10**9:
            n = int(exact_exponent)
            return x**n if n >= 0 else 1 / x**-n
        if self.is_real and exact_exponent is not None and exact_exponent.denominator % 2 and x.real < 0:
            magnitude = (-x) ** y
            return magnitude if exact_exponent.numerator % 2 == 0 else -magnitude
        if x.real == 0 and x.imag.is_zero():
            raise Undefined("0 to a power")
        return x**y

    def root(self, x: acb, n: acb, index: Node) -> acb:
        exact_index = rational(index)
        if exact_index == 2:
            return x.sqrt()
        is_odd = exact_index is not None and exact_index.denominator == 1 and int(exact_index) % 2
        if is_odd and x.imag.is_zero() and x.real < 0:
            return -((-x) ** (1 / n))
        return x ** (1 / n)

    def log(self, x: acb) -> acb:
        if x.real == 0 and x.imag.is_zero():
            raise Undefined("log of zero")
        return x.log()

    def series(self, head: str, args: tuple[Node, ...]) -> acb:
        body, variable, low, high = args
        first, last = rational(low), rational(high)
        if (
            isinstance(variable, Symbol | Constant)
            and first is not None
            and last is not None
            and first.denominator == last.denominator == 1
            and last - first < MAX_TERMS
        ):
            name = variable.name
            body = rename(body, variable, Symbol(f"{name}*"))
            total = acb(0 if head == "sum" else 1)
            for index in range(int(first), int(last) + 1):
                self.bound[f"{name}*"] = acb(index)
                term = self.evaluate(body)
                total = total + term if head == "sum" else total * term
            self.bound.pop(f"{name}*", None)
            return total
        return self.opaque(head, args)

    def opaque(self, head: str, args: tuple[Node, ...]) -> acb:
        """A term we cannot evaluate: one seeded value for each distinct argument list, by value."""
        name = head
        if head in ("sum", "product", "integral", "limit"):
            variable = args[1]
            if isinstance(variable, Symbol | Constant):
                args = tuple(rename(arg, variable, Symbol("_")) for arg in args)
        parts: list[str] = []
        for arg in args:
            inner = Evaluation(self.round_, self.is_real, None, self.log_base, self.bound, self.steps)
            try:
                value = inner.evaluate(arg)
                if not value.is_finite():
                    raise Undefined("no finite value")
                parts.append(f"{value.real.mid().str(12, radius=False)},{value.imag.mid().str(12, radius=False)}")
            except Undefined:
                parts.append(render(arg))
            self.steps = inner.steps
        return ball(point(name + "|" + "|".join(parts), self.round_))


def rename(node: Node, old: Node, new: Node) -> Node:
    if node == old:
        return new
    from mario.grade.tree import children

    parts = children(node)
    if not parts:
        return node
    return rebuild(node, tuple(rename(part, old, new) for part in parts))


def constant(name: str) -> acb:
    match name:
        case "pi":
            return acb.pi()
        case "e":
            return acb(1).exp()
        case "i":
            return acb(0, 1)
    raise Undefined(name)


def _upper(value: Fraction) -> arb:
    top = arb(fmpq(value.numerator, value.denominator))
    return top + top / 2**60


def _method(name: str) -> Callable[[acb], acb]:
    def apply(x: acb) -> acb:
        return getattr(x, name)()

    return apply


def _inverse(name: str) -> Callable[[acb], acb]:
    def apply(x: acb) -> acb:
        return getattr(1 / x, name)()

    return apply


_UNARY: dict[str, Callable[[acb], acb]] = {
    name: _method(name)
    for name in words(
        "sin cos tan cot sec csc sinh cosh tanh coth sech csch asin acos atan asinh acosh atanh erf gamma"
    )
}
_UNARY |= {"acot": _inverse("atan"), "asec": _inverse("acos"), "acsc": _inverse("asin"), "acoth": _inverse("atanh")}
_UNARY |= {"factorial": lambda x: (x + 1).gamma(), "re": lambda x: acb(x.real), "im": lambda x: acb(x.imag)}
_UNARY |= {"arg": lambda x: acb(x.arg())}
_REAL_UNARY: dict[str, Callable[[arb], arb]] = {
    "floor": lambda x: x.floor(),
    "ceil": lambda x: x.ceil(),
    "sign": lambda x: x.sgn(),
}


def has_imaginary(node: Node) -> bool:
    return any(part == Constant("i") for part in walk(node))
