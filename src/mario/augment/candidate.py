"""A problem that was made from another, before anybody has checked it; and why one was not made or not kept.

The one idea: lineage stands in the problem itself, under `tags["augmentation"]`: parent, kind, seed, what changed, who
wrote it, and how it was checked. So a training set can be followed back, and a leak of a parent is a leak of its kin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from mario.types import Problem

Kind = Literal["numbers", "rephrase", "self_verification", "fobar"]
TAG = "augmentation"
ALREADY = "its parent was made from another problem"  # errors would add up


@dataclass(frozen=True, slots=True)
class Candidate:
    """An unchecked problem; `code` is its program where one is known (kind `numbers`)."""

    problem: Problem
    kind: Kind
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """A problem that was not made (`problem_id` is its parent's) or not kept (its own)."""

    problem_id: str
    kind: Kind
    reason: str
    detail: str = ""


def child_id(parent: Problem, kind: Kind, copy: int) -> str:
    return f"{parent.id}+{kind}-{copy}"


def child(parent: Problem, kind: Kind, copy: int, seed: int, *, question: str, answer: str, **lineage: Any) -> Problem:
    """The new problem, with the parent's source, split, licence, level and subject; without its solution."""
    return replace(
        parent,
        id=child_id(parent, kind, copy),
        question=question,
        answer=answer,
        solution=None,
        tags={TAG: {"parent": parent.id, "kind": kind, "seed": seed, **lineage}},
    )


def checked(problem: Problem, **how: Any) -> Problem:
    """The problem with a note of how it was checked."""
    return replace(problem, tags={**problem.tags, TAG: {**problem.tags[TAG], "checked": how}})


def is_child(problem: Problem) -> bool:
    return TAG in problem.tags
