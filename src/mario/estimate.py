"""A rate with its uncertainty, and the two ways to get one: from a count, and from one rate a problem.

One idea: a problem is the unit of chance; samples of one problem are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate with its 95 % interval over `n` problems; NaN throughout when n is 0."""

    value: float
    low: float
    high: float
    n: int


def wilson(successes: int, n: int, z: float = Z95) -> Estimate:
    """Score interval of a proportion; Wilson 1927, doi 10.1080/01621459.1927.10502953."""
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half), n)


def clustered(rates_N: Sequence[float]) -> Estimate:
    """Mean of per-problem rates; the interval is normal over problems, so samples of one problem count once."""
    n = len(rates_N)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    mean = math.fsum(rates_N) / n
    if all(rate in (0.0, 1.0) for rate in rates_N):
        return wilson(round(mean * n), n)
    error = math.sqrt(math.fsum((rate - mean) ** 2 for rate in rates_N) / (n - 1) / n) if n > 1 else math.nan
    return Estimate(mean, max(0.0, mean - Z95 * error), min(1.0, mean + Z95 * error), n)
