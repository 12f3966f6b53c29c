"""`evaluate`: attempt a test set, judge every attempt, say how good that is and how sure.

trajectories/    every attempt, sealed: generate once, judge many times
problems.jsonl   the problems, so that the directory stands alone
verdicts.jsonl   one verdict an attempt; made anew from the attempts at every call
values/          what value models say of the attempts (`mario.value.score`)
summary.json     accuracy, pass@k, maj@k and every strategy with intervals; counts
failures.jsonl   attempts our side could not finish: never a wrong answer
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mario.data.overlap import trained_on
from mario.data.readers import read_problems, write_problems
from mario.engine import EngineConfig
from mario.engine.lazy import LazyEngine
from mario.errors import UsageError
from mario.evaluate.metrics import Judged
from mario.evaluate.summary import Summary, choosing, summarise
from mario.grade import grade
from mario.provenance import content_hash, file_hash, to_json
from mario.solve import Forecast, Pilot, SolveConfig
from mario.solve.attempt import InterpreterConfig, attempt, count_problems
from mario.solve.run import Listener
from mario.solve.vote import VoteConfig
from mario.store import scan_shards, verify_shards, write_json
from mario.store.jsonl import write_jsonl
from mario.transcript import Demonstration, format_named
from mario.types import Problem, Trajectory, Verdict, VerdictStatus
from mario.value import ValueConfig, ValueModel, or_generator, read_values, score_run
from mario.value.score import Listener as ValueListener


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """Judging a model on problems.

    problems: files of problems (made by `mario data`), attempted together
    label: what tables call the model; its name by default
    limit: only the first so many problems of each file
    shots: worked examples put before each question
    demonstrations: output directory of `mario annotate` that the worked examples come from
    allow_overlap: problem sets, as SOURCE-SPLIT, that the model may be judged on although it was trained on them
    """

    problems: tuple[Path, ...]
    label: str | None = None
    limit: int | None = None
    shots: int = 0
    demonstrations: Path | None = None
    allow_overlap: tuple[str, ...] = ()
    engine: EngineConfig = field(default_factory=EngineConfig)
    solve: SolveConfig = field(default_factory=SolveConfig)
    select: VoteConfig = field(default_factory=VoteConfig)
    value: ValueConfig = field(default_factory=ValueConfig)
    interpreter: InterpreterConfig = field(default_factory=InterpreterConfig)

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"limit must be a positive integer, got {self.limit}")
        if self.shots < 0:
            raise UsageError(f"shots must be 0 or more, got {self.shots}")
        if self.shots > 0 and self.demonstrations is None:
            raise UsageError(f"shots = {self.shots} needs examples; set demonstrations to an annotated directory")


Report = Callable[[str], None]


def evaluate(
    config: EvaluateConfig,
    out: Path,
    on_progress: Listener = lambda *_: None,
    report: Report = lambda _: None,
    on_forecast: Callable[[Forecast], None] = lambda _: None,
    on_value: ValueListener = lambda _: None,
) -> Summary:
    """Attempt, grade, summarise; rerunning goes on where it stopped and recomputes nothing stored.

    `report` hears of what takes long before the first attempt, such as the conversion of the embedded model,
    `on_forecast` what an engine behind a server will use in all.

    Raises:
        BudgetReached: the engine's budget is spent; the summary on disk is of what was attempted.
        DataError: the problems cannot be read, or the model was trained on some and their set is not allowed.
        EngineError, InterpreterError, StoreError: see `solve.attempt`.
    """
    total = _check(config)
    learnt = _learnt(config)
    value = or_generator(config.value, config.engine, report) if config.select.needs_values else config.value
    if config.select.needs_values and value.model is None and not read_values(out):
        raise UsageError(
            f"select = {config.select.strategy} needs values; name a value model: --value.model DIRECTORY, "
            f"or type: mario value {out} --model DIRECTORY"
        )
    model = ValueModel(value, report) if value.model is not None else None
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
    if model is not None and judged:
        score_run(out, model, on_value)
        model.close()
    values = read_values(out, report) if judged else []
    choice = choosing(judged, values, config.select, model.name if model else None)
    summary = summarise(label, total, judged, progress, choice, learnt)
    write_json(out / "summary.json", summary)
    if progress.spent is not None:
        raise progress.spent
    return summary


# Where a file lies and what a table calls it change no attempt, nor does what is chosen among them afterwards.
_NO_RESULT = ("problems", "label", "demonstrations", "select", "value", "allow_overlap")


def _problems(config: EvaluateConfig) -> Iterator[Problem]:
    for path in config.problems:
        yield from islice(read_problems(path), config.limit)


def _check(config: EvaluateConfig) -> int:
    if not config.problems:
        raise UsageError("no problems given; name a file or the directory that mario data made")
    return count_problems(_problems(config), ", ".join(map(str, config.problems)))


def _learnt(config: EvaluateConfig) -> int:
    """How many of the problems a model that takes part was trained on; an error unless their set is allowed by name."""
    models = {config.engine.model, config.value.model}
    return max(trained_on(Path(model), _problems(config), config.allow_overlap) for model in models if model)


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
