"""Where the numbers of a program come from.

The one idea: a number in a calculation becomes the variable of an earlier result only when nothing else can have been
meant; otherwise it stays a literal, as the solution wrote it. A wrong origin teaches nonsense, a literal only less.

What this module does not do: judge whether the calculation makes sense.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from mario.data.calculator.arithmetic import Negative, Number, Operation, Tree, Variable, evaluate, leaves, to_python
from mario.data.calculator.read import Step

# Whatever results equal them, these come as often from the way of computing: one more, twice, half, percent.
CONSTANTS = frozenset(map(Fraction, (0, 1, 2, 100, 1000))) | {Fraction(1, 2), Fraction(1, 4), Fraction(1, 100)}
# Numbers that everybody knows (days, months, hours, minutes, ounces, inches, cents) or counts without being told.
COMMON = frozenset(map(Fraction, (3, 4, 5, 7, 8, 12, 16, 24, 25, 30, 36, 52, 60, 90, 365)))


@dataclass(frozen=True, slots=True)
class Line:
    """One assignment of the program."""

    step: Step
    variable: Variable
    tree: Tree


class Origins:
    """Which numbers of a solution can only be an earlier result.

    A literal is one when it equals exactly one earlier result, unless
    - the question mentions it;
    - it stands twice in a calculation that is not a plain sum (7 * 7: one may be the days of a week);
    - it is `COMMON`, and neither a term of a sum nor needed: the only such number in the solution, without which the
      result would have been computed for nothing;
    - it is one of `CONSTANTS`, and not both needed and the result of the step just before.
    Of several equal results (40 + 40 after two of 40) each is one term, for in a sum it does not matter which.
    """

    def __init__(self, steps: list[Step], known: frozenset[Fraction]) -> None:
        self._known = known
        self._literals = Counter(leaf.value for step in steps for leaf in leaves(step.tree) if isinstance(leaf, Number))

    def resolve(self, tree: Tree, earlier: list[Line]) -> Tree:
        here = Counter(leaf.value for leaf in leaves(tree) if isinstance(leaf, Number))
        is_sum, used = _is_sum(tree), Counter[Fraction]()

        def origin(leaf: Number | Variable, is_term: bool) -> Tree:
            if isinstance(leaf, Variable):  # already an earlier result, or a letter that an equation solved
                known = any(line.variable == leaf for line in earlier)
                return leaf if known else next(line.variable for line in earlier if line.step.unknown == leaf.name)
            value = leaf.value
            found = [line.variable for line in earlier if line.step.value == value]
            if leaf.percent or not found:
                return self._from_percent(leaf, earlier) or leaf
            if len(found) == 1 and here[value] <= 1:
                is_certain = self._is_certain(value, is_term=is_term, is_next=earlier[-1].step.value == value)
            else:
                is_certain = is_sum and len(found) in (1, here[value]) and value not in CONSTANTS
            if value in self._known or not is_certain:
                return leaf
            used[value] += 1
            return found[(used[value] - 1) % len(found)]

        return replace_leaves(self._with_fractions(tree, earlier), origin, is_term=False)

    def _with_fractions(self, tree: Tree, earlier: list[Line]) -> Tree:
        """`60 * 2/3` after a result written as 2/3: the fraction is one number."""
        match tree:
            case Operation(_, left, right):
                return replace(tree, left=self._fraction(left, earlier), right=self._fraction(right, earlier))
            case Negative(operand):
                return Negative(self._fraction(operand, earlier))
            case _:
                return tree

    def _fraction(self, tree: Tree, earlier: list[Line]) -> Tree:
        match tree:
            case Operation("/", Number(top), Number(bottom)) if top / bottom not in self._known:
                found = [line for line in earlier if line.step.value == top / bottom]
                written = [line for line in found if _as_written(line).endswith(f"{top}/{bottom}")]
                is_certain = len(written) == 1 and (written == earlier[-1:] or top / bottom not in CONSTANTS)
                return written[0].variable if is_certain else tree
            case _:
                return self._with_fractions(tree, earlier)

    def _is_certain(self, value: Fraction, *, is_term: bool, is_next: bool) -> bool:
        is_needed = self._literals[value] == 1
        if value in CONSTANTS:
            return is_needed and is_next
        return is_needed or is_term or value not in COMMON

    def _from_percent(self, leaf: Number, earlier: list[Line]) -> Tree | None:
        """`60%` or `.6` after a result of 60 that the solution calls percent."""
        points = leaf.value if leaf.percent else leaf.value * 100
        found = [line.variable for line in earlier if line.step.value == points and "%" in line.step.text]
        if len(found) != 1 or {points, points / 100} & self._known or points in CONSTANTS:
            return None
        return Operation("/", found[0], Number(Fraction(100)))


def _as_written(line: Line) -> str:
    """The calculation and its result as the solution writes them, without spaces."""
    return line.step.text[line.step.start : line.step.end].replace(" ", "")


def _is_sum(tree: Tree) -> bool:
    match tree:
        case Operation(operator, left, right):
            return operator == "+" and _is_sum(left) and _is_sum(right)
        case Negative():
            return False
        case _:
            return True


def replace_leaves(tree: Tree, origin: Callable[[Number | Variable, bool], Tree], *, is_term: bool) -> Tree:
    """`origin(leaf, is_term)` for every leaf; a term is a leaf directly under a plus or minus."""
    match tree:
        case Operation(operator, left, right):
            terms = operator in ("+", "-")
            return replace(
                tree,
                left=replace_leaves(left, origin, is_term=terms),
                right=replace_leaves(right, origin, is_term=terms),
            )
        case Negative(operand):
            return Negative(replace_leaves(operand, origin, is_term=is_term))
        case _:
            return origin(tree, is_term)


def doubtful_literals(lines: list[Line], known: frozenset[Fraction]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The literals that equal an earlier result, and those that come from nowhere we know."""
    ambiguous, unexplained = [], []
    results: set[Fraction] = set()
    for line in lines:
        for leaf in leaves(line.tree):
            if isinstance(leaf, Number) and leaf.value in results:
                ambiguous.append(to_python(leaf))
            elif isinstance(leaf, Number) and not {leaf.value, evaluate(leaf)} & (known | CONSTANTS | COMMON):
                unexplained.append(to_python(leaf))
        results.add(line.step.value)
    return tuple(ambiguous), tuple(unexplained)
