"""Which numbers of a story may change, how far, and whether the new results still make sense.

Every rule here stands for a fault that was found by reading variations: a total that no longer covers its parts, five
quizzes of which five were already written, a grandfather of 108. Rules err on the side of leaving a number alone.

What this module does not do: change anything (`vary.py`), or know the world beyond these rules.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from random import Random

from mario.data.calculator.arithmetic import Number, Operation, Tree, Variable, decimal_text, evaluate, leaves
from mario.data.calculator.mentions import Mention
from mario.data.calculator.origins import Line

REACH = 4  # how many times larger or smaller a result may become
MAX_RESULT = Fraction(10**7)
_SMALL = 10  # numbers up to here may count what the text lists
_YEARS = re.compile(r"\s*[-\s]?(?:more\s)?(?:years?|yrs?)\b", re.IGNORECASE)
_TIMES = re.compile(
    r"\s*[-\s]?(?:more\s|full\s|extra\s)?(?:hours?|hrs?|minutes?|mins?|seconds?|days?|weeks?|months?)\b", re.IGNORECASE
)
_PERCENT = re.compile(r"\s*(?:%|percent)", re.IGNORECASE)
# Where these are spoken of, a result below 100 stays below: percentages, scores, ages.
_HUNDRED = re.compile(
    r"%|\b(?:percent\w*|scores?|grades?|exams?|tests?|quiz\w*|age[ds]?|old|older|younger)\b", re.IGNORECASE
)
_LIMITS = tuple(map(Fraction, (5, 7, 12, 24, 31, 60, 100, 365)))  # a time below one of these stays below it


def literals(lines: list[Line]) -> list[frozenset[Fraction]]:
    """Every literal as the values it may be known by: 20 % is 20 and 0.2."""
    return [
        frozenset({leaf.value, evaluate(leaf)})
        for line in lines
        for leaf in leaves(line.tree)
        if isinstance(leaf, Number)
    ]


def has_a_literal(mention: Mention, mentions: list[Mention], lines: list[Line]) -> bool:
    """Whether the program has a literal for this mention beside those for others that look the same."""
    found = sum(1 for leaf in literals(lines) if leaf & mention.values)
    alike = sum(1 for other in mentions if other.is_amount and other.values & mention.values)
    return found >= alike


def is_a_count(mention: Mention, lines: list[Line], question: str) -> bool:
    """Whether a small number may count what the text lists, or how often the solution does something."""
    value = mention.value
    if value.denominator != 1 or value > _SMALL:
        return False
    sums = {_terms(line.tree) for line in lines}
    if value > 2 and (value in sums or value == len(lines)):
        return True
    return value in _list_sizes(question) or (value in sums and _divides_a_result(value, lines))


def _list_sizes(question: str) -> set[int]:
    """How many things stand in each list with commas: `Ann, Bo and Cy` are three."""
    return {
        clause.count(",") + (2 if re.search(r"(?<!,) (?:and|or) ", clause) else 1)
        for clause in re.findall(r"[^.?!:;]+,[^.?!;]+", question)
    }


def _divides_a_result(value: Fraction, lines: list[Line]) -> bool:
    """Whether some result, or a sum of so many terms, is divided by this literal, as for an average."""
    nodes = (node for line in lines for node in _nodes(line.tree))
    divisions = (node for node in nodes if isinstance(node, Operation) and node.operator == "/")
    return any(
        isinstance(node.right, Number)
        and node.right.value == value
        and (isinstance(node.left, Variable) or _terms(node.left) == value)
        for node in divisions
    )


def has_neighbour(mention: Mention, mentions: list[Mention], question: str) -> bool:
    """Whether the next number counts the same thing: of 5 quizzes, 4 are written, and one is to come."""
    noun = _noun(mention, question)
    return any(
        other.number is not None and abs(other.number - mention.value) == 1 and _noun(other, question) == noun != ""
        for other in mentions
    )


def _noun(mention: Mention, question: str) -> str:
    found = re.match(r"\s+([A-Za-z]+)", question[mention.end :])
    return found.group(1).lower().rstrip("s") if found else ""


def _nodes(tree: Tree) -> list[Tree]:
    return [tree, *_nodes(tree.left), *_nodes(tree.right)] if isinstance(tree, Operation) else [tree]


def _terms(tree: Tree) -> int:
    if isinstance(tree, Operation) and tree.operator == "+":
        return _terms(tree.left) + _terms(tree.right)
    return 1


def _decimals(value: Fraction) -> int:
    """Digits after the point; a thousand where they do not end."""
    text = decimal_text(value)
    return 1000 if text is None else len(text.partition(".")[2])


def draw_value(mention: Mention, question: str, rng: Random) -> Fraction:
    """A number near the old one and as round, within the bounds of what it counts."""
    old, after = mention.value, question[mention.end :]
    step = _step(mention)
    low: Fraction = max(Fraction(2) if old >= 2 else step, min(old * 3 / 5, old - 2 * step))
    high: Fraction = max(old * 8 / 5, old + 2 * step)
    if _YEARS.match(after):  # of somebody's life
        high = min(high, old * 5 / 4 + 1)
    if _PERCENT.match(after) and old <= 100:
        high = min(high, Fraction(100) - step)
    if _TIMES.match(after):
        for limit in _LIMITS:
            if old <= limit:
                high = min(high, limit if old == limit else limit - step)
    if mention.kind == "word":
        high = min(high, Fraction(20))
    units = range(math.ceil(low / step), math.floor(high / step) + 1)
    value = step * rng.choice(units) if units else old
    is_plain = _decimals(old) != 1 or _decimals(value) == 1  # 6.5 does not become 6.0; 3.50 may become 4.00
    return value if is_plain else old


def _step(mention: Mention) -> Fraction:
    """How round a number is: 250 goes by fifties, 24 by ones, 3.50 by quarters of ten cents."""
    old = mention.value
    decimals = len(mention.text.partition(".")[2]) if mention.kind == "digits" else 0
    smallest = Fraction(1, 10**decimals)
    for size in (10000, 1000, 500, 100, 50, 10, 5):
        step = smallest * size
        if old % step == 0 and old >= 3 * step:
            return step
    return smallest


def is_sane(question: str, old_lines: Sequence[Line], lines: Sequence[Line]) -> bool:
    """Whether results stay whole, positive, of their size, and below a hundred where that is a limit."""
    for old, new in zip(old_lines, lines, strict=True):
        a, b = old.step.value, new.step.value
        if (a > 0) != (b > 0) or (a == 0) != (b == 0) or abs(b) > max(MAX_RESULT, abs(a) * 2):
            return False
        if a and not Fraction(1, REACH) <= b / a <= REACH:
            return False
        if (a < 1) != (b < 1) or (a == 1) != (b == 1) or _decimals(b) > _decimals(a):
            return False
        if a <= 100 < b and (old.step.percent or _HUNDRED.search(question)):
            return False
    return lines[-1].step.value != old_lines[-1].step.value or len(lines) == 1


def same_order(before: Sequence[Fraction], after: Sequence[Fraction]) -> bool:
    """Whether quantities stand in the same order as before, equal ones equal."""
    return all(
        (a < b) == (c < d) and (a > b) == (c > d) for (a, c), (b, d) in combinations(zip(before, after, strict=True), 2)
    )
