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
from fractions import Fraction

from mario.grade.calls import call, environment
from mario.grade.names import ACCENTS, PROSE, SCALE_WORDS, words
from mario.grade.tokens import END, Token
from mario.grade.tree import (
    ELLIPSIS,
    Apply,
    Based,
    Constant,
    Interval,
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
)
from mario.grade.units import CURRENCY, NORMAL, PLAIN, normalize

MAX_DEPTH = 80  # nested groups; real answers stay under 10
MAX_EXPONENT = 4_000  # decimal exponent written out exactly

_SETS = {"R": "RR", "Z": "ZZ", "Q": "QQ", "N": "NN", "C": "CC"}
_CLOSERS = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "<": ">", "lfloor": "rfloor", "lceil": "rceil", "|": "|"}
_WORD_BASES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_WORD_BASES |= {"twelve": 12, "sixteen": 16}
_INFIX = {"+": 20, "-": 20, "pm": 20, "mp": 20, "*": 30, "/": 30, "mod": 25, ":": 16}
_INFIX |= {"union": 12, "intersection": 13, "difference": 13, "and": 2, "or": 2, "&": 2, "choose": 5}
_HEADS = {"+": "add", "*": "mul", "/": "div"}
UNIT_POWER = 15
JUXTAPOSED = 33


def number(text: str) -> Number:
    """A numeral as an exact rational; decimals remember what they show."""
    if "\\" in text:
        head, _, tail = text.partition("\\")
        repeated = re.sub(r"\D", "", tail)
        whole, _, fixed = head.partition(".")
        scale = 10 ** len(fixed)
        value = Fraction(int(whole or 0)) + Fraction(int(fixed or 0), scale)
        return Number(value + Fraction(int(repeated), scale * (10 ** len(repeated) - 1)))
    mantissa, _, exponent = text.lower().partition("e")
    power = int(exponent or 0)
    if abs(power) > MAX_EXPONENT:
        raise Unparsed("exponent too large")
    whole, point, fixed = mantissa.partition(".")
    shown = (whole + fixed).lstrip("0")
    value = Fraction(int((whole + fixed) or 0), 10 ** len(fixed))
    value = value * 10**power if power >= 0 else value / 10**-power
    if not (point and fixed) and not exponent:
        return Number(value)
    return Number(value, max(1, len(shown)), len(fixed) - power)


def binary(head: str, left: Node, right: Node) -> Node:
    for side in (left, right):
        if isinstance(side, Text | Quantity | Mapping | Based):
            raise Unparsed(f"{type(side).__name__.lower()} inside arithmetic")
    if head in ("add", "mul", "union", "and", "or") and isinstance(left, Apply) and left.head == head:
        return Apply(head, (*left.args, right))
    return Apply(head, (left, right))


class Parser:
    """Recursive descent over a token list; one instance parses one answer."""

    def __init__(self, tokens: list[Token], python: bool, euler: bool = True) -> None:
        self.tokens = tokens
        self.python = python
        self.euler = euler  # whether the E of a print is the number e
        self.at = 0
        self.depth = 0
        self.bars = 0
        self.in_function = 0
        self.in_integral = 0
        self.enclosed = 0

    # -- token access

    def peek(self, ahead: int = 0) -> Token:
        index = self.at + ahead
        return self.tokens[index] if index < len(self.tokens) else END

    def next(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def accept(self, kind: str, text: str) -> bool:
        token = self.peek()
        if token.kind == kind and token.text == text:
            self.at += 1
            return True
        return False

    def expect(self, kind: str, text: str) -> None:
        if not self.accept(kind, text):
            raise Unparsed(f"expected {text!r}, got {self.peek().text or 'the end'!r}")

    # -- lists

    def answer(self) -> Node:
        """The whole token list as one node."""
        groups: list[Node] = []
        while True:
            items, seps = self.items()
            groups.append(bare(items, seps))
            if not self.accept("sep", ";"):
                break
            if self.peek() is END:
                break
        if self.peek() is not END:
            raise Unparsed(f"cannot read on from {self.peek().text!r}")
        return groups[0] if len(groups) == 1 else Sequence("", tuple(groups))

    def items(self) -> tuple[list[Node], list[str]]:
        """Expressions parted by commas, `and`, `or`, up to a token that ends a list."""
        found: list[Node] = []
        seps: list[str] = []
        while True:
            while self.peek().kind == "sep" and self.peek().text in ("and", "or", ",") and found and not seps:
                break
            found.append(self.expression(0))
            token = self.peek()
            if token.kind != "sep" or (token.text == ";" and not self.enclosed):
                return found, seps
            self.at += 1
            sep = token.text
            if self.peek().kind == "sep" and self.peek().text in ("and", "or"):
                sep = self.next().text  # ", and"
            seps.append(sep)
            if self.peek().kind in ("close", "end"):
                return found, [*seps, "trailing"]

    # -- expressions

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
        if self.operand_follows(0) and power <= JUXTAPOSED:
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

    def juxtaposed(self, left: Node, token: Token) -> Node:
        if isinstance(left, Symbol) and token.text == "(" and left.name in ("f", "g", "h", "F", "G"):
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
        if token == ("name", "o", token.spaced) and isinstance(left, Number) and not self.python:
            self.at += 1
            return Apply("deg", (left,))
        if token.text in ("circ", "deg") or (token.text == "{" and self.peek(1).text in ("circ", "deg", "o")):
            self.at += 1 if token.text != "{" else 3
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
            self.tokens[self.at : self.at + 1] = [Token("name", letter) for letter in token.text]
        exponent = self.expression(50) if token.text != "{" else self.group()
        return binary("pow", left, exponent)

    def subscript(self, left: Node) -> Node:
        self.at += 1
        parts: list[str] = []
        if self.accept("open", "{"):
            while not self.accept("close", "}"):
                token = self.next()
                if token is END:
                    raise Unparsed("unclosed subscript")
                parts.append(token.text)
        else:
            parts.append(self.next().text)
        name = "".join(parts)
        if isinstance(left, Symbol):
            return Symbol(f"{left.name}_{name.replace('_', '')}")
        base = int(name) if name.isdigit() else _WORD_BASES.get(name.lower(), 0)
        digits = spelled(left)
        if digits and 2 <= base <= 36:
            return Based(digits, base)
        raise Unparsed("a subscript on a value")

    def relation(self, left: Node) -> Node:
        ops: list[str] = []
        terms = [left]
        while self.peek().kind == "rel":
            ops.append(self.next().text)
            terms.append(self.expression(11))
        return Relation(tuple(ops), tuple(terms))

    # -- units

    def unit_follows(self, left: Node) -> bool:
        token = self.peek()
        if isinstance(left, Text | Quantity) or token.kind not in ("name", "word", "text", "open"):
            return False
        if token.kind == "name":
            if not (token.spaced and isinstance(left, Number) and token.text in NORMAL):
                return False
            return self.peek(1).text == "/" and self.peek(2).text in NORMAL and self.peek(3) is END  # 12 m/s
        if token.kind == "text":
            return token.text.strip(".").lower() not in PROSE
        if token.kind == "word":
            low = token.text.lower()
            if low in PROSE:
                return False
            return token.text in PLAIN or low in PLAIN or low in SCALE_WORDS or (token.spaced and len(low) > 2)
        braced = token.text == "{" and self.peek(2).text == "}" and isinstance(left, Number)
        inner = self.peek(1)
        return braced and (inner.kind in ("word", "text") or (inner.text in NORMAL and not token.spaced))

    def unit(self, left: Node) -> Node:
        parts: list[str] = []
        words = 0
        while True:
            token = self.peek()
            low = token.text.lower()
            if token.kind in ("word", "text") and low in SCALE_WORDS and not parts:
                self.at += 1
                left = binary("mul", left, integer(SCALE_WORDS[low]))
            elif (token.kind in ("word", "text") and low not in PROSE) or (token.kind == "name" and not parts):
                parts.append(self.next().text)
                words += low not in NORMAL
            elif token.text == "{" and self.peek(2).text == "}" and not parts:
                parts.append(self.peek(1).text)
                self.at += 3
            elif token.text == "^" and parts:
                self.at += 1
                braced = self.accept("open", "{")
                sign = "-" if self.accept("op", "-") else ""
                parts.append(f"^{sign}{self.next().text}")
                if braced:
                    self.expect("close", "}")
            elif parts and (token.text in ("/", "*") or token.text == "per"):
                self.at += 1
                if token.text != "*":
                    parts.append("/")
                if self.peek().kind in ("name", "word", "text"):
                    parts.append(self.next().text)
            else:
                break
            if words > 3:
                raise Unparsed("prose after a value")
        unit = normalize(parts)
        return Quantity(left, unit) if unit else left

    # -- operands

    def group(self) -> Node:
        """A braced argument as one node."""
        self.expect("open", "{")
        outer, self.in_function = self.in_function, 0
        items, seps = self.items()
        self.in_function = outer
        self.expect("close", "}")
        return bare(items, seps)

    def argument(self, whole_number: bool = False) -> Node:
        """A LaTeX argument: a group, or one token (one digit, unless `whole_number`)."""
        token = self.peek()
        if token.text == "{":
            return self.group()
        if token.kind == "num":
            if whole_number or len(token.text) == 1:
                self.at += 1
                return number(token.text)
            if not token.text.isdigit():
                raise Unparsed("a decimal where one digit was expected")
            self.tokens[self.at] = Token("num", token.text[1:])
            return number(token.text[0])
        if token.kind in ("name", "cmd", "func"):
            return self.prefix()
        raise Unparsed("a missing argument")

    def closed(self, opener: str) -> tuple[list[Node], list[str], str]:
        """Items up to the closing bracket, which is returned too; the opener is already taken."""
        outer = self.in_function, self.bars, self.in_integral
        self.in_function = self.bars = self.in_integral = 0
        token = self.peek()
        if token.kind == "close":
            self.at += 1
            self.in_function, self.bars, self.in_integral = outer
            return [], [], token.text
        self.enclosed += 1
        items, seps = self.items()
        self.enclosed -= 1
        close = self.next()
        self.in_function, self.bars, self.in_integral = outer
        if close.kind != "close" or (close.text != _CLOSERS[opener] and {opener, close.text} - set("()[]")):
            raise Unparsed(f"{opener!r} is closed by {close.text or 'nothing'!r}")
        return items, seps, close.text

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
            return Apply(text, (self.expression(29),))
        if text in CURRENCY:
            return Quantity(self.expression(UNIT_POWER + 1), CURRENCY[text])
        if text == "|" or text == "||":
            self.bars += 1
            outer, self.in_function = self.in_function, 0
            inner = self.expression(11)
            self.in_function = outer
            self.bars -= 1
            self.expect("op", text)
            return Apply("abs" if text == "|" else "norm", (inner,))
        raise Unparsed(f"cannot start with {text!r}")

    def numeral(self, token: Token) -> Node:
        text = token.text
        value = number(text)
        after = self.peek()
        if after.text == "_" and "." in text:
            return self.rebased(self.at, text)
        if after.kind == "cmd" and after.text == "ldots" and "." in text and not after.spaced:
            self.at += 1  # 0.3333... shows what it shows
            return value
        if not text.isdigit():
            return value
        if after.kind == "cmd" and after.text in ("frac", "dfrac", "tfrac"):
            mark = self.at
            saved = list(self.tokens)
            self.at += 1
            top, bottom = self.argument(), self.argument()
            if isinstance(top, Number) and isinstance(bottom, Number) and 0 < top.value < bottom.value:
                return Number(value.value + top.value / bottom.value)
            self.at, self.tokens = mark, saved
        elif after.kind == "num" and after.spaced and after.text.isdigit() and self.peek(1).text == "/":
            bottom_token = self.peek(2)
            if bottom_token.kind == "num" and bottom_token.text.isdigit() and int(bottom_token.text) > int(after.text):
                self.at += 3
                return Number(value.value + Fraction(int(after.text), int(bottom_token.text)))
        elif after.text == "_" or (after.kind in ("name", "word", "text") and not after.spaced):
            based = self.based(text)
            if based is not None:
                return based
        return value

    def based(self, text: str) -> Node | None:
        """A numeral with letters and a base subscript, such as `2A_{16}`."""
        end = self.at
        digits = text
        while self.tokens[end : end + 1] and self.tokens[end].kind in ("name", "word", "text", "num"):
            if not self.tokens[end].text.isalnum() or self.tokens[end].spaced:
                return None
            digits += self.tokens[end].text
            end += 1
        if end < len(self.tokens) and self.tokens[end].text == "_":
            mark = self.at
            self.at = end
            try:
                return self.rebased(end, digits)
            except Unparsed:
                self.at = mark
        return None

    def rebased(self, underscore: int, digits: str) -> Node:
        self.at = underscore + 1
        braced = self.accept("open", "{")
        name = self.next().text
        if braced:
            self.expect("close", "}")
        base = int(name) if name.isdigit() else _WORD_BASES.get(name.lower(), 0)
        if not 2 <= base <= 36 or any(c not in "." and (not c.isalnum() or int(c, 36) >= base) for c in digits):
            raise Unparsed("not a numeral in this base")
        return Based(digits.upper(), base)

    def name(self, text: str) -> Node:
        if text in ("pi", "oo", "nan", "i", "phi", "RR", "ZZ", "QQ", "NN", "CC"):
            return Constant(text) if text != "phi" else Symbol("phi")
        if text == "e" or (text == "E" and self.python and self.euler):
            return Constant("e")
        if text == "empty":
            return Sequence("{}", ())
        return Symbol(text)

    def bracket(self, opener: str) -> Node:
        if opener in ("lfloor", "lceil", "|"):
            items, _, close = self.closed(opener)
            if close != _CLOSERS[opener] or len(items) != 1:
                raise Unparsed(f"{opener} without its pair")
            return Apply({"lfloor": "floor", "lceil": "ceil", "|": "abs"}[opener], (items[0],))
        if opener in ("{", "\\{"):
            condition = self.builder()
            if condition is not None:
                return condition
            pairs = self.mapping()
            if pairs is not None:
                return pairs
        items, seps, close = self.closed(opener)
        if opener + close in ("[)", "(]"):
            if len(items) != 2:
                raise Unparsed("mixed brackets")
            return Interval(items[0], items[1], opener == "(", close == ")")
        if ":" in seps:
            raise Unparsed("colon in a list")
        if "\\{" in opener and len(items) == 1 and isinstance(items[0], Relation):
            return items[0]
        if opener in ("(", "{") and len(items) == 1:
            if opener == "(" and seps:
                return Sequence("()", tuple(items))
            return items[0]
        kind = {"\\{": "{}", "<": "<>"}.get(opener, opener + _CLOSERS[opener])
        return Sequence(kind, tuple(items))

    def builder(self) -> Node | None:
        """`{x | 0 < x < 1}` as its condition; None when it is no such set. The brace is already taken."""
        head = self.at + 1
        if self.peek().kind != "name":
            return None
        if self.peek(1).text == "in":
            head = next((i for i in range(head, len(self.tokens)) if self.tokens[i].text in ("|", ":")), head)
            if [t.text for t in self.tokens[self.at + 2 : head]] not in (["mathbb", "{", "R", "}"], ["RR"], ["R"]):
                return None
        end = next((i for i in range(head, len(self.tokens)) if self.tokens[i].text in ("}", "\\}")), -1)
        if end < 0 or self.tokens[head].text not in ("|", ":"):
            return None
        if not any(token.kind == "rel" for token in self.tokens[head:end]):
            return None
        self.at = head + 1
        items, seps = self.items()
        if self.next().kind != "close":
            raise Unparsed("unclosed set")
        return items[0] if len(items) == 1 else Apply("or" if "or" in seps else "and", tuple(items))

    def mapping(self) -> Node | None:
        """`{x: 1, y: 2}` as a mapping; None when it is not one. The brace is already taken."""
        if self.peek().kind not in ("name", "word", "num", "op") or self.peek().text == "|":
            return None
        colon = next((i for i in range(self.at, min(self.at + 6, len(self.tokens))) if self.tokens[i].text == ":"), -1)
        if colon < 0 or any(self.tokens[i].kind in ("close", "sep") for i in range(self.at, colon)):
            return None
        pairs: list[tuple[Node, Node]] = []
        while True:
            key = self.expression(17)
            self.expect("op", ":")
            pairs.append((key, self.expression(2)))
            if not self.accept("sep", ","):
                break
        token = self.next()
        if token.kind != "close" or token.text not in ("}", "\\}"):
            raise Unparsed("unclosed mapping")
        return Mapping(tuple(pairs))

    def words(self, token: Token) -> Node:
        """A word at the head of an item: prose, a name before `=`, or letters side by side."""
        after = self.peek()
        if after.kind == "num" and token.text.lower() in ("usd", "eur", "gbp"):
            return Quantity(self.expression(UNIT_POWER + 1), NORMAL[token.text.lower()])
        if token.text.isupper():
            based = self.based(token.text)
            if based is not None:
                return based
        if self.python and after.kind in ("rel", "op", "sep", "close"):
            return Symbol(token.text)
        if token.kind == "word" and len(token.text) <= 3 and not self.alone() and after.kind not in ("word", "text"):
            letters = tuple(Constant(c.lower()) if c in "eiI" else Symbol(c) for c in token.text)
            return Apply("mul", letters)
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
                if text == "underline":
                    return inner
                return Symbol(letters_of(inner)) if text != "vec" or isinstance(inner, Symbol) else inner
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
            inner = Parser(self.tokens[self.at + 1 : end - 3], self.python).answer()
            self.at = end + 1
            self.expect("close", "}")
            if isinstance(inner, Relation) and len(inner.terms) == 2:
                return Relation(inner.ops, (inner.terms[0], Apply("side" + side, (inner.terms[1],))))
            raise Unparsed("a one-sided limit")
        return self.group()


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


def bare(items: list[Node], seps: list[str]) -> Node:
    """Items without brackets: one item is itself, inequalities join by logic, the rest is a list without order."""
    if len(items) == 1:
        return items[0]
    joined = {sep for sep in seps if sep != "trailing"}
    inequalities = all(isinstance(i, Relation) and "=" not in i.ops and "~" not in i.ops for i in items)
    if inequalities and joined & {"or", "and"}:
        return Apply("or" if "or" in joined else "and", tuple(items))
    if joined == {"or"} and all(isinstance(i, Interval) for i in items):
        return Apply("or", tuple(items))
    return Sequence("", tuple(items))


def quoted(text: str) -> Node:
    """A quoted argument of a print: a number, a sign, or words."""
    text = text.strip()
    if re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", text, re.IGNORECASE):
        value = number(text.lstrip("-"))
        return Number(-value.value, value.digits, value.places) if text[0] == "-" else value
    words = {"-": "minus", "+": "plus"}.get(text, text)
    return Text(tuple(re.findall(r"[a-z0-9]+", words.lower())))


def spelled(node: Node) -> str:
    """Digits of a numeral that carries a base subscript."""
    if isinstance(node, Number) and node.digits == 0 and node.value.denominator == 1 and node.value >= 0:
        return str(node.value)
    if isinstance(node, Text) and len(node.words) == 1:
        return node.words[0].upper()
    return ""


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
