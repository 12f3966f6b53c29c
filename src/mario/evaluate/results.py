"""What an evaluation left on disk, read back: problems, attempts and verdicts joined."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mario.data.readers import read_problems
from mario.errors import StoreError
from mario.evaluate.metrics import Estimate, Judged
from mario.provenance import from_json
from mario.store import read_jsonl, scan_shards
from mario.store.run import read_manifest
from mario.types import Manifest, Trajectory, Verdict


@dataclass(frozen=True, slots=True)
class Results:
    """One evaluation, whole. `estimates` are the rates over several samples, such as `maj@8`, at the largest k."""

    label: str
    manifest: Manifest
    judged: tuple[Judged, ...]
    failures: int
    estimates: Mapping[str, Estimate]


def read_results(root: Path) -> Results:
    """Everything `evaluate` wrote into `root`.

    Raises:
        StoreError: it is not the output of a finished evaluation.
    """
    manifest = read_manifest(root)
    if manifest.kind != "evaluate":
        raise StoreError(
            f"{root} was made by {manifest.kind!r}, not by an evaluation; name the --out of mario evaluate"
        )
    try:
        summary = json.loads((root / "summary.json").read_text(encoding="utf-8"))
        label = str(summary["label"])
        estimates = _at_largest_k("pass", summary["pass_at"]) | _at_largest_k("maj", summary["majority_at"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{root} holds no finished evaluation; run mario evaluate on it again") from error
    failures = sum(1 for _ in read_jsonl(root / "failures.jsonl"))
    return Results(label, manifest, tuple(_join(root)), failures, estimates)


def _at_largest_k(name: str, rates: Mapping[str, Any]) -> dict[str, Estimate]:
    if not rates:
        return {}
    k = max(rates, key=int)
    return {f"{name}@{k}": from_json(Estimate, rates[k])}


def _join(root: Path) -> Iterator[Judged]:
    problems = {problem.id: problem for problem in read_problems(root / "problems.jsonl")}
    verdicts = {
        (row["problem_id"], row["sample_index"]): from_json(Verdict, row["verdict"])
        for _, row in read_jsonl(root / "verdicts.jsonl")
    }
    found = scan_shards(root / "trajectories", Trajectory)
    for trajectory in sorted(found, key=lambda t: (t.problem_id, t.sample_index)):
        problem = problems.get(trajectory.problem_id)
        verdict = verdicts.get((trajectory.problem_id, trajectory.sample_index))
        if problem is None or verdict is None:  # an evaluation that was extended, and killed before it judged
            raise StoreError(
                f"{root} has no verdict for attempt {trajectory.sample_index} of problem {trajectory.problem_id}; "
                "run mario evaluate on it again"
            )
        yield Judged(problem, trajectory, verdict)
