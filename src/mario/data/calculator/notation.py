"""Arithmetic as people write it in solutions, read into a tree.

The one idea: units are skipped while reading (`5 smoothies * 3 minutes/smoothie`), so a calculation in the middle of a
sentence reads like one on a calculator. Whoever calls checks the tree against what the sentence claims.

What this module does not do: find where in a sentence a calculation begins (`read.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from mario.data.calculator.arithmetic import Negative, Number, Operation, Tree, Unreadable

MAX_TOKENS = 200  # of one expression; keeps trees shallow
MAX_DIGITS = 40
MAX_UNIT_WORDS = 8  # between an operand and the next operator: "12 pounds of total loss - 3"


@dataclass(frozen=True, slots=True)
class Token:
    kind: Literal["number", "operator", "open", "close", "equals", "percent", "word", "break"]
    text: str
    at: int
    end: int


_SPELLINGS = str.maketrans({"×": "*", "∗": "*", "·": "*", "÷": "/", "–": "-", "—": "-", "−": "-", "\u00a0": " "})
_TOKEN = re.compile(
    r"""(?P<number>\d{1,3}(?:[ ,]\d{3})+(?![\d,])(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)
    |(?P<operator>\*\*|//|[-+*/^]|(?:divided|multiplied)\ by\b)
    |(?P<open>[(\[])|(?P<close>[)\]])|(?P<equals>=)|(?P<percent>%)
    |(?P<word>[^\W\d]+(?:['’-][^\W\d]+)*['’]?)|(?P<currency>[$£€¢])|(?P<break>\S)""",
    re.VERBOSE,
)
_TIMES_X = re.compile(r"(?<=[\d)%\s])[xX](?=\s*[$£€]?\s*(?:[(\d]|\.\d))")
_OPERATOR_SPELLINGS = {
    "plus": "+",
    "minus": "-",
    "times": "*",
    "divided by": "/",
    "multiplied by": "*",
    "^": "**",
    "//": "/",
}


def tokenize(text: str) -> list[Token]:
    """Tokens of one line; currency signs are left out, and a letter x before a number is a times sign."""
    text = _TIMES_X.sub("*", text.translate(_SPELLINGS))
    tokens = []
    for match in _TOKEN.finditer(text):
        kind, word = str(match.lastgroup), match.group()
        if kind == "currency":
            continue
        if word.lower() in _OPERATOR_SPELLINGS:
            kind, word = "operator", _OPERATOR_SPELLINGS[word.lower()]
        tokens.append(Token(kind, word, match.start(), match.end()))  # type: ignore[arg-type]
    return tokens


def parse(
    tokens: list[Token], symbols: Mapping[str, Tree | None] | None = None, *, tight_fractions: bool = False
) -> Tree:
    """The tree of a whole token list, with units skipped.

    `symbols` are words that are not units: letters that stand for a tree, or for nothing yet (then unreadable).
    With `tight_fractions`, `2 / 1/6` divides by a sixth: a slash without spaces binds before all else.

    Raises:
        Unreadable: it is not one arithmetic expression.
    """
    if len(tokens) > MAX_TOKENS:
        raise Unreadable
    parser = _Parser(tokens, symbols or {}, tight_fractions)
    tree = parser.sum()
    if parser.at != len(tokens):
        raise Unreadable
    return tree


class _Parser:
    """Recursive descent: sum > product > power > atom; `2(3)` and `2x` are products."""

    def __init__(self, tokens: list[Token], symbols: Mapping[str, Tree | None], tight_fractions: bool) -> None:
        self.tokens = tokens
        self.symbols = symbols
        self.tight_fractions = tight_fractions
        self.at = 0
        self.depth = 0

    def peek(self, ahead: int = 0) -> Token | None:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else None

    def accept(self, *texts: str) -> str | None:
        token = self.peek()
        if token is not None and token.kind == "operator" and token.text in texts:
            self.at += 1
            return token.text
        return None

    def sum(self) -> Tree:
        tree = self.product()
        while operator := self.accept("+", "-"):
            tree = Operation(operator, tree, self.product())  # type: ignore[arg-type]
        return tree

    def product(self) -> Tree:
        tree = self.power()
        while True:
            if operator := self.accept("*", "/"):
                tree = Operation(operator, tree, self.power())  # type: ignore[arg-type]
            elif (token := self.peek()) is not None and (
                token.kind == "open" or token.text == "of" or token.text in self.symbols
            ):
                self.at += token.text == "of"  # "2/3 of 18", "2(3)" and "2x" multiply
                tree = Operation("*", tree, self.power())
            else:
                return tree

    def power(self) -> Tree:
        tree = self.atom()
        return Operation("**", tree, self.atom()) if self.accept("**") else tree

    def atom(self) -> Tree:
        token = self.peek()
        if token is None or self.depth > 20:
            raise Unreadable
        self.at += 1
        if token.kind == "operator" and token.text == "-":
            return Negative(self.atom())
        if token.kind == "open":
            self.depth += 1
            tree = self.sum()
            self.depth -= 1
            closing = self.peek()
            if closing is None or closing.kind != "close":
                raise Unreadable
            self.at += 1
        elif token.kind == "number":
            tree = self.tight_fraction(token) or self.number(token)
        elif (known := self.symbols.get(token.text)) is not None:
            tree = known
        else:
            raise Unreadable
        self.skip_units()
        return tree

    def tight_fraction(self, top: Token) -> Tree | None:
        slash, bottom = self.peek(), self.peek(1)
        if not self.tight_fractions or slash is None or bottom is None or bottom.kind != "number":
            return None
        if slash.text != "/" or slash.at != top.end or bottom.at != slash.end:
            return None
        self.at += 2
        return Operation("/", Number(to_number(top.text)), Number(to_number(bottom.text)))

    def number(self, token: Token) -> Number:
        value = to_number(token.text)
        if (mixed := self.mixed_part()) is not None:
            return Number(value + mixed)
        following = self.peek()
        if following is not None and following.kind == "percent":
            self.at += 1
            return Number(value, percent=True)
        return Number(value)

    def mixed_part(self) -> Fraction | None:
        """The `1/2` of a mixed number `3 1/2`."""
        following = [self.peek(ahead) for ahead in range(3)]
        if all(following) and "".join(t.kind[0] for t in following if t) == "non":
            top, slash, bottom = (t.text for t in following if t)
            if slash == "/" and top.isdigit() and bottom.isdigit() and 0 < int(top) < int(bottom):
                self.at += 3
                return Fraction(int(top), int(bottom))
        return None

    def skip_units(self) -> None:
        """Skip words, and `minutes/smoothie`, unless they end the expression's own words ("of" multiplies)."""
        for _ in range(MAX_UNIT_WORDS):
            token, after = self.peek(), self.peek(1)
            if token is None:
                return
            is_unit = after is not None and after.kind == "word" and after.text not in self.symbols
            of_number = token.text == "of" and after is not None and after.kind in ("number", "open")
            if token.text == "/" and is_unit:
                self.at += 2
            elif token.kind == "word" and not of_number and token.text not in self.symbols:
                self.at += 1
            else:
                return


def to_number(text: str) -> Fraction:
    """`1,200.50`, `80 000` or `.5` as an exact fraction.

    Raises:
        Unreadable: too long for a number that somebody wrote.
    """
    if len(text) > MAX_DIGITS:
        raise Unreadable
    return Fraction(re.sub("[ ,]", "", text))
