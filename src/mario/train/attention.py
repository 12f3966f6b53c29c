"""Causal attention on a CPU in bfloat16, by plain matrix products.

One idea: torch's own kernel works head by head on small tiles; products over all heads of a row at once do the same
in half the time. So the scores of some queries against all the keys they see are written out, `_QUERIES` at a time
and row after row, so that they stay in the processor's cache; the backward pass computes them anew, so nothing more is
kept between the two than by the kernel.

Scores are rounded to bfloat16, as in transformers' `eager` attention; the kernel keeps them in float32. SmolLM2's
gradients are then 1.03 to 1.14 times as far from those of float32 as they are with the kernel.

What this module does not do: masks, dropout, windows (`packing` asks for it only where there are none).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

_QUERIES = 256  # 128 and 512 were no faster, for rows of 200 to 1,000 tokens


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, row_lengths: Sequence[int] | None = None
) -> torch.Tensor:
    """softmax(scale Q K^T) V of [B, heads, T, size], each position seeing its row up to itself: [B, T, heads, size].

    Keys and values may have fewer heads, each for a group of consecutive query heads. A batch of one may hold several
    rows; then `row_lengths` add up to T. Under autocast the arithmetic is autocast's.
    """
    batch, heads, tokens, size = query.shape
    kind = arithmetic(query)
    by_head = [
        states.to(kind).transpose(0, 1).reshape(-1, batch * tokens, size).contiguous() for states in (query, key, value)
    ]
    with torch.autocast("cpu", enabled=False):
        out: torch.Tensor = _Products.apply(*by_head, scale, row_lengths or [tokens] * batch)
    return out.transpose(0, 1).reshape(batch, tokens, heads, size)


def arithmetic(states: torch.Tensor) -> torch.dtype:
    """The format that products of these are computed in."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else states.dtype


class _Products(torch.autograd.Function):  # type: ignore[misc]
    """Of query [heads, T, size], and of key and value [fewer heads, T, size]; `lengths` are those of the rows in T."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, lengths: Sequence[int]
    ) -> torch.Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.scale, ctx.lengths, ctx.group = scale, lengths, len(query) // len(key)
        key, value = (states.repeat_interleave(ctx.group, 0) for states in (key, value))
        out = torch.empty_like(query)
        for now, seen in _stretches(lengths):
            out[:, now] = _weights(query[:, now], key[:, seen], scale) @ value[:, seen]
        return out

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, *shared = ctx.saved_tensors
        key, value = (states.repeat_interleave(ctx.group, 0) for states in shared)
        grad_query, grad_key, grad_value = torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(value)
        grad = grad.contiguous()
        for now, seen in _stretches(ctx.lengths):
            weights = _weights(query[:, now], key[:, seen], ctx.scale)
            grad_value[:, seen] += weights.mT @ grad[:, now]
            of_weights = grad[:, now] @ value[:, seen].mT
            of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            grad_query[:, now] = of_scores @ key[:, seen]
            grad_key[:, seen] += of_scores.mT @ query[:, now]
        grads = (states.unflatten(0, (-1, ctx.group)).sum(1) for states in (grad_key * ctx.scale, grad_value))
        return grad_query * ctx.scale, *grads, None, None


def _weights(query: torch.Tensor, key: torch.Tensor, scale: float) -> torch.Tensor:
    """What each query, the last of them standing at the last key, takes of each key: [heads, queries, keys]."""
    queries, keys = query.shape[1], key.shape[1]
    hidden = query.new_full((queries, keys), float("-inf")).triu_(1 + keys - queries)
    return torch.baddbmm(hidden, query, key.mT, alpha=scale).softmax(-1)


def _stretches(lengths: Sequence[int]) -> Iterator[tuple[slice, slice]]:
    """Where some queries of a row stand, and what they see."""
    first = 0
    for length in lengths:
        for start in range(first, first + length, _QUERIES):
            end = min(start + _QUERIES, first + length)
            yield slice(start, end), slice(first, end)
        first += length
