"""How far values can be trusted: do they rank right above wrong, and does 0.8 mean four in five?

One idea: ranking and calibration are two questions. AUROC asks the first and no temperature changes it; Brier score,
log loss, expected calibration error and the reliability diagram ask the second, and a temperature (and, where asked, a
bias) is fitted for it by maximum likelihood. A problem is the unit of chance throughout: samples of one problem are
not independent, so intervals are taken over problems and problems, never samples, are split.

Values are log-odds here. What this module does not do: read files, or know what a model is.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mario.estimate import Z95, Estimate, wilson
from mario.provenance import derive_seed

BINS = 10
_COOLEST, _HOTTEST = 0.01, 100.0  # temperatures; a fit that runs into one of these says that the values rank nothing
_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """One valued attempt: log-odds at the end of every turn, the last one of the whole, and whether it was right."""

    problem_id: str
    log_odds: tuple[float, ...]
    correct: bool

    @property
    def last(self) -> float:
        return self.log_odds[-1]


@dataclass(frozen=True, slots=True)
class Bin:
    """A bar of the reliability diagram: the attempts valued from `low` up to `high`, and the share that is right."""

    low: float
    high: float
    samples: int
    value: float  # mean
    right: Estimate


@dataclass(frozen=True, slots=True)
class AtStep:
    """Values at the end of turn `step` (from 1), over the attempts that have so many turns."""

    step: int
    samples: int
    auroc: Estimate
    mean_right: float  # NaN where there is none
    mean_wrong: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How good values are; `right` is the share of right attempts, `within` AUROC among attempts at one problem."""

    samples: int
    right: Estimate
    brier: Estimate
    log_loss: float
    error: float  # expected calibration error
    auroc: Estimate
    within: Estimate
    bins: tuple[Bin, ...]
    steps: tuple[AtStep, ...]


def quality(outcomes: Sequence[Outcome]) -> Quality:
    """Everything a report says of one set of values."""
    last = [(o.problem_id, o.last, o.correct) for o in outcomes]
    bins = reliability(outcomes)
    return Quality(
        samples=len(outcomes),
        right=_share([(name, float(correct)) for name, _, correct in last]),
        brier=_share([(name, (sigmoid(value) - correct) ** 2) for name, value, correct in last]),
        log_loss=log_loss([(value, correct) for _, value, correct in last]),
        error=sum(b.samples * abs(b.value - b.right.value) for b in bins) / max(1, len(outcomes)),
        auroc=auroc_by_problem(last),
        within=auroc_within(last),
        bins=bins,
        steps=by_step(outcomes),
    )


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def log_loss(rows: Iterable[tuple[float, bool]]) -> float:
    """Mean of -log(probability of what happened), in nats; NaN over nothing."""
    losses = [_softplus(-value if correct else value) for value, correct in rows]
    return math.fsum(losses) / len(losses) if losses else math.nan


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def auroc(right: Sequence[float], wrong: Sequence[float]) -> float:
    """Chance that a right attempt is valued above a wrong one, a tie counting half; NaN without one of either.

    The Mann-Whitney statistic, in n log n.
    """
    if not right or not wrong:
        return math.nan
    ordered = sorted(wrong)
    beaten = sum(bisect_left(ordered, value) + bisect_right(ordered, value) for value in right)
    return beaten / (2 * len(right) * len(wrong))


def auroc_by_problem(rows: Sequence[tuple[str, float, bool]]) -> Estimate:
    """AUROC over all attempts, with an interval that treats a problem's attempts as one draw.

    Variance after Obuchowski 1997, doi 10.2307/2533958: the structural components, summed by problem.
    """
    right = sorted(value for _, value, correct in rows if correct)
    wrong = sorted(value for _, value, correct in rows if not correct)
    area = auroc(right, wrong)
    problems = {name for name, _, _ in rows}
    count = len(problems)
    if math.isnan(area) or count < 2:
        return Estimate(area, math.nan, math.nan, count)
    # For each problem, how much its right (wrong) attempts exceed what the area lets expect of them.
    above = dict.fromkeys(problems, 0.0)
    below = dict.fromkeys(problems, 0.0)
    for name, value, correct in rows:
        others = wrong if correct else right
        beaten = (bisect_left(others, value) + bisect_right(others, value)) / (2 * len(others))
        if correct:
            above[name] += beaten - area
        else:
            below[name] += (1 - beaten) - area
    terms = [above[name] / len(right) + below[name] / len(wrong) for name in problems]
    error = math.sqrt(count / (count - 1) * math.fsum(term * term for term in terms))
    return Estimate(area, max(0.0, area - Z95 * error), min(1.0, area + Z95 * error), count)


def auroc_within(rows: Sequence[tuple[str, float, bool]]) -> Estimate:
    """Mean AUROC among the attempts at one problem, over the problems that have right and wrong ones.

    This is what choosing among samples rests on; a value model that only tells easy problems from hard ones has 0.5.
    """
    right: dict[str, list[float]] = {}
    wrong: dict[str, list[float]] = {}
    for name, value, correct in rows:
        (right if correct else wrong).setdefault(name, []).append(value)
    return _share([(name, auroc(right[name], wrong[name])) for name in right if name in wrong])


def reliability(outcomes: Sequence[Outcome], bins: int = BINS) -> tuple[Bin, ...]:
    """Attempts in bins of equal width by the probability at their end; empty bins are left out."""
    rows: dict[int, list[tuple[str, float, bool]]] = {}
    for o in outcomes:
        value = sigmoid(o.last)
        rows.setdefault(min(bins - 1, int(value * bins)), []).append((o.problem_id, value, o.correct))
    return tuple(
        Bin(
            low=k / bins,
            high=(k + 1) / bins,
            samples=len(found),
            value=math.fsum(value for _, value, _ in found) / len(found),
            right=_share([(name, float(correct)) for name, _, correct in found]),
        )
        for k, found in sorted(rows.items())
    )


def by_step(outcomes: Sequence[Outcome], longest: int = 8) -> tuple[AtStep, ...]:
    """How early values know: AUROC and means after each turn, over the attempts that have so many."""
    found = []
    for step in range(1, min(longest, max((len(o.log_odds) for o in outcomes), default=0)) + 1):
        rows = [(o.problem_id, o.log_odds[step - 1], o.correct) for o in outcomes if len(o.log_odds) >= step]
        means = [_mean([sigmoid(value) for _, value, correct in rows if correct is side]) for side in (True, False)]
        found.append(AtStep(step, len(rows), auroc_by_problem(rows), *means))
    return tuple(found)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _share(rows: Sequence[tuple[str, float]]) -> Estimate:
    """Mean of numbers from 0 to 1 over attempts; the interval is a ratio estimator's, over problems.

    Where nothing varies (all 0, or all 1) it is Wilson's, with as many draws as there are problems.
    """
    sums: dict[str, tuple[float, int]] = {}
    for name, value in rows:
        total, count = sums.get(name, (0.0, 0))
        sums[name] = total + value, count + 1
    n = len(sums)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    mean = math.fsum(value for _, value in rows) / len(rows)
    if mean in (0.0, 1.0):
        return wilson(round(mean * n), n)
    if n == 1:
        return Estimate(mean, math.nan, math.nan, 1)
    spread = math.fsum((total - mean * count) ** 2 for total, count in sums.values())
    error = math.sqrt(n / (n - 1) * spread) / len(rows)
    return Estimate(mean, max(0.0, mean - Z95 * error), min(1.0, mean + Z95 * error), n)


def halves(problem_ids: Iterable[str], seed: int) -> tuple[frozenset[str], frozenset[str]]:
    """Problems to fit on and problems to check on; a problem's half depends on its id and the seed alone."""
    known = frozenset(problem_ids)
    first = frozenset(name for name in known if derive_seed(seed, "calibrate", name) % 2 == 0)
    return first, known - first


@dataclass(frozen=True, slots=True)
class Fit:
    """log-odds become log_odds / temperature + bias."""

    temperature: float
    bias: float

    def __call__(self, log_odds: float) -> float:
        return log_odds / self.temperature + self.bias


def fit(rows: Sequence[tuple[float, bool]], *, with_bias: bool = False) -> Fit:
    """The temperature (and the bias) that makes what happened most likely.

    Guo et al. 2017, arXiv 1706.04599, section 4.2; with a bias it is Platt's scaling. The loss is convex in
    (1 / temperature, bias), so where the best temperature lies out of bounds the best allowed one is the bound, and the
    order of values is always kept.
    """
    slope, bias = _minimise(rows, (1.0, 0.0), free=(True, with_bias))
    allowed = min(1 / _COOLEST, max(1 / _HOTTEST, slope))
    if allowed != slope:
        slope, bias = _minimise(rows, (allowed, 0.0), free=(False, with_bias))
    return Fit(1 / slope, bias)


def _minimise(
    rows: Sequence[tuple[float, bool]], start: tuple[float, float], *, free: tuple[bool, bool]
) -> tuple[float, float]:
    """Slope and bias of least loss, those that are free moving: Newton's method, each step halved until it helps."""
    slope, bias = start
    loss = _loss(rows, slope, bias)
    for _ in range(_ROUNDS):
        step = _newton(*_derivatives(rows, slope, bias, free))
        share, found, trial = 1.0, math.inf, (slope, bias)
        while share > 1e-9 and not found < loss:
            trial = slope - share * step[0], bias - share * step[1]
            found, share = _loss(rows, *trial), share / 2
        if not found < loss:
            break
        gain = loss - found
        (slope, bias), loss = trial, found
        if gain < 1e-12:
            break
    return slope, bias


def _loss(rows: Sequence[tuple[float, bool]], slope: float, bias: float) -> float:
    return log_loss((slope * value + bias, correct) for value, correct in rows)


def _derivatives(
    rows: Sequence[tuple[float, bool]], slope: float, bias: float, free: tuple[bool, bool]
) -> tuple[tuple[float, float], tuple[float, float, float]]:
    """Of the summed loss by (slope, bias), and the three distinct second ones; 0 for what is not free."""
    by_slope = by_bias = slope2 = mixed = bias2 = 0.0
    for value, correct in rows:
        p = sigmoid(slope * value + bias)
        weight = p * (1 - p)
        by_slope += (p - correct) * value
        by_bias += p - correct
        slope2 += weight * value * value
        mixed += weight * value
        bias2 += weight
    return (by_slope * free[0], by_bias * free[1]), (slope2, mixed * (free[0] and free[1]), bias2)


def _newton(gradient: tuple[float, float], curvature: tuple[float, float, float]) -> tuple[float, float]:
    (a, b), (aa, ab, bb) = gradient, curvature
    aa, bb = aa + 1e-9, bb + 1e-9  # where all is certain the loss is flat: take a long step, halved if too long
    determinant = aa * bb - ab * ab
    if determinant <= 0:
        return a / aa, b / bb
    return (bb * a - ab * b) / determinant, (aa * b - ab * a) / determinant
