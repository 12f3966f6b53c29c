"""Which runs a report compares on the same problems, and the problems on which only one of them is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mario.evaluate.metrics import Comparison, by_problem, compare
from mario.report.runs import ReportRun


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs by their place in the report, on one split or (None) on all problems both have."""

    first: int
    second: int
    split: str | None
    comparison: Comparison


def pairs(runs: Sequence[ReportRun]) -> list[Pair]:
    """With against without interpreter for each model; then, mode by mode, each model against the first one."""
    found = []
    for first, second in (*_by_mode(runs), *_by_model(runs)):
        both = set(runs[first].splits) & set(runs[second].splits)
        splits = [split for split in runs[first].splits if split in both]
        for split in (None, *splits) if len(splits) > 1 else (None,):
            comparison = compare(runs[first].of_split(split), runs[second].of_split(split))
            if comparison.n:
                found.append(Pair(first, second, split, comparison))
    return found


def _by_mode(runs: Sequence[ReportRun]) -> Iterator[tuple[int, int]]:
    for i, run in enumerate(runs):
        if run.mode == "code":
            others = (
                j for j, other in enumerate(runs) if other.mode == "text" and other.model_label == run.model_label
            )
            yield from ((i, j) for j in others)


def _by_model(runs: Sequence[ReportRun]) -> Iterator[tuple[int, int]]:
    for i, run in enumerate(runs):
        first = next(j for j, other in enumerate(runs) if other.mode == run.mode)
        if runs[first].model_label != run.model_label:
            yield i, first


def flips(pair: Pair, runs: Sequence[ReportRun]) -> tuple[list[str], list[str]]:
    """Ids of problems that only the first, and that only the second run solves (sample 0, as in the comparison)."""
    left = by_problem(runs[pair.first].of_split(pair.split))
    right = by_problem(runs[pair.second].of_split(pair.split))
    shared = [key for key in left if key in right]
    return (
        [key for key in shared if left[key][0].correct and not right[key][0].correct],
        [key for key in shared if right[key][0].correct and not left[key][0].correct],
    )
