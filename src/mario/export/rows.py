"""One attempt as one row of a published data set: the same steps twice, as tool messages and as the paper's text.

`messages` are native tool calls with `arguments` as an object; `spans` are the inline text cut by author, so that a
trainer can mask what the model did not write; `text` is the spans joined. Neither holds demonstrations of the teacher's
prompt: they are rendered from the steps, or are the student's own text where the attempt was made in that format.

What this module does not do: write files.
"""

from __future__ import annotations

from typing import Any

from mario.provenance import canonical_json
from mario.transcript import format_named
from mario.transcript.shape import program_shape
from mario.types import ObservationStatus, Problem, Span, Trajectory

_OWN_TAGS = frozenset({"verdict", "correct", "support", "round", "teacher_format"})

# Field, what it holds; the order is that of the columns.
FIELDS: tuple[tuple[str, str], ...] = (
    ("id", "problem, sample and, of several rounds, the round"),
    ("problem_id", "stable id of the problem"),
    ("source", "data set of the problem"),
    ("split", "its split there"),
    ("level", "difficulty, where the source tells it"),
    ("subject", "subject, where the source tells it"),
    ("question", "the problem"),
    ("answer", "reference answer"),
    ("predicted", "the attempt's answer"),
    ("correct", "whether the grader found them equivalent"),
    ("verdict", "the grader's verdict, or why there is none"),
    ("support", "1: an output holds the answer, 2: every snippet ran, 3: neither"),
    ("messages", "the attempt as chat with tool calls; `arguments` is an object"),
    ("tools", "schema of the one tool, `python`"),
    ("text", "the attempt in the paper's inline text"),
    ("spans", "the same text cut by author: prompt, model, interpreter; only model spans are to be learnt"),
    ("n_calls", "snippets run"),
    ("n_errors", "snippets that did not end well"),
    ("finish", "why the attempt ended"),
    ("model", "the teacher"),
    ("teacher_format", "the format the teacher wrote in"),
    ("temperature", "how it sampled"),
    ("top_p", "how it sampled"),
    ("sample_index", "which of the problem's attempts"),
    ("round", "which round of self-training, if any"),
    ("prompt_tokens", "as the engine counted; 0 where it has no tokens"),
    ("completion_tokens", "as the engine counted; 0 where it has no tokens"),
    ("shape", "hash of the program's shape: names, constants and texts left out"),
    ("licence", "licence of the problem's source"),
    ("tags", "further facts of problem and attempt, as JSON"),
)


def make_row(problem: Problem, trajectory: Trajectory) -> dict[str, Any]:
    """Both renderings and what is known of the attempt.

    Raises:
        ValueError: a step cannot be written as inline text.
    """
    tools = format_named("tools")
    spans = _spans(problem, trajectory)
    observations = [step.observation for step in trajectory.steps if step.observation]
    tags = {"problem": dict(problem.tags), "attempt": _further(trajectory)}
    part = trajectory.tags.get("round")
    return {
        "id": f"{problem.id}#{trajectory.sample_index}" + (f"@{part}" if part is not None else ""),
        "problem_id": problem.id,
        "source": problem.source,
        "split": problem.split,
        "level": problem.level,
        "subject": problem.subject,
        "question": problem.question,
        "answer": problem.answer,
        "predicted": trajectory.answer,
        "correct": bool(trajectory.tags.get("correct")),
        "verdict": trajectory.tags.get("verdict"),
        "support": trajectory.tags.get("support"),
        "messages": [dict(m) for m in tools.render(problem.question, trajectory.steps, trajectory.answer).messages],
        "tools": [dict(tool) for tool in tools.tools],
        "text": "".join(span.text for span in spans),
        "spans": [{"text": span.text, "source": span.source.value} for span in spans],
        "n_calls": len(observations),
        "n_errors": sum(seen.status is not ObservationStatus.OK for seen in observations),
        "finish": trajectory.stop_reason.value,
        "model": trajectory.model,
        "teacher_format": trajectory.tags.get("teacher_format", trajectory.format),
        "temperature": trajectory.sampling.temperature,
        "top_p": trajectory.sampling.top_p,
        "sample_index": trajectory.sample_index,
        "round": part,
        "prompt_tokens": trajectory.prompt_tokens,
        "completion_tokens": trajectory.completion_tokens,
        "shape": program_shape(trajectory),
        "licence": problem.licence,
        "tags": canonical_json({name: held for name, held in tags.items() if held}),
    }


def _spans(problem: Problem, trajectory: Trajectory) -> tuple[Span, ...]:
    inline = format_named("text" if trajectory.format == "text" else "inline")
    if trajectory.format == inline.name and trajectory.spans[:1]:
        opening = inline.start(problem.question).spans[0].text
        if trajectory.spans[0].text == opening:  # without demonstrations: the very text that the student writes
            return trajectory.spans
    return inline.render(problem.question, trajectory.steps, trajectory.answer).spans


def _further(trajectory: Trajectory) -> dict[str, Any]:
    return {name: value for name, value in trajectory.tags.items() if name not in _OWN_TAGS}
