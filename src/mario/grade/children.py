"""Grading children: taken, asked, put back; and work spread over them in order.

What it does not do: it knows no task but the empty one. `pool` sends pairs, `lines` sends text.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, TypeVar

from mario.grade.kinds import AnswerType
from mario.grade.options import Options
from mario.process import Child, ChildDied, ChildTimedOut, python_worker

START_SECONDS = 60.0
T = TypeVar("T")
R = TypeVar("R")


class Children:
    """Processes that run one worker module, as many as are asked at once. Safe to share between threads."""

    def __init__(self, module: str = "mario.grade.worker") -> None:
        self.module = module
        self._idle: list[Child] = []
        self._lock = threading.Lock()

    def ask(self, task: dict[str, Any], body: bytes, seconds: float) -> bytes:
        """The reply of a child to a task. Raises `ChildDied` or `ChildTimedOut`; that child is then gone."""
        with self._lock:
            child = self._idle.pop() if self._idle else None
        if child is None:
            child = Child(python_worker(self.module))
        header = json.dumps(task).encode() + b"\n"
        try:
            # The task without a body costs nothing on a warm child and pays for the imports of a cold one.
            child.ask(header, START_SECONDS)
            reply = child.ask(header + body, seconds)
        except (ChildDied, ChildTimedOut):
            child.close()
            raise
        with self._lock:
            self._idle.append(child)
        return reply

    def close(self) -> None:
        with self._lock:
            children, self._idle = self._idle, []
        for child in children:
            child.close()


def task(options: Options, *, symbolic: bool, answer_type: AnswerType | None = None, **more: Any) -> dict[str, Any]:
    """The head of a request to `mario.grade.worker`."""
    return {"type": answer_type, "options": asdict(options), "symbolic": symbolic, **more}


def in_order(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """`map` over threads: results in order, and never more than a few items taken ahead."""
    source = iter(items)
    with ThreadPoolExecutor(workers) as threads:
        waiting: deque[Future[R]] = deque()
        try:
            while True:
                while len(waiting) < workers + 2:
                    try:
                        item = next(source)
                    except StopIteration:
                        break
                    waiting.append(threads.submit(work, item))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
