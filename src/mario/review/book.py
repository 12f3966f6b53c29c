"""The event files of a directory: one a reviewer, appended to and made durable before the page says "saved".

    DIR/reviews/anna.jsonl    Anna's events, one a line
    DIR/reviews/.anna.lock    held by the server that writes them

One idea: everyone writes a file of their own, so two people cannot overwrite each other; one server writes it, so two
tabs meet in one `Ledger`, which tells the slower one. What this module does not do: it decides nothing (`agreement`).
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from mario.errors import StoreError, UsageError
from mario.provenance import from_json
from mario.review.events import Event, EventKind, Judgement, Ledger, Stale
from mario.store import AppendLog
from mario.store.jsonl import dump_line, parse_object, storing

FOLDER = "reviews"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Book:
    """One reviewer's events, open for writing, and everybody else's for reading.

    Raises:
        UsageError: the name is not one, or another server writes for this reviewer.
        StoreError: an event file is damaged.
    """

    def __init__(self, root: Path, reviewer: str, clock: Callable[[], str] = now) -> None:
        if not _NAME.fullmatch(reviewer):
            raise UsageError(f"reviewer must be 1 to 32 of a-z, 0-9, - and _, got {reviewer!r}; for example: anna")
        self.reviewer = reviewer
        self._clock = clock
        self._folder = root / FOLDER
        self._broken = False
        with storing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._locked(f".{reviewer}.lock")
        try:
            path = self._folder / f"{reviewer}.jsonl"
            self._log = AppendLog(path)
            self.own = _ledger(path)
        except BaseException:
            self._lock.close()
            raise
        self._others: dict[str, tuple[tuple[int, int], Ledger]] = {}

    def close(self) -> None:
        self._log.close()
        self._lock.close()

    def everyone(self) -> dict[str, Ledger]:
        """All reviewers' ledgers, others' as their files are at this moment."""
        found = {self.reviewer: self.own}
        for path in _files(self._folder):
            if path.stem != self.reviewer:
                state = path.stat()
                stamp = (state.st_size, state.st_mtime_ns)
                if self._others.get(path.stem, (None, None))[0] != stamp:
                    self._others[path.stem] = (stamp, _ledger(path))
                found[path.stem] = self._others[path.stem][1]
        return found

    def decide(self, item: str, hash: str, judgement: Judgement, *, seen: int) -> Event:
        """Add a decision; it is on disk when this returns.

        Raises:
            Stale: `seen` is not the newest event on this item.
        """
        self.own.check(item, seen)
        return self._add(EventKind.DECIDE, item, hash, judgement)

    def adjudicate(self, item: str, hash: str, judgement: Judgement, *, seen: str) -> Event:
        """Settle a difference; `seen` is the `settled_stamp` that the page showed.

        Raises:
            Stale: somebody settled this item since.
        """
        with self._alone(".settling.lock"):  # two people, two servers: the second is told of the first
            if seen != self.settled_stamp(item, hash):
                raise Stale("this item was settled by somebody else since this page was shown; nothing was saved")
            return self._add(EventKind.ADJUDICATE, item, hash, judgement)

    def settled_stamp(self, item: str, hash: str) -> str:
        """Names the adjudications of an item that stand now."""
        found = ((name, ledger.adjudication(item, hash)) for name, ledger in sorted(self.everyone().items()))
        return " ".join(f"{name}:{event.seq}" for name, event in found if event)

    def open(self, item: str, hash: str) -> None:
        """Note that the reviewer sees the others' verdicts on this item from now on."""
        if not self.own.has_opened(item):
            self._add(EventKind.OPEN, item, hash)

    def undo(self, undoes: int) -> Event:
        """Take back the latest decision, which the page showed as number `undoes`; returns what was taken back.

        Raises:
            Stale: there is a later one, or none.
        """
        latest = self.own.undoable()
        if latest is None or latest.seq != undoes:
            raise Stale("another tab decided or undid something since this page was shown; nothing was undone")
        self._add(EventKind.UNDO, latest.item, latest.hash, undoes=undoes)
        return latest

    def _add(
        self,
        kind: EventKind,
        item: str,
        hash: str,
        judgement: Judgement | None = None,
        undoes: int | None = None,
    ) -> Event:
        if self._broken:
            raise StoreError(
                f"{self._log.path} could not be written before; stop this server, free the disk, start it again"
            )
        event = Event(self.own.last + 1, self._clock(), self.reviewer, kind, item, hash, judgement, undoes)
        try:
            self._log.append(dump_line(event))
            self._log.commit()
        except StoreError:
            self._broken = True  # the line may yet reach the disk: no other may take its number
            raise
        self.own.add(event)
        return event

    def _locked(self, name: str) -> IO[str]:
        with storing(self._folder):
            lock = (self._folder / name).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise UsageError(
                f"reviewer {self.reviewer} has a server on {self._folder.parent} already; use its address, stop it,"
                " or give another --reviewer"
            ) from error
        return lock

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        with storing(self._folder):
            lock = (self._folder / name).open("w")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def read_ledgers(root: Path) -> dict[str, Ledger]:
    """Every reviewer's ledger of a directory, without taking its locks."""
    return {path.stem: _ledger(path) for path in _files(root / FOLDER)}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.jsonl") if _NAME.fullmatch(path.stem))


def _ledger(path: Path) -> Ledger:
    """Events up to the last newline: a line that is being written counts when it is whole."""
    ledger = Ledger()
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    for number, raw in enumerate(whole.splitlines(), start=1):
        where = f"{path}, line {number}"
        try:
            ledger.add(from_json(Event, parse_object(raw, where)))
        except (TypeError, ValueError) as error:
            raise StoreError(
                f"{where}: {error}; restore the file from a copy: decisions are never repaired by guess"
            ) from error
    return ledger
