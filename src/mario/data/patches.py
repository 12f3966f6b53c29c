"""Patch files: corrections of reference answers that readers apply, so that no data file is ever edited.

A patch file is JSON lines, one `Patch` a line. The one idea: a patch is tied by a content hash to the problem it was
made for. When the problem's text or answer has changed since, the patch is an error, not a silent no-op.

    {"problem_id": "gsm8k/train/7", "problem_hash": "sha256:…", "old_answer": "12", "action": "replace",
     "new_answer": "14", "reason": "…", "evidence": ["…"], "reviewers": ["…"], "date": "2026-01-31"}

Ids of published sets differ from copy to copy, so a problem whose id no patch names is looked up by its hash too.

What this module does not do: it decides no correction (people do), and a stream that ends before a patched problem
came does not complain, because one patch file may serve several splits and a reader may be cut short.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

from mario.data.jsonl import Line, read_lines, write_lines
from mario.errors import DataError
from mario.provenance import content_hash, from_json
from mario.types import Problem


class PatchAction(StrEnum):
    REPLACE = "replace"  # the reference answer becomes `new_answer`
    REMOVE = "remove"  # the problem leaves the stream
    AMBIGUOUS = "ambiguous"  # the problem stays, marked in its tags


@dataclass(frozen=True, slots=True)
class Patch:
    """One correction. `problem_hash` is `problem_hash(problem)` before patching; `date` is ISO 8601 (a day)."""

    problem_id: str
    problem_hash: str
    old_answer: str
    action: PatchAction
    reason: str
    date: str
    new_answer: str | None = None
    evidence: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()


Patches = Mapping[str, Patch]  # by problem id, and by problem hash where `by_hash` added that


def problem_hash(problem: Problem) -> str:
    """The hash a patch is tied to: over question and answer only, so a new tag changes nothing."""
    return content_hash({"question": problem.question, "answer": problem.answer})


def patch_for(problem: Problem, patches: Patches) -> Patch | None:
    """The patch that names this problem, or its very text; it may still be for another version of it."""
    return patches.get(problem.id) or (patches.get(problem_hash(problem)) if patches else None)


def by_hash(patches: Patches) -> Patches:
    """The same patches, found by the hash of their problem whatever its id is."""
    return {patch.problem_hash: patch for patch in patches.values()}


def apply_patches(problems: Iterable[Problem], patches: Patches) -> Iterator[Problem]:
    """Yield the problems with their corrections; what was done is in `tags["patch"]`.

    Raises:
        DataError: a patch was made for another version of its problem.
    """
    for problem in problems:
        patch = patch_for(problem, patches)
        patched = problem if patch is None else apply_patch(problem, patch)
        if patched is not None:
            yield patched


def apply_patch(problem: Problem, patch: Patch) -> Problem | None:
    """The corrected problem, or None when the patch removes it."""
    found = problem_hash(problem)
    if found != patch.problem_hash or problem.answer != patch.old_answer:
        raise DataError(
            f"patch for problem {problem.id} was made for another version of it: expected {patch.problem_hash} with"
            f" answer {patch.old_answer!r}, got {found} with answer {problem.answer!r}; review the problem again and"
            " write a new patch, or delete this line of the patch file"
        )
    note = {"action": patch.action.value, "reason": patch.reason, "old_answer": patch.old_answer}
    match patch.action:
        case PatchAction.REMOVE:
            return None
        case PatchAction.AMBIGUOUS:
            return replace(problem, tags={**problem.tags, "ambiguous": True, "patch": note})
        case PatchAction.REPLACE:
            assert patch.new_answer is not None  # `read_patches` refuses a replacement without one
            return replace(problem, answer=patch.new_answer, tags={**problem.tags, "patch": note})


def read_patches(*paths: Path) -> Patches:
    """All patches of these files by problem id.

    Raises:
        DataError: a line is not a patch, or two patches name the same problem.
    """
    patches: dict[str, Patch] = {}
    for path in paths:
        for line in read_lines(path):
            patch = _read(line)
            if patch.problem_id in patches:
                raise DataError(f"{line.where}: a second patch for problem {patch.problem_id}; keep one")
            patches[patch.problem_id] = patch
    return patches


def write_patches(path: Path, patches: Iterable[Patch]) -> int:
    """Write a patch file, in order of ids, and return how many.

    Raises:
        ValueError: one of them is no sound patch, or two name the same problem.
    """
    ordered = sorted(patches, key=lambda patch: patch.problem_id)
    for patch in ordered:
        check_patch(patch)
    twice = [a.problem_id for a, b in pairwise(ordered) if a.problem_id == b.problem_id]
    if twice:
        raise ValueError(f"two patches for problem {twice[0]}; keep one")
    return write_lines(path, ordered)


def check_patch(patch: Patch) -> None:
    """Raises:
    ValueError: the date is none, or the new answer does not go with the action.
    """
    date.fromisoformat(patch.date)
    if (patch.new_answer is not None) != (patch.action is PatchAction.REPLACE):
        raise ValueError(
            f"field 'new_answer' belongs to action 'replace' and only to it, got action"
            f" {patch.action.value!r} with new_answer {patch.new_answer!r}; add it or take it away"
        )


def _read(line: Line) -> Patch:
    try:
        patch = from_json(Patch, line.record)
        check_patch(patch)
    except (TypeError, ValueError) as error:
        raise DataError(f"{line.where}: not a patch: {error}; see the fields in `mario.data.patches.Patch`") from error
    return patch
