"""An evaluation in numbers: `summary.json`.

Two parts: rates of the attempts as they are, and what choosing among them gives (`choosing`), which is made anew
whenever a value model has scored them, without touching the rest (`refresh`).

What this module does not do: statistics (`metrics`, `choices`, `value.calibrate`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mario.errors import UsageError
from mario.estimate import Estimate, clustered
from mario.evaluate.choices import MAJORITY, Rule, compare_rules, curves, outcomes, sampled
from mario.evaluate.metrics import Comparison, Judged, accuracy, pass_at
from mario.grade import group
from mario.provenance import to_json
from mario.solve import Progress
from mario.solve.vote import VALUED, VoteConfig
from mario.store import write_json
from mario.value import Valued
from mario.value.calibrate import Outcome, Quality, quality


@dataclass(frozen=True, slots=True)
class Choosing:
    """What choosing among the samples of a problem gives.

    chosen: the rate of the strategy asked for (`select`, by the values of `model`), with all samples of each problem
    rates: by strategy, then by k; with several value models "ovm by NAME"
    compared: each strategy that goes by values against the majority on the same samples, at the largest k
    values: how good the values are, by value model
    """

    select: VoteConfig
    chosen: Estimate
    model: str | None = None
    rates: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    compared: dict[str, Comparison] = field(default_factory=dict)
    values: dict[str, Quality] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Summary:
    """An evaluation in numbers; rates are over scored problems. `trained_on` of them were known to a model."""

    label: str
    problems: int
    attempts: int
    failures: int
    unscored: int
    accuracy: Estimate
    by_split: dict[str, Estimate]
    by_level: dict[str, Estimate]
    pass_at: dict[str, Estimate]
    majority_at: dict[str, Estimate]
    choosing: Choosing
    stop_reasons: dict[str, int]
    completion_tokens: int
    trained_on: int = 0


def summarise(
    label: str, total: int, judged: Sequence[Judged], progress: Progress, choice: Choosing, trained_on: int = 0
) -> Summary:
    counts = progress.counts()
    return Summary(
        label=label,
        problems=total,
        attempts=progress.done,
        failures=progress.failed,
        unscored=sum(not row.scored for row in judged),
        accuracy=accuracy(judged),
        by_split=_by(judged, lambda row: row.problem.split),
        by_level=_by(judged, lambda row: row.problem.level or ""),
        pass_at={str(k): pass_at(judged, k) for k in _ks(judged)},
        majority_at=choice.rates.get("majority", {}),
        choosing=choice,
        stop_reasons=counts["stop_reasons"],
        completion_tokens=counts["completion_tokens"],
        trained_on=trained_on,
    )


def choosing(
    judged: Sequence[Judged], values: Sequence[Valued], select: VoteConfig, preferred: str | None = None
) -> Choosing:
    """Every strategy at every k; `preferred` names the value model that `select` goes by, where there are several.

    Raises:
        UsageError: `select` needs values, and it is not clear by which model.
    """
    samples = sampled(judged, group, {valued.name: valued.log_odds for valued in values})
    rules = _value_rules(select, [valued.name for valued in values])
    ks = _ks(judged)
    rates = curves(samples, {"majority": MAJORITY, **rules}, ks) if ks else {}
    model = _model_for(select, values, preferred)
    chosen = outcomes(samples, Rule(select, model))
    return Choosing(
        select=select,
        model=model,
        chosen=clustered([float(right) for right in chosen.values()]),
        rates={name: {str(k): rate for k, rate in found.items()} for name, found in rates.items()},
        compared={name: compare_rules(samples, rule, MAJORITY) for name, rule in rules.items()} if ks else {},
        values={valued.name: quality(valued_outcomes(judged, valued)) for valued in values},
    )


def refresh(root: Path, judged: Sequence[Judged], values: Sequence[Valued]) -> Choosing:
    """Make the part of `summary.json` that depends on values anew, by the strategy that stands there."""
    path = root / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    stored = summary.get("choosing", {})
    choice = choosing(judged, values, VoteConfig(**stored.get("select", {})), stored.get("model"))
    write_json(path, summary | {"choosing": to_json(choice), "majority_at": to_json(choice.rates.get("majority", {}))})
    return choice


def valued_outcomes(judged: Sequence[Judged], valued: Valued) -> list[Outcome]:
    """Scored attempts with their values; one that could not be valued is left out."""
    return [
        Outcome(row.problem.id, valued.log_odds[key], row.correct)
        for row in judged
        if row.scored and (key := (row.problem.id, row.trajectory.sample_index)) in valued.log_odds
    ]


def _value_rules(select: VoteConfig, models: Sequence[str]) -> dict[str, Rule]:
    """The strategies that go by values, for every value model, with the parameters given."""
    return {
        name if len(models) == 1 else f"{name} by {model}": Rule(replace(select, strategy=name), model)
        for model in models
        for name in VALUED
    }


def _model_for(select: VoteConfig, values: Sequence[Valued], preferred: str | None) -> str | None:
    if not select.needs_values or not values:
        return None
    names = [valued.name for valued in values]
    if preferred in names:
        return preferred
    if len(names) > 1:
        raise UsageError(f"several models have valued these attempts ({', '.join(names)}); name one: --value.model")
    return names[0]


def _ks(judged: Sequence[Judged]) -> list[int]:
    """1, 2, 4, 8, … and the number of samples itself; nothing where problems have one sample each."""
    most = max((row.trajectory.sample_index + 1 for row in judged), default=1)
    return sorted({2**i for i in range(most.bit_length()) if 2**i <= most} | {most}) if most > 1 else []


def _by(judged: Sequence[Judged], key: Callable[[Judged], str]) -> dict[str, Estimate]:
    parts: dict[str, list[Judged]] = {}
    for row in judged:
        parts.setdefault(key(row), []).append(row)
    return {name: accuracy(rows) for name, rows in sorted(parts.items()) if name}
