"""`mario train lm`: continued pre-training on plain text, before fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as setting
from pathlib import Path
from typing import TYPE_CHECKING

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.train_run import add_training, plan_or_train, with_progress
from mario.errors import UsageError
from mario.train.config import SftConfig

if TYPE_CHECKING:
    from mario.train.lm import PlainText
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
    add_training(parser)
    add_settings(parser, LmRecipe, skip=("data",), short={"train.seed": "seed"})
    args = parser.parse(argv)
    recipe = resolve(LmRecipe, args, data=args.data)
    return plan_or_train(args, recipe, _task, train_with_progress)


def train_with_progress(recipe: LmRecipe, out: Path) -> TrainResult:
    return with_progress(_task(recipe), recipe, out)


def _task(recipe: LmRecipe) -> PlainText:
    from mario.train.lm import Corpus, PlainText

    if not recipe.data:
        raise UsageError("no data given; name files of text (.jsonl, .parquet, .txt, .md)")
    return PlainText([Corpus(path, recipe.field) for path in recipe.data])
