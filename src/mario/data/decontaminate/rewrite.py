"""What is left of a source: its problems, and of a training set its rows, without those that leave.

Every problem or row that leaves stands in `drops.jsonl`, below what the source had dropped before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from mario.data.decontaminate.config import Decontamination
from mario.data.readers import read_problems, write_problems
from mario.data.trainingset import NAME, Filter, read_set, write_set
from mario.store import ShardWriter, read_jsonl, verify_shards
from mario.store.jsonl import dump_line, whole_file

PROBLEMS, DROPS = "problems.jsonl", "drops.jsonl"
Leaving = Mapping[str, tuple[str, str]]  # problem id -> reason, detail


def write_left(
    folder: Path | None, problems: Path, part: Path, rows: Sequence[str], leaving: Leaving, made: Decontamination
) -> None:
    """Write into `part`. `folder` is the source's, None where it is a file of problems; `rows` its folders of rows."""
    write_problems(part / PROBLEMS, (p for p in read_problems(problems) if p.id not in leaving))
    counts: dict[str, _Counts] = {}
    with whole_file(part / DROPS) as drops:
        if folder is not None and (folder / DROPS).exists():
            for _, line in read_jsonl(folder / DROPS):
                drops.write(dump_line(line))
        if folder is not None and rows:
            for name in rows:
                counts[name] = _copy_rows(folder / name, part / name, leaving, drops if name == "kept" else None)
        else:
            for problem_id, (reason, detail) in leaving.items():
                drops.write(dump_line({"problem_id": problem_id, "reason": reason, "detail": detail}))
    if folder is not None and (folder / NAME).exists():
        _write_set(folder, part, counts, made)


@dataclass(slots=True)
class _Counts:
    rows: int = 0
    problems: set[str] = field(default_factory=set)
    support: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


def _copy_rows(source: Path, target: Path, leaving: Leaving, drops: IO[bytes] | None) -> _Counts:
    counts = _Counts()
    writer = ShardWriter(target)
    for row in _scan(source):
        why = leaving.get(row["problem_id"])
        if why is None:
            writer.append(row)
            counts.rows += 1
            counts.problems.add(row["problem_id"])
            counts.support[str(row.get("tags", {}).get("support", 3))] += 1
            continue
        counts.dropped[why[0]] += 1
        if drops is not None:
            named = {"problem_id": row["problem_id"], "sample_index": row["sample_index"]}
            drops.write(dump_line({**named, "reason": why[0], "detail": why[1]}))
    writer.seal()
    return counts


def _write_set(folder: Path, part: Path, counts: Mapping[str, _Counts], made: Decontamination) -> None:
    before = read_set(folder)
    kept = counts.get("kept", _Counts())
    step = Filter("decontaminate", "attempts", before.kept, kept.rows, dict(kept.dropped.most_common()))
    write_set(
        part,
        replace(
            before,
            key=made.key,
            problems=len(kept.problems),
            kept=kept.rows,
            incorrect=counts.get("incorrect", _Counts()).rows,
            filters=(*before.filters, step),
            hash=verify_shards(part / "kept") if kept.rows else "",
            support=dict(sorted(kept.support.items())),
            compared=(*before.compared, *made.benchmarks),
        ),
    )


def _scan(folder: Path) -> Iterator[dict[str, Any]]:
    for shard in sorted(folder.glob("[0-9]*.jsonl")):
        for _, row in read_jsonl(shard):
            yield row
