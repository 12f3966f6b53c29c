"""Which attempt next? A pure policy that gives samples to the problems that can still win something.

The aim is `target` distinct correct programs a problem. One idea: the next sample of a problem is worth the chance that
it brings a *new* correct program,

    gain = E[p | c of n samples were correct] · E[v / (v + c) | the c correct ones were d programs]

p is the problem's pass rate and v its variety: programs come as in a Chinese restaurant with concentration v (Pitman
2006, doi 10.1007/b11601500, ch. 3), where the next correct sample is new with chance v / (v + c). How p and v are
spread is read from the problems themselves at every wave: weights on a grid, by expectation and maximisation (Laird
1978, doi 10.1080/01621459.1978.10480103). So half a pool of hopeless problems, or a model that always writes the same
program, is seen as such after a few samples each, and no shape of the spread is assumed. Where the problems come in
groups (levels of difficulty), each group's pass rates are read apart, leaning on the whole pool's.

A problem is left alone when it is finished, has had `max_samples`, or promises less than `min_gain`. Large waves waste:
what finds no promising problem goes to the others. Decisions fall at wave boundaries only and depend on outcomes only,
in the order of the problems and sample indices. So a run that is killed and resumed decides as before, whatever the
order in which its attempts arrived: it replays what is stored.

What this module does not do: it samples nothing, grades nothing and reads no store; what counts as one program is the
caller's word (`transcript.shape`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mario.errors import UsageError


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """How samples are shared out among problems.

    target: distinct correct programs that finish a problem
    max_samples: of one problem, at most
    min_samples: of one problem, before it may be given up
    total: samples of the round, at most; none leaves it to the other rules
    min_gain: a problem is given up while its next sample promises fewer new programs than this; 0 never gives up
    wave: samples between two decisions; none takes an eighth of the number of problems, but at least 32
    group: level, subject or a tag of the problems that tells how hard they are: its values' pass rates are read apart
    """

    target: int = 4
    max_samples: int = 16
    min_samples: int = 4
    total: int | None = None
    min_gain: float = 0.02
    wave: int | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        for name in ("target", "max_samples", "min_samples", "total", "wave"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"budget.{name} must be a positive integer, got {value}")
        if not 0 <= self.min_gain < 1:
            raise UsageError(f"budget.min_gain must be at least 0 and below 1, got {self.min_gain}")


class Attempt(NamedTuple):
    problem_id: str
    sample_index: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What is known of one problem: its samples, and how often each correct program came.

    `known` are programs of earlier rounds; one of them is correct, but not new.
    """

    problem_id: str
    samples: int = 0
    correct: int = 0
    programs: Mapping[str, int] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    group: str = ""

    def after(self, program: str | None) -> Tally:
        """With one more outcome: the program of a correct attempt, None for any other."""
        if program is None:
            return replace(self, samples=self.samples + 1)
        programs = self.programs
        if program not in self.known:
            programs = {**programs, program: programs.get(program, 0) + 1}
        return replace(self, samples=self.samples + 1, correct=self.correct + 1, programs=programs)

    @property
    def distinct(self) -> int:
        return len(self.programs) + len(self.known)


def waves(
    problems: Iterable[str],
    config: BudgetConfig,
    known: Mapping[str, frozenset[str]] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Generator[list[Attempt], Mapping[Attempt, str | None], None]:
    """Waves of attempts, in order; each is answered with its outcomes (`send`) before the next is decided.

    An outcome is the program of a correct attempt, None for any other. `known` holds programs of earlier rounds,
    `groups` the group of each problem.
    """
    known, groups = known or {}, groups or {}
    tallies = {name: Tally(name, known=known.get(name, frozenset()), group=groups.get(name, "")) for name in problems}
    while wave := next_wave(list(tallies.values()), config):
        outcomes = yield wave
        for attempt in wave:
            tallies[attempt.problem_id] = tallies[attempt.problem_id].after(outcomes[attempt])


def next_wave(tallies: Sequence[Tally], config: BudgetConfig) -> list[Attempt]:
    """The attempts to make next, the most promising problems first; empty when the round is over.

    A problem gets no more samples in a wave than it lacks programs, so none is drawn for one that is finished.
    """
    room = config.wave or max(_SMALLEST_WAVE, len(tallies) // 8)
    if config.total is not None:
        room = min(room, config.total - sum(tally.samples for tally in tallies))
    pool = Pool.of(tallies)
    ranked = sorted(
        ((pool.gain(tally), tally) for tally in tallies if _open(tally, config)),
        key=lambda pair: -pair[0],  # the sort is stable: equal gains keep the order of the problems
    )
    wave: list[Attempt] = []
    for turn in range(config.target):
        for gain, tally in ranked:
            if len(wave) >= room:
                return wave
            granted = config.max_samples if gain >= config.min_gain else min(config.min_samples, config.max_samples)
            if turn < min(config.target - tally.distinct, granted - tally.samples):
                wave.append(Attempt(tally.problem_id, tally.samples + turn))
    return wave


_SMALLEST_WAVE = 32  # so that a model that decodes a batch together has one


def _open(tally: Tally, config: BudgetConfig) -> bool:
    return tally.distinct < config.target and tally.samples < config.max_samples


# Pass rates and varieties: finer where a step changes more of what is decided.
_RATES = (0.001, 0.003, 0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 0.995)
_VARIETIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_IMAGINED = 4.0  # problems imagined beside the real ones, so that the first outcomes do not decide alone
_TURNS = 40  # of expectation and maximisation; more move no decision
Pair = tuple[int, int]


@dataclass(frozen=True)
class Pool:
    """How pass rates and varieties are spread over the problems of a pool, as far as their outcomes tell.

    That problems were sampled unequally does no harm: how many samples a problem had followed from outcomes alone,
    and such a stopping rule leaves the likelihood as it is.
    """

    rates: Sequence[float]  # weights of _RATES
    groups: Mapping[str, Sequence[float]]  # the same, for each group where there are several
    varieties: Sequence[float]  # weights of _VARIETIES
    _gains: dict[tuple[str, int, int, int, int], float] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, tallies: Iterable[Tally]) -> Pool:
        groups: dict[str, Counter[Pair]] = {}
        varieties: Counter[Pair] = Counter()
        for tally in tallies:
            if tally.samples:
                groups.setdefault(tally.group, Counter())[tally.samples, tally.correct] += 1
            if tally.correct > 1:  # the first is always new
                varieties[tally.correct, len(tally.programs)] += 1
        whole = _spread(sum(groups.values(), Counter()), _passing, _RATES, _even(_RATES))
        apart = groups if len(groups) > 1 else {}
        rates = {name: _spread(seen, _passing, _RATES, whole) for name, seen in apart.items()}
        return cls(whole, rates, _spread(varieties, _varying, _VARIETIES, _even(_VARIETIES)))

    def gain(self, tally: Tally) -> float:
        """Chance that the next sample is a new correct program; the formula stands at the top."""
        key = (tally.group, tally.samples, tally.correct, len(tally.programs), len(tally.known))
        if key not in self._gains:
            self._gains[key] = self._gain(*key)
        return self._gains[key]

    def _gain(self, group: str, samples: int, correct: int, programs: int, known: int) -> float:
        return self.passing(group, samples, correct) * self.new(correct, programs, known)

    def passing(self, group: str, samples: int, correct: int) -> float:
        """Chance that the next sample is correct."""
        weights = _posterior(self.groups.get(group, self.rates), [_passing(p, samples, correct) for p in _RATES])
        return math.fsum(w * p for w, p in zip(weights, _RATES, strict=True))

    def new(self, correct: int, programs: int, known: int = 0) -> float:
        """Chance that the next correct sample is a new program."""
        weights = _posterior(self.varieties, [_varying(v, correct, programs) for v in _VARIETIES])
        return math.fsum(w * v / (v + correct + known) for w, v in zip(weights, _VARIETIES, strict=True))


def _passing(rate: float, samples: int, correct: int) -> float:
    """Logarithm of the chance of these outcomes, in their order."""
    return correct * math.log(rate) + (samples - correct) * math.log1p(-rate)


def _varying(variety: float, correct: int, programs: int) -> float:
    """Logarithm of the chance that so many correct samples are so many programs, but for a factor without variety."""
    return programs * math.log(variety) + math.lgamma(variety) - math.lgamma(variety + correct)


def _spread(
    seen: Mapping[Pair, int],
    likelihood: Callable[[float, int, int], float],
    grid: Sequence[float],
    imagined: Sequence[float],
) -> list[float]:
    """Weights of the grid's values under which what was seen is likeliest, with problems imagined by these weights."""
    rows = [([likelihood(value, *pair) for value in grid], many) for pair, many in sorted(seen.items())]
    weights = list(imagined)
    for _ in range(_TURNS if rows else 0):
        shares = [[many * share for share in _posterior(weights, row)] for row, many in rows]
        columns = zip(imagined, *shares, strict=True)
        totals = [_IMAGINED * first + math.fsum(column) for first, *column in columns]
        weights = [total / math.fsum(totals) for total in totals]
    return weights


def _even(grid: Sequence[float]) -> list[float]:
    return [1 / len(grid)] * len(grid)


def _posterior(weights: Sequence[float], logs: Sequence[float]) -> list[float]:
    most = max(logs)
    joint = [weight * math.exp(log - most) for weight, log in zip(weights, logs, strict=True)]
    total = math.fsum(joint)
    return [one / total for one in joint]
