"""JSON lines: reading that names file and line, and an append-only log that a kill cannot corrupt.

A line counts when its newline is on disk. `AppendLog` cuts a torn last line when it opens, so a `kill -9` at any moment
leaves a log whose every line is whole.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mario.errors import DataError, StoreError
from mario.provenance import to_json


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number (from 1) and object of every non-empty line; `.gz` is read through.

    Raises:
        DataError: the file is missing or unreadable, or a line is not a JSON object; names file, line and remedy.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                except json.JSONDecodeError as error:
                    raise DataError(
                        f"{path}, line {number}: not JSON ({error.msg} at column {error.colno}): "
                        f"{line.strip()[:60]!r}; every line must hold one whole JSON object"
                    ) from error
                if not isinstance(value, dict):
                    raise DataError(f"{path}, line {number}: expected a JSON object, got {type(value).__name__}")
                yield number, value
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; check the path") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a directory; name a .jsonl or .jsonl.gz file") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is not UTF-8; convert the file, for example with iconv -t utf-8"
        ) from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path}: the gzip file is damaged ({error}); fetch it again") from error
    except PermissionError as error:
        raise DataError(f"{path} may not be read; check its permissions") from error


def dump_line(record: Any) -> bytes:
    """One record as one line. Lone surrogates (models do write them) survive as JSON escapes."""
    text = json.dumps(to_json(record), ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(to_json(record), separators=(",", ":")).encode() + b"\n"


def write_json(path: Path, value: Any) -> None:
    """Write a small JSON file whole or not at all."""
    text = json.dumps(to_json(value), ensure_ascii=False, indent=2) + "\n"
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def write_jsonl(path: Path, records: Iterable[Any]) -> int:
    """Write records as JSON lines, whole or not at all; returns how many."""
    count = 0
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            for record in records:
                file.write(dump_line(record))
                count += 1
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    return count


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Translates what a disk can say into a `StoreError` with its remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreError(
                f"no space left to write {path}; free some and run the same command again: "
                "what is stored is kept, and the run goes on from there"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreError(f"{path} may not be written; name another directory with --out") from error
        raise StoreError(f"{path} cannot be written: {error.strerror or error}; name another --out") from error


class AppendLog:
    """An append-only file of JSON lines; `append` then `commit` makes lines durable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")
            self._trim()
        self.size = path.stat().st_size

    def _trim(self) -> None:
        """Cut what follows the last newline: the torn line of a writer that was killed."""
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            end = size
            while end > 0:
                start = max(0, end - 65536)
                file.seek(start)
                at = file.read(end - start).rfind(b"\n")
                if at >= 0:
                    end = start + at + 1
                    break
                end = start
        if end != size:
            self._file.truncate(end)

    def append(self, line: bytes) -> int:
        """Add one line (with its newline) and return the offset where it begins."""
        offset = self.size
        with storing(self.path):
            self._file.write(line)
        self.size += len(line)
        return offset

    def flush(self) -> None:
        """Hand what was appended to the system: it survives our death, though not the machine's."""
        with storing(self.path):
            self._file.flush()

    def commit(self) -> None:
        with storing(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        with storing(self.path):
            self._file.close()
