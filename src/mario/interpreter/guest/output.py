"""Catching what a snippet writes: head and tail of it, within a bound, in order.

The one idea: however much is written, memory holds `limit` characters of the beginning and half of that of the end.
Past `FLOOD` characters the snippet is stopped: no reader wants them, and they cost the time of its neighbours.

What it does not do: it sees what goes through `sys.stdout` and `sys.stderr`; a raw write to descriptor 1 is lost.
"""

from __future__ import annotations

import io

from .private import BUILTINS

__builtins__ = BUILTINS  # type: ignore[assignment]  # see there

FLOOD = 10_000_000


class Flood(BaseException):
    """Raised in the snippet that has written more than FLOOD characters; not an Exception, so few catch it."""


class Capture:
    """The text of one snippet, whole up to `limit` characters, else its first and last half."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._half = max(1, limit // 2)
        self._head: list[str] = []
        self._kept = 0
        self._tail = ""
        self.total = 0
        self.ends_line = True
        self.flooded = False

    def add(self, text: str) -> None:
        text = "".join((text,))  # of a subclass of str, which may lie, the text itself
        if not text:
            return
        if not text.isascii():
            text = text.encode("utf-8", "backslashreplace").decode("utf-8")  # lone surrogates count as they will show
        self.total += len(text)
        self.ends_line = text[-1] == "\n"
        room = self._limit - self._kept
        if room > 0:
            part = text[:room]
            self._head.append(part)
            self._kept += len(part)
            text = text[room:]
        if text:
            self._tail = (self._tail + text[-self._half :])[-self._half :]
        if self.total > FLOOD:
            self.flooded = True
            raise Flood

    def text(self) -> tuple[str, int]:
        """The text to show and how many characters of the whole it leaves out."""
        head = "".join(self._head)
        if self.total <= self._limit:
            return head, 0
        tail = (head + self._tail)[-self._half :]
        head = head[: self._half]
        cut = self.total - len(head) - len(tail)
        return f"{head}\n... [{cut:,} characters cut] ...\n{tail}", cut


class Stream(io.TextIOBase):
    """What `sys.stdout` and `sys.stderr` are in a kernel; writes go to the capture of the running snippet."""

    encoding = "utf-8"
    errors = "backslashreplace"
    newlines = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.mode = "w"
        self.capture = Capture(0)
        self.buffer = _Bytes(self)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self.capture.add(text)
        return len(text)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass  # a snippet that closes sys.stdout silences nobody


class _Bytes(io.RawIOBase):
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def write(self, data: object) -> int:
        raw = bytes(data)  # type: ignore[call-overload]
        self._stream.write(raw.decode("utf-8", "backslashreplace"))
        return len(raw)

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        pass
