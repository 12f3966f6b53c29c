"""Numerals as exact rationals that remember what they show.

What it does not do: thousands separators; the tokenizer has merged them.
"""

from __future__ import annotations

import re
from fractions import Fraction

from mario.grade.tree import (
    Node,
    Number,
    Text,
    Unparsed,
)

MAX_DIGITS = 4_000  # of a number written out exactly; Python prints no more than 4,300


def number(text: str) -> Number:
    """A numeral as an exact rational; decimals remember what they show."""
    if "\\" in text:
        head, _, tail = text.partition("\\")
        repeated = re.sub(r"\D", "", tail)
        whole, _, fixed = head.partition(".")
        scale = 10 ** len(fixed)
        value = Fraction(int(whole or 0)) + Fraction(int(fixed or 0), scale)
        return Number(value + Fraction(int(repeated), scale * (10 ** len(repeated) - 1)))
    mantissa, _, exponent = text.lower().partition("e")
    power = int(exponent or 0)
    if len(mantissa) + abs(power) > MAX_DIGITS:
        raise Unparsed(f"a number of more than {MAX_DIGITS:,} digits")
    whole, point, fixed = mantissa.partition(".")
    shown = (whole + fixed).lstrip("0")
    value = Fraction(int((whole + fixed) or 0), 10 ** len(fixed))
    value = value * 10**power if power >= 0 else value / 10**-power
    if not (point and fixed) and not exponent:
        return Number(value)
    return Number(value, max(1, len(shown)), len(fixed) - power)


def quoted(text: str) -> Node:
    """A quoted argument of a print: a number, a sign, or words."""
    text = text.strip()
    if not text.isascii():
        raise Unparsed("words that are not in ASCII")
    if re.fullmatch(r"[-+]?\d+(\.\d+)?(e[+-]?\d+)?", text, re.IGNORECASE):
        value = number(text.lstrip("-+"))
        return Number(-value.value, value.digits, value.places) if text[0] == "-" else value
    words = re.findall(r"[a-z0-9]+", {"-": "minus", "+": "plus"}.get(text, text).lower())
    if not words:
        raise Unparsed("quotes without words")
    return Text(tuple(words))


def spelled(node: Node) -> str:
    """Digits of a numeral that carries a base subscript."""
    if isinstance(node, Number) and node.digits == 0 and node.value.denominator == 1 and node.value >= 0:
        return str(node.value)
    if isinstance(node, Text) and len(node.words) == 1:
        return node.words[0].upper()
    return ""
