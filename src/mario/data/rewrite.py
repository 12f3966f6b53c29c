"""A training set without some of its rows, for whoever decides which: decontamination, or people who reviewed it.

Every row that leaves `kept/` stands in `drops.jsonl`, below what the source had dropped before, and `set.json` gets one
more filter. Rows are copied as they lie; nothing is read twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from mario.data.trainingset import NAME, Filter, read_set, write_set
from mario.store import ShardWriter, read_jsonl, verify_shards
from mario.store.jsonl import dump_line, whole_file

DROPS = "drops.jsonl"
FOLDERS = ("kept", "incorrect")
Why = tuple[str, str]  # reason, detail
Leaves = Callable[[str, Mapping[str, Any]], Why | None]  # the folder and a row of it -> why it leaves, or None


def write_rest(
    source: Path, part: Path, leaves: Leaves, *, step: str, key: str, compared: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Write the rows of `source` that stay into `part`, with drops and, where the source has one, `set.json`.

    `step` names the filter, `key` what was asked for; `compared` are benchmarks that the rows were held against.
    """
    counts: dict[str, _Counts] = {}
    with whole_file(part / DROPS) as drops:
        if (source / DROPS).exists():
            for _, line in read_jsonl(source / DROPS):
                drops.write(dump_line(line))
        for name in row_folders(source):
            counts[name] = _copy_rows(source / name, part / name, leaves, drops if name == "kept" else None)
    if not (source / NAME).exists():
        return
    before = read_set(source)
    kept = counts.get("kept", _Counts())
    write_set(
        part,
        replace(
            before,
            key=key,
            problems=len(kept.problems),
            kept=kept.rows,
            incorrect=counts.get("incorrect", _Counts()).rows,
            filters=(
                *before.filters,
                Filter(step, "attempts", before.kept, kept.rows, dict(kept.dropped.most_common())),
            ),
            hash=verify_shards(part / "kept") if kept.rows else "",
            support=dict(sorted(kept.support.items())),
            compared=(*before.compared, *compared),
        ),
    )


def row_folders(source: Path) -> list[str]:
    return [name for name in FOLDERS if any((source / name).glob("[0-9]*.jsonl"))]


@dataclass(slots=True)
class _Counts:
    rows: int = 0
    problems: set[str] = field(default_factory=set)
    support: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


def _copy_rows(source: Path, target: Path, leaves: Leaves, drops: IO[bytes] | None) -> _Counts:
    counts = _Counts()
    writer = ShardWriter(target)
    for row in _scan(source):
        why = leaves(source.name, row)
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


def _scan(folder: Path) -> Iterator[dict[str, Any]]:
    for shard in sorted(folder.glob("[0-9]*.jsonl")):
        for _, row in read_jsonl(shard):
            yield row
