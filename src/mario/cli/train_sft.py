"""`mario train sft`: fine-tune on trajectories, learning the model's spans and never the interpreter's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.progress import say
from mario.cli.train_heldout import HeldOutConfig, held_out
from mario.cli.train_run import add_training, plan_or_train, with_progress
from mario.errors import UsageError
from mario.train.config import SftConfig

if TYPE_CHECKING:
    from mario.train.loop import TrainResult
    from mario.train.sft import FineTuning


@dataclass(frozen=True, slots=True)
class TrainRecipe:
    """Supervised fine-tuning.

    data: output directories of mario annotate; each is one source
    model: smollm2 (embedded), a local directory or a hub id
    """

    data: tuple[Path, ...]
    model: str = "smollm2"
    train: SftConfig = field(default_factory=SftConfig)
    heldout: HeldOutConfig = field(default_factory=HeldOutConfig)


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario train sft",
        description="Fine-tune a model on verified trajectories. The output directory is a model like any other, and\n"
        "resumes when the same command is run again.",
        epilog="example: mario train sft runs/taught --train.epochs 2 --out runs/model",
    )
    parser.add_argument("data", nargs="*", type=Path, help="output directories of mario annotate")
    add_training(parser)
    add_settings(parser, TrainRecipe, skip=("data",), short={"train.seed": "seed"})
    args = parser.parse(argv)
    recipe = resolve(TrainRecipe, args, data=args.data)
    return plan_or_train(args, recipe, _task, train_with_progress)


def train_with_progress(recipe: TrainRecipe, out: Path) -> TrainResult:
    task = _task(recipe)
    return with_progress(task, recipe, out, held_out(recipe.heldout, task.folders, say))


def _task(recipe: TrainRecipe) -> FineTuning:
    from mario.train.sft import FineTuning
    from mario.train.sources import kept_rows

    if not recipe.data:
        raise UsageError("no data given; name the output directories of mario annotate")
    return FineTuning([kept_rows(root) for root in recipe.data])
