r"""How likely is an answer, given its question alone? A matrix for "how many apples" is not.

One idea: two small models, fitted on the training halves of GSM8K and MATH (`benchmarks/labels_fit.py`), whose
coefficients lie in `fitted.json`. The first gives the chance of each kind of answer (two digits, fraction, interval, …)
from the words of the question; the second sees, beside that, how a number relates to the question's numbers, and was
fitted to tell published answers from changed ones.

What this module does not do: solve. A wrong number of the right size looks as likely as the right one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from mario.data.calculator.arithmetic import Unreadable, evaluate, without_percent
from mario.data.calculator.mentions import unit_values
from mario.data.calculator.notation import parse, tokenize
from mario.data.calculator.question import question_values

Features = dict[str, float]
_MOST_NUMBERS = 14  # of one question
_LONGEST = 8_000  # characters of a question that are read
_FLOOR = 1e-4  # chance of a kind that was never seen after such words
_MOST_LIFT = 5.0
_BOUND = (
    4.0  # log-odds that a question alone may add: the models are small, and questions of other sets are new to them
)
_WORD = re.compile(r"\\[a-z]+|[a-z]+(?:'[a-z]+)?|[%$°<>=|]")
_LAST = 12  # words at the end, where it is said what is asked for


def number_of(text: str) -> Fraction | None:
    """The value of a plain number such as `1,200`, `$5.50`, `20%` or `\frac{3}{4}`; None for anything else."""
    for pattern, plain in _TEX:
        text = pattern.sub(plain, text)
    if len(text) > _LONGEST_NUMBER or _UNKNOWN.search(text):
        return None
    try:
        return evaluate(without_percent(parse(tokenize(text))))
    except Unreadable:
        return None


_LONGEST_NUMBER = 40
_UNKNOWN = re.compile(r"(?<![A-Za-z])[A-Za-z](?![A-Za-z])")  # 3x and 2+3i are no numbers, 3 km is one
_TEX = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"\\[dt]?frac\s*(?:\{(\d+)\}\s*\{(\d+)\}|(\d)\s*(\d))", r"\1\3/\2\4"),
        (r"\\([$%])", r"\1"),
        (r"\{,\}|,\\!|\\!", ""),
        (r"\^\s*(?:\\circ|\{\\circ\})", ""),
        (r"\s*\\(?:text|mbox)\{[ A-Za-z.]*\}(?:\^\d)?$", ""),
    )
)


_KINDS: Sequence[tuple[str, str]] = (
    ("matrix", r"matrix"),
    ("text", r"\\(?:text|mbox)|^[A-Za-z]{3,}$"),
    ("interval", r"\\cup|\\infty|^\[.*,|,.*\]$"),
    ("tuple", r"^(?:\\left)?\(.*,.*\)$"),
    ("claim", r"\\(?:in|le|leq|ge|geq|ne|neq|lt|gt)\b|[<>=]"),
    ("percent", r"%"),
    ("degrees", r"\\circ"),
    ("base", r"_\{?\d"),
    ("list", r",(?!\d{3}\b)|\\pm"),
)


def answer_kind(answer: str) -> str:
    """A coarse kind, by how it is written: digits and zeros of a number, else what notation it needs."""
    text = answer.strip().replace("\\!", "").replace("$", "")
    if re.fullmatch(r"-?[\d,. ]+", text) and (value := number_of(text)) is not None:
        sign = "negative " if value < 0 else ""
        if value.denominator != 1:
            return sign + "decimal"
        digits = str(abs(int(value)))
        zeros = min(2, len(digits) - len(digits.rstrip("0")), len(digits) - 1)
        return f"{sign}{min(len(digits), 6)} digits" + f", {zeros} zeros" * bool(zeros)
    for kind, pattern in _KINDS:
        if re.search(pattern, text):
            return kind
    plain = re.sub(r"\\[a-zA-Z]+", "", text)
    if re.search(r"(?<![a-zA-Z])i(?![a-zA-Z])", plain):
        return "complex"
    if re.search(r"[a-zA-Z]", plain):
        return "expression"
    for kind, mark in (("pi", r"\\pi"), ("root", r"sqrt"), ("fraction", r"frac|/")):
        if re.search(mark, text):
            return "negative " * (kind == "fraction" and text.startswith("-")) + kind
    return "other"


def question_words(question: str) -> set[str]:
    """Words and pairs of words; those near the end once more, with a mark."""
    text = re.sub(r"\[asy\].*?\[/asy\]", " asyfigure ", question[:_LONGEST], flags=re.DOTALL).lower()
    words: list[str] = _WORD.findall(text)
    last = words[-_LAST:]
    pairs = [f"{a} {b}" for a, b in pairwise(words)]
    return {*words, *pairs, *(f"…{word}" for word in last), *(f"…{pair}" for pair in pairs[-_LAST + 1 :])}


@lru_cache(maxsize=8)
def question_numbers(question: str) -> tuple[frozenset[float], frozenset[float]]:
    """The numbers of a question, with what its units bring along, and all results of one operation on them.

    Floats, rounded: nothing is proved with them.
    """
    text = question[:_LONGEST]
    values = sorted({float(x) for x in question_values(text) | unit_values(text) if abs(x) < 10**12})[:_MOST_NUMBERS]
    known = frozenset(round(value, 6) for value in values)
    terms = {1.0, 2.0, *known}
    once = {round(result, 6) for a in terms for b in terms for result in (a + b, a - b, a * b, a / b if b else a)}
    return known, frozenset(once)


@lru_cache(maxsize=32)
def operations(question: str, value: float) -> int:
    """The fewest operations on the question's numbers that give the value, 0 to 3; 4 where three do not."""
    known, once = question_numbers(question)
    wanted = round(value, 6)
    if wanted in known:
        return 0
    if wanted in once or wanted in (1.0, 2.0):
        return 1
    if any(rest in once for a in known | {1.0, 2.0} for rest in _rests(wanted, a)):
        return 2
    return 3 if any(rest in once for a in once for rest in _rests(wanted, a)) else 4


def _rests(wanted: float, a: float) -> Iterator[float]:
    """What has to be combined with a. Zero is left out: it comes of a - a, and everything times zero is zero."""
    results = [wanted - a, a - wanted, wanted + a]
    if a and wanted:
        results += [wanted / a, wanted * a, a / wanted]
    return (round(result, 6) for result in results if abs(result) > 1e-5)


def number_features(question: str, answer: str) -> Features:
    """How a number relates to the numbers of its question; empty for what is no number."""
    exact = number_of(answer)
    if exact is None or abs(exact) > 10**12:
        return {}
    value = float(exact)
    known, _ = question_numbers(question)
    large = [number for number in known if number >= 1] or [1.0]
    size = math.log10(max(abs(value), 0.01))
    ratio = math.log10(max(abs(value), 0.01) / max(large))
    whole = exact.denominator == 1
    fives = sum(number % 5 == 0 for number in large) / len(large)
    tens = sum(number % 10 == 0 for number in large) / len(large)
    steps = operations(question, value)
    product = math.fsum(math.log10(max(1.0, number)) for number in large[:8])
    by_five, by_ten, by_hundred = (whole and value % n == 0 for n in (5, 10, 100))
    return {
        **{f"{n} operations": float(steps == n) for n in (0, 2, 3, 4)},
        "far operations, size": (steps >= 3) * min(size, 3.0),
        "near operations, size": (steps <= 1) * min(size, 4.0),
        "ratio": ratio,
        "distance": abs(ratio),
        "much larger": max(0.0, ratio - 1),
        "much smaller": max(0.0, -ratio - 1),
        "size": size,
        "over hundreds": max(0.0, size - 2),
        "over thousands": max(0.0, size - 3),
        "not whole": float(not whole),
        "negative": float(value < 0),
        "0 or 1": float(value in (0, 1)),
        "even": float(whole and value % 2 == 0),
        "by five": float(by_five),
        "by five, as the question": by_five * fives,
        "by ten": float(by_ten),
        "by ten, as the question": by_ten * tens,
        "not by ten, unlike the question": (not by_ten) * fives,
        "by hundred": float(by_hundred and abs(value) >= 100),
        "by hundred, as the question": (by_hundred and abs(value) >= 100) * tens,
        "over the sum": float(abs(value) > sum(large)),
        "over the product": float(size > product + 0.2),
        "under the least": float(abs(value) < min(large)),
        "money, size": ("$" in question) * size,
    }


@dataclass(frozen=True, slots=True)
class AnswerModel:
    """Both models. `kinds`: log-odds of each kind before a word is read; `words`: what a word adds to some of them;
    `start` and `weights`: of the second."""

    kinds: Mapping[str, float]
    words: Mapping[str, Mapping[str, float]]
    start: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict)

    def chances(self, question: str) -> dict[str, float]:
        """Of each kind of answer to this question."""
        logits = dict(self.kinds)
        for word in sorted(question_words(question)):
            for kind, weight in self.words.get(word, {}).items():
                logits[kind] += weight
        return _softmax(logits)

    def lift(self, question: str, answer: str) -> float:
        """Log of how much likelier this kind of answer is after this question than before a word is read."""
        kind = answer_kind(answer)
        after, before = self.chances(question).get(kind, 0.0), _softmax(self.kinds).get(kind, 0.0)
        return max(-_MOST_LIFT, min(_MOST_LIFT, math.log((after + _FLOOR) / (before + _FLOOR))))

    def features(self, question: str, answer: str) -> Features:
        """What the second model sees."""
        lift = self.lift(question, answer)
        numbers = number_features(question, answer)
        return {**numbers, "lift": lift, **({} if numbers else {"no number": 1.0, "no number, lift": lift})}

    def implausibility(self, question: str, answer: str) -> float:
        """Log-odds, of even odds, that this is not the answer to this question; from the question alone."""
        seen = self.features(question, answer)
        total = self.start + math.fsum(self.weights.get(name, 0.0) * value for name, value in seen.items())
        return max(-_BOUND, min(_BOUND, total))


def _softmax(logits: Mapping[str, float]) -> dict[str, float]:
    highest = max(logits.values())
    odds = {kind: math.exp(value - highest) for kind, value in logits.items()}
    total = math.fsum(odds.values())
    return {kind: value / total for kind, value in odds.items()}
