"""The journal: every answer that cost something, durable before the next turn begins.

Keyed by the hash of the full request, so rerunning a command asks only for what is not there yet. Commits are grouped
(`commit`). Memory holds one offset for each record that stood there when the journal was opened, and none for what
this process wrote (a process never asks the same thing twice).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mario.errors import StoreError
from mario.store.commit import GroupCommit
from mario.store.jsonl import AppendLog, dump_line


class Journal:
    def __init__(self, path: Path) -> None:
        self._commits = GroupCommit(AppendLog(path))
        self._offsets: dict[str, int] = {}
        self._reader = path.open("rb")
        self.hits = 0
        self._index(path)

    def _index(self, path: Path) -> None:
        offset = 0
        for number, line in enumerate(self._reader, start=1):
            try:
                self._offsets[json.loads(line)["key"]] = offset
            except (ValueError, KeyError, TypeError) as error:
                raise StoreError(
                    f"{path}, line {number} is no journal record; move {path.name} away to start afresh"
                ) from error
            offset += len(line)

    def __len__(self) -> int:
        return len(self._offsets)

    def get(self, key: str) -> Any | None:
        """The stored value of `key`, or None."""
        offset = self._offsets.get(key)
        if offset is None:
            return None
        self._reader.seek(offset)
        self.hits += 1
        return json.loads(self._reader.readline())["value"]

    async def put(self, key: str, value: Any, **note: Any) -> None:
        """Store a value; returns when it is durable. `note` stands beside it for people to read."""
        await self._commits.add(dump_line({"key": key, **note, "value": value}))

    def close(self) -> None:
        self._reader.close()
        self._commits.close()
