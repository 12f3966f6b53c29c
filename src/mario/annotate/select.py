"""From attempts to a training set: grade each, drop with a reason, choose a few different ones of every problem.

Two passes over the stored attempts. The first judges them in the order they lie, with the grading done by worker
processes; the second takes the attempts of one problem at a time and chooses: best supported first, never one program
twice, a new shape before a second of the same. Memory does not grow with the set (`index`).

The result is a pure function of the attempts, the problems and the settings, keyed by their hash: asked for again it
is read, not made; made anew it is built in a folder of its own and swapped in when it is whole.

What this module does not do: attempt anything, or read a training set (`data.trainingset`).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mario.annotate.index import Entry, Index
from mario.annotate.verify import Outcome, Rules, judge
from mario.data.trainingset import NAME, Filter, TrainingSet, rebuilt, stored_set, write_set
from mario.errors import UsageError
from mario.grade import grade_all
from mario.provenance import content_hash, file_hash
from mario.store import ShardWriter, verify_shards
from mario.store.jsonl import dump_line, whole_file
from mario.transcript import format_named
from mario.transcript.shape import program_key, program_shape
from mario.types import Problem, Step, Trajectory, VerdictStatus

VERSION = 1  # raise it when the same inputs and settings give other rows
DUPLICATE, ENOUGH = "duplicate program", "enough of this problem"
_OUTPUTS = ("kept", "incorrect", "drops.jsonl", NAME)
Refused = Mapping[str, Any]
Place = tuple[int, int, int]  # source, shard, offset


@dataclass(frozen=True, slots=True)
class SelectConfig(Rules):
    """Which attempts become training rows.

    support: whether code's output must hold the answer (required) or such solutions only come first (preferred)
    max_characters: longest solution, outputs counted
    max_copied: largest share of a solution's words copied from the reference solution; 1 never drops
    max_correct: right solutions kept of one problem; none for all
    max_incorrect: wrong ones kept for the value model; 0 for none
    format: markup of the rows: inline, tools or react; none leaves them as the teacher wrote, but ReAct becomes inline
    workers: processes that grade
    """

    max_correct: int | None = 4
    max_incorrect: int = 4
    format: Literal["inline", "tools", "react"] | None = None
    workers: int = 2

    def __post_init__(self) -> None:
        Rules.__post_init__(self)
        if self.max_correct is not None and self.max_correct < 1:
            raise UsageError(f"max_correct must be a positive integer or none, got {self.max_correct}")
        if self.max_incorrect < 0:
            raise UsageError(f"max_incorrect must not be negative, got {self.max_incorrect}")

    def key(self) -> dict[str, Any]:
        """What changes the result."""
        return {name: getattr(self, name) for name in (*Rules.__slots__, *self.__slots__) if name != "workers"}


def select(
    out: Path,
    config: SelectConfig,
    *,
    problems: Path | None = None,
    sources: Sequence[Path] | None = None,
    refused: Sequence[Refused] = (),
    before: Sequence[Filter] = (),
    note: Callable[[Problem], Iterable[str]] = lambda _: (),
    cost: Mapping[str, Any] | None = None,
    compared: Sequence[Mapping[str, Any]] = (),
) -> TrainingSet:
    """Make (or find made) the training set in `out` from sealed attempts.

    `problems` is `out`'s own by default, `sources` its trajectories; several sources are rounds of one search.
    `refused` are lines for `drops.jsonl` of problems never attempted, `before` the filters that they passed and
    `compared` the benchmarks they were held against; `note` gives remarks to count on the problem of a kept row.

    Raises:
        StoreError: a source is not sealed or has changed, or `out` cannot be written.
    """
    path = problems or out / "problems.jsonl"
    found = [source for source in sources or (out / "trajectories",) if any(source.glob("[0-9]*.jsonl"))]
    key = content_hash(
        {
            "version": VERSION,
            "config": config.key(),
            "problems": file_hash(path),
            "sources": [verify_shards(source) for source in found],
            "refused": list(refused),
            "before": list(before),
            "cost": cost or {},
            "compared": list(compared),
        }
    )
    if (made := stored_set(out, key)) is not None:
        return made
    with rebuilt(out, _OUTPUTS) as part:
        made = _build(part, config, path, found, refused, note)
        made = replace(made, key=key, filters=(*before, *made.filters), cost=dict(cost or {}), compared=tuple(compared))
        write_set(part, made)
    return made


def _build(
    part: Path,
    config: SelectConfig,
    problems: Path,
    sources: Sequence[Path],
    refused: Iterable[Refused],
    note: Callable[[Problem], Iterable[str]],
) -> TrainingSet:
    unverified: Counter[str] = Counter()
    unchosen: Counter[str] = Counter()
    levels: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    taken = solved = 0
    with Index(part, sources) as index, whole_file(part / "drops.jsonl") as drops:
        index.add_problems(problems)
        teachers, prompt = _judge_all(index, config)
        for line in refused:
            drops.write(dump_line(line))
        kept, incorrect = ShardWriter(part / "kept"), ShardWriter(part / "incorrect")
        kept_rows = incorrect_rows = 0
        for problem_id, entries in index.by_problem():
            taken += len(entries)
            chosen, left = choose([entry for entry in entries if not entry.reason], config.max_correct)
            for entry in chosen:
                kept.append(_row(index, entry, config, len(sources)))
                levels[str(entry.support)] += 1
                notes.update(note(index.problem(problem_id)))
            for entry in choose_incorrect([e for e in entries if e.correct == 0], config.max_incorrect):
                incorrect.append(_row(index, entry, config, len(sources)))
                incorrect_rows += 1
            for entry in entries:
                if entry.reason or entry in left:
                    reason = entry.reason or left[entry]
                    (unverified if entry.reason else unchosen)[reason] += 1
                    drops.write(dump_line(_drop(entry, reason)))
            kept_rows += len(chosen)
            solved += bool(chosen)
        kept.seal()
        incorrect.seal()
    verified = taken - unverified.total()
    return TrainingSet(
        key="",
        problems=solved,
        kept=kept_rows,
        incorrect=incorrect_rows,
        filters=(
            Filter("verify", "attempts", taken, verified, dict(unverified.most_common())),
            Filter("choose", "attempts", verified, kept_rows, dict(unchosen.most_common())),
        ),
        hash=verify_shards(part / "kept") if kept_rows else "",
        support=dict(sorted(levels.items())),
        notes=dict(notes.most_common()),
        teachers=teachers,
        prompt=prompt,
    )


def choose(entries: Sequence[Entry], most: int | None) -> tuple[list[Entry], dict[Entry, str]]:
    """The entries to keep, in their own order, and why each other one is left.

    Best supported first; of two equal programs the first; then one of every shape before a second of any.
    """
    left: dict[Entry, str] = {}
    distinct: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda entry: entry.support):  # stable: earlier attempts first
        if entry.key in distinct:
            left[entry] = DUPLICATE
        else:
            distinct[entry.key] = entry
    ordered = _new_shapes_first(list(distinct.values()))
    chosen = set(ordered if most is None else ordered[:most])
    left.update((entry, ENOUGH) for entry in ordered if entry not in chosen)
    return [entry for entry in entries if entry in chosen], left


def choose_incorrect(entries: Sequence[Entry], most: int) -> list[Entry]:
    """Wrong attempts for the value model: those that gave an answer first, then by shape; no program twice."""
    distinct = {entry.key: entry for entry in reversed(entries)}
    ordered = _new_shapes_first([entry for entry in entries if distinct[entry.key] is entry])
    chosen = set(sorted(ordered, key=lambda entry: -entry.answered)[:most])
    return [entry for entry in entries if entry in chosen]


def _new_shapes_first(entries: Sequence[Entry]) -> list[Entry]:
    seen: set[str] = set()
    first: list[Entry] = []
    later: list[Entry] = []
    for entry in entries:
        (later if entry.shape in seen else first).append(entry)
        seen.add(entry.shape)
    return first + later


def _judge_all(index: Index, config: SelectConfig) -> tuple[tuple[Mapping[str, Any], ...], str]:
    """Fill the index; returns who taught, and the first prompt."""
    teachers: Counter[tuple[str, str, float, float, int]] = Counter()
    prompt = ""
    for place, problem, trajectory, outcome in _judged(index, config):
        how = trajectory.sampling
        teachers[trajectory.model, trajectory.format, how.temperature, how.top_p, how.max_new_tokens] += 1
        prompt = prompt or _prompt(trajectory)
        outcome = _writable(problem, trajectory, outcome, config)
        index.add(
            Entry(
                trajectory.problem_id,
                trajectory.sample_index,
                *place,
                reason=outcome.drop or "",
                detail=outcome.detail,
                correct=-1 if outcome.correct is None else int(outcome.correct),
                support=outcome.support,
                answered=int(trajectory.answer is not None),
                key=program_key(trajectory),
                shape=program_shape(trajectory),
            )
        )
    names = ("model", "format", "temperature", "top_p", "max_new_tokens")
    found = (dict(zip(names, teacher, strict=True)) | {"attempts": count} for teacher, count in teachers.items())
    return tuple(sorted(found, key=str)), prompt


def _judged(index: Index, config: SelectConfig) -> Iterator[tuple[Place, Problem, Trajectory, Outcome]]:
    waiting: deque[tuple[Place, Problem, Trajectory]] = deque()

    def pairs() -> Iterator[tuple[str, str]]:
        for source, shard, offset, trajectory in index.scan():
            problem = index.problem(trajectory.problem_id)
            waiting.append(((source, shard, offset), problem, trajectory))
            yield problem.answer, trajectory.answer or ""  # one pair an attempt, so that verdicts match by order

    for verdict in grade_all(pairs(), workers=config.workers):
        place, problem, trajectory = waiting.popleft()
        yield place, problem, trajectory, judge(problem, trajectory, verdict, config)


def _writable(problem: Problem, trajectory: Trajectory, outcome: Outcome, config: SelectConfig) -> Outcome:
    """The outcome, or a drop where the row cannot be written in the markup asked for."""
    if outcome.correct is None:
        return outcome
    try:
        _rendered(problem, trajectory, config)
    except ValueError as error:
        return replace(
            outcome, drop=outcome.drop or "not writable in the row's markup", detail=str(error), correct=None
        )
    return outcome


def _rendered(problem: Problem, trajectory: Trajectory, config: SelectConfig) -> Trajectory:
    """The trajectory in the markup that rows are to have: the same steps, the question without any demonstration.

    Raises:
        ValueError: a step cannot be written in it.
    """
    name = config.format or ("inline" if trajectory.format == "react" else trajectory.format)
    if name == trajectory.format:
        return trajectory
    context = format_named(name).render(problem.question, trajectory.steps, trajectory.answer)
    tags = {**trajectory.tags, "teacher_format": trajectory.format}
    return replace(trajectory, format=name, spans=context.spans, messages=context.messages, tags=tags)


def _row(index: Index, entry: Entry, config: SelectConfig, sources: int) -> Trajectory:
    """The stored attempt as a training row."""
    trajectory = _rendered(index.problem(entry.problem_id), index.trajectory(entry), config)
    tags = dict(trajectory.tags) | ({"round": entry.source} if sources > 1 else {})
    if entry.reason:
        tags |= {"verdict": entry.reason, "correct": False}
    else:
        tags |= {"verdict": VerdictStatus.EQUIVALENT.value, "correct": True, "support": entry.support}
    # Values, like times, are not the same on every run, and of no use to training.
    return replace(trajectory, steps=tuple(map(_timeless, trajectory.steps)), tags=tags, values=())


def _timeless(step: Step) -> Step:
    """Without wall times: the same inputs make the same bytes, so a training set's hash names its content."""
    return replace(step, observation=replace(step.observation, seconds=0.0)) if step.observation else step


def _prompt(trajectory: Trajectory) -> str:
    if trajectory.spans:
        return trajectory.spans[0].text
    opening = [message for message in trajectory.messages if message["role"] in ("system", "user")]
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in opening)


def _drop(entry: Entry, reason: str) -> dict[str, Any]:
    named = {"problem_id": entry.problem_id, "sample_index": entry.sample_index}
    return {**named, "reason": reason, "detail": entry.detail if entry.reason else ""}
