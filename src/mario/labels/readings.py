"""What a solution says differently from its question: another half of the day, a percentage the wrong way round.

One idea: some misreadings leave a mark in the words, whatever the numbers do. Each rule wants the mark and the absence
of any excuse for it, so it fires rarely: on 8,792 problems of GSM8K twice each, see docs/labels.md.

What this module does not do: arithmetic (`rules`).
"""

from __future__ import annotations

import re

_TIME = re.compile(r"\b(1[0-2]|[1-9])(?::[0-5]\d)?\s*([ap])\.?\s?m\b", re.IGNORECASE)
_SHARE = r"(\d{1,4}(?:\.\d{1,4})?)\s*(?:%|percent)\s+"
_MORE = re.compile(
    _SHARE + r"(?:higher|more|greater|older|taller|larger|bigger|longer|heavier|faster)\b", re.IGNORECASE
)
_LESS = re.compile(
    _SHARE
    + r"(?:less|lower|fewer|smaller|younger|shorter|lighter|slower|off|reduc\w+|decreas\w+|discount|los[est]\w*)\b",
    re.IGNORECASE,
)


def other_half_of_the_day(question: str, solution: str) -> str | None:
    """An hour of the question that the solution has with the other of am and pm, and only so."""
    asked, used = ({(hour, half.lower()) for hour, half in _TIME.findall(text)} for text in (question, solution))
    for hour, half in sorted(used - asked):
        right = (hour, "a" if half == "p" else "p")
        if right in asked and right not in used:
            return f"the question says {hour} {right[1]}m, and the solution {hour} {half}m"
    return None


def inverted_percentage(question: str, solution: str) -> str | None:
    """A percentage that the question puts on the one and the solution takes off the other.

    If A is 30 % more than B, B is not 30 % less than A: that is the most common wrong solution of such a problem.
    """
    more, less = (set(pattern.findall(question)) for pattern in (_MORE, _LESS))
    for share in sorted(more & set(_LESS.findall(solution)) - less):
        return f"{share} % more is not undone by {share} % less, as the solution has it"
    for share in sorted(less & set(_MORE.findall(solution)) - more):
        return f"{share} % less is not undone by {share} % more, as the solution has it"
    return None
