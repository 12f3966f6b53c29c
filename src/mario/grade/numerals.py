"""Numerals in context: mixed numbers, and digits with a base subscript.

What it does not do: whether `1/2` divides; a fraction of two numerals is the work of `/`.
"""

from __future__ import annotations

from fractions import Fraction

from mario.grade.cursor import Cursor
from mario.grade.numbers import number, spelled
from mario.grade.tokens import END, Token
from mario.grade.tree import (
    Based,
    Node,
    Number,
    Symbol,
    Text,
    Unparsed,
)

_WORD_BASES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_WORD_BASES |= {"twelve": 12, "sixteen": 16}


class Numerals(Cursor):
    """Reads numbers."""

    def numeral(self, token: Token) -> Node:
        text = token.text
        value = number(text)
        after = self.peek()
        if after.text == "_" and "." in text:
            return self.rebased(self.at, text)
        if after.kind == "cmd" and after.text == "ldots" and "." in text and not after.spaced:
            self.at += 1  # 0.3333... shows what it shows
            return value
        if not text.isdigit():
            return value
        if after.kind == "cmd" and after.text in ("frac", "dfrac", "tfrac") and self.of_numerals(1):
            mark = self.at
            saved = list(self.tokens)
            self.at += 1
            top, bottom = self.argument(), self.argument()
            if isinstance(top, Number) and isinstance(bottom, Number) and 0 < top.value < bottom.value:
                return Number(value.value + top.value / bottom.value)
            self.at, self.tokens = mark, saved
        elif after.kind == "num" and after.spaced and after.text.isdigit() and self.peek(1).text == "/":
            bottom_token = self.peek(2)
            if bottom_token.kind == "num" and bottom_token.text.isdigit() and int(bottom_token.text) > int(after.text):
                self.at += 3
                return Number(value.value + Fraction(int(after.text), int(bottom_token.text)))
        elif after.text == "_" or (after.kind in ("name", "word", "text") and not after.spaced):
            based = self.based(text)
            if based is not None:
                return based
        return value

    def of_numerals(self, ahead: int) -> bool:
        """Two numerals are the arguments there. Reading them to see would double the work at every nesting."""
        for _ in range(2):
            if self.peek(ahead).text == "{" and self.peek(ahead + 1).kind == "num" and self.peek(ahead + 2).text == "}":
                ahead += 3
            elif self.peek(ahead).kind == "num":
                ahead += len(self.peek(ahead).text) == 1  # \frac12 has both in one token
            else:
                return False
        return True

    def based(self, text: str) -> Node | None:
        """A numeral with letters and a base subscript, such as `2A_{16}`."""
        end = self.at
        digits = text
        while self.tokens[end : end + 1] and self.tokens[end].kind in ("name", "word", "text", "num"):
            if not self.tokens[end].text.isalnum() or self.tokens[end].spaced:
                return None
            digits += self.tokens[end].text
            end += 1
        if end < len(self.tokens) and self.tokens[end].text == "_":
            mark = self.at
            self.at = end
            try:
                return self.rebased(end, digits)
            except Unparsed:
                self.at = mark
        return None

    def rebased(self, underscore: int, digits: str) -> Node:
        self.at = underscore + 1
        braced = self.accept("open", "{")
        name = self.next().text
        if braced:
            self.expect("close", "}")
        base = int(name) if name.isdigit() else _WORD_BASES.get(name.lower(), 0)
        if not 2 <= base <= 36 or any(c not in "." and (not c.isalnum() or int(c, 36) >= base) for c in digits):
            raise Unparsed("not a numeral in this base")
        return Based(digits.upper(), base)

    def subscript(self, left: Node) -> Node:
        self.at += 1
        parts: list[str] = []
        if self.accept("open", "{"):
            while not self.accept("close", "}"):
                token = self.next()
                if token is END or (token.kind == "op" and token.text not in ("+", "-", "'", "%")):
                    raise Unparsed("a subscript that is no name")
                parts.append(token.text)
        else:
            parts.append(self.next().text)
        name = "".join(parts).replace("%", "percent")  # which the word is read as elsewhere
        if not name:
            raise Unparsed("an empty subscript")
        if isinstance(left, Symbol):
            return Symbol(f"{left.name}{'' if '_' in left.name else '_'}{name.replace('_', '')}")
        if isinstance(left, Text) and len(left.words) == 1 and len(left.words[0]) == 1:
            return Symbol(f"{left.words[0].upper()}_{name}")
        base = int(name) if name.isdigit() else _WORD_BASES.get(name.lower(), 0)
        digits = spelled(left)
        if digits and 2 <= base <= 36:
            return Based(digits, base)
        raise Unparsed("a subscript on a value")
