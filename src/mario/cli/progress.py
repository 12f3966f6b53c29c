"""Live progress on stderr: one line that rewrites itself on a terminal, plain lines elsewhere.

Rendering only: it is fed counts by callbacks and keeps no number of its own but the time.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

from mario.solve import Progress
from mario.types import Trajectory

PLAIN_SECONDS = 15.0  # between plain lines: a log should stay readable
LIVE_SECONDS = 0.1


class Line:
    """One status line; use as a context manager, then `show` as often as you like."""

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        self.title = title
        self.began = time.monotonic()
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._last = 0.0
        self._text = ""

    def show(self, text: str, *, force: bool = False) -> None:
        moment = time.monotonic()
        self._text = text
        if not force and moment - self._last < (LIVE_SECONDS if self._live else PLAIN_SECONDS):
            return
        self._last = moment
        self._write()

    def _write(self) -> None:
        line = f"{self.title}: {self._text}"
        if self._live:
            self._stream.write(f"\r\x1b[2K{line}")
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._text:
            self._write()
            if self._live:
                self._stream.write("\n")
                self._stream.flush()


class Attempts(Line):
    """Progress of `annotate` and `evaluate`."""

    def __call__(self, progress: Progress, latest: Trajectory | None) -> None:
        self.show(attempts_line(progress, time.monotonic() - self.began), force=latest is None)


def attempts_line(progress: Progress, seconds: float) -> str:
    """done/total, answered, errors, rate and time left, in one line."""
    fresh = progress.done - progress.resumed
    rate = fresh / seconds if seconds > 0 else 0.0
    parts = [f"{progress.done}/{progress.total if progress.total is not None else '?'} attempts"]
    if progress.resumed:
        parts.append(f"{progress.resumed} from before")
    if progress.done:
        parts.append(f"{100 * progress.answered / progress.done:.0f} % answered")
    if progress.snippets:
        parts.append(f"{progress.snippet_errors}/{progress.snippets} snippets failed")
    if progress.failed:
        parts.append(f"{progress.failed} FAILED")
    if fresh and rate:
        parts.append(f"{rate:.1f}/s")
        if progress.total and progress.total > progress.done:
            parts.append(f"{duration((progress.total - progress.done) / rate)} left")
    parts.append(duration(seconds))
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """12 s, 3:05, 1:02:03."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def say(text: str) -> None:
    """A line of news for people."""
    print(text, file=sys.stderr, flush=True)
