"""`mario train sft`: fine-tune on trajectories, learning the model's spans and never the interpreter's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.places import needs_out
from mario.cli.progress import Line, duration, say
from mario.cli.train_heldout import HeldOutConfig, held_out
from mario.cli.train_plan import plan_text
from mario.errors import UsageError
from mario.train.config import SftConfig

if TYPE_CHECKING:
    from mario.train.loop import TrainResult
    from mario.train.sft import SourceSet


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
    parser.add_argument("--out", type=Path, metavar="DIRECTORY")
    parser.add_argument("--dry-run", action="store_true", help="print steps, tokens and memory; train nothing")
    add_settings(parser, TrainRecipe, skip=("data",), short={"train.seed": "seed"})
    args = parser.parse(argv)
    recipe = resolve(TrainRecipe, args, data=args.data)
    if args.dry_run:
        from mario.train.estimate import forecast
        from mario.train.sft import FineTuning

        print(plan_text(forecast(FineTuning(_sources(recipe)), recipe.train, recipe.model, say)))
        return 0
    print(table(train_with_progress(recipe, needs_out(args.out, "train"))))
    return 0


def train_with_progress(recipe: TrainRecipe, out: Path) -> TrainResult:
    from mario.train.sft import train_sft

    sources = _sources(recipe)
    trial = held_out(recipe.heldout, [source.folder for source in sources if source.folder], say)
    with Line(f"train {out.name}") as line:

        def show(progress: object) -> None:
            line.show(str(progress))

        return train_sft(recipe.train, sources, recipe.model, out, show, say, trial)


def _sources(recipe: TrainRecipe) -> list[SourceSet]:
    from mario.train.sources import kept_rows

    if not recipe.data:
        raise UsageError("no data given; name the output directories of mario annotate")
    return [kept_rows(root) for root in recipe.data]


def table(result: TrainResult) -> str:
    sources = "\n".join(f"  {name}: {count}" for name, count in result.sources.items())
    refused = "".join(f"\n  refused, {reason}: {count}" for reason, count in result.refused.items())
    return (
        f"{result.directory}: {result.steps} steps in {duration(result.seconds)}, "
        f"loss {result.first_loss:.3f} -> {result.last_loss:.3f}\n{sources}{refused}"
    )
