"""From a scored run to a calibrated value model: verdicts joined to values, a temperature fitted, the card rewritten.

One idea: a temperature is fitted on problems that neither the model nor a test has claim on. Problems that the head
learnt from are left out (by the fingerprints that the model carries, but for those that its own training held out),
problems of a split named `test…` are refused, and of the rest half, drawn by problem, fits and half says how well.

What this module does not do: the statistics (`calibrate`), or score anything (`score`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mario.data.overlap import fingerprint, read_trained
from mario.data.readers import read_problems
from mario.errors import DataError
from mario.grade import grade
from mario.provenance import to_json
from mario.store import scan_shards, verify_shards
from mario.types import Problem, Trajectory, VerdictStatus
from mario.value.calibrate import Outcome, Quality, fit, halves, quality
from mario.value.checkpoint import OvmCard, held_out_problems, write_card
from mario.value.score import VALUES, Valued, ValueModel, read_values


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a calibration found; `before` and `after` are of the problems that it was not fitted on."""

    card: OvmCard
    fitted_on: int  # problems
    left_out: int  # problems that the value model was trained on
    before: Quality
    after: Quality


def outcomes(run: Path, valued: Valued, problems: dict[str, Problem] | None = None) -> list[Outcome]:
    """Every valued attempt with its verdict; a problem whose reference cannot be read is left out."""
    known = problems if problems is not None else {p.id: p for p in read_problems(run / "problems.jsonl")}
    log_odds = valued.log_odds
    found: list[Outcome] = []
    for trajectory in scan_shards(run / "trajectories", Trajectory):
        problem = known.get(trajectory.problem_id)
        values = log_odds.get((trajectory.problem_id, trajectory.sample_index))
        if problem is None or values is None:
            continue
        status = grade(problem.answer, trajectory.answer or "").status
        if status is not VerdictStatus.REFERENCE_UNPARSED:
            found.append(Outcome(problem.id, values, status is VerdictStatus.EQUIVALENT))
    return found


def learnt_from(model: ValueModel, problems: Iterable[Problem]) -> frozenset[str]:
    """The ids of the problems that the value head learnt from: those of its own held-out part are not among them."""
    known, spared = read_trained(model.directory), held_out_problems(model.directory)
    return frozenset(p.id for p in problems if p.id not in spared and fingerprint(p.question) in known)


def calibrate_run(run: Path, model: ValueModel, *, with_bias: bool = False, seed: int = 0) -> Calibrated:
    """Fit the temperature on a run that `model` has scored, and write it to the model's directory and the run's copy.

    Raises:
        DataError: the problems are a test's, or were all trained on, or have right attempts only (or wrong ones only).
    """
    valued = next((v for v in read_values(run) if v.name == model.name), None)
    if valued is None:
        raise DataError(f"{run} has no values by {model.name}; score it first: mario value {run} --model …")
    problems = {problem.id: problem for problem in read_problems(run / "problems.jsonl")}
    tested = sorted({p.split for p in problems.values() if p.split.lower().startswith("test")})
    if tested:
        raise DataError(
            f"{run} holds problems of the split {tested[0]!r}; a test set is not for calibrating: score a run over "
            "problems that are neither trained nor tested on, and calibrate on that"
        )
    learnt = learnt_from(model, problems.values())
    held_out = {name: problem for name, problem in problems.items() if name not in learnt}
    if not held_out:
        raise DataError(f"{model.name} was trained on every problem of {run}; score a run over others")
    plain = replace(valued, card=replace(model.card, temperature=None, bias=None))
    found = outcomes(run, plain, held_out)
    fitted, checked = halves({o.problem_id for o in found}, seed)
    rows = [(o.last, o.correct) for o in found if o.problem_id in fitted]
    if len({correct for _, correct in rows}) < 2:
        raise DataError(
            f"{run}: the {len(rows)} attempts at the {len(fitted)} problems to fit on are not both right and wrong; "
            "score a larger run"
        )
    best = fit(rows, with_bias=with_bias)
    before = [o for o in found if o.problem_id in checked]
    after = [replace(o, log_odds=tuple(map(best, o.log_odds))) for o in before]
    result = Calibrated(
        replace(model.card, temperature=best.temperature, bias=best.bias if with_bias else None),
        len(fitted),
        len(learnt),
        quality(before),
        quality(after),
    )
    card = replace(result.card, calibration=_note(result, run, seed))
    write_card(model.directory, card)
    write_card(run / VALUES / model.name, card)
    return replace(result, card=card)


def _note(result: Calibrated, run: Path, seed: int) -> dict[str, Any]:
    """What the card says of its calibration: figures of the problems that it was not fitted on."""
    return {
        "trajectories": verify_shards(run / "trajectories"),
        "seed": seed,
        "problems_fitted": result.fitted_on,
        "problems_left_out": result.left_out,
        "problems_checked": result.before.right.n,
        "attempts_checked": result.before.samples,
        "before": _figures(result.before),
        "after": _figures(result.after),
    }


def _figures(found: Quality) -> dict[str, Any]:
    names = ("brier", "log_loss", "error", "auroc", "within", "right")
    return {name: to_json(getattr(found, name)) for name in names}
