"""The attempts of a report as compact JSON, which the page's script lists, filters and opens.

Every text is cut at `TEXT_CHARACTERS` and says so: the stored trajectory has the rest, a page must open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mario.evaluate.metrics import Judged
from mario.report.runs import Axis, ReportRun
from mario.types import Problem, Source, Step

TEXT_CHARACTERS = 20_000


def attempts(runs: Sequence[ReportRun], axis: Axis | None, limit: int) -> dict[str, Any]:
    """Problems, each once, and attempts pointing to them; at most `limit`, an equal share for every run."""
    share = limit // max(1, len(runs))
    places: dict[tuple[str, ...], int] = {}
    problems: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for i, run in enumerate(runs):
        for judged in run.judged[:share]:
            key = (judged.problem.source, judged.problem.id, judged.problem.split, judged.problem.question)
            if key not in places:
                places[key] = len(problems)
                problems.append(_problem(judged.problem, axis))
            rows.append({"run": i, "problem": places[key], **_attempt(judged, run)})
    return {
        "runs": [
            {"name": run.name, "model": run.model_label, "mode": run.mode_label, "judge": run.valued_by} for run in runs
        ],
        "axis": axis.title if axis else None,
        "problems": problems,
        "attempts": rows,
        "left_out": sum(len(run.judged[share:]) for run in runs),
    }


def _problem(problem: Problem, axis: Axis | None) -> dict[str, Any]:
    return {
        "id": problem.id,
        "question": _cut(problem.question),
        "answer": _cut(problem.answer),
        "source": problem.source,
        "split": problem.split,
        "difficulty": axis.of(problem) if axis else None,
        "subject": problem.subject,
    }


def _attempt(judged: Judged, run: ReportRun) -> dict[str, Any]:
    trajectory, verdict = judged.trajectory, judged.verdict
    steps = [_step(step) for step in trajectory.steps]
    values = run.values.get((trajectory.problem_id, trajectory.sample_index), ())
    # A value a turn; what stands before the first turn shown (a worked example's) is left out.
    valued = {"values": [round(value, 4) for value in values[-len(steps) :]]} if values and steps else {}
    return {
        **valued,
        "sample": trajectory.sample_index,
        "outcome": "correct" if judged.correct else "wrong" if judged.scored else "unscored",
        "stop": trajectory.stop_reason.value,
        "verdict": verdict.status.value,
        "reason": _cut(verdict.reason),
        "understood": None if verdict.answer is None else _cut(verdict.answer),
        "answer": None if trajectory.answer is None else _cut(trajectory.answer),
        "tokens": trajectory.completion_tokens,
        "steps": steps,
        # Where no step could be read, what the model wrote is all there is to see.
        "written": None if steps else _cut("".join(s.text for s in trajectory.spans if s.source is Source.MODEL)),
    }


def _step(step: Step) -> dict[str, Any]:
    found: dict[str, Any] = {"thought": _cut(step.thought)}
    if step.code is not None:
        found["code"] = _cut(step.code)
    if (seen := step.observation) is not None:
        found["output"] = _cut(seen.output) + (f"\n… {seen.truncated:,} characters were cut" if seen.truncated else "")
        found["status"] = seen.status.value
        found["seconds"] = round(seen.seconds, 3)
    return found


def _cut(text: str) -> str:
    left = len(text) - TEXT_CHARACTERS
    return text if left <= 0 else f"{text[:TEXT_CHARACTERS]}\n… {left:,} more characters are in the stored trajectory"
