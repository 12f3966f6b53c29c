"""Group commit: lines of many coroutines made durable together.

While one fsync is under way, all that arrives waits for the next, so a thousand writers share a few fsyncs.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from mario.store.jsonl import AppendLog


class GroupCommit:
    """Appends lines to a log on a thread of its own; belongs to one event loop."""

    def __init__(self, log: AppendLog) -> None:
        self._log = log
        self._pending: list[tuple[bytes, asyncio.Future[None] | None]] = []
        self._committer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=log.path.stem)
        self._broken: Exception | None = None  # after a failed write the file may end in half a line: write no more
        self._told = True

    async def add(self, line: bytes) -> None:
        """Append a line; returns when it is durable.

        Raises:
            StoreError: the disk refuses, now or at an earlier `post`.
        """
        if self._broken is not None:
            self._told = True
            raise self._broken
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue(line, done)
        await done

    def post(self, line: bytes) -> None:
        """Append a line soon, after all lines before it; a failure is raised by the next `add` or by `close`."""
        self._queue(line, None)

    def _queue(self, line: bytes, done: asyncio.Future[None] | None) -> None:
        self._pending.append((line, done))
        if self._committer is None or self._committer.done():
            self._committer = asyncio.create_task(self._commit())

    async def _commit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            batch, self._pending = self._pending, []
            try:
                await loop.run_in_executor(self._thread, self._write, [line for line, _ in batch])
            except Exception as error:
                self._broken, self._told = error, False
                for _, done in batch:
                    if done is not None and not done.cancelled():
                        done.set_exception(error)
                        self._told = True
            else:
                for _, done in batch:
                    if done is not None and not done.cancelled():
                        done.set_result(None)

    def _write(self, lines: list[bytes]) -> None:
        if self._broken is not None:
            raise self._broken
        for line in lines:
            self._log.append(line)
        self._log.commit()

    def close(self) -> None:
        """Write what is still waiting and close the log."""
        self._thread.shutdown(wait=True)
        lines, self._pending = [line for line, _ in self._pending], []
        try:
            if lines and self._broken is None:
                self._write(lines)
        finally:
            self._log.close()
        if self._broken is not None and not self._told:
            raise self._broken
