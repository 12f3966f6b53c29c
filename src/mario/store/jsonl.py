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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from mario.errors import DataError, StoreError
from mario.provenance import to_json


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number (from 1) and object of every line that is not blank, lazily; `.gz` is read through.

    Raises:
        DataError: missing or unreadable file, damaged gzip, a line that is not UTF-8 or not a JSON object.
    """
    number = 0
    try:
        with _open(path) as file:
            for number, raw in enumerate(file, start=1):
                if raw.strip():
                    yield number, parse_object(raw, f"{path}, line {number}")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}, after line {number}: the gzip file is damaged ({error}); download it again"
            " (a plain file must not be named .gz)"
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def parse_object(raw: bytes, where: str) -> dict[str, Any]:
    """A JSON object from its bytes; `where` opens every message.

    Raises:
        DataError: it is not UTF-8, not JSON (NaN is none), nested without end, or not an object.
    """
    try:
        value = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        bad = raw[error.start : error.start + 1].hex()
        raise DataError(
            f"{where}: not UTF-8 (byte 0x{bad} at {error.start}); convert it: iconv -f latin1 -t utf-8 FILE > NEW"
        ) from error
    except (ValueError, RecursionError) as error:  # ValueError also for an integer of thousands of digits
        raise DataError(f"{where}: not JSON ({error}), got {short(raw.decode())}; correct or delete it") from error
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected a JSON object, got {short(value)}; write one object a line")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def unreadable(path: Path, error: OSError) -> DataError:
    """What a file that cannot be read is called, with its remedy."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: no such file; check the path (relative paths start at {Path.cwd()})")
    if isinstance(error, IsADirectoryError):
        return DataError(f"{path}: is a directory, expected a .jsonl or .jsonl.gz file; name the file inside it")
    return DataError(f"{path}: cannot be read ({error.strerror or error}); check its permissions and the disk")


def short(value: Any) -> str:
    """A value in one line of at most 60 characters, for a message."""
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = " ".join(shown.split())
    return shown if len(shown) <= 60 else shown[:57] + "..."


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
    with whole_file(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def write_jsonl(path: Path, records: Iterable[Any]) -> int:
    """Write records as JSON lines, whole or not at all; returns how many."""
    count = 0
    with whole_file(path) as file:
        for record in records:
            file.write(dump_line(record))
            count += 1
    return count


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears only when all of it is on disk; nothing is left of one that was not finished."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
    finally:
        with suppress(OSError):  # gone when all went well; the first error is the one to show
            part.unlink()


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
