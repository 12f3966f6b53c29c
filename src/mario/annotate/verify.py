"""Is an attempt good enough to learn from? A pure judgement with a reason for every drop.

A right answer is not enough. A solution whose every program failed was guessed; one whose answer no output ever showed
was worked out in the head, which is the habit that an interpreter is there to break; one that prints a constant or
repeats the reference's words teaches nothing. Levels of support are AlphaMath's (arXiv 2405.03553, algorithm 3).

What this module does not do: compare attempts with each other (`select`), or run anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mario.errors import UsageError
from mario.grade import grade
from mario.transcript.shape import computes
from mario.types import Observation, ObservationStatus, Problem, Step, Trajectory, Verdict, VerdictStatus

_COPY_RUN = 8  # words in a row that count as copied
_COPY_LEAST = 4  # runs a text must have before a share of them says anything
_READINGS = 12  # parts of one output that may hold the answer, judged by the grader
_LONGEST_READING = 200
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?(?:/\d+)?")


@dataclass(frozen=True, slots=True)
class Rules:
    """See `SelectConfig` for what each says."""

    support: Literal["required", "preferred"] = "required"
    max_characters: int = 8000
    max_copied: float = 0.8

    def __post_init__(self) -> None:
        if self.max_characters < 1:
            raise UsageError(f"max_characters must be a positive integer, got {self.max_characters}")
        if not 0 < self.max_copied <= 1:
            raise UsageError(f"max_copied is a share above 0 and at most 1, got {self.max_copied}; 1 never drops")


DEFAULT = Rules()


@dataclass(frozen=True, slots=True)
class Outcome:
    """`drop` is None for a trajectory to keep, else the reason; `detail` is for the person who asks why.

    `correct` is None where it cannot be said, and for what neither fine-tuning nor a value model should see.
    `support`: 1 an output holds the answer, 2 every snippet ran, 3 the rest; 3 also for a solution without code.
    """

    drop: str | None = None
    detail: str = ""
    correct: bool | None = None
    support: int = 3


def verify(problem: Problem, trajectory: Trajectory, rules: Rules = DEFAULT) -> Outcome:
    """Judge one attempt, grading it in this process."""
    return judge(problem, trajectory, grade(problem.answer, trajectory.answer or ""), rules)


def judge(problem: Problem, trajectory: Trajectory, verdict: Verdict, rules: Rules = DEFAULT) -> Outcome:
    """Judge one attempt whose answer has been graded; the verdict of a missing answer is not looked at."""
    length = sum(len(step.thought) + len(step.code or "") + len(_output(step)) for step in trajectory.steps)
    observations = [step.observation for step in trajectory.steps if step.observation]
    ran = [seen for seen in observations if seen.status is ObservationStatus.OK]
    # A value model learns from wrong attempts too, but not from those that are wrong for want of a working program.
    wrong = False if length <= rules.max_characters and not (observations and not ran) else None
    if trajectory.answer is None:
        return Outcome(f"no answer: {trajectory.stop_reason.value}", correct=wrong)
    match verdict.status:
        case VerdictStatus.EQUIVALENT:
            pass
        case VerdictStatus.REFERENCE_UNPARSED:
            return Outcome("reference unparsed", verdict.reason)
        case VerdictStatus.UNDECIDED:
            return Outcome("undecided", verdict.reason)
        case _:
            return Outcome("wrong", verdict.reason, correct=wrong)
    if observations and not ran:
        return Outcome("every snippet failed", observations[-1].output[-200:])
    if length > rules.max_characters:
        return Outcome("too long", f"{length} characters, at most {rules.max_characters}")
    if observations and not computes(trajectory):
        return Outcome("echo: the code computes nothing")
    copied = _copied(problem, trajectory) if rules.max_copied < 1 else 0.0
    if copied > rules.max_copied:
        return Outcome("echo: words of the reference solution", f"{copied:.0%} of its words")
    support = _support(trajectory.answer, observations, ran)
    if rules.support == "required" and observations and support > 1:
        return Outcome("answer never supported by an output", ran[-1].output[-200:], support=support)
    return Outcome(correct=True, support=support)


def _output(step: Step) -> str:
    return step.observation.output if step.observation else ""


def _support(answer: str, observations: list[Observation], ran: list[Observation]) -> int:
    if any(_holds(seen.output, answer) for seen in reversed(ran)):
        return 1
    return 2 if observations and len(ran) == len(observations) else 3


def _holds(output: str, answer: str) -> bool:
    """Whether an output shows the answer, in any of the ways programs print one: alone, after a label, among others."""
    wanted = _plain(answer)
    readings = list(dict.fromkeys(_readings(output)))
    if any(_plain(reading) == wanted for reading in readings):
        return True
    near = [reading for reading in readings if len(reading) <= _LONGEST_READING][:_READINGS]
    return any(grade(answer, reading).status is VerdictStatus.EQUIVALENT for reading in near)


def _readings(output: str) -> Iterator[str]:
    yield output.strip()
    lines = [line.strip() for line in output.splitlines()[-50:] if line.strip()]
    for line in reversed(lines):
        yield line
        for mark in ("=", ":"):
            if mark in line:
                yield line.rsplit(mark, 1)[1].strip()
        yield from _NUMBER.findall(line)


def _plain(text: str) -> str:
    return text.replace(",", "").replace("$", "").replace(" ", "").removesuffix(".")


def _copied(problem: Problem, trajectory: Trajectory) -> float:
    """Share of the solution's runs of words that stand in the reference solution."""
    if not problem.solution:
        return 0.0
    runs = _runs(" ".join(step.thought for step in trajectory.steps))
    if len(runs) < _COPY_LEAST:
        return 0.0
    return len(runs & _runs(problem.solution)) / len(runs)


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[at : at + _COPY_RUN]) for at in range(len(words) - _COPY_RUN + 1)}
