"""Causal attention on a CPU in bfloat16, by plain matrix products.

One idea: torch's own kernel works head by head on small tiles; products over all heads of a row at once do the same
in half the time. So the scores of some queries against all the keys they see are written out, `_QUERIES` at a time
and row after row, so that they stay in the processor's cache; the backward pass computes them anew, so nothing more is
kept between the two than by the kernel.

A product's sizes are rounded up, into what follows the row, for torch compiles a product for every new size and keeps
it (0.6 ms and 0.7 MB each). Nothing is learnt there: earlier queries do not see it, and later ones get no gradient.

Scores are rounded to bfloat16, as in transformers' `eager` attention; the kernel keeps them in float32. SmolLM2's
gradients are then 1.03 to 1.14 times as far from those of float32 as they are with the kernel.

What this module does not do: masks, dropout, windows (`packing` asks for it only where there are none).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

_QUERIES = 256  # 128 and 512 were no faster, for rows of 200 to 1,000 tokens
_ROUND = 32


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, row_lengths: Sequence[int] | None = None
) -> torch.Tensor:
    """softmax(scale Q K^T) V of [B, heads, T, size], each position seeing its row up to itself: [B, T, heads, size].

    Keys and values may have fewer heads, each for a group of consecutive query heads. A batch of one may hold several
    rows; then `row_lengths` add up to T. Under autocast the arithmetic is autocast's.
    """
    lengths = row_lengths or [query.shape[2]] * query.shape[0]
    out: torch.Tensor = _Products.apply(query, key, value, arithmetic(query), scale, lengths)
    return out


def arithmetic(states: torch.Tensor) -> torch.dtype:
    """The format that products of these are computed in."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else states.dtype


class _Products(torch.autograd.Function):  # type: ignore[misc]
    """Inside, the tokens of all rows stand one after another: [heads, tokens, size]."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        kind: torch.dtype,
        scale: float,
        lengths: Sequence[int],
    ) -> torch.Tensor:
        ctx.batch, ctx.group, ctx.scale, ctx.lengths = len(query), query.shape[1] // key.shape[1], scale, lengths
        query, key, value = (_by_head(states, kind) for states in (query, key, value))
        ctx.save_for_backward(query, key, value)
        out = query.new_empty(sum(lengths), len(query), query.shape[2])
        for start, end, queries, keys in _stretches(lengths):
            seen, told = (states[:, keys].repeat_interleave(ctx.group, 0) for states in (key, value))
            taken = _weights(query[:, queries], seen, scale) @ told
            out[start:end] = taken[:, : end - start].transpose(0, 1)
        return out.unflatten(0, (ctx.batch, -1))

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value = ctx.saved_tensors
        grad = grad.flatten(0, 1).transpose(0, 1)
        grad_query, grad_key, grad_value = (torch.zeros_like(states) for states in (query, key, value))
        for start, end, queries, keys in _stretches(ctx.lengths):
            seen, told = (states[:, keys].repeat_interleave(ctx.group, 0) for states in (key, value))
            own = query.new_zeros(query[:, queries].shape)
            own[:, : end - start] = grad[:, start:end]
            weights = _weights(query[:, queries], seen, ctx.scale)
            of_scores = torch._softmax_backward_data(own @ told.mT, weights, -1, weights.dtype)
            grad_query[:, queries] += of_scores @ seen
            grad_key[:, keys] += (of_scores.mT @ query[:, queries]).unflatten(0, (-1, ctx.group)).sum(1)
            grad_value[:, keys] += (weights.mT @ own).unflatten(0, (-1, ctx.group)).sum(1)
        grads = (grad_query.mul_(ctx.scale), grad_key.mul_(ctx.scale), grad_value)
        tokens = sum(ctx.lengths)
        return *(states[:, :tokens].unflatten(1, (ctx.batch, -1)).transpose(0, 1) for states in grads), None, None, None


def _by_head(states: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    """[B, heads, T, size] as [heads, B T + room for rounding, size]."""
    batch, heads, tokens, size = states.shape
    made = states.new_zeros(heads, batch * tokens + _ROUND, size, dtype=kind)
    made[:, : batch * tokens].unflatten(1, (batch, tokens)).copy_(states.transpose(0, 1))
    return made


def _weights(query: torch.Tensor, key: torch.Tensor, scale: float) -> torch.Tensor:
    """What each query, the last of them standing at the last key, takes of each key: [heads, queries, keys]."""
    queries, keys = query.shape[1], key.shape[1]
    hidden = query.new_full((queries, keys), float("-inf")).triu_(1 + keys - queries)
    return torch.baddbmm(hidden, query, key.mT, alpha=scale).softmax(-1)


def _stretches(lengths: Sequence[int]) -> Iterator[tuple[int, int, slice, slice]]:
    """Some positions of a row, from start to end; the queries there and the keys they see, their number rounded up."""
    first = 0
    for length in lengths:
        for start in range(first, first + length, _QUERIES):
            end = min(start + _QUERIES, first + length)
            rounded = end + (start - end) % _ROUND
            yield start, end, slice(start, rounded), slice(first, rounded)
        first += length
