"""What every kind of training shares on the command line: its flags, the forecast of `--dry-run`, progress, the end.

A verb brings its recipe, which has a `model` and the settings `train`, and makes the `Task` of it.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from mario.cli.arguments import Parser
from mario.cli.places import needs_out
from mario.cli.progress import Line, duration, say, short
from mario.train.config import SftConfig

if TYPE_CHECKING:
    from mario.train.estimate import Forecast
    from mario.train.heldout import HeldOut
    from mario.train.loop import Task, TrainResult


class Recipe(Protocol):
    @property
    def model(self) -> str: ...
    @property
    def train(self) -> SftConfig: ...


R = TypeVar("R", bound=Recipe)


def add_training(parser: Parser) -> None:
    parser.add_argument("--out", type=Path, metavar="DIRECTORY")
    parser.add_argument("--dry-run", action="store_true", help="print steps, tokens and memory; train nothing")


def plan_or_train(
    args: Namespace, recipe: R, task_of: Callable[[R], Task], train: Callable[[R, Path], TrainResult]
) -> int:
    """Do what the flags of `add_training` say."""
    if args.dry_run:
        from mario.train.estimate import forecast

        print(plan_text(forecast(task_of(recipe), recipe.train, recipe.model, say)))
        return 0
    from mario.train.processes import is_first, leave

    result = train(recipe, needs_out(args.out, "train"))
    if is_first():  # of several processes
        print(table(result))
    leave()
    return 0


def with_progress(task: Task, recipe: Recipe, out: Path, held_out: HeldOut | None = None) -> TrainResult:
    """Train, with a line that says how far it is."""
    from mario.train.loop import train

    with Line(f"train {out.name}") as line:
        return train(task, recipe.train, recipe.model, out, lambda done: line.show(str(done)), say, held_out)


def table(result: TrainResult) -> str:
    """The end of a run for people."""
    sources = "\n".join(f"  {name}: {count}" for name, count in result.sources.items())
    refused = "".join(f"\n  refused, {reason}: {count}" for reason, count in result.refused.items())
    return (
        f"{result.directory}: {result.steps} steps in {duration(result.seconds)}, "
        f"loss {result.first_loss:.3f} -> {result.last_loss:.3f}\n{sources}{refused}"
    )


def plan_text(found: Forecast) -> str:
    """Steps, tokens and the sum of the memory, each part with its factors."""
    shape, memory, config = found.shape, found.memory, found.config
    learning = shape.learning / shape.parameters
    lines = [
        f"{found.model}: {short(shape.parameters)} parameters, "
        + ("all of them learn" if learning == 1 else f"{short(shape.learning)} of them learn ({100 * learning:.2g} %)"),
        *(f"  {name}: {count}" for name, count in found.sources.items()),
        *(f"  refused, {reason}: {count}" for reason, count in found.refused.items()),
        f"{found.steps:,} steps in {found.micro_batches:,} micro-batches: {found.tokens:,} tokens, "
        f"{found.trained_tokens:,} of them trained, {100 * found.padding:.1f} % padding beside them",
        f"memory at the peak, by forecast: {_gigabytes(memory.total)} in {found.arithmetic} on {found.device}, "
        "and what the libraries take",
        f"  {_gigabytes(memory.weights)}  weights",
        f"  {_gigabytes(memory.casts)}  bfloat16 copies of those that learn: 2 bytes each",
        f"  {_gigabytes(memory.gradients)}  gradients: 4 bytes for each weight that learns",
        f"  {_gigabytes(memory.optimizer)}  AdamW's two averages: 8 bytes for each",
        f"  {_gigabytes(memory.activations)}  activations of {shape.tokens:,} tokens in {shape.layers} layers"
        + (", computed twice" if config.gradient_checkpointing else "; less with --train.gradient_checkpointing"),
        f"  {_gigabytes(memory.logits)}  logits at {shape.labelled:,} trained tokens, "
        f"{shape.vocabulary:,} words; less with a lower --train.max_tokens",
    ]
    return "\n".join(lines)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.2f} GB"
