r"""What votes look like beside a reference: who says what, how the two answers differ, how likely each is.

One idea: when a reference was changed by a slip, it differs from the right answer as slips do (a power of ten, one
digit, another row's answer); when the samples are wrong instead, they differ as wrong solutions do (by a number of
the question, by a small factor). Each observation is a number with a name; `benchmarks/labels_fit.py` fits the weights.

What this module does not do: weigh (`score`), or find the answers (`votes`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction

from mario.labels.plausible import AnswerModel, Features, answer_kind, number_of, question_numbers
from mario.labels.votes import Answer, Models
from mario.types import Problem

_NEAR, _FAR = 0.2, 1.2  # of log e and log 10 of the ratio
_TOKEN = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]|\d+|[=,()\[\]^]")
_LETTER = re.compile(r"[a-zA-Z]")
_LONGEST = 6  # characters of an answer that count for how rare it is

VOTES = (
    "no samples",
    "rival",
    "rival, log-odds",
    "second vote",
    "further votes",
    "reference",
    "reference, log-odds",
    "reference, second vote",
    "scattered",
    "length",
    "level",
    "agreed, length",
    "agreed, level",
)
# The other observations, by the piece of evidence that they make up together.
SORTS = {
    "question": ("reference implausible",),
    "rival": ("rival implausible",),
    "difference": (
        "sign",
        "power of ten",
        "factor of two",
        "one digit",
        "only digit",
        "small factor",
        "near",
        "far",
        "one number",
        "one operation",
        "no number",
        "alike",
        "strange letter",
        "other kind",
        "rival decimal",
        "rival much longer",
    ),
    "copy": ("copy", "copy, length", "unique, length"),
}


def observe(
    problem: Problem, answers: Sequence[Answer], copies: int, models: Models, plausible: AnswerModel
) -> Features:
    """Every observation by name, beside the classes of answers, the reference's first; those that are absent are zero.

    `copies` counts the other problems of the search that have the same reference.
    """
    rival = answers[1] if len(answers) > 1 else None
    seen = _votes(problem, answers, models)
    seen["reference implausible"] = plausible.implausibility(problem.question, problem.answer)
    length = float(min(len(problem.answer.strip("-").rstrip("0")), _LONGEST) - 1)
    seen |= {"copy": 1.0, "copy, length": length} if copies else {"unique, length": length}
    if rival is not None:
        share = min(1.0, rival.weight)
        seen["rival implausible"] = plausible.implausibility(problem.question, rival.text) * share
        seen |= {name: value * share for name, value in differences(problem, rival.text).items()}
    return seen


def _votes(problem: Problem, answers: Sequence[Answer], models: Models) -> Features:
    reference, rivals = answers[0], answers[1:]
    length = min(4.0, len(problem.question) / 200)
    level = _level(problem)
    seen: Features = {"no samples": float(not any(answer.weight for answer in answers))}
    agreed = min(1.0, reference.weight)
    seen |= {
        "reference": agreed,
        "reference, log-odds": models.support(reference),
        "reference, second vote": max(0.0, reference.weight - 1),
        "agreed, level": agreed * level,
        "agreed, length": agreed * length,
    }
    if rivals:
        share = min(1.0, rivals[0].weight)
        seen |= {
            "rival": share,
            "rival, log-odds": models.support(rivals[0]),
            "second vote": min(1.0, max(0.0, rivals[0].weight - 1)),
            "further votes": max(0.0, rivals[0].weight - 2),
            "scattered": sum(answer.weight for answer in rivals[1:]),
            "length": share * length,
            "level": share * level,
        }
    return seen


def _level(problem: Problem) -> float:
    """Of MATH, 1 to 5, from the middle; 0 where a problem has none."""
    found = re.search(r"[1-5]", problem.level or "")
    return float(found.group()) - 3 if found else 0.0


def differences(problem: Problem, rival: str) -> Features:
    """How the reference differs from another answer."""
    a, b = number_of(problem.answer), number_of(rival)
    seen: Features = {"other kind": float(_group(problem.answer) != _group(rival))}
    if a is None or b is None:
        return seen | _notations(problem, rival)
    seen["rival decimal"] = float(a.denominator == 1 and b.denominator != 1)
    if slip := slip_of(problem.answer, rival):
        seen[slip] = 1.0
    if a and b:
        ratio = abs(a / b)
        size = abs(math.log(ratio))
        whole = ratio if ratio > 1 else 1 / ratio
        seen["small factor"] = float(whole.denominator == 1 and whole in (3, 4, 5, 6, 7, 8, 9, 11, 12))
        seen["near"] = float(size < _NEAR)
        seen["far"] = float(size > _FAR * math.log(10))
    seen |= _explained(problem.question, a, b)
    return seen


def _explained(question: str, a: Fraction, b: Fraction) -> Features:
    """Whether a number of the question, or one operation on two, leads from one answer to the other."""
    known, once = question_numbers(question)
    steps = {round(float(abs(a - b)), 6), round(float(abs(a + b)), 6)}
    if a and b:
        steps |= {round(float(abs(a / b)), 6), round(float(abs(b / a)), 6)}
    steps -= {0.0, 1.0, 2.0, 10.0}
    by_one = bool(steps & known)
    return {"one number": float(by_one), "one operation": float(not by_one and bool(steps & once))}


def _notations(problem: Problem, rival: str) -> Features:
    mine, other = set(_TOKEN.findall(problem.answer)), set(_TOKEN.findall(rival))
    letters = {token for token in mine if _LETTER.fullmatch(token)}
    elsewhere = set(_LETTER.findall(problem.question)) | other
    return {
        "no number": 1.0,
        "alike": len(mine & other) / max(1, len(mine | other)),
        "strange letter": float(bool(letters - elsewhere)),
        "rival much longer": float(len(rival) > 3 * len(problem.answer) + 20),
    }


def _group(answer: str) -> str:
    """The kind, whatever the digits."""
    kind = answer_kind(answer)
    return "whole" if "digit" in kind else kind


def slip_of(reference: str, other: str) -> str | None:
    """How one number could have become the other by a slip of the pen, if it could."""
    a, b = number_of(reference), number_of(other)
    if a is None or b is None or not a or not b or a == b:
        return None
    if a == -b:
        return "sign"
    ratio = a / b
    if ratio in {Fraction(10) ** n for n in (-3, -2, -1, 1, 2, 3)}:
        return "power of ten"
    if ratio in (2, Fraction(1, 2)):
        return "factor of two"
    x, y = (re.sub(r"[^\d]", "", str(abs(value))) for value in (a, b))
    if len(x) == len(y) and sum(p != q for p, q in zip(x, y, strict=True)) == 1:
        return "one digit" if len(x) > 1 else "only digit"
    return None
