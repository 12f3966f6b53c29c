"""Notations compared by their own rules: times of day and numerals with a base.

What it does not do: anything with a value that the others share.
"""

from __future__ import annotations

from fractions import Fraction

from mario.grade.exact import rational
from mario.grade.numeric import Match
from mario.grade.tree import Based, Clock, Node, Ratio


def same_time(a: Node, b: Node) -> Match:
    times = []
    for node in (a, b):
        if isinstance(node, Ratio) and len(node.parts) == 2:
            hours, minutes = (rational(part) for part in node.parts)
            if hours is not None and minutes is not None and 0 <= hours < 24 and 0 <= minutes < 60:
                node = Clock(int(hours * 3600 + minutes * 60), hours > 12)
        if not isinstance(node, Clock):
            return Match(False, "a time of day against what is none")
        times.append(node)
    x, y = times
    if x.half_known and y.half_known:
        return Match(x.seconds == y.seconds, "the same time" if x.seconds == y.seconds else "another time of day")
    same = x.seconds % 43_200 == y.seconds % 43_200
    return Match(same, "the same time on the dial" if same else "another time of day")


def same_numeral(a: Node, b: Node) -> Match:
    if isinstance(a, Based) and isinstance(b, Based):
        if a.base == b.base:
            same = a.digits.lstrip("0") == b.digits.lstrip("0")
            return Match(same, "the same numeral" if same else "other digits")
        if 10 in (a.base, b.base):
            first, second = _numeral(a), _numeral(b)
            same = first is not None and first == second
            return Match(same, "the same number in base ten" if same else "another number")
    return Match(False, "another base")


def _numeral(node: Based) -> Fraction | None:
    whole, _, fixed = node.digits.partition(".")
    try:
        return Fraction(int((whole + fixed) or "0", node.base), node.base ** len(fixed))
    except ValueError:
        return None
