"""A solution's calculations as Python: one computation in several shapes.

The one idea: models that learn from one program a problem write one program a problem, so that sampling them again buys
nothing. The shapes below compute the same and are different programs (`transcript.shape`) for every solution.

    steps        an assignment a line, and the last one printed       a = 7 + 6; b = a + 5; print(b)
    expression   results that are used once are written where used    print(7 + 6 + 5)
    function     the steps in a function, its result returned         def solve(): ...; print(solve())
    numbers      the numbers first, then steps over their names       n1, n2, n3 = 7, 6, 5; a = n1 + n2; ...
    arguments    the steps in a function of the numbers               def solve(n1, n2, n3): ...; print(solve(7, 6, 5))
    formula      the numbers first, then one expression over them     n1, n2, n3 = 7, 6, 5; print(n1 + n2 + n3)
    updates      every result grows operation by operation            a = 7; a += 6; b = a; b += 5; print(b)
    main         the steps in a main function, which prints           def main(): ...; main()

A new shape goes to the end: sample i of a problem is shape i, in journals that exist already.
What this module does not do: choose names or origins (`names.py`, `origins.py`), or run anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from mario.data.calculator.arithmetic import (
    Number,
    Operation,
    Tree,
    Variable,
    evaluate,
    leaves,
    python_value,
    to_python,
)
from mario.data.calculator.origins import Line, replace_leaves

SHAPES = 8
LONGEST = 200  # characters of a result that is written where it is used; longer ones keep their name


def write_code(lines: Sequence[Line]) -> str:
    """The steps: an assignment a line, and the last one printed."""
    return "\n".join([*_assignments(lines), _show(lines, lines[-1].variable.name)])


def write_shapes(lines: Sequence[Line]) -> tuple[str, ...]:
    """The program in every shape, the steps first; always `SHAPES` of them."""
    return (
        write_code(lines),
        _expression(lines),
        _function(lines),
        _numbers_first(lines),
        _arguments(lines),
        _formula(lines),
        _updates(lines),
        _main(lines),
    )


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
    short = _where_used(lines)
    return "\n".join([*_assignments(short[:-1]), _show(lines, to_python(short[-1].tree))])


def _where_used(lines: Sequence[Line]) -> list[Line]:
    """The lines with every result that is used once written where it is used; what is not used is left out."""
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
        if line is lines[-1] or uses[line.variable.name] > 1 or len(to_python(tree)) > LONGEST:
            if uses[line.variable.name]:
                named.append(replace(line, tree=tree))
        else:
            written[line.variable.name] = tree
    return named


def _function(lines: Sequence[Line]) -> str:
    return "\n".join([*_defined("solve()", _returning(lines)), _show(lines, "solve()")])


def _numbers_first(lines: Sequence[Line]) -> str:
    names, numbers, steps = _named_numbers(lines)
    shown = _show(lines, lines[-1].variable.name)
    return "\n".join([f"{names} = {numbers}", *_assignments(steps), shown])


def _arguments(lines: Sequence[Line]) -> str:
    names, numbers, steps = _named_numbers(lines)
    return "\n".join([*_defined(f"solve({names})", _returning(steps)), _show(lines, f"solve({numbers})")])


def _formula(lines: Sequence[Line]) -> str:
    names, numbers, short = _named_numbers(_where_used(lines))
    shown = _show(lines, to_python(short[-1].tree))
    return "\n".join([f"{names} = {numbers}", *_assignments(short[:-1]), shown])


def _updates(lines: Sequence[Line]) -> str:
    written: list[str] = []
    for line in lines:
        tree, updates = line.tree, list[str]()
        while isinstance(tree, Operation):
            updates.append(f"{line.variable.name} {tree.operator}= {to_python(tree.right)}")
            tree = tree.left
        written += [f"{line.variable.name} = {to_python(tree)}", *reversed(updates)]
    return "\n".join([*written, _show(lines, lines[-1].variable.name)])


def _main(lines: Sequence[Line]) -> str:
    return "\n".join([*_defined("main()", [*_assignments(lines), _show(lines, lines[-1].variable.name)]), "main()"])


def _returning(lines: Sequence[Line]) -> list[str]:
    return [*_assignments(lines[:-1]), f"return {to_python(lines[-1].tree)}"]


def _defined(head: str, body: Sequence[str]) -> list[str]:
    return [f"def {head}:", *(f"    {line}" for line in body), ""]


def _named_numbers(lines: Sequence[Line]) -> tuple[str, str, list[Line]]:
    """The names of the numbers, the numbers, and the lines over those names."""
    numbers: list[str] = []

    def named(leaf: Number | Variable, _: bool) -> Tree:
        if isinstance(leaf, Variable):
            return leaf
        numbers.append(to_python(leaf))
        return Variable(f"n{len(numbers)}", evaluate(leaf))  # names of results never look like this: `names.py`

    steps = [replace(line, tree=replace_leaves(line.tree, named, is_term=False)) for line in lines]
    names = ", ".join(f"n{count}" for count in range(1, len(numbers) + 1))
    return names, ", ".join(numbers), steps
