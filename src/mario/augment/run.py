"""`augment`: problems in, checked new problems out, with a reason for each that was not made or not kept.

problems.jsonl      the new problems that two ways agree on
drops.jsonl         `problem_id` (the parent's, or the new one's), `kind`, `reason`, `detail`
candidates.jsonl    what the written kinds made, before the check
check/              the attempts that checked them: a directory like that of `annotate`
journal.jsonl       what the writer wrote, by request: rerunning asks for nothing twice
summary.json        counts by kind; wanted = kept + dropped + failed

`numbers` needs no model: it varies what the calculator teacher can read. The others need the engine: to write
(`rephrase`, `self_verification`) and to attempt what was written.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from mario.augment.agree import agree
from mario.augment.candidate import TAG, Candidate, Drop, Kind
from mario.augment.numbers import check_numbers, make_numbers
from mario.augment.writer import WriteConfig, Writer, Written
from mario.data.readers import read_problems, write_problems
from mario.engine import EngineConfig
from mario.engine.lazy import LazyEngine
from mario.errors import UsageError
from mario.provenance import file_hash, make_manifest, to_json
from mario.solve import SolveConfig
from mario.solve.attempt import PACE, InterpreterConfig, Sandbox, attempt, count_problems
from mario.solve.run import Listener, Progress
from mario.store import Journal, RunStore, scan_shards, write_json
from mario.store.jsonl import write_jsonl
from mario.types import Problem, Trajectory

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """New problems from old ones.

    problems: JSON lines of problems (made by `mario data`)
    kinds: numbers (other numbers in problems the calculator teacher can read; needs no model), rephrase,
        self_verification, fobar (asked backwards); see docs/data.md
    copies: how many new problems of each kind a problem
    agree: how many of solve.samples attempts must find the answer that the question was made for
    limit: only the first so many problems
    seed: of every draw
    """

    problems: Path
    kinds: tuple[Kind, ...] = ("numbers",)
    copies: int = 1
    agree: int = 3
    limit: int | None = None
    seed: int = 0
    write: WriteConfig = field(default_factory=WriteConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    solve: SolveConfig = field(default_factory=lambda: SolveConfig(samples=4, temperature=0.7))
    interpreter: InterpreterConfig = field(default_factory=InterpreterConfig)

    def __post_init__(self) -> None:
        for name in ("copies", "agree"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be a positive integer, got {getattr(self, name)}")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"limit must be a positive integer, got {self.limit}")
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise UsageError(f"kinds must name each kind once, got {', '.join(self.kinds) or 'none'}")
        if self.written and self.agree > self.solve.samples:
            raise UsageError(
                f"agree is {self.agree}, but there are {self.solve.samples} attempts a problem; raise solve.samples"
            )

    @property
    def written(self) -> tuple[Kind, ...]:
        """The kinds that an engine checks."""
        return tuple(kind for kind in self.kinds if kind != "numbers")


@dataclass(frozen=True, slots=True)
class AugmentResult:
    """Counts; `wanted` = copies x problems for each kind, and wanted = kept + dropped + failed."""

    problems: int
    wanted: dict[str, int]
    kept: dict[str, int]
    dropped: dict[str, int]
    failed: dict[str, int]
    drops: dict[str, int]  # "kind: reason" -> how many
    hash: str

    @property
    def failures(self) -> int:
        return sum(self.failed.values())


def augment(
    config: AugmentConfig, out: Path, on_progress: Listener = lambda *_: None, report: Report = lambda _: None
) -> AugmentResult:
    """Make, check and write new problems; rerunning goes on where it stopped.

    Raises:
        DataError: the problems cannot be read. EngineError, InterpreterError, StoreError: see `solve.attempt`.
        BudgetReached: the budget is spent; what was checked before is kept.
    """
    began = time.monotonic()
    total = count_problems(_parents(config), str(config.problems))
    inputs = {"problems": file_hash(config.problems)}
    manifest = make_manifest("augment", _recipe(config), inputs=inputs, seeds={"augment": config.seed})
    with RunStore(out, manifest, PACE) as store:
        found: list[Problem | Drop] = []
        progress: Progress | None = None
        if "numbers" in config.kinds:
            found += asyncio.run(_numbers(config))
        failed: Counter[str] = Counter()
        if config.written:
            made = asyncio.run(_write(config, store.journal, out, report))
            failed.update(made.failed)
            write_problems(out / "candidates.jsonl", (candidate.problem for candidate in made.candidates))
            progress = _attempt(config, made.candidates, out, inputs, on_progress, report)
            found += [*made.drops, *_judge(config, made.candidates, out, failed)]
        result = _finish(config, out, total, found, failed)
        store.finish(to_json(result), time.monotonic() - began)
    if progress is not None and progress.spent is not None:
        raise progress.spent
    return result


def _parents(config: AugmentConfig) -> Iterator[Problem]:
    return islice(read_problems(config.problems), config.limit)


def _recipe(config: AugmentConfig) -> dict[str, Any]:
    """What names the result: not the engine where none is asked."""
    fields = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.name != "problems"}
    if not config.written:
        for name in ("engine", "solve", "write", "agree"):
            del fields[name]
    return fields


async def _numbers(config: AugmentConfig) -> list[Problem | Drop]:
    # Plain arithmetic needs no package: bare kernels open several times faster.
    sandbox = Sandbox(replace(config.interpreter, preload=()))
    try:
        made = (item for parent in _parents(config) for item in make_numbers(parent, config.copies, config.seed))
        return await check_numbers(made, sandbox)
    finally:
        await sandbox.close()


async def _write(config: AugmentConfig, journal: Journal, out: Path, report: Report) -> Written:
    engine = LazyEngine(config.engine, report, out / "ledger.jsonl")
    try:
        writer = Writer(engine, journal, config.write, config.seed, config.solve.concurrency)
        return await writer.write(_parents(config), config.written, config.copies)
    finally:
        await engine.close()


def _attempt(
    config: AugmentConfig,
    candidates: list[Candidate],
    out: Path,
    inputs: dict[str, str],
    on_progress: Listener,
    report: Report,
) -> Progress | None:
    """Attempt every candidate, as often as asked."""
    if not candidates:
        return None
    return attempt(
        out / "check",
        "augment-check",
        [candidate.problem for candidate in candidates],
        LazyEngine(config.engine, report, out / "ledger.jsonl"),
        config.solve,
        config.interpreter,
        recipe={"engine": config.engine, "solve": config.solve, "interpreter": config.interpreter},
        inputs=inputs | {"candidates": file_hash(out / "candidates.jsonl")},
        total=len(candidates) * config.solve.samples,
        on_progress=on_progress,
    )


def _judge(
    config: AugmentConfig, candidates: list[Candidate], out: Path, failed: Counter[str]
) -> Iterator[Problem | Drop]:
    """Keep the candidates whose attempts agree; those with an attempt missing are counted as failed."""
    answers: defaultdict[str, dict[int, str | None]] = defaultdict(dict)
    for trajectory in scan_shards(out / "check" / "trajectories", Trajectory) if candidates else ():
        answers[trajectory.problem_id][trajectory.sample_index] = trajectory.answer
    for candidate in candidates:
        known = answers[candidate.problem.id]
        if len(known) < config.solve.samples:
            failed[candidate.kind] += 1
        else:
            yield agree(candidate, [known[index] for index in sorted(known)], config.agree)


def _finish(
    config: AugmentConfig, out: Path, total: int, found: Iterable[Problem | Drop], failed: Counter[str]
) -> AugmentResult:
    kept = [item for item in found if isinstance(item, Problem)]
    drops = [item for item in found if isinstance(item, Drop)]
    write_problems(out / "problems.jsonl", kept)
    write_jsonl(out / "drops.jsonl", drops)
    result = AugmentResult(
        problems=total,
        wanted=dict.fromkeys(config.kinds, total * config.copies),
        kept={kind: sum(problem.tags[TAG]["kind"] == kind for problem in kept) for kind in config.kinds},
        dropped={kind: sum(drop.kind == kind for drop in drops) for kind in config.kinds},
        failed={kind: failed[kind] for kind in config.kinds},
        drops=dict(Counter(f"{drop.kind}: {drop.reason}" for drop in drops).most_common()),
        hash=file_hash(out / "problems.jsonl"),
    )
    write_json(out / "summary.json", result)
    return result
