"""One pass over the training problems: which are like a benchmark's, which repeat each other, which therefore leave.

It remembers counts, hashes and the ids of those that leave, never the problems.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mario.data.decontaminate.benchmark import Benchmark
from mario.data.decontaminate.config import DecontaminateConfig, Decontamination
from mario.data.decontaminate.words import Reading, read
from mario.types import Problem

_SHOWN = 400  # pairs on the page; all are in matches.jsonl


class Finder:
    """Looks at training problems one by one; remembers counts, hashes and which leave, not the problems."""

    def __init__(self, benchmarks: Sequence[Benchmark], config: DecontaminateConfig) -> None:
        self._benchmarks = benchmarks
        self._config = config
        self._rules: dict[str, Counter[str]] = {b.name: Counter() for b in benchmarks}
        self._items: dict[str, set[str]] = {b.name: set() for b in benchmarks}
        self._hit: Counter[str] = Counter()
        self._seen: dict[str, dict[bytes, str]] = {"exact": {}, "masked": {}}
        self._duplicates: Counter[str] = Counter()
        self._problems = 0
        self._parents: dict[str, str] = {}  # of problems made from others
        self.leaving: dict[str, tuple[str, str]] = {}  # problem id -> reason, detail
        self.shown: list[dict[str, Any]] = []

    def action(self, name: str) -> str:
        for setting, action in (("remove", "removed"), ("allow", "allowed")):
            if name in getattr(self._config, setting) or "all" in getattr(self._config, setting):
                return action
        return "undecided" if self._hit[name] else "disjoint"

    def look(self, problem: Problem) -> Iterator[dict[str, Any]]:
        """The lines of the report for this problem; notes whether it leaves."""
        self._problems += 1
        if isinstance(made_from := problem.tags.get("augmentation"), Mapping):
            self._parents[problem.id] = str(made_from.get("parent"))
        reading = read(problem.question)
        for benchmark in self._benchmarks:
            matches = benchmark.matches(reading)
            self._hit[benchmark.name] += bool(matches)
            self._rules[benchmark.name].update({match.method.value for match in matches})
            self._items[benchmark.name] |= {match.item for match in matches}
            for match in matches:
                line = {
                    "problem_id": problem.id,
                    "benchmark": benchmark.name,
                    "item": match.item,
                    "rule": match.method.value,
                    "score": match.score,
                    "shared": match.shared,
                    "question": problem.question,
                    "item_question": benchmark.questions[match.item],
                }
                if len(self.shown) < _SHOWN:
                    self.shown.append(line)
                yield line
            if matches and self.action(benchmark.name) == "removed":
                reason = f"like {benchmark.name}: {matches[0].method.value}"
                self.leaving.setdefault(problem.id, (reason, matches[0].item))
        self._find_duplicate(problem, reading)

    def follow_kin(self) -> None:
        """A problem made from one that leaves for its likeness leaves too: its words may have changed, its idea not."""
        leaks = {name for name, (reason, _) in self.leaving.items() if reason.startswith("like ")}
        for child, parent in self._parents.items():
            if parent in leaks:
                self.leaving.setdefault(child, ("made from a problem like a benchmark's", parent))

    def _find_duplicate(self, problem: Problem, reading: Reading) -> None:
        """Of an earlier training problem. Only `exact` leaves: numeric variations are made on purpose."""
        for rule, words in (("exact", reading.exact), ("masked", reading.masked)):
            digest = hashlib.blake2b(" ".join(words).encode("utf-8", "surrogatepass"), digest_size=12).digest()
            first = self._seen[rule].setdefault(digest, problem.id)
            if first != problem.id:
                self._duplicates[rule] += 1
                if rule == "exact" and self._config.duplicates == "drop":
                    self.leaving.setdefault(problem.id, ("duplicate problem", first))
                return

    def result(self, key: str) -> Decontamination:
        return Decontamination(
            problems=self._problems,
            kept=self._problems - len(self.leaving),
            dropped=dict(Counter(reason for reason, _ in self.leaving.values()).most_common()),
            benchmarks=tuple(
                {
                    "name": b.name,
                    "questions": len(b),
                    "matching_problems": self._hit[b.name],
                    "matching_questions": len(self._items[b.name]),
                    "by_rule": dict(self._rules[b.name].most_common()),
                    "action": self.action(b.name),
                }
                for b in self._benchmarks
            ),
            duplicates=dict(self._duplicates),
            thresholds=dataclasses.asdict(self._config.alike),
            key=key,
        )
