"""The running batch: rows of one model that decode together, join and leave at any step.

One idea: keys and values lie in one buffer a layer, rows by columns, where every row ends at the same column `end`.
A new row is prefilled apart and copied in so that it ends there too; a step writes column `end`; a row that leaves
is overwritten by the last one; padding that no row needs any more is left out of the view. So nothing is
concatenated, and the cost of joining and leaving is one row.

Computation alone: no requests, no text, no threads (`local`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from mario.errors import EngineError
from mario.types import Sampling

_PREFILL_TOKENS = 8192  # padded tokens of one prefill, to bound the memory of its activations
_GROW_COLUMNS = 256  # room for new tokens at a reallocation, at least


class _Layer(CacheLayerMixin):  # type: ignore[misc]  # the library is untyped here
    """One layer's buffer; its geometry is the batch's."""

    is_sliding = False

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

    def join(self, keys: Any, values: Any) -> None:
        """Copy prefilled rows behind the present ones, ending at the common column."""
        b, (rows, _, width, _) = self.batch, keys.shape
        at = len(b.starts)
        self.keys[at : at + rows, :, b.end - width : b.end] = keys
        self.values[at : at + rows, :, b.end - width : b.end] = values

    def copy_row(self, source: int, target: int, columns: slice) -> None:
        self.keys[target, :, columns] = self.keys[source, :, columns]
        self.values[target, :, columns] = self.values[source, :, columns]

    def reallocate(self, like: Any, rows: int, columns: int, end: int) -> None:
        """New buffers with the live part moved to end at column `end`; zeros elsewhere, as masked NaN would spread."""
        b, live = self.batch, len(self.batch.starts)
        for name in ("keys", "values"):
            fresh = torch.zeros((rows, like.shape[1], columns, like.shape[3]), dtype=like.dtype, device=like.device)
            if live:
                fresh[:live, :, end - (b.end - b.start) : end] = getattr(self, name)[:live, :, b.start : b.end]
            setattr(self, name, fresh)
        self.is_initialized = True


class Batch:
    """Up to any number of rows; `join`, `step` and `leave` keep them in the order of the caller's list.

    `starts[i]` is the column where row i begins. All calls belong to one thread, in `torch.inference_mode`.
    """

    def __init__(self, model: Any) -> None:
        layers = DynamicCache(config=model.config).layers
        if any(type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers):
            raise EngineError(
                f"{type(model).__name__} keeps more than keys and values, which the in-process engine does not batch; "
                "serve it with an OpenAI-compatible server and give its --endpoint"
            )
        self.model = model
        self.device = model.device
        self.starts: list[int] = []
        self.start = self.end = 0
        self._rows = self._columns = 0
        self._cache = Cache(layers=[_Layer(self) for _ in layers])

    def join(self, prompts: Sequence[Sequence[int]]) -> Any:
        """Prefill prompts together and add a row for each; returns the logits after each, (rows, V) float32."""
        parts = [self._prefill(prompts[first:last]) for first, last in _groups(prompts)]
        return torch.cat(parts)

    def step(self, tokens: Sequence[int]) -> Any:
        """Append one token to each row; returns the logits after it, (rows, V) float32."""
        if self.end == self._columns:
            self._reallocate(len(self.starts), self.end - self.start)
        starts = torch.tensor(self.starts, device=self.device)
        columns = torch.arange(self.start, self.end + 1, device=self.device)
        padded = max(self.starts) > self.start
        output = self.model(
            input_ids=torch.tensor(tokens, device=self.device)[:, None],
            attention_mask=columns[None] >= starts[:, None] if padded else None,
            position_ids=(self.end - starts)[:, None],
            past_key_values=self._cache,
            use_cache=True,
        )
        self.end += 1
        return output.logits[:, -1].float()

    def leave(self, row: int) -> None:
        """Drop a row; the last row takes its place, as `list[row] = list[-1]; list.pop()` does."""
        last = len(self.starts) - 1
        if row != last:
            columns = slice(self.starts[last], self.end)
            for layer in self._cache.layers:
                layer.copy_row(last, row, columns)
            self.starts[row] = self.starts[last]
        self.starts.pop()
        self.start = min(self.starts, default=self.end)

    def clear(self) -> None:
        self.starts.clear()
        self.start = self.end

    def _prefill(self, prompts: Sequence[Sequence[int]]) -> Any:
        unique = list(dict.fromkeys(map(tuple, prompts)))  # samples of one problem share their prompt's computation
        width = max(map(len, unique))
        pads = torch.tensor([width - len(ids) for ids in unique], device=self.device)[:, None]
        columns = torch.arange(width, device=self.device)[None]
        padding = columns < pads
        cache = DynamicCache()  # without the configuration: whole rows, also where attention is windowed
        output = self.model(
            input_ids=torch.tensor([[0] * (width - len(ids)) + list(ids) for ids in unique], device=self.device),
            attention_mask=None if len(unique) == 1 else ~padding,
            position_ids=(columns - pads).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        picks = torch.tensor([unique.index(tuple(ids)) for ids in prompts], device=self.device)
        self._make_room(len(prompts), width, cache.layers[0].keys)
        for layer, fresh in zip(self._cache.layers, cache.layers, strict=True):
            for part in (fresh.keys, fresh.values):
                part.masked_fill_(padding[:, None, :, None], 0)
            layer.join(fresh.keys[picks], fresh.values[picks])
        self.starts += [self.end - len(ids) for ids in prompts]
        self.start = min(self.starts)
        return output.logits[:, -1].float()[picks]

    def _make_room(self, rows: int, width: int, like: Any) -> None:
        """Room for `rows` more rows of `width` columns; an empty batch starts over at its own width."""
        if not self.starts:
            self.start = self.end = min(self.end, self._columns)
        rows += len(self.starts)
        live = max(width, self.end - self.start)
        if rows > self._rows or width > self.end or self.end == self._columns:
            self._reallocate(rows, live, like)

    def _reallocate(self, rows: int, live: int, like: Any = None) -> None:
        """Move to buffers with room to grow: half again, so that the copying stays a small part of the work."""
        columns = live + max(_GROW_COLUMNS, live // 2)
        rows = max(rows, self._rows)
        for layer in self._cache.layers:
            layer.reallocate(layer.keys if like is None else like, rows, columns, live)
        self._rows, self._columns = rows, columns
        moved = live - self.end
        self.starts = [start + moved for start in self.starts]
        self.start, self.end = self.start + moved, live


def draw(logits: Any, samplings: Sequence[Sampling], generators: Sequence[Any]) -> list[int]:
    """One token a row: the largest logit at temperature 0, else a draw from the softmax cut to `top_p`.

    Each row takes one number from its own generator and inverts its own distribution with it, so that no draw
    depends on what else is in the batch.
    """
    tokens: list[int] = logits.argmax(-1).tolist()
    for cut in (False, True):
        rows = [i for i, s in enumerate(samplings) if s.temperature > 0 and (s.top_p < 1) == cut]
        if not rows:
            continue
        temperatures = torch.tensor([samplings[i].temperature for i in rows], device=logits.device)
        numbers = torch.cat([torch.rand(1, generator=generators[i]) for i in rows]).to(logits.device)
        probabilities = (logits[rows] / temperatures[:, None]).softmax(-1)
        order = None
        if cut:
            nucleus = torch.tensor([samplings[i].top_p for i in rows], device=logits.device)
            probabilities, order = probabilities.sort(-1, descending=True)
            likelier = probabilities.cumsum(-1) - probabilities
            probabilities[likelier >= nucleus[:, None]] = 0  # never the first, as nothing is likelier
        mass = probabilities.cumsum(-1)
        chosen = torch.searchsorted(mass, numbers[:, None] * mass[:, -1:], right=True)
        # Rounding may point past the end of the mass; step back to the last token that has any.
        chosen = chosen.minimum((mass < mass[:, -1:]).sum(-1, keepdim=True))
        picked = chosen if order is None else order.gather(-1, chosen)
        for row, token in zip(rows, picked[:, 0].tolist(), strict=True):
            tokens[row] = token
    return tokens


def _groups(prompts: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Consecutive prompts that fit one prefill, as (first, past the last)."""
    groups: list[tuple[int, int]] = []
    first = width = 0
    for i, ids in enumerate(prompts):
        width = max(width, len(ids))
        if i > first and width * (i - first + 1) > _PREFILL_TOKENS:
            groups.append((first, i))
            first, width = i, len(ids)
    return [*groups, (first, len(prompts))]
