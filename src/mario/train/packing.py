"""Several rows in one sequence, none of which sees another.

One idea: a row's attention is computed on its own stretch of the sequence. Positions begin anew with every row, so
rotary embeddings are those of the row alone, and each layer's queries, keys and values are cut where the rows meet.
So no row is padded, no attention is computed that a mask would then hide, and no mask is made. On a CPU it is
computed in bfloat16 by matrix products (`attention`), else by torch's kernels.

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
from mario.train.attention import arithmetic, attend
from mario.train.encode import IGNORED, EncodedRow

ROWS_APART = "mario_rows_apart"  # the name of our attention in a model's configuration, while a step is computed
_TOLERANCE = 5e-2  # of hidden states; in bfloat16 0.016 for SmolLM2, and 0.14 to 0.23 where its rows see each other


def pack(rows: Sequence[EncodedRow], *, multiple: int = 1) -> dict[str, Any]:
    """Rows as one sequence [1, T] with `position_ids` that begin anew, and the `row_lengths`; see `trainer.collate`.

    A row's first token follows nothing, so it has no label. T is rounded up to a multiple by one more row, without an
    id, that teaches nothing.
    """
    ids = [row.id for row in rows]
    if missing := -sum(row.n_tokens for row in rows) % multiple:
        rows = [*rows, EncodedRow("", (0,) * missing, (IGNORED,) * missing, 0)]
    batch: dict[str, Any] = {
        "input_ids": torch.tensor([[token for row in rows for token in row.input_ids]]),
        "labels": torch.tensor([[label for row in rows for label in (IGNORED, *row.labels[1:])]]),
        "position_ids": torch.cat([torch.arange(row.n_tokens) for row in rows])[None],
        "row_lengths": [row.n_tokens for row in rows],
        "row_ids": ids,
    }
    if any(row.values for row in rows):
        values = [row.values or (float("nan"),) * row.n_tokens for row in rows]
        batch["values"] = torch.tensor([[value for row in values for value in row]])
    return batch


def attention_for(network: Any, rows: Sequence[EncodedRow]) -> str:
    """The name of the attention that keeps packed rows apart, tried on the two shortest rows.

    Ours where it needs no mask and computes what the network's own computes of each row alone; otherwise that.

    Raises:
        TrainingError: rows see each other all the same (the layers carry a state along, for example).
    """
    config = network.config.get_text_config()
    own: str = config._attn_implementation
    reach = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    longest = max(row.n_tokens for row in rows)
    needs_no_mask = own == "sdpa" and all(size is None or size >= longest for size in reach)
    shortest = [row for row in sorted(rows, key=lambda row: row.n_tokens) if row.n_tokens > 1][:2] or [rows[0]]
    two = [shortest[0], shortest[-1]]
    alone = _hidden(network, [pack([row]) for row in two])
    difference = 0.0
    for attention in [ROWS_APART, own] if needs_no_mask else [own]:
        with attending(network, attention):
            difference = float((_hidden(network, [pack(two)]) - alone).norm() / alone.norm())
        if difference < _TOLERANCE:
            return attention
    raise TrainingError(
        f"packed rows see each other in {type(network).__name__}: hidden states change by {difference:.1%}; "
        "train without train.packing"
    )


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


def _hidden(network: Any, batches: Sequence[dict[str, Any]]) -> torch.Tensor:
    """What the head sees of packed batches, one after another, without dropout and gradients.

    In bfloat16 on a CPU, in which attention is another there.
    """
    seen: list[torch.Tensor] = []
    handle = network.get_output_embeddings().register_forward_pre_hook(lambda _, args: seen.append(args[0].float()))
    was_training = network.training
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            network.eval()
            for batch in batches:
                told = {"input_ids": batch["input_ids"], **attention_of(network, batch)}
                told = {name: x.to(network.device) if isinstance(x, torch.Tensor) else x for name, x in told.items()}
                network(use_cache=False, **told)
    finally:
        network.train(was_training)
        handle.remove()
    return torch.cat(seen, dim=1)


def _attend_by_row(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None,
    row_lengths: Sequence[int] | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention [B, heads, T, size], row by row where their lengths are given; there are no masks."""
    if query.device.type == "cpu" and arithmetic(query) is torch.bfloat16 and not dropout:
        return attend(query, key, value, scaling or query.shape[-1] ** -0.5, row_lengths), None
    options |= {"dropout": dropout, "scaling": scaling}
    cut = zip(*(states.split(row_lengths or query.shape[2], dim=2) for states in (query, key, value)), strict=True)
    return torch.cat([sdpa_attention_forward(module, *states, None, **options)[0] for states in cut], dim=1), None


AttentionInterface.register(ROWS_APART, _attend_by_row)
