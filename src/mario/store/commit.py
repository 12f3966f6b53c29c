"""Group commit: lines of many coroutines made durable together.

While one fsync is under way, all that arrives waits for the next, so a thousand writers share a few fsyncs. The writing
thread knows no event loop: what was handed over is written, however the loop that did so ends.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread

from mario.store.jsonl import AppendLog


@dataclass(frozen=True, slots=True)
class _Line:
    text: bytes
    written: asyncio.Future[None] | None  # someone waits, in the loop it belongs to

    def settle(self, error: Exception | None) -> None:
        if self.written is not None:
            with suppress(RuntimeError):  # its loop is closed: nobody waits any more
                self.written.get_loop().call_soon_threadsafe(_resolve, self.written, error)


class GroupCommit:
    """Appends lines to a log on a thread of its own."""

    def __init__(self, log: AppendLog) -> None:
        self._log = log
        self._queue: SimpleQueue[_Line | None] = SimpleQueue()
        self._broken: Exception | None = None  # after a failed write the file may end in half a line: write no more
        self._thread = Thread(target=self._run, name=log.path.stem, daemon=True)
        self._thread.start()

    async def add(self, line: bytes) -> None:
        """Append a line; returns when it is durable.

        Raises:
            StoreError: the disk refuses, now or at an earlier line.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(_Line(line, written))
        await written

    def post(self, line: bytes) -> None:
        """Append a line soon, after all lines before it; a failure is raised by the next `add`."""
        self._queue.put(_Line(line, None))

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            lines = [line for line in batch if line is not None]
            self._write(lines)
            for line in lines:
                line.settle(self._broken)
            if None in batch:
                return

    def _write(self, lines: list[_Line]) -> None:
        if self._broken is not None or not lines:
            return
        try:
            for line in lines:
                self._log.append(line.text)
            self._log.commit()
        except Exception as error:
            self._broken = error

    def close(self) -> None:
        """Write what is still waiting and close the log."""
        self._queue.put(None)
        self._thread.join()
        if self._broken is None:
            self._log.close()
        else:
            with suppress(Exception):  # whoever waited has heard of it
                self._log.close()


def _resolve(written: asyncio.Future[None], error: Exception | None) -> None:
    if written.done():  # cancelled meanwhile
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)
