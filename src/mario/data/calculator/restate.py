"""A question and its written solution with other numbers: every number is replaced by what it is now, in its style.

The one idea: one table from old numbers to new ones serves the whole solution, so a number that could mean two things
is refused rather than guessed. What this module does not do: choose or judge numbers (`plausible.py`, `vary.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction

from mario.data.calculator.arithmetic import decimal_text
from mario.data.calculator.mentions import SMALL_WORDS, Mention
from mario.data.calculator.notation import to_number
from mario.data.calculator.origins import Line

_NUMBER = re.compile(r"(?<![\d.])(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)")
_WORD = re.compile(rf"(?<!-)\b(?:{'|'.join(SMALL_WORDS[2:])})\b(?!-)", re.IGNORECASE)
_ARTICLE = re.compile(r"\b(an?)(\s+[$£€]?)$", re.IGNORECASE)
_SPOKEN_WITH_VOWEL = re.compile(r"8|1[18](?!\d)|eight|eleven", re.IGNORECASE)


class UnknownNumber(Exception):
    """A number of the solution that nobody accounts for, or that means two things."""


def written(mention: Mention, value: Fraction) -> str:
    """The new number in the style of the old one: a word, with thousands parted, with two decimals."""
    if mention.kind == "word":
        word = SMALL_WORDS[int(value)]
        return word.capitalize() if mention.text[0].isupper() else word
    decimals = len(mention.text.partition(".")[2])
    comma = "," if "," in mention.text or (value >= 10_000 and mention.value < 10_000) else ""
    return f"{value.numerator * 10**decimals // value.denominator / 10**decimals:{comma}.{decimals}f}"


def restate_question(question: str, values: Mapping[Mention, Fraction]) -> str:
    """The question with the new numbers, and `a` or `an` before them as they are spoken."""
    text, at = "", 0
    for mention in sorted(values, key=lambda mention: mention.start):
        text += question[at : mention.start]
        number = written(mention, values[mention])
        if article := _ARTICLE.search(text):
            spoken = article[1][0] + ("n" if _SPOKEN_WITH_VOWEL.match(number) else "")
            text = text[: article.start()] + spoken + article[2]
        text += number
        at = mention.end
    return text + question[at:]


def aliases(mention: Mention, value: Fraction) -> dict[Fraction, Fraction]:
    """Each value the mention was known by, and what it is now: 20 and 0.2 of `20%`."""
    return {old: value * old / mention.value for old in mention.values}


def table(
    lines: Iterable[tuple[Line, Line]], values: Mapping[Mention, Fraction], constants: frozenset[Fraction]
) -> dict[Fraction, Fraction]:
    """Every old number of the solution and what it is now; `lines` are those of the old and of the new program.

    Raises:
        UnknownNumber: one old number would have to become two.
    """
    mapping: dict[Fraction, Fraction] = {}

    def add(old: Fraction, new: Fraction) -> None:
        if mapping.setdefault(old, new) != new or (old in constants and old != new):
            raise UnknownNumber

    for mention, value in values.items():
        for old, new in aliases(mention, value).items():
            add(old, new)
    pairs = list(lines)
    for before, after in pairs:
        add(before.step.value, after.step.value)
    for before, after in pairs:
        if before.step.percent or "%" in before.step.text:
            for factor in (Fraction(1, 100), Fraction(100)):
                mapping.setdefault(before.step.value * factor, after.step.value * factor)
    return mapping


def restate_solution(solution: str, mapping: Mapping[Fraction, Fraction], constants: frozenset[Fraction]) -> str:
    """The solution with every number replaced by what it is now.

    Raises:
        UnknownNumber: a number is none of those known.
    """

    def renew(match: re.Match[str]) -> str:
        old = to_number(match.group())
        if old not in mapping and old not in constants:
            raise UnknownNumber
        new = mapping.get(old, old)
        return match.group() if new == old else _styled(new, match.group())

    def renew_word(match: re.Match[str]) -> str:
        old = Fraction(SMALL_WORDS.index(match.group().lower()))
        new = mapping.get(old, old)
        if new == old:
            return match.group()
        is_small = new.denominator == 1 and 0 <= new < len(SMALL_WORDS)
        text = SMALL_WORDS[int(new)] if is_small else _styled(new, "0")
        return text.capitalize() if match.group()[0].isupper() else text

    return _WORD.sub(renew_word, _NUMBER.sub(renew, solution))


def _styled(value: Fraction, old: str) -> str:
    """The value as the old number was written: with thousands parted, in cents, without a zero before the point."""
    text = decimal_text(value)
    if text is None:
        raise UnknownNumber
    whole, _, part = text.partition(".")
    old_whole, _, old_part = old.partition(".")
    part = part.ljust(len(old_part), "0")
    if "," in old_whole:
        whole = f"{int(whole):,}"
    if not old_whole and whole == "0":
        whole = ""
    return f"{whole}.{part}" if part else whole
