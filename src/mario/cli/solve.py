"""`mario solve`: one question, its text, code and output shown as they come; or several samples and a choice."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mario.cli.arguments import Parser, add_settings, given, resolve
from mario.cli.places import DEMO_MODEL
from mario.cli.progress import say
from mario.engine import EngineConfig, build_engine
from mario.errors import MarioError, UsageError
from mario.grade import group
from mario.provenance import to_json
from mario.solve import Schedule, SolveConfig
from mario.solve.attempt import InterpreterConfig, Sandbox
from mario.solve.rollout import Rollout, start
from mario.solve.vote import Tally, VoteConfig, tally
from mario.transcript import format_named
from mario.types import Problem, StopReason, Trajectory
from mario.value import ValueConfig, ValueModel, or_generator
from mario.value.calibrate import sigmoid
from mario.value.score import Progress as ValueProgress


@dataclass(frozen=True, slots=True)
class SolveRecipe:
    """Solving one question."""

    engine: EngineConfig = field(default_factory=EngineConfig)
    solve: SolveConfig = field(default_factory=SolveConfig)
    select: VoteConfig = field(default_factory=VoteConfig)
    value: ValueConfig = field(default_factory=ValueConfig)
    interpreter: InterpreterConfig = field(default_factory=InterpreterConfig)


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario solve",
        description="Answer a question; text, code and output are shown as they come, the answer goes to stdout.\n"
        "Without a model named, the one that `make demo` trained is used. QUESTION may be - for stdin. With several\n"
        "samples one is chosen by --select, and the count that led to it is shown.",
        epilog='example: mario solve "A box holds 24 pencils. How many pencils do 17 boxes hold?"',
    )
    parser.add_argument("question", help="the question, or - to read it from stdin")
    parser.add_argument(
        "--json", action="store_true", help="the whole trajectory as JSON on stdout (all, with the count)"
    )
    add_settings(parser, SolveRecipe, short={"select.strategy": "select"})
    args = parser.parse(argv)
    question = sys.stdin.read() if args.question == "-" else args.question
    if not question.strip():
        raise UsageError('the question is empty; type: mario solve "How much is 17 * 24?"')
    try:
        question.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the question is not UTF-8 (at character {error.start}); type it in a UTF-8 terminal"
        ) from error
    recipe = resolve(SolveRecipe, args, **_default_model(args))
    if recipe.solve.samples > 1 or recipe.select.strategy != "first":
        return _choose(recipe, question.strip(), as_json=args.json)
    trajectory = asyncio.run(_solve(recipe, question.strip(), quiet=args.json))
    if args.json:
        print(json.dumps(to_json(trajectory), indent=2, ensure_ascii=False))
    elif trajectory.answer is not None:
        say("\n")
        print(trajectory.answer)
    else:
        say(f"\n\nno answer: {_WHY[trajectory.stop_reason]}")
    return 0 if trajectory.answer is not None else 1


_WHY = {
    StopReason.NO_ACTION: "the model wrote neither code nor a final answer",
    StopReason.CODE_AND_ANSWER: "the model gave code and an answer in one step",
    StopReason.UNCLOSED_CODE: "the model stopped inside its code",
    StopReason.TOKEN_LIMIT: "the model reached solve.max_new_tokens before it finished",
    StopReason.STEP_LIMIT: "the model reached solve.max_steps before it answered",
    StopReason.CONTEXT_LIMIT: "the text no longer fits the model's window",
    StopReason.ANSWERED: "",
}


def _default_model(args: argparse.Namespace) -> dict[str, str]:
    """The demo's model, when neither a flag nor a recipe names one."""
    if args.recipe or given(args, "engine.model") or given(args, "engine.endpoint"):
        return {}
    if not (DEMO_MODEL / "config.json").exists():
        raise UsageError(
            f"no model named, and {DEMO_MODEL} is not there; type: make demo (trains one in some ten minutes), "
            "or name one with --engine.model DIRECTORY, or a server with --engine.endpoint URL"
        )
    return {"engine.model": str(DEMO_MODEL)}


async def _solve(recipe: SolveRecipe, question: str, *, quiet: bool) -> Trajectory:
    async with _schedule(recipe) as schedule:
        trajectory = await schedule.run(_rollout(recipe, schedule, question, 0), None if quiet else Screen().show)
    if trajectory is None:
        raise MarioError(schedule.failures[0].error)
    return trajectory


@asynccontextmanager
async def _schedule(recipe: SolveRecipe) -> AsyncIterator[Schedule]:
    engine = build_engine(recipe.engine, say)
    sandbox = Sandbox(recipe.interpreter)
    try:
        yield Schedule(engine, sandbox)
    finally:
        await sandbox.close()
        await engine.close()


def _rollout(recipe: SolveRecipe, schedule: Schedule, question: str, sample: int) -> Rollout:
    problem = Problem("question", question, "", "command line", "none")
    return start(problem, sample, schedule.engine.name, recipe.solve, format_named(recipe.solve.format))


def _choose(recipe: SolveRecipe, question: str, *, as_json: bool) -> int:
    """Several samples, the choice among them on stdout, and how it came about on stderr."""
    if recipe.solve.samples < 2:
        raise UsageError(
            f"--select {recipe.select.strategy} chooses among samples; add, for example: "
            "--solve.samples 8 --solve.temperature 0.7"
        )
    model = ValueModel(or_generator(recipe.value, recipe.engine, say), say) if recipe.select.needs_values else None
    samples = sorted(asyncio.run(_sample(recipe, question)), key=lambda t: t.sample_index)
    log_odds = None
    if model is not None:
        say(f"{model.name} values {len(samples)} samples")
        values = model.values(samples, ValueProgress(len(samples)))
        log_odds = [model.card.log_odds(value.logits[-1]) if value.logits else -math.inf for value in values]
        model.close()
    counted = tally(group([t.answer for t in samples]), log_odds, recipe.select)
    answer = samples[counted[0].chosen].answer if counted else None
    if as_json:
        shown = {"answer": answer, "select": recipe.select, "log_odds": log_odds, "tally": counted, "samples": samples}
        print(json.dumps(to_json(shown), indent=2, ensure_ascii=False))
    else:
        say(count_table(samples, counted, log_odds, recipe.select))
        if answer is not None:
            print(answer)
    return 0 if answer is not None else 1


async def _sample(recipe: SolveRecipe, question: str) -> list[Trajectory]:
    found: list[Trajectory] = []

    def keep(_: Problem, trajectory: Trajectory) -> None:
        found.append(trajectory)
        got = trajectory.answer if trajectory.answer is not None else f"no answer: {_WHY[trajectory.stop_reason]}"
        say(f"sample {trajectory.sample_index}: {got}")

    async with _schedule(recipe) as schedule:
        rollouts = (_rollout(recipe, schedule, question, k) for k in range(recipe.solve.samples))
        await schedule.run_all(rollouts, recipe.solve.concurrency, keep)
    if not found:
        raise MarioError(schedule.failures[0].error)
    return found


def count_table(
    samples: Sequence[Trajectory], counted: Sequence[Tally], log_odds: Sequence[float] | None, select: VoteConfig
) -> str:
    """One line an answer, the chosen one first: how many samples gave it, how it is valued, and why others lost."""
    silent = len(samples) - sum(len(t.members) for t in counted)
    lines = [f"\n{select.strategy}: {len(samples)} samples" + (f", {silent} without an answer" if silent else "")]
    for place, found in enumerate(counted):
        parts = [f"{len(found.members)} of {len(samples)}"]
        if log_odds is not None:
            chances = [sigmoid(log_odds[i]) for i in found.members]
            parts.append(f"value {max(chances):.3f} at best, {math.fsum(chances):.3f} together")
        if not found.kept:
            parts.append("too little support")
        answer = " ".join(str(samples[found.chosen].answer).split())
        lines.append(f"{'→' if place == 0 else ' '} {answer}  ({', '.join(parts)})")
    return "\n".join(lines)


_TAGS = frozenset({"<p>", "</p>", "<code>", "</code>"})


class Screen:
    """Shows text and code as the model writes them, without the markup, and the interpreter's output set apart."""

    def __init__(self) -> None:
        colour = sys.stderr.isatty()
        self._on, self._off = ("\x1b[36m", "\x1b[0m") if colour else ("", "")
        self._held = ""  # a line that may still turn out to be a tag
        self._at_start = True

    def show(self, kind: str, text: str) -> None:
        if kind == "text":
            for piece in text.splitlines(keepends=True):
                self._line(piece)
        elif kind == "output":
            self._line("\n")
            sys.stderr.write(f"{self._on}Output: {text}{self._off}\n\n")
            self._at_start = True
        sys.stderr.flush()

    def _line(self, piece: str) -> None:
        """Write a piece of one line at once, unless the line opens like a tag: then wait for its end."""
        if self._held or (self._at_start and piece.startswith("<")):
            self._held += piece
            if self._held.strip() not in _TAGS and not any(tag.startswith(self._held) for tag in _TAGS):
                sys.stderr.write(self._held)
            elif not self._held.endswith("\n"):
                return
            self._at_start = self._held.endswith("\n")
            self._held = ""
            return
        sys.stderr.write(piece)
        self._at_start = piece.endswith("\n")
