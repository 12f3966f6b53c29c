"""Is an attempt good enough to learn from? A pure judgement with a reason for every drop."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mario.grade import grade
from mario.types import ObservationStatus, Problem, Trajectory, VerdictStatus


@dataclass(frozen=True, slots=True)
class Outcome:
    """`drop` is None for a trajectory to keep, else the reason; `detail` is for the person who asks why."""

    trajectory: Trajectory
    drop: str | None = None
    detail: str = ""


def verify(problem: Problem, trajectory: Trajectory) -> Outcome:
    """Keep an attempt whose answer is the reference answer and whose code, if any, ran at least once."""
    if trajectory.answer is None:
        return Outcome(trajectory, f"no answer: {trajectory.stop_reason.value}")
    verdict = grade(problem.answer, trajectory.answer)
    match verdict.status:
        case VerdictStatus.EQUIVALENT:
            pass
        case VerdictStatus.REFERENCE_UNPARSED:
            return Outcome(trajectory, "reference unparsed", verdict.reason)
        case VerdictStatus.UNDECIDED:
            return Outcome(trajectory, "undecided", verdict.reason)
        case _:
            return Outcome(trajectory, "wrong", verdict.reason)
    observations = [step.observation for step in trajectory.steps if step.observation]
    if observations and all(seen.status is not ObservationStatus.OK for seen in observations):
        return Outcome(trajectory, "every snippet failed", observations[-1].output[-200:])
    return Outcome(replace(_timeless(trajectory), tags={**trajectory.tags, "verdict": verdict.status.value}))


def _timeless(trajectory: Trajectory) -> Trajectory:
    """Without wall times: the same inputs make the same bytes, so a training set's hash names its content."""
    steps = tuple(
        replace(step, observation=replace(step.observation, seconds=0.0)) if step.observation else step
        for step in trajectory.steps
    )
    return replace(trajectory, steps=steps)
