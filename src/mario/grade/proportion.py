"""Equations and inequalities as multiples of each other.

What it does not do: it solves nothing; two equations with the same solutions may still be no multiples.
"""

from __future__ import annotations

from mario.grade.balls import Evaluation, OverBudget, Undefined, precision
from mario.grade.numeric import ENOUGH, ROUNDS, Match
from mario.grade.shape import simple
from mario.grade.tree import Apply, Node, Number, symbols

MAX_CLEARED = 12  # terms that are brought over one denominator


def same_equation(f: Node, g: Node) -> Match:
    """Do f = 0 and g = 0 agree: is one a multiple of the other, as written or without denominators?"""
    match = proportional(f, g, positive=False)
    if match.same is not False:
        return match
    (top_f, bottom_f), (top_g, bottom_g) = _fraction(f), _fraction(g)
    if not symbols(bottom_f) and not symbols(bottom_g):
        return match
    cleared = proportional(top_f, top_g, positive=False)
    return Match(True, f"{cleared.reason}, denominators cleared") if cleared.same else match


def _fraction(node: Node) -> tuple[Node, Node]:
    """Numerator and denominator of an expression; the denominator is 1 where that would take too many terms."""
    one = simple(1)
    match node:
        case Apply("neg", (inner,)):
            top, bottom = _fraction(inner)
            return Apply("neg", (top,)), bottom
        case Apply("div", (x, y)):
            (a, b), (c, d) = _fraction(x), _fraction(y)
            return Apply("mul", (a, d)), Apply("mul", (b, c))
        case Apply("pow", (base, Number(power))) if power < 0 and power.denominator == 1:
            return one, Apply("pow", (base, Number(-power)))
        case Apply("mul", args) if len(args) <= MAX_CLEARED:
            parts = [_fraction(arg) for arg in args]
            return Apply("mul", tuple(top for top, _ in parts)), Apply("mul", tuple(bottom for _, bottom in parts))
        case Apply("add", args) if len(args) <= MAX_CLEARED:
            parts = [_fraction(arg) for arg in args]
            tops = [
                Apply("mul", (top, *(bottom for j, (_, bottom) in enumerate(parts) if j != i and symbols(bottom))))
                if symbols(bottom_i)
                else Apply("div", (Apply("mul", (top, *(b for _, b in parts if symbols(b)))), bottom_i))
                for i, (top, bottom_i) in enumerate(parts)
            ]
            return Apply("add", tuple(tops)), Apply("mul", (one, *(b for _, b in parts if symbols(b))))
    return node, one


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
