"""An index on disk of attempts by problem, so that memory does not grow with their number.

Attempts arrive in the order in which they finished; choosing among those of one problem needs them together. What
choosing looks at goes into an SQLite table; the rows themselves stay in their shards and are read again by offset.

What this module does not do: judge or choose.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import IO

from mario.data.readers import read_problems
from mario.errors import StoreError
from mario.provenance import canonical_json, from_json
from mario.types import Problem, Trajectory

_CACHED_KIB = 65536


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt as choosing sees it; `source`, `shard` and `offset` say where its row stands."""

    problem_id: str
    sample_index: int
    source: int
    shard: int
    offset: int
    reason: str  # "" for an attempt that verified
    detail: str
    correct: int  # 1, 0, or -1 where it cannot be said
    support: int
    answered: int
    key: str
    shape: str


_COLUMNS = [field.name for field in fields(Entry)]


class Index:
    """Problems and entries; use as a context manager. `scratch` is a folder of the caller's."""

    def __init__(self, scratch: Path, sources: Iterable[Path]) -> None:
        self._shards = [sorted(source.glob("[0-9]*.jsonl")) for source in sources]
        self._files: dict[tuple[int, int], IO[bytes]] = {}
        self._stack = ExitStack()
        self._db = sqlite3.connect(scratch / "index.sqlite", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=OFF")  # a scratch file: a killed run starts it afresh
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute(f"PRAGMA cache_size=-{_CACHED_KIB}")
        self._db.execute("CREATE TABLE problems(id TEXT PRIMARY KEY, record TEXT) WITHOUT ROWID")
        self._db.execute(f"CREATE TABLE entries({', '.join(_COLUMNS)})")
        self._db.execute("BEGIN")
        self._last: Problem | None = None

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._db.close()

    def add_problems(self, path: Path) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO problems VALUES(?, ?)",
            ((problem.id, canonical_json(problem)) for problem in read_problems(path)),
        )

    def problem(self, problem_id: str) -> Problem:
        """Raises:
        StoreError: an attempt's problem is not among the problems.
        """
        if self._last is None or self._last.id != problem_id:
            found = self._db.execute("SELECT record FROM problems WHERE id = ?", (problem_id,)).fetchone()
            if found is None:
                raise StoreError(
                    f"an attempt names the problem {problem_id!r}, which is not among the problems; "
                    "were the attempts made from another file?"
                )
            self._last = from_json(Problem, json.loads(found[0]))
        return self._last

    def scan(self) -> Iterator[tuple[int, int, int, Trajectory]]:
        """Source, shard, offset and record of every attempt."""
        for source, shards in enumerate(self._shards):
            for shard, path in enumerate(shards):
                with path.open("rb") as file:
                    offset = 0
                    for line in file:
                        yield source, shard, offset, _trajectory(line, f"{path}, offset {offset}")
                        offset += len(line)

    def add(self, entry: Entry) -> None:
        marks = ", ".join("?" * len(_COLUMNS))
        self._db.execute(f"INSERT INTO entries VALUES({marks})", tuple(getattr(entry, name) for name in _COLUMNS))

    def by_problem(self) -> Iterator[tuple[str, list[Entry]]]:
        """The entries of each problem, in order of id, sample index and source."""
        self._db.execute("CREATE INDEX by_problem ON entries(problem_id, sample_index, source, offset)")
        rows = self._db.cursor().execute("SELECT * FROM entries ORDER BY problem_id, sample_index, source, offset")
        for problem_id, group in groupby((Entry(*row) for row in rows), key=lambda entry: entry.problem_id):
            yield problem_id, list(group)

    def trajectory(self, entry: Entry) -> Trajectory:
        file = self._files.get((entry.source, entry.shard))
        if file is None:
            file = self._stack.enter_context(self._shards[entry.source][entry.shard].open("rb"))
            self._files[entry.source, entry.shard] = file
        file.seek(entry.offset)
        return _trajectory(file.readline(), f"{file.name}, offset {entry.offset}")


def _trajectory(line: bytes, where: str) -> Trajectory:
    try:
        return from_json(Trajectory, json.loads(line))
    except (ValueError, TypeError) as error:
        raise StoreError(f"{where}: {error}; was it made by another version?") from error
