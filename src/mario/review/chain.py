"""A reference solution's own arithmetic, done again: GSM8K's `<<48/2=24>>`, line by line.

One idea: our grader reads both sides exactly and never evaluates code, so a step holds when it calls them equal.
What this module does not do: judging the last line or the words between (the finder does, in its evidence).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mario.grade import grade
from mario.types import VerdictStatus

_STEP = re.compile(r"<<([^<>=]{1,200})=([^<>=]{1,100})>>")
MOST = 60  # steps of one solution: ten times any honest one


@dataclass(frozen=True, slots=True)
class Redone:
    """One annotated step: what is written, and what it comes to (`value`, where it could be read)."""

    expression: str
    written: str
    holds: Literal["holds", "fails", "unread"]
    value: str | None = None


def redo(solution: str) -> list[Redone]:
    """Every annotated step of a solution, calculated again."""
    return [
        _step(match[1].strip(), match[2].strip())
        for _, match in zip(range(MOST), _STEP.finditer(solution), strict=False)
    ]


def without_marks(solution: str) -> str:
    """The solution as prose: the calculator's annotations are shown apart."""
    return _STEP.sub("", solution)


def _step(expression: str, written: str) -> Redone:
    verdict = grade(expression, written)
    match verdict.status:
        case VerdictStatus.EQUIVALENT:
            return Redone(expression, written, "holds", verdict.reference)
        case VerdictStatus.DIFFERENT:
            return Redone(expression, written, "fails", verdict.reference)
    return Redone(expression, written, "unread")
