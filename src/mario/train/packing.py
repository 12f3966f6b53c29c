"""Several rows in one sequence, none of which sees another.

One idea: a row's attention is computed on its own stretch of the sequence. Positions begin anew with every row, so
rotary embeddings are those of the row alone, and each layer's queries, keys and values are cut where the rows meet.
So nothing is padded, no attention is computed that a mask would then hide, and no mask is made.

transformers knows packed rows by their positions and makes masks for them (`sdpa`, `flex_attention`) or calls a
kernel for uneven lengths (`flash_attention_2`). We leave it that where it is needed: for another attention than
`sdpa`, or for layers that look back less far than the longest row. Otherwise a mask costs more than packing saves: it
makes attention grow with the square of the whole sequence.

What this module does not do: choose which rows go together (`batch`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from mario.errors import TrainingError
from mario.train.encode import IGNORED, EncodedRow

ROWS_APART = "mario_rows_apart"  # the name of our attention in a model's configuration, while a step is computed
_TOLERANCE = 1e-2  # of hidden states of size 1, in bfloat16; rows that see each other differ by far more


def pack(rows: Sequence[EncodedRow]) -> dict[str, Any]:
    """Rows as one sequence [1, T] with `position_ids` that begin anew, and the `row_lengths`; see `trainer.collate`.

    A row's first token follows nothing, so it has no label.
    """
    batch: dict[str, Any] = {
        "input_ids": torch.tensor([[token for row in rows for token in row.input_ids]]),
        "labels": torch.tensor([[label for row in rows for label in (IGNORED, *row.labels[1:])]]),
        "position_ids": torch.cat([torch.arange(row.n_tokens) for row in rows])[None],
        "row_lengths": [row.n_tokens for row in rows],
        "row_ids": [row.id for row in rows],
    }
    if any(row.values for row in rows):
        values = [row.values or (float("nan"),) * row.n_tokens for row in rows]
        batch["values"] = torch.tensor([[value for row in values for value in row]])
    return batch


def attention_for(network: Any, rows: Sequence[EncodedRow]) -> str:
    """The name of the attention that keeps packed rows apart in this network, tried on the two shortest rows.

    Raises:
        TrainingError: rows see each other all the same (the layers carry a state along, for example).
    """
    config = network.config.get_text_config()
    attention: str = config._attn_implementation
    reach = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    longest = max(row.n_tokens for row in rows)
    if attention == "sdpa" and all(size is None or size >= longest for size in reach):
        attention = ROWS_APART
    two = [row for row in sorted(rows, key=lambda row: row.n_tokens) if row.n_tokens > 1][:2] or [rows[0]]
    with attending(network, attention):
        packed = _hidden(network, pack([two[0], two[-1]]))
    alone = torch.cat([_hidden(network, pack([row])) for row in (two[0], two[-1])], dim=1)
    difference = float((packed - alone).abs().max() / alone.abs().max())
    if not difference < _TOLERANCE:
        raise TrainingError(
            f"packed rows see each other in {type(network).__name__}: hidden states change by {difference:.1%}; "
            "train without train.packing"
        )
    return attention


@contextmanager
def attending(network: Any, attention: str | None) -> Iterator[None]:
    """The network with another attention (its own where None); ours knows no masks, so it must not stay."""
    own = network.config.get_text_config()._attn_implementation
    if attention in (None, own):
        yield
        return
    network.set_attn_implementation(attention)
    try:
        yield
    finally:
        network.set_attn_implementation(own)


def attention_of(network: Any, batch: Any) -> dict[str, Any]:
    """What the network's forward is told about a batch's rows; nothing for one that is not packed."""
    if "position_ids" not in batch:
        return {}
    told = {"position_ids": batch["position_ids"]}
    if network.config.get_text_config()._attn_implementation == ROWS_APART:
        told["row_lengths"] = batch["row_lengths"]
    return told


def _hidden(network: Any, batch: Any) -> torch.Tensor:
    """What the head sees, without dropout and gradients."""
    seen: list[torch.Tensor] = []
    handle = network.get_output_embeddings().register_forward_pre_hook(lambda _, args: seen.append(args[0].float()))
    was_training = network.training
    try:
        with torch.no_grad():
            ids = batch["input_ids"].to(network.device)
            told = {
                name: told.to(network.device) if isinstance(told, torch.Tensor) else told
                for name, told in attention_of(network, batch).items()
            }
            network.eval()(input_ids=ids, use_cache=False, **told)
    finally:
        network.train(was_training)
        handle.remove()
    return seen[0]


def _attend_by_row(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    row_lengths: Sequence[int] | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' own attention [1, heads, T, size], row by row; of the whole where no rows are given."""
    if row_lengths is None:
        whole: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return whole
    cut = zip(*(states.split(row_lengths, dim=2) for states in (query, key, value)), strict=True)
    return torch.cat([sdpa_attention_forward(module, *states, None, **options)[0] for states in cut], dim=1), None


AttentionInterface.register(ROWS_APART, _attend_by_row)
