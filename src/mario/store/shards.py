"""Records in shards: `00000.jsonl` grows, and counts for others once `00000.seal.json` stands beside it.

The seal holds the number of rows and the hash of the bytes and is written last, so a shard is either whole or
visibly not. `scan_shards` streams; memory does not grow with the set.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from mario.errors import StoreError
from mario.provenance import content_hash, file_hash, from_json
from mario.store.jsonl import AppendLog, dump_line, read_jsonl, write_json

T = TypeVar("T")
ROWS_PER_SHARD = 5000  # some tens of MB of trajectories: small enough to copy, large enough to be few


class ShardWriter:
    """Appends records; `seal` makes them durable and closes the set."""

    def __init__(self, folder: Path, rows_per_shard: int = ROWS_PER_SHARD) -> None:
        self.folder = folder
        self._limit = rows_per_shard
        self._log: AppendLog | None = None
        self._rows = 0
        self._index = sum(1 for _ in folder.glob("*.seal.json")) if folder.exists() else 0
        if self._path().exists():
            self._open()
            self._rows = sum(1 for _ in read_jsonl(self._path()))

    def _path(self) -> Path:
        return self.folder / f"{self._index:05}.jsonl"

    def _open(self) -> AppendLog:
        if self._log is None:
            self._log = AppendLog(self._path())
        return self._log

    def append(self, record: Any) -> None:
        self._open().append(dump_line(record))
        self._rows += 1
        if self._rows >= self._limit:
            self.seal()

    def flush(self) -> None:
        if self._log is not None:
            self._log.flush()

    def seal(self) -> None:
        """Seal the shard that is open, if any."""
        if self._log is None:
            return
        self._log.commit()
        self._log.close()
        path = self._path()
        write_json(path.with_suffix(".seal.json"), {"rows": self._rows, "hash": file_hash(path)})
        self._log, self._rows, self._index = None, 0, self._index + 1

    def close(self) -> None:
        if self._log is not None:
            self._log.commit()
            self._log.close()
            self._log = None


def scan_shards(folder: Path, kind: type[T], *, sealed: bool = True) -> Iterator[T]:
    """Stream the records of a set; with `sealed`, an unfinished set is an error rather than a short answer.

    Raises:
        StoreError: the set is missing or unsealed, or a row is not a record of this kind; names shard and row.
    """
    shards = sorted(folder.glob("[0-9]*.jsonl"))
    if not shards:
        raise StoreError(f"{folder} holds no records; run the stage that makes it")
    for path in shards:
        if sealed and not path.with_suffix(".seal.json").exists():
            raise StoreError(f"{path} is not sealed: the run that makes it has not finished; run it again to resume")
        for number, row in read_jsonl(path):
            try:
                yield from_json(kind, row)
            except TypeError as error:
                raise StoreError(f"{path}, row {number}: {error}; was it made by another version?") from error


def verify_shards(folder: Path) -> str:
    """Check every seal against its bytes; returns the tagged hash of the whole set.

    Raises:
        StoreError: a shard is unsealed or its bytes have changed.
    """
    hashes: list[str] = []
    for path in sorted(folder.glob("[0-9]*.jsonl")):
        seal_path = path.with_suffix(".seal.json")
        if not seal_path.exists():
            raise StoreError(f"{path} is not sealed: the run that makes it has not finished; run it again to resume")
        seal = json.loads(seal_path.read_text())
        found = file_hash(path)
        if seal["hash"] != found:
            raise StoreError(f"{path} has changed since it was sealed (expected {seal['hash']}, found {found})")
        hashes.append(found)
    if not hashes:
        raise StoreError(f"{folder} holds no records; run the stage that makes it")
    return content_hash(hashes)
