"""`annotate`: problems, a teacher, and the verified training set they make.

trajectories/   every attempt, sealed
kept/           the verified ones, sealed, tagged with the verdict: what training reads
drops.jsonl     the others, each with its reason
problems.jsonl  the problems themselves, so that the directory stands alone
summary.json    counts at every step
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from mario.annotate.calculator import CalculatorTeacher
from mario.annotate.verify import verify
from mario.data.calculator import Conversion, Refusal, convert
from mario.data.readers import read_problems, write_problems
from mario.engine import EngineConfig, build_engine
from mario.engine.protocol import Engine
from mario.errors import UsageError
from mario.provenance import file_hash, to_json
from mario.solve import Progress, SolveConfig
from mario.solve.attempt import InterpreterConfig, attempt, count_problems
from mario.store import ShardWriter, scan_shards, verify_shards, write_json
from mario.store.jsonl import write_jsonl
from mario.transcript import format_named
from mario.types import Problem, Trajectory


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
    engine: EngineConfig = field(default_factory=EngineConfig)
    solve: SolveConfig = field(default_factory=SolveConfig)
    interpreter: InterpreterConfig = field(default_factory=InterpreterConfig)

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"limit must be a positive integer, got {self.limit}")
        if self.teacher == "calculator" and self.solve.samples > 1:
            raise UsageError("the calculator teacher has one solution a problem; set solve.samples = 1")


@dataclass(frozen=True, slots=True)
class AnnotateResult:
    """Counts at every step; `drops` by reason, `notes` by remark on kept rows."""

    problems: int
    attempts: int
    kept: int
    failures: int
    drops: dict[str, int]
    notes: dict[str, int]
    hash: str


Listener = Callable[[Progress, Trajectory | None], None]
Report = Callable[[str], None]


def annotate(
    config: AnnotateConfig, out: Path, on_progress: Listener = lambda *_: None, report: Report = lambda _: None
) -> AnnotateResult:
    """Attempt, verify, keep; rerunning goes on where it stopped.

    Raises:
        DataError: the problems cannot be read. EngineError, InterpreterError, StoreError: see `solve.attempt`.
    """
    refused: list[tuple[Problem, Refusal]] = []
    total = count_problems(_problems(config), str(config.problems))
    engine, offered = _teacher(config, _problems(config), lambda problem, why: refused.append((problem, why)), report)
    progress = attempt(
        out,
        "annotate",
        offered,
        engine,
        config.solve,
        # The calculator teacher writes plain arithmetic: bare kernels open several times faster.
        replace(config.interpreter, preload=()) if config.teacher == "calculator" else config.interpreter,
        recipe=_recipe(config),
        inputs={"problems": file_hash(config.problems)},
        total=total * config.solve.samples,
        on_progress=on_progress,
    )
    write_problems(out / "problems.jsonl", _problems(config))
    return _select(config, out, total, progress, refused)


def _problems(config: AnnotateConfig) -> Iterator[Problem]:
    return islice(read_problems(config.problems), config.limit)


def _recipe(config: AnnotateConfig) -> dict[str, Any]:
    fields = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.name != "problems"}
    if config.teacher == "calculator":
        del fields["engine"]
    return fields


def _teacher(
    config: AnnotateConfig,
    problems: Iterable[Problem],
    refuse: Callable[[Problem, Refusal], None],
    report: Report,
) -> tuple[Engine, Iterable[Problem]]:
    if config.teacher == "engine":
        return build_engine(config.engine, report), problems
    teacher = CalculatorTeacher(format_named(config.solve.format))
    return teacher, teacher.offer(problems, refuse)


def _select(
    config: AnnotateConfig,
    out: Path,
    total: int,
    progress: Progress,
    refused: list[tuple[Problem, Refusal]],
) -> AnnotateResult:
    """Grade what was attempted; a pure function of the stored attempts, so it is simply done again on a rerun."""
    known = {problem.id: problem for problem in read_problems(out / "problems.jsonl")}
    drops: list[dict[str, Any]] = [
        {"problem_id": problem.id, "reason": f"refused: {why.reason.value}", "detail": why.detail}
        for problem, why in refused
    ]
    notes: Counter[str] = Counter()
    kept = 0
    folder = out / "kept"
    for stale in folder.glob("*") if folder.exists() else ():
        stale.unlink()
    writer = ShardWriter(folder)
    for trajectory in sorted(
        scan_shards(out / "trajectories", Trajectory) if progress.done else (),
        key=lambda t: (t.problem_id, t.sample_index),
    ):
        outcome = verify(known[trajectory.problem_id], trajectory)
        if outcome.drop is not None:
            drops.append(
                {
                    "problem_id": trajectory.problem_id,
                    "sample_index": trajectory.sample_index,
                    "reason": outcome.drop,
                    "detail": outcome.detail,
                }
            )
            continue
        notes.update(_remarks(config, known[trajectory.problem_id]))
        writer.append(outcome.trajectory)
        kept += 1
    writer.seal()
    write_jsonl(out / "drops.jsonl", drops)
    result = AnnotateResult(
        problems=total,
        attempts=progress.done,
        kept=kept,
        failures=progress.failed,
        drops=dict(Counter(drop["reason"] for drop in drops).most_common()),
        notes=dict(notes.most_common()),
        hash=verify_shards(folder) if kept else "",
    )
    write_json(out / "summary.json", to_json(result))
    return result


def _remarks(config: AnnotateConfig, problem: Problem) -> list[str]:
    """What a reader of the counts should know about a kept row."""
    if config.teacher != "calculator" or config.solve.format == "text":
        return []
    made = convert(problem)
    chosen = isinstance(made, Conversion) and made.reference_chose_variable
    return ["the reference chose the printed variable"] if chosen else []
