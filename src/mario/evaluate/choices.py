"""What choosing among samples is worth: every strategy at every k, from one stored set of samples.

One idea: the rate at k is the expectation over all sets of k of a problem's K samples, as pass@k is, so that all curves
stand on one axis: pass@k is their ceiling at every k, and none depends on which samples came first. Strategies are
judged on the same sets, and compared on the same problems.

All sets are gone through where there are at most `SETS` (exact up to K = 8), else so many drawn from a seed. Answers
are grouped once, over all samples of the problem: whether two are equal does not depend on k.

What this module does not do: it makes no values and reads no files.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from mario.estimate import Estimate, clustered
from mario.evaluate.metrics import Comparison, Judged, by_problem, compare_outcomes
from mario.provenance import derive_seed
from mario.solve.vote import VoteConfig, choose

SETS = 70  # C(8, 4): with K up to 8 nothing is drawn; beyond, the draw's error is small beside that of the problems

Grouper = Callable[[Sequence[str | None]], Sequence[Sequence[int]]]
Key = tuple[str, int]  # problem id, sample index


@dataclass(frozen=True, slots=True)
class Samples:
    """The K samples of one problem: classes of equal answers, verdicts, and log-odds by value model."""

    problem_id: str
    classes: tuple[tuple[int, ...], ...]
    correct: tuple[bool, ...]
    log_odds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def among(self, some: Sequence[int]) -> list[list[int]]:
        """The classes of some of the samples."""
        inside = set(some)
        return [found for members in self.classes if (found := [i for i in members if i in inside])]


@dataclass(frozen=True, slots=True)
class Rule:
    """A strategy, and the value model it goes by if it needs one."""

    config: VoteConfig
    model: str | None = None

    def chooses_right(self, samples: Samples, classes: Sequence[Sequence[int]]) -> bool:
        """Whether the choice among these classes of the samples is right; no answer at all is wrong."""
        chosen = choose(classes, samples.log_odds[self.model] if self.model else None, self.config)
        return chosen is not None and samples.correct[chosen]


def sampled(
    judged: Iterable[Judged], group: Grouper, values: Mapping[str, Mapping[Key, Sequence[float]]] | None = None
) -> list[Samples]:
    """Samples of every scored problem; `group` is `mario.grade.group`, `values` log-odds a turn by value model."""
    return [
        Samples(
            problem_id=name,
            classes=tuple(tuple(members) for members in group([row.trajectory.answer for row in rows])),
            correct=tuple(row.correct for row in rows),
            log_odds={
                model: tuple(known.get((name, row.trajectory.sample_index), (-math.inf,))[-1] for row in rows)
                for model, known in (values or {}).items()
            },
        )
        for name, rows in by_problem(judged).items()
    ]


def curves(samples: Sequence[Samples], rules: Mapping[str, Rule], ks: Sequence[int]) -> dict[str, dict[int, Estimate]]:
    """The rate of each rule at each k, over the problems that have at least k samples."""
    found: dict[str, dict[int, Estimate]] = {name: {} for name in rules}
    for k in ks:
        rates: dict[str, list[float]] = {name: [] for name in rules}
        for one in samples:
            if len(one.correct) >= k:
                for name, rate in _rates(one, rules, k).items():
                    rates[name].append(rate)
        for name in rules:
            found[name][k] = clustered(rates[name])
    return found


def _rates(one: Samples, rules: Mapping[str, Rule], k: int) -> dict[str, float]:
    if all(one.correct) or not any(one.correct):
        return dict.fromkeys(rules, float(one.correct[0]))
    sets = [one.among(some) for some in _sets(one, k)]
    return {name: sum(rule.chooses_right(one, found) for found in sets) / len(sets) for name, rule in rules.items()}


def _sets(one: Samples, k: int) -> Iterator[Sequence[int]]:
    """All sets of k samples, or `SETS` drawn ones; each in sample order, since ties look at it."""
    n = len(one.correct)
    if math.comb(n, k) <= SETS:
        yield from combinations(range(n), k)
        return
    draw = random.Random(derive_seed("sets", one.problem_id, k))
    for _ in range(SETS):
        yield sorted(draw.sample(range(n), k))


def majority_at(judged: Iterable[Judged], k: int, group: Grouper) -> Estimate:
    """maj@k: samples vote by equivalence class; those without an answer do not vote."""
    return curves(sampled(judged, group), {"majority": MAJORITY}, [k])["majority"][k]


MAJORITY = Rule(VoteConfig("majority"))


def outcomes(samples: Sequence[Samples], rule: Rule) -> dict[str, bool]:
    """Whether the choice among all samples is right, by problem, over the problems that have the most samples."""
    most = max((len(one.correct) for one in samples), default=0)
    return {one.problem_id: rule.chooses_right(one, one.classes) for one in samples if len(one.correct) == most}


def compare_rules(samples: Sequence[Samples], first: Rule, second: Rule) -> Comparison:
    """Two rules on the same samples, at the largest k."""
    left, right = outcomes(samples, first), outcomes(samples, second)
    return compare_outcomes([(left[name], right[name]) for name in left])
