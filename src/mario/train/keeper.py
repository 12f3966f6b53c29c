"""What a run leaves on disk while it trains: a line of metrics a step, and now and then a checkpoint.

One idea: a checkpoint counts when its mark is there, and the mark is written last. A kill at any moment leaves
either the old checkpoint or a new whole one; what has no mark is removed on resuming. The metrics are cut back to
the checkpoint too, so that a resumed run's curve is the curve of an uninterrupted one.

What this module does not do: it prints nothing (`on_progress` hears of every step), and it decides no training.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from mario.errors import TrainingError
from mario.estimate import Estimate
from mario.provenance import from_json, to_json
from mario.store.jsonl import AppendLog, dump_line, storing
from mario.train.heldout import Tried
from mario.train.processes import agreed, is_first, together
from mario.train.track import Tracker

CHECKPOINTS = "checkpoints"
METRICS = "metrics.jsonl"
LOSS_PARTS = ("lm_loss", "value_loss")  # where a loss has several
_COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is after a step; `tokens` counts from the run's beginning, the speed from this session's."""

    step: int
    steps: int
    loss: float
    tokens: int
    total_tokens: int
    tokens_per_second: float
    seconds: float
    solved: Estimate | None = None  # of the held-out problems, when they were last tried
    held_out_loss: float | None = None  # when it was last measured

    def __str__(self) -> str:
        left = (self.total_tokens - self.tokens) / max(self.tokens_per_second, 1e-9)
        held_out = f"  held out {100 * self.solved.value:.0f} % of {self.solved.n}" if self.solved else ""
        if self.held_out_loss is not None:
            held_out = f"  held-out loss {self.held_out_loss:.3f}" + held_out
        return (
            f"step {self.step}/{self.steps}  loss {self.loss:.3f}  {self.tokens:,}/{self.total_tokens:,} tokens  "
            f"{self.tokens_per_second:,.0f} tokens/s  {left // 60:.0f}:{left % 60:02.0f} left{held_out}"
        )


Listener = Callable[[Progress], None]
Judge = Callable[[int], Tried]  # what is held out, tried after a step; nothing where it is not its turn


class Keeper(TrainerCallback):  # type: ignore[misc]
    """Writes metrics and asks for checkpoints, `save_seconds` apart."""

    def __init__(
        self,
        out: Path,
        tokens_at_step: Sequence[int],
        rows_of_step: Callable[[int], Sequence[str]],
        *,
        save_seconds: float,
        resumed: Path | None,
        on_progress: Listener | None,
        judge: Judge = lambda _: Tried(),
        tracker: Tracker | None = None,
    ) -> None:
        """`tokens_at_step[n]` are the tokens seen after n steps (0 at 0). The time of `judge` is no training time.

        `tracker` is closed with this.
        """
        self.out = out
        self.tokens_at_step = tokens_at_step
        self.rows_of_step = rows_of_step
        self.save_seconds = save_seconds
        self.on_progress = on_progress
        self.judge = judge
        self.tracker = tracker
        self.writes = is_first()
        self.solved: Estimate | None = None
        self.held_out_loss: float | None = None
        self.first_step = step_of(resumed) if resumed else 0
        self.losses: list[float] = []
        self.seconds = self._cut_metrics()  # of training, all sessions together
        self._before = self.seconds
        self._log = AppendLog(out / METRICS) if self.writes else None
        self._started = self._saved = time.monotonic()

    def _cut_metrics(self) -> float:
        """Drop the lines past the checkpoint; returns the seconds the kept ones took."""
        path = self.out / METRICS
        lines = path.read_bytes().splitlines(keepends=True)[: self.first_step] if path.exists() else []
        together()  # every process has read the file before the first one cuts it
        if self.writes:
            with storing(path):
                path.write_bytes(b"".join(lines))
        kept = [json.loads(line) for line in lines]
        self.losses = [line["loss"] for line in kept]
        for line in kept:
            self.solved = from_json(Estimate, line["heldout"]) if "heldout" in line else self.solved
            self.held_out_loss = line.get("heldout_loss", self.held_out_loss)
        return float(kept[-1]["seconds"]) if kept else 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._started = self._saved = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any], **_: Any) -> None:
        if "loss" not in logs:
            return  # transformers' own summary at the end
        step, loss, norm = state.global_step, float(logs["loss"]), float(logs.get("grad_norm", 0.0))
        if not math.isfinite(norm):
            raise TrainingError(
                f"step {step}: the gradient's norm is {norm} on the rows {', '.join(self.rows_of_step(step - 1))}; "
                "look at these rows, or lower train.learning_rate"
            )
        elapsed = time.monotonic() - self._started
        found = self.judge(step) if self.writes else Tried()  # the others wait for it at the next step
        self.solved = found.solved or self.solved
        self.held_out_loss = self.held_out_loss if found.loss is None else found.loss
        self._started += time.monotonic() - self._started - elapsed
        self.seconds = self._before + elapsed
        self.losses.append(loss)
        seen = self.tokens_at_step
        progress = Progress(
            step=step,
            steps=len(seen) - 1,
            loss=loss,
            tokens=seen[step],
            total_tokens=seen[-1],
            tokens_per_second=(seen[step] - seen[self.first_step]) / max(elapsed, 1e-9),
            seconds=self.seconds,
            solved=self.solved,
            held_out_loss=self.held_out_loss,
        )
        line = {
            "step": step,
            "loss": loss,
            **{part: logs[part] for part in LOSS_PARTS if part in logs},
            "grad_norm": norm,
            "learning_rate": logs["learning_rate"],
            "tokens": progress.tokens,
            "tokens_per_second": round(progress.tokens_per_second, 1),
            "seconds": round(self.seconds, 3),
        }
        if found.solved is not None:
            line["heldout"] = to_json(found.solved)
        if found.loss is not None:
            line["heldout_loss"] = found.loss
        if self._log is not None:
            self._log.append(dump_line(line))
            self._log.flush()
        if self.tracker is not None:
            self.tracker.log(line)
        if self.on_progress is not None and self.writes:
            self.on_progress(progress)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        due = agreed(time.monotonic() - self._saved >= self.save_seconds)
        if due and state.global_step < state.max_steps:  # after the last step the model itself is saved
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        folder = self.out / CHECKPOINTS
        newest = folder / f"checkpoint-{state.global_step}"
        together()  # every process has written its part
        if self.writes:
            (newest / _COMPLETE).touch()
            for old in folder.iterdir():
                if old != newest:
                    shutil.rmtree(old, ignore_errors=True)
        self._saved = time.monotonic()

    def tried(self) -> dict[str, Any]:
        """What the last try found, as the manifest counts it."""
        solved = {"heldout": to_json(self.solved)} if self.solved else {}
        return solved | ({"heldout_loss": self.held_out_loss} if self.held_out_loss is not None else {})

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
        if self.tracker is not None:
            self.tracker.close()


def last_checkpoint(out: Path) -> Path | None:
    """The newest whole checkpoint of a run, or None; half-written ones are removed."""
    found = [path for path in (out / CHECKPOINTS).glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    whole = [path for path in found if (path / _COMPLETE).exists()]
    for path in found:
        if path not in whole:
            shutil.rmtree(path, ignore_errors=True)
    return max(whole, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
