"""Decontamination of a directory: `problems.jsonl` alone, or a whole training set with its rows.

    matches.jsonl          every training problem and the benchmark question it is like, with both texts
    decontamination.json   counts by benchmark and rule, and the settings
    decontamination.html   the same to look at, texts side by side
    problems.jsonl, kept/, incorrect/, drops.jsonl, set.json   what is left, as the source had it

The one idea: an overlap is an error until somebody decides. A benchmark named in `remove` has its look-alikes taken out
of the training problems, one named in `allow` keeps them in the report only; for any other the report is written,
nothing else is, and the error says what to type.

What this module does not do: change a benchmark, or judge which of two duplicates is better (the first stays).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mario.data.decontaminate.benchmark import Benchmark, Thresholds
from mario.data.decontaminate.page import write_page
from mario.data.decontaminate.words import Reading, read
from mario.data.jsonl import read_lines
from mario.data.readers import read_problems, write_problems
from mario.data.trainingset import NAME, Filter, read_set, rebuilt, write_set
from mario.errors import DataError, UsageError
from mario.provenance import content_hash, file_hash, from_json
from mario.store import ShardWriter, read_jsonl, verify_shards, write_json
from mario.store.jsonl import dump_line, whole_file
from mario.types import Problem

PROBLEMS, MATCHES, REPORT, PAGE = "problems.jsonl", "matches.jsonl", "decontamination.json", "decontamination.html"
_OUTPUTS = (PROBLEMS, "kept", "incorrect", "drops.jsonl", MATCHES, PAGE, NAME, REPORT)
_QUESTION_FIELDS = ("question", "problem", "prompt")
_SHOWN = 400  # pairs on the page; all are in matches.jsonl


@dataclass(frozen=True, slots=True)
class DecontaminateConfig:
    """Training problems against benchmarks.

    problems: training problems (a file, or the directory of mario data), or a training set (of mario annotate)
    against: benchmarks, each a file or directory, or NAME=PATH
    remove: names of benchmarks whose look-alikes leave the training problems; all for every one
    allow: names of benchmarks whose look-alikes are only reported
    duplicates: drop a training problem that says the same as an earlier one, or only report it
    """

    problems: Path
    against: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    duplicates: Literal["drop", "report"] = "drop"
    alike: Thresholds = field(default_factory=Thresholds)

    def __post_init__(self) -> None:
        if not self.against:
            raise UsageError("against names no benchmark; give at least one file or directory of test problems")


@dataclass(frozen=True, slots=True)
class Decontamination:
    """What was found. `benchmarks` are name, questions, hash, matching training problems by rule, and what was done."""

    problems: int
    kept: int
    dropped: Mapping[str, int]
    benchmarks: tuple[Mapping[str, Any], ...]
    duplicates: Mapping[str, int]
    thresholds: Mapping[str, Any]
    key: str = ""


def decontaminate(config: DecontaminateConfig, out: Path) -> Decontamination:
    """Compare, report, and write what is left; done again only when inputs or settings have changed.

    Raises:
        DataError: a benchmark overlaps and is named neither in `remove` nor in `allow`.
        UsageError: one of these names no benchmark. StoreError: the training set is not whole.
    """
    folder = config.problems if config.problems.is_dir() else None
    path = config.problems / PROBLEMS if folder else config.problems
    if folder is not None and folder.resolve() == out.resolve():
        raise UsageError(f"{out} is the training set itself; name another --out")
    places = [_named(text) for text in config.against]
    rows = [name for name in ("kept", "incorrect") if folder and any((folder / name).glob("[0-9]*.jsonl"))]
    is_set = folder is not None and (folder / NAME).exists()
    key = content_hash(
        {
            "settings": {name: value for name, value in _fields(config).items() if name not in ("problems", "against")},
            "problems": file_hash(path) if path.is_file() else "",
            "against": [(name, _file_hash(place)) for name, place in places],
            "rows": [verify_shards(folder / name) for name in rows] if folder else [],
            "set": file_hash(folder / NAME) if folder and is_set else "",
        }
    )
    if (made := _stored(out, key)) is not None:
        return made
    benchmarks = [_benchmark(name, place, config.alike) for name, place in places]
    names = [benchmark.name for benchmark in benchmarks]
    if len(set(names)) < len(names):
        raise UsageError(f"two benchmarks have the name {max(names, key=names.count)!r}; write NAME=PATH for each")
    for setting in ("remove", "allow"):
        unknown = [name for name in getattr(config, setting) if name not in (*names, "all")]
        if unknown:
            raise UsageError(
                f"{setting} names {unknown[0]!r}, which is no benchmark here; there are: {', '.join(names)}"
            )
    with rebuilt(out, _OUTPUTS) as part:
        found = _Finder(benchmarks, config)
        with whole_file(part / MATCHES) as matches:
            for problem in read_problems(path):
                for line in found.look(problem):
                    matches.write(dump_line(line))
        found.follow_kin()
        made = found.result(key)
        write_page(part / PAGE, made, found.shown)
        undecided = [b for b in made.benchmarks if b["action"] == "undecided"]
        if not undecided:
            _write_rest(folder, path, part, rows, found, made, is_set)
            write_json(part / REPORT, made)
    if undecided:
        raise DataError(_what_overlaps(undecided, out))
    return made


class _Finder:
    """Looks at training problems one by one; remembers counts, hashes and which leave, not the problems."""

    def __init__(self, benchmarks: list[Benchmark], config: DecontaminateConfig) -> None:
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
            thresholds=_fields(self._config.alike),
            key=key,
        )


def _write_rest(
    folder: Path | None, path: Path, part: Path, rows: list[str], found: _Finder, made: Decontamination, is_set: bool
) -> None:
    write_problems(part / PROBLEMS, (p for p in read_problems(path) if p.id not in found.leaving))
    if folder is None:
        return
    kept: dict[str, int] = {}
    dropped: Counter[str] = Counter()
    levels: Counter[str] = Counter()
    solved: set[str] = set()
    with whole_file(part / "drops.jsonl") as drops:
        if (folder / "drops.jsonl").exists():
            for _, line in read_jsonl(folder / "drops.jsonl"):
                drops.write(dump_line(line))
        for name in rows:
            writer = ShardWriter(part / name)
            kept[name] = 0
            for row in _scan(folder / name):
                if (why := found.leaving.get(row["problem_id"])) is None:
                    writer.append(row)
                    kept[name] += 1
                    if name == "kept":
                        solved.add(row["problem_id"])
                        levels[str(row.get("tags", {}).get("support", 3))] += 1
                elif name == "kept":
                    dropped[why[0]] += 1
                    named = {"problem_id": row["problem_id"], "sample_index": row["sample_index"]}
                    drops.write(dump_line({**named, "reason": why[0], "detail": why[1]}))
            writer.seal()
    if not is_set:
        return
    before = read_set(folder)
    left = kept.get("kept", 0)
    step = Filter("decontaminate", "attempts", before.kept, left, dict(dropped.most_common()))
    write_set(
        part,
        replace(
            before,
            key=made.key,
            problems=len(solved),
            kept=left,
            incorrect=kept.get("incorrect", 0),
            filters=(*before.filters, step),
            hash=verify_shards(part / "kept") if left else "",
            support=dict(sorted(levels.items())),
            compared=(*before.compared, *made.benchmarks),
        ),
    )


def _scan(folder: Path) -> Iterator[dict[str, Any]]:
    for shard in sorted(folder.glob("[0-9]*.jsonl")):
        for _, row in read_jsonl(shard):
            yield row


def _what_overlaps(undecided: Iterable[Mapping[str, Any]], out: Path) -> str:
    said = "; ".join(
        f"{b['matching_problems']} training problems are like questions of {b['name']} "
        f"({', '.join(f'{rule} {count}' for rule, count in b['by_rule'].items())})"
        for b in undecided
    )
    names = ",".join(b["name"] for b in undecided)
    return (
        f"{said}; see {out / PAGE}. To take them out of the training problems add --remove {names}; "
        f"to keep them and have it said, --allow {names}"
    )


def _named(text: str) -> tuple[str, Path]:
    """A benchmark's name ("" where it is to be found in its problems) and its file."""
    name, equals, place = text.partition("=")
    path = Path(place if equals else text)
    return (name if equals else ""), path / PROBLEMS if path.is_dir() else path


def _benchmark(name: str, path: Path, thresholds: Thresholds) -> Benchmark:
    found = name

    def items() -> Iterator[tuple[str, str]]:
        nonlocal found
        for line in read_lines(path):
            held = next((field for field in _QUESTION_FIELDS if field in line.record), _QUESTION_FIELDS[0])
            if not found and line.record.get("source") and line.record.get("split"):
                found = f"{line.record['source']}-{line.record['split']}"
            yield str(line.record.get("id", line.index)), line.text(held)

    questions = list(items())
    return Benchmark(found or path.name.split(".")[0], questions, thresholds)


def _file_hash(path: Path) -> str:
    if not path.is_file():
        raise DataError(f"{path}: no such file; name a benchmark's file, or the directory that mario data made of it")
    return file_hash(path)


def _stored(out: Path, key: str) -> Decontamination | None:
    """What `out` holds, if it was made from the very same inputs and settings."""
    if not (out / REPORT).exists():
        return None
    try:
        found = from_json(Decontamination, json.loads((out / REPORT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # damaged: made anew
    return found if found.key == key else None


def _fields(config: Any) -> dict[str, Any]:
    return {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
