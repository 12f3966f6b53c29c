"""Equations, definitions and solutions with names: `x = 5`, `x = 1, y = 2`, `{x: 1, y: 2}`, `2x + 3y = 6`.

A name and its value may stand for the value; equations in several unknowns agree as multiples of each other.

What it does not do: it solves nothing.
"""

from __future__ import annotations

from mario.grade.containers import Same, part_by_part, same_sequence, unordered
from mario.grade.numeric import Match, no
from mario.grade.options import Options
from mario.grade.proportion import same_equation
from mario.grade.render import render
from mario.grade.shape import is_name
from mario.grade.tree import Apply, Constant, Mapping, Matrix, Node, Number, Relation, Sequence, Symbol, Text

Pairs = list[tuple[Node, Node]]


def _definition(node: Node) -> tuple[Node, Node] | None:
    """Name and value of `x = 5`, `5 = x`, `f(x) = ..`; None for any other equation."""
    if not isinstance(node, Relation) or node.ops != ("=",):
        return None
    left, right = node.terms
    if is_name(left):
        return left, right
    if isinstance(right, Symbol) and not isinstance(left, Apply):
        return right, left
    return None


def defines(node: Node) -> bool:
    return isinstance(node, Sequence) and bool(node.items) and all(_named(item) is not None for item in node.items)


def _named(node: Node) -> Pairs | None:
    """Names and values of one solution: a definition, several of them, or a mapping."""
    definition = _definition(node)
    if definition is not None:
        name, value = definition
        if isinstance(name, Sequence) and isinstance(value, Sequence) and len(name.items) == len(value.items):
            return list(zip(name.items, value.items, strict=True))  # (x, y) = (1, 2)
        return [definition]
    if isinstance(node, Mapping) and all(isinstance(key, Symbol | Text) for key, _ in node.pairs):
        return list(node.pairs)
    if isinstance(node, Sequence) and node.items:
        found = [_definition(item) for item in node.items]
        pairs = [pair for pair in found if pair is not None]
        return pairs if len(pairs) == len(found) else None
    return None


def same_equations(a: Node, b: Node, options: Options, same: Same) -> Match:
    if isinstance(a, Mapping) and isinstance(b, Mapping) and not (_named(a) and _named(b)):
        entries = [tuple(Sequence("()", pair) for pair in node.pairs) for node in (a, b)]
        return unordered(entries[0], entries[1], same)
    named_a, named_b = _named(a), _named(b)
    if named_a and named_b:
        direct = _by_name(named_a, named_b, same)
        if direct.same or len(named_a) > 1 or len(named_b) > 1:
            return direct
    if isinstance(a, Relation) and isinstance(b, Relation):
        return _two_equations(a, b, same)
    for node, named in ((a, named_a), (b, named_b)):
        if named is None:
            continue
        matches = [same(value if node is a else a, value if node is b else b) for value in _plain(named, a, b)]
        best = next((m for m in matches if m.same), matches[0])
        return best if not best.same else Match(True, f"{best.reason}; the name stands on one side only")
    for node in (a, b):
        if isinstance(node, Sequence) and node.items and all(_named(item) for item in node.items):
            # A list of solutions, each with names: compare the values of each.
            values = Sequence(node.kind, tuple(_plain(_named(item) or [], item, item)[0] for item in node.items))
            return same(values if node is a else a, values if node is b else b)
    if isinstance(a, Sequence) and isinstance(b, Sequence):
        return same_sequence(a, b, options, same)
    return no("an equation against what is none")


def _plain(named: Pairs, a: Node, b: Node) -> list[Node]:
    """The values without their names: alone, as a bare list, or as a tuple in written and in name order."""
    if len(named) == 1:
        return [named[0][1]]
    values = tuple(value for _, value in named)
    names = [str(name) for name, _ in named]
    if len(set(names)) < len(names):
        return [Sequence("{}", values)]  # solutions for one unknown: a set, never a point
    ordered = tuple(value for _, value in sorted(named, key=lambda pair: str(pair[0])))
    other_is_tuple = any(isinstance(n, Sequence) and n.kind in ("()", "<>") for n in (a, b)) or a is b
    other_is_tuple = other_is_tuple or any(isinstance(n, Matrix) for n in (a, b))
    if other_is_tuple:
        return [Sequence("()", ordered), Sequence("()", values)]
    return [Sequence("", values)]


def _by_name(a: Pairs, b: Pairs, same: Same) -> Match:
    if len(a) != len(b):
        return no(f"{len(a)} equations against {len(b)}")
    if len(a) == 1:
        (name_a, value_a), (name_b, value_b) = a[0], b[0]
        if _same_name(name_a, name_b):
            return same(value_a, value_b)
        return no(f"another name: {render(name_a)} against {render(name_b)}")
    left = [Relation(("=",), pair) for pair in a]
    right = [Relation(("=",), pair) for pair in b]
    return unordered(tuple(left), tuple(right), same)


def _same_name(a: Node, b: Node) -> bool:
    if a == b:
        return True
    calls = [isinstance(n, Apply) and n.head.startswith("?") for n in (a, b)]
    if all(calls):
        return False
    # `f(x) = ..` may be written `y = ..`, and a name in words may be a letter.
    return (any(calls) and Symbol("y") in (a, b)) or isinstance(a, Text) != isinstance(b, Text)


def _two_equations(a: Relation, b: Relation, same: Same) -> Match:
    if set(a.ops) != {"="} or set(b.ops) != {"="}:
        if a.ops == b.ops:
            return part_by_part(zip(a.terms, b.terms, strict=True), same)
        return no(f"{' '.join(a.ops)} against {' '.join(b.ops)}")
    if len(a.ops) != 1 or len(b.ops) != 1:
        if len(a.ops) == len(b.ops):
            return part_by_part(zip(a.terms, b.terms, strict=True), same)
        return no("chains of equations of different lengths")
    sides = (*a.terms, *b.terms)
    if any(not isinstance(side, Number | Symbol | Constant | Apply) for side in sides):
        return part_by_part(zip(a.terms, b.terms, strict=True), same)
    f = Apply("add", (a.terms[0], Apply("neg", (a.terms[1],))))
    g = Apply("add", (b.terms[0], Apply("neg", (b.terms[1],))))
    match = same_equation(f, g)
    if match.same is None:  # two identities: they agree when their sides do
        return part_by_part(zip(a.terms, b.terms, strict=True), same)
    return match
