"""A suspect: a problem whose reference answer may be wrong, with everything that speaks for and against it.

One idea: every number that went into a score stands beside it, in words a person can check: the score is the logistic
of the prior and the sum of the `weight`s of the evidence.

    OUT/suspects.jsonl       one `Suspect` a line, best first
    OUT/problems.jsonl       their problems, in the same order
    OUT/trajectories.jsonl   the best programs for each competing answer; `Best.sample_index` names one of its problem
    OUT/summary.json         counts and settings

What this module does not do: weigh anything (`score`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from mario.errors import StoreError
from mario.provenance import from_json
from mario.store import read_jsonl

SUSPECTS, TRAJECTORIES, SUMMARY = "suspects.jsonl", "trajectories.jsonl", "summary.json"


class SuspectKind(StrEnum):
    LABEL = "label"  # the reference answer may be wrong
    FORM = "form"  # the answers may be one value written in two ways: the grader's business
    AMBIGUOUS = "ambiguous"  # solutions split between two readings of the question


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation. `weight` is the log-odds that it adds to "the reference is wrong"; negative ones defend it."""

    id: str
    kind: str
    says: str
    weight: float
    answer: str | None = None  # what it speaks for, where it names a value
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Best:
    """A sample worth looking at: a row of trajectories.jsonl."""

    sample_index: int
    model: str


@dataclass(frozen=True, slots=True)
class Competing:
    """One answer, and who gave it. `weight` counts independent votes: the same program again adds nothing."""

    answer: str
    is_reference: bool
    samples: int
    programs: int
    models: int
    prompts: int
    weight: float
    value: float | None = None  # mean of an outcome value model, where one has scored the samples
    best: tuple[Best, ...] = ()


@dataclass(frozen=True, slots=True)
class Suspect:
    """`score` is the chance that the reference is wrong; `suggestion` the answer that most speaks for."""

    problem_id: str
    problem_hash: str
    rank: int
    score: float
    kind: SuspectKind
    reference: str
    sentence: str
    suggestion: str | None = None
    evidence: tuple[Evidence, ...] = ()
    answers: tuple[Competing, ...] = ()
    samples: int = 0


def read_suspects(out: Path) -> Iterator[Suspect]:
    """What `mario labels find` wrote, best first.

    Raises:
        StoreError: there is no such file, or a line is no suspect.
    """
    path = out / SUSPECTS
    if not path.exists():
        raise StoreError(f"{path} does not exist; make it with: mario labels find PROBLEMS --out {out}")
    for number, row in read_jsonl(path):
        try:
            yield from_json(Suspect, row)
        except TypeError as error:
            raise StoreError(f"{path}, line {number}: {error}; was it made by another version?") from error
