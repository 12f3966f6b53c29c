"""Answers that are words: times of day, choice letters, numbers spelled out, prose.

What it does not do: no synonyms. `no solution` is not `none`, and `northeast` is not `east`.
"""

from __future__ import annotations

import re
from fractions import Fraction

from mario.grade.names import FUNCTIONS, NUMBER_WORDS, PART_WORDS
from mario.grade.tree import Clock, Constant, Node, Number, Option, Text

_DRESS = re.compile(r"\\(?:text|mbox|mathrm|textbf|textit|mathbf|textrm|rm|bf)(?![A-Za-z])|[{}$]|\\[ ,;]")
_CLOCK = re.compile(r"(?:at )?(\d{1,2}) ?: ?(\d{2})(?: ?: ?(\d{2}))?(?:\s*([ap])\.?\s*m\.?)?", re.IGNORECASE)
_HOUR = re.compile(r"(\d{1,2})\s*([ap])(?:\.\s*)?m\.?", re.IGNORECASE)
_OPTION = re.compile(
    r"\(([A-Za-z])\)\s*[\"'$]?(?P<after>[A-Za-z]{2,}|[A-Za-z]+ +[A-Za-z]{2,}).*|"  # (C) a plane
    r"\(([A-E])\)\s+(?=[\d$]|\\[dt]?frac|\\sqrt|\\pi).+|"  # (C) 17
    r"([A-Z])\s*[.):]\s+\S.*|\(?([A-Za-z])[.)]",
    re.DOTALL,
)
_CHOICE = re.compile(r"(?:option|choice)\s*\(?([A-Za-z])\)?", re.IGNORECASE)
_PROSE = re.compile(r"[A-Za-z0-9 ,.'\"\-:;!?&/()%\n]+")
_LETTERS = re.compile(r"[A-Za-z]{2,}")
_ALL_REALS = frozenset(
    {"all real numbers", "all reals", "all real values", "the set of all real numbers", "real numbers"}
)


def special(text: str) -> Node | None:
    """A cleaned text that is no formula: a clock time, a choice, a number in words. None otherwise."""
    if not any(c.isalpha() or c == ":" for c in text):
        return None
    bare = undressed(text)
    found = _CLOCK.fullmatch(bare)
    if found and int(found[2]) < 60 and (found[4] or (len(found[1]) == 2 and int(found[1]) < 24)):
        return clock(int(found[1]), int(found[2]) * 60 + int(found[3] or 0), found[4])
    found = _HOUR.fullmatch(bare)
    if found and 1 <= int(found[1]) <= 12:
        return clock(int(found[1]), 0, found[2])
    found = _CHOICE.fullmatch(bare)
    if found:
        return Option(found[1].upper())
    found = _OPTION.fullmatch(bare)
    if found and found["after"] not in FUNCTIONS:
        return Option((found[1] or found[3] or found[4] or found[5]).upper())
    low = bare.lower().replace("-", " ")
    if low in _ALL_REALS:
        return Constant("RR")
    return spelled_number(low.split())


def clock(hours: int, seconds: int, half: str | None) -> Clock | None:
    """A time of day; None when the hour does not go with a.m. or p.m."""
    if half is None:
        return Clock(hours * 3600 + seconds, hours > 12 or hours == 0)
    if not 1 <= hours <= 12:
        return None
    return Clock((hours % 12 + (12 if half.lower() == "p" else 0)) * 3600 + seconds, True)


def undressed(text: str) -> str:
    return re.sub(r"\s+", " ", _DRESS.sub(" ", text)).strip().rstrip(".")


def spelled_number(words: list[str]) -> Number | None:
    """`seven`, `twenty one`, `one half`, `three quarters`."""
    if not 1 <= len(words) <= 3:
        return None
    if words[-1] in PART_WORDS and len(words) == 2 and words[0] in (*NUMBER_WORDS, "a"):
        return Number(Fraction(NUMBER_WORDS.get(words[0], 1), PART_WORDS[words[-1]]))
    if words == ["half"]:
        return Number(Fraction(1, 2))
    if not all(word in NUMBER_WORDS for word in words):
        return None
    values = [NUMBER_WORDS[word] for word in words]
    if len(values) == 1:
        return Number(Fraction(values[0]))
    if len(values) == 2 and values[0] in range(20, 100, 10) and 0 < values[1] < 10:
        return Number(Fraction(sum(values)))
    if len(values) == 2 and values[1] == 100 and 0 < values[0] < 10:
        return Number(Fraction(values[0] * 100))
    return None


def prose(text: str) -> Text | None:
    """The words of a text that is prose and not a damaged formula."""
    bare = undressed(text)
    if not _PROSE.fullmatch(bare) or not _LETTERS.search(bare):
        return None
    letters = sum(c.isalpha() for c in bare)
    if letters < 0.5 * len(bare.replace(" ", "")) or bare.count("(") != bare.count(")"):
        return None
    return Text(tuple(re.findall(r"[a-z0-9]+", bare.lower())))
