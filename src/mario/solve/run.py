"""Attempts written into an output directory; the same call goes on where the last one stopped."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mario.engine.protocol import Engine
from mario.interpreter.protocol import AsyncInterpreter
from mario.solve.rollout import Rollout, SolveConfig, start
from mario.solve.schedule import Schedule
from mario.store import RunStore
from mario.transcript import Demonstration, format_named
from mario.types import Failure, ObservationStatus, Problem, Trajectory


@dataclass(slots=True)
class Progress:
    """What a run has done so far; the command line renders it."""

    total: int | None
    done: int = 0
    resumed: int = 0  # of `done`, stored by an earlier run
    failed: int = 0
    answered: int = 0
    snippets: int = 0
    snippet_errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    stop_reasons: Counter[str] = field(default_factory=Counter)

    def count(self, trajectory: Trajectory) -> None:
        self.done += 1
        self.answered += trajectory.answer is not None
        observations = [step.observation for step in trajectory.steps if step.observation]
        self.snippets += len(observations)
        self.snippet_errors += sum(seen.status is not ObservationStatus.OK for seen in observations)
        self.prompt_tokens += trajectory.prompt_tokens
        self.completion_tokens += trajectory.completion_tokens
        self.stop_reasons[trajectory.stop_reason.value] += 1

    def counts(self) -> dict[str, Any]:
        return {
            "trajectories": self.done,
            "failures": self.failed,
            "answered": self.answered,
            "snippets": self.snippets,
            "snippet_errors": self.snippet_errors,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "stop_reasons": dict(sorted(self.stop_reasons.items())),
        }


async def solve_into(
    store: RunStore,
    problems: Iterable[Problem],
    engine: Engine,
    interpreter: AsyncInterpreter,
    config: SolveConfig,
    *,
    demonstrations: Sequence[Demonstration] = (),
    interpreter_key: str = "",
    total: int | None = None,
    on_progress: Callable[[Progress, Trajectory | None], None] = lambda *_: None,
) -> Progress:
    """Attempt what the store does not hold yet, seal it, and say what there is.

    Raises:
        EngineError, InterpreterError, StoreError: a lasting fault of ours; what is finished is stored.
    """
    began = time.monotonic()
    progress = Progress(total)
    for stored in store.scan(sealed=False):
        progress.count(stored)
    progress.resumed = progress.done
    on_progress(progress, None)
    schedule = Schedule(engine, interpreter, store.journal, interpreter_key)

    def keep(trajectory: Trajectory) -> None:
        store.add(trajectory)
        progress.count(trajectory)
        progress.failed = len(schedule.failures)
        on_progress(progress, trajectory)

    try:
        await schedule.run_all(
            _missing(store, problems, engine.name, config, tuple(demonstrations)), config.concurrency, keep
        )
    except ExceptionGroup as group:
        raise _first(group) from group
    finally:
        store.write_failures(schedule.failures)
    progress.failed = len(schedule.failures)
    store.finish(progress.counts(), time.monotonic() - began)
    return progress


def _missing(
    store: RunStore,
    problems: Iterable[Problem],
    model: str,
    config: SolveConfig,
    demonstrations: tuple[Demonstration, ...],
) -> Iterator[Rollout]:
    format = format_named(config.format)
    for problem in problems:
        for index in range(config.samples):
            if (problem.id, index) not in store.done:
                yield start(problem, index, model, config, format, demonstrations)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


__all__ = ["Failure", "Progress", "solve_into"]
