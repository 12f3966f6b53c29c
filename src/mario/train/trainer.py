"""The one trainer: transformers' loop, with our batches and our loss.

Two ideas. A data item is a whole optimizer step, a list of micro-batches of different shapes, so the loss is the
exact mean over all trained tokens of the step however they were cut. And logits are computed only where a label
stands: the head is a fifth of a small model's work, and most positions of a trajectory are prompt and output.

Rows are padded on the right and carry no attention mask: a causal model's real tokens never look at what comes
after them, padding has no label, and without a mask the fused attention kernel is used. `packing` is the other way.

A value model can train here too: with `value_weight` above 0 the loss gains that weight times the mean of
`value_losses`, which see the hidden states that the head sees. This class has no such losses; a subclass brings them.

What this module does not do: it reads no files and decides no order (`batch`); checkpoints are `sft`'s.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from transformers import Trainer

from mario.errors import TrainingError
from mario.train.batch import PACK_MULTIPLE, WIDTH_MULTIPLE, Step, rounded
from mario.train.encode import IGNORED, EncodedRow
from mario.train.packing import attending, attention_of, pack
from mario.train.processes import check_shared, sharing


class StepDataset(torch.utils.data.Dataset):  # type: ignore[misc]
    """Optimizer steps as items: `{"micro_batches": [{"input_ids", "labels", "row_ids"}, …]}`; see `pack` for more."""

    def __init__(self, rows: Sequence[EncodedRow], steps: Sequence[Step], *, packing: bool = False) -> None:
        self.rows = rows
        self.steps = steps
        self.collate = partial(pack, multiple=PACK_MULTIPLE) if packing else partial(collate, multiple=WIDTH_MULTIPLE)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"micro_batches": [self.collate([self.rows[i] for i in batch]) for batch in self.steps[index]]}


def collate(rows: Sequence[EncodedRow], *, multiple: int = 1) -> dict[str, Any]:
    """Rows as tensors [B, T], padded on the right; any id will do as padding, for nothing looks at it.

    T is the longest row's length, rounded up to a multiple.

    `values`, where some row has them, are NaN at every token at which the value model learns nothing.
    """
    width = rounded(max(row.n_tokens for row in rows), multiple)
    input_ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full((len(rows), width), IGNORED, dtype=torch.long)
    for i, row in enumerate(rows):
        input_ids[i, : row.n_tokens] = torch.tensor(row.input_ids)
        labels[i, : row.n_tokens] = torch.tensor(row.labels)
    batch = {"input_ids": input_ids, "labels": labels, "row_ids": [row.id for row in rows]}
    if any(row.values for row in rows):
        batch["values"] = values = torch.full((len(rows), width), torch.nan)
        for i, row in enumerate(rows):
            values[i, : len(row.values)] = torch.tensor(row.values)
    return batch


class SpanTrainer(Trainer):  # type: ignore[misc]
    """Trains a causal language model on the labelled positions of `StepDataset` items."""

    # compute_loss has divided by the tokens of the whole step: transformers must not divide again.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        *args: Any,
        warmup_steps: int = 0,
        lm_weight: float = 1.0,
        value_weight: float = 0.0,
        attention: str | None = None,
        **kwargs: Any,
    ) -> None:
        """`attention` keeps packed rows apart (`packing.attention_for`)."""
        super().__init__(*args, data_collator=_only_item, **kwargs)
        self.warmup_steps = warmup_steps
        self.lm_weight = lm_weight
        self.value_weight = value_weight
        self.attention = attention
        self.n_values = 0  # of the step at work
        self.parts: dict[str, torch.Tensor] = {}  # of its loss, for the metrics
        check_shared(self)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Linear warm-up and decay; transformers' own begins with a step at rate 0, a waste in a run of forty steps."""
        if self.lr_scheduler is None:
            self.lr_scheduler: Any = torch.optim.lr_scheduler.LambdaLR(
                optimizer or self.optimizer, lambda step: rate_factor(step, num_training_steps, self.warmup_steps)
            )
        return self.lr_scheduler

    def get_train_dataloader(self) -> Any:
        """Every process is given every step, and takes its share of it in `training_step`."""
        if self.args.world_size == 1:
            return super().get_train_dataloader()
        return torch.utils.data.DataLoader(self.train_dataset, batch_size=1, collate_fn=_only_item)

    def training_step(
        self, model: Any, inputs: Mapping[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Forward and backward of every micro-batch of one step; returns the step's loss.

        Raises:
            TrainingError: the loss is not finite; names the step and the rows.
        """
        batches = inputs["micro_batches"]
        ranks = self.args.world_size
        num_items_in_batch = sum(int((batch["labels"][:, 1:] != IGNORED).sum()) for batch in batches)
        self.n_values = sum(int((~batch["values"].isnan()).sum()) for batch in batches if "values" in batch)
        self.parts.clear()
        total = torch.zeros((), device=self.args.device)
        own = own_share(batches, self.args.process_index, ranks, evenly=sharing() is not None)
        for batch in own:
            with (
                attending(getattr(model, "module", model), self.attention),
                self._averaging(model, is_last=batch is own[-1]),
            ):
                loss = super().training_step(model, batch, num_items_in_batch)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"step {self.state.global_step + 1}: the loss is {loss.item()} on the rows "
                    f"{', '.join(batch['row_ids'])}; the weights before this step are in the last checkpoint. "
                    "Look at these rows, or lower train.learning_rate"
                )
            total += loss
        return total

    def _averaging(self, model: Any, *, is_last: bool) -> contextlib.AbstractContextManager[None]:
        """When the processes average their gradients: once a step, after the last micro-batch of each.

        FSDP averages after every micro-batch, as it would hold gradients of all weights till the last otherwise.
        """
        if self.is_deepspeed_enabled:
            self.accelerator.gradient_state._set_sync_gradients(is_last)
        elif not is_last and sharing() is None and self.args.world_size > 1:
            return model.no_sync()  # type: ignore[no-any-return]
        return contextlib.nullcontext()

    def compute_loss(
        self,
        model: Any,
        inputs: Mapping[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Cross entropy summed over the labelled positions, divided by `num_items_in_batch`.

        `num_items_in_batch` is the number of labelled positions in the whole step (in this batch where None).
        """
        targets = inputs["labels"][:, 1:]
        is_labelled = targets != IGNORED
        read = some_more(is_labelled, PACK_MULTIPLE)
        told = attention_of(getattr(model, "module", model), inputs)
        logits, hidden = labelled_logits(model, inputs["input_ids"], read, **told)
        summed = torch.nn.functional.cross_entropy(logits.float(), targets[read], ignore_index=IGNORED, reduction="sum")
        count = int(is_labelled.sum()) if num_items_in_batch is None else int(num_items_in_batch)
        loss = summed / max(1, count)  # a step of wrong solutions alone has no label
        if self.value_weight:
            value_loss = self.value_losses(model, hidden, inputs).sum() / max(1, self.n_values)
            self._note(lm_loss=loss, value_loss=value_loss)
            loss = self.lm_weight * loss + self.value_weight * value_loss
        if num_items_in_batch is not None:
            loss = loss * self.args.world_size  # the mean over processes is then the step's sum
        return (loss, {"logits": logits}) if return_outputs else loss

    def value_losses(self, model: Any, hidden: torch.Tensor, inputs: Mapping[str, Any]) -> torch.Tensor:
        """For a subclass that trains a value model too: the loss of each of its positions, from hidden [B, T, H]."""
        raise NotImplementedError(f"{type(self).__name__} trains no value model; its value_weight must be 0")

    def _note(self, **parts: torch.Tensor) -> None:
        for name, part in parts.items():
            self.parts[name] = self.parts.get(name, 0.0) + part.detach()

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """A step's line of metrics gains the parts of its loss."""
        if "loss" in logs and self.parts:
            parts = torch.stack(list(self.parts.values()))
            if self.args.world_size > 1:
                torch.distributed.all_reduce(parts)
            logs = logs | dict(zip(self.parts, parts.tolist(), strict=True))
        super().log(logs, *args, **kwargs)

    def floating_point_ops(self, inputs: Mapping[str, Any]) -> int:
        return 0  # an estimate nobody reads here, and its code expects another shape of inputs


def own_share(
    batches: Sequence[dict[str, Any]], rank: int, ranks: int, *, evenly: bool = False
) -> list[dict[str, Any]]:
    """The micro-batches of a step that one of several processes computes.

    A process that has none still takes part in averaging gradients: it gets rows on which nothing is learnt. So does,
    `evenly`, one that has fewer than others: where weights are shared out, each forward needs every process.
    """
    own = list(batches[rank::ranks])
    most = -(-len(batches) // ranks) if evenly else 1
    if len(own) >= most:
        return own
    idle = dict(min(batches, key=lambda batch: batch["labels"].numel()))
    idle["labels"] = torch.full_like(idle["labels"], IGNORED)
    if "values" in idle:
        idle["values"] = torch.full_like(idle["values"], torch.nan)
    return [*own, idle]


def rate_factor(step: int, steps: int, warmup: int) -> float:
    """The share of the learning rate at a step (from 0): up to 1 at step `warmup`, then down to just above 0."""
    return min((step + 1) / (warmup + 1), max(0, steps - step) / max(1, steps - warmup))


def some_more(chosen: torch.Tensor, multiple: int) -> torch.Tensor:
    """A mask with positions added, from the first on, until their number is a multiple; see `batch.PACK_MULTIPLE`."""
    added = (~chosen).flatten().nonzero()[: -int(chosen.sum()) % multiple, 0]
    return chosen.flatten().index_fill(0, added, True).view_as(chosen)


def labelled_logits(
    model: Any, input_ids: torch.Tensor, is_labelled: torch.Tensor, **attention: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [n, V] that predict the n labelled targets, and the head's hidden states [B, T, H].

    `is_labelled` [B, T - 1] marks targets, so position t of it selects hidden state t. The choice is made by a hook
    on the head during the model's own forward, rather than by calling backbone and head ourselves: what a model does
    to its logits afterwards (soft caps, scales) and what wraps it (autocast, data parallelism) stay in force.
    """
    seen: list[torch.Tensor] = []

    def keep_labelled(_head: Any, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        seen.append(args[0])
        return (args[0][:, :-1][is_labelled],)

    head = getattr(model, "module", model).get_output_embeddings()
    handle = head.register_forward_pre_hook(keep_labelled)
    try:
        logits = model(input_ids=input_ids, use_cache=False, **attention).logits
    finally:
        handle.remove()
    return logits, seen[0]


def _only_item(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    (item,) = items
    return item
