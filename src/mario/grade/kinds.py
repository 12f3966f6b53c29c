"""The eleven answer types of MARIO Eval, and how a stated type settles what notation leaves open.

The types are those of the paper's typing prompt: Real, Complex, Set, Interval, Vector, Matrix, Expression, Function,
Equation, Inequality, Others. `x = 1` is Real; a lone member of a set is Real; words are Others.

What it does not do: it does not see the question, so `(0, 1)` is a Vector here and an Interval only when told.
"""

from __future__ import annotations

from enum import StrEnum

from mario.grade.balls import has_imaginary
from mario.grade.tree import (
    Apply,
    Based,
    Clock,
    Constant,
    Interval,
    Mapping,
    Matrix,
    Node,
    Number,
    Quantity,
    Ratio,
    Relation,
    Sequence,
    Symbol,
    symbols,
)


class AnswerType(StrEnum):
    REAL = "Real"
    COMPLEX = "Complex"
    SET = "Set"
    INTERVAL = "Interval"
    VECTOR = "Vector"
    MATRIX = "Matrix"
    EXPRESSION = "Expression"
    FUNCTION = "Function"
    EQUATION = "Equation"
    INEQUALITY = "Inequality"
    OTHERS = "Others"


_SET_HEADS = frozenset({"union", "intersection", "difference"})


def kind_of(node: Node) -> AnswerType:
    match node:
        case Number() | Based() | Ratio():
            return AnswerType.REAL
        case Quantity(value, _):
            return kind_of(value)
        case Constant(name):
            if name in ("RR", "ZZ", "QQ", "NN", "CC"):
                return AnswerType.INTERVAL if name == "RR" else AnswerType.SET
            return AnswerType.COMPLEX if name == "i" else AnswerType.REAL
        case Sequence(kind, items):
            if kind in ("()", "<>"):
                return AnswerType.VECTOR
            return AnswerType.INTERVAL if kind == "[]" and len(items) == 2 else AnswerType.SET
        case Interval():
            return AnswerType.INTERVAL
        case Matrix():
            return AnswerType.MATRIX
        case Mapping():
            return AnswerType.VECTOR
        case Relation(ops, terms):
            return _relation(ops, terms)
        case Apply(head, _):
            if head in _SET_HEADS:
                return AnswerType.INTERVAL
            if head in ("and", "or", "not"):
                return AnswerType.INEQUALITY
            if symbols(node):
                return AnswerType.EXPRESSION
            return AnswerType.COMPLEX if has_imaginary(node) else AnswerType.REAL
        case Symbol():
            return AnswerType.EXPRESSION
        case Clock():
            return AnswerType.OTHERS
    return AnswerType.OTHERS


def _relation(ops: tuple[str, ...], terms: tuple[Node, ...]) -> AnswerType:
    if ops == ("in",):
        return kind_of(terms[1])
    if ops == ("=",):
        left, right = terms
        if isinstance(left, Apply) and left.head.startswith("?"):
            return AnswerType.FUNCTION
        if isinstance(left, Symbol) and not symbols(right):
            return kind_of(right)
        return AnswerType.EQUATION
    return AnswerType.INEQUALITY if set(ops) <= {"<", ">", "<=", ">=", "!="} else AnswerType.OTHERS


def forced(node: Node, wanted: AnswerType) -> Node:
    """The reading that the type asks for, where the notation allows it; the node itself elsewhere."""
    match node, wanted:
        case Sequence("()" | "[]" as kind, (low, high)), AnswerType.INTERVAL:
            return Interval(low, high, kind == "()", kind == "()")
        case Sequence(_, items), AnswerType.VECTOR:
            return Sequence("()", items)
        case Sequence("()" | "[]", items), AnswerType.SET:
            return Sequence("{}", items)
    return node
