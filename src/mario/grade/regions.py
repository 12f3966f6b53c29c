"""Answers that denote sets of reals: intervals, inequalities, unions and lists of them, however they are written.

Both sides become a set of reals (`sets`) where they can; what is no such set is compared part by part, and
inequalities in several unknowns as multiples of each other.

What it does not do: no arithmetic of sets.
"""

from __future__ import annotations

from mario.grade.containers import Same, part_by_part, unordered
from mario.grade.numeric import Match, no
from mario.grade.options import Options
from mario.grade.proportion import proportional
from mario.grade.sets import NotASet, RealSet, real_set, same_set
from mario.grade.shape import is_name
from mario.grade.tree import Apply, Constant, Interval, Node, Relation, Sequence

INEQUALITIES = frozenset({"<", ">", "<=", ">=", "!="})


def is_set(node: Node) -> bool:
    match node:
        case Interval() | Constant("RR"):
            return True
        case Relation(ops, _):
            return ops == ("in",) or set(ops) <= INEQUALITIES
        case Apply(head, _):
            return head in ("union", "intersection", "difference", "and", "or", "not")
        case Sequence("", items):
            return bool(items) and all(isinstance(i, Relation) and set(i.ops) <= INEQUALITIES for i in items)
    return False


def _as_set(node: Node) -> RealSet:
    """A list of inequalities is their intersection where they have one, else their union."""
    if isinstance(node, Sequence) and node.kind == "" and is_set(node):
        both = real_set(Apply("and", node.items))
        return both if both.pieces else real_set(Apply("or", node.items))
    if isinstance(node, Relation) and node.ops == ("=",) and is_name(node.terms[0]):
        return _as_set(node.terms[1])
    return real_set(node)


def same_as_sets(a: Node, b: Node, options: Options, same: Same) -> Match:
    try:
        return same_set(_as_set(a), _as_set(b), options)
    except NotASet as why:
        reason = str(why)
    x, y = _ends(a), _ends(b)
    if x and y and (isinstance(a, Interval) or isinstance(b, Interval)):
        if (x.low_open, x.high_open) != (y.low_open, y.high_open):
            return no("an end is open on one side and closed on the other")
        return part_by_part([(x.low, y.low), (x.high, y.high)], same)
    for node in (a, b):
        if isinstance(node, Relation) and node.ops == ("in",):
            first = a.terms[1] if isinstance(a, Relation) and a.ops == ("in",) else a
            second = b.terms[1] if isinstance(b, Relation) and b.ops == ("in",) else b
            return same(first, second)
    if isinstance(a, Relation) and isinstance(b, Relation):
        return _inequalities(a, b, same)
    if isinstance(a, Apply) and isinstance(b, Apply) and a.head == b.head and len(a.args) == len(b.args):
        return unordered(a.args, b.args, same)
    if isinstance(a, Sequence) and isinstance(b, Sequence):
        return unordered(a.items, b.items, same)
    return no(f"a set against what is none ({reason})")


def _ends(node: Node) -> Interval | None:
    """The interval that a node writes, in whatever order its ends are."""
    match node:
        case Interval():
            return node
        case Sequence("()" | "[]" as kind, (low, high)):
            return Interval(low, high, kind == "()", kind == "()")
    return None


def _inequalities(a: Relation, b: Relation, same: Same) -> Match:
    """One comparison each: equal when one is a positive multiple of the other."""
    if len(a.ops) != 1 or len(b.ops) != 1:
        if a.ops == b.ops:
            return part_by_part(zip(a.terms, b.terms, strict=True), same)
        return no("different chains of comparisons")
    (f, strict_f), (g, strict_g) = _difference(a), _difference(b)
    if strict_f != strict_g:
        return no(f"{a.ops[0]} against {b.ops[0]}")
    return proportional(f, g, positive=strict_f != "!=")


def _difference(node: Relation) -> tuple[Node, str]:
    left, right = node.terms
    op = node.ops[0]
    if op in (">", ">="):
        left, right, op = right, left, op.replace(">", "<")
    return Apply("add", (left, Apply("neg", (right,)))), op
