"""The last resort: SymPy on trees that balls could not decide (symbolic sums, integrals, limits, odd domains).

It runs in a worker process that can be killed (`worker`), never in the caller. SymPy objects are built from our tree,
node by node and under caps; no text of an answer ever reaches a parser of SymPy's.

What it does not do: containers and units; those were taken apart before a value came here.
"""

from __future__ import annotations

from typing import Any

import sympy

from mario.grade.names import words
from mario.grade.numeric import Match
from mario.grade.tree import Apply, Constant, Node, Number, Symbol, walk

MAX_NODES = 400
MAX_BITS = 4_000

_FUNCTIONS: dict[str, Any] = {
    "abs": sympy.Abs,
    "factorial": sympy.factorial,
    "binom": sympy.binomial,
    "ceil": sympy.ceiling,
    "mod": sympy.Mod,
    "max": sympy.Max,
    "min": sympy.Min,
    "ln": sympy.log,
    "log": sympy.log,
} | {
    name: getattr(sympy, name)
    for name in words(
        "sin cos tan cot sec csc asin acos atan acot asec acsc sinh cosh tanh coth asinh acosh atanh acoth "
        "floor gcd lcm re im arg conjugate sign erf gamma"
    )
}


class TooMuch(Exception):
    """Beyond the caps, or nothing SymPy should see."""


def decide(a: Node, b: Node) -> Match:
    """Equality of two values by SymPy; undecided when it does not say."""
    try:
        left, right = (build(node).doit() for node in (a, b))
    except TooMuch as why:
        return Match(None, str(why))
    difference = sympy.simplify(left - right)
    if difference == 0:
        return Match(True, "equal by SymPy")
    if difference.is_zero is False or (difference.is_number and abs(sympy.N(difference, 30)) > sympy.Float("1e-20")):
        return Match(False, "different by SymPy")
    if difference.equals(0):
        return Match(True, "equal by SymPy")
    return Match(None, "SymPy could not decide")


def build(node: Node) -> Any:
    """The SymPy object of a value tree. Raises `TooMuch`."""
    if sum(1 for _ in walk(node)) > MAX_NODES:
        raise TooMuch(f"more than {MAX_NODES} terms")
    return _build(node)


def _build(node: Node) -> Any:
    match node:
        case Number(value, _, _):
            if value.numerator.bit_length() + value.denominator.bit_length() > MAX_BITS:
                raise TooMuch("a number too long for SymPy")
            return sympy.Rational(value.numerator, value.denominator)
        case Symbol(name):
            return sympy.Symbol(name, real=True)
        case Constant(name):
            known = {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "oo": sympy.oo}
            if name in known:
                return known[name]
        case Apply(head, args):
            return _apply(head, args)
    raise TooMuch(f"{type(node).__name__} is no value")


def _apply(head: str, args: tuple[Node, ...]) -> Any:
    match head, args:
        case (("sum" | "product"), (body, variable, low, high)):
            kind = sympy.Sum if head == "sum" else sympy.Product
            name = sympy.Symbol("k_", integer=True)
            return kind(_build(body).subs(_variable(variable), name), (name, _build(low), _build(high)))
        case "integral", (body, variable):
            return sympy.Integral(_build(body), _variable(variable))
        case "integral", (body, variable, low, high):
            return sympy.Integral(_build(body), (_variable(variable), _build(low), _build(high)))
        case "limit", (body, variable, Apply("side-", (point,))):
            return sympy.Limit(_build(body), _variable(variable), _build(point), "-")
        case "limit", (body, variable, point):
            return sympy.Limit(_build(body), _variable(variable), _build(point), "+")
    values = [_build(arg) for arg in args]
    match head, values:
        case "add", _:
            return sympy.Add(*values)
        case "mul", _:
            return sympy.Mul(*values)
        case "neg", [x]:
            return -x
        case "div", [x, y]:
            return x / y
        case "pow", [x, y]:
            if y.is_Integer and abs(int(y)) > MAX_BITS:
                raise TooMuch("an exponent too large for SymPy")
            return x**y
        case "root", [x, n]:
            return sympy.real_root(x, n) if n.is_Integer and int(n) % 2 else x ** (1 / n)
        case "deg", [x]:
            return x * sympy.pi / 180
        case "log", [x, base]:
            return sympy.log(x) / sympy.log(base)
        case "factorial", [x] if x.is_number and not (x.is_Integer and 0 <= int(x) <= 1000):
            raise TooMuch("a factorial too large for SymPy")
        case _ if head in _FUNCTIONS:
            return _FUNCTIONS[head](*values)
    raise TooMuch(f"{head} is unknown to SymPy")


def _variable(node: Node) -> Any:
    if isinstance(node, Symbol):
        return _build(node)
    raise TooMuch("a bound variable that is no name")
