"""Continued pre-training: plain text to a base that knows its language; the first of the paper's three stages.

Usually a maths-adapted base replaces it (the paper took Llemma as it is); it is here for those who have a corpus of
their own. Documents are encoded one by one, each closed by the end token, joined, and cut into blocks. Every token is
learnt but the first of a block, which follows nothing. The last block is as short as it is.

What this module does not do: deduplicate or clean text, and stream: a corpus is held in memory, some 40 bytes a token,
which is fit for hundreds of millions of tokens and no more. The run itself is `loop`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mario.errors import DataError, MissingExtra, UsageError
from mario.provenance import file_hash
from mario.store import read_jsonl
from mario.train.batch import arrange
from mario.train.config import SftConfig
from mario.train.encode import EncodedRow
from mario.train.heldout import HeldOut
from mario.train.loop import Plan, Task, TrainResult, train

if TYPE_CHECKING:
    from mario.train.keeper import Listener


@dataclass(frozen=True, slots=True)
class Corpus:
    """One file of text: each line of JSON or row of Parquet is a document (its `field`), a .txt file is one."""

    path: Path
    field: str = "text"

    @property
    def name(self) -> str:
        return self.path.name

    def documents(self) -> Iterator[str]:
        """The documents that hold text.

        Raises:
            DataError: the file cannot be read, is of no known kind, or a row has no such text.
        """
        match self.path.suffix:
            case ".txt" | ".md":
                yield from filter(str.strip, [self._text()])
            case ".jsonl" | ".json":
                for number, row in read_jsonl(self.path):
                    yield from self._field(row, f"line {number}")
            case ".parquet":
                yield from self._parquet()
            case other:
                raise DataError(f"{self.path}: a corpus is .txt, .md, .jsonl or .parquet, got {other or 'no suffix'!r}")

    def _text(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path} cannot be read as UTF-8 text: {error}") from error

    def _parquet(self) -> Iterator[str]:
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise MissingExtra("pyarrow (for Parquet)", "data") from error
        try:
            file = pyarrow.parquet.ParquetFile(self.path)
            if self.field not in file.schema_arrow.names:
                raise self._missing(", ".join(file.schema_arrow.names), "its columns")
            number = 0
            for batch in file.iter_batches(columns=[self.field]):
                for row in batch.to_pylist():
                    number += 1
                    yield from self._field(row, f"row {number}")
        except (OSError, pyarrow.ArrowException) as error:
            raise DataError(f"{self.path} cannot be read as Parquet: {error}") from error

    def _field(self, row: Any, where: str) -> Iterator[str]:
        text = row.get(self.field) if isinstance(row, Mapping) else None
        if not isinstance(text, str):
            known = ", ".join(map(str, row)) if isinstance(row, Mapping) else json.dumps(row)[:60]
            raise self._missing(known, where)
        if text.strip():
            yield text

    def _missing(self, known: str, where: str) -> DataError:
        return DataError(
            f"{self.path}, {where}: no text in field {self.field!r} (it has: {known}); name another: --field NAME"
        )


def train_lm(
    config: SftConfig,
    corpora: Sequence[Corpus],
    model: str,
    out: Path,
    on_progress: Listener | None = None,
    report: Callable[[str], None] = lambda _: None,
    held_out: HeldOut | None = None,
) -> TrainResult:
    """Train `model` further on all corpora into `out`; see `loop.train`.

    Raises:
        UsageError: two files share a name, or there are none.
        DataError, StoreError, TrainingError: see `loop.train`.
    """
    return train(PlainText(corpora), config, model, out, on_progress, report, held_out)


class PlainText(Task):
    """Blocks of `max_row_tokens` tokens, all of them learnt."""

    kind = "lm"

    def __init__(self, corpora: Sequence[Corpus]) -> None:
        names = [corpus.name for corpus in corpora]
        if not names or len(set(names)) < len(names):
            raise UsageError(f"training needs one or more files of different names, got {names}")
        for corpus in corpora:
            if not corpus.path.is_file():
                raise DataError(f"{corpus.path} is no file; name files of text (.txt, .md, .jsonl, .parquet)")
        self.corpora = corpora
        self.recipe: Mapping[str, Any] = {"fields": {corpus.name: corpus.field for corpus in corpora}}
        self.inputs = {f"source/{corpus.name}": file_hash(corpus.path) for corpus in corpora}

    def plan(self, config: SftConfig, tokenizer: Any, window: int) -> Plan:
        size = min(config.max_row_tokens, window)
        rows = {corpus.name: list(blocks(corpus, tokenizer, size)) for corpus in self.corpora}
        for name, found in rows.items():
            if not found:
                raise DataError(f"{name}: no document with text")
        order, steps, counts = arrange(rows, config)
        return Plan(order, steps, counts, ())


def blocks(corpus: Corpus, tokenizer: Any, size: int) -> Iterator[EncodedRow]:
    """A corpus as rows of `size` tokens; the last one has what is left, if that predicts anything."""
    held: list[int] = []
    number = 0
    for document in corpus.documents():
        ids = list(tokenizer(document)["input_ids"])  # with the special tokens that this tokenizer puts around a text
        held += ids if ids and ids[-1] == tokenizer.eos_token_id else [*ids, tokenizer.eos_token_id]
        while len(held) >= size:
            yield _row(corpus, number, held[:size])
            number, held = number + 1, held[size:]
    if len(held) > 1:
        yield _row(corpus, number, held)


def _row(corpus: Corpus, number: int, ids: Sequence[int]) -> EncodedRow:
    return EncodedRow(f"{corpus.name}#{number}", tuple(ids), tuple(ids), len(ids) - 1)
