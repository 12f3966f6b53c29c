"""One LaTeX text for each tree: readable, and read back to the same tree.

Members of what has no order are sorted, rational parts are worked out, and nothing else is simplified: two texts may
differ and still denote equal answers; only `compare` decides that.
"""

from __future__ import annotations

from fractions import Fraction

from mario.grade.exact import rational
from mario.grade.names import GREEK, SPOKEN, words
from mario.grade.tree import (
    ELLIPSIS,
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

MAX_SHOWN_BITS = 3_000  # longer integers stay a power or a factorial, as written

SUM, PRODUCT, FACTOR, ATOM = 1, 2, 3, 4  # how tightly the surroundings bind

_CONSTANTS = {"pi": "\\pi", "oo": "\\infty", "RR": "\\mathbb{R}", "ZZ": "\\mathbb{Z}", "QQ": "\\mathbb{Q}"}
_CONSTANTS |= {"NN": "\\mathbb{N}", "CC": "\\mathbb{C}"}
_RELATIONS = {"<=": "\\le", ">=": "\\ge", "!=": "\\ne", "~": "\\approx", "in": "\\in", "equiv": "\\equiv", "to": "\\to"}
_RELATIONS |= {"sim": "\\sim", "parallel": "\\parallel", "perp": "\\perp", "subset": "\\subset", "propto": "\\propto"}
_RELATIONS |= {"subseteq": "\\subseteq"}
_SET_SIGNS = {"union": "\\cup", "intersection": "\\cap", "difference": "\\setminus", "and": "\\land", "or": "\\lor"}
_COMMANDS = frozenset(words("sin cos tan cot sec csc sinh cosh tanh coth ln log exp gcd max min det arg"))
_BRACKETS = {"()": "()", "[]": "[]", "{}": ("\\{", "\\}"), "": ("", ""), "<>": ("\\langle ", " \\rangle")}
_AROUND = {"abs": ("\\lvert ", " \\rvert"), "floor": ("\\lfloor ", " \\rfloor"), "ceil": ("\\lceil ", " \\rceil")}


def render(node: Node) -> str:
    """The canonical text."""
    return _text(node, 0)


def _text(node: Node, level: int) -> str:
    match node:
        case Number(value, _, _):
            return _number(value, level)
        case Symbol(name):
            return _symbol(name)
        case Constant(name):
            return _CONSTANTS.get(name, name)
        case Text(words):
            # Words that would not be read back as words stand in a typewriter's font.
            command = "text" if all(word.isalpha() and word not in SPOKEN for word in words) else "texttt"
            return f"\\{command}{{{' '.join(words)}}}"
        case Option(letter):
            return f"({letter})"
        case Based(digits, base):
            return f"{digits}_{{{base}}}"
        case Clock(seconds, half_known):
            hours, rest = divmod(seconds, 3600)
            tail = f":{rest // 60:02d}" + (f":{rest % 60:02d}" if rest % 60 else "")
            if not half_known:
                return f"{hours:02d}{tail}"
            return f"{(hours + 11) % 12 + 1}{tail} \\text{{ {'pm' if hours >= 12 else 'am'}}}"
        case Quantity(value, unit):
            return _quantity(value, unit)
        case Ratio(parts):
            return ":".join(_text(part, PRODUCT) for part in parts)
        case Interval(low, high, low_open, high_open):
            return f"{'(' if low_open else '['}{render(low)}, {render(high)}{')' if high_open else ']'}"
        case Sequence(kind, items):
            return _sequence(kind, items)
        case Matrix(rows):
            body = " \\\\ ".join(" & ".join(_text(cell, SUM) for cell in row) for row in rows)
            return f"\\begin{{pmatrix}} {body} \\end{{pmatrix}}"
        case Mapping(pairs):
            return "\\{" + ", ".join(sorted(f"{render(k)}: {render(v)}" for k, v in pairs)) + "\\}"
        case Relation(ops, terms):
            out = _text(terms[0], SUM)
            for op, term in zip(ops, terms[1:], strict=True):
                out += f" {_RELATIONS.get(op, op)} {_text(term, SUM)}"
            return f"({out})" if level else out
        case Apply(head, args):
            exact = rational(node)
            if exact is not None and _bits(exact) < MAX_SHOWN_BITS:
                return _number(exact, level)
            text, own = _apply(head, args)
            return f"({text})" if own < level else text
    raise TypeError(type(node).__name__)


def _number(value: Fraction, level: int) -> str:
    sign, top, bottom = "-" if value < 0 else "", _digits(abs(value.numerator)), _digits(value.denominator)
    if value.denominator == 1:
        text = sign + top
    elif level >= PRODUCT:
        text = f"{sign}\\frac{{{top}}}{{{bottom}}}"
    else:
        text = f"{sign}{top}/{bottom}"
    return f"({text})" if (value < 0 and level >= PRODUCT) or (level == ATOM and value.denominator != 1) else text


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()


def _digits(value: int) -> str:
    """An integer of any length; `str` refuses more than 4,300 digits."""
    if value.bit_length() < 14_000:
        return str(value)
    front, back = divmod(value, 10**4000)
    return f"{_digits(front)}{back:04000d}"


def _symbol(name: str) -> str:
    if name == ELLIPSIS:
        return "\\ldots"
    if name.startswith("_"):
        return name  # a bound variable, which has no name of its own
    head, _, index = name.partition("_")
    if head.startswith(("angle ", "triangle ")):
        return "\\" + head
    if head in GREEK:
        head = f"\\{head}"
    elif len(head.rstrip("'")) > 1:
        head = f"\\mathit{{{head}}}"
    return f"{head}_{{{index}}}" if index else head


def _quantity(value: Node, unit: str) -> str:
    if unit == "deg":
        return f"{_text(value, ATOM)}^\\circ"
    if unit == "pct":
        return f"{_text(value, ATOM)}\\%"
    return f"{_text(value, SUM)} \\text{{ {unit}}}"


def _sequence(kind: str, items: tuple[Node, ...]) -> str:
    left, right = _BRACKETS[kind]
    texts = [render(item) for item in items]
    if kind in ("", "{}"):
        texts.sort()
    if not items:
        return "\\emptyset" if kind in ("", "{}") else left + right
    nested = any(isinstance(item, Sequence) and item.kind == "" for item in items)
    return left + ("; " if nested else ", ").join(texts) + right


def _apply(head: str, args: tuple[Node, ...]) -> tuple[str, int]:
    """The text and how tightly it binds by itself."""
    match head, args:
        case "add", _:
            return _add(args), SUM
        case "neg", (x,):
            return f"-{_text(x, PRODUCT)}", SUM
        case "mul", _:
            return _mul(args), PRODUCT
        case "div", (x, y):
            return f"\\frac{{{render(x)}}}{{{render(y)}}}", FACTOR
        case "pow", (x, y):
            power = render(y) if y != Symbol("o") else "(o)"  # 5^{o} is five degrees
            return f"{_text(x, ATOM)}^{{{power}}}", FACTOR
        case "root", (x, n):
            return (f"\\sqrt{{{render(x)}}}" if rational(n) == 2 else f"\\sqrt[{render(n)}]{{{render(x)}}}"), ATOM
        case "factorial", (x,):
            return f"{_text(x, ATOM)}!", FACTOR
        case "binom", (n, k):
            return f"\\binom{{{render(n)}}}{{{render(k)}}}", ATOM
        case "deg", (x,):
            return f"{_text(x, ATOM)}^\\circ", FACTOR
        case "pct", (x,):
            return f"{_text(x, ATOM)}\\%", FACTOR
        case "side-", (x,):
            return f"{_text(x, ATOM)}^{{-}}", FACTOR
        case "log", (x, base):
            return f"\\log_{{{render(base)}}}({render(x)})", ATOM
        case (("sum" | "product"), (body, variable, low, high)):
            sign = "\\sum" if head == "sum" else "\\prod"
            return f"{sign}_{{{render(variable)} = {render(low)}}}^{{{render(high)}}} {_text(body, FACTOR)}", SUM
        case "integral", (body, variable, *bounds):
            limits = f"_{{{render(bounds[0])}}}^{{{render(bounds[1])}}}" if bounds else ""
            return f"\\int{limits} {_text(body, PRODUCT)} d {render(variable)}", SUM
        case "limit", (body, variable, at):
            return f"\\lim_{{{render(variable)} \\to {render(at)}}} {_text(body, FACTOR)}", PRODUCT
        case _, (x,) if head in _AROUND:
            left, right = _AROUND[head]
            return f"{left}{render(x)}{right}", ATOM
        case _, _ if head in _SET_SIGNS:
            return f" {_SET_SIGNS[head]} ".join(_text(arg, SUM) for arg in args), 0
    inner = ", ".join(render(arg) for arg in args)
    if head in _COMMANDS:
        return f"\\{head}({inner})", ATOM
    return f"\\operatorname{{{head.lstrip('?')}}}({inner})", ATOM


def _add(args: tuple[Node, ...]) -> str:
    texts = sorted(_text(arg, SUM) for arg in args)
    out = texts[0]
    for text in texts[1:]:
        out += f" - {text[1:]}" if text.startswith("-") else f" + {text}"
    return out


def _mul(args: tuple[Node, ...]) -> str:
    """A rational factor first, then the others in order, side by side where that reads as a product."""
    flat: list[Node] = []
    for arg in args:
        flat.extend(arg.args if isinstance(arg, Apply) and arg.head == "mul" else (arg,))
    factor = Fraction(1)
    rest: list[str] = []
    for arg in flat:
        exact = rational(arg)
        if exact is not None and _bits(factor) + _bits(exact) < MAX_SHOWN_BITS:
            factor *= exact
        else:
            rest.append(_text(arg, FACTOR))
    rest.sort()
    if not rest:
        return _number(factor, SUM)
    if factor != 1:
        front = "-" if factor == -1 else _number(factor, SUM if factor.denominator == 1 else PRODUCT).strip("()")
        rest.insert(0, front)
    out = rest[0]
    for text in rest[1:]:
        out += text if out == "-" else (f" \\cdot {text}" if text[:1].isdigit() or text[:1] == "(" else f" {text}")
    return out
