"""A benchmark's questions, indexed so that a training question can be asked whether it is among them.

Five ways to be alike, surest first:

- `exact`: the same words, numbers and operators;
- `masked`: the same but for the numbers;
- `ngram`: a shared run of 13 words (GPT-3's rule, arXiv 2005.14165, appendix C), unless the run is a stock phrase: one
  that several of the benchmark's own questions hold;
- `near`: number-masked 5-word runs whose Jaccard index is at least 0.6; candidates come from MinHash (datasketch) and
  each is then computed exactly, so the hash can miss a pair but never make one up;
- `reworded`: the very same numbers, two or more, and most of the words that mean something: another wording.

Memory holds the benchmarks, never the training set.

What this module does not do: find a paraphrase that keeps neither runs of words nor numbers.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mario.data.decontaminate.words import Reading, read, runs
from mario.errors import MissingExtra, UsageError

PERMUTATIONS = 128
_SHINGLE = 5
_LEAST_NUMBERS = 2
_LEAST_CONTENT = 4  # words that mean something; fewer say nothing about another wording


class Method(StrEnum):
    EXACT = "exact"
    MASKED = "masked"
    NGRAM = "ngram"
    NEAR = "near"
    REWORDED = "reworded"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When two questions are alike.

    ngram: words in a row that make a copy
    stock: a run of words in so many questions of one benchmark is a stock phrase and no copy
    near: least Jaccard index of 5-word runs, numbers masked
    reworded: least share of meaning words, the numbers being the same; above 1 never
    """

    ngram: int = 13
    stock: int = 3
    near: float = 0.6
    reworded: float = 0.4

    def __post_init__(self) -> None:
        if self.ngram < 2 or self.stock < 2:
            raise UsageError(f"ngram and stock must be at least 2, got {self.ngram} and {self.stock}")
        if not 0 < self.near <= 1 or not self.reworded > 0:
            raise UsageError(f"near and reworded are shares above 0, got {self.near} and {self.reworded}")


@dataclass(frozen=True, slots=True)
class Match:
    """One question of a benchmark that a training question is like: by which rule, how much, and by what words."""

    item: str
    method: Method
    score: float
    shared: str = ""


class Benchmark:
    """Built once from (id, question) pairs; `matches` is then a pure function."""

    def __init__(self, name: str, items: Iterable[tuple[str, str]], thresholds: Thresholds) -> None:
        self.name = name
        self.questions = dict(items)
        self._thresholds = thresholds
        self._readings = {item: read(question) for item, question in self.questions.items()}
        self._exact: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._masked: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._runs: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._numbers: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._empty, self._lsh = _minhash_index(thresholds.near)
        for item, reading in self._readings.items():
            self._exact[reading.exact].append(item)
            self._masked[reading.masked].append(item)
            if len(reading.plain) >= thresholds.ngram:
                for run in runs(reading.plain, thresholds.ngram):
                    self._runs[run].append(item)
            if len(reading.numbers) >= _LEAST_NUMBERS:
                self._numbers[reading.numbers].append(item)
            self._lsh.insert(item, self._sketch(reading))

    def __len__(self) -> int:
        return len(self.questions)

    def matches(self, reading: Reading) -> list[Match]:
        """Every question of this benchmark that is like the one read, each by its surest rule."""
        found: dict[str, Match] = {}
        for match in self._all(reading):
            found.setdefault(match.item, match)
        return list(found.values())

    def _all(self, reading: Reading) -> Iterator[Match]:
        for item in self._exact.get(reading.exact, ()):
            yield Match(item, Method.EXACT, 1.0)
        for item in self._masked.get(reading.masked, ()):
            yield Match(item, Method.MASKED, 1.0)
        yield from self._shared_runs(reading)
        mine = runs(reading.masked, _SHINGLE)
        for item in sorted(self._lsh.query(self._sketch(reading))):
            score = _jaccard(mine, runs(self._readings[item].masked, _SHINGLE))
            if score >= self._thresholds.near:
                yield Match(item, Method.NEAR, round(score, 3))
        if len(reading.content) >= _LEAST_CONTENT:
            for item in self._numbers.get(reading.numbers, ()):
                theirs = self._readings[item].content
                score = len(reading.content & theirs) / max(len(reading.content), len(theirs))
                if len(theirs) >= _LEAST_CONTENT and score >= self._thresholds.reworded:
                    yield Match(item, Method.REWORDED, round(score, 3))

    def _shared_runs(self, reading: Reading) -> Iterator[Match]:
        length = self._thresholds.ngram
        if len(reading.plain) < length:
            return
        counts: Counter[str] = Counter()
        shown: dict[str, str] = {}
        for at in range(len(reading.plain) - length + 1):
            run = reading.plain[at : at + length]
            holders = self._runs.get(run, ())
            if len(holders) < self._thresholds.stock:
                for item in holders:
                    counts[item] += 1
                    shown.setdefault(item, " ".join(run))
        for item, count in counts.items():
            yield Match(item, Method.NGRAM, float(count), shown[item])

    def _sketch(self, reading: Reading) -> Any:
        sketch = self._empty.copy()
        sketch.update_batch([" ".join(run).encode("utf-8", "surrogatepass") for run in runs(reading.masked, _SHINGLE)])
        return sketch


def _minhash_index(threshold: float) -> tuple[Any, Any]:
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError:
        raise MissingExtra("datasketch (to find near-duplicates)", "data") from None
    # Recall matters more than precision: every candidate is computed exactly.
    lsh = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, weights=(0.1, 0.9))
    return MinHash(num_perm=PERMUTATIONS, hashfunc=_hash32), lsh


def _hash32(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=4).digest(), "little")


def _jaccard(first: set[tuple[str, ...]], second: set[tuple[str, ...]]) -> float:
    return len(first & second) / max(1, len(first | second))
