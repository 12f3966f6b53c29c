"""`self-train`: rounds of sampling, learning and judging; the same call resumes.

    before/             the first model on the test problems, if there are any
    round-1/samples/    an annotated directory; kept/ holds the rows chosen from all rounds so far
    round-1/model/      the base model trained on `data` and those rows
    round-1/test/       that model on the test problems
    rounds.json         this module's `SelfTrainResult`
    rounds.html         the same as a table and a plot

One idea: a round is three ordinary stages, each of which resumes by its own means. So there is no state of ours to
lose: a killed run walks through what is whole without computing it again, and goes on in the stage that is not.

Every round learns from the base weights again unless told otherwise: a model that goes on from itself drifts towards
its own habits (ReST-EM, arXiv 2312.06585; AlphaMath restarts too). A problem that has `budget.target` distinct programs
rests; the others are attempted again by the new model, which is STaR's loop (arXiv 2203.14465) without its hints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mario.annotate.budget import BudgetConfig
from mario.annotate.select import SelectConfig
from mario.data.decontaminate import passed
from mario.data.overlap import count_known, fingerprint, questions_of
from mario.data.readers import read_problems
from mario.engine import EngineConfig
from mario.errors import UsageError
from mario.evaluate import EvaluateConfig, Summary, evaluate, read_results
from mario.evaluate.metrics import Comparison, Estimate, compare
from mario.selftrain.sample import Known, Point, Sampled, sample_round
from mario.solve import SolveConfig
from mario.solve.attempt import InterpreterConfig
from mario.solve.run import Listener
from mario.store import write_json
from mario.train.config import SftConfig
from mario.types import Problem


@dataclass(frozen=True, slots=True)
class SampleConfig(SolveConfig):
    """How a round samples; `SolveConfig` with a temperature.

    format: inline (the paper's, with code), text (without code, ours) or tools (native tool calls)
    samples: must stay 1, see budget.max_samples
    temperature: above 0
    top_p: nucleus share
    max_new_tokens: bound of one turn
    max_steps: turns that may run code; the paper's harness allows 8
    seed: of the run; each draw is seeded by (seed, problem id, sample index, turn)
    concurrency: attempts in flight at once
    """

    temperature: float = 0.8


@dataclass(frozen=True, slots=True)
class SelfTrainConfig:
    """Self-training.

    problems: problems to solve, with their reference answers
    rounds: how often to sample and learn
    data: annotated directories that every round learns from besides its own rows
    base: model that every round's training starts from; none takes engine.model
    start: base trains every round from the base model, last from the round before
    test: problems that every round's model is judged on, greedily
    allow_overlap: sets of test problems, as SOURCE-SPLIT, that may be among those learnt from
    engine: the model of the first round; later rounds sample from what they trained
    """

    problems: Path
    rounds: int = 1
    data: tuple[Path, ...] = ()
    base: str | None = None
    start: Literal["base", "last"] = "base"
    test: tuple[Path, ...] = ()
    allow_overlap: tuple[str, ...] = ()
    engine: EngineConfig = field(default_factory=EngineConfig)
    solve: SampleConfig = field(default_factory=SampleConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    select: SelectConfig = field(default_factory=SelectConfig)
    interpreter: InterpreterConfig = field(default_factory=InterpreterConfig)
    train: SftConfig = field(default_factory=SftConfig)

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise UsageError(f"rounds must be a positive integer, got {self.rounds}")
        if self.solve.temperature == 0:
            raise UsageError(
                "at temperature 0 every sample of a problem is the same; set solve.temperature, such as 0.8"
            )
        if self.solve.samples > 1:
            raise UsageError("the budget shares out the samples; set budget.max_samples instead of solve.samples")
        if self.engine.endpoint is not None and self.base is None:
            raise UsageError("a model behind an endpoint cannot be trained here; name the one to train with base")


@dataclass(frozen=True, slots=True)
class Round:
    """One round in numbers. `solved` and `rows` are of all rounds so far, `samples` and tokens of this one alone.

    `curve` holds (samples of this round, solved, distinct programs up to the target) at the end of every wave.
    """

    number: int
    attempted: int
    samples: int
    correct: int
    solved: int
    rows: int
    prompt_tokens: int
    completion_tokens: int
    curve: tuple[Point, ...]
    cost: dict[str, Any] | None = None
    steps: int = 0  # of training; 0 where the round ended before
    test: dict[str, Estimate] = field(default_factory=dict)
    change: dict[str, Comparison] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SelfTrainResult:
    """All rounds; `ended` says why there are fewer than were asked for."""

    problems: int
    target: int
    before: dict[str, Estimate]
    rounds: tuple[Round, ...]
    failures: int = 0
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who hears of what: one listener for the attempts of a stage, one for training, one for lines of text."""

    attempts: Callable[[str], Listener] = lambda _: lambda *_: None
    training: Callable[[str], Callable[[Any], None]] = lambda _: lambda _: None
    report: Callable[[str], None] = lambda _: None


def self_train(config: SelfTrainConfig, out: Path, watch: Watch = Watch()) -> SelfTrainResult:
    """Run or resume all rounds; each is written down as it ends.

    Raises:
        UsageError: `out` holds other rounds' stages, or there is nothing to learn from.
        DataError: a test problem is among those learnt from, and its set is not allowed by name.
        BudgetReached, EngineError, InterpreterError, StoreError, TrainingError: see the stages.
    """
    problems = list(read_problems(config.problems))
    _check_overlap(config, problems)
    result = SelfTrainResult(len(problems), config.budget.target, {}, ())
    judged = out / "before"
    if config.test:
        summary = _judge(config, config.engine, judged, watch)
        result = replace(result, before=_rates(summary), failures=summary.failures)
    model, known = config.engine, dict[str, frozenset[str]]()
    for number in range(1, config.rounds + 1):
        if result.failures:
            return _stored(out, replace(result, ended=f"{result.failures} attempts failed on our side"))
        sampled = _sample(config, model, problems, known, out, number, watch)
        row = _round(number, sampled)
        result = replace(result, rounds=(*result.rounds, row), failures=sampled.result.failures)
        if result.failures:
            return _stored(out, replace(result, ended=f"{result.failures} attempts failed on our side"))
        if sampled.known == known:
            return _stored(out, replace(result, ended=f"round {number} found no new program"))
        known = dict(sampled.known)
        folder = out / f"round-{number}"
        steps = _train(config, model.model, folder, watch)
        model = replace(config.engine, model=str(folder / "model"), endpoint=None)
        row = replace(row, steps=steps)
        if config.test:
            summary = _judge(config, model, folder / "test", watch)
            row = replace(row, test=_rates(summary), change=_changes(folder / "test", judged))
            result = replace(result, failures=summary.failures)
        result = _stored(out, replace(result, rounds=(*result.rounds[:-1], row)))
    return result


def _check_overlap(config: SelfTrainConfig, problems: Sequence[Problem]) -> None:
    """What every round's model is judged on may not be what it will learn from."""
    learnt = {fingerprint(problem.question) for problem in problems}
    learnt.update(*(questions_of(root / "kept") for root in config.data))
    tested = (problem for path in config.test for problem in read_problems(path))
    count_known("self-training would learn from", learnt, tested, config.allow_overlap)


def _stored(out: Path, result: SelfTrainResult) -> SelfTrainResult:
    write_json(out / "rounds.json", result)
    return result


def _sample(
    config: SelfTrainConfig,
    model: EngineConfig,
    problems: Sequence[Problem],
    known: Known,
    out: Path,
    number: int,
    watch: Watch,
) -> Sampled:
    return sample_round(
        out / f"round-{number}" / "samples",
        problems,
        known,
        [out / f"round-{earlier}" / "samples" for earlier in range(1, number)],
        engine=model,
        solve=config.solve,
        interpreter=config.interpreter,
        budget=config.budget,
        rules=config.select,
        passed=passed(config.problems, len(problems)),
        on_progress=watch.attempts(f"round {number}"),
        report=watch.report,
    )


def _round(number: int, sampled: Sampled) -> Round:
    last = sampled.curve[-1]
    return Round(
        number=number,
        attempted=sampled.attempted,
        samples=sampled.result.attempts,
        correct=sampled.correct,
        solved=last.solved,
        rows=sampled.result.kept,
        prompt_tokens=sampled.prompt_tokens,
        completion_tokens=sampled.completion_tokens,
        curve=tuple(sampled.curve),
        cost=sampled.result.cost,
    )


def _train(config: SelfTrainConfig, current: str, folder: Path, watch: Watch) -> int:
    """Learn from the seed data and the rows chosen so far; returns the optimizer steps."""
    from mario.train.sft import train_sft
    from mario.train.sources import kept_rows

    sources = [kept_rows(root) for root in (*config.data, folder / "samples")]
    start = current if config.start == "last" else config.base or config.engine.model
    on_step = watch.training(folder.name)
    return train_sft(config.train, sources, start, folder / "model", on_step, watch.report).steps


def _judge(config: SelfTrainConfig, model: EngineConfig, out: Path, watch: Watch) -> Summary:
    settings = EvaluateConfig(
        problems=config.test,
        allow_overlap=config.allow_overlap,
        label=out.name if out.name == "before" else out.parent.name,
        engine=model,
        solve=replace(config.solve, temperature=0.0, top_p=1.0),
        interpreter=config.interpreter,
    )
    return evaluate(settings, out, watch.attempts(f"test {settings.label}"), watch.report)


def _rates(summary: Summary) -> dict[str, Estimate]:
    return dict(summary.by_split)


def _changes(after: Path, before: Path) -> dict[str, Comparison]:
    """After minus before, paired by problem, for every split."""
    new, old = read_results(after).judged, read_results(before).judged
    splits = sorted({row.problem.split for row in new})
    return {
        split: compare([r for r in new if r.problem.split == split], [r for r in old if r.problem.split == split])
        for split in splits
    }
