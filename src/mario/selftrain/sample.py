"""One round's attempts: drawn in waves where they promise most, verified, and the best of all rounds chosen.

The directory is an annotated one like any other (problems, trajectories, kept, drops, set.json, summary.json). The
policy (`annotate.budget`) is never stored: `Ration` replays it from the stored attempts, wave by wave, so a killed
round goes on with the very attempts that an uninterrupted one would have made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mario.annotate import AnnotateResult
from mario.annotate.budget import Attempt, BudgetConfig, waves
from mario.annotate.result import LEDGER, cost_of, write_result
from mario.annotate.select import SelectConfig, select
from mario.annotate.verify import Rules, verify
from mario.data.decontaminate import Passed
from mario.data.readers import write_problems
from mario.data.trainingset import Filter
from mario.engine import EngineConfig
from mario.engine.lazy import LazyEngine
from mario.errors import UsageError
from mario.provenance import content_hash
from mario.solve import Progress, SolveConfig
from mario.solve.attempt import InterpreterConfig, attempt
from mario.solve.run import Listener
from mario.store import scan_shards
from mario.transcript.shape import program_key
from mario.types import Problem, Trajectory

Known = Mapping[str, frozenset[str]]  # correct programs by problem


@dataclass(frozen=True, slots=True)
class Point:
    """Where a round stood at the end of a wave: samples drawn, problems solved, distinct programs up to the target."""

    samples: int
    solved: int
    rows: int


class Ration:
    """`solve.Waves` by the budget's policy: judges what has ended, and says what to attempt next.

    `known` are the correct programs of earlier rounds; `curve` and `found` grow with every wave that is whole.
    """

    def __init__(self, problems: Sequence[Problem], budget: BudgetConfig, rules: Rules, known: Known) -> None:
        self._problems = {problem.id: problem for problem in problems}
        self._budget, self._rules = budget, rules
        self._outcomes: dict[Attempt, str | None] = {}
        self._policy = waves(self._problems, budget, known, _groups(problems, budget.group))
        self._wave = next(self._policy, None)
        self.found = {name: set(programs) for name, programs in known.items()}
        self.samples = self.correct = 0
        self.curve = [self._point()]

    def __call__(self, ended: Iterable[Trajectory]) -> list[tuple[Problem, int]]:
        for trajectory in ended:
            self._outcomes[Attempt(trajectory.problem_id, trajectory.sample_index)] = self._program(trajectory)
        while self._wave and all(one in self._outcomes for one in self._wave):
            self._wave = self._advance(self._wave)
        return [(self._problems[one.problem_id], one.sample_index) for one in self._wave or ()]

    def _program(self, trajectory: Trajectory) -> str | None:
        """What the policy counts: the program of an attempt that may be kept."""
        kept = verify(self._problems[trajectory.problem_id], trajectory, self._rules).drop is None
        return program_key(trajectory) if kept else None

    def _advance(self, wave: Sequence[Attempt]) -> list[Attempt] | None:
        outcomes = {one: self._outcomes[one] for one in wave}
        self.samples += len(wave)
        for one, program in outcomes.items():
            if program is not None:
                self.correct += 1
                self.found.setdefault(one.problem_id, set()).add(program)
        self.curve.append(self._point())
        try:
            return self._policy.send(outcomes)
        except StopIteration:
            return None

    def _point(self) -> Point:
        counts = [len(programs) for programs in self.found.values()]
        return Point(self.samples, sum(n > 0 for n in counts), sum(min(n, self._budget.target) for n in counts))


def _groups(problems: Sequence[Problem], name: str | None) -> dict[str, str]:
    """The value of `budget.group` for each problem.

    Raises:
        UsageError: no problem has it.
    """
    if name is None:
        return {}
    found = {p.id: {"level": p.level, "subject": p.subject}.get(name) or p.tags.get(name) for p in problems}
    if problems and not any(value is not None for value in found.values()):
        raise UsageError(f"budget.group = {name!r}: no problem has a level, subject or tag of that name; name another")
    return {id: str(value) for id, value in found.items()}


@dataclass(frozen=True, slots=True)
class Sampled:
    """One round's attempts: what was drawn, what is kept of all rounds, and every correct program known now."""

    result: AnnotateResult
    attempted: int  # problems that lacked programs at the beginning
    correct: int  # attempts of this round that may be kept
    prompt_tokens: int
    completion_tokens: int
    curve: Sequence[Point]
    known: Known


def sample_round(
    out: Path,
    problems: Sequence[Problem],
    known: Known,
    earlier: Sequence[Path],
    *,
    engine: EngineConfig,
    solve: SolveConfig,
    interpreter: InterpreterConfig,
    budget: BudgetConfig,
    rules: SelectConfig,
    passed: Passed,
    on_progress: Listener,
    report: Callable[[str], None],
) -> Sampled:
    """Attempt the problems that lack programs into `out`, then choose rows from these attempts and `earlier` ones.

    `passed` is what the problems went through before, for the set's account of itself.

    Raises:
        BudgetReached: the engine's money is spent; what is done is stored, and no rows have been chosen.
        EngineError, InterpreterError, StoreError: see `solve.attempt`.
    """
    wanting = [problem for problem in problems if len(known.get(problem.id, ())) < budget.target]
    ration = Ration(wanting, budget, rules, known)
    progress = attempt(
        out,
        "annotate",
        wanting,
        LazyEngine(engine, report, out / LEDGER),
        solve,
        interpreter,
        recipe={
            "engine": engine,
            "solve": solve,
            "interpreter": interpreter,
            "budget": budget,
            # They decide what counts as correct, and so which attempt comes next.
            "rules": {name: getattr(rules, name) for name in Rules.__slots__},
        },
        inputs={
            "problems": content_hash(list(problems)),
            "known": content_hash({name: sorted(programs) for name, programs in sorted(known.items())}),
        },
        waves=ration,
        on_progress=on_progress,
    )
    if progress.spent is not None:
        raise progress.spent
    write_problems(out / "problems.jsonl", problems)
    result = _choose(out, earlier, rules, passed, progress, engine, len(problems))
    found = {name: frozenset(programs) for name, programs in ration.found.items()}
    return Sampled(
        result,
        len(wanting),
        ration.correct,
        progress.prompt_tokens,
        progress.completion_tokens,
        tuple(ration.curve),
        found,
    )


def _choose(
    out: Path,
    earlier: Sequence[Path],
    rules: SelectConfig,
    passed: Passed,
    progress: Progress,
    engine: EngineConfig,
    total: int,
) -> AnnotateResult:
    """The training set of all attempts so far, and the counts of this round."""
    before = sum(1 for folder in earlier for _ in scan_shards(folder / "trajectories", Trajectory))
    done = progress.done + before
    failed = {"failure on our side": progress.failed} if progress.failed else {}
    cost = cost_of(out, engine)
    made = select(
        out,
        rules,
        sources=[*(folder / "trajectories" for folder in earlier), out / "trajectories"],
        before=[*passed.filters, Filter("attempt", "attempts", done + progress.failed, done, failed)],
        cost=cost,
        compared=passed.benchmarks,
    )
    return write_result(out, total, progress, made, cost)
