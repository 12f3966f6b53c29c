"""Tokens to a tree: a precedence parser for LaTeX, Python prints and plain text.

Binding powers, from loose to tight: separators, logic (2), relations (10), sets of reals (12), units (15), sums (20),
products (30), juxtaposition (33), powers (50), postfix signs (60). `1/2x` is (1/2)x, as people write it, and
`\\sin 2x` takes the whole juxtaposition.

The whole input is consumed or `Unparsed` is raised: a grader that reads a prefix accepts wrong answers.
What it does not do: it never evaluates, and it does not decide whether `(1, 2)` is a point or an interval; that is
`shape` and `compare`.
"""

from __future__ import annotations

import re

from mario.grade.brackets import Brackets
from mario.grade.calls import call, environment
from mario.grade.numbers import quoted
from mario.grade.numerals import Numerals
from mario.grade.structures import JUXTAPOSED, Structures, binary
from mario.grade.suffixes import Units
from mario.grade.tokens import Token
from mario.grade.tree import (
    Apply,
    Constant,
    Interval,
    Node,
    Number,
    Quantity,
    Ratio,
    Relation,
    Sequence,
    Symbol,
    Text,
    Unparsed,
)
from mario.grade.units import CURRENCY, NORMAL

MAX_DEPTH = 80  # nested groups; real answers stay under 10
_INFIX = {"+": 20, "-": 20, "pm": 20, "mp": 20, "*": 30, "/": 30, "mod": 25, ":": 16}
_INFIX |= {"union": 12, "intersection": 13, "difference": 13, "and": 2, "or": 2, "&": 2, "choose": 5}
_HEADS = {"+": "add", "*": "mul", "/": "div"}
UNIT_POWER = 15
ENDS = frozenset({"end", "sep", "close", "rel"})


def letter_token(letter: str) -> Token:
    return Token("name", "i" if letter == "I" else letter)


class Parser(Numerals, Brackets, Structures, Units):
    """Operators and operands on top of what the layers below read; one instance parses one answer."""

    def expression(self, power: int) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unparsed(f"nested deeper than {MAX_DEPTH}")
        left = self.prefix()
        while True:
            token = self.peek()
            step = self.infix(left, token, power)
            if step is None:
                break
            left = step
        self.depth -= 1
        return left

    def infix(self, left: Node, token: Token, power: int) -> Node | None:
        kind, text = token.kind, token.text
        if kind == "op":
            if text == "^":
                return self.power(left) if power <= 50 else None
            if text == "!" and power <= 60:
                self.at += 1
                return Apply("factorial", (left,))
            if text == "%":
                if self.python and self.operand_follows(1):
                    return self.binary_operator(left, "mod", 25) if power <= 25 else None
                if isinstance(left, Text | Quantity):
                    raise Unparsed("a percentage of what is no number")
                self.at += 1
                return Apply("pct", (left,))
            if text == "deg":
                self.at += 1
                return Apply("deg", (left,))
            if text == "'" and isinstance(left, Symbol):
                self.at += 1
                return Symbol(left.name + "'")
            if text == "_" and power <= 60:
                return self.subscript(left)
            if text in CURRENCY and power <= UNIT_POWER and not self.operand_follows(1):
                if isinstance(left, Text | Quantity):
                    raise Unparsed("money of what is no amount")
                self.at += 1
                return Quantity(left, CURRENCY[text])
            if text == "|" and not self.bars and isinstance(left, Relation | Apply) and self.peek(1).text == "(":
                return self.binary_operator(left, "or", 2) if power <= 2 else None
            if text in _INFIX:
                return self.binary_operator(left, text, _INFIX[text]) if _INFIX[text] >= power else None
        if kind == "rel":
            return self.relation(left) if power <= 10 else None
        if kind == "sep" and text in ("and", "or") and power == 0 and self.python:
            return None
        if self.unit_follows(left):
            return self.unit(left) if power <= UNIT_POWER else None
        if self.operand_follows(0) and (power <= JUXTAPOSED or self.applies(left, token)):
            return self.juxtaposed(left, token)
        return None

    def binary_operator(self, left: Node, text: str, strength: int) -> Node:
        self.at += 1
        if text == "/":
            return binary("div", left, self.expression(JUXTAPOSED + 1))
        right = self.expression(strength + 1)
        if text == "-":
            right = Apply("neg", (right,))
            return binary("add", left, right)
        if text == ":":
            parts = left.parts if isinstance(left, Ratio) else (left,)
            return Ratio((*parts, right))
        if text == "choose":
            return Apply("binom", (left, right))
        if text in ("and", "or", "&"):
            return binary("or" if text == "or" else "and", left, right)
        return binary(_HEADS.get(text, text), left, right)

    def operand_follows(self, ahead: int) -> bool:
        token = self.peek(ahead)
        match token.kind:
            case "num" | "call" | "begin":
                return True
            case "func":
                return not self.in_function
            case "name":
                after = self.peek(ahead + 1)
                return not (self.in_integral and token.text == "d" and after.kind == "name")
            case "cmd":
                return token.text not in ("not", "ldots", "dots", "cdots", "dotsc")
            case "open":
                return token.text not in ("<",)
            case "word":
                return len(token.text) <= 3
            case "op":
                return (token.text == "|" and not self.bars) or (token.text == "||" and not self.bars)
        return False

    def applies(self, left: Node, token: Token) -> bool:
        """`f(`: a function and its argument, which nothing parts."""
        return isinstance(left, Symbol) and token.text == "(" and left.name in ("f", "g", "h", "F", "G")

    def juxtaposed(self, left: Node, token: Token) -> Node:
        if isinstance(left, Symbol) and self.applies(left, token):
            self.at += 1
            return Apply(f"?{left.name}", tuple(self.closed("(")[0]))
        if isinstance(left, Symbol) and token.text == "(" and self.at == 1 and self.defines():
            self.at += 1
            return Apply(f"?{left.name}", tuple(self.closed("(")[0]))
        if token.kind == "num" and isinstance(left, Number):
            if token.spaced:
                raise Unparsed("two numbers without an operator")
            raise Unparsed("two numbers run together")
        right = self.expression(JUXTAPOSED + 1)
        if isinstance(right, Sequence) and right.kind == "()" and isinstance(left, Symbol):
            return Apply(f"?{left.name}", right.items)
        return binary("mul", left, right)

    def defines(self) -> bool:
        """The bracket ahead is that of `y(t) = ..`: an argument, not a factor."""
        close = next((i for i in range(self.at, len(self.tokens)) if self.tokens[i].text == ")"), -1)
        return 0 < close < len(self.tokens) - 1 and self.tokens[close + 1].text == "="

    def power(self, left: Node) -> Node:
        self.at += 1
        token = self.peek()
        ring, length = (self.peek(1), 3) if token.text == "{" else (token, 1)
        after = self.peek(length)
        small_o = ring.text == "o" and isinstance(left, Number) and not self.python
        if ring.text in ("circ", "deg") or (small_o and (after.kind in ENDS or after.text in ("+", "-"))):
            self.at += length
            return Apply("deg", (left,))
        if isinstance(left, Symbol) and (token.text == "'" or (token.text == "{" and self.peek(1).text == "'")):
            braced = self.accept("open", "{")
            marks = ""
            while self.accept("op", "'"):
                marks += "'"
            if braced:
                self.expect("close", "}")
            return Symbol(left.name + marks)
        if token.text == "{" and self.peek(1).text == "}":
            raise Unparsed("empty exponent")
        if token.kind == "word" and not self.python:  # a^bc is (a^b)c
            self.tokens[self.at : self.at + 1] = [letter_token(letter) for letter in token.text]
        exponent = self.expression(50) if token.text != "{" else self.group()
        return binary("pow", left, exponent)

    def relation(self, left: Node) -> Node:
        ops: list[str] = []
        terms = [left]
        while self.peek().kind == "rel":
            ops.append(self.next().text)
            terms.append(self.expression(11))
        return Relation(tuple(ops), tuple(terms))

    def prefix(self) -> Node:
        token = self.next()
        kind, text = token.kind, token.text
        if kind == "rel" and text in ("~", "=") and self.at == 1:
            return self.expression(11)  # "= 5" and "about 5" say 5
        if kind == "rel" and text in ("<", ">", "<=", ">=") and self.at == 1:
            return Relation((text,), (Symbol(""), self.expression(11)))
        if kind == "num":
            return self.numeral(token)
        if kind == "name":
            based = self.based(text) if text.isupper() and self.peek().kind == "num" else None
            return based or self.name(text)
        if kind == "open":
            return self.bracket(text)
        if kind == "func":
            return self.function(text)
        if kind == "call":
            self.expect("open", "(")
            return call(text, self.closed("(")[0])
        if kind == "cmd":
            return self.structure(text)
        if kind == "string":
            return quoted(text)
        if kind == "begin":
            return environment(self, text)
        if kind in ("word", "text"):
            return self.words(token)
        if kind == "op":
            return self.sign(text)
        raise Unparsed(f"cannot start with {text or 'nothing'!r}")

    def sign(self, text: str) -> Node:
        if text == "-":
            inner = self.expression(29)
            if isinstance(inner, Number):
                return Number(-inner.value, inner.digits, inner.places)
            if isinstance(inner, Text | Sequence | Interval):
                raise Unparsed("minus before a container")
            return Apply("neg", (inner,))
        if text == "+":
            return self.expression(29)
        if text in ("pm", "mp"):
            inner = self.expression(29)
            if isinstance(inner, Text):
                raise Unparsed("a sign before words")
            return Apply(text, (inner,))
        if text in CURRENCY:
            inner = self.expression(UNIT_POWER + 1)
            if isinstance(inner, Text | Quantity):
                raise Unparsed("money of what is no amount")
            return Quantity(inner, CURRENCY[text])
        if text == "|" or text == "||":
            self.bars += 1
            outer, self.in_function = self.in_function, 0
            inner = self.expression(11)
            self.in_function = outer
            self.bars -= 1
            self.expect("op", text)
            return Apply("abs" if text == "|" else "norm", (inner,))
        raise Unparsed(f"cannot start with {text!r}")

    def words(self, token: Token) -> Node:
        """A word at the head of an item: prose, a name before `=`, or letters side by side."""
        after = self.peek()
        if after.kind == "num" and token.text.lower() in ("usd", "eur", "gbp"):
            return Quantity(self.expression(UNIT_POWER + 1), NORMAL[token.text.lower()])
        if token.text.isupper() and (len(token.text) > 1 or after.kind == "num"):
            based = self.based(token.text)
            if based is not None:
                return based
        if self.python and after.kind in ("rel", "op", "sep", "close"):
            return Symbol(token.text)
        if token.kind == "word" and len(token.text) <= 3 and not self.alone() and after.kind not in ("word", "text"):
            letters = tuple(Constant(c.lower()) if c in "eiI" else Symbol(c) for c in token.text)
            if after.text not in ("^", "_", "!"):
                return Apply("mul", letters)
            self.tokens.insert(self.at, letter_token(token.text[-1]))  # ab^2 is a times b^2
            return binary("mul", Apply("mul", letters[:-1]), self.expression(JUXTAPOSED + 1))
        parts = [token.text]
        while self.peek().kind in ("word", "text"):
            parts.append(self.next().text)
        return Text(tuple(re.sub(r"[^a-z0-9]", "", part.lower()) for part in parts))

    def alone(self) -> bool:
        before = self.at - 2
        while before >= 0 and self.tokens[before].kind == "open":
            before -= 1
        argument = before >= 0 and self.tokens[before].kind != "sep"
        return not argument and self.peek().kind in ("end", "sep", "close")
