"""Many attempts at once: each is a coroutine of its own, so none waits for another's engine call or program.

The bound on attempts in flight bounds memory; problems are pulled one by one. Every completion and every observation
passes the journal: what is there is not asked again, and what is new is durable before the next turn begins. A kernel
is opened when an attempt first has code that the journal does not answer; earlier snippets of that attempt are then
run once more to rebuild its state (their outputs stay as journalled).

An engine that fails in passing or an interpreter that loses a kernel makes a `Failure`, never a wrong answer. An engine
that has never answered, or has failed many times in a row, is gone: the run stops, and the same command resumes it. A
run that is drained, by hand or because its budget is spent, begins no new attempt and finishes those in flight.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from mario.engine.protocol import Engine, TextListener
from mario.errors import BudgetReached, EngineUnavailable
from mario.interpreter.protocol import AsyncInterpreter, AsyncKernel
from mario.provenance import content_hash, from_json, to_json
from mario.solve.rollout import Execute, Finished, Generate, Rollout
from mario.store import Journal
from mario.types import Completion, Failure, Observation, ObservationStatus, Problem, Request, Trajectory

KERNEL_TRIES = 3
ENGINE_PATIENCE = 100  # failures in a row, each after the engine's own retries
Listener = Callable[[str, str], None]  # (kind: "text" | "code" | "output", text)


@dataclass(slots=True)
class Schedule:
    """Runs rollouts over one engine and one interpreter; `journal` is optional for a single question."""

    engine: Engine
    interpreter: AsyncInterpreter
    journal: Journal | None = None
    interpreter_key: str = ""  # names the interpreter's limits and style in the journal
    failures: list[Failure] = field(default_factory=list)
    in_flight: int = 0
    draining: bool = False  # no new attempt begins; set it and those in flight are the last
    spent: BudgetReached | None = None  # what the engine said when its budget did not hold another call
    _silent: int = 0  # failures of the engine since it last answered
    _heard: bool = False  # whether it ever answered

    async def run_all(
        self, rollouts: Iterable[Rollout], concurrency: int, on_done: Callable[[Problem, Trajectory], None]
    ) -> None:
        """Finish every rollout, or all that are in flight when `draining` is set.

        `on_done` hears each trajectory as it ends, in no particular order.

        Raises:
            Exception: whatever lasting fault of ours came first; what was finished before has been handed over.
        """
        source = iter(rollouts)
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._worker(source, on_done))

    async def _worker(self, source: Iterator[Rollout], on_done: Callable[[Problem, Trajectory], None]) -> None:
        while not self.draining and (rollout := next(source, None)) is not None:
            self.in_flight += 1
            try:
                trajectory = await self.run(rollout)
            except BudgetReached as error:  # smaller calls of the others may still fit
                self.draining, self.spent = True, error
                continue
            finally:
                self.in_flight -= 1
            if trajectory is not None:
                on_done(rollout.problem, trajectory)

    async def run(self, rollout: Rollout, listen: Listener | None = None) -> Trajectory | None:
        """One attempt to its end; None when our side failed, which is then noted in `failures`."""
        session = _Session(self, rollout)
        try:
            return await session.finish(listen)
        except EngineUnavailable as error:
            self._silent += 1
            if not self._heard or self._silent >= ENGINE_PATIENCE:
                raise
            self._failed(rollout, error)
        except _KernelLost as error:
            self._failed(rollout, error)
        finally:
            await session.close()
        return None

    async def ask(self, request: Request, on_text: TextListener | None) -> Completion:
        """The engine's answer, noting that it lives."""
        completion = await self.engine.generate(request, on_text)
        self._heard, self._silent = True, 0
        return completion

    def _failed(self, rollout: Rollout, error: Exception) -> None:
        self.failures.append(Failure(rollout.problem.id, rollout.sample_index, str(error)))


class _KernelLost(Exception):
    pass


class _Session:
    """One attempt with its kernel and the keys of its journal records."""

    def __init__(self, schedule: Schedule, rollout: Rollout) -> None:
        self.schedule = schedule
        self.rollout = rollout
        self.kernel: AsyncKernel | None = None
        self.last_key = ""

    async def finish(self, listen: Listener | None) -> Trajectory:
        on_text: TextListener | None = None
        if listen is not None:
            tell = listen

            def on_text(text: str) -> None:
                tell("text", text)

        while True:
            match self.rollout.next():
                case Finished(trajectory):
                    return trajectory
                case Generate(request):
                    self.rollout = self.rollout.completed(await self._generate(request, on_text))
                case Execute(code):
                    if listen:
                        listen("code", code)
                    observation = await self._execute(code)
                    if listen:
                        listen("output", observation.output)
                    self.rollout = self.rollout.observed(observation)

    async def _generate(self, request: Request, on_text: TextListener | None) -> Completion:
        journal, engine = self.schedule.journal, self.schedule.engine
        if journal is None:
            return await self.schedule.ask(request, on_text)
        self.last_key = content_hash({"engine": engine.name, "request": request})
        stored = journal.get(self.last_key)
        if stored is not None:
            return from_json(Completion, stored)
        completion = await self.schedule.ask(request, on_text)
        await journal.put(self.last_key, to_json(completion), **self._note("completion"))
        return completion

    async def _execute(self, code: str) -> Observation:
        journal = self.schedule.journal
        # The completion's key stands for the whole conversation before this snippet.
        key = content_hash({"after": self.last_key, "code": code, "interpreter": self.schedule.interpreter_key})
        stored = journal.get(key) if journal is not None else None
        if stored is not None:
            return from_json(Observation, stored)
        observation = await self._run_live(code)
        if journal is not None:
            await journal.put(key, to_json(observation), **self._note("observation"))
        return observation

    async def _run_live(self, code: str) -> Observation:
        for _ in range(KERNEL_TRIES):
            kernel = await self._open()
            if kernel is not None:
                observation = await kernel.run(code)
                if observation.status is not ObservationStatus.LOST:
                    return observation
            await self.close()
        raise _KernelLost(f"the interpreter lost its kernel {KERNEL_TRIES} times")

    async def _open(self) -> AsyncKernel | None:
        """The live kernel, or a new one brought to this attempt's state; None if it is lost on the way."""
        if self.kernel is None:
            self.kernel = await self.schedule.interpreter.open()
            for step in self.rollout.steps:
                if step.code is not None:
                    again = await self.kernel.run(step.code)
                    if again.status is ObservationStatus.LOST:
                        return None
        return self.kernel

    def _note(self, kind: str) -> dict[str, str | int]:
        rollout = self.rollout
        return {"kind": kind, "problem": rollout.problem.id, "sample": rollout.sample_index, "turn": rollout.turn}

    async def close(self) -> None:
        kernel, self.kernel = self.kernel, None
        if kernel is not None:
            await kernel.close()
