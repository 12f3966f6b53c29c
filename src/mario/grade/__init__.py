"""The grader: is this answer the reference answer?

>>> from mario.grade import is_equivalent
>>> is_equivalent(r"\\frac{1}{2}", "0.5")
True

Names are imported on first use, so that `import mario.grade` costs nothing; SymPy is loaded only in a worker process,
and only for the rare pair that exact and ball arithmetic leave undecided.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mario.grade.classes import group
    from mario.grade.crosscheck import MathVerify, Opinion, cross_check, disagree
    from mario.grade.extraction import Extraction, ExtractionRule, extract, extract_answer
    from mario.grade.judge import answer_type, canonical, grade, is_equivalent
    from mario.grade.kinds import AnswerType
    from mario.grade.lines import Graded, grade_lines
    from mario.grade.options import STRICT, Options
    from mario.grade.pool import GraderPool, grade_all, grade_all_async
    from mario.grade.rows import grade_rows

_HOME = {
    "AnswerType": "kinds",
    "Extraction": "extraction",
    "ExtractionRule": "extraction",
    "Graded": "lines",
    "GraderPool": "pool",
    "MathVerify": "crosscheck",
    "Opinion": "crosscheck",
    "Options": "options",
    "STRICT": "options",
    "answer_type": "judge",
    "canonical": "judge",
    "cross_check": "crosscheck",
    "disagree": "crosscheck",
    "extract": "extraction",
    "extract_answer": "extraction",
    "grade": "judge",
    "grade_all": "pool",
    "grade_all_async": "pool",
    "grade_lines": "lines",
    "grade_rows": "rows",
    "group": "classes",
    "is_equivalent": "judge",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"mario.grade.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOME)


__all__ = [
    "STRICT",
    "AnswerType",
    "Extraction",
    "ExtractionRule",
    "Graded",
    "GraderPool",
    "MathVerify",
    "Opinion",
    "Options",
    "answer_type",
    "canonical",
    "cross_check",
    "disagree",
    "extract",
    "extract_answer",
    "grade",
    "grade_all",
    "grade_all_async",
    "grade_lines",
    "grade_rows",
    "group",
    "is_equivalent",
]
