"""Files of other people's rows: each object with its place, so that a wrong field is named with file and line.

The one idea: whatever is wrong becomes one `DataError` that names the file, the line and the remedy. What this module
does not do: read JSON lines (`store.jsonl`), or know a field of any data set (`readers`, `patches`).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mario.errors import DataError
from mario.provenance import canonical_json
from mario.store.jsonl import read_jsonl, short, unreadable, whole_file


@dataclass(frozen=True, slots=True)
class Line:
    """One JSON object and where it stood: `index` counts the objects from 0, `number` the lines of the file from 1."""

    record: dict[str, Any]
    path: Path
    number: int
    index: int

    @property
    def where(self) -> str:
        return f"{self.path}, line {self.number}"

    def text(self, field: str) -> str:
        """The text in a field that must be there.

        Raises:
            DataError: no such field, or not a text.
        """
        return text_field(self.record, field, self.where)


def text_field(record: dict[str, Any], field: str, where: str) -> str:
    if field not in record:
        raise DataError(
            f"{where}: no field {field!r}, found {', '.join(sorted(record)) or 'no field at all'};"
            " is it another data set? name its fields with a field map, such as --fields.question NAME"
        )
    value = record[field]
    if not isinstance(value, str):
        raise DataError(f"{where}: field {field!r} must be a text, got {short(value)}; correct the line")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{where}: field {field!r} holds half of a character (a lone surrogate); correct the line"
        ) from None
    return value


def read_lines(path: Path) -> Iterator[Line]:
    """The objects of a `.jsonl` or `.jsonl.gz` file, lazily; blank lines are skipped.

    Raises:
        DataError: see `store.jsonl.read_jsonl`; also for a file without any object.
    """
    index = -1
    for index, (number, record) in enumerate(read_jsonl(path)):
        yield Line(record, path, number, index)
    if index < 0:
        raise DataError(f"{path}: the file is empty, expected one JSON object a line; download or write it again")


def read_whole(path: Path) -> bytes:
    """The bytes of one small file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def write_lines(path: Path, records: Iterable[Any]) -> int:
    """Write records as canonical JSON lines and return how many; the file appears only when it is whole.

    The same records give the same bytes, gzipped or not (the gzip header carries no time).
    """
    count = 0
    with whole_file(path) as plain:
        file = gzip.GzipFile("", "wb", fileobj=plain, mtime=0) if path.suffix == ".gz" else plain
        for record in records:
            file.write(canonical_json(record).encode() + b"\n")
            count += 1
        if file is not plain:
            file.close()
    return count
