"""When to send again: back-off with jitter, what a server asks for, and a gate that all requests share.

A server that turns requests away because it is asked too often does so to all of them. If each came back by itself,
they would come back together; so after a few refusals without an answer in between, the gate closes for everybody, and
opens for each at a moment of its own. One refusal among answers closes nothing: that request alone waits.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

BACKOFF_SECONDS, BACKOFF_MAX = 0.5, 8.0
_REFUSALS = 3  # in a row, before all wait
_SPREAD = 0.25  # of a wait: how far apart the gate opens for each
_SPREAD_MAX = 5.0


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a reply's headers ask to wait: `retry-after-ms`, or `Retry-After` in seconds or as an HTTP date.

    None where they ask nothing that can be read.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        try:
            seconds = float(text) * unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        moment = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    if moment.tzinfo is None:  # "-0000": the sender knows no zone, HTTP's is UTC
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def backoff(tries: int, draw: random.Random) -> float:
    """Seconds before the next try after `tries` failed ones: doubling, and less regular by up to half."""
    longest = min(BACKOFF_SECONDS * 2.0 ** (tries - 1), BACKOFF_MAX)
    return draw.uniform(longest / 2, longest)


class Gate:
    """Open until a server has refused several requests in a row; belongs to one event loop."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._refusals = 0
        self._opens = 0.0
        self._wait = 0.0

    async def passed(self) -> None:
        """Returns when a request may be sent."""
        while (left := self._opens - time.monotonic()) > 0:
            await asyncio.sleep(left + self._draw.uniform(0, min(self._wait * _SPREAD, _SPREAD_MAX)))

    def answered(self) -> None:
        self._refusals = 0

    def refused(self, seconds: float) -> None:
        """The server turned a request away for so long."""
        self._refusals += 1
        if self._refusals >= _REFUSALS:
            self._wait = seconds
            self._opens = max(self._opens, time.monotonic() + seconds)
