"""What a directory of training rows holds and how it came to be.

    problems.jsonl   the problems
    kept/            right solutions, sealed shards: what fine-tuning reads
    incorrect/       wrong solutions, sealed shards: with `kept/`, what a value model reads (may be missing)
    drops.jsonl      what was left out, each with its reason
    set.json         this module's `TrainingSet`; written last: a directory without it is not finished

`annotate` and self-training make such a directory, decontamination reads one and makes a smaller one, export reads any.
The one idea: every filter says how many came, how many went on and why the others did not, and the numbers must add up.

What this module does not do: choose rows.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from mario.errors import DataError, StoreError
from mario.provenance import from_json
from mario.store.jsonl import storing, write_json

NAME = "set.json"


@dataclass(frozen=True, slots=True)
class Filter:
    """One step at which rows (`unit`: problems or attempts) go on or are dropped, by reason."""

    name: str
    unit: str
    taken: int
    kept: int
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lost = self.taken - self.kept - sum(self.dropped.values())
        if lost:
            raise DataError(
                f"filter {self.name!r}: {self.taken} {self.unit} came, {self.kept} went on and "
                f"{sum(self.dropped.values())} were dropped: {lost} unaccounted for; a fault of ours, report it"
            )


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Counts and origin. `key` is the hash of the inputs and settings, `hash` that of the rows in `kept/`.

    `support` counts kept rows by level: 1 an output holds the answer, 2 every snippet ran, 3 the rest. `teachers` are
    model, format, sampling and attempts; `prompt` is the first one rendered; `compared` are the benchmarks it was
    decontaminated against.
    """

    key: str
    problems: int
    kept: int
    incorrect: int
    filters: tuple[Filter, ...]
    hash: str = ""
    support: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    teachers: tuple[Mapping[str, Any], ...] = ()
    prompt: str = ""
    cost: Mapping[str, Any] = field(default_factory=dict)
    compared: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        for before, after in pairwise(self.filters):
            if before.unit == after.unit and before.kept != after.taken:
                raise DataError(
                    f"filter {before.name!r} let {before.kept} {before.unit} go on and {after.name!r} says that "
                    f"{after.taken} came; a fault of ours, report it"
                )
        if self.filters and self.filters[-1].kept != self.kept:
            raise DataError(f"{self.kept} rows are kept and {self.filters[-1].kept} passed the last filter; report it")

    @property
    def drops(self) -> dict[str, int]:
        """All reasons of all filters, commonest first."""
        found: dict[str, int] = {}
        for step in self.filters:
            for reason, count in step.dropped.items():
                found[reason] = found.get(reason, 0) + count
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def write_set(folder: Path, made: TrainingSet) -> None:
    write_json(folder / NAME, made)


def read_set(folder: Path) -> TrainingSet:
    """What `folder` says of itself.

    Raises:
        StoreError: it is missing or damaged.
    """
    path = folder / NAME
    try:
        return from_json(TrainingSet, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise StoreError(
            f"{folder} has no {NAME}: no finished training set; run the command that makes it, mario annotate, again"
        ) from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}; check its permissions") from error
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path} is damaged ({error}); run the command that makes {folder} again") from error


@contextmanager
def rebuilt(out: Path, outputs: Sequence[str]) -> Iterator[Path]:
    """A folder to build in; when the block ends well, each of `outputs` takes the place of the old one in `out`.

    The last of `outputs` says that the others are whole: it goes first and comes last.

    Raises:
        StoreError: another process is at work in `out`, or it cannot be written.
    """
    part = out / ".part"
    with storing(out):
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / ".lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(f"{out} is in use by another process; wait for it or name another --out") from error
        try:
            with storing(part):
                shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
                part.mkdir()
            yield part
            with storing(out):
                (out / outputs[-1]).unlink(missing_ok=True)
                for name in outputs:
                    if (out / name).exists():
                        (out / name).rename(part / f"old-{name}")
                    if (part / name).exists():
                        (part / name).rename(out / name)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def stored_set(folder: Path, key: str) -> TrainingSet | None:
    """The set in `folder` if it was made from the very same inputs and settings."""
    if not (folder / NAME).exists():
        return None
    found = read_set(folder)
    return found if found.key == key else None
