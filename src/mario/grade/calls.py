"""What Python prints as calls and LaTeX as environments: `Matrix([[..]])`, `Interval.open(..)`, `\\begin{pmatrix}`.

What it does not do: nothing is called. A head outside the table stays an unknown function of its arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mario.grade.tree import (
    Apply,
    Constant,
    Interval,
    Matrix,
    Node,
    Number,
    Relation,
    Sequence,
    Symbol,
    Text,
    Unparsed,
)

if TYPE_CHECKING:
    from mario.grade.cursor import Cursor

MAX_CELLS = 400

_MATRICES = frozenset({"matrix", "pmatrix", "bmatrix", "Bmatrix", "smallmatrix", "psmallmatrix", "array"})


def call(kind: str, args: list[Node]) -> Node:
    """The node that a printed call stands for."""
    match kind, args:
        case "wrap", [value]:
            return value
        case "fraction", [top]:
            return top
        case "fraction", [top, bottom]:
            return Apply("div", (top, bottom))
        case "complex", [real, imaginary]:
            return Apply("add", (real, Apply("mul", (imaginary, Constant("i")))))
        case "matrix", [rows]:
            return matrix_of(rows)
        case "polynomial", [body, *_]:
            return body
        case (("=" | "!=" | "<" | "<=" | ">" | ">="), [left, right]):
            return Relation((kind,), (left, right))
        case (("and" | "or" | "union" | "intersection"), [_, _, *_]):
            return Apply(kind, tuple(args))
        case (("and" | "or" | "union" | "intersection"), [single]):
            return single
        case "difference", [left, right]:
            return Apply("difference", (left, right))
        case "in", [left, right]:
            return Relation(("in",), (left, right))
        case "interval", [low, high]:
            return Interval(low, high, infinite(low), infinite(high))
        case "interval", [low, high, *ends]:
            is_open = [isinstance(end, Text) and end.words == ("true",) for end in ends]
            return Interval(low, high, is_open[0], is_open[-1] and len(ends) == 2)
        case (("interval()" | "interval(]" | "interval[)"), [low, high]):
            return Interval(low, high, kind[-2] == "(", kind[-1] == ")")
        case "set", []:
            return Sequence("{}", ())
        case "set", [Sequence(_, items)]:
            return Sequence("{}", items)
        case "set", _:
            return Sequence("{}", tuple(args))
        case (("list" | "tuple"), [Sequence(_, items)]):
            return Sequence("[]" if kind == "list" else "()", items)
        case "tuple", [_, _, *_]:
            return Sequence("()", tuple(args))
        case (("sum" | "product"), [body, Sequence("()", (variable, low, high))]):
            return Apply(kind, (body, variable, low, high))
        case "integral", [body, Symbol() as variable]:
            return Apply(kind, (body, variable))
        case "integral", [body, Sequence("()", (variable, low, high))]:
            return Apply(kind, (body, variable, low, high))
        case "limit", [body, variable, point, *rest]:
            side = _side(rest)
            return Apply(kind, (body, variable, Apply(f"side{side}", (point,)) if side == "-" else point))
        case "derivative" | "piecewise", _:
            return Apply(f"?{kind}", tuple(args))
    raise Unparsed(f"cannot read the call {kind}")


def _side(rest: list[Node]) -> str:
    match rest:
        case [Relation(("=",), (_, Text((word,))))]:
            return "-" if word == "minus" else "+"
    return "+"


def infinite(node: Node) -> bool:
    match node:
        case Constant("oo"):
            return True
        case Apply("neg", (Constant("oo"),)):
            return True
    return False


def matrix_of(rows: Node) -> Node:
    """Nested lists as a matrix; a flat list is a vector; one value is itself (a zero-dimensional array)."""
    if not isinstance(rows, Sequence):
        if isinstance(rows, Number | Apply | Symbol | Constant | Matrix):
            return rows
        raise Unparsed("a matrix of what is not a list")
    if all(isinstance(row, Sequence) for row in rows.items) and rows.items:
        return grid([list(row.items) for row in rows.items if isinstance(row, Sequence)])
    return grid([[item] for item in rows.items])


def grid(rows: list[list[Node]]) -> Matrix:
    if not rows or not rows[0] or any(len(row) != len(rows[0]) for row in rows):
        raise Unparsed("a matrix with ragged rows")
    if len(rows) * len(rows[0]) > MAX_CELLS:
        raise Unparsed(f"a matrix of more than {MAX_CELLS} cells")
    return Matrix(tuple(tuple(row) for row in rows))


def environment(parser: Cursor, name: str) -> Node:
    """The inside of `\\begin{name}` up to its `\\end`."""
    if name not in _MATRICES and name not in (
        "vmatrix",
        "Vmatrix",
        "cases",
        "aligned",
        "align",
        "gathered",
        "equation",
    ):
        raise Unparsed(f"environment {name}")
    rows: list[list[Node]] = [[]]
    while True:
        token = parser.peek()
        if token.kind == "end" and token.text == "":
            raise Unparsed(f"\\begin{{{name}}} without its end")
        if token.kind == "end":
            parser.at += 1
            break
        if token.text == "\\\\":
            parser.at += 1
            if rows[-1]:
                rows.append([])
        elif token.text == "&" and token.kind == "op":
            parser.at += 1
        else:
            outer = parser.in_function, parser.bars
            parser.in_function = parser.bars = 0
            rows[-1].append(parser.expression(10) if name not in ("cases",) else parser.expression(0))
            parser.in_function, parser.bars = outer
            if name == "cases":
                parser.accept("sep", ",")
    rows = [row for row in rows if row]
    if name in _MATRICES:
        return grid(rows)
    if name == "vmatrix":
        return Apply("det", (grid(rows),))
    if name == "cases" and rows:
        return Apply("?cases", tuple(cell for row in rows for cell in row))
    cells = [cell for row in rows for cell in row]
    if len(cells) == 1:
        return cells[0]
    raise Unparsed(f"environment {name}")
