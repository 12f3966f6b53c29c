"""Commands with arguments: fractions, roots, functions, sums, integrals, limits, accents.

`\\sin 2x` takes the whole juxtaposition, `\\sin(2)x` only the bracket. What it does not do: no function is evaluated.
"""

from __future__ import annotations

from mario.grade.cursor import Cursor
from mario.grade.names import ACCENTS, words
from mario.grade.tree import (
    ELLIPSIS,
    Apply,
    Based,
    Constant,
    Mapping,
    Node,
    Number,
    Quantity,
    Ratio,
    Relation,
    Sequence,
    Symbol,
    Text,
    Unparsed,
    integer,
    walk,
)

JUXTAPOSED = 33  # how tightly factors side by side bind
_SETS = {"R": "RR", "Z": "ZZ", "Q": "QQ", "N": "NN", "C": "CC"}
INVERSES = frozenset({f"a{name}" for name in words("sin cos tan cot sec csc sinh cosh tanh coth")})


def applied(head: str, args: tuple[Node, ...], base: Node | None) -> Node:
    """A known function over its arguments, in the one spelling that comparison knows."""
    for arg in args:
        if isinstance(arg, Text | Quantity):
            raise Unparsed(f"{head} of words")
    if head in ("log", "ln", "lg"):
        if len(args) == 2 and base is None:
            return Apply("log", args)
        if len(args) != 1:
            raise Unparsed("logarithm")
        if base is not None:
            return Apply("log", (args[0], base))
        return Apply("log", (args[0], integer(10))) if head == "lg" else Apply("ln" if head == "ln" else "log", args)
    if head == "exp" and len(args) == 1:
        return Apply("pow", (Constant("e"), args[0]))
    if head == "sqrt" and len(args) == 1:
        return Apply("root", (args[0], integer(2)))
    if head == "cbrt" and len(args) == 1:
        return Apply("root", (args[0], integer(3)))
    if head in ("pow", "root", "binom", "mod") and len(args) != 2:
        raise Unparsed(f"{head} of {len(args)}")
    return Apply(head, args)


def letters_of(node: Node) -> str:
    match node:
        case Symbol(name):
            return name
        case Constant(name):
            return name
        case Text(words):
            return "".join(words)
        case Number(value, _, _):
            return str(value)
        case Apply("mul", args):
            return "".join(letters_of(a) for a in args)
    raise Unparsed("an accent over a value")


def binary(head: str, left: Node, right: Node) -> Node:
    for side in (left, right):
        if isinstance(side, Text | Quantity | Mapping | Based | Ratio):
            raise Unparsed(f"{type(side).__name__.lower()} inside arithmetic")
    if head in ("add", "mul", "union", "and", "or") and isinstance(left, Apply) and left.head == head:
        return Apply(head, (*left.args, right))
    return Apply(head, (left, right))


class Structures(Cursor):
    """Reads a command and its arguments."""

    def name(self, text: str) -> Node:
        if text in ("pi", "oo", "nan", "i", "phi", "RR", "ZZ", "QQ", "NN", "CC"):
            return Constant(text) if text != "phi" else Symbol("phi")
        if text == "e" or (text == "E" and self.python and self.euler):
            return Constant("e")
        if text == "empty":
            return Sequence("{}", ())
        return Symbol(text)

    def structure(self, text: str) -> Node:
        match text:
            case "frac" | "dfrac" | "tfrac" | "cfrac":
                return binary("div", self.argument(), self.argument())
            case "binom" | "dbinom" | "tbinom":
                return Apply("binom", (self.argument(), self.argument()))
            case "sqrt":
                return self.root()
            case "ldots" | "dots" | "cdots" | "dotsc":
                return Symbol(ELLIPSIS)
            case "sum" | "prod" | "int" | "lim":
                return self.big(text)
            case "mathbb":
                name = self.argument()
                if isinstance(name, Symbol) and name.name in _SETS:
                    return Constant(_SETS[name.name])
            case "angle" | "triangle" | "measuredangle":
                inner = self.expression(JUXTAPOSED)
                return Symbol(f"{text} {letters_of(inner)}")
            case _ if text in ACCENTS:
                inner = self.argument()
                if isinstance(inner, Number) and text != "underline":
                    raise Unparsed(f"{text} over a number")
                if text == "underline":
                    return inner
                named = text != "vec" or all(isinstance(part, Symbol | Apply) for part in walk(inner))
                return Symbol(letters_of(inner)) if named else inner
        raise Unparsed(f"cannot read {text}")

    def root(self) -> Node:
        index: Node | None = None
        if self.peek().text == "[":
            self.at += 1
            items, _, close = self.closed("[")
            if len(items) != 1 or close != "]":
                raise Unparsed("root index")
            index = items[0]
        if self.peek().text == "(":
            self.at += 1
            items, _, _ = self.closed("(")
            if len(items) != 1:
                raise Unparsed("root of a list")
            inner = items[0]
        else:
            inner = self.argument(whole_number=True)
        for side in (inner, index):
            if isinstance(side, Text | Sequence | Quantity | Relation):
                raise Unparsed("root of what is not a value")
        return Apply("root", (inner, index if index is not None else integer(2)))

    def function(self, head: str) -> Node:
        if head == "sqrt":
            return self.root()
        if head == "binom" and self.peek().text != "(":
            return Apply("binom", (self.argument(), self.argument()))
        exponent: Node | None = None
        base: Node | None = None
        while self.peek().text in ("^", "_") and self.peek().kind == "op":
            if self.next().text == "^":
                exponent = self.group() if self.peek().text == "{" else self.expression(50)
            else:
                base = self.argument(whole_number=True)
        if head == "log" and self.python:
            head = "ln"
        if self.peek().text == "(":
            self.at += 1
            items, _, close = self.closed("(")
            if close != ")":
                raise Unparsed("function call")
            args = tuple(items)
        elif self.peek().text == "{":
            args = (self.group(),)
        elif head.startswith("?"):
            raise Unparsed("a function without arguments")
        else:
            self.in_function += 1
            args = (self.expression(JUXTAPOSED),)
            self.in_function -= 1
        node = applied(head, args, base)
        if exponent is None:
            return node
        if isinstance(exponent, Number) and exponent.value == -1 and f"a{head}" in INVERSES:
            return Apply(f"a{head}", args)
        return Apply("pow", (node, exponent))

    def big(self, head: str) -> Node:
        """`\\sum`, `\\prod`, `\\int`, `\\lim` with their bounds; the body runs to the next sum sign."""
        low: Node | None = None
        high: Node | None = None
        while self.peek().text in ("^", "_") and self.peek().kind == "op":
            if self.next().text == "^":
                high = self.argument(whole_number=True)
            elif self.peek().text == "{":
                low = self.group_with_side()
            else:
                low = self.argument(whole_number=True)
        if head == "int":
            self.in_integral += 1
            body = self.expression(20)
            self.in_integral -= 1
            if not (self.peek().text == "d" and self.peek(1).kind == "name"):
                raise Unparsed("an integral without d")
            self.at += 1
            variable = self.name(self.next().text)
            bounds = (low, high) if low is not None and high is not None else ()
            return Apply("integral", (body, variable, *bounds))
        body = self.expression(20 if head != "lim" else JUXTAPOSED)
        if head == "lim":
            if isinstance(low, Relation) and low.ops == ("to",):
                return Apply("limit", (body, *low.terms))
            raise Unparsed("a limit without its point")
        if isinstance(low, Relation) and low.ops == ("=",) and high is not None:
            return Apply("sum" if head == "sum" else "product", (body, low.terms[0], low.terms[1], high))
        raise Unparsed("a sum without bounds")

    def group_with_side(self) -> Node:
        """`{x \\to 3^{-}}`: the side is kept apart from the point."""
        end = self.at
        while end < len(self.tokens) and self.tokens[end].text != "}":
            end += 1
        sided = [t.text for t in self.tokens[max(end - 3, 0) : end + 1]]
        if sided[-3:] in (["{", "-", "}"], ["{", "+", "}"]) and self.tokens[end - 3].text == "^":
            side = sided[-2]
            inner = type(self)(self.tokens[self.at + 1 : end - 3], self.python).answer()
            self.at = end + 1
            self.expect("close", "}")
            if isinstance(inner, Relation) and len(inner.terms) == 2:
                return Relation(inner.ops, (inner.terms[0], Apply("side" + side, (inner.terms[1],))))
            raise Unparsed("a one-sided limit")
        return self.group()
