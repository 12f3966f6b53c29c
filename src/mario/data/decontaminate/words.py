"""One question, read in the ways that two questions can be alike.

- `exact`: words, numbers and operators; case, spaces and punctuation do not count;
- `masked`: the same with every number, in figures or in words, replaced by one mark, and without operators: a number
  that was changed may have changed its sign;
- `plain`: letters and figures only, for runs of words (formula symbols would make stock formulas look like copies);
- `numbers` and `content`: which numbers stand in it, and which words that mean something, without endings and names.

What this module does not do: compare.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

MASK = "#"


def _words(text: str) -> list[str]:
    return text.split()


_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        _words(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
            "seventeen eighteen nineteen"
        )
    )
} | {
    word: str(10 * value)
    for value, word in enumerate(_words("twenty thirty forty fifty sixty seventy eighty ninety"), start=2)
}
_NUMBER_WORDS["twice"] = "2"
_TOKEN = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+|[^\W\d_]+|[-+*/^=<>]")
_STOP = frozenset(
    _words(
        "a an and are as at be been but by can did do does each every find for from get gets give given had has have "
        "he her him his how if in into is it its let many more much no not now of on one only or other out she so some "
        "than that the their them then there these they this to total up was we were what when where which who will "
        "with you your altogether also after before all both same time number compute determine value suppose"
    )
)
_ENDINGS = ("ingly", "edly", "ings", "ing", "ies", "ied", "ers", "est", "ed", "es", "er", "ly", "s", "e")


@dataclass(frozen=True, slots=True)
class Reading:
    exact: tuple[str, ...]
    masked: tuple[str, ...]
    plain: tuple[str, ...]
    numbers: tuple[str, ...]
    content: frozenset[str]


def read(question: str) -> Reading:
    text = unicodedata.normalize("NFKC", question)
    found = [(match.group(), match.start()) for match in _TOKEN.finditer(text)]
    exact = [_canonical(token) for token, _ in found]
    # "one" is mostly no number: one of them, one half.
    numbers = sorted(
        token for token, (word, _) in zip(exact, found, strict=True) if token[0].isdigit() and word.lower() != "one"
    )
    return Reading(
        exact=tuple(exact),
        masked=tuple(MASK if token[0].isdigit() else token for token in exact if token[0].isalnum()),
        plain=tuple(token for token in exact if token[0].isalnum()),
        numbers=tuple(numbers),
        content=frozenset(
            _stem(token)
            for token, (original, at) in zip(exact, found, strict=True)
            if len(token) > 2 and token.isalpha() and token not in _STOP and not _is_name(text, original, at)
        ),
    )


def runs(words: Sequence[str], length: int) -> set[tuple[str, ...]]:
    """Every run of so many words; a shorter text is one run."""
    return {tuple(words[at : at + length]) for at in range(max(1, len(words) - length + 1))}


def _canonical(token: str) -> str:
    lower = token.casefold()
    if lower in _NUMBER_WORDS:
        return _NUMBER_WORDS[lower]
    if lower[0].isdigit() or lower[0] == ".":
        whole, _, part = lower.replace(",", "").partition(".")
        return (whole.lstrip("0") or "0") + (f".{part.rstrip('0')}" if part.rstrip("0") else "")
    return lower


def _is_name(text: str, word: str, at: int) -> bool:
    """A capital inside a sentence: a person's name, a place, a weekday. At its beginning the word may be any."""
    before = text[:at].rstrip()
    return word[0].isupper() and bool(before) and before[-1] not in ".?!:\"'“”"


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word
