"""Variable names from the words around a calculation: `… = 24 clips in May` becomes `clips_in_may`.

The one idea: the words right after a result say what it is; else the words before it, or the phrase that introduced
the letter of an equation. A name never repeats and never hides a keyword or a builtin of Python.

What this module does not do: understand the sentence. A name is a hint for a reader, the numbers do not depend on it.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Container

from mario.data.calculator.read import Step

MAX_WORDS = 3
_RESERVED = {*keyword.kwlist, *keyword.softkwlist, *(name.lower() for name in dir(builtins)), "math", "sympy"}


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_LINKS = _set_of("of in on at for from per to with by")  # inside a name, never at its ends
_SKIPPED = _set_of(
    """a an the this that these those his her its their our your my he she it they we you i there's that's so then thus
    therefore hence now also first next finally since because if and or but is are was were be been being has have had
    will would can could should must need needs do does did get gets which who when while as than not only just still
    there here let find means mean equals equal gives add multiply divide subtract convert out how much many up x"""
)
_VAGUE = _set_of("number amount far each every another about only")  # says nothing about what is counted
# what follows a number and names no thing: "$20 a week", "30 left"
_ADVERBIAL = _set_of("a an each every after before during over off left less")
_BREAKS = _set_of(
    """because since so and but which that who when while if then as than or is are was were will after before where
    meaning"""
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


def describe(step: Step, solution: str) -> list[list[str]]:
    """The words that may say what a step's result is, best guess first; empty when the text says nothing."""
    introduced = _introduced(step.unknown, solution) or [step.unknown] if step.unknown else []
    after, before = _after(step.text[step.end :]), _before(step.text[: step.start])
    guesses = [introduced, after, before, [*before, *after][: MAX_WORDS + 2]]
    return [words for words in guesses if words]


def choose_name(guesses: list[list[str]], taken: Container[str]) -> str:
    """A snake_case name that is none of `taken`; numbered when every guess is taken."""
    for words in guesses:
        if (name := _snake_case(words)) not in taken:
            return name
    base, count = _snake_case(guesses[0] if guesses else []), 2
    while f"{base}_{count}" in taken:
        count += 1
    return f"{base}_{count}" if base in taken else base


def _snake_case(words: list[str]) -> str:
    plain = [re.sub(r"['’]s?$", "", word).lower() for word in words]
    base = "_".join(word for word in plain if word.isascii() and word.isalpha()) or "result"
    return f"{base}_value" if base in _RESERVED else base


def _after(text: str) -> list[str]:
    """`24 clips in May.` -> clips in May: up to the next punctuation, number or joining word."""
    clause = re.split(r"[^\w\s'’/$%-]|\d|\s[-–—]\s", text.lstrip(" $%"), maxsplit=1)[0].replace("/", " per ")
    words = _until_break(_words(clause))
    return [] if words and words[0].lower() in _LINKS | _ADVERBIAL else _trim(words)


def _before(text: str) -> list[str]:
    """`Add them to find the cost of the books:` -> cost of books: the first words of the last clause."""
    clauses = [clause for clause in re.split(r"[^\w\s'’/-]|\d", text) if _content(_words(clause))]
    return _trim(_words(re.split(r"\bfind\b", clauses[-1])[-1])) if clauses else []


def _introduced(letter: str, solution: str) -> list[str]:
    """`Let x be the number of goats` -> number of goats."""
    found = re.search(
        rf"\b[\"“]?{re.escape(letter)}[\"”]?\s+(?:be|represents?|stands? for|equals?|=)\s+([^\d.,;=]+)", solution
    )
    return _trim(_until_break(_words(found.group(1)))) if found else []


def _words(text: str) -> list[str]:
    return [match.group() for match in _WORD.finditer(text)]


def _until_break(words: list[str]) -> list[str]:
    for at, word in enumerate(words):
        if word.lower() in _BREAKS:
            return words[:at]
    return words


def _content(words: list[str]) -> list[str]:
    return [word for word in words if word.lower() not in _SKIPPED and word.lower() not in _LINKS and len(word) > 1]


def _trim(words: list[str]) -> list[str]:
    """The first `MAX_WORDS` words of content, with the links between them."""
    chosen: list[str] = []
    for word in words:
        is_link = word.lower() in _LINKS
        if word.lower() in _SKIPPED | _VAGUE or len(word) == 1 or (is_link and (not chosen or chosen[-1] in _LINKS)):
            continue
        if len(_content(chosen)) == MAX_WORDS:
            break
        chosen.append(word)
    while chosen and chosen[-1].lower() in _LINKS:
        chosen = chosen[:-1]
    return chosen
