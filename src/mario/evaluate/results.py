"""What an evaluation left on disk, read back: problems, attempts and verdicts joined."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mario.data.readers import read_problems
from mario.errors import StoreError
from mario.evaluate.metrics import Comparison, Estimate, Judged
from mario.provenance import from_json
from mario.store import read_jsonl, scan_shards
from mario.store.run import read_manifest
from mario.types import Manifest, Trajectory, Verdict
from mario.value import Valued, read_values
from mario.value.calibrate import Quality


@dataclass(frozen=True, slots=True)
class Results:
    """One evaluation, whole.

    curves: rates over k samples by strategy and then by k; pass@k is named `pass`
    compared: the strategies that go by values against the majority
    quality: how good the values are, by value model
    values: the values themselves
    """

    label: str
    manifest: Manifest
    judged: tuple[Judged, ...]
    failures: int
    curves: Mapping[str, Mapping[int, Estimate]]
    compared: Mapping[str, Comparison]
    quality: Mapping[str, Quality]
    values: Sequence[Valued]

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The rates over several samples, such as `maj@8`, at the largest k."""
        found = {}
        for name, rates in self.curves.items():
            if rates:
                k = max(rates)
                found[f"{'maj' if name == 'majority' else name}@{k}"] = rates[k]
        return found


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
        choice = summary.get("choosing", {"rates": {"majority": summary["majority_at"]}})
        curves = {"pass": _by_k(summary["pass_at"])}
        curves |= {name: _by_k(rates) for name, rates in choice.get("rates", {}).items()}
        compared = {name: from_json(Comparison, found) for name, found in choice.get("compared", {}).items()}
        values = {name: from_json(Quality, found) for name, found in choice.get("values", {}).items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{root} holds no finished evaluation; run mario evaluate on it again") from error
    failures = sum(1 for _ in read_jsonl(root / "failures.jsonl"))
    return Results(label, manifest, tuple(_join(root)), failures, curves, compared, values, read_values(root))


def _by_k(rates: Mapping[str, Any]) -> dict[int, Estimate]:
    return {int(k): from_json(Estimate, rate) for k, rate in rates.items()}


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
