"""Sets of real numbers: intervals, inequalities, unions, differences, brought to sorted disjoint pieces.

`real_set` reads `[0, 1)`, `0 <= x < 1`, `x \\in [0, 1)`, `Union(..)`, `R \\ {2}`, `|x| < 3`, `-x >= -1` into one form;
two sets are equal when their pieces are, end by end and bracket by bracket.

What it does not do: no inequality beyond one unknown and first degree (or the absolute value of that).
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from mario.grade.balls import Evaluation, OverBudget, Undefined, point, precision
from mario.grade.exact import rational
from mario.grade.numeric import Match, same_value
from mario.grade.options import Options
from mario.grade.tree import Apply, Constant, Interval, Node, Number, Relation, Sequence, Symbol, rebuild, symbols

MAX_PIECES = 64
_FLIP = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
INFINITY = Constant("oo")
MINUS_INFINITY = Apply("neg", (INFINITY,))
EXACT = Options(rounding_digits=0, float_noise=False)


class NotASet(Exception):
    """The node is not a set of reals we can write down."""


class Piece(NamedTuple):
    low: Node
    high: Node
    low_open: bool
    high_open: bool


class RealSet(NamedTuple):
    pieces: tuple[Piece, ...]
    variable: str  # the unknown it was written with, empty for none


LINE = Piece(MINUS_INFINITY, INFINITY, True, True)


def position(node: Node) -> float:
    """Where an endpoint lies, for sorting only."""
    if node == INFINITY:
        return float("inf")
    if node == MINUS_INFINITY:
        return float("-inf")
    with precision(80):
        try:
            value = Evaluation().evaluate(node)
        except (Undefined, OverBudget) as error:
            raise NotASet(str(error)) from error
        if not value.imag.contains(0):
            raise NotASet("a complex end")
        return float(value.real.mid())


def equal(a: Node, b: Node) -> bool:
    return same_value(a, b, EXACT).same is True


def piece(low: Node, high: Node, low_open: bool, high_open: bool) -> Piece:
    if position(low) > position(high):
        raise NotASet("the ends are in the wrong order")
    infinite_low, infinite_high = low == MINUS_INFINITY, high == INFINITY
    return Piece(low, high, low_open or infinite_low, high_open or infinite_high)


def real_set(node: Node) -> RealSet:
    """The set that a node denotes. Raises `NotASet`."""
    match node:
        case Interval(low, high, low_open, high_open):
            return RealSet((piece(low, high, low_open, high_open),), "")
        case Sequence("()", (low, high)):
            return RealSet((piece(low, high, True, True),), "")
        case Sequence("[]", (low, high)):
            return RealSet((piece(low, high, False, False),), "")
        case Sequence("{}", items):
            return RealSet(merged([piece(item, item, False, False) for item in items]), "")
        case Constant("RR"):
            return RealSet((LINE,), "")
        case Relation(("in",), (name, inner)):
            return RealSet(real_set(inner).pieces, _name(name))
        case Relation():
            return inequality(node)
        case Apply("union" | "or", parts):
            sets = [_operand(part) for part in parts]
            return RealSet(merged([p for s in sets for p in s.pieces]), _common(sets))
        case Apply("intersection" | "and", parts):
            sets = [_operand(part) for part in parts]
            pieces = sets[0].pieces
            for other in sets[1:]:
                pieces = intersection(pieces, other.pieces)
            return RealSet(pieces, _common(sets))
        case Apply("difference", (left, right)):
            whole, hole = _operand(left), _operand(right)
            return RealSet(intersection(whole.pieces, complement(hole.pieces)), whole.variable)
        case Apply("not", (inner,)):
            inside = real_set(inner)
            return RealSet(complement(inside.pieces), inside.variable)
    raise NotASet(type(node).__name__)


def _operand(node: Node) -> RealSet:
    """An operand of a set operation; a lone value is the set that holds it (`{3}` is read as 3)."""
    if isinstance(node, Number | Apply | Constant) and not symbols(node):
        try:
            return real_set(node)
        except NotASet:
            return RealSet((piece(node, node, False, False),), "")
    return real_set(node)


def _name(node: Node) -> str:
    return node.name if isinstance(node, Symbol) else ""


def _common(sets: list[RealSet]) -> str:
    names = {s.variable for s in sets if s.variable}
    if len(names) > 1:
        raise NotASet("several unknowns")
    return names.pop() if names else ""


def merged(pieces: list[Piece]) -> tuple[Piece, ...]:
    """Sorted, and joined where they touch."""
    if len(pieces) > MAX_PIECES:
        raise NotASet(f"more than {MAX_PIECES} pieces")
    out: list[Piece] = []
    for item in sorted(pieces, key=lambda p: (position(p.low), p.low_open, position(p.high))):
        if out:
            last = out[-1]
            touching = equal(last.high, item.low)
            if touching and not (last.high_open and item.low_open):
                joined = True
            else:
                joined = not touching and position(item.low) < position(last.high)
            if joined:
                out[-1] = _hull(last, item)
                continue
        out.append(item)
    return tuple(out)


def _hull(a: Piece, b: Piece) -> Piece:
    if equal(a.high, b.high):
        return Piece(a.low, a.high, a.low_open, a.high_open and b.high_open)
    top = a if position(a.high) > position(b.high) else b
    low_open = a.low_open and b.low_open if equal(a.low, b.low) else a.low_open
    return Piece(a.low, top.high, low_open, top.high_open)


def intersection(a: tuple[Piece, ...], b: tuple[Piece, ...]) -> tuple[Piece, ...]:
    out: list[Piece] = []
    if len(a) * len(b) > MAX_PIECES * 4:
        raise NotASet("too many pieces")
    for x in a:
        for y in b:
            if equal(x.low, y.low):
                low, low_open = x.low, x.low_open or y.low_open
            else:
                low, low_open = (x.low, x.low_open) if position(x.low) > position(y.low) else (y.low, y.low_open)
            if equal(x.high, y.high):
                high, high_open = x.high, x.high_open or y.high_open
            else:
                high, high_open = (
                    (x.high, x.high_open) if position(x.high) < position(y.high) else (y.high, y.high_open)
                )
            if equal(low, high):
                if not (low_open or high_open):
                    out.append(Piece(low, high, False, False))
            elif position(low) < position(high):
                out.append(Piece(low, high, low_open, high_open))
    return merged(out)


def complement(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    out: list[Piece] = []
    low, low_open = MINUS_INFINITY, True
    start: Node = low
    for item in merged(list(pieces)):
        if item.low != MINUS_INFINITY:
            out.append(Piece(start, item.low, low_open, not item.low_open))
        start, low_open = item.high, not item.high_open
    if not pieces or start != INFINITY:
        out.append(Piece(start, INFINITY, low_open, True))
    return tuple(out)


def inequality(node: Relation) -> RealSet:
    """A chain of comparisons in one unknown as a set."""
    if not set(node.ops) <= {"<", ">", "<=", ">=", "!="}:
        raise NotASet("not an inequality")
    if "!=" in node.ops:
        if len(node.ops) != 1:
            raise NotASet("a chain with !=")
        moved, name = _unknown(Apply("add", (node.terms[0], Apply("neg", (node.terms[1],)))))
        slope, start = moved
        root = Number(-start / slope)
        return RealSet(complement((Piece(root, root, False, False),)), name)
    pieces: tuple[Piece, ...] = (LINE,)
    names: set[str] = set()
    for op, left, right in zip(node.ops, node.terms, node.terms[1:], strict=False):
        if not symbols(left) and not symbols(right):
            raise NotASet("no unknown")
        found, name = _half(op, left, right)
        pieces = intersection(pieces, found)
        names.add(name)
    if len(names) != 1:
        raise NotASet("several unknowns")
    return RealSet(pieces, names.pop())


def _half(op: str, left: Node, right: Node) -> tuple[tuple[Piece, ...], str]:
    if not symbols(left):
        op, left, right = _FLIP[op], right, left
    strict = op in ("<", ">")
    if isinstance(left, Apply) and left.head == "abs" and not symbols(right):
        inner = left.args[0]
        minus = Apply("neg", (right,))
        if op in ("<", "<="):
            upper, name = _half(op, inner, right)
            lower, _ = _half(_FLIP[op], inner, minus)
            return intersection(upper, lower), name
        upper, name = _half(op, inner, right)
        lower, _ = _half(_FLIP[op], inner, minus)
        return merged([*upper, *lower]), name
    if not symbols(right) and (isinstance(left, Symbol) or _is_name(left)):
        return _ray(op, right, strict), _name(left)
    (slope, start), name = _unknown(Apply("add", (left, Apply("neg", (right,)))))
    root = Number(-start / slope)
    return _ray(op if slope > 0 else _FLIP[op], root, strict), name


def _is_name(node: Node) -> bool:
    """f(x) and the like: an unknown function of plain symbols."""
    return isinstance(node, Apply) and node.head.startswith("?")


def _ray(op: str, end: Node, strict: bool) -> tuple[Piece, ...]:
    if op in ("<", "<="):
        return (piece(MINUS_INFINITY, end, True, strict),)
    return (piece(end, INFINITY, strict, True),)


def _unknown(node: Node) -> tuple[tuple[Fraction, Fraction], str]:
    """Slope and value at zero of a rational function of first degree in one symbol."""
    names = symbols(node)
    if len(names) != 1:
        raise NotASet("not one unknown")
    name = next(iter(names))
    values: list[Fraction] = []
    for at in (Fraction(0), Fraction(1), Fraction(2), point(name, 0), point(name, 1)):
        value = rational(_put(node, name, at))
        if value is None:
            raise NotASet("not linear")
        values.append(value)
    slope, start = values[1] - values[0], values[0]
    probes = zip((Fraction(2), point(name, 0), point(name, 1)), values[2:], strict=True)
    if slope == 0 or any(start + slope * at != value for at, value in probes):
        raise NotASet("not linear")
    return (slope, start), name


def _put(node: Node, name: str, value: Fraction) -> Node:
    if node == Symbol(name):
        return Number(value)
    from mario.grade.tree import children

    parts = children(node)
    return rebuild(node, tuple(_put(part, name, value) for part in parts)) if parts else node


def same_set(a: RealSet, b: RealSet, options: Options) -> Match:
    if a.variable and b.variable and a.variable != b.variable:
        return Match(False, f"a set of {a.variable} against a set of {b.variable}")
    if len(a.pieces) != len(b.pieces):
        return Match(False, f"{len(a.pieces)} pieces against {len(b.pieces)}")
    for x, y in zip(a.pieces, b.pieces, strict=True):
        if (x.low_open, x.high_open) != (y.low_open, y.high_open):
            return Match(False, "an end is open on one side and closed on the other")
        for end, other in ((x.low, y.low), (x.high, y.high)):
            match = same_value(end, other, options)
            if match.same is not True:
                return Match(match.same, f"an end differs: {match.reason}")
    return Match(True, "the same set of real numbers")
