"""Several reviewers: how far they agree beyond chance, where they differ, and what is settled.

Cohen's kappa is (observed - expected) / (1 - expected) over the items both decided blind (Cohen 1960, A coefficient of
agreement for nominal scales). A skip is no verdict. Two who both say "wrong" but name different answers agree
for kappa, whose categories are the verdicts, and still go to adjudication.

What this module does not do: reading events (`book`), or weighing one person above another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from mario.review.events import Event, Ledger, Verdict

SameAnswer = Callable[[str, str], bool]
Ledgers = Mapping[str, Ledger]  # by reviewer
Key = tuple[str, str]  # item and its hash


@dataclass(frozen=True, slots=True)
class Kappa:
    """Agreement of two reviewers; `kappa` is None where chance alone explains everything, or nothing was compared."""

    first: str
    second: str
    n: int
    observed: float
    expected: float
    kappa: float | None
    table: Mapping[tuple[Verdict, Verdict], int]


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of one item. `decision` is None while people differ; `by` are those who stand behind it."""

    item: str
    decision: Event | None
    by: tuple[str, ...]
    adjudicated: bool = False


def kappas(ledgers: Ledgers, keys: Sequence[Key]) -> list[Kappa]:
    """Every pair of reviewers who decided at least one item in common, by their blind verdicts."""
    found = [kappa(a, ledgers[a], b, ledgers[b], keys) for a, b in combinations(sorted(ledgers), 2)]
    return [pair for pair in found if pair.n]


def kappa(first: str, one: Ledger, second: str, other: Ledger, keys: Sequence[Key]) -> Kappa:
    table: Counter[tuple[Verdict, Verdict]] = Counter()
    for item, hash in keys:
        a, b = one.blind(item, hash), other.blind(item, hash)
        if a is not None and b is not None and a.verdict and b.verdict and Verdict.SKIP not in (a.verdict, b.verdict):
            table[a.verdict, b.verdict] += 1
    n = table.total()
    if not n:
        return Kappa(first, second, 0, 0.0, 0.0, None, {})
    observed = sum(count for (mine, theirs), count in table.items() if mine is theirs) / n
    rows: Counter[Verdict] = Counter()
    columns: Counter[Verdict] = Counter()
    for (mine, theirs), count in table.items():
        rows[mine] += count
        columns[theirs] += count
    chance = sum(rows[v] * columns[v] for v in rows)  # over n squared; whole numbers, so that 1 is exactly 1
    expected = chance / n**2
    value = None if chance == n**2 else (observed - expected) / (1 - expected)
    return Kappa(first, second, n, observed, expected, value, dict(table))


def differing(ledgers: Ledgers, keys: Sequence[Key], same: SameAnswer) -> list[Key]:
    """Items that at least two people decided, and not all alike; adjudicated ones too."""
    return [key for key in keys if not _alike(standing(ledgers, key), same)]


def standing(ledgers: Ledgers, key: Key) -> dict[str, Event]:
    """Each reviewer's decision on an item; skips are none."""
    found = {name: ledger.decision(*key) for name, ledger in sorted(ledgers.items())}
    return {name: event for name, event in found.items() if event is not None and event.verdict is not Verdict.SKIP}


def may_open(reviewer: str, ledgers: Ledgers, key: Key) -> bool:
    """Whether this person may see the others' verdicts: after their own, or when they review nothing themselves."""
    own = ledgers.get(reviewer)
    return own is None or own.decision(*key) is not None or not own.decisions


def settle(ledgers: Ledgers, key: Key, same: SameAnswer) -> Settled | None:
    """The verdict that counts for an item, or None when nobody decided it.

    Adjudications count before decisions, and where those of two people differ nothing is settled.
    """
    judged = {name: event for name, ledger in sorted(ledgers.items()) if (event := ledger.adjudication(*key))}
    if judged:
        first = next(iter(judged.values()))
        return Settled(key[0], first if _alike(judged, same) else None, tuple(judged), adjudicated=True)
    decided = standing(ledgers, key)
    if not decided:
        return None
    first = next(iter(decided.values()))
    return Settled(key[0], first if _alike(decided, same) else None, tuple(decided))


def _alike(events: Mapping[str, Event], same: SameAnswer) -> bool:
    first, *others = events.values() if events else [None]
    if first is None:
        return True
    return all(
        event is not None and event.verdict is first.verdict and _same_or_none(first.answer, event.answer, same)
        for event in others
    )


def _same_or_none(a: str | None, b: str | None, same: SameAnswer) -> bool:
    if a is None or b is None:
        return a is b
    return a == b or same(a, b)
