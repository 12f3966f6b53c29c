"""`annotate`: problems, a teacher, and the verified training set they make.

trajectories/   every attempt, sealed
kept/           the right ones chosen, sealed, tagged with the verdict: what training reads
incorrect/      wrong ones chosen: with kept/, what a value model reads
drops.jsonl     what is not in kept/, each with its reason
set.json        counts at every filter, and who taught
problems.jsonl  the problems themselves, so that the directory stands alone
summary.json    counts at every step, and what the teacher cost
ledger.jsonl    every call of a paid teacher, before and after it was sent
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from mario.annotate.calculator import CalculatorConfig, CalculatorTeacher
from mario.annotate.result import LEDGER, AnnotateResult, cost_of, write_result
from mario.annotate.select import SelectConfig, select
from mario.data.calculator import Conversion, Refusal, convert
from mario.data.decontaminate import passed
from mario.data.readers import read_problems, write_problems
from mario.data.trainingset import Filter
from mario.engine import EngineConfig
from mario.engine.lazy import LazyEngine
from mario.engine.protocol import Engine
from mario.errors import UsageError
from mario.provenance import file_hash
from mario.solve import Forecast, Pilot, Progress, SolveConfig
from mario.solve.attempt import InterpreterConfig, attempt, count_problems
from mario.solve.run import Listener
from mario.transcript import format_named
from mario.types import Problem


@dataclass(frozen=True, slots=True)
class AnnotateConfig:
    """Teacher annotation.

    problems: JSON lines of problems (made by `mario data`)
    teacher: calculator (reads GSM8K's worked arithmetic, needs no model) or engine (the one under `engine`)
    limit: attempt only the first so many problems
    """

    problems: Path
    teacher: Literal["calculator", "engine"] = "calculator"
    limit: int | None = None
    calculator: CalculatorConfig = field(default_factory=CalculatorConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    solve: SolveConfig = field(default_factory=SolveConfig)
    interpreter: InterpreterConfig = field(default_factory=InterpreterConfig)
    select: SelectConfig = field(default_factory=SelectConfig)

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"limit must be a positive integer, got {self.limit}")
        if self.teacher == "calculator":
            self.calculator.check(self.solve)


Report = Callable[[str], None]


def annotate(
    config: AnnotateConfig,
    out: Path,
    on_progress: Listener = lambda *_: None,
    report: Report = lambda _: None,
    on_forecast: Callable[[Forecast], None] = lambda _: None,
) -> AnnotateResult:
    """Attempt, verify, keep; rerunning goes on where it stopped.

    `report` hears of what takes long before the first attempt, `on_forecast` what an engine will use in all.

    Raises:
        BudgetReached: the teacher's budget is spent; what was attempted has been selected from.
        DataError: the problems cannot be read. EngineError, InterpreterError, StoreError: see `solve.attempt`.
        KeyboardInterrupt: see `solve.run`; nothing has been selected.
    """
    refused: list[tuple[Problem, Refusal]] = []
    total = count_problems(_problems(config), str(config.problems))
    engine: Engine
    offered: Iterable[Problem]
    if config.teacher == "calculator":
        engine = CalculatorTeacher(format_named(config.solve.format), config.calculator, config.solve.samples)
        offered = engine.offer(_problems(config), lambda problem, why: refused.append((problem, why)))
        # It writes plain arithmetic: bare kernels open several times faster.
        interpreter, watch = replace(config.interpreter, preload=()), on_progress
    else:
        engine = LazyEngine(config.engine, report, out / LEDGER)
        pilot = offered = Pilot(lambda: _problems(config), total, config.solve.samples)
        interpreter, watch = config.interpreter, pilot.watching(on_progress, on_forecast)
    progress = attempt(
        out,
        "annotate",
        offered,
        engine,
        config.solve,
        interpreter,
        recipe=_recipe(config),
        inputs={"problems": file_hash(config.problems)},
        total=total * config.solve.samples,
        on_progress=watch,
    )
    write_problems(out / "problems.jsonl", _problems(config))
    result = _select(config, out, total, progress, refused)
    if progress.spent is not None:
        raise progress.spent
    return result


def _problems(config: AnnotateConfig) -> Iterator[Problem]:
    return islice(read_problems(config.problems), config.limit)


def _recipe(config: AnnotateConfig) -> dict[str, Any]:
    # Selection is done anew from the stored attempts, so other settings of it are no other run.
    fields = {
        f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.name not in ("problems", "select")
    }
    del fields["engine" if config.teacher == "calculator" else "calculator"]
    return fields


def _select(
    config: AnnotateConfig,
    out: Path,
    total: int,
    progress: Progress,
    refused: list[tuple[Problem, Refusal]],
) -> AnnotateResult:
    """Make the training set of what was attempted, and the counts from problem to row."""
    refusals = Counter(f"refused: {why.reason.value}" for _, why in refused).most_common()
    offered = (total - len(refused)) * config.solve.samples
    ours = {"failure on our side": progress.failed, "not attempted": offered - progress.done - progress.failed}
    calculator = config.teacher == "calculator"
    cost = cost_of(out, config.engine)
    earlier = passed(config.problems, total)
    made = select(
        out,
        # The calculator teacher is asked to repeat the reference solution.
        replace(config.select, max_copied=1.0) if calculator else config.select,
        refused=[
            {"problem_id": problem.id, "reason": f"refused: {why.reason.value}", "detail": why.detail}
            for problem, why in refused
        ],
        before=[
            *earlier.filters,
            *([Filter("convert", "problems", total, total - len(refused), dict(refusals))] if calculator else []),
            Filter("attempt", "attempts", offered, progress.done, {why: n for why, n in ours.items() if n}),
        ],
        note=lambda problem: _remarks(config, problem),
        cost=cost,
        compared=earlier.benchmarks,
    )
    return write_result(out, total, progress, made, cost)


def _remarks(config: AnnotateConfig, problem: Problem) -> list[str]:
    """What a reader of the counts should know about a kept row."""
    if config.teacher != "calculator" or config.solve.format == "text":
        return []
    made = convert(problem)
    chosen = isinstance(made, Conversion) and made.reference_chose_variable
    return ["the reference chose the printed variable"] if chosen else []
