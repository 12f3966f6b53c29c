"""What an annotated directory says of itself in `summary.json`: counts from problems to rows, and what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mario.data.trainingset import TrainingSet
from mario.engine import EngineConfig
from mario.engine.ledger import read_spend
from mario.engine.prices import price_of
from mario.provenance import to_json
from mario.solve import Progress
from mario.store import write_json

LEDGER = "ledger.jsonl"
_NOT_OURS = ("decontaminate", "limit", "attempt")  # filters whose drops are told elsewhere, or are no drops of rows


@dataclass(frozen=True, slots=True)
class AnnotateResult:
    """Counts at every step; `drops` by reason, `notes` by remark on kept rows, `incorrect` for a value model."""

    problems: int
    attempts: int
    kept: int
    incorrect: int
    failures: int
    drops: dict[str, int]
    notes: dict[str, int]
    hash: str
    cost: dict[str, Any] | None = None


def cost_of(out: Path, engine: EngineConfig) -> dict[str, Any] | None:
    """What the calls of all sessions have cost; None where no ledger was kept."""
    ledger = out / LEDGER
    return read_spend(ledger, price_of(engine)).to_dict() if ledger.exists() else None


def write_result(
    out: Path, problems: int, progress: Progress, made: TrainingSet, cost: Mapping[str, Any] | None
) -> AnnotateResult:
    drops: Counter[str] = Counter()
    for step in made.filters:
        if step.name not in _NOT_OURS:
            drops.update(step.dropped)
    result = AnnotateResult(
        problems=problems,
        attempts=progress.done,
        kept=made.kept,
        incorrect=made.incorrect,
        failures=progress.failed,
        drops=dict(drops.most_common()),
        notes=dict(made.notes),
        hash=made.hash,
        cost=None if cost is None else dict(cost),
    )
    write_json(out / "summary.json", to_json(result))
    return result
