"""The numbers of a question, each with its place: which may be changed, and which belong to the story.

The one idea is caution, as in `question.py`: a number may be changed only when it is written plainly (`24`, `$3.50`,
`20%`, `five`), stands once, and is no fact of the world: an hour has 60 minutes and a dog four legs whatever the story.
Everything else is `fixed`, with all values that a reader might take from it.

What this module does not do: look at the solution, or choose new numbers (`vary.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from mario.data.calculator.question import question_values

SMALL_WORDS = re.split(
    " ",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty",
)
_NUMBER_WORD = (
    r"zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
    r"|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
)
_SCALE = r"hundreds?|thousands?|millions?|billions?|k\b"
_PART = (
    r"half|halves|halved|thirds?|quarters?|fourths?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?|elevenths?"
    r"|twelfths?|once|single|twice|double[sd]?|couple|pairs?|both|thrice|tripled?s?|triplets?|twins?|quadrupled?s?"
    r"|dozens?|scores?|first|second|only|alone|another|nickels?|dimes?|penn(?:y|ies)|half-dozen"
)
_DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|(?<!\d)\.\d+"
_MENTION = re.compile(
    rf"""(?P<clock>\d{{1,2}}:\d\d(?::\d\d)?)
    |(?P<fraction>(?:\d+\s+(?:and\s+)?)?\d+\s*/\s*\d+|\d*\s?[½⅓⅔¼¾⅛])
    |(?P<ordinal>\d+(?:st|nd|rd|th)\b)
    |(?P<scaled>(?:{_DIGITS}|(?:{_NUMBER_WORD}))[\s-]+(?:{_SCALE})\b|\b(?:{_SCALE})\b)
    |(?P<digits>{_DIGITS})
    |(?P<words>\b(?:{_NUMBER_WORD})(?:[\s-]+(?:and\s+)?(?:{_NUMBER_WORD}|{_SCALE}|{_PART}))*\b)
    |(?P<part>\b(?:{_PART})\b)""",
    re.VERBOSE | re.IGNORECASE,
)
_COINS = {"nickel": (5, 20), "dime": (10, 10), "penn": (1, 100), "quarter": (25, 4), "twin": (2,), "triplet": (3,)}
# After one of these a number is a name: room 12, page 40.
_LABELS = re.compile(
    r"(?:act|apartment|april|area|august|bus|channel|chapter|class|day|december|episode|february|game|grade|group"
    r"|highway|hour|iphone|january|july|june|lane|level|march|may|model|month|no|november|number|october|page|part"
    r"|phase|quarter|question|room|round|route|season|section|september|size|stage|step|team|test|unit|version"
    r"|volume|week|year|zone"
    r")",
    re.IGNORECASE,
)
_PLACED = re.compile(r"until|since|before|after|at|by|from|around", re.IGNORECASE)  # a bare hour may follow
_CLOCK = re.compile(r"\s*(?:[ap]\.?m\b|o['’]?clock|noon|midnight)", re.IGNORECASE)
# A number before one of these is a fact, or a name: four legs, a $20 bill, 2 parents.
_FACTS = re.compile(
    r"\s*[-\s]?(?:\w+[-\s])?(?:legs?|legged|wheels?|wheelers?|wheeled|sides?|sided|eyes?|ears?|fingers?|toes?|hands?|feet"
    r" tall|tires?|tyres?|corners?|suits?|bills?|coins?|notes?|stamps|parents?|wings?|tentacles?|arms?|strings?"
    r"|innings?|quarters|halves|ways?|times as|digits?|dimensional|d|story|storey|stories|door|speed|star|leaf|by)\b",
    re.IGNORECASE,
)
# Before one of these a number says how the world is: 3,500 calories in a pound, the first 6 days of the week.
_MEASURE = (
    "pounds?|ounces?|gallons?|cups?|pints?|quarts?|grams?|kilo\\w*|kg|lit(?:er|re)s?|miles?|yards?|foot|inch|meter"
)
_DEFINED = re.compile(
    rf"\s*\w+(?:\s\w+)?\s+(?:in|per|to|make|equal|is)\s+(?:(?:a|an|one|1|each|every|the)\s+)?(?:{_MEASURE})\b",
    re.IGNORECASE,
)
# What everybody knows about units; a literal of a program may be one of these when its word is about.
_UNITS: dict[str, tuple[int, ...]] = {
    r"weeks?|weekly": (7, 52, 4, 5),
    r"weekdays?|workdays?|school days?": (5,),
    r"weekends?": (2,),
    r"days?|daily": (7, 24, 30, 31, 365),
    r"hours?|hourly|hrs?": (24, 60, 3600),
    r"minutes?|mins?|seconds?|mph": (60, 3600),
    r"months?|monthly": (12, 30, 4, 31),
    r"years?|yearly|annual\w*": (12, 52, 365, 366, 10),
    r"decades?": (10,),
    r"century|centuries": (100,),
    r"dozens?": (12, 6),
    r"feet|foot|inch(?:es)?": (12, 3, 36),
    r"yards?": (3, 36),
    r"miles?": (5280, 1760),
    r"pounds?|lbs?|ounces?|oz|cups?|pints?|quarts?|gallons?": (16, 8, 4, 2, 128, 32),
    r"tons?": (2000,),
    r"tablespoons?|teaspoons?": (3, 16),
    r"kilo\w*|km|kg|grams?|lit(?:er|re)s?|millilit\w+|ml|met(?:er|re)s?|centimet\w+|cm|mm": (10, 100, 1000),
    r"cents?|dollars?|pennies|penny": (100,),
    r"quarters?|nickels?|dimes?": (25, 5, 10, 4, 20),
    r"squares?|rectang\w+|perimeter": (4, 2),
    r"triang\w+": (3, 2, 180),
    r"degrees?|angles?|circle": (90, 180, 360),
    r"decks?": (52,),
    r"sonnets?": (14,),
}


@dataclass(frozen=True, slots=True)
class Mention:
    """A number in a question: text[start:end], and what it may mean. `fixed` ones are never changed."""

    start: int
    end: int
    text: str
    kind: Literal["digits", "word", "fixed"]
    values: frozenset[Fraction]

    @property
    def number(self) -> Fraction | None:
        """The number as it is written; None where the text is none by itself (`twice`, `3/4`, `5:30`)."""
        if self.text.lower() in SMALL_WORDS:
            return Fraction(SMALL_WORDS.index(self.text.lower()))
        return _plain(self.text) if re.fullmatch(_DIGITS, self.text) else None

    @property
    def value(self) -> Fraction:
        """The number of a mention that is not fixed."""
        assert self.number is not None
        return self.number

    @property
    def is_amount(self) -> bool:
        """Whether a program should have a number for it: not so `first`, `only`, `one`."""
        return self.is_numeral or not re.fullmatch("one|first|second|single|only|alone|another|both", self.text, re.I)

    @property
    def is_numeral(self) -> bool:
        """Whether the text says an amount: any digits, or a number word but `one`."""
        return bool(re.search(rf"\d|\b(?:{_NUMBER_WORD})", self.text, re.IGNORECASE)) and self.text.lower() != "one"


def find_mentions(question: str) -> list[Mention]:
    """All numbers of a question in their order; those that may be changed are `digits` or `word`."""
    found = [_mention(question, match) for match in _MENTION.finditer(question)]
    if re.search(r"\bweek", question, re.IGNORECASE):  # which has seven days, spoken of or not
        found = [_fixed(m) if re.match(r"[\s-](?:\w+\s)?(?:day|night)", question[m.end :]) else m for m in found]
    return [_fixed(mention) if _is_shared(mention, found) else mention for mention in found]


def unit_values(text: str) -> frozenset[Fraction]:
    """What the units of a text bring along: with minutes and hours about, 60 needs no other origin."""
    return frozenset(
        Fraction(value)
        for words, values in _UNITS.items()
        if re.search(rf"\b(?:{words})\b", text, re.IGNORECASE)
        for value in values
    ) | ({Fraction(100)} if "%" in text or "percent" in text.lower() else frozenset())


def _mention(question: str, match: re.Match[str]) -> Mention:
    text = match.group()
    start, end = match.span()
    if match.lastgroup == "digits" and _is_plain_number(question, start, end):
        return Mention(start, end, text, "digits", _meanings(_plain(text), question[end:]))
    if match.lastgroup == "words" and text.lower() in SMALL_WORDS[2:] and _is_plain_word(question, start, end):
        value = Fraction(SMALL_WORDS.index(text.lower()))
        return Mention(start, end, text, "word", _meanings(value, question[end:]))
    values = set(question_values(text)) | {Fraction(part) for part in re.findall(r"\d+", text)}
    for coin, worth in _COINS.items():
        if text.lower().startswith(coin):
            values |= {Fraction(n) for n in worth}
    return Mention(start, end, text, "fixed", frozenset(values | {value / 100 for value in values}))


def _plain(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))


def _meanings(value: Fraction, after: str) -> frozenset[Fraction]:
    hundredths = re.match(r"\s*(?:%|percent|¢|cents?\b)", after, re.IGNORECASE)
    return frozenset({value, value / 100} if hundredths else {value})


def _is_plain_number(question: str, start: int, end: int) -> bool:
    before, after = question[:start], question[end:]
    if re.search(r"[\w#:/.^]$|\d\s?[-–]$|[-−]$", before) or re.match(r"[A-Za-z_:/^=]|\s?[-–]\s?\$?\d|\.\d", after):
        return False
    value = _plain(question[start:end])
    if 1900 <= value <= 2100 and "," not in question[start:end] and not before.endswith("$"):
        return False  # a year
    word = (re.findall(r"([A-Za-z]+)[.\s]*$", before) or [""])[0]
    is_bare_hour = _PLACED.fullmatch(word) and value <= 12 and not re.match(r"\s*(?!to\b)[A-Za-z%]", after)
    if _LABELS.fullmatch(word) or is_bare_hour:
        return False
    return _is_changeable(value, after)


def _is_plain_word(question: str, start: int, end: int) -> bool:
    after = question[end:]
    value = Fraction(SMALL_WORDS.index(question[start:end].lower()))
    return not question[:start].endswith("-") and _is_changeable(value, after)


def _is_changeable(value: Fraction, after: str) -> bool:
    if value == 50 and re.match(r"\s*(?:%|percent)", after, re.IGNORECASE):
        return False  # half is what is taken and what is left: a solution may mean either
    return value > 1 and not any(rule.match(after) for rule in (_CLOCK, _FACTS, _DEFINED))


def _is_shared(mention: Mention, all_mentions: list[Mention]) -> bool:
    return any(other is not mention and other.values & mention.values for other in all_mentions)


def _fixed(mention: Mention) -> Mention:
    return Mention(mention.start, mention.end, mention.text, "fixed", mention.values)
