"""Choosing one answer among the samples of a problem: by order, by number, by value, or by both.

One idea: a strategy gives every class of equal answers a weight, and may drop classes first; the heaviest class wins,
and its best member is the sample chosen. `tally` shows the whole count, so that a choice can be explained.

    first         the first sample that has an answer
    majority      the class with most samples
    ovm           the class of the highest value: best of k by the outcome value model
    outlier-free  the same among the classes with enough support (ours; see `VoteConfig`)
    weighted      the class whose samples' probabilities add up to most

Ties go to more samples, then to the earlier sample. A sample without an answer is in no class and never chosen.
What this module does not do: group answers (`grade.group`), make values (`value`), or know which answer is right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from mario.errors import UsageError
from mario.value.calibrate import sigmoid

Strategy = Literal["first", "majority", "ovm", "outlier-free", "weighted"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
VALUED: tuple[Strategy, ...] = ("ovm", "outlier-free", "weighted")


@dataclass(frozen=True, slots=True)
class VoteConfig:
    """Choosing among the samples of a problem.

    The abstract of the paper names the outlier-free OVM; its text is not public, and min_count, min_share and what
    happens when nothing has support are ours.

    strategy: first, majority; by a value model ovm (best of k), outlier-free (the same without rare answers), weighted
    min_count: outlier-free: answers that fewer samples gave are dropped
    min_share: outlier-free: answers that a smaller share of the answered samples gave are dropped
    weight: weighted: how the probabilities of one answer's samples become its weight; max is ovm
    """

    strategy: Strategy = "first"
    min_count: int = 2
    min_share: float = 0.1
    weight: Literal["sum", "mean", "max"] = "sum"

    def __post_init__(self) -> None:
        if self.min_count < 1:
            raise UsageError(f"select.min_count must be a positive integer, got {self.min_count}")
        if not 0 <= self.min_share <= 1:
            raise UsageError(f"select.min_share must be from 0 to 1, got {self.min_share:g}")

    @property
    def needs_values(self) -> bool:
        return self.strategy in VALUED


@dataclass(frozen=True, slots=True)
class Tally:
    """One class of equal answers in the count: `members` by sample, `chosen` the one that stands for it."""

    members: tuple[int, ...]
    chosen: int
    weight: float
    kept: bool  # False: an outlier, dropped before the choice


def tally(classes: Sequence[Sequence[int]], log_odds: Sequence[float] | None, config: VoteConfig) -> tuple[Tally, ...]:
    """The count, best class first: the first kept one is the choice.

    `classes` are samples by equal answer, as `grade.group` gives them, empty ones left out; `log_odds` one a sample
    (-inf where a sample could not be valued), wanted by the strategies in `VALUED`.

    Raises:
        UsageError: the strategy needs values and there are none.
    """
    if config.needs_values and log_odds is None:
        raise UsageError(f"select = {config.strategy} needs values; name a value model: --value.model DIRECTORY")
    values = log_odds if log_odds is not None and config.needs_values else None
    cut = _support(classes, config) if config.strategy == "outlier-free" else 1
    counted = [_count(members, values, config, len(members) >= cut) for members in classes]
    return tuple(sorted(counted, key=lambda t: (not t.kept, -t.weight, -len(t.members), min(t.members))))


def choose(classes: Sequence[Sequence[int]], log_odds: Sequence[float] | None, config: VoteConfig) -> int | None:
    """The sample chosen, or None when no sample has an answer; see `tally`."""
    counted = tally(classes, log_odds, config)
    return counted[0].chosen if counted else None


def _count(members: Sequence[int], values: Sequence[float] | None, config: VoteConfig, kept: bool) -> Tally:
    chosen = min(members) if values is None else min(members, key=lambda i: (-values[i], i))
    return Tally(tuple(sorted(members)), chosen, _weight(members, values, config), kept)


def _weight(members: Sequence[int], values: Sequence[float] | None, config: VoteConfig) -> float:
    if config.strategy == "first":
        return -min(members)
    if values is None:
        return len(members)
    if config.strategy != "weighted" or config.weight == "max":
        return max(values[i] for i in members)  # log-odds rank as probabilities do, and never round to a tie at 1
    total = math.fsum(sigmoid(values[i]) for i in members)
    return total if config.weight == "sum" else total / len(members)


def _support(classes: Sequence[Sequence[int]], config: VoteConfig) -> int:
    """Samples that an answer must have not to be an outlier.

    Never more than the best supported answer has: so plain OVM is left when every answer stands alone, and majority
    when the cut reaches the top.
    """
    sizes = [len(members) for members in classes]
    wanted = max(config.min_count, math.ceil(config.min_share * sum(sizes) - 1e-9))
    return min(wanted, max(sizes, default=1))
