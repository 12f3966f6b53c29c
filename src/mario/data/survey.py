"""What a stream of problems holds: counts, lengths, duplicates, samples, and references that nobody can grade.

The one idea: one pass, and memory that does not grow with the texts: eight bytes a question to find those that occur
twice (named by a second pass, when there are any), a counter a field, and the samples.

What this module does not do: it reads no file and knows no grader; whoever calls brings both.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import heappush, heappushpop
from itertools import pairwise

from mario.types import Problem

COUNTED = ("source", "split", "level", "subject", "licence")
MEASURED = ("question", "answer", "solution")
_ABSENT = "(none)"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the grader makes of a reference: its type, and why it cannot be read, if it cannot."""

    kind: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """A reference answer that the grader cannot read: its problem would be left unscored."""

    id: str
    answer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lengths:
    """Characters of a field, over the problems that have it."""

    problems: int
    shortest: int
    median: int
    longest: int
    total: int


@dataclass(frozen=True, slots=True)
class Survey:
    """`counts` by field and value, the most frequent first; `duplicates` repeat a question that came before, and
    `same_question` are the ids that share one."""

    problems: int
    counts: dict[str, dict[str, int]]
    lengths: dict[str, Lengths]
    duplicates: int
    same_question: tuple[tuple[str, ...], ...] = ()
    unread: tuple[Unread, ...] = ()
    samples: tuple[Problem, ...] = ()


def survey(
    problems: Callable[[], Iterable[Problem]], read: Callable[[str], Reading], *, samples: int = 3, groups: int = 20
) -> Survey:
    """Look at every problem; `problems` may be asked for a second stream, to name up to `groups` duplicates."""
    seen = _Seen(samples)
    for problem in problems():
        seen.add(problem, read(problem.answer))
    again = [a for a, b in pairwise(sorted(seen.questions)) if a == b]
    twice = sorted(set(again))
    return Survey(
        problems=len(seen.questions),
        counts={name: dict(counter.most_common()) for name, counter in seen.counts.items()},
        lengths={name: _lengths(counter) for name, counter in seen.lengths.items() if counter},
        duplicates=len(again),
        same_question=_named(problems(), twice[:groups]) if twice else (),
        unread=tuple(seen.unread),
        samples=tuple(problem for _, _, problem in sorted(seen.kept, reverse=True)),
    )


@dataclass(slots=True)
class _Seen:
    samples: int
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in (*COUNTED, "answer")})
    lengths: dict[str, Counter[int]] = field(default_factory=lambda: {name: Counter() for name in MEASURED})
    questions: array[int] = field(default_factory=lambda: array("Q"))
    unread: list[Unread] = field(default_factory=list)
    kept: list[tuple[int, str, Problem]] = field(default_factory=list)  # a heap: the ids of smallest hash stay

    def add(self, problem: Problem, reading: Reading) -> None:
        for name in COUNTED:
            self.counts[name][getattr(problem, name) or _ABSENT] += 1
        self.counts["answer"][reading.kind] += 1
        for name in MEASURED:
            if text := getattr(problem, name):
                self.lengths[name][len(text)] += 1
        if reading.reason is not None:
            self.unread.append(Unread(problem.id, problem.answer, reading.reason))
        self.questions.append(_question_key(problem))
        if self.samples:
            item = (-_hash(problem.id), problem.id, problem)
            heappush(self.kept, item) if len(self.kept) < self.samples else heappushpop(self.kept, item)


def _named(problems: Iterable[Problem], keys: list[int]) -> tuple[tuple[str, ...], ...]:
    found: defaultdict[int, list[str]] = defaultdict(list)
    for problem in problems:
        key = _question_key(problem)
        at = bisect_left(keys, key)
        if at < len(keys) and keys[at] == key:
            found[key].append(problem.id)
    return tuple(tuple(ids) for ids in found.values())


def _question_key(problem: Problem) -> int:
    return _hash(" ".join(problem.question.casefold().split()))


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _lengths(counter: Counter[int]) -> Lengths:
    total, below = counter.total(), 0
    for size in sorted(counter):
        below += counter[size]
        if 2 * below >= total:
            return Lengths(total, min(counter), size, max(counter), sum(n * size for size, n in counter.items()))
    raise AssertionError("the median lies among the sizes")
