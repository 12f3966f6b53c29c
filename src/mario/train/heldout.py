"""What is held out while training: problems to solve and rows to measure the loss on, and neither leaves a trace.

One idea: training learns nothing of how problems are solved; it is given a function, and rows. The loss on rows is that
of training, the mean over all trained tokens, by the weights as they are, without dropout.

What this module does not do: choose what is held out (`cli.train_heldout`), or decide anything by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mario.errors import DataError
from mario.estimate import Estimate
from mario.train.config import SftConfig
from mario.train.encode import IGNORED, EncodedRow, encode_all, refusals_told
from mario.types import Trajectory


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What to try every `every_steps` steps (None: never) and after the last.

    `solve(network, tokenizer)` says how many problems it solved; the loss is measured on `trajectories`. `inputs` are
    content hashes by name, for the manifest.
    """

    solve: Callable[[Any, Any], Estimate] | None = None
    every_steps: int | None = None
    trajectories: Iterable[Trajectory] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)

    def is_due(self, step: int, steps: int) -> bool:
        return step == steps or (self.every_steps is not None and step % self.every_steps == 0)

    def rows(self, tokenizer: Any, config: SftConfig, window: int) -> tuple[EncodedRow, ...]:
        """The trajectories as training would encode them; what is refused is left out.

        Raises:
            DataError: all of them are refused.
        """
        encoded = encode_all(
            self.trajectories,
            tokenizer,
            max_row_tokens=min(config.max_row_tokens, window),
            train_on_output=config.train_on_output,
        )
        if encoded.refusals and not encoded.rows:
            raise DataError(f"heldout.rows: no row to measure the loss on; {refusals_told(encoded.refusals)}")
        return encoded.rows


@dataclass(frozen=True, slots=True)
class Tried:
    """What was found at one step; None where it was not asked for."""

    solved: Estimate | None = None
    loss: float | None = None


def try_held_out(held_out: HeldOut, rows: Sequence[EncodedRow], trainer: Any, tokenizer: Any, max_tokens: int) -> Tried:
    """Solve and measure with the network as it is now, and leave no trace in its training."""
    import torch

    network = trainer.model
    network.eval()
    try:
        with torch.random.fork_rng():
            solved = held_out.solve(network, tokenizer) if held_out.solve else None
            loss = mean_loss(trainer, rows, max_tokens) if rows else None
    finally:
        network.train()
    if solved:
        trainer.log({"heldout_accuracy": solved.value})
    return Tried(solved, loss)


def mean_loss(trainer: Any, rows: Sequence[EncodedRow], max_tokens: int) -> float:
    """Mean cross entropy over the trained tokens of all rows, in micro-batches of `max_tokens` with their padding."""
    import torch

    from mario.train.batch import plan_steps
    from mario.train.trainer import collate, labelled_logits

    lengths = [row.n_tokens for row in rows]
    total = 0.0
    for batch in plan_steps(lengths, seed=0, max_tokens=max_tokens, tokens_per_step=sum(lengths))[0]:
        made = collate([rows[i] for i in batch])
        ids, targets = made["input_ids"].to(trainer.args.device), made["labels"][:, 1:].to(trainer.args.device)
        is_labelled = targets != IGNORED
        with torch.no_grad(), trainer.compute_loss_context_manager():
            logits, _ = labelled_logits(trainer.model, ids, is_labelled)
            total += float(torch.nn.functional.cross_entropy(logits.float(), targets[is_labelled], reduction="sum"))
    return total / sum(row.n_trained for row in rows)
