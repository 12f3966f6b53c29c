"""Classes of equal answers, for votes: deterministic and independent of the order of the answers.

Votes need an equivalence relation, and equality with rounding is none (0.3333 ~ 1/3 ~ 0.33333, which differ). So
classes use the strict options: no rounding, no noise beyond equal floats, no percent guess. A value without a unit
joins the one unit its value was given in; where two units compete it stands alone.

What it does not do: it counts nothing and breaks no tie.
"""

from __future__ import annotations

from collections.abc import Sequence as Several

from mario.grade.compare import compare
from mario.grade.options import STRICT
from mario.grade.read import readings
from mario.grade.render import render
from mario.grade.tree import Node, Quantity, Unparsed


def group(answers: Several[str | None]) -> list[list[int]]:
    """Indices of equal answers, class by class.

    Indices rise within a class and classes are ordered by their first index. None and empty answers belong to no
    class; an answer that cannot be read is equal only to the same text.
    """
    names: dict[str, list[int]] = {}
    trees: dict[str, Node] = {}
    for index, answer in enumerate(answers):
        if answer is None or not answer.strip():
            continue
        try:
            tree: Node | None = readings(answer)[0]
        except Unparsed:
            tree = None
        name = render(tree) if tree is not None else "?" + " ".join(answer.split())
        names.setdefault(name, []).append(index)
        if tree is not None:
            # Two trees may print alike; which one stands for the name must not depend on the order of the answers.
            trees[name] = min(trees[name], tree, key=repr) if name in trees else tree
    return sorted(sorted(i for name in members for i in names[name]) for members in _classes(sorted(names), trees))


def _classes(names: list[str], trees: dict[str, Node]) -> list[list[str]]:
    """Connected classes of names; comparing in sorted order makes the outcome a function of the set alone."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    def join(a: str, b: str) -> None:
        first, second = sorted((root(a), root(b)))
        parent[second] = first

    bare = [name for name in names if name in trees and not _unit(trees[name])]
    united = [name for name in names if name in trees and _unit(trees[name])]
    for pool in (bare, united):
        for i, a in enumerate(pool):
            for b in pool[i + 1 :]:
                if root(a) != root(b) and _same(trees[a], trees[b]):
                    join(a, b)
    # A bare class joins a class with a unit when exactly one such class has its value.
    for a in sorted({root(name) for name in bare}):
        partners = {root(b) for b in united if _same(trees[a], _value(trees[b]))}
        if len(partners) == 1:
            join(a, partners.pop())
    members: dict[str, list[str]] = {}
    for name in names:
        members.setdefault(root(name), []).append(name)
    return list(members.values())


def _unit(node: Node) -> str:
    return node.unit if isinstance(node, Quantity) and node.unit not in ("pct", "deg") else ""


def _value(node: Node) -> Node:
    return node.value if isinstance(node, Quantity) else node


def _same(a: Node, b: Node) -> bool:
    try:
        return compare(a, b, STRICT).same is True or compare(b, a, STRICT).same is True
    except (Unparsed, RecursionError):  # as `grade`: nonsense that reads, and is equal to nothing
        return False
