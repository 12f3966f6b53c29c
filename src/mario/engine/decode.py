"""Attention of a decoding step on a CPU: one query a row, against that row's keys.

One idea: for a single query the work is reading keys and values once, and torch's `scaled_dot_product_attention` reads
them several times slower than a plain product of matrices whose operands lie in one piece. Heads that share keys are
that product's rows, so nothing is repeated for them.

What this module does not do: prompts, other devices and attention with more than a mask (soft caps, sinks, biases),
which transformers' own attention computes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_ONE_QUERY = "mario_one_query"  # the name of our attention in a model's configuration, while a step is computed
_PIECE_BYTES = 2**20  # keys read together: they stay in a cache, and the heap gives their place out again
_MORE_THAN_A_MASK = ("softcap", "s_aux", "position_bias", "cache")


@contextmanager
def one_query(model: Any) -> Iterator[None]:
    """The model with our attention, where its own is `sdpa` on a CPU; else as it is."""
    config = model.config.get_text_config()
    own = config._attn_implementation
    if own != "sdpa" or model.device.type != "cpu":
        yield
        return
    config._attn_implementation = _ONE_QUERY
    try:
        yield
    finally:
        config._attn_implementation = own


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Query [B, heads, 1, size] on keys and values [B, kv heads, T, size], as `sdpa_attention_forward` gives it."""
    rows, heads, count, size = query.shape
    special = any(options.get(name) is not None for name in _MORE_THAN_A_MASK)
    if count != 1 or special or (attention_mask is not None and attention_mask.dtype != torch.bool):
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return found
    query = query * (size**-0.5 if scaling is None else scaling)
    output = value.new_empty(rows, 1, heads, value.shape[3])
    step = max(1, _PIECE_BYTES // (key[0].numel() * key.element_size()))
    for first in range(0, rows, step):
        here = slice(first, first + step)
        mask = None if attention_mask is None else attention_mask[here]
        output[here, 0] = _one_query(query[here, :, 0], key[here], value[here], mask)
    return output, None


def _one_query(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Scaled queries [B, heads, size] on keys and values [B, kv heads, T, size]; gives [B, heads, size]."""
    rows, kv_heads, columns, size = key.shape
    pairs, heads = rows * kv_heads, query.shape[1]
    keys = key.reshape(pairs, columns, size).contiguous()
    scores = torch.bmm(query.reshape(pairs, -1, size), keys.transpose(1, 2)).float().view(rows, heads, columns)
    if mask is not None:
        scores.masked_fill_(~mask[:, :, 0], float("-inf"))
    weights = scores.softmax(-1).to(value.dtype).view(pairs, -1, columns)
    return torch.bmm(weights, value.reshape(pairs, columns, -1).contiguous()).view(rows, heads, -1)


AttentionInterface.register(_ONE_QUERY, _attend)
AttentionMaskInterface.register(_ONE_QUERY, sdpa_mask)
