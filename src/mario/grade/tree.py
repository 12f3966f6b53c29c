"""The typed tree every answer is read into: a dozen frozen records, hashable and comparable.

An answer is a value (`Number`, `Symbol`, `Constant`, `Apply`), a container of values (`Sequence`, `Interval`,
`Matrix`, `Mapping`), a statement (`Relation`), or words (`Text`, `Based`, `Clock`). `Apply` carries all
operations under a lower-case head: `add`, `mul`, `pow`, `div`, `neg`, `sin`, `union`, `deg`, ...

What this file does not do: no reading, no arithmetic, no printing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction


class Unparsed(Exception):
    """The text is not an answer we can read; never leaves the package."""


@dataclass(frozen=True, slots=True)
class Number:
    """A rational. For a decimal, `digits` counts the significant digits shown and `places` those after the point.

    `digits` is 0 for a number written exactly (an integer or a repeating decimal).
    """

    value: Fraction
    digits: int = 0
    places: int = 0


@dataclass(frozen=True, slots=True)
class Symbol:
    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """`pi`, `e`, `i`, `oo` (infinity), `nan`, or a number set: `RR`, `ZZ`, `QQ`, `NN`, `CC`."""

    name: str


@dataclass(frozen=True, slots=True)
class Apply:
    head: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """Several values; `kind` is the bracket: `()`, `[]`, `{}`, empty for a bare list, `<>` for a vector."""

    kind: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    low: Node
    high: Node
    low_open: bool
    high_open: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Names to values: a Python dictionary of solutions."""

    pairs: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """`terms[0] ops[0] terms[1] ops[1] ...`; the operators are = < > <= >= != ~ in."""

    ops: tuple[str, ...]
    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value with a unit, the unit in normal form."""

    value: Node
    unit: str


@dataclass(frozen=True, slots=True)
class Ratio:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day in seconds after midnight; `half_known` is false for `6:30` without a.m. or p.m."""

    seconds: int
    half_known: bool


@dataclass(frozen=True, slots=True)
class Based:
    """A numeral with a base subscript, as digits."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Text:
    """Words, in lower case and without punctuation."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Option:
    """A choice letter; `(C) Plane` and `C.` are the option C."""

    letter: str


Node = (
    Number
    | Symbol
    | Constant
    | Apply
    | Sequence
    | Interval
    | Matrix
    | Mapping
    | Relation
    | Quantity
    | Ratio
    | Clock
    | Based
    | Text
    | Option
)

ELLIPSIS = "..."  # the name of what dots leave out
ZERO = Number(Fraction(0))
ONE = Number(Fraction(1))


def integer(value: int) -> Number:
    return Number(Fraction(value))


def children(node: Node) -> tuple[Node, ...]:
    match node:
        case Apply(_, args):
            return args
        case Sequence(_, items):
            return items
        case Interval(low, high, _, _):
            return (low, high)
        case Matrix(rows):
            return tuple(cell for row in rows for cell in row)
        case Mapping(pairs):
            return tuple(part for pair in pairs for part in pair)
        case Relation(_, terms):
            return terms
        case Quantity(value, _):
            return (value,)
        case Ratio(parts):
            return parts
    return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, without recursion."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(children(top))


def rebuild(node: Node, parts: tuple[Node, ...]) -> Node:
    """The same node over other children, given in the order of `children`."""
    match node:
        case Apply(head, _):
            return Apply(head, parts)
        case Sequence(kind, _):
            return Sequence(kind, parts)
        case Interval(_, _, low_open, high_open):
            return Interval(parts[0], parts[1], low_open, high_open)
        case Matrix(rows):
            width = len(rows[0])
            return Matrix(tuple(parts[i : i + width] for i in range(0, len(parts), width)))
        case Mapping(_):
            return Mapping(tuple(zip(parts[::2], parts[1::2], strict=True)))
        case Relation(ops, _):
            return Relation(ops, parts)
        case Quantity(_, unit):
            return Quantity(parts[0], unit)
        case Ratio(_):
            return Ratio(parts)
    return node


def symbols(node: Node) -> frozenset[str]:
    return frozenset(part.name for part in walk(node) if isinstance(part, Symbol))
