"""A tiny real model that has learnt the inline format: sums and products, computed by the interpreter.

`lessons` are trajectories as a teacher would write them, and `taught` trains `tiny.tiny_model` on them by the
product's own training, in seconds. At temperature 1 it writes programs that run, break, and answer right and wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mario.train.config import SftConfig
from mario.train.loop import TrainResult
from mario.train.sft import SourceSet, train_sft
from mario.transcript import format_named
from mario.types import Observation, ObservationStatus, Problem, Sampling, Step, StopReason, Trajectory
from tiny import tiny_model

CONFIG = SftConfig(
    learning_rate=6e-3,
    epochs=1,
    tokens_per_step=1500,
    max_tokens=3000,
    max_row_tokens=400,
    dtype="float32",
    device="cpu",
    save_dtype="float32",
    save_seconds=3600,
)
WORDS = (
    "Question: ",
    "Solution:",
    "Output: ",
    "Final Answer: $",
    "</code>",
    "<code>",
    "```python",
    "```",
    "print(",
    "<p>",
    "</p>",
)


def problems(count: int) -> Iterator[Problem]:
    for i in range(count):
        a, b, sign = 2 + 7 * i % 9, 2 + 5 * i % 8, "+*"[i % 2]
        answer = a + b if sign == "+" else a * b
        yield Problem(f"sum-{i}", f"{a} {sign} {b}?", str(answer), "lessons", "train")


def lessons(count: int) -> Iterator[Trajectory]:
    """One trajectory a problem: a program, its output, the answer."""
    format = format_named("inline")
    for problem in problems(count):
        steps = (
            Step("Compute.", f"print({problem.question[:-1]})", Observation(problem.answer, ObservationStatus.OK)),
            Step("So."),
        )
        spans = format.render(problem.question, steps, problem.answer).spans
        yield Trajectory(
            problem.id, 0, "inline", "teacher", Sampling(), steps, StopReason.ANSWERED, problem.answer, spans=spans
        )


def merges() -> tuple[tuple[str, str], ...]:
    """Byte merges that make each word of the markup one token, so that rows are short and boundaries can merge."""
    found: dict[tuple[str, str], None] = {}
    for word in WORDS:
        symbols = word.replace(" ", "Ġ")
        for end in range(1, len(symbols)):
            found[(symbols[:end], symbols[end])] = None
    return (*found, ("Ċ", "Ċ"), (">", "Ċ"))


def taught(directory: Path, *, count: int = 1500) -> TrainResult:
    """A model directory under `directory` that has learnt the lessons."""
    base = tiny_model(directory / "base", spread=0.02, add_bos=True, merges=merges())
    return train_sft(
        CONFIG, [SourceSet("lessons", list(lessons(count)), "sha256:lessons")], str(base), directory / "taught"
    )
