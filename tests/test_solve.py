"""One rollout loop: what a model says decides what happens, and nothing of ours is ever counted against it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mario.engine.protocol import TextListener
from mario.errors import EngineError, EngineUnavailable, UsageError
from mario.interpreter import AsyncInterpreterPool, Limits
from mario.interpreter.protocol import AsyncInterpreter
from mario.provenance import make_manifest
from mario.solve import Progress, Schedule, SolveConfig, solve_into
from mario.solve.rollout import Execute, Finished, Generate, Rollout, start
from mario.store import RunStore, scan_shards
from mario.transcript import Inline
from mario.types import (
    Completion,
    FinishReason,
    Observation,
    ObservationStatus,
    Problem,
    Request,
    Source,
    StopReason,
    Trajectory,
)

INLINE = Inline()


def problem(name: str = "p", question: str = "What is 6 * 7?") -> Problem:
    return Problem(name, question, "42", "tests", "test")


def code(text: str, thought: str = "Compute.") -> Completion:
    return Completion(f"{thought}\n</p>\n\n<code>\n```python\n{text}\n```", FinishReason.STOP, "\n</code>")


def answer(text: str) -> Completion:
    return Completion(f"So.\n</p>\n\nFinal Answer: ${text}$", FinishReason.STOP)


class Author:
    """A real engine whose model is a function of the request; it counts what it was asked."""

    def __init__(self, write: Callable[[Request], Completion], name: str = "author") -> None:
        self.write = write
        self.name = name
        self.asked: list[Request] = []

    async def generate(self, request: Request, on_text: TextListener | None = None) -> Completion:
        self.asked.append(request)
        await asyncio.sleep(0)
        completion = self.write(request)
        if on_text:
            on_text(completion.text)
        return completion

    async def close(self) -> None:
        return None


def last_output(request: Request) -> str:
    steps, _ = INLINE.parse(_context(request))
    observation = steps[-1].observation
    assert observation is not None
    return observation.output


def _context(request: Request):  # type: ignore[no-untyped-def]
    from mario.transcript import Context

    return Context(spans=request.spans)


def computing(request: Request) -> Completion:
    if request.turn == 0:
        return code("x = 6 * 7\nprint(x)")
    if request.turn == 1:
        return code("print(x + 0)")
    return answer(last_output(request))


def walk(rollout: Rollout, *answers: Completion | Observation) -> Rollout:
    for item in answers:
        action = rollout.next()
        if isinstance(item, Completion):
            assert isinstance(action, Generate)
            rollout = rollout.completed(item)
        else:
            assert isinstance(action, Execute)
            rollout = rollout.observed(item)
    return rollout


def seen(output: str) -> Observation:
    return Observation(output, ObservationStatus.OK)


def finished(rollout: Rollout) -> Trajectory:
    action = rollout.next()
    assert isinstance(action, Finished)
    return action.trajectory


def begin(config: SolveConfig | None = None) -> Rollout:
    return start(problem(), 0, "m", config or SolveConfig(), INLINE)


def test_a_whole_attempt_without_engine_or_interpreter() -> None:
    done = finished(walk(begin(), code("print(42)"), seen("42"), answer("42")))
    assert (done.answer, done.stop_reason) == ("42", StopReason.ANSWERED)
    assert [step.code for step in done.steps] == ["print(42)", None]
    assert [span.source for span in done.spans] == [Source.PROMPT, Source.MODEL, Source.INTERPRETER, Source.MODEL]
    assert INLINE.parse(_context_of(done)) == (done.steps, "42")


def test_an_attempt_has_values_where_every_turn_of_it_has_one() -> None:
    valued = [replace(turn, value=value) for turn, value in ((code("print(6 * 7)"), 0.5), (answer("42"), -1.25))]
    assert finished(walk(begin(), valued[0], seen("42"), valued[1])).values == (0.5, -1.25)
    assert finished(walk(begin(), valued[0], seen("42"), answer("42"))).values == ()


def _context_of(trajectory: Trajectory):  # type: ignore[no-untyped-def]
    from mario.transcript import Context

    return Context(spans=trajectory.spans)


def test_the_step_limit_is_the_number_of_snippets_that_may_run() -> None:
    config = SolveConfig(max_steps=2)
    done = finished(walk(begin(config), code("1"), seen("1"), code("2"), seen("2"), code("3")))
    assert done.stop_reason is StopReason.STEP_LIMIT
    assert [step.observation is not None for step in done.steps] == [True, True, False]
    assert done.answer is None


def test_requests_only_ever_append() -> None:
    rollout = begin()
    prompts = []
    for item in (code("1"), seen("1"), code("2"), seen("2")):
        action = rollout.next()
        if isinstance(action, Generate):
            prompts.append("".join(span.text for span in action.request.spans))
        rollout = rollout.completed(item) if isinstance(item, Completion) else rollout.observed(item)
    action = rollout.next()
    assert isinstance(action, Generate)
    prompts.append("".join(span.text for span in action.request.spans))
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(prompts))


def test_seeds_differ_by_sample_and_turn_and_not_by_position() -> None:
    config = SolveConfig(samples=2, temperature=0.7)
    first = start(problem(), 0, "m", config, INLINE).next()
    other = start(problem(), 1, "m", config, INLINE).next()
    again = start(problem(), 0, "m", config, INLINE).next()
    assert isinstance(first, Generate) and isinstance(other, Generate) and isinstance(again, Generate)
    assert first.request.seed == again.request.seed != other.request.seed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 0}, "samples must be a positive integer"),
        ({"temperature": -1.0}, "temperature must be from 0 to 5"),
        ({"top_p": 0.0}, "top_p must be above 0"),
        ({"samples": 4}, "would draw the same answer 4 times"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SolveConfig(**settings)  # type: ignore[arg-type]


def pool() -> AsyncInterpreterPool:
    return AsyncInterpreterPool(workers=1, limits=Limits(wall_seconds=10, memory_mb=256, output_chars=2000))


def solve(out: Path, engine: Author, problems: list[Problem], config: SolveConfig | None = None) -> Progress:
    async def go() -> Progress:
        with RunStore(out, make_manifest("test", {})) as store:
            async with pool() as interpreter:
                return await solve_into(store, iter(problems), engine, interpreter, config or SolveConfig())

    return asyncio.run(go())


def test_many_attempts_with_state_between_snippets(tmp_path: Path) -> None:
    problems = [problem(f"p{i}") for i in range(20)]
    engine = Author(computing)
    progress = solve(tmp_path, engine, problems)
    assert (progress.done, progress.answered, progress.failed) == (20, 20, 0)
    assert len(engine.asked) == 60
    stored = list(scan_shards(tmp_path / "trajectories", Trajectory))
    assert {t.answer for t in stored} == {"42"}


def test_a_finished_run_asks_nothing_again(tmp_path: Path) -> None:
    problems = [problem(f"p{i}") for i in range(5)]
    solve(tmp_path, Author(computing), problems)
    before = (tmp_path / "trajectories" / "00000.jsonl").read_bytes()
    engine = Author(computing)
    progress = solve(tmp_path, engine, problems)
    assert engine.asked == []
    assert progress.resumed == progress.done == 5
    assert (tmp_path / "trajectories" / "00000.jsonl").read_bytes() == before


def test_an_interrupted_attempt_goes_on_at_the_turn_it_had_reached(tmp_path: Path) -> None:
    def failing(request: Request) -> Completion:
        if request.turn == 2:
            raise EngineError("the power went")
        return computing(request)

    with pytest.raises(EngineError, match="the power went"):
        solve(tmp_path, Author(failing), [problem()])
    engine = Author(computing)
    progress = solve(tmp_path, engine, [problem()])
    # Turns 0 and 1 and their observations came from the journal.
    assert [request.turn for request in engine.asked] == [2]
    assert progress.answered == 1


def test_state_is_rebuilt_when_new_code_follows_journalled_code(tmp_path: Path) -> None:
    def failing(request: Request) -> Completion:
        if request.turn == 1:
            raise EngineError("the power went")
        return computing(request)

    with pytest.raises(EngineError):
        solve(tmp_path, Author(failing), [problem()])
    progress = solve(tmp_path, Author(computing), [problem()])  # turn 1 reads x, which turn 0 had set
    (stored,) = scan_shards(tmp_path / "trajectories", Trajectory)
    assert stored.answer == "42"
    assert progress.snippet_errors == 0


def test_an_unreachable_engine_is_a_failure_not_a_wrong_answer(tmp_path: Path) -> None:
    def flaky(request: Request) -> Completion:
        if request.problem_id == "p1":
            raise EngineUnavailable("connection refused")
        return computing(request)

    problems = [problem(f"p{i}") for i in range(3)]
    progress = solve(tmp_path, Author(flaky), problems)
    assert (progress.done, progress.failed) == (2, 1)
    assert '"problem_id":"p1"' in (tmp_path / "failures.jsonl").read_text()
    again = solve(tmp_path, Author(computing), problems)
    assert (again.done, again.resumed, again.failed) == (3, 2, 0)


def test_failures_are_listed_also_when_a_lasting_fault_ends_the_run(tmp_path: Path) -> None:
    def breaking(request: Request) -> Completion:
        match request.problem_id:
            case "p1":
                raise EngineUnavailable("connection refused")
            case "p2":
                raise EngineError("the key was withdrawn")
        return computing(request)

    with pytest.raises(EngineError, match="withdrawn"):
        solve(tmp_path, Author(breaking), [problem(f"p{i}") for i in range(3)], SolveConfig(concurrency=1))
    assert '"problem_id":"p1"' in (tmp_path / "failures.jsonl").read_text()


def test_an_engine_that_never_answers_stops_the_run(tmp_path: Path) -> None:
    def gone(_: Request) -> Completion:
        raise EngineUnavailable("http://127.0.0.1:9/v1 cannot be reached")

    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        solve(tmp_path, Author(gone), [problem(f"p{i}") for i in range(3)])


def test_an_engine_that_dies_on_the_way_stops_the_run_and_keeps_what_is_done(tmp_path: Path) -> None:
    def dying(request: Request) -> Completion:
        if int(request.problem_id[1:]) >= 5:
            raise EngineUnavailable("connection refused")
        return answer("42")

    problems = [problem(f"p{i}") for i in range(300)]
    with pytest.raises(EngineUnavailable):
        solve(tmp_path, Author(dying), problems, SolveConfig(concurrency=1))
    progress = solve(tmp_path, Author(lambda _: answer("42")), problems)
    assert (progress.resumed, progress.done) == (5, 300)


class Losing:
    """An interpreter whose kernels are lost a given number of times before they hold."""

    def __init__(self, inner: AsyncInterpreter, times: int) -> None:
        self.inner = inner
        self.times = times

    async def open(self):  # type: ignore[no-untyped-def]
        self.times -= 1
        return LostKernel() if self.times >= 0 else await self.inner.open()


class LostKernel:
    async def run(self, code: str) -> Observation:
        return Observation("", ObservationStatus.LOST)

    async def close(self) -> None:
        return None


@pytest.mark.parametrize(("times", "answered"), [(2, True), (3, False)])
def test_lost_kernels_are_tried_again_and_never_graded(times: int, answered: bool) -> None:
    async def go() -> tuple[Trajectory | None, Schedule]:
        async with pool() as interpreter:
            schedule = Schedule(Author(computing), Losing(interpreter, times))
            return await schedule.run(begin()), schedule

    trajectory, schedule = asyncio.run(go())
    assert (trajectory is not None) == answered
    assert len(schedule.failures) == (0 if answered else 1)


def test_a_slow_program_does_not_stall_its_neighbours() -> None:
    finished_at: dict[str, float] = {}

    def write(request: Request) -> Completion:
        if request.turn == 0 and request.problem_id == "slow":
            return code("import time\ntime.sleep(2)\nprint(42)")
        return code("print(42)") if request.turn == 0 else answer("42")

    async def go() -> None:
        loop = asyncio.get_running_loop()
        async with pool() as interpreter:
            schedule = Schedule(Author(write), interpreter)
            names = ["slow", *(f"p{i}" for i in range(10))]
            rollouts = [start(problem(name), 0, "m", SolveConfig(), INLINE) for name in names]
            await schedule.run_all(rollouts, 11, lambda _, t: finished_at.update({t.problem_id: loop.time()}))

    asyncio.run(go())
    assert len(finished_at) == 11
    assert all(moment < finished_at["slow"] for name, moment in finished_at.items() if name != "slow")


def test_problems_are_pulled_as_they_are_needed() -> None:
    pulled = 0

    def stream():  # type: ignore[no-untyped-def]
        nonlocal pulled
        for i in range(100):
            pulled += 1
            yield start(problem(f"p{i}"), 0, "m", SolveConfig(), INLINE)

    most = 0
    done = 0

    def count(_: Problem, __: Trajectory) -> None:
        nonlocal done, most
        done += 1
        most = max(most, pulled - done)

    async def go() -> None:
        async with pool() as interpreter:
            await Schedule(Author(lambda _: answer("42")), interpreter).run_all(stream(), 4, count)

    asyncio.run(go())
    assert done == 100
    assert most <= 4
