"""What is held out in training: problems that the network solves with the interpreter, and rows to see the loss on.

The attempts are greedy and are not kept; only how many problems were solved is. A verdict that will be published comes
from `mario evaluate` on the finished model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mario.cli.places import problems_file
from mario.data.overlap import fingerprint, questions_of
from mario.data.readers import read_problems
from mario.errors import DataError, UsageError
from mario.estimate import Estimate, wilson
from mario.grade import grade
from mario.provenance import content_hash, to_json
from mario.solve import Schedule, SolveConfig
from mario.solve.attempt import InterpreterConfig, Sandbox
from mario.solve.rollout import start
from mario.transcript import format_named
from mario.types import Problem, Trajectory

if TYPE_CHECKING:
    from mario.train.heldout import HeldOut


@dataclass(frozen=True, slots=True)
class HeldOutConfig:
    """Problems to solve while training, and rows to measure the loss on.

    problems: file or directory of problems that are not trained on; none solves nothing
    rows: output directory of mario annotate that is not trained on; none measures no loss but that of training
    limit: only the first so many problems
    limit_rows: only the first so many rows
    every_steps: try them after every so many steps; none is at the end only
    format: inline (with code), text or tools
    max_new_tokens: bound of one turn
    max_steps: turns that may run code
    batch_size: attempts decoded together

    Raises:
        UsageError: a value is impossible; names it.
    """

    problems: Path | None = None
    rows: Path | None = None
    limit: int = 20
    limit_rows: int = 200
    every_steps: int | None = None
    format: str = "inline"
    max_new_tokens: int = 256
    max_steps: int = 4
    batch_size: int = 16

    def __post_init__(self) -> None:
        for name in ("limit", "limit_rows", "every_steps", "max_new_tokens", "max_steps", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"heldout.{name} must be a positive integer, got {value}")
        format_named(self.format)


def held_out(config: HeldOutConfig, folders: Iterable[Path], report: Callable[[str], None]) -> HeldOut | None:
    """What training needs to know, or None where nothing is held out. Problems and rows are read now.

    Raises:
        DataError: there are none, they cannot be read, or a question is answered in a folder of rows to train on.
        StoreError: the rows are not sealed, or have changed.
    """
    if config.problems is None and config.rows is None:
        return None
    from mario.train.heldout import HeldOut

    known = set[str]().union(*map(questions_of, folders))
    inputs: dict[str, str] = {}
    problems: list[Problem] = []
    rows: list[Trajectory] = []
    if config.problems:
        problems = _problems(config.problems, config.limit, known)
        inputs[f"problems/{config.problems.name}"] = content_hash([to_json(problem) for problem in problems])
    if config.rows:
        rows = _rows(config.rows, config.limit_rows, known)
        inputs[f"rows/{config.rows.name}"] = content_hash([to_json(row) for row in rows])

    def solve(network: Any, tokenizer: Any) -> Estimate:
        return asyncio.run(_solve(config, problems, network, tokenizer, report))

    return HeldOut(solve if problems else None, config.every_steps, rows, inputs)


def _problems(path: Path, limit: int, known: set[str]) -> list[Problem]:
    problems = list(islice(read_problems(problems_file(path)), limit))
    learnt = [problem.id for problem in problems if fingerprint(problem.question) in known]
    if learnt:
        raise DataError(
            f"{len(learnt)} of the {len(problems)} problems of {path} are answered in the data to train on, "
            f"{learnt[0]} first; name others as heldout.problems"
        )
    return problems


def _rows(root: Path, limit: int, known: set[str]) -> list[Trajectory]:
    from mario.train.sources import kept_rows

    source = kept_rows(root)
    learnt = known & questions_of(root / "kept")
    if learnt:
        raise DataError(
            f"{len(learnt)} of the questions that {root} answers are answered in the data to train on; name others as "
            "heldout.rows"
        )
    return list(islice(source.trajectories, limit))


async def _solve(
    config: HeldOutConfig, problems: list[Problem], network: Any, tokenizer: Any, report: Callable[[str], None]
) -> Estimate:
    from mario.engine.local import LocalEngine

    settings = SolveConfig(format=config.format, max_new_tokens=config.max_new_tokens, max_steps=config.max_steps)
    engine = LocalEngine(network, tokenizer, "the network in training", batch_size=config.batch_size)
    sandbox = Sandbox(InterpreterConfig())
    schedule = Schedule(engine, sandbox)
    solved: list[bool] = []

    def judge(problem: Problem, trajectory: Trajectory) -> None:
        solved.append(trajectory.answer is not None and grade(problem.answer, trajectory.answer).equivalent)

    format = format_named(config.format)
    try:
        attempts = (start(problem, 0, engine.name, settings, format) for problem in problems)
        await schedule.run_all(attempts, config.batch_size, judge)
    finally:
        await sandbox.close()
        await engine.close()
    if schedule.failures:
        report(f"{len(schedule.failures)} held-out attempts failed on our side: {schedule.failures[0].error}")
    return wilson(sum(solved), len(solved))
