"""Patch files correct references without touching the data, and refuse problems they were not made for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mario.data.patches import Patch, PatchAction, apply_patches, problem_hash, read_patches
from mario.errors import DataError
from mario.types import Problem

PROBLEM = Problem("set/1", "What is 2 + 2?", "5", "set", "train", tags={"kept": True})
LINE: dict[str, Any] = {
    "problem_id": "set/1",
    "problem_hash": problem_hash(PROBLEM),
    "old_answer": "5",
    "action": "replace",
    "new_answer": "4",
    "reason": "arithmetic",
    "evidence": ["claim-3"],
    "reviewers": ["a", "b"],
    "date": "2026-02-03",
}


def write(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def patched(action: str, **more: Any) -> list[Problem]:
    patch = Patch("set/1", problem_hash(PROBLEM), "5", PatchAction(action), "r", "2026-02-03", **more)
    return list(apply_patches([PROBLEM, replace(PROBLEM, id="set/2")], {"set/1": patch}))


def test_replace_sets_the_answer_and_says_so() -> None:
    first, second = patched("replace", new_answer="4")
    assert first.answer == "4"
    assert first.tags == {"kept": True, "patch": {"action": "replace", "reason": "r", "old_answer": "5"}}
    assert second.answer == "5" and "patch" not in second.tags


def test_remove_drops_and_ambiguous_marks() -> None:
    assert [problem.id for problem in patched("remove")] == ["set/2"]
    first, _ = patched("ambiguous")
    assert first.answer == "5" and first.tags["ambiguous"] is True


def test_the_original_problem_is_left_alone() -> None:
    patched("ambiguous")
    assert PROBLEM.tags == {"kept": True}


@pytest.mark.parametrize("changed", [replace(PROBLEM, question="What is 2 + 3?"), replace(PROBLEM, answer="6")])
def test_a_patch_for_another_version_is_an_error(changed: Problem) -> None:
    patch = Patch("set/1", problem_hash(PROBLEM), "5", PatchAction.REMOVE, "r", "2026-02-03")
    with pytest.raises(DataError, match=r"set/1 was made for another version .* got sha256:.* write a new patch"):
        list(apply_patches([changed], {"set/1": patch}))


def test_tags_and_solution_do_not_break_a_patch() -> None:
    assert problem_hash(replace(PROBLEM, tags={}, solution="s", split="other")) == problem_hash(PROBLEM)


def test_a_patch_file_is_read_with_all_its_fields(tmp_path: Path) -> None:
    patches = read_patches(
        write(tmp_path / "a.jsonl", LINE), write(tmp_path / "b.jsonl", LINE | {"problem_id": "set/9"})
    )
    assert patches["set/1"] == Patch(
        "set/1",
        problem_hash(PROBLEM),
        "5",
        PatchAction.REPLACE,
        "arithmetic",
        "2026-02-03",
        "4",
        ("claim-3",),
        ("a", "b"),
    )
    assert set(patches) == {"set/1", "set/9"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"action": "delete"}, "'delete' is none of"),
        ({"new_answer": None}, "'new_answer' belongs to action 'replace'"),
        ({"action": "remove"}, "'new_answer' belongs to action 'replace'"),
        ({"date": "yesterday"}, "isoformat"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"reviewers": "me"}, "Patch.reviewers: expected a list"),
    ],
)
def test_a_line_that_is_no_patch_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "p.jsonl", LINE | {"problem_id": "set/0"}, LINE | change)
    with pytest.raises(DataError, match=message) as caught:
        read_patches(path)
    assert f"{path}, line 2" in str(caught.value)


def test_two_patches_for_one_problem_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: a second patch for problem set/1"):
        read_patches(write(tmp_path / "p.jsonl", LINE, LINE))
