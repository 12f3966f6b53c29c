"""What a reviewer did, as events that are only ever added, and what stands after them.

The one idea: a `Ledger` is a fold over events. A decision is never changed: a later one covers it, an undo uncovers
what was there before. Everyone who wants to add an event says which event on that item they last saw (`seen`); when
another tab was faster, `Stale` says so and nothing is written.

What this module does not do: no clock, no files (`book`), no opinion on who is right (`agreement`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from mario.errors import MarioError


class Verdict(StrEnum):
    """Decisions about a reference answer (the first four), about a trajectory (the next three), or about neither."""

    WRONG = "wrong"  # the reference is wrong; `answer` is the right one, none when the problem has no right answer
    RIGHT = "right"
    AMBIGUOUS = "ambiguous"
    FORM = "form"  # one value in two spellings: the grader's business
    KEEP = "keep"
    DROP = "drop"
    WRONG_REASONING = "wrong_reasoning"  # though the answer is right
    SKIP = "skip"


LABEL_VERDICTS = (Verdict.WRONG, Verdict.RIGHT, Verdict.AMBIGUOUS, Verdict.FORM, Verdict.SKIP)
TRAJECTORY_VERDICTS = (Verdict.KEEP, Verdict.DROP, Verdict.WRONG_REASONING, Verdict.SKIP)


class EventKind(StrEnum):
    DECIDE = "decide"
    ADJUDICATE = "adjudicate"  # settles what two reviewers see differently
    OPEN = "open"  # from here on the reviewer knows the other's verdict on this item: no longer blind
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a person says of an item; `seconds` is how long they looked."""

    verdict: Verdict
    answer: str | None = None
    note: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a reviewer's file. `seq` counts from 1 in that file; `hash` is of the item as it was shown.

    `time` is ISO 8601 in UTC; `judgement` belongs to decisions and adjudications, `undoes` (a `seq`) to an undo.
    """

    seq: int
    time: str
    reviewer: str
    kind: EventKind
    item: str
    hash: str
    judgement: Judgement | None = None
    undoes: int | None = None

    @property
    def verdict(self) -> Verdict | None:
        return self.judgement.verdict if self.judgement else None

    @property
    def answer(self) -> str | None:
        return self.judgement.answer if self.judgement else None

    @property
    def note(self) -> str:
        return self.judgement.note if self.judgement else ""


class Stale(MarioError):
    """Somebody, or another tab, decided since the page was shown."""


class Ledger:
    """What one reviewer's events amount to."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.last = 0  # seq of the newest event
        self._layers: dict[str, list[Event]] = {}  # decisions and adjudications of an item, uncovered from the end
        self.decisions: dict[str, Event] = {}  # what stands, whatever version of the item it was about
        self._versions: dict[str, int] = {}
        self._undoable: list[Event] = []
        self._opened: dict[str, Event | None] = {}  # the decision that stood when the reviewer stopped being blind
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """Take one event over.

        Raises:
            ValueError: its number is not the next one, or it undoes what is not the latest decision.
        """
        if event.seq != self.last + 1:
            raise ValueError(f"event {event.seq} follows event {self.last}")
        match event.kind:
            case EventKind.DECIDE | EventKind.ADJUDICATE:
                if event.judgement is None:
                    raise ValueError(f"event {event.seq} decides without a judgement")
                self._layers.setdefault(event.item, []).append(event)
                self._undoable.append(event)
                self._settle(event.item)
            case EventKind.UNDO:
                if not self._undoable or self._undoable[-1].seq != event.undoes:
                    raise ValueError(f"event {event.seq} undoes {event.undoes}, which is not the latest decision")
                undone = self._undoable.pop()
                self._layers[undone.item].remove(undone)
                self._settle(undone.item)
            case EventKind.OPEN:
                self._opened.setdefault(event.item, self.decisions.get(event.item))
        self.last = event.seq
        if event.kind is not EventKind.OPEN:
            self._versions[event.item] = event.seq

    def check(self, item: str, seen: int) -> None:
        """Pass when `seen` is the newest event on this item.

        Raises:
            Stale: it is not.
        """
        if seen != self.version(item):
            raise Stale("this item was decided in another tab since this page was shown; nothing was saved")

    def version(self, item: str) -> int:
        """`seq` of the newest event that changed this item, 0 before any."""
        return self._versions.get(item, 0)

    def decision(self, item: str, hash: str | None = None) -> Event | None:
        """The decision that stands; none when it was made about another version of the item than `hash`."""
        return _fitting(self.decisions.get(item), hash)

    def blind(self, item: str, hash: str | None = None) -> Event | None:
        """The decision as it stood before the reviewer could know another's."""
        found = self._opened[item] if item in self._opened else self.decisions.get(item)
        return _fitting(found, hash)

    def adjudication(self, item: str, hash: str | None = None) -> Event | None:
        return _fitting(self._top(item, EventKind.ADJUDICATE), hash)

    def has_opened(self, item: str) -> bool:
        return item in self._opened

    def undoable(self) -> Event | None:
        """What an undo would take back."""
        return self._undoable[-1] if self._undoable else None

    def _settle(self, item: str) -> None:
        top = self._top(item, EventKind.DECIDE)
        if top is None:
            self.decisions.pop(item, None)
        else:
            self.decisions[item] = top

    def _top(self, item: str, kind: EventKind) -> Event | None:
        return next((event for event in reversed(self._layers.get(item, ())) if event.kind is kind), None)


def _fitting(event: Event | None, hash: str | None) -> Event | None:
    return event if event is not None and (hash is None or event.hash == hash) else None
