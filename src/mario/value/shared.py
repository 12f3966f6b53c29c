"""Rows that begin alike, read once: samples of one problem share its prompt and often their first tokens.

One idea: put the rows into a tree in which every beginning stands once, write its nodes down as one sequence, and let
each node see its ancestors only. To the network a node is then the token of a row at its depth, so values are those of
the rows read one by one, but for rounding, and on samples of a fine-tuned model less than half of the tokens are left.

It needs attention that takes a mask, at every layer over the whole row (`may_share`). What this module does not do: it
runs no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_SHARED = 0.2  # of a row's tokens must be in a tree already for it to join: a mask costs attention over all of the tree
_LARGEST = 1024  # nodes; attention grows with their square


@dataclass(slots=True)
class Tree:
    """Tokens in an order in which parents stand before children; -1 is no parent. `rows` say where each row's lie."""

    ids: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    rows: list[list[int]] = field(default_factory=list)
    _children: dict[tuple[int, int], int] = field(default_factory=dict)

    @property
    def is_chain(self) -> bool:
        return len(self.rows) == 1

    def add(self, input_ids: Sequence[int]) -> None:
        node = -1
        path: list[int] = []
        for depth, token in enumerate(input_ids):
            found = self._children.get((node, token))
            if found is None:
                found = self._children[node, token] = len(self.ids)
                self.ids.append(token)
                self.parents.append(node)
                self.depths.append(depth)
            node = found
            path.append(node)
        self.rows.append(path)

    def shares(self, input_ids: Sequence[int]) -> int:
        """How many tokens of a row stand here already."""
        node, depth = -1, 0
        for token in input_ids:
            found = self._children.get((node, token))
            if found is None:
                break
            node, depth = found, depth + 1
        return depth


def trees(rows: Sequence[Sequence[int]], *, share: bool = True) -> list[Tree]:
    """Rows in order, those that begin alike and stand together in one tree; without `share` each in its own."""
    grown: list[Tree] = []
    for input_ids in rows:
        here = grown[-1] if grown and share else None
        shared = here.shares(input_ids) if here is not None else 0
        fits = here is not None and len(here.ids) + len(input_ids) - shared <= _LARGEST
        if here is None or not fits or shared < _SHARED * len(input_ids):
            here = Tree()
            grown.append(here)
        here.add(input_ids)
    return grown


def may_share(config: Any) -> bool:
    """Whether a model's attention takes our mask, and looks at whole rows in every layer."""
    kinds = getattr(config, "layer_types", None) or []
    windowed = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    plain = getattr(config, "_attn_implementation", None) in ("sdpa", "eager")
    return plain and not windowed and all(kind == "full_attention" for kind in kinds)


def visible(tree: Tree, size: int) -> Any:
    """Which of `size` places each place sees [size, size]: itself and its ancestors; padding sees itself."""
    import torch

    seen = torch.eye(size, dtype=torch.bool)
    for node, parent in enumerate(tree.parents):
        if parent >= 0:
            seen[node, : parent + 1] = seen[parent, : parent + 1]
    return seen
