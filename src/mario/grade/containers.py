"""Containers: matrices, points, lists and sets of values, compared member by member.

Tuples and vectors have order, bare lists, sets and Python lists have none, and every bracket kind is itself.

What it does not do: it knows no member; `same` compares two of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from mario.grade.calls import matrix_of
from mario.grade.numeric import Match, no
from mario.grade.options import Options
from mario.grade.render import render
from mario.grade.sets import NotASet, real_set
from mario.grade.tree import Matrix, Node, Sequence, Unparsed

MAX_PAIRS = 2_500  # comparisons in one matching of lists
Same = Callable[[Node, Node], Match]


def part_by_part(pairs: Iterable[tuple[Node, Node]], same: Same) -> Match:
    """Every pair agrees; one that differs decides."""
    undecided: Match | None = None
    for x, y in pairs:
        match = same(x, y)
        if match.same is False:
            return match
        if match.same is None:
            undecided = match
    return undecided or Match(True, "the same part by part")


def same_matrix(a: Node, b: Node, same: Same) -> Match:
    grids = []
    for node, other in ((a, b), (b, a)):
        if isinstance(node, Matrix):
            grids.append(node)
        elif isinstance(node, Sequence) and node.kind != "{}":
            try:
                grid = matrix_of(node)
            except Unparsed:
                return no("a matrix against a list of another shape")
            if not isinstance(grid, Matrix):
                return no("a matrix against one value")
            if isinstance(other, Matrix) and len(other.rows) == 1 and len(grid.rows[0]) == 1:
                grid = Matrix((tuple(row[0] for row in grid.rows),))
            grids.append(grid)
        else:
            return no("a matrix against what is none")
    left, right = grids
    if (len(left.rows), len(left.rows[0])) != (len(right.rows), len(right.rows[0])):
        return no("matrices of different shapes")
    cells = [(x, y) for r, s in zip(left.rows, right.rows, strict=True) for x, y in zip(r, s, strict=True)]
    return part_by_part(cells, same)


def same_sequence(a: Node, b: Node, options: Options, same: Same) -> Match:
    if not isinstance(a, Sequence) or not isinstance(b, Sequence):
        return no("several values against one")
    kinds = {a.kind, b.kind}
    if not a.items or not b.items:
        empty = not a.items and not b.items and kinds <= {"{}", "[]", ""}
        return Match(empty, "both are empty" if empty else "an empty set against one with members")
    if "()" in kinds or "<>" in kinds:
        if kinds == {"()", ""} and not options.bare_list_as_tuple:
            return no("a tuple against a list")
        if (kinds == {"()", "[]"} and not options.tuple_as_list) or "{}" in kinds:
            return no("brackets of different kinds")
        if len(a.items) != len(b.items):
            return no(f"{len(a.items)} entries against {len(b.items)}")
        return part_by_part(zip(a.items, b.items, strict=True), same)
    if all(isinstance(item, Sequence) and item.kind == "()" for item in (*a.items, *b.items)):
        # Points are solutions: one given twice is given once. Numbers keep their multiplicity (2, 2, 3 is not 2, 3).
        return unordered(tuple(dict.fromkeys(a.items)), tuple(dict.fromkeys(b.items)), same)
    if a.kind == "[]" and b.kind == "{}" and len(a.items) == 2 and _ascending(a):
        return no("an interval against a set of two values")
    return unordered(a.items, b.items, same)


def _ascending(node: Sequence) -> bool:
    try:
        return bool(real_set(node).pieces)
    except NotASet:
        return False


def unordered(a: tuple[Node, ...], b: tuple[Node, ...], same: Same) -> Match:
    """Every member of one has its own partner in the other (bipartite matching, in case rounding allows two)."""
    if len(a) != len(b):
        return no(f"{len(a)} values against {len(b)}")
    if len(a) * len(b) > MAX_PAIRS:
        a, b = _without_common(a, b)
        if len(a) * len(b) > MAX_PAIRS:
            return Match(None, f"more than {MAX_PAIRS} comparisons")
    undecided = False
    edges: list[list[int]] = []
    for x in a:
        row: list[int] = []
        for j, y in enumerate(b):
            match = same(x, y)
            undecided = undecided or match.same is None
            if match.same:
                row.append(j)
        if not row:
            return Match(None, "a member could not be decided") if undecided else no(f"no partner for {render(x)}")
        edges.append(row)
    partner: dict[int, int] = {}

    def place(i: int, seen: set[int]) -> bool:
        for j in edges[i]:
            if j not in seen:
                seen.add(j)
                if j not in partner or place(partner[j], seen):
                    partner[j] = i
                    return True
        return False

    if all(place(i, set()) for i in range(len(a))):
        return Match(True, "the same members")
    return Match(None if undecided else False, "a member occurs more often on one side")


def _without_common(a: tuple[Node, ...], b: tuple[Node, ...]) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """Two long lists without the members that read the same in both."""
    names = Counter(render(x) for x in a), Counter(render(y) for y in b)
    common = names[0] & names[1]
    rests = []
    for items in (a, b):
        left = Counter(common)
        rest = []
        for item in items:
            if left[render(item)]:
                left[render(item)] -= 1
            else:
                rest.append(item)
        rests.append(tuple(rest))
    return rests[0], rests[1]
