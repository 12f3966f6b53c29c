"""`evaluate`: attempt a test set, judge every attempt, say how good that is and how sure.

trajectories/    every attempt, sealed: generate once, judge many times
problems.jsonl   the problems, so that the directory stands alone
verdicts.jsonl   one verdict an attempt; made anew from the attempts at every call
summary.json     accuracy, pass@k and maj@k with intervals; counts
failures.jsonl   attempts our side could not finish: never a wrong answer
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mario.data.readers import read_problems, write_problems
from mario.engine import EngineConfig
from mario.engine.lazy import LazyEngine
from mario.errors import UsageError
from mario.evaluate.metrics import Estimate, Judged, accuracy, majority_at, pass_at
from mario.grade import grade, group
from mario.provenance import content_hash, file_hash, to_json
from mario.solve import Forecast, Pilot, Progress, SolveConfig
from mario.solve.attempt import InterpreterConfig, attempt, count_problems
from mario.solve.run import Listener
from mario.store import scan_shards, verify_shards, write_json
from mario.store.jsonl import write_jsonl
from mario.transcript import Demonstration, format_named
from mario.types import Problem, Trajectory, Verdict, VerdictStatus


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """Judging a model on problems.

    problems: files of problems (made by `mario data`), attempted together
    label: what tables call the model; its name by default
    limit: only the first so many problems of each file
    shots: worked examples put before each question
    demonstrations: output directory of `mario annotate` that the worked examples come from
    """

    problems: tuple[Path, ...]
    label: str | None = None
    limit: int | None = None
    shots: int = 0
    demonstrations: Path | None = None
    engine: EngineConfig = field(default_factory=EngineConfig)
    solve: SolveConfig = field(default_factory=SolveConfig)
    interpreter: InterpreterConfig = field(default_factory=InterpreterConfig)

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"limit must be a positive integer, got {self.limit}")
        if self.shots < 0:
            raise UsageError(f"shots must be 0 or more, got {self.shots}")
        if self.shots > 0 and self.demonstrations is None:
            raise UsageError(f"shots = {self.shots} needs examples; set demonstrations to an annotated directory")


@dataclass(frozen=True, slots=True)
class Summary:
    """An evaluation in numbers; rates are over scored problems."""

    label: str
    problems: int
    attempts: int
    failures: int
    unscored: int
    accuracy: Estimate
    by_split: dict[str, Estimate]
    by_level: dict[str, Estimate]
    pass_at: dict[str, Estimate]
    majority_at: dict[str, Estimate]
    stop_reasons: dict[str, int]
    completion_tokens: int


Report = Callable[[str], None]


def evaluate(
    config: EvaluateConfig,
    out: Path,
    on_progress: Listener = lambda *_: None,
    report: Report = lambda _: None,
    on_forecast: Callable[[Forecast], None] = lambda _: None,
) -> Summary:
    """Attempt, grade, summarise; rerunning goes on where it stopped and recomputes nothing stored.

    `report` hears of what takes long before the first attempt, such as the conversion of the embedded model,
    `on_forecast` what an engine behind a server will use in all.

    Raises:
        BudgetReached: the engine's budget is spent; the summary on disk is of what was attempted.
        DataError: the problems cannot be read. EngineError, InterpreterError, StoreError: see `solve.attempt`.
    """
    total = _check(config)
    demonstrations, inputs = worked_examples(config)
    label = config.label or config.engine.model
    pilot = Pilot(lambda: _problems(config), total, config.solve.samples)
    progress = attempt(
        out,
        "evaluate",
        pilot if config.engine.endpoint else _problems(config),
        LazyEngine(config.engine, report, out / "ledger.jsonl"),
        config.solve,
        config.interpreter,
        recipe={f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.name not in _NO_RESULT},
        inputs={"problems": content_hash([file_hash(path) for path in config.problems]), **inputs},
        demonstrations=demonstrations,
        total=total * config.solve.samples,
        on_progress=pilot.watching(on_progress, on_forecast),
    )
    write_problems(out / "problems.jsonl", _problems(config))
    judged = _judge(out) if progress.done else []
    summary = _summary(label, total, judged, progress)
    write_json(out / "summary.json", summary)
    if progress.spent is not None:
        raise progress.spent
    return summary


# Where a file lies and what a table calls it change no result.
_NO_RESULT = ("problems", "label", "demonstrations")


def _problems(config: EvaluateConfig) -> Iterator[Problem]:
    for path in config.problems:
        yield from islice(read_problems(path), config.limit)


def _check(config: EvaluateConfig) -> int:
    if not config.problems:
        raise UsageError("no problems given; name a file or the directory that mario data made")
    return count_problems(_problems(config), ", ".join(map(str, config.problems)))


def worked_examples(config: EvaluateConfig) -> tuple[tuple[Demonstration, ...], dict[str, str]]:
    """The first `shots` kept trajectories of the directory that the markup can hold, in its own order."""
    if config.shots == 0 or config.demonstrations is None:
        return (), {}
    root = config.demonstrations
    chosen = list(islice(filter(_is_writable, scan_shards(root / "kept", Trajectory)), config.shots))
    if len(chosen) < config.shots:
        raise UsageError(
            f"shots = {config.shots}, but {root} holds only {len(chosen)} kept trajectories to show; set fewer shots"
        )
    if chosen[0].format != config.solve.format:
        raise UsageError(f"{root} is in the {chosen[0].format} format, but solve.format is {config.solve.format}")
    questions = {problem.id: problem.question for problem in read_problems(root / "problems.jsonl")}
    shots = tuple(Demonstration(questions[t.problem_id], t.steps, t.answer or "") for t in chosen)
    return shots, {"demonstrations": verify_shards(root / "kept")}


def _is_writable(trajectory: Trajectory) -> bool:
    """Whether its steps can be written down anew: a model's own turn may hold words of the markup."""
    try:
        format_named(trajectory.format).render("", trajectory.steps, trajectory.answer)
    except ValueError:
        return False
    return True


def _judge(out: Path) -> list[Judged]:
    problems = {problem.id: problem for problem in read_problems(out / "problems.jsonl")}
    judged = [
        Judged(problems[t.problem_id], t, _verdict(problems[t.problem_id], t))
        for t in scan_shards(out / "trajectories", Trajectory)
    ]
    judged.sort(key=lambda row: (row.problem.id, row.trajectory.sample_index))
    write_jsonl(
        out / "verdicts.jsonl",
        (
            {
                "problem_id": row.problem.id,
                "sample_index": row.trajectory.sample_index,
                "verdict": to_json(row.verdict),
            }
            for row in judged
        ),
    )
    return judged


def _verdict(problem: Problem, trajectory: Trajectory) -> Verdict:
    if trajectory.answer is None:
        # Grading nothing still tells whether the reference can be read at all.
        verdict = grade(problem.answer, "")
        if verdict.status is VerdictStatus.REFERENCE_UNPARSED:
            return verdict
        return Verdict(VerdictStatus.ANSWER_UNPARSED, f"no answer: {trajectory.stop_reason.value}", verdict.reference)
    return grade(problem.answer, trajectory.answer)


def _summary(label: str, total: int, judged: list[Judged], progress: Progress) -> Summary:
    counts = progress.counts()
    most = max((row.trajectory.sample_index + 1 for row in judged), default=1)
    ks = [k for k in (1, 2, 4, 8, 16, 32, 64) if k <= most] if most > 1 else []
    return Summary(
        label=label,
        problems=total,
        attempts=progress.done,
        failures=progress.failed,
        unscored=sum(not row.scored for row in judged),
        accuracy=accuracy(judged),
        by_split=_by(judged, lambda row: row.problem.split),
        by_level=_by(judged, lambda row: row.problem.level or ""),
        pass_at={str(k): pass_at(judged, k) for k in ks},
        majority_at={str(k): majority_at(judged, k, group) for k in ks},
        stop_reasons=counts["stop_reasons"],
        completion_tokens=counts["completion_tokens"],
    )


def _by(judged: list[Judged], key: Callable[[Judged], str]) -> dict[str, Estimate]:
    parts: dict[str, list[Judged]] = {}
    for row in judged:
        parts.setdefault(key(row), []).append(row)
    return {name: accuracy(rows) for name, rows in sorted(parts.items()) if name}
