"""From what was written to what is meant: one form for spellings that carry the same structure.

Scientific notation becomes one decimal, a container of one value becomes the value, `\\pm` becomes its two values,
`a \\approx b` becomes a, a true sum such as `35+70=105` becomes 105, degree and percent signs become units, and
matrix arithmetic is carried out.

What it does not do: no simplification of values, no comparison.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

from mario.grade.calls import grid
from mario.grade.exact import rational
from mario.grade.tree import (
    Apply,
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
    Text,
    Unparsed,
    children,
    rebuild,
    symbols,
    walk,
)

MAX_SIGNS = 4
MAX_TERMS = 2_000  # in all cells of a product of matrices
ONE = Number(Fraction(1))
UNKNOWNS = frozenset({Symbol("x"), Symbol("y"), Symbol("t")})


def shape(node: Node) -> Node:
    node = _inside(node)
    return _expanded(node)


def _inside(node: Node) -> Node:
    parts = children(node)
    if parts:
        node = _product(rebuild(node, tuple(_inside(part) for part in parts)))
    match node:
        case Apply("mul", (Number() as factor, Apply("pow", (Number(ten), Number(power))))) if (
            ten == 10 and factor.digits and power.denominator == 1 and abs(power) + factor.digits < 400
        ):
            return Number(factor.value * ten ** int(power), factor.digits, factor.places - int(power))
        case Apply("neg", (Number(value, digits, places),)):
            return Number(-value, digits, places)
        case Apply("neg", (Apply("neg", (inner,)),)):
            return inner
        case Apply("neg", (Quantity(value, unit),)):
            return Quantity(Apply("neg", (value,)), unit)
        case Apply("add" | "mul" | "neg" | "div" | "det" | "pow", args) if any(isinstance(a, Matrix) for a in args):
            return _matrix(node)
        case Apply("add" | "mul" | "neg" | "div" | "pow" | "factorial", args) if any(_holds(a) for a in args):
            return _vector(node)
        case Relation():
            return _relation(node)
        case Sequence(_, (single,)) if not isinstance(single, Text):
            return single
        case Matrix(((single,),)):
            return single
    return node


def _product(node: Node) -> Node:
    """A product as one list of factors, without ones."""
    if not isinstance(node, Apply) or node.head != "mul":
        return node
    factors: list[Node] = []
    for arg in node.args:
        factors.extend(arg.args if isinstance(arg, Apply) and arg.head == "mul" else (arg,))
    rest = tuple(factor for factor in factors if factor != ONE)
    return Apply("mul", rest) if len(rest) > 1 else rest[0] if rest else ONE


def _relation(node: Relation) -> Node:
    if "~" in node.ops:
        cut = node.ops.index("~")
        if cut == 0:
            return node.terms[0]
        node = Relation(node.ops[:cut], node.terms[: cut + 1])
    if set(node.ops) == {"="}:
        if all(isinstance(t, Number | Apply) and not symbols(t) for t in node.terms):
            values = [rational(term) for term in node.terms]
            if None not in values and len(set(values)) == 1:
                return node.terms[-1]
        elif len(node.ops) > 1:
            # x = 2 + 3 = 5 says x = 5 when the constants agree.
            values = [rational(term) for term in node.terms[1:]]
            if None not in values and len(set(values)) == 1:
                return Relation(("=",), (node.terms[0], node.terms[-1]))
    return node


def _matrix(node: Apply) -> Node:
    if any(_holds(arg) for arg in node.args):
        raise Unparsed("a container inside matrix arithmetic")
    match node:
        case Apply("det", (Matrix(rows),)):
            if len(rows) != len(rows[0]) or len(rows) > 4 or any(_holds(cell) for row in rows for cell in row):
                raise Unparsed("a determinant of this shape")
            return _determinant(rows)
        case Apply("neg", (Matrix(rows),)):
            return _each(rows, lambda cell: Apply("neg", (cell,)))
        case Apply("div", (Matrix(rows), divisor)) if not isinstance(divisor, Matrix):
            return _each(rows, lambda cell: Apply("div", (cell, divisor)))
        case Apply("add", args) if all(isinstance(a, Matrix) for a in args):
            total = args[0]
            for other in args[1:]:
                assert isinstance(total, Matrix) and isinstance(other, Matrix)
                if (len(total.rows), len(total.rows[0])) != (len(other.rows), len(other.rows[0])):
                    raise Unparsed("a sum of matrices of different shapes")
                total = Matrix(
                    tuple(
                        tuple(Apply("add", (x, y)) for x, y in zip(r, s, strict=True))
                        for r, s in zip(total.rows, other.rows, strict=True)
                    )
                )
            return total
        case Apply("mul", args):
            total = args[0]
            for other in args[1:]:
                total = _times(total, other)
            return total
    raise Unparsed("a matrix inside arithmetic")


def _holds(node: Node) -> bool:
    return isinstance(node, Sequence | Interval | Mapping | Text | Ratio | Quantity)


def _vector(node: Apply) -> Node:
    """Sums and multiples of points and vectors, entry by entry: (1, 2) + t(3, 4) is (1 + 3t, 2 + 4t)."""
    if node.head == "add":  # beside a point, t(3, 4) is no function of two arguments
        node = Apply("add", tuple(_multiple(arg) for arg in node.args))
    vectors = [arg for arg in node.args if isinstance(arg, Sequence) and arg.kind in ("()", "<>") and arg.items]
    if len(vectors) != sum(_holds(arg) for arg in node.args) or any(_holds(item) for v in vectors for item in v.items):
        raise Unparsed("a container inside arithmetic")
    shapes = {(vector.kind, len(vector.items)) for vector in vectors}
    if node.head == "add" and len(vectors) == len(node.args) and len(shapes) == 1:
        return Sequence(
            vectors[0].kind, tuple(Apply("add", parts) for parts in zip(*(v.items for v in vectors), strict=True))
        )
    if len(vectors) == 1 and (node.head in ("mul", "neg") or (node.head == "div" and node.args[0] is vectors[0])):
        front, back = node.args[: node.args.index(vectors[0])], node.args[node.args.index(vectors[0]) + 1 :]
        items = tuple(_inside(Apply(node.head, (*front, item, *back))) for item in vectors[0].items)
        return Sequence(vectors[0].kind, items)
    raise Unparsed("points in arithmetic")


def _multiple(node: Node) -> Node:
    match node:
        case Apply("neg", (inner,)):
            turned = _multiple(inner)
            if isinstance(turned, Sequence):
                return Sequence(turned.kind, tuple(Apply("neg", (item,)) for item in turned.items))
        case Apply(head, args) if len(head) == 2 and head[0] == "?" and len(args) > 1:
            return Sequence("()", tuple(Apply("mul", (Symbol(head[1]), arg)) for arg in args))
    return node


def _each(rows: tuple[tuple[Node, ...], ...], change: object) -> Matrix:
    assert callable(change)
    return Matrix(tuple(tuple(change(cell) for cell in row) for row in rows))


def _times(a: Node, b: Node) -> Node:
    if isinstance(a, Matrix) and isinstance(b, Matrix):
        if len(a.rows[0]) != len(b.rows) or len(a.rows) > 6 or len(b.rows[0]) > 6:
            raise Unparsed("a product of matrices of these shapes")
        columns = list(zip(*b.rows, strict=True))
        cells = [
            [
                _worked_out(Apply("add", tuple(Apply("mul", pair) for pair in zip(row, column, strict=True))))
                for column in columns
            ]
            for row in a.rows
        ]
        if sum(1 for row in cells for cell in row for _ in walk(cell)) > MAX_TERMS:
            raise Unparsed(f"a product of matrices of more than {MAX_TERMS:,} terms")
        return grid(cells)
    if isinstance(a, Matrix):
        return _each(a.rows, lambda cell: Apply("mul", (cell, b)))
    if isinstance(b, Matrix):
        return _each(b.rows, lambda cell: Apply("mul", (a, cell)))
    return Apply("mul", (a, b))


def _worked_out(cell: Node) -> Node:
    """A cell without symbols as one number: written out, the cells of a product double with every factor."""
    if any(isinstance(part, Number) and part.digits for part in walk(cell)):
        return cell  # a decimal remembers how it was rounded
    value = rational(cell)
    return cell if value is None else Number(value)


def _determinant(rows: tuple[tuple[Node, ...], ...]) -> Node:
    if len(rows) == 1:
        return rows[0][0]
    terms: list[Node] = []
    for column, cell in enumerate(rows[0]):
        minor = tuple(row[:column] + row[column + 1 :] for row in rows[1:])
        term: Node = Apply("mul", (cell, _determinant(minor)))
        terms.append(Apply("neg", (term,)) if column % 2 else term)
    return Apply("add", tuple(terms))


def _expanded(node: Node) -> Node:
    """Signs and units at the level of whole items."""
    match node:
        case Sequence("", (Relation(("=",), (name, first)), *rest)) if (
            len(rest) > 1 and isinstance(name, Symbol) and not any(isinstance(r, Relation | Text) for r in rest)
        ):
            return Relation(("=",), (name, _expanded(Sequence("", (first, *rest)))))  # n = 1, 2, 3
        case Sequence("" | "{}" | "[]" as kind, items):
            flat: list[Node] = []
            for item in items:
                choices = signs(item)
                flat.extend(_united(choice) for choice in choices)
            return Sequence(kind, tuple(flat)) if len(flat) != 1 else flat[0]
        case _:
            choices = signs(node)
            if len(choices) > 1:
                read = (_relation(choice) if isinstance(choice, Relation) else choice for choice in choices)
                return Sequence("", tuple(_united(choice) for choice in read))
            return _united(node)


def _united(node: Node) -> Node:
    """Degree and percent signs as units of the item they stand on."""
    match node:
        case Apply("deg" | "pct" as head, (inner,)):
            return Quantity(_united_value(inner), head)
        case Apply("neg", (Apply("deg" | "pct" as head, (inner,)),)):
            return Quantity(Apply("neg", (inner,)), head)
        case Apply("mul", (*front, Apply("deg" | "pct" as head, (inner,)))) if front:
            return Quantity(Apply("mul", (*front, inner)), head)
        case Quantity(Apply("deg", (inner,)), unit) if unit in ("c", "f", "celsius", "fahrenheit"):
            return Quantity(inner, f"deg {unit[0]}")
        case Relation(ops, terms):
            return Relation(ops, tuple(_united(term) for term in terms))
        case Sequence(kind, items):
            return Sequence(kind, tuple(_united(item) for item in items))
    return node


def _united_value(node: Node) -> Node:
    return node.value if isinstance(node, Quantity) else node


def signs(node: Node) -> list[Node]:
    """Every reading of the plus-minus signs below a node, in the order written."""
    found = [part for part in walk(node) if isinstance(part, Apply) and part.head in ("pm", "mp")]
    if not found:
        return [node]
    if len(found) > MAX_SIGNS:
        raise Unparsed(f"more than {MAX_SIGNS} plus-minus signs")
    linked = any(part.head == "mp" for part in found) and any(part.head == "pm" for part in found)
    if linked:
        return [_signed(node, [plus] * len(found)) for plus in (True, False)]
    return [_signed(node, list(choice)) for choice in product((True, False), repeat=len(found))]


def _signed(node: Node, choice: list[bool]) -> Node:
    """Replace the plus-minus signs, consuming `choice` from the front."""
    if isinstance(node, Apply) and node.head in ("pm", "mp"):
        plus = choice.pop(0) == (node.head == "pm")
        parts = [_signed(arg, choice) for arg in node.args]
        last = parts[-1] if plus else Apply("neg", (parts[-1],))
        return last if len(parts) == 1 else Apply("add", (parts[0], last))
    parts_ = children(node)
    return rebuild(node, tuple(_signed(part, choice) for part in parts_)) if parts_ else node


def simple(value: int | Fraction) -> Number:
    return Number(Fraction(value))


def is_name(node: Node) -> bool:
    """Something an equation may define: x, f(x), AB, |AB|, a word, a tuple of names, V_1:V_2."""
    match node:
        case Symbol() | Text():
            return True
        case Apply("abs", (inner,)):
            return is_name(inner) and inner not in UNKNOWNS  # |AB| and |z| have a value, |x| = 3 is to be solved
        case Apply("mul", (Apply("pow", (Symbol(), Number(minus))), Symbol())) if minus == -1:
            return True  # the inverse function f^{-1}(x)
        case Apply("mul", args):
            return all(isinstance(a, Symbol) and a.name[:1].isupper() for a in args)
        case Sequence("()" | "", items):
            return bool(items) and all(isinstance(item, Symbol) for item in items)
        case Apply(head, _):
            return head.startswith("?")
    return isinstance(node, Ratio) and all(is_name(part) for part in node.parts)
