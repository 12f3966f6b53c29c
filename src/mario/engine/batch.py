"""The running batch: rows of one model that decode together, join and leave at any step.

One idea: keys and values lie in one buffer a layer, rows by columns, where every row ends at the same column `end`.
A new row is computed apart and copied in so that it ends there too; a step writes column `end`; a row that leaves
is overwritten by the last one; padding that no row needs any more is left out of the view. So nothing is
concatenated, and joining and leaving cost one row's copy.

Computation alone: no requests, no text, no threads (`local`).
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from mario.engine.prefix import Prefix, PrefixStore, shared_length
from mario.errors import EngineError

# Padded ids of one prefill, to bound the memory of its activations (more is not faster), and how many of them may be
# padding in any case: as much as another call costs.
_PREFILL_TOKENS = {"cpu": (1024, 64)}
_PREFILL_TOKENS_GPU = (16384, 16384)
_HELD_PER_NEW = 4  # columns of held prefixes that are put together for a prefill, for each of its ids at most
_GROW_COLUMNS = 64  # room for new tokens at a reallocation, at least
_SHARED_TOKENS = 32  # prompts that begin alike for so long have that beginning computed once


class _Layer(CacheLayerMixin):  # type: ignore[misc]  # the library is untyped here
    """One layer's buffer, (rows, heads, columns, size); its geometry is the batch's."""

    is_sliding = False
    keys: Any
    values: Any

    def __init__(self, batch: Batch) -> None:
        super().__init__()
        self.batch = batch

    def lazy_initialization(self, key_states: Any, value_states: Any) -> None:
        raise RuntimeError("a layer is filled by Batch.join before its first step")

    def update(self, key_states: Any, value_states: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
        b = self.batch
        rows = len(b.starts)
        self.keys[:rows, :, b.end : b.end + 1] = key_states
        self.values[:rows, :, b.end : b.end + 1] = value_states
        return self.keys[:rows, :, b.start : b.end + 1], self.values[:rows, :, b.start : b.end + 1]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        return self.batch.end - self.batch.start

    def get_max_length(self) -> int:
        return -1

    def write(self, row: int, end: int, keys: Any, values: Any) -> None:
        """Put (heads, tokens, size) into a row so that they end before column `end`."""
        self.keys[row, :, end - keys.shape[1] : end] = keys
        self.values[row, :, end - values.shape[1] : end] = values

    def read(self, row: int, columns: slice) -> tuple[Any, Any]:
        return self.keys[row, :, columns], self.values[row, :, columns]

    def reallocate(self, like: tuple[Any, Any], rows: int, columns: int, end: int) -> None:
        """New buffers with the live part moved to end at column `end`; zeros elsewhere, as masked NaN would spread."""
        b, live = self.batch, len(self.batch.starts)
        fresh = [torch.zeros((rows, t.shape[1], columns, t.shape[3]), dtype=t.dtype, device=t.device) for t in like]
        if live:
            for new, old in zip(fresh, (self.keys, self.values), strict=True):
                new[:live, :, end - (b.end - b.start) : end] = old[:live, :, b.start : b.end]
        self.keys, self.values = fresh
        self.is_initialized = True


class Batch:
    """Rows of prompts that grow by a token each `step`; `starts[i]` is the column where row i begins.

    All calls belong to one thread, in `torch.inference_mode`.
    """

    def __init__(self, model: Any, prefixes: PrefixStore | None = None) -> None:
        kinds = {type(layer) for layer in DynamicCache(config=model.config).layers}
        if not kinds <= {DynamicLayer, DynamicSlidingWindowLayer}:
            raise EngineError(
                f"{type(model).__name__} keeps more than keys and values, which the in-process engine does not batch; "
                "serve it with an OpenAI-compatible server and give its --endpoint"
            )
        self.model = model
        self.device = model.device
        self.starts: list[int] = []
        self.start = self.end = 0
        self._rows = self._columns = 0
        self._cache = Cache(layers=[_Layer(self) for _ in range(model.config.get_text_config().num_hidden_layers)])
        # A window counts columns, and the hole between a held prefix and its new ids would shift it.
        self._reuses = DynamicSlidingWindowLayer not in kinds
        self._prefixes = prefixes or PrefixStore()

    def join(self, prompts: Sequence[tuple[int, ...]]) -> Any:
        """Compute prompts together and add a row for each; returns the logits after each, (rows, V)."""
        if self._reuses:
            self._hold_common(prompts)
        rows: dict[tuple[int, ...], list[int]] = {}  # samples of one problem share their prompt's computation
        for row, ids in enumerate(prompts, start=len(self.starts)):
            rows.setdefault(ids, []).append(row)
        held = {ids: self._prefixes.find(ids) if self._reuses else None for ids in rows}
        first, logits = len(self.starts), [None] * len(prompts)
        olds = {ids: found[0] if found else 0 for ids, found in held.items()}
        for group in self._groups(olds):
            cache, last = self._compute(group, [held[ids] for ids in group])
            if len(self.starts) == first:
                self._make_room(len(prompts), max(map(len, prompts)), cache)
                self.starts += [self.end - len(ids) for ids in prompts]
                self.start = min(self.starts)
            self._write(group, rows, [olds[ids] for ids in group], cache)
            for ids, one in zip(group, last, strict=True):
                for row in rows[ids]:
                    logits[row - first] = one
        return torch.stack(logits)

    def _groups(self, olds: Mapping[tuple[int, ...], int]) -> Iterator[list[tuple[int, ...]]]:
        """Prompts to compute together, by how many ids of each are held: with few paddings, within bounds of memory."""
        room, padding = _PREFILL_TOKENS.get(self.device.type, _PREFILL_TOKENS_GPU)
        group: list[tuple[int, ...]] = []
        real = width = 0
        for ids in sorted(olds, key=lambda ids: len(ids) - olds[ids]):
            new, size = len(ids) - olds[ids], len(group) + 1
            wasted = new * size - new - real
            is_large = new * size > room or max(width, olds[ids]) * size > _HELD_PER_NEW * room
            if group and (is_large or wasted > max(padding, real // 8)):
                yield group
                group, real, width = [], 0, 0
            group.append(ids)
            real, width = real + new, max(width, olds[ids])
        yield group

    def step(self, tokens: Sequence[int]) -> Any:
        """Append one token to each row; returns the logits after it, (rows, V)."""
        if self.end == self._columns:
            self._reallocate(len(self.starts), self.end - self.start)
        starts = self._column(self.starts)
        output = self.model(
            input_ids=self._column(tokens),
            attention_mask=torch.arange(self.start, self.end + 1, device=self.device)[None] >= starts,
            position_ids=self.end - starts,
            past_key_values=self._cache,
            use_cache=True,
        )
        self.end += 1
        return output.logits[:, -1]

    def leave(self, row: int, hold: tuple[int, ...] | None = None) -> None:
        """Drop a row; the last one takes its place, as in `rows[row] = rows[-1]; rows.pop()`.

        With `hold`, the ids the row was computed for, its keys and values are kept for a prompt that continues it.
        """
        last, columns = len(self.starts) - 1, slice(self.starts[row], self.end)
        if hold is not None and self._reuses:
            layers = [layer.read(row, columns) for layer in self._cache.layers]
            self._prefixes.add(Prefix.copied(hold[: self.end - self.starts[row]], layers))
        if row != last:
            for layer in self._cache.layers:
                layer.write(row, self.end, *layer.read(last, slice(self.starts[last], self.end)))
            self.starts[row] = self.starts[last]
        self.starts.pop()
        self.start = min(self.starts, default=self.end)

    def _hold_common(self, prompts: Sequence[tuple[int, ...]]) -> None:
        """Compute a long common beginning (instructions, examples) once, and hold it."""
        low, high = min(prompts), max(prompts)  # what these two share, all share
        common = shared_length(low, high)
        held = self._prefixes.find(low)
        if low == high or common < _SHARED_TOKENS or (held and held[0] >= common):
            return
        cache, _ = self._compute([low[:common]], [None])
        self._prefixes.add(Prefix.copied(low[:common], [(layer.keys[0], layer.values[0]) for layer in cache.layers]))

    def _write(
        self,
        group: Sequence[tuple[int, ...]],
        rows: Mapping[tuple[int, ...], Sequence[int]],
        olds: Sequence[int],
        cache: Any,
    ) -> None:
        """Copy computed prompts into their rows, without the paddings."""
        width = max(olds)
        for layer, fresh in zip(self._cache.layers, cache.layers, strict=True):
            for i, (ids, old) in enumerate(zip(group, olds, strict=True)):
                new, past = len(ids) - old, slice(width - old, width)
                for row in rows[ids]:
                    layer.write(row, self.end, fresh.keys[i, :, -new:], fresh.values[i, :, -new:])
                    layer.write(row, self.end - new, fresh.keys[i, :, past], fresh.values[i, :, past])

    def _compute(
        self, prompts: Sequence[tuple[int, ...]], held: Sequence[tuple[int, Prefix] | None]
    ) -> tuple[Any, Any]:
        """Run the model over what no held prefix covers; the filled cache, and the logits after each prompt.

        The columns are the prefixes, padded to one width on the left, then the new ids, padded likewise: the mask
        hides both paddings, and positions are counted without them.
        """
        olds = [found[0] if found else 0 for found in held]
        news = [len(ids) - old for ids, old in zip(prompts, olds, strict=True)]
        cache = DynamicCache()  # without the configuration: whole rows, also where attention is windowed
        if max(olds):
            self._load(cache, held, max(olds))
        old_columns, new_columns = (torch.arange(max(n), device=self.device)[None] for n in (olds, news))
        old_pads, new_pads = (self._column(max(n) - one for one in n) for n in (olds, news))
        rows = [[0] * (max(news) - new) + list(ids[-new:]) for ids, new in zip(prompts, news, strict=True)]
        output = self.model(
            input_ids=torch.tensor(rows, device=self.device),
            attention_mask=torch.cat([old_columns >= old_pads, new_columns >= new_pads], dim=1),
            position_ids=(new_columns - new_pads).clamp(min=0) + self._column(olds),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return cache, output.logits[:, -1]

    def _load(self, cache: Any, held: Sequence[tuple[int, Prefix] | None], width: int) -> None:
        """Fill an empty cache with held prefixes, each ending at column `width`."""
        some = next(found for found in held if found)[1]
        for index, pair in enumerate(some.layers):
            both = []
            for side, like in enumerate(pair):
                block = like.new_zeros((len(held), like.shape[0], width, like.shape[2]))
                for row, found in enumerate(held):
                    if found:
                        length, prefix = found
                        block[row, :, width - length :] = prefix.layers[index][side][:, :length]
                both.append(block)
            cache.update(*both, index)

    def _make_room(self, rows: int, width: int, cache: Any) -> None:
        """Room for `rows` more rows of `width` columns before `end`."""
        if not self.starts:  # start over on the left
            self.start = self.end = min(width, self._columns)
        rows += len(self.starts)
        if rows > self._rows or width > self.end:
            self._reallocate(rows, max(width, self.end - self.start), cache)

    def _reallocate(self, rows: int, live: int, cache: Any = None) -> None:
        """Move the rows to end at column `live`, with room for a quarter more, as copying costs."""
        self._rows, self._columns = max(rows, self._rows), live + max(_GROW_COLUMNS, live // 4)
        likes = (self._cache if cache is None else cache).layers
        for layer, like in zip(self._cache.layers, likes, strict=True):
            layer.reallocate((like.keys, like.values), self._rows, self._columns, live)
        moved = live - self.end
        self.starts = [start + moved for start in self.starts]
        self.start, self.end = self.start + moved, live
        _give_back()

    def _column(self, numbers: Iterable[int]) -> Any:
        return torch.tensor(list(numbers), device=self.device)[:, None]


def _give_back() -> None:
    """Return free memory to the system: prompts of changing sizes leave holes in glibc's heap, which only grow."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)
