"""One text for each tree: plain, readable, and read back to the same tree.

What it does not do: two texts may differ and still denote equal answers; only `compare` decides that.
"""

from __future__ import annotations

from fractions import Fraction

from mario.grade.exact import rational
from mario.grade.tree import (
    Apply,
    Based,
    Clock,
    Constant,
    Interval,
    Mapping,
    Matrix,
    Node,
    Number,
    Option,
    Quantity,
    Ratio,
    Relation,
    Sequence,
    Symbol,
    Text,
)

MAX_DIGITS = 4_000

_LEVELS = {"add": 1, "mul": 2, "div": 2, "neg": 1, "pow": 4, "factorial": 5}


def render(node: Node) -> str:
    return _text(node, 0)


def _number(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{value.numerator}/{value.denominator}"


def _text(node: Node, level: int) -> str:
    match node:
        case Number(value, _, _):
            text = _number(value)
            return f"({text})" if (value < 0 and level > 1) or (value.denominator != 1 and level > 1) else text
        case Symbol(name):
            return name
        case Constant(name):
            return name
        case Text(words):
            return " ".join(words)
        case Option(letter):
            return f"({letter})"
        case Based(digits, base):
            return f"{digits}_{base}"
        case Clock(minutes, half_known):
            if not half_known:
                return f"{minutes // 60:02d}:{minutes % 60:02d}"
            return f"{(minutes // 60 + 11) % 12 + 1}:{minutes % 60:02d} {'pm' if minutes >= 720 else 'am'}"
        case Quantity(value, unit):
            return f"{_text(value, 2)} {unit}"
        case Ratio(parts):
            return ":".join(_text(part, 2) for part in parts)
        case Interval(low, high, low_open, high_open):
            return f"{'(' if low_open else '['}{render(low)}, {render(high)}{')' if high_open else ']'}"
        case Sequence(kind, items):
            inner = ", ".join(sorted(map(render, items)) if kind in ("", "{}") else map(render, items))
            return f"{kind[:1]}{inner}{kind[1:]}"
        case Matrix(rows):
            return "Matrix([" + ", ".join("[" + ", ".join(map(render, row)) + "]" for row in rows) + "])"
        case Mapping(pairs):
            return "{" + ", ".join(sorted(f"{render(k)}: {render(v)}" for k, v in pairs)) + "}"
        case Relation(ops, terms):
            out = _text(terms[0], 1)
            for op, term in zip(ops, terms[1:], strict=True):
                out += f" {op} {_text(term, 1)}"
            return out
        case Apply(head, args):
            exact = rational(node)
            if exact is not None and len(str(exact)) <= MAX_DIGITS:
                return _text(Number(exact), level)
            text = _apply(head, args)
            return f"({text})" if _LEVELS.get(head, 9) < level else text
    raise TypeError(type(node).__name__)


def _apply(head: str, args: tuple[Node, ...]) -> str:
    match head, args:
        case "add", _:
            out = ""
            for text in sorted((_text(arg, 2) if not _negative(arg) else _text(arg, 1)) for arg in args):
                out += text if not out else f" - {text[1:]}" if text.startswith("-") else f" + {text}"
            return out
        case "mul", _:
            return "*".join(sorted(_text(arg, 3) for arg in args))
        case "neg", (x,):
            return f"-{_text(x, 2)}"
        case "div", (x, y):
            return f"{_text(x, 2)}/{_text(y, 3)}"
        case "pow", (x, y):
            return f"{_text(x, 5)}**{_text(y, 5)}"
        case "root", (x, n):
            return f"sqrt({render(x)})" if rational(n) == 2 else f"root({render(x)}, {render(n)})"
        case "factorial", (x,):
            return f"{_text(x, 6)}!"
    return f"{head.lstrip('?')}({', '.join(map(render, args))})"


def _negative(node: Node) -> bool:
    return isinstance(node, Apply) and node.head == "neg"
