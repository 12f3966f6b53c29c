"""From a trajectory's labelled spans to token ids and labels.

One idea: a boundary between two authors is a boundary between two tokens. Spans are encoded one by one, by the rule
that generation uses (`engine.rows`), and ids that generation saw are kept, so no token holds text of
two authors and training sees what solving will. Labels stand on `MODEL` spans only: what the interpreter wrote is
read, never learnt (`train_on_output` is there for the ablation).

A conversation (a row with messages) is written by the tokenizer's own chat template, and labelled message by message.

A row that cannot be trained on whole is refused with its id and a reason; nothing is cut to fit.

What this module does not do: it knows no markup (`transcript` made the spans), no batches and no torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

from mario.engine.rows import Written, misread, written
from mario.engine.tokens import encode_on
from mario.types import Source, Trajectory

IGNORED = -100  # the label that torch's cross entropy skips


class Reason(StrEnum):
    """Why a trajectory is not trained on."""

    NO_SPANS = "no_spans"  # nothing at all, or a conversation that the chat template cannot write
    NOTHING_TRAINED = "nothing_trained"  # no label is left: nothing written by the model
    TOO_LONG = "too_long"
    NOT_REVERSIBLE = "not_reversible"  # the tokenizer does not read a span's ids back as its text


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """One trajectory as numbers: `labels` is `input_ids` where a token is trained, `IGNORED` elsewhere.

    Both are unshifted; the first token predicts nothing before it, so it never counts as trained. `n_merged` are the
    boundaries that some token would straddle had the text been encoded whole. `values` are what a value model learns at
    each token (NaN: nothing), or empty.
    """

    id: str
    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    n_trained: int
    n_merged: int = 0
    values: tuple[float, ...] = ()

    @property
    def n_tokens(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True, slots=True)
class Refusal:
    id: str
    reason: Reason
    detail: str


def refusals_told(refusals: Iterable[Refusal]) -> str:
    """How many were refused for what, and the first of each; empty where none was."""
    found: dict[Reason, list[Refusal]] = {}
    for refusal in refusals:
        found.setdefault(refusal.reason, []).append(refusal)
    return "; ".join(f"{len(rows):,} {reason}, first {rows[0].id}: {rows[0].detail}" for reason, rows in found.items())


@dataclass(frozen=True, slots=True)
class Encoded:
    """What `encode_all` made of a set of trajectories."""

    rows: tuple[EncodedRow, ...]
    refusals: tuple[Refusal, ...]


def encode_all(
    trajectories: Iterable[Trajectory], tokenizer: Any, *, max_row_tokens: int, train_on_output: bool = False
) -> Encoded:
    """Encode every trajectory; the refused ones are listed with their reasons."""
    rows: list[EncodedRow] = []
    refusals: list[Refusal] = []
    for trajectory in trajectories:
        row = encode(trajectory, tokenizer, max_row_tokens=max_row_tokens, train_on_output=train_on_output)
        if isinstance(row, EncodedRow):
            rows.append(row)
        else:
            refusals.append(row)
    return Encoded(tuple(rows), tuple(refusals))


def encode(
    trajectory: Trajectory, tokenizer: Any, *, max_row_tokens: int, train_on_output: bool = False
) -> EncodedRow | Refusal:
    """Token ids and labels of one trajectory.

    `tokenizer` is one of transformers'. The end token is appended, and trained, where the trajectory ended with an
    answer and generation's own ids do not already hold it.
    """
    row_id = f"{trajectory.problem_id}#{trajectory.sample_index}"
    try:
        row = written(trajectory, tokenizer)
    except ValueError as error:
        return Refusal(row_id, Reason.NO_SPANS, str(error))
    input_ids: list[int] = []
    labels: list[int] = []
    for index in misread(tokenizer, row):
        return Refusal(row_id, Reason.NOT_REVERSIBLE, f"span {index}: {row.spans[index].text[:60]!r}")
    for span, ids in zip(row.spans, row.ids, strict=True):
        is_trained = span.source is Source.MODEL or (train_on_output and span.source is Source.INTERPRETER)
        input_ids += ids
        labels += ids if is_trained else [IGNORED] * len(ids)
    input_ids += row.end
    labels += row.end
    n_trained = sum(label != IGNORED for label in labels[1:])
    if not n_trained:
        return Refusal(row_id, Reason.NOTHING_TRAINED, f"{len(input_ids)} tokens, none by the model")
    if len(input_ids) > max_row_tokens:
        return Refusal(row_id, Reason.TOO_LONG, f"{len(input_ids)} tokens, at most {max_row_tokens}")
    return EncodedRow(row_id, tuple(input_ids), tuple(labels), n_trained, len(merged_boundaries(row, tokenizer)))


def merged_boundaries(row: Written, tokenizer: Any) -> list[int]:
    """The spans (by number) whose text the tokenizer, given the text of both, would not keep apart from the next's.

    Nothing is wrong with such a row: its ids are those of generation. The number says how far they are from the
    ids of the same text encoded whole, which is what a trainer that is given text learns from.
    """
    texts = [span.text for span in row.spans]
    alone = [
        list(ids) if index and span.token_ids is None else encode_on(tokenizer, span.text)  # as text: no BOS, no draw
        for index, (span, ids) in enumerate(zip(row.spans, row.ids, strict=True))
    ]
    if encode_on(tokenizer, "".join(texts)) == [token for ids in alone for token in ids]:
        return []
    pairs = zip(pairwise(texts), pairwise(alone), strict=True)
    return [
        index
        for index, ((text, after), (ids, ids_after)) in enumerate(pairs)
        if encode_on(tokenizer, text + after) != ids + ids_after
    ]
