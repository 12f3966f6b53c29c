"""Supervised fine-tuning: trajectories to a model that writes text and code, and reads the interpreter's output.

Several sources train one model; a format without code is a source like any other. The run itself is `loop`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mario.errors import DataError, UsageError
from mario.provenance import to_json
from mario.train.batch import arrange
from mario.train.config import SftConfig
from mario.train.encode import EncodedRow, encode_all, refusals_told
from mario.train.heldout import HeldOut
from mario.train.loop import Plan, Task, TrainResult, train
from mario.types import Trajectory

if TYPE_CHECKING:
    from mario.train.keeper import Listener


@dataclass(frozen=True, slots=True)
class SourceSet:
    """A named set of trajectories and the hash that stands for it in the manifest; read once a run.

    `folder` is where the rows lie, if they lie beside their problems: see `Task.folders`.
    """

    name: str
    trajectories: Iterable[Trajectory]
    content_hash: str
    folder: Path | None = None


def train_sft(
    config: SftConfig,
    sources: Sequence[SourceSet],
    model: str,
    out: Path,
    on_progress: Listener | None = None,
    report: Callable[[str], None] = lambda _: None,
    held_out: HeldOut | None = None,
) -> TrainResult:
    """Fine-tune `model` on all sources into `out`; see `loop.train`.

    Raises:
        UsageError: two sources share a name, or there are none.
        DataError, StoreError, TrainingError: see `loop.train`.
    """
    return train(FineTuning(sources), config, model, out, on_progress, report, held_out)


class FineTuning(Task):
    """The rows of several named sources, each encoded as `encode` says."""

    kind = "sft"
    recipe: Mapping[str, Any] = {}

    def __init__(self, sources: Sequence[SourceSet]) -> None:
        names = [source.name for source in sources]
        if not names or len(set(names)) < len(names):
            raise UsageError(f"training needs one or more sources of different names, got {names}")
        self.sources = sources
        self.inputs = {f"source/{source.name}": source.content_hash for source in sources}
        self.folders = [source.folder for source in sources if source.folder is not None]

    def plan(self, config: SftConfig, tokenizer: Any, window: int) -> Plan:
        rows: dict[str, Sequence[EncodedRow]] = {}
        refused: list[dict[str, str]] = []
        formats: dict[str, None] = {}
        limit = min(config.max_row_tokens, window)
        for source in self.sources:
            encoded = encode_all(
                _noting(formats, source.trajectories),
                tokenizer,
                max_row_tokens=limit,
                train_on_output=config.train_on_output,
            )
            rows[source.name] = encoded.rows
            refused += [{"source": source.name, **to_json(refusal)} for refusal in encoded.refusals]
            if not encoded.rows:
                why = refusals_told(encoded.refusals) or "none came"
                raise DataError(f"source {source.name}: no trajectory to train on; {why}")
        order, steps, counts = arrange(rows, config)
        return Plan(order, steps, counts, refused, tuple(formats))


def _noting(formats: dict[str, None], trajectories: Iterable[Trajectory]) -> Iterator[Trajectory]:
    for trajectory in trajectories:
        formats[trajectory.format] = None
        yield trajectory
