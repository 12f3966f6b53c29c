"""A solution's calculations as Python: one computation in several shapes.

The one idea: models that learn from one program a problem write one program a problem, so that sampling them again buys
nothing. The shapes below compute the same and are different programs (`transcript.shape`) for every solution.

    steps        an assignment a line, and the last one printed       a = 7 + 6; b = a + 5; print(b)
    expression   results that are used once are written where used    print(7 + 6 + 5)
    function     the steps in a function, its result returned         def solve(): ...; print(solve())
    numbers      the numbers first, then steps over their names       n1, n2, n3 = 7, 6, 5; a = n1 + n2; ...

What this module does not do: choose names or origins (`names.py`, `origins.py`), or run anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from mario.data.calculator.arithmetic import Number, Tree, Variable, evaluate, leaves, python_value, to_python
from mario.data.calculator.origins import Line, replace_leaves

SHAPES = 4
LONGEST = 200  # characters of a result that is written where it is used; longer ones keep their name


def write_code(lines: Sequence[Line]) -> str:
    """The steps: an assignment a line, and the last one printed."""
    return "\n".join([*_assignments(lines), _show(lines, lines[-1].variable.name)])


def write_shapes(lines: Sequence[Line]) -> tuple[str, ...]:
    """The program in every shape, the steps first; always `SHAPES` of them."""
    return write_code(lines), _expression(lines), _function(lines), _numbers_first(lines)


def run(lines: Sequence[Line]) -> int | float:
    """The value in Python's own numbers.

    Raises:
        ArithmeticError: an overflow, or a divisor that is zero only in floating point.
    """
    values: dict[str, int | float] = {}
    for line in lines:
        values[line.variable.name] = python_value(line.tree, values)
    return values[lines[-1].variable.name]


def _assignments(lines: Sequence[Line]) -> list[str]:
    return [f"{line.variable.name} = {to_python(line.tree)}" for line in lines]


def _show(lines: Sequence[Line], result: str) -> str:
    # .12g writes 70000.0 as 70000 and 0.30000000000000004 as 0.3
    return f'print(f"{{{result}:.12g}}")' if isinstance(run(lines), float) else f"print({result})"


def _expression(lines: Sequence[Line]) -> str:
    uses = Counter({lines[-1].variable.name: 1})
    for line in reversed(lines):
        if uses[line.variable.name]:  # what the answer does not need uses nothing
            uses.update(leaf.name for leaf in leaves(line.tree) if isinstance(leaf, Variable))
    written: dict[str, Tree] = {}

    def where_used(leaf: Number | Variable, _: bool) -> Tree:
        return written.get(leaf.name, leaf) if isinstance(leaf, Variable) else leaf

    named: list[Line] = []
    for line in lines:
        tree = replace_leaves(line.tree, where_used, is_term=False)
        if line is lines[-1] or (uses[line.variable.name] == 1 and len(to_python(tree)) <= LONGEST):
            written[line.variable.name] = tree
        elif uses[line.variable.name]:
            named.append(replace(line, tree=tree))
    return "\n".join([*_assignments(named), _show(lines, to_python(written[lines[-1].variable.name]))])


def _function(lines: Sequence[Line]) -> str:
    body = [*_assignments(lines[:-1]), f"return {to_python(lines[-1].tree)}"]
    return "\n".join(["def solve():", *(f"    {line}" for line in body), "", _show(lines, "solve()")])


def _numbers_first(lines: Sequence[Line]) -> str:
    numbers: list[str] = []

    def named(leaf: Number | Variable, _: bool) -> Tree:
        if isinstance(leaf, Variable):
            return leaf
        numbers.append(to_python(leaf))
        return Variable(f"n{len(numbers)}", evaluate(leaf))  # names of results never look like this: `names.py`

    steps = [replace(line, tree=replace_leaves(line.tree, named, is_term=False)) for line in lines]
    names = ", ".join(f"n{count}" for count in range(1, len(numbers) + 1))
    shown = _show(lines, lines[-1].variable.name)
    return "\n".join([f"{names} = {', '.join(numbers)}", *_assignments(steps), shown])
