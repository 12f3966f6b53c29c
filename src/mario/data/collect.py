"""One way from a named source to a stream of problems, for the command line and recipes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

from mario.data.patches import read_patches
from mario.data.readers import Fields, read_gsm8k, read_mapped, read_math, read_problems
from mario.data.rows import HUB_PREFIX
from mario.data.wordproblems import generate
from mario.errors import UsageError
from mario.types import Problem


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Where problems come from.

    source: wordproblems (made here, seeded), gsm8k, math, problems (our own files), or any rows by a field map:
        jsonl (JSON lines, or what the file's name says), parquet, csv
    path: file or directory to read, or hub:owner/name[#configuration]; wordproblems needs none
    name: what the problems' source is called, for any rows; by default the file's name
    licence: licence of the problems, for any rows that name none of their own
    split: train, test, or for wordproblems train, test-shared, test-heldout
    count: how many word problems to make
    seed: of the word problems
    digits: digits of the operands of word problems, in equal shares
    steps: calculations a word problem takes, in equal shares
    limit: only the first so many
    patches: files of corrected references, applied while reading
    fields: which field of a row holds what, for any rows
    """

    source: Literal["wordproblems", "gsm8k", "math", "problems", "jsonl", "parquet", "csv"] = "wordproblems"
    path: str | None = None
    name: str | None = None
    licence: str | None = None
    split: str = "train"
    count: int = 600
    seed: int = 0
    digits: tuple[int, ...] = (1, 2, 3, 4)
    steps: tuple[int, ...] = (1, 2, 3, 4)
    limit: int | None = None
    patches: tuple[Path, ...] = ()
    fields: Fields = field(default_factory=Fields)

    def __post_init__(self) -> None:
        if self.source != "wordproblems" and self.path is None:
            raise UsageError(f"source {self.source} needs path: a file, a directory or hub:owner/name")
        if self.source == "wordproblems" and self.patches:
            raise UsageError("patches correct references of data sets; word problems are made with exact ones")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"limit must be a positive integer, got {self.limit}")


def collect(config: DataConfig) -> Iterator[Problem]:
    """The problems of a source, lazily, patched and limited.

    Raises:
        DataError: a file, line or field is not as it should be; names it.
    """
    return islice(_read(config), config.limit)


def _read(config: DataConfig) -> Iterator[Problem]:
    path = config.path or ""
    patches = read_patches(*config.patches)
    match config.source:
        case "wordproblems":
            return generate(config.split, config.count, config.seed, config.digits, config.steps)
        case "gsm8k":
            return read_gsm8k(path, split=config.split, patches=patches)
        case "math":
            return read_math(path, split=config.split, patches=patches)
        case "problems":
            return read_problems(Path(path), patches=patches)
        case "jsonl" | "parquet" | "csv" as kind:
            return read_mapped(
                path,
                source=config.name or _name_of(path),
                split=config.split,
                licence=config.licence,
                fields=config.fields,
                patches=patches,
                container=None if kind == "jsonl" else kind,
            )


def _name_of(path: str) -> str:
    """`data/mine.v2.jsonl` is mine, `hub:owner/name` is name."""
    return Path(path.removeprefix(HUB_PREFIX)).resolve().name.split(".")[0]
