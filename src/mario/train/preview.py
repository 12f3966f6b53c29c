"""What a run would learn from, before it does: counts of every source, and its first rows piece by piece.

One idea: the pieces are read back from token ids and labels, not from the spans they were made from, so what is shown
is what the model will see. A piece is a run of tokens of one author that is trained or not; special tokens stand alone.

What this module does not do: it knows no colours (`cli.train_preview`) and no markup (`preview_page`), and needs no
weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from statistics import median
from typing import Any, Literal

from mario.engine.rows import Written, written
from mario.engine.tokens import read_on
from mario.train.batch import SourceCount, count
from mario.train.config import SftConfig
from mario.train.encode import IGNORED, EncodedRow, Reason, Refusal, encode, merged_boundaries
from mario.train.sft import SourceSet
from mario.types import Source, Trajectory

REFUSALS_SHOWN = 3  # of each reason
_TURNS_TEXT = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}  # so that it reads as another


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens with one fate; `is_merged` says that the tokenizer would not have split the text after it."""

    text: str
    source: Source
    is_trained: bool
    n_tokens: int
    is_special: bool = False
    is_merged: bool = False

    @property
    def kind(self) -> Literal["trained", "output", "prompt"]:
        """The label decides before the author."""
        if self.is_trained:
            return "trained"
        return "output" if self.source is Source.INTERPRETER else "prompt"


@dataclass(frozen=True, slots=True)
class ShownRow:
    id: str
    pieces: tuple[Piece, ...]
    n_tokens: int
    n_trained: int
    n_merged: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a row; all zero where there is none."""

    shortest: int = 0
    median: float = 0
    longest: int = 0


@dataclass(frozen=True, slots=True)
class Preview:
    """One source: what is taken, what is refused and why, and the first rows."""

    source: str
    count: SourceCount
    lengths: Lengths
    refused: dict[Reason, int]
    refusals: tuple[Refusal, ...]
    rows: tuple[ShownRow, ...]

    @property
    def trained_share(self) -> float:
        return self.count.trained_tokens / max(1, self.count.tokens)


def preview(source: SourceSet, tokenizer: Any, config: SftConfig, *, window: int, rows: int) -> Preview:
    """Encode a whole source as training would; `window` is the most positions that the model was built for."""
    limit = min(config.max_row_tokens, window)
    made: list[EncodedRow] = []
    shown: list[ShownRow] = []
    refused: dict[Reason, list[Refusal]] = {}
    for trajectory in source.trajectories:
        row = encode(trajectory, tokenizer, max_row_tokens=limit, train_on_output=config.train_on_output)
        if isinstance(row, Refusal):
            refused.setdefault(row.reason, []).append(row)
            continue
        made.append(row)
        if len(shown) < rows:
            shown.append(_shown(row, trajectory, tokenizer))
    sizes = [row.n_tokens for row in made]
    return Preview(
        source=source.name,
        count=count(made),
        lengths=Lengths(min(sizes), median(sizes), max(sizes)) if sizes else Lengths(),
        refused={reason: len(found) for reason, found in refused.items()},
        refusals=tuple(refusal for found in refused.values() for refusal in found[:REFUSALS_SHOWN]),
        rows=tuple(shown),
    )


def _shown(row: EncodedRow, trajectory: Trajectory, tokenizer: Any) -> ShownRow:
    found = written(trajectory, tokenizer)
    pieces = tuple(_pieces(row, found, tokenizer))
    return ShownRow(row.id, pieces, row.n_tokens, row.n_trained, row.n_merged)


def _pieces(row: EncodedRow, found: Written, tokenizer: Any) -> Iterator[Piece]:
    special = set(tokenizer.all_special_ids)
    merged = merged_boundaries(found, tokenizer)
    ends = list(accumulate(map(len, found.ids)))
    ends[-1] += len(found.end)
    # Nothing comes before the first token to predict it, so it is not trained whatever its label.
    trained = [label != IGNORED and place > 0 for place, label in enumerate(row.labels)]
    alone = [token in special for token in row.input_ids]
    begin = 0
    for index, (span, end) in enumerate(zip(found.spans, ends, strict=True)):
        while begin < end:
            stop = begin + 1
            while stop < end and trained[stop] == trained[begin] and not (alone[begin] or alone[stop]):
                stop += 1
            text = read_on(tokenizer, row.input_ids[:begin], row.input_ids[begin:stop])
            is_merged = stop == end and index in merged
            yield Piece(text, span.source, trained[begin], stop - begin, alone[begin], is_merged)
            begin = stop


def visible(text: str) -> str:
    """Text that cannot move the cursor, colour the terminal or turn the reading direction."""
    return "".join(f"\\u{ord(one):04x}" if _is_control(ord(one)) else one for one in text)


def _is_control(code: int) -> bool:
    return (code < 32 and code not in (9, 10)) or 127 <= code < 160 or code in _TURNS_TEXT or 0xD800 <= code < 0xE000
