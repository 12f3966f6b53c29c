"""Rank the problems of a file by the evidence that their reference is wrong.

One idea: two passes. The first reads the samples and learns how far each model is to be believed on this data set; the
second weighs problem by problem. Memory holds the best `top` suspects; samples lie on disk while they are grouped.

What this module does not do: change a reference (`data.patches`, after people have looked).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mario.data.patches import problem_hash
from mario.data.readers import read_problems, write_problems
from mario.errors import UsageError
from mario.labels.fitted import Fitted, shipped
from mario.labels.relate import observe
from mario.labels.rules import CONTRADICTIONS, find_faults
from mario.labels.samples import Sample, SampleFields, Samples
from mario.labels.score import kind_of, score_of, sentence, weigh
from mario.labels.suspects import SUMMARY, SUSPECTS, TRAJECTORIES, Best, Competing, Suspect, SuspectKind
from mario.labels.votes import Answer, Models, count_answers
from mario.store import write_json
from mario.store.jsonl import write_jsonl
from mario.types import Problem, Trajectory

BEST = 3  # programs kept for each answer
_ANSWERS = 8  # competing answers kept for a suspect


@dataclass(frozen=True, slots=True)
class FindConfig:
    """What to look at, and how much to keep.

    problems: problems in our own format (a file, or the directory that mario data made)
    samples: output directories of runs, or files of recorded outputs; MODEL=FILE names who wrote one
    fields: where recorded outputs keep what
    top: how many suspects to keep, best first
    least: the lowest score to keep
    solutions: whether to look at the reference solutions
    limit: how many problems to look at
    """

    problems: Path
    samples: tuple[str, ...] = ()
    fields: SampleFields = field(default_factory=SampleFields)
    top: int = 1000
    least: float = 0.0
    solutions: bool = True
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.top < 1:
            raise UsageError(f"top must be a positive integer, got {self.top}")


@dataclass(frozen=True, slots=True)
class FindResult:
    """Counts of one search; `kinds` over the suspects that were kept."""

    problems: int
    samples: int
    unmatched: int
    unanswered: int
    suspects: int
    likely: int  # with a score of at least one half
    kinds: dict[str, int]
    models: dict[str, float]


@dataclass(frozen=True, slots=True)
class Weighed:
    """A suspect before it has a rank, with what its page will show."""

    suspect: Suspect
    problem: Problem
    answers: list[Answer]


def find(config: FindConfig, out: Path, note: Callable[[int], None] = lambda _: None) -> FindResult:
    """Write suspects, their problems and their best programs into `out`; `note` hears how many problems are done."""
    with TemporaryDirectory() as scratch, Samples(Path(scratch)) as samples:
        samples.add_problems(_problems(config))
        for source in config.samples:
            samples.add_source(source, config.fields)
        samples.close_index()
        models = learn_models(_problems(config), samples.of) if config.samples else Models()
        fitted = shipped()
        best: list[tuple[float, int, Weighed]] = []
        count = 0
        for count, problem in enumerate(_problems(config), start=1):
            copies = samples.problems_with(problem.answer) - 1
            weighed = weigh_problem(problem, samples.of(problem.id), copies, models, fitted)
            if weighed.suspect.score >= config.least:
                heapq.heappush(best, (weighed.suspect.score, -count, weighed))
                if len(best) > config.top:
                    heapq.heappop(best)
            note(count)
        ranked = [entry[2] for entry in sorted(best, key=lambda entry: (-entry[0], -entry[1]))]
        suspects = _write(out, ranked, samples)
        result = FindResult(
            problems=count,
            samples=samples.read,
            unmatched=samples.unmatched,
            unanswered=samples.unanswered,
            suspects=len(suspects),
            likely=sum(suspect.score >= 0.5 for suspect in suspects),
            kinds={kind.value: sum(suspect.kind is kind for suspect in suspects) for kind in SuspectKind},
            models={model: round(models.accuracy(model), 4) for model in sorted(models.asked)},
        )
    write_json(out / SUMMARY, {"settings": config, "result": result})
    return result


def _problems(config: FindConfig) -> Iterator[Problem]:
    for count, problem in enumerate(read_problems(config.problems)):
        if count == config.limit:
            return
        yield problem if config.solutions else replace(problem, solution=None)


def learn_models(problems: Iterable[Problem], samples: Callable[[str], list[Sample]]) -> Models:
    """How often each model agrees with the references."""
    models = Models()
    for problem in problems:
        models.learn(count_answers(problem.answer, samples(problem.id)))
    return models


def weigh_problem(problem: Problem, samples: list[Sample], copies: int, models: Models, fitted: Fitted) -> Weighed:
    """All evidence about one problem, `copies` being how many others have its answer; pure."""
    answers = models.order(count_answers(problem.answer, samples))
    findings = find_faults(problem)
    confirmed = bool(problem.solution) and not any(finding.rule in CONTRADICTIONS for finding in findings)
    seen = observe(problem, answers, copies, models, fitted.answers)
    evidence = weigh(findings, answers, seen, fitted, confirmed=confirmed)
    rivals = {item.answer: 0.0 for item in evidence if item.answer is not None and item.weight > 0}
    for item in evidence:
        if item.answer in rivals:
            rivals[item.answer] += item.weight
    suspect = Suspect(
        problem_id=problem.id,
        problem_hash=problem_hash(problem),
        rank=0,
        score=round(score_of(evidence), 6),
        kind=kind_of(answers),
        reference=problem.answer,
        sentence=sentence(problem.answer, evidence),
        suggestion=max(rivals, key=lambda answer: rivals[answer], default=None),
        evidence=tuple(evidence),
        samples=len(samples),
    )
    return Weighed(suspect, problem, answers)


def _write(out: Path, ranked: list[Weighed], samples: Samples) -> list[Suspect]:
    out.mkdir(parents=True, exist_ok=True)
    trajectories: list[Trajectory] = []
    suspects = []
    for rank, weighed in enumerate(ranked, start=1):
        index = 0
        competing = []
        for answer in weighed.answers[:_ANSWERS]:
            shown = []
            for sample in _best(answer):
                record = replace(samples.trajectory(sample), problem_id=weighed.problem.id, sample_index=index)
                trajectories.append(record)
                shown.append(Best(index, sample.model))
                index += 1
            competing.append(_competing(answer, shown, weighed.suspect.reference))
        suspects.append(replace(weighed.suspect, rank=rank, answers=tuple(competing)))
    write_problems(out / "problems.jsonl", (weighed.problem for weighed in ranked))
    write_jsonl(out / TRAJECTORIES, trajectories)
    write_jsonl(out / SUSPECTS, suspects)
    return suspects


def _best(answer: Answer) -> list[Sample]:
    """A few to look at: highest value first, then one of each way to a solution, then one of each model."""
    order = sorted(answer.samples, key=lambda sample: (-(sample.value or 0.0), not sample.shape, sample.row))
    chosen: list[Sample] = []
    for new in ("shape", "model", "key"):
        for sample in order:
            if len(chosen) < BEST and getattr(sample, new) not in {getattr(other, new) for other in chosen}:
                chosen.append(sample)
    return chosen


def _competing(answer: Answer, shown: list[Best], reference: str) -> Competing:
    return Competing(
        answer=reference if answer.is_reference else answer.text,
        is_reference=answer.is_reference,
        samples=len(answer.samples),
        programs=len({sample.key for sample in answer.samples}),
        models=len(answer.votes),
        prompts=len({sample.prompt for sample in answer.samples}),
        weight=round(answer.weight, 3),
        value=None if answer.value is None else round(answer.value, 4),
        best=tuple(shown),
    )
