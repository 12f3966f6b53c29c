"""Numbers with their uncertainty: accuracy, pass@k, and the paired comparison of two runs.

One idea: a problem is the unit of chance. Samples of one problem are not independent, so intervals are taken over
problems. A problem whose reference cannot be read is unscored: it is counted, and left out of every rate.

Axes: N problems, K samples a problem. What this module does not do: grade, read a store, or choose among samples
(`choices`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from mario.estimate import Z95, Estimate, clustered, wilson
from mario.types import Problem, Trajectory, Verdict, VerdictStatus

__all__ = [
    "Comparison",
    "Estimate",
    "Judged",
    "accuracy",
    "by_problem",
    "clustered",
    "compare",
    "compare_outcomes",
    "pass_at",
    "pass_at_k",
    "wilson",
]


@dataclass(frozen=True, slots=True)
class Judged:
    """One graded attempt, with everything needed to follow it back to its problem."""

    problem: Problem
    trajectory: Trajectory
    verdict: Verdict

    @property
    def scored(self) -> bool:
        return self.verdict.status is not VerdictStatus.REFERENCE_UNPARSED

    @property
    def correct(self) -> bool:
        return self.verdict.equivalent


def pass_at_k(correct: int, total: int, k: int) -> float:
    """Chance that at least one of k samples is correct, without replacement.

    Unbiased estimate 1 - C(total - correct, k) / C(total, k); arXiv 2107.03374, eq. 1.
    Returns NaN when total < k: the estimate is undefined, not zero.
    """
    if total < k or k < 1:
        return math.nan
    return 1.0 - math.comb(total - correct, k) / math.comb(total, k)


def by_problem(judged: Iterable[Judged]) -> dict[str, list[Judged]]:
    """Scored attempts of each problem, in sample order."""
    found: dict[str, list[Judged]] = {}
    for row in judged:
        if row.scored:
            found.setdefault(row.problem.id, []).append(row)
    for rows in found.values():
        rows.sort(key=lambda row: row.trajectory.sample_index)
    return found


def accuracy(judged: Iterable[Judged]) -> Estimate:
    """pass@1: the mean over problems of the share of correct samples."""
    return clustered([sum(r.correct for r in rows) / len(rows) for rows in by_problem(judged).values()])


def pass_at(judged: Iterable[Judged], k: int) -> Estimate:
    """pass@k over the problems that have at least k samples."""
    rates = [pass_at_k(sum(r.correct for r in rows), len(rows), k) for rows in by_problem(judged).values()]
    return clustered([rate for rate in rates if not math.isnan(rate)])


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs on the same problems: how often only one of them is right, and how likely that is by chance."""

    only_first: int
    only_second: int
    both: int
    neither: int
    difference: Estimate  # first minus second
    p_value: float  # exact McNemar, two sided

    @property
    def n(self) -> int:
        return self.only_first + self.only_second + self.both + self.neither


def compare(first: Iterable[Judged], second: Iterable[Judged]) -> Comparison:
    """Pair two runs by problem (sample 0 of each)."""
    left, right = by_problem(first), by_problem(second)
    return compare_outcomes([(left[key][0].correct, right[key][0].correct) for key in left if key in right])


def compare_outcomes(pairs: Sequence[tuple[bool, bool]]) -> Comparison:
    """Two ways on the same problems, one pair a problem; exact McNemar test, doi 10.1007/BF02295996."""
    only_first = sum(a and not b for a, b in pairs)
    only_second = sum(b and not a for a, b in pairs)
    both = sum(a and b for a, b in pairs)
    n = len(pairs)
    mean = (only_first - only_second) / n if n else math.nan
    error = math.sqrt(((only_first + only_second) / n - mean**2) / n) if n else math.nan
    interval = Estimate(mean, max(-1.0, mean - Z95 * error), min(1.0, mean + Z95 * error), n)
    return Comparison(
        only_first,
        only_second,
        both,
        n - only_first - only_second - both,
        interval,
        _sign_test(only_first, only_second),
    )


def _sign_test(a: int, b: int) -> float:
    n = a + b
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, i) for i in range(min(a, b) + 1))
    return min(1.0, float(Fraction(2 * tail, 2**n)))
