"""The rows that an annotated directory has kept, as a source to train on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mario.errors import StoreError
from mario.store import scan_shards, verify_shards
from mario.train.sft import SourceSet
from mario.types import Trajectory


@dataclass(frozen=True, slots=True)
class _Kept:
    """Iterating reads the rows from the start."""

    root: Path

    def __iter__(self) -> Iterator[Trajectory]:
        return scan_shards(self.root / "kept", Trajectory)


def kept_rows(root: Path) -> SourceSet:
    """Source named after the directory.

    Raises:
        StoreError: see `kept_hash`.
    """
    return SourceSet(root.name, _Kept(root), kept_hash(root), root / "kept")


def kept_hash(root: Path) -> str:
    """Content hash of the rows that an annotated directory has kept.

    Raises:
        StoreError: it holds no sealed rows, or they have changed.
    """
    if not root.exists():
        raise StoreError(f"{root} does not exist; make it with: mario annotate PROBLEMS --out {root}")
    if not (root / "kept").is_dir():
        raise StoreError(f"{root} has no kept rows (no folder kept); make them with: mario annotate")
    return verify_shards(root / "kept")
