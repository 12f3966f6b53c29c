"""`mario train preview`: what a run would learn from, coloured, before it does."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.progress import say
from mario.errors import StoreError, UsageError
from mario.train.config import SftConfig

if TYPE_CHECKING:
    from mario.train.preview import Piece, Preview, ShownRow

# The colours are those that every terminal has; what is trained is the brightest.
_DIM, _BRIGHT, _OUTPUT, _SPECIAL, _OFF = "\x1b[2m", "\x1b[1;32m", "\x1b[33m", "\x1b[7m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class PreviewRecipe:
    """Preview of supervised fine-tuning.

    data: output directories of mario annotate; each is one source
    model: smollm2 (embedded), a local directory or a hub id; only its tokenizer is read
    rows: how many of each source to show
    """

    data: tuple[Path, ...]
    model: str = "smollm2"
    rows: int = 3
    train: SftConfig = field(default_factory=SftConfig)

    def __post_init__(self) -> None:
        if self.rows < 0:
            raise UsageError(f"rows must be 0 or more, got {self.rows}")


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario train preview",
        description="Show what training would learn from, read back from token ids and labels: prompt dim, what is\n"
        "trained bright, the interpreter's output in another colour. Settings are those of mario train sft.",
        epilog="example: mario train preview runs/taught --rows 2 --html preview.html",
    )
    parser.add_argument("data", nargs="*", type=Path, help="output directories of mario annotate")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write the preview as a page")
    add_settings(parser, PreviewRecipe, skip=("data",))
    args = parser.parse(argv)
    recipe = resolve(PreviewRecipe, args, data=args.data)
    if not recipe.data:
        raise UsageError("no data given; name the output directories of mario annotate")
    found = previews(recipe)
    has_colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print("\n\n".join(text(one, colour=has_colour) for one in found))
    if args.html:
        from mario.engine.checkpoint import describe
        from mario.train.preview_page import page

        try:
            args.html.write_text(page(found, str(describe(recipe.model))), encoding="utf-8")
        except OSError as error:
            raise StoreError(f"the page could not be written to {args.html}: {error.strerror}") from error
        say(f"page written to {args.html}")
    return 0


def previews(recipe: PreviewRecipe) -> list[Preview]:
    from mario.engine import checkpoint
    from mario.train.loop import window_of
    from mario.train.preview import preview
    from mario.train.sources import kept_rows

    directory = checkpoint.resolve(recipe.model, say, weights=False)
    tokenizer = checkpoint.load_tokenizer(directory)
    window = window_of(directory)
    return [preview(kept_rows(root), tokenizer, recipe.train, window=window, rows=recipe.rows) for root in recipe.data]


def text(found: Preview, *, colour: bool) -> str:
    """A source for the terminal; without colour each piece has a line that says what it is."""
    from mario.train.preview import visible

    lengths, boundaries = found.lengths, found.count.merged_boundaries
    lines = [f"{found.source}: {found.count} ({found.trained_share:.0%})"]
    if found.count.rows:
        lines += [
            f"  row lengths {lengths.shortest} to {lengths.longest} tokens, median {lengths.median:.0f}",
            f"  {boundaries:,} boundaries where the tokenizer would merge two authors' text; none does",
        ]
    for reason, number in found.refused.items():
        shown = [refusal for refusal in found.refusals if refusal.reason is reason]
        lines.append(f"  refused, {reason}: {number:,}" + (f", the first {len(shown)}:" if len(shown) < number else ""))
        lines += [f"    {visible(refusal.id)}: {visible(refusal.detail)}" for refusal in shown]
    if not found.count.rows:
        lines.append("  no row to show")
    show = _coloured if colour else _plain
    for row in found.rows:
        merged = f", {row.n_merged} merged" if row.n_merged else ""
        lines.append(f"\n{visible(row.id)}: {row.n_tokens} tokens, {row.n_trained} trained{merged}\n{show(row)}")
    return "\n".join(lines)


def _coloured(row: ShownRow) -> str:
    from mario.train.preview import visible

    return "".join(f"{_colour(piece)}{visible(piece.text)}{_OFF}" for piece in row.pieces)


def _colour(piece: Piece) -> str:
    colour = {"trained": _BRIGHT, "output": _OUTPUT, "prompt": _DIM}[piece.kind]
    return colour + (_SPECIAL if piece.is_special else "")


def _plain(row: ShownRow) -> str:
    from mario.train.preview import visible

    lines = []
    for piece in row.pieces:
        special = ", special" if piece.is_special else ""
        tokens = "1 token" if piece.n_tokens == 1 else f"{piece.n_tokens} tokens"
        lines.append(f"--- {piece.kind}{special}, {tokens}\n{visible(piece.text)}")
    return "\n".join(lines)
