"""The ledger: what every call cost or may have cost, reserved before it is sent, kept through any kill.

One idea: a call is written down before it is sent, with the most it can cost, and struck off when the server's own
count arrives. Whatever was never struck off is `unknown`: it cost between nothing and its bound. So at any moment

    confirmed <= what the server charged <= confirmed + unknown + reserved,

and a call is sent only if that upper end stays within the cap. The file is a log of JSON lines:

    {"call": 7, "problem": …, "sample": …, "turn": …, "prompt": 812, "completion": 512}   before sending: at most this
    {"call": 7, "prompt": 203, "cached": 0, "completion": 41}                             the server's count, or
    {"call": 7, "free": "429"}                                                            turned away, no work was done
    {"call": 7, "lost": "reset"}                                                          no count came: unknown

A run that was killed leaves calls without a second line; reading the file again counts them as unknown.

What this module does not do: it sends nothing, and knows no price but the one it is given.
"""

from __future__ import annotations

import asyncio
import fcntl
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from mario.engine.prices import Price
from mario.engine.spend import Spend, Tokens
from mario.errors import BudgetReached, StoreError
from mario.store.commit import GroupCommit
from mario.store.jsonl import AppendLog, dump_line, parse_object, storing, unreadable


class Ledger:
    """Spends from one budget; belongs to one event loop, and its file to one process.

    Raises:
        StoreError: another process holds the file, or it is no ledger.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        price: Price | None = None,
        max_cost: float | None = None,
        max_total_tokens: int | None = None,
    ) -> None:
        self.price = price
        self.cache_hits = 0
        self._max_cost = max_cost
        self._max_total_tokens = max_total_tokens
        self._open: dict[int, Tokens] = {}  # reserved by this process
        self._reserved = Tokens()
        self._past = _Past()
        self._changed = asyncio.Event()
        self._commits: GroupCommit | None = None
        self._lock: IO[bytes] | None = None
        if path is not None:
            self._lock = _locked(path)
            log = AppendLog(path)
            self._past = _read(path)
            self._commits = GroupCommit(log)

    async def reserve(self, bound: Tokens, **note: Any) -> int:
        """Put aside what a call can cost at most, durably, and number the call; waits while calls in flight may
        still give enough back.

        Raises:
            BudgetReached: it does not fit, and nothing in flight can change that.
        """
        while (short := self._lacks(bound)) is not None:
            if not self._open:
                raise BudgetReached(short)
            await self._changed.wait()
        self._past.calls += 1
        call = self._past.last = self._past.last + 1
        self._open[call] = bound
        self._reserved += bound
        if self._commits is not None:
            try:
                line = {"call": call, **note, "prompt": bound.prompt, "completion": bound.completion}
                await self._commits.add(dump_line(line))
            except BaseException:
                self.free(call, "not sent")
                raise
        return call

    def confirm(self, call: int, used: Tokens, fault: str | None = None) -> None:
        """The server's own count has arrived, if with an answer of no use: `fault` says why."""
        self._close(call)
        self._past.confirmed += used
        line: dict[str, Any] = {"call": call, "prompt": used.prompt, "cached": used.cached}
        line["completion"] = used.completion
        if fault is not None:
            self._past.faults[fault] += 1
            line["fault"] = fault
        self._post(line)

    def lose(self, call: int, kind: str) -> None:
        """No count will arrive: the call cost between nothing and its bound."""
        self._past.unknown += self._close(call)
        self._past.unknown_calls += 1
        self._past.faults[kind] += 1
        self._post({"call": call, "lost": kind})

    def free(self, call: int, kind: str) -> None:
        """The server turned the call away, or never heard of it: it cost nothing."""
        self._close(call)
        self._past.faults[kind] += 1
        self._post({"call": call, "free": kind})

    @property
    def capped(self) -> bool:
        return self._max_cost is not None or self._max_total_tokens is not None

    def snapshot(self) -> Spend:
        past = self._past
        return Spend(
            calls=past.calls,
            in_flight=len(self._open),
            unknown_calls=past.unknown_calls,
            cache_hits=self.cache_hits,
            faults=dict(past.faults),
            confirmed_tokens=past.confirmed,
            unknown_tokens=past.unknown,
            reserved_tokens=self._reserved,
            price=self.price,
            max_cost=self._max_cost,
            max_total_tokens=self._max_total_tokens,
        )

    def close(self) -> None:
        """Make the file whole; calls in flight stay unknown."""
        for call in list(self._open):
            self.lose(call, "abandoned")
        if self._commits is not None:
            commits, self._commits = self._commits, None
            commits.close()
        if self._lock is not None:
            self._lock.close()

    def _close(self, call: int) -> Tokens:
        bound = self._open.pop(call)
        self._reserved -= bound
        self._changed.set()
        self._changed = asyncio.Event()
        return bound

    def _post(self, line: dict[str, Any]) -> None:
        if self._commits is not None:
            self._commits.post(dump_line(line))

    def _lacks(self, bound: Tokens) -> str | None:
        """What stands against one more call; None when it fits."""
        held = self._past.confirmed + self._past.unknown + self._reserved
        if self._max_total_tokens is not None and (held + bound).total > self._max_total_tokens:
            return (
                f"the next call may take {bound.total:,} tokens, and of engine.max_total_tokens = "
                f"{self._max_total_tokens:,} there are {max(0, self._max_total_tokens - held.total):,} left; "
                "raise it and run the same command again"
            )
        if self._max_cost is None or self.price is None:
            return None
        spent = self._cost(held)
        if spent + self._cost(bound) <= self._max_cost:
            return None
        known = self._cost(self._past.confirmed)
        return (
            f"the next call may cost ${self._cost(bound):.4f}, and of engine.max_cost = ${self._max_cost:.2f} "
            f"${known:.4f} is spent and up to ${spent - known:.4f} more may be; "
            "raise it and run the same command again"
        )

    def _cost(self, tokens: Tokens) -> float:
        assert self.price is not None
        return self.price.cost(tokens.prompt, tokens.completion, tokens.cached)


@dataclass
class _Past:
    """Totals of calls that are settled."""

    calls: int = 0
    last: int = 0
    unknown_calls: int = 0
    confirmed: Tokens = field(default_factory=Tokens)
    unknown: Tokens = field(default_factory=Tokens)
    faults: Counter[str] = field(default_factory=Counter)


def read_spend(path: Path, price: Price | None = None) -> Spend:
    """What a ledger file says, without opening it for writing."""
    past = _read(path)
    return Spend(
        calls=past.calls,
        unknown_calls=past.unknown_calls,
        faults=dict(past.faults),
        confirmed_tokens=past.confirmed,
        unknown_tokens=past.unknown,
        price=price,
    )


def ledger_of(engine: object) -> Ledger | None:
    """The ledger that an engine spends from; None where it costs nothing."""
    found = getattr(engine, "ledger", None)
    return found if isinstance(found, Ledger) else None


def _read(path: Path) -> _Past:
    past = _Past()
    waiting: dict[int, Tokens] = {}
    for number, line in _lines(path):
        try:
            call = line["call"]
            if call not in waiting:
                waiting[call] = Tokens(line["prompt"], line["completion"])
                past.calls += 1
                past.last = max(past.last, call)
                continue
            bound = waiting.pop(call)
            if "free" in line:
                past.faults[line["free"]] += 1
            elif "lost" in line:
                past.faults[line["lost"]] += 1
                past.unknown += bound
                past.unknown_calls += 1
            else:
                past.confirmed += Tokens(line["prompt"], line["completion"], line["cached"])
                past.faults.update([line["fault"]] if "fault" in line else [])
        except (KeyError, TypeError) as error:
            raise StoreError(
                f"{path}, line {number} is no ledger line; move {path.name} away to start a new account"
            ) from error
    for bound in waiting.values():
        past.unknown += bound
        past.unknown_calls += 1
    return past


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Whole lines; a run may be writing the last one."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                if raw.endswith(b"\n"):
                    yield number, parse_object(raw, f"{path}, line {number}")
    except OSError as error:
        raise unreadable(path, error) from error


def _locked(path: Path) -> IO[bytes]:
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise StoreError(f"{path} is in use by another process; wait for it or name another --out") from error
    return file
