"""What will the whole run use? A pilot says so: 2 % of the problems, drawn by lot and attempted before the others.

One idea: data sets are sorted (by subject, by level), so the first problems tell little of the rest; problems drawn by
lot tell all of it, with an interval. Whether a problem is drawn depends on its id alone, and the order of attempts
changes no result.

What this module does not do: it knows no price, and it does not guess before it has seen the pilot end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import fmean, stdev

from mario.provenance import derive_seed
from mario.solve.run import Listener, Progress
from mario.types import Problem, Trajectory

SHARE, LEAST = 0.02, 20  # of the problems, and how many at least
_WORTHWHILE = 5 * LEAST  # problems below which the run itself tells soon enough


@dataclass(frozen=True, slots=True)
class Forecast:
    """Tokens of all attempts at all problems; `spread` is half the width of the 95 % interval, as a share."""

    pilot: int
    problems: int
    prompt_tokens: int
    completion_tokens: int
    spread: float


class Pilot(Iterable[Problem]):
    """The problems of a run, those of the pilot first; `read` gives them anew at every call."""

    def __init__(self, read: Callable[[], Iterable[Problem]], total: int, samples: int) -> None:
        self._read = read
        self._total = total
        self._samples = samples
        self._share = max(SHARE, LEAST / max(1, total)) if total >= _WORTHWHILE else 0.0
        self._used: dict[str, list[tuple[int, int]]] = {}
        self._is_known = False  # whether all of the pilot's problems have been handed out
        self._told = False

    def __iter__(self) -> Iterator[Problem]:
        for problem in self._read() if self._share else ():
            if self._is_drawn(problem.id):
                self._used.setdefault(problem.id, [])
                yield problem
        self._is_known = True
        for problem in self._read():
            if not self._is_drawn(problem.id):
                yield problem

    def add(self, trajectory: Trajectory, failures: int) -> Forecast | None:
        """Count an attempt that ended, told how many have failed so far; the forecast, once, when the pilot is over.

        A resumed pilot gives none: what it stored before it was stopped does not come by here.
        """
        used = self._used.get(trajectory.problem_id)
        if used is not None and not self._told:
            used.append((trajectory.prompt_tokens, trajectory.completion_tokens))
        ended = sum(map(len, self._used.values())) if self._is_known and not self._told else 0
        if not ended or ended + failures < len(self._used) * self._samples:
            return None
        self._told = True
        return _forecast([_mean(each) for each in self._used.values() if each], self._total, self._samples)

    def watching(self, on_progress: Listener, on_forecast: Callable[[Forecast], None]) -> Listener:
        """A listener that counts for the pilot what it passes on."""

        def watch(progress: Progress, latest: Trajectory | None) -> None:
            if latest is not None and (forecast := self.add(latest, progress.failed)):
                on_forecast(forecast)
            on_progress(progress, latest)

        return watch

    def _is_drawn(self, problem_id: str) -> bool:
        return derive_seed("pilot", problem_id) < self._share * 2**63


def _mean(attempts: list[tuple[int, int]]) -> tuple[float, float]:
    return fmean(a for a, _ in attempts), fmean(b for _, b in attempts)


def _forecast(means: list[tuple[float, float]], total: int, samples: int) -> Forecast | None:
    prompt, completion = fmean(a for a, _ in means), fmean(b for _, b in means)
    sums = [a + b for a, b in means]
    if len(means) < 2 or not any(sums):  # the server reports no usage
        return None
    error = stdev(sums) / math.sqrt(len(sums)) * math.sqrt(1 - len(sums) / total)
    return Forecast(
        len(means),
        total,
        round(prompt * samples * total),
        round(completion * samples * total),
        1.96 * error / fmean(sums),
    )
