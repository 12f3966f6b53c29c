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

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mario.data.decontaminate.benchmark import Benchmark, Thresholds
from mario.data.decontaminate.config import DecontaminateConfig, Decontamination, Passed
from mario.data.decontaminate.finder import Finder
from mario.data.decontaminate.page import write_page
from mario.data.jsonl import read_lines
from mario.data.readers import read_problems, write_problems
from mario.data.rewrite import DROPS, Why, row_folders, write_rest
from mario.data.trainingset import NAME, Filter, rebuilt
from mario.errors import DataError, UsageError
from mario.provenance import content_hash, file_hash, from_json
from mario.store import read_jsonl, verify_shards, write_json
from mario.store.jsonl import dump_line, whole_file

PROBLEMS = "problems.jsonl"
MATCHES, REPORT, PAGE = "matches.jsonl", "decontamination.json", "decontamination.html"
_OUTPUTS = (PROBLEMS, "kept", "incorrect", DROPS, MATCHES, PAGE, NAME, REPORT)
_QUESTION_FIELDS = ("question", "problem", "prompt")


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
    rows = row_folders(folder) if folder else []
    is_set = folder is not None and (folder / NAME).exists()
    key = content_hash(
        {
            "settings": {
                name: getattr(config, name) for name in config.__slots__ if name not in ("problems", "against")
            },
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
        found = Finder(benchmarks, config)
        with whole_file(part / MATCHES) as matches:
            for problem in read_problems(path):
                for line in found.look(problem):
                    matches.write(dump_line(line))
        found.follow_kin()
        made = found.result(key)
        write_page(part / PAGE, made, found.shown)
        undecided = [b for b in made.benchmarks if b["action"] == "undecided"]
        if not undecided:
            write_problems(part / PROBLEMS, (p for p in read_problems(path) if p.id not in found.leaving))
            if folder is not None and (rows or is_set):
                write_rest(
                    folder,
                    part,
                    lambda _, row: found.leaving.get(row["problem_id"]),
                    step="decontaminate",
                    key=key,
                    compared=made.benchmarks,
                )
            else:
                _write_drops(folder, part, found.leaving)
            made = replace(made, left=file_hash(part / PROBLEMS))
            write_json(part / REPORT, made)
    if undecided:
        raise DataError(_what_overlaps(undecided, out))
    return made


def passed(problems: Path, taken: int) -> Passed:
    """What a file of problems, of which `taken` are used, went through before.

    Nothing where no report lies beside it, or one about other problems.
    """
    found = _report(problems.parent)
    if found is None or found.left != file_hash(problems):
        return Passed()
    filters = [Filter("decontaminate", "problems", found.problems, found.kept, found.dropped)]
    if taken < found.kept:
        filters.append(Filter("limit", "problems", found.kept, taken, {"beyond the limit": found.kept - taken}))
    return Passed(tuple(filters), tuple(found.benchmarks))


def _write_drops(folder: Path | None, part: Path, leaving: Mapping[str, Why]) -> None:
    """Of problems without rows."""
    with whole_file(part / DROPS) as drops:
        if folder is not None and (folder / DROPS).exists():
            for _, line in read_jsonl(folder / DROPS):
                drops.write(dump_line(line))
        for problem_id, (reason, detail) in leaving.items():
            drops.write(dump_line({"problem_id": problem_id, "reason": reason, "detail": detail}))


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
    found = _report(out)
    return found if found is not None and found.key == key else None


def _report(folder: Path) -> Decontamination | None:
    """The report of a folder; None where there is none, or a damaged one."""
    try:
        return from_json(Decontamination, json.loads((folder / REPORT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
