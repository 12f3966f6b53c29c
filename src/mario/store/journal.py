"""The journal: every answer that cost something, durable before the next turn begins.

Keyed by the hash of the full request, so rerunning a command asks only for what is not there yet. Commits are grouped:
while one fsync is under way, all that arrives waits for the next, so a thousand turns in flight share a few
fsyncs. Memory holds one offset for each record that stood there when the journal was opened, and none for what this
process wrote (a process never asks the same thing twice).
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mario.errors import StoreError
from mario.store.jsonl import AppendLog, dump_line


class Journal:
    def __init__(self, path: Path) -> None:
        self._log = AppendLog(path)
        self._offsets: dict[str, int] = {}
        self._pending: list[tuple[bytes, asyncio.Future[None]]] = []
        self._committer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
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
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((dump_line({"key": key, **note, "value": value}), done))
        if self._committer is None or self._committer.done():
            self._committer = asyncio.create_task(self._commit())
        await done

    async def _commit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            batch, self._pending = self._pending, []
            try:
                await loop.run_in_executor(self._thread, self._write, [line for line, _ in batch])
            except Exception as error:
                for _, done in batch:
                    if not done.cancelled():
                        done.set_exception(error)
            else:
                for _, done in batch:
                    if not done.cancelled():
                        done.set_result(None)

    def _write(self, lines: list[bytes]) -> None:
        for line in lines:
            self._log.append(line)
        self._log.commit()

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self._reader.close()
        self._log.close()
