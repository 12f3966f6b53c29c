"""A training set without the rows that its reviewers dropped: a new directory, the reviewed one is not touched."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mario.data.rewrite import DROPS, write_rest
from mario.data.trainingset import NAME, TrainingSet, read_set, rebuilt
from mario.errors import UsageError
from mario.provenance import content_hash

_OUTPUTS = ("problems.jsonl", "kept", "incorrect", DROPS, NAME)


def apply_drops(source: Path, part: str, drops: Sequence[Mapping[str, Any]], out: Path) -> TrainingSet:
    """Write the set of `source` into `out` without the dropped rows of its `part` (kept or incorrect).

    Raises:
        UsageError: `out` is the source itself. StoreError: the source is no finished training set.
    """
    if out.resolve() == source.resolve():
        raise UsageError(f"{out} is the reviewed set itself; name another directory")
    before = read_set(source)
    leaving = {(drop["problem_id"], drop["sample_index"]): (drop["reason"], drop["detail"]) for drop in drops}
    with rebuilt(out, _OUTPUTS) as building:
        shutil.copyfile(source / "problems.jsonl", building / "problems.jsonl")
        write_rest(
            source,
            building,
            lambda name, row: leaving.get((row["problem_id"], row["sample_index"])) if name == part else None,
            step="review",
            key=content_hash({"set": before.key, "part": part, "drops": list(drops)}),
        )
    return read_set(out)
