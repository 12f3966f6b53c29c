"""Equations and inequalities as multiples of each other.

What it does not do: it solves nothing; two equations with the same solutions may still be no multiples.
"""

from __future__ import annotations

from mario.grade.balls import Evaluation, OverBudget, Undefined, precision
from mario.grade.numeric import ENOUGH, ROUNDS, Match
from mario.grade.tree import Node, symbols


def proportional(f: Node, g: Node, positive: bool) -> Match:
    """Is f a nonzero (or positive) constant times g? Their ratio is compared across seeded points."""
    if not symbols(f) or symbols(f) != symbols(g):
        return (
            Match(False, "equations in different unknowns") if symbols(f) or symbols(g) else Match(None, "no unknowns")
        )
    first = None
    agreed = 0
    for bits in (160, 1200):
        for round_ in range(ROUNDS):
            with precision(bits):
                try:
                    x, y = Evaluation(round_).evaluate(f), Evaluation(round_).evaluate(g)
                except Undefined:
                    continue
                except OverBudget:
                    return Match(None, "too many operations")
                if x.overlaps(y * 0) or y.overlaps(x * 0):
                    if x.overlaps(y * 0) and y.overlaps(x * 0):
                        continue
                    return Match(False, "the equations differ at a test point")
                ratio = x / y
                if first is None or (bits > 160 and agreed == 0):
                    first = ratio
                elif not ratio.overlaps(first):
                    return Match(False, "the equations differ at a test point")
                if positive and not ratio.real > 0:
                    return Match(False, "the comparison points the other way")
                agreed += 1
        if agreed < ENOUGH:
            return Match(None, "too few test points")
        first, agreed = None, 0 if bits == 160 else agreed
    return Match(True, "one is a multiple of the other")
