"""Attempts written into an output directory; the same call goes on where the last one stopped."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mario.engine.ledger import ledger_of
from mario.engine.protocol import Engine
from mario.engine.spend import Spend
from mario.errors import BudgetReached
from mario.grade import grade
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
    resumed_tokens: int = 0  # of `completion_tokens`
    stop_reasons: Counter[str] = field(default_factory=Counter)
    tried: set[str] = field(default_factory=set)  # problems with an attempt that ended in this process
    solved: set[str] = field(default_factory=set)  # of those, the ones with a right answer
    in_flight: int = 0
    draining: bool = False
    spend: Spend | None = None  # what the engine's calls have cost, where it keeps a ledger
    spent: BudgetReached | None = None  # why attempts are left over, when the budget is the reason

    def count(self, trajectory: Trajectory) -> None:
        self.done += 1
        self.answered += trajectory.answer is not None
        observations = [step.observation for step in trajectory.steps if step.observation]
        self.snippets += len(observations)
        self.snippet_errors += sum(seen.status is not ObservationStatus.OK for seen in observations)
        self.prompt_tokens += trajectory.prompt_tokens
        self.completion_tokens += trajectory.completion_tokens
        self.stop_reasons[trajectory.stop_reason.value] += 1

    def judge(self, problem: Problem, trajectory: Trajectory) -> None:
        """Whether a problem is solved, for people who watch; verdicts that count are made from the stored attempts."""
        self.tried.add(problem.id)
        if problem.id in self.solved or trajectory.answer is None:
            return
        if grade(problem.answer, trajectory.answer).equivalent:
            self.solved.add(problem.id)

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


Listener = Callable[[Progress, Trajectory | None], None]
# Which (problem, sample index) to attempt next, told what has ended: first all that is stored, then the last wave.
Waves = Callable[[Iterable[Trajectory]], Sequence[tuple[Problem, int]]]


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
    waves: Waves | None = None,
    on_progress: Listener = lambda *_: None,
) -> Progress:
    """Attempt what the store does not hold yet, seal it, and say what there is.

    Every problem is attempted `config.samples` times, unless `waves` plans otherwise. The first Ctrl-C begins no new
    attempt and finishes those in flight, the second stops; either ends in KeyboardInterrupt with all answers stored.
    A budget that is spent is no error here: see `Progress.spent`.

    Raises:
        EngineError, InterpreterError, StoreError: a lasting fault of ours; what is finished is stored.
    """
    began = time.monotonic()
    progress = Progress(total)
    for stored in store.scan(sealed=False):
        progress.count(stored)
    progress.resumed, progress.resumed_tokens = progress.done, progress.completion_tokens
    schedule = Schedule(engine, interpreter, store.journal, interpreter_key)
    ended: list[Trajectory] = []

    def tell(trajectory: Trajectory | None) -> None:
        ledger = ledger_of(engine)
        progress.spend = ledger.snapshot() if ledger else None
        progress.failed = len(schedule.failures)
        progress.in_flight, progress.draining = schedule.in_flight, schedule.draining
        on_progress(progress, trajectory)

    def keep(problem: Problem, trajectory: Trajectory) -> None:
        store.add(trajectory)
        progress.count(trajectory)
        progress.judge(problem, trajectory)
        if waves is not None:
            ended.append(trajectory)
        tell(trajectory)

    tell(None)
    format, shots = format_named(config.format), tuple(demonstrations)

    def rollouts(pairs: Iterable[tuple[Problem, int]]) -> Iterator[Rollout]:
        for problem, index in pairs:
            if (problem.id, index) not in store.done:
                yield start(problem, index, engine.name, config, format, shots)

    try:
        with _interrupts_drain(schedule, lambda: tell(None)) as interrupted:
            if waves is None:
                plan = ((problem, index) for problem in problems for index in range(config.samples))
                await schedule.run_all(rollouts(plan), config.concurrency, keep)
            else:
                wave = waves(store.scan(sealed=False))
                while wave:
                    ended.clear()
                    await schedule.run_all(rollouts(wave), config.concurrency, keep)
                    if schedule.draining or schedule.failures:
                        break
                    wave = waves(tuple(ended))
            if interrupted():
                raise KeyboardInterrupt
    except ExceptionGroup as group:
        raise _first(group) from group
    finally:
        store.write_failures(schedule.failures)
    tell(None)
    progress.spent = schedule.spent
    store.finish(progress.counts(), time.monotonic() - began)
    return progress


@contextmanager
def _interrupts_drain(schedule: Schedule, announce: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """While open, the first Ctrl-C drains the schedule and the second cancels; yields whether there was one."""
    task, struck = asyncio.current_task(), 0

    def strike() -> None:
        nonlocal struck
        struck += 1
        if struck == 1:
            schedule.draining = True
            announce()
        elif task is not None:
            task.cancel()

    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGINT, strike)
    except (NotImplementedError, RuntimeError, ValueError):  # not the main thread: signals are the caller's
        yield lambda: False
        return
    try:
        yield lambda: struck > 0
    except asyncio.CancelledError:
        if struck > 1:
            raise KeyboardInterrupt from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


__all__ = ["Failure", "Listener", "Progress", "Waves", "solve_into"]
