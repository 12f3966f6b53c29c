"""Live progress on stderr: one line that rewrites itself on a terminal, plain lines elsewhere.

Rendering only: it is fed counts by callbacks and keeps no number of its own but the time.
"""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:  # `say` is all that quick verbs want, and solving takes 0.1 s to import
    from mario.engine.prices import Price
    from mario.engine.spend import Spend
    from mario.solve import Forecast, Progress
    from mario.types import Trajectory

PLAIN_SECONDS = 15.0  # between plain lines: a log should stay readable
LIVE_SECONDS = 0.1
CLEAR = "\r\x1b[2K"


class Line:
    """One status line; use as a context manager, then `show` as often as you like."""

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        self.title = title
        self.began = time.monotonic()
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._last = 0.0
        self._text = self._written = ""

    def show(self, text: str, *, force: bool = False) -> None:
        moment = time.monotonic()
        self._text = text
        if not force and moment - self._last < (LIVE_SECONDS if self._live else PLAIN_SECONDS):
            return
        self._last = moment
        self._write()

    def note(self, text: str) -> None:
        """News that stays, on a line of its own."""
        self._stream.write(f"{CLEAR if self._live else ''}{text}\n")
        if self._live and self._text:
            self._write()
        self._stream.flush()

    def _write(self) -> None:
        line, self._written = f"{self.title}: {self._text}", self._text
        if self._live:
            room = shutil.get_terminal_size().columns - 1  # a line that wraps cannot be rewritten
            self._stream.write(f"{CLEAR}{line if len(line) <= room else line[: room - 1] + '…'}")
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._text:
            if self._text != self._written:
                self._write()
            if self._live:
                self._stream.write("\n")
                self._stream.flush()


class Attempts(Line):
    """Progress of `annotate` and `evaluate`."""

    def __call__(self, progress: Progress, latest: Trajectory | None) -> None:
        self.show(attempts_line(progress, time.monotonic() - self.began), force=latest is None)

    def forecast(self, found: Forecast, price: Price | None) -> None:
        self.note(f"{self.title}: {forecast_line(found, price)}")


def attempts_line(progress: Progress, seconds: float) -> str:
    """done/total, answered, solved, errors, rates, cost and time left, in one line."""
    fresh = progress.done - progress.resumed
    rate = fresh / seconds if seconds > 0 else 0.0
    parts = [f"{progress.done}/{progress.total if progress.total is not None else '?'} attempts"]
    if progress.draining:
        parts.insert(0, f"stopping: {progress.in_flight} in flight finish, Ctrl-C again stops now")
    if progress.resumed:
        parts.append(f"{progress.resumed} from before")
    if progress.done:
        parts.append(f"{100 * progress.answered / progress.done:.0f} % answered")
    if progress.tried:
        parts.append(
            f"{100 * len(progress.solved) / len(progress.tried):.0f} % of {len(progress.tried)} problems solved"
        )
    if progress.snippets:
        parts.append(f"{progress.snippet_errors}/{progress.snippets} snippets failed")
    if progress.failed:
        parts.append(f"{progress.failed} FAILED")
    if fresh and rate:
        parts.append(f"{rate:.1f}/s")
        if progress.completion_tokens > progress.resumed_tokens:
            parts.append(f"{short((progress.completion_tokens - progress.resumed_tokens) / seconds)} tokens/s")
    if progress.spend is not None:
        parts += _spend_parts(progress.spend, progress)
    if fresh and rate and progress.total and progress.total > progress.done:
        parts.append(f"{duration((progress.total - progress.done) / rate)} left")
    parts.append(duration(seconds))
    return " · ".join(parts)


def _spend_parts(spend: Spend, progress: Progress) -> list[str]:
    """Dollars (tokens where there is no price), what the end may bring, and what went wrong on the way."""
    parts = []
    if spend.confirmed is not None and spend.unknown is not None:
        text = dollars(spend.confirmed) + (f" (and up to {dollars(spend.unknown)} unknown)" if spend.unknown else "")
        if progress.total and progress.done and progress.total > progress.done:
            # Attempts in flight have spent some of their share: half of it, for want of better knowledge.
            share = progress.total / (progress.done + progress.in_flight / 2)
            text += f" of ~{dollars((spend.confirmed + spend.unknown / 2) * share)}"
        if spend.max_cost is not None:
            text += f", cap {dollars(spend.max_cost)}"
        parts.append(text)
    elif spend.confirmed_tokens.total:
        parts.append(f"{short(spend.confirmed_tokens.total)} tokens used")
    if spend.faults:
        parts.append("retried: " + ", ".join(f"{kind} ×{count}" for kind, count in sorted(spend.faults.items())))
    return parts


def forecast_line(found: Forecast, price: Price | None) -> str:
    """What a run will use in all, and cost where the price is known."""
    text = (
        f"forecast after {found.pilot} of {found.problems} problems: {short(found.prompt_tokens)} prompt and "
        f"{short(found.completion_tokens)} completion tokens in all, ± {100 * found.spread:.0f} %"
    )
    if price is not None:
        text += f"; {dollars(price.cost(found.prompt_tokens, found.completion_tokens))} without retries"
    return text


def dollars(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"


def short(count: float) -> str:
    """940, 3.1k, 12M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.1f}{unit}" if count < 10 * size else f"{count / size:.0f}{unit}"
    return f"{count:.0f}"


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
