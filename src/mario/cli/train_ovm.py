"""`mario train ovm`: one network that writes solutions and values them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.places import needs_out
from mario.cli.progress import Line, say
from mario.cli.train_plan import plan_text
from mario.cli.train_sft import table
from mario.errors import UsageError
from mario.train.config import SftConfig
from mario.train.ovm import OvmConfig

if TYPE_CHECKING:
    from mario.train.loop import TrainResult


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
    parser.add_argument("--out", type=Path, metavar="DIRECTORY")
    parser.add_argument("--dry-run", action="store_true", help="print steps, tokens and memory; train nothing")
    add_settings(parser, OvmRecipe, skip=("data",), short={"train.seed": "seed"})
    args = parser.parse(argv)
    recipe = resolve(OvmRecipe, args, data=args.data)
    if args.dry_run:
        from mario.train.estimate import forecast
        from mario.train.ovm import MultiTask

        task = MultiTask(_sets(recipe), recipe.ovm, recipe.train.seed)
        print(plan_text(forecast(task, recipe.train, recipe.model, say)))
        return 0
    print(table(train_with_progress(recipe, needs_out(args.out, "train"))))
    return 0


def train_with_progress(recipe: OvmRecipe, out: Path) -> TrainResult:
    from mario.train.ovm import train_ovm

    sets = _sets(recipe)
    with Line(f"train {out.name}") as line:

        def show(progress: object) -> None:
            line.show(str(progress))

        return train_ovm(recipe.train, recipe.ovm, sets, recipe.model, out, show, say)


def _sets(recipe: OvmRecipe) -> tuple[Path, ...]:
    if not recipe.data:
        raise UsageError("no data given; name the output directories of mario annotate")
    return recipe.data
