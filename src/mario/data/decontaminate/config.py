"""What decontamination is asked for, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mario.data.decontaminate.benchmark import Thresholds
from mario.data.trainingset import Filter
from mario.errors import UsageError


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
    """What was found. `benchmarks` are name, questions, hash, matching training problems by rule, and what was done.

    `left` is the hash of the problems that were left, so that who reads them knows that this is about them.
    """

    problems: int
    kept: int
    dropped: Mapping[str, int]
    benchmarks: tuple[Mapping[str, Any], ...]
    duplicates: Mapping[str, int]
    thresholds: Mapping[str, Any]
    key: str = ""
    left: str = ""


@dataclass(frozen=True, slots=True)
class Passed:
    """What problems went through before they were attempted: filters, and the benchmarks they were held against."""

    filters: tuple[Filter, ...] = ()
    benchmarks: tuple[Mapping[str, Any], ...] = ()
