"""Raw rows from wherever they lie: JSON lines, Parquet, CSV, a directory of small files, a data set of the hub.

The one idea: whatever the container, a reader sees `Row`s: one object, a name that does not change between readings,
and the place where it stands, so that every wrong field is named with file and line. Rows come as they are consumed;
memory is bounded by a batch of rows (of Parquet: by a row group).

What this module does not do: it knows no field of any data set (`readers`).
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from mario.data.jsonl import read_lines, read_whole, text_field
from mario.errors import DataError, MissingExtra
from mario.store.jsonl import parse_object, short, unreadable

HUB_PREFIX = "hub:"
Container = Literal["jsonl", "parquet", "csv"]
_BATCH_ROWS = 512  # of Parquet, turned into objects at once
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Row:
    """One raw record, a name for it that does not change between readings, and where it stands for messages."""

    record: dict[str, Any]
    name: str
    where: str

    def value(self, field: str) -> Any:
        """What a field holds; `answer.value` and `messages.0.content` reach into nested ones. None where absent."""
        found = self._find(field)
        return None if found is _ABSENT or found != found else found  # tables write NaN for what is missing

    def text(self, field: str) -> str:
        """The text in a field that must be there.

        Raises:
            DataError: no such field, or not a text.
        """
        found = self._find(field)
        if found is _ABSENT or field in self.record:
            return text_field(self.record, field, self.where)
        return text_field({field: found}, field, self.where)

    def optional(self, field: str | None) -> str | None:
        """The field as text; numbers are written out, for ids and levels are often numbers. None where it is absent."""
        value = None if field is None else self.value(field)
        if field is None or value is None:
            return None
        return (
            str(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else self.text(field)
        )

    def _find(self, field: str) -> Any:
        if field in self.record:
            return self.record[field]
        found: Any = self.record
        for part in field.split("."):
            if isinstance(found, Mapping) and part in found:
                found = found[part]
            elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
                found = found[int(part)]
            else:
                return _ABSENT
        return found


def read_rows(
    source: str | Path, split: str, configurations: tuple[str, ...] = (), container: Container | None = None
) -> Iterator[Row]:
    """The rows of a file, a directory or `hub:owner/name[#configuration]`.

    A file's name says what it is, unless `container` does.

    Raises:
        DataError: while reading, at the first thing that is not as it should be; names file, line and remedy.
        MissingExtra: the library that reads this is not installed.
    """
    if isinstance(source, str) and source.startswith(HUB_PREFIX):
        return _hub_rows(source.removeprefix(HUB_PREFIX), split, configurations)
    path = Path(source)
    if path.is_dir():
        return _directory_rows(path, split)
    match container or container_of(path):
        case "parquet":
            return _parquet_rows([path])
        case "csv":
            return _csv_rows(path)
        case "jsonl":
            return (Row(line.record, str(line.index), line.where) for line in read_lines(path))


def container_of(path: Path) -> Container:
    """By the file's name; JSON lines where it says nothing."""
    match Path(path.name.removesuffix(".gz")).suffix.lower():
        case ".parquet":
            return "parquet"
        case ".csv" | ".tsv":
            return "csv"
    return "jsonl"


def json_value(value: Any, where: str) -> Any:
    """A value of a table as JSON: dates and decimals are written out.

    Raises:
        DataError: bytes, which are no JSON.
    """
    if isinstance(value, Mapping):
        return {str(key): json_value(item, where) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item, where) for item in value]
    if isinstance(value, date | Decimal):
        return str(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise DataError(f"{where}: a value of type {type(value).__name__} is no JSON; leave its field out")


def _directory_rows(root: Path, split: str) -> Iterator[Row]:
    """A directory of Parquet shards, as the hub stores data sets, or of files of one JSON object each, as MATH."""
    if shards := _in_order(root, "*.parquet"):
        named = [path for path in shards if split and re.match(rf"{re.escape(split)}\b", path.name)]
        yield from _parquet_rows(named or shards)
        return
    paths = _in_order(root, "*.json")
    if not paths:
        raise DataError(
            f"{root}: no .json file in this directory, and no .parquet file; name the split's directory, or a file"
        )
    for path in paths:
        yield Row(
            parse_object(read_whole(path), str(path)), path.relative_to(root).with_suffix("").as_posix(), str(path)
        )


def _in_order(root: Path, pattern: str) -> list[Path]:
    return sorted(root.rglob(pattern), key=lambda path: _natural(str(path.relative_to(root))))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts 2.json before 10.json."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _parquet_rows(paths: list[Path]) -> Iterator[Row]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow (to read Parquet)", "data") from None
    index = 0
    for path in paths:
        row = 0
        try:
            # Without these two Arrow reads ahead until the whole file lies in memory.
            options = {"pre_buffer": False, "buffer_size": 1 << 16}
            with path.open("rb") as raw, pyarrow.parquet.ParquetFile(raw, **options) as file:
                for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
                    for record in batch.to_pylist():
                        row += 1
                        yield Row(record, str(index), f"{path}, row {row}")
                        index += 1
        except pyarrow.ArrowException as error:
            raise DataError(
                f"{path}, after row {row}: not a whole Parquet file ({first_line(error)}); download or write it again"
            ) from error
        except OSError as error:
            raise unreadable(path, error) from error
    if index == 0:
        raise DataError(f"{paths[0]}: the Parquet file holds no row; download or write it again")


def _csv_rows(path: Path) -> Iterator[Row]:
    """Rows under a header line; a name that ends in .tsv says that tabs part the columns."""
    delimiter = "\t" if path.name.removesuffix(".gz").lower().endswith(".tsv") else ","
    line = index = 0
    try:
        with path.open("rb") as raw, io.TextIOWrapper(_unpacked(raw, path), "utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            for record in reader:
                line, where = reader.line_num, f"{path}, line {reader.line_num}"
                columns = len(reader.fieldnames or ())
                if None in record or None in record.values():
                    found = len(record.get(None, ())) + sum(
                        record[name] is not None for name in reader.fieldnames or ()
                    )
                    raise DataError(f"{where}: expected {columns} columns, found {found}; correct or quote the line")
                yield Row(dict(record), str(index), where)
                index += 1
    except UnicodeDecodeError as error:
        bad = error.object[error.start : error.start + 1].hex()
        raise DataError(
            f"{path}, after line {line}: not UTF-8 (byte 0x{bad}); convert it: iconv -f latin1 -t utf-8 FILE > NEW"
        ) from error
    except csv.Error as error:
        raise DataError(f"{path}, after line {line}: not CSV ({error}); correct it or write JSON lines") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}, after line {line}: the gzip file is damaged ({error}); download it again") from error
    except OSError as error:
        raise unreadable(path, error) from error
    if index == 0:
        raise DataError(f"{path}: no row below a header line; download or write it again")


def _unpacked(raw: Any, path: Path) -> Any:
    return gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw


def _hub_rows(name: str, split: str, configurations: tuple[str, ...]) -> Iterator[Row]:
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets (to read from the hub)", "hf") from None
    name, _, chosen = name.partition("#")
    for configuration in (chosen,) if chosen else configurations or (None,):
        place = f"{HUB_PREFIX}{name} ({f'{configuration}, ' if configuration else ''}{split})"
        try:
            rows: Iterable[Mapping[str, Any]] = datasets.load_dataset(name, configuration, split=split, streaming=True)
            for index, record in enumerate(rows):
                own_name = str(index) if len(configurations) < 2 else f"{configuration}/{index}"
                yield Row(dict(record), own_name, f"{place}, row {index}")
        except (OSError, ValueError, RuntimeError) as error:  # no network, no such data set, no such split
            raise DataError(
                f"{HUB_PREFIX}{name}: cannot be read ({first_line(error)}); check the name, the split {split!r} and"
                " the network, or download the file and give its path"
            ) from error


def first_line(error: Exception) -> str:
    """What a foreign library says, short enough for one line."""
    return short((str(error).splitlines() or [type(error).__name__])[0])
