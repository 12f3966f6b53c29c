"""Units after a value: `12 cm`, `5\\text{ m}^2`, `3 miles per hour`, `2.5 million`.

What it does not do: spellings are brought to one form in `units`; nothing is converted.
"""

from __future__ import annotations

from mario.grade.cursor import Cursor
from mario.grade.names import PROSE, SCALE_WORDS
from mario.grade.structures import binary
from mario.grade.tokens import END
from mario.grade.tree import (
    Node,
    Number,
    Quantity,
    Text,
    Unparsed,
    integer,
)
from mario.grade.units import NORMAL, PLAIN, normalize


class Units(Cursor):
    """Reads a unit where one follows."""

    def unit_follows(self, left: Node) -> bool:
        token = self.peek()
        if isinstance(left, Text | Quantity) or token.kind not in ("name", "word", "text", "open"):
            return False
        if token.kind == "name":
            if not (token.spaced and isinstance(left, Number) and token.text in NORMAL):
                return False
            return self.peek(1).text in ("/", "per") and self.peek(2).text in NORMAL and self.peek(3) is END  # 12 m/s
        if token.kind == "text":
            return token.text.strip(".").lower() not in PROSE
        if token.kind == "word":
            low = token.text.lower()
            if low in PROSE:
                return False
            return token.text in PLAIN or low in PLAIN or low in SCALE_WORDS or (token.spaced and len(low) > 2)
        braced = token.text == "{" and self.peek(2).text == "}" and isinstance(left, Number)
        inner = self.peek(1)
        return (
            braced
            and inner.text.lower() not in PROSE
            and (inner.kind in ("word", "text") or (inner.text in NORMAL and not token.spaced))
        )

    def unit(self, left: Node) -> Node:
        parts: list[str] = []
        words = 0
        while True:
            token = self.peek()
            low = token.text.lower()
            if token.kind in ("word", "text") and low in SCALE_WORDS and not parts:
                self.at += 1
                left = binary("mul", left, integer(SCALE_WORDS[low]))
            elif (token.kind in ("word", "text") and low not in PROSE) or (token.kind == "name" and not parts):
                parts.append(self.next().text)
                words += low not in NORMAL
            elif token.text == "{" and self.peek(2).text == "}" and not parts:
                parts.append(self.peek(1).text)
                self.at += 3
            elif token.text == "^" and parts:
                self.at += 1
                braced = self.accept("open", "{")
                sign = "-" if self.accept("op", "-") else ""
                parts.append(f"^{sign}{self.next().text}")
                if braced:
                    self.expect("close", "}")
            elif parts and (token.text in ("/", "*") or token.text == "per"):
                self.at += 1
                if token.text != "*":
                    parts.append("/")
                if self.peek().kind in ("name", "word", "text"):
                    parts.append(self.next().text)
            else:
                break
            if words > 3:
                raise Unparsed("prose after a value")
        unit = normalize(parts)
        if unit in ("a.m", "p.m", "am", "pm") or unit.startswith("/"):
            raise Unparsed(f"{unit} is no unit by itself")
        return Quantity(left, unit) if unit else left
