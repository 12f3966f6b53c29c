"""`mario train lm`: continued pre-training on plain text, before fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as setting
from pathlib import Path
from typing import TYPE_CHECKING

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.places import needs_out
from mario.cli.progress import Line, say
from mario.cli.train_plan import plan_text
from mario.cli.train_sft import table
from mario.errors import UsageError
from mario.train.config import SftConfig

if TYPE_CHECKING:
    from mario.train.lm import Corpus
    from mario.train.loop import TrainResult


@dataclass(frozen=True, slots=True)
class LmRecipe:
    """Continued pre-training.

    data: files of text: .jsonl or .parquet with a document a row, .txt or .md as one document each
    field: where a row of JSON or Parquet holds its text
    model: smollm2 (embedded), a local directory or a hub id
    """

    data: tuple[Path, ...]
    field: str = "text"
    model: str = "smollm2"
    train: SftConfig = setting(default_factory=SftConfig)


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario train lm",
        description="Train a model further on plain text: every token is learnt, in blocks of train.max_row_tokens.\n"
        "A maths-adapted base usually makes this stage needless. Resumes when the same command is run again.",
        epilog="example: mario train lm notes.jsonl --train.max_row_tokens 512 --out runs/base",
    )
    parser.add_argument("data", nargs="*", type=Path, help="files of text: .jsonl, .parquet, .txt, .md")
    parser.add_argument("--out", type=Path, metavar="DIRECTORY")
    parser.add_argument("--dry-run", action="store_true", help="print steps, tokens and memory; train nothing")
    add_settings(parser, LmRecipe, skip=("data",), short={"train.seed": "seed"})
    args = parser.parse(argv)
    recipe = resolve(LmRecipe, args, data=args.data)
    if args.dry_run:
        from mario.train.estimate import forecast
        from mario.train.lm import PlainText

        print(plan_text(forecast(PlainText(_corpora(recipe)), recipe.train, recipe.model, say)))
        return 0
    print(table(train_with_progress(recipe, needs_out(args.out, "train"))))
    return 0


def train_with_progress(recipe: LmRecipe, out: Path) -> TrainResult:
    from mario.train.lm import train_lm

    corpora = _corpora(recipe)
    with Line(f"train {out.name}") as line:

        def show(progress: object) -> None:
            line.show(str(progress))

        return train_lm(recipe.train, corpora, recipe.model, out, show, say)


def _corpora(recipe: LmRecipe) -> list[Corpus]:
    from mario.train.lm import Corpus

    if not recipe.data:
        raise UsageError("no data given; name files of text (.jsonl, .parquet, .txt, .md)")
    return [Corpus(path, recipe.field) for path in recipe.data]
