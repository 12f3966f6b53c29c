"""JSON lines from a file, one object at a time, with an error message for everything a file can have wrong.

The one idea: whatever is wrong becomes one `DataError` that names the file, the line and the remedy, and memory does
not grow with the file. What this module does not do: it knows no field of any data set (`readers`, `patches`).
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from mario.errors import DataError
from mario.provenance import canonical_json


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
            " is it another data set? name its fields with a field map (`mario.data.readers.Fields`)"
        )
    value = record[field]
    if not isinstance(value, str):
        raise DataError(f"{where}: field {field!r} must be a text, got {_short(value)}; correct the line")
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
        DataError: missing, unreadable or empty file, damaged gzip, a line that is not UTF-8 or not a JSON object.
    """
    index = 0
    for number, raw in enumerate(_raw_lines(path), start=1):
        if raw.strip():
            yield Line(parse_object(raw, f"{path}, line {number}"), path, number, index)
            index += 1
    if index == 0:
        raise DataError(f"{path}: the file is empty, expected one JSON object a line; download or write it again")


def parse_object(raw: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        bad = raw[error.start : error.start + 1].hex()
        raise DataError(
            f"{where}: not UTF-8 (byte 0x{bad} at {error.start}); convert it: iconv -f latin1 -t utf-8 FILE > NEW"
        ) from error
    except (ValueError, RecursionError) as error:  # ValueError also for an integer of thousands of digits
        raise DataError(f"{where}: not JSON ({error}), got {_short(raw.decode())}; correct or delete it") from error
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected a JSON object, got {_short(value)}; write one object a line")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def read_whole(path: Path) -> bytes:
    """The bytes of one small file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _raw_lines(path: Path) -> Iterator[bytes]:
    number = 0
    try:
        with _open(path) as file:
            for number, raw in enumerate(file, start=1):  # noqa: B007 (the last number goes into the message)
                yield raw
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}, after line {number}: the gzip file is damaged ({error}); download it again"
            " (a plain file must not be named .gz)"
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: no such file; check the path (relative paths start at {Path.cwd()})")
    if isinstance(error, IsADirectoryError):
        return DataError(f"{path}: is a directory, expected a .jsonl or .jsonl.gz file; name the file inside it")
    return DataError(f"{path}: cannot be read ({error.strerror or error}); check its permissions and the disk")


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def write_lines(path: Path, records: Iterable[Any]) -> int:
    """Write records as canonical JSON lines and return how many; the file appears only when it is whole.

    The same records give the same bytes, gzipped or not (the gzip header carries no time).
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as plain:
            file = gzip.GzipFile("", "wb", fileobj=plain, mtime=0) if path.suffix == ".gz" else plain
            for record in records:
                file.write(canonical_json(record).encode() + b"\n")
                count += 1
            if file is not plain:
                file.close()
            plain.flush()
            os.fsync(plain.fileno())
        part.replace(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); check space and permissions"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # gone when all went well; the first error is the one to show
            part.unlink()
    return count


def _short(value: Any) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = " ".join(shown.split())
    return shown if len(shown) <= 60 else shown[:57] + "..."
