"""Keys and values kept from one request to the next, so that a transcript that grew is not read again from its start.

One idea: a computed prefix belongs to its token ids. Whoever asks with a prompt that begins with the same ids takes
the prefix over: the next turn of a trajectory, another sample of its problem, another problem after the same examples.

What this module does not do: it computes nothing; `batch` does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_BUDGET_BYTES = 512 * 2**20
_WORTH_TOKENS = 8  # a shorter prefix (a BOS, a chat template's first tokens) costs more to copy than to compute


@dataclass(frozen=True)
class Prefix:
    """Ids, and for each layer the keys and values after them, each (heads, tokens, size)."""

    ids: tuple[int, ...]
    layers: tuple[tuple[Any, Any], ...]

    @classmethod
    def copied(cls, ids: tuple[int, ...], layers: Sequence[tuple[Any, Any]]) -> Prefix:
        """A copy in one piece of memory: many small ones that live long leave holes in the heap when they go."""
        parts = [part for pair in layers for part in pair]
        whole = parts[0].new_empty(sum(part.numel() for part in parts))
        copies = []
        for part, piece in zip(parts, whole.split([part.numel() for part in parts]), strict=True):
            copies.append(piece.view(part.shape).copy_(part))
        return cls(ids, tuple(zip(copies[::2], copies[1::2], strict=True)))

    @property
    def size_bytes(self) -> int:
        return sum(part.numel() * part.element_size() for pair in self.layers for part in pair)


class PrefixStore:
    """The prefixes used last, as many as fit the budget."""

    def __init__(self, budget_bytes: int = _BUDGET_BYTES) -> None:
        self._budget = budget_bytes
        self._held: OrderedDict[tuple[int, ...], Prefix] = OrderedDict()  # the one used last comes last
        self._bytes = 0

    def add(self, prefix: Prefix) -> None:
        self.discard(prefix.ids)
        self._held[prefix.ids] = prefix
        self._bytes += prefix.size_bytes
        while self._bytes > self._budget:
            self.discard(next(iter(self._held)))

    def discard(self, ids: tuple[int, ...]) -> None:
        if old := self._held.pop(ids, None):
            self._bytes -= old.size_bytes

    def find(self, prompt: Sequence[int]) -> tuple[int, Prefix] | None:
        """The held prefix that shares most ids with the prompt's beginning, and how many; one id is always left over.

        The last id of a prompt has to be computed again, as its logits are asked for.
        """
        best, most = None, _WORTH_TOKENS - 1
        asked = tuple(prompt[:-1])
        for ids, prefix in self._held.items():
            if len(asked) > most and ids[: most + 1] == asked[: most + 1]:
                best, most = prefix, shared_length(ids, asked)
        if best is None:
            return None
        self._held.move_to_end(best.ids)
        return most, best


def shared_length(a: Sequence[int], b: Sequence[int]) -> int:
    """How many ids two sequences have in common from their start."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))
