"""The numbers a question mentions, in digits and in words: a number that stands there needs no other origin.

The one idea is caution: every value that a reader could take from the question counts, so `20%` is 20 and 0.2, and
"a third" is 1/3 and 3. Too many make a literal where a variable would have been right; too few a wrong origin.
"""

from __future__ import annotations

import re
from fractions import Fraction

_UNITS = re.split(
    " ",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen",
)
_TENS = re.split(" ", "twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINALS = re.split(" ", "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
_WORDS = (
    {word: Fraction(n) for n, word in enumerate(_UNITS)}
    | {word: Fraction(10 * n) for n, word in enumerate(_TENS, start=2)}
    | {"once": Fraction(1), "single": Fraction(1), "twice": Fraction(2), "double": Fraction(2), "doubled": Fraction(2)}
    | {"couple": Fraction(2), "pair": Fraction(2), "both": Fraction(2), "thrice": Fraction(3), "triple": Fraction(3)}
    | {"tripled": Fraction(3), "quadruple": Fraction(4), "dozen": Fraction(12), "score": Fraction(20)}
)
_PARTS = (
    {word: Fraction(1, n) for n, word in enumerate(_ORDINALS, start=3)}
    | {f"{word}s": Fraction(1, n) for n, word in enumerate(_ORDINALS, start=3)}
    | {"half": Fraction(1, 2), "halves": Fraction(1, 2), "halved": Fraction(1, 2)}
    | {"quarter": Fraction(1, 4), "quarters": Fraction(1, 4)}
)
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_FRACTION = re.compile(r"(?:(?P<whole>\d{1,9})\s+)?(?P<top>\d{1,9})\s*/\s*(?P<bottom>\d{1,9})")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,40}(?:\.\d{1,40})?|\.\d{1,40}")
_GLYPHS = str.maketrans({"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅛": "1/8"})


def question_values(question: str) -> frozenset[Fraction]:
    """All values a reader may take from the text, each also as hundredths where a percent sign or word is about."""
    text = re.sub(r"(?<=\d)(?=[½⅓⅔¼¾⅛])", " ", question).translate(_GLYPHS)
    values = {Fraction(match.group().replace(",", "")) for match in _NUMBER.finditer(text)}
    values |= _fractions(text) | _spelled(text.lower())
    if re.search(r"%|percent|¢|\bcents?\b", text, re.IGNORECASE):
        values |= {value / 100 for value in values}
    return frozenset(values)


def _fractions(text: str) -> set[Fraction]:
    found = set()
    for match in _FRACTION.finditer(text):
        top, bottom = int(match.group("top")), int(match.group("bottom"))
        if bottom:
            found |= {Fraction(top, bottom), Fraction(top, bottom) + int(match.group("whole") or 0)}
    return found


def _spelled(text: str) -> set[Fraction]:
    """Number words: each alone, and what neighbours make together (twenty-five, two hundred five, three fourths)."""
    found: set[Fraction] = set()
    running: Fraction | None = None
    for word in re.findall(r"[a-z]+|\d[\d,]*(?:\.\d+)?", text):
        value = Fraction(word.replace(",", "")) if word[0].isdigit() and len(word) < 40 else _WORDS.get(word)
        if (scale := _SCALES.get(word.removesuffix("s"))) is not None:
            running = (running or Fraction(1)) * scale
        elif value is not None:
            goes_on = running is not None and value < _room(running)
            running = (running or 0) + value if goes_on else value
            found.add(value)
        elif word in _PARTS:
            found |= {_PARTS[word], 1 / _PARTS[word]} | ({running * _PARTS[word]} if running else set())
            running = None
        elif word != "and":
            running = None
        if running is not None:
            found.add(running)
    return found


def _room(value: Fraction) -> int:
    """Below what a next word may add: twenty takes up to nine, two hundred up to ninety-nine."""
    return next((size for size in (10**6, 1000, 100, 10) if value >= size and value % size == 0), 0)
