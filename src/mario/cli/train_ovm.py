"""`mario train ovm`: one network that writes solutions and values them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.train_run import add_training, plan_or_train, with_progress
from mario.errors import UsageError
from mario.train.config import SftConfig
from mario.train.ovm import OvmConfig

if TYPE_CHECKING:
    from mario.train.loop import TrainResult
    from mario.train.ovm import MultiTask


@dataclass(frozen=True, slots=True)
class OvmRecipe:
    """A generator and outcome value model in one.

    data: output directories of mario annotate, with right and wrong solutions
    model: what to start from: smollm2 (embedded), a local directory or a hub id
    """

    data: tuple[Path, ...]
    model: str = "smollm2"
    ovm: OvmConfig = field(default_factory=OvmConfig)
    train: SftConfig = field(default_factory=SftConfig)


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario train ovm",
        description="Train one network to write right solutions and to value right and wrong ones. The output\n"
        "directory is a model like any other and a value model too (mario value), and resumes when the same command\n"
        "is run again.",
        epilog="example: mario train ovm runs/sampled --model runs/model --ovm.positions step --out runs/ovm",
    )
    parser.add_argument("data", nargs="*", type=Path, help="output directories of mario annotate")
    add_training(parser)
    add_settings(parser, OvmRecipe, skip=("data",), short={"train.seed": "seed"})
    args = parser.parse(argv)
    recipe = resolve(OvmRecipe, args, data=args.data)
    return plan_or_train(args, recipe, _task, train_with_progress)


def train_with_progress(recipe: OvmRecipe, out: Path) -> TrainResult:
    return with_progress(_task(recipe), recipe, out)


def _task(recipe: OvmRecipe) -> MultiTask:
    from mario.train.ovm import MultiTask

    if not recipe.data:
        raise UsageError("no data given; name the output directories of mario annotate")
    return MultiTask(recipe.data, recipe.ovm, recipe.train.seed)
