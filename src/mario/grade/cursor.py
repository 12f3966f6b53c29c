"""The token list with a place in it, and what every part of the parser needs: groups, arguments, lists.

`Cursor` is the root of the parser's classes; each layer above adds what it can read. What it does not do: it knows
no operator. `expression` and `prefix` belong to the layer on top (`parse`).
"""

from __future__ import annotations

from mario.grade.numbers import number
from mario.grade.tokens import END, Token
from mario.grade.tree import (
    Apply,
    Interval,
    Node,
    Relation,
    Sequence,
    Unparsed,
)

CLOSERS = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "<": ">", "lfloor": "rfloor", "lceil": "rceil", "|": "|"}


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


class Cursor:
    """A place in a token list, and the brackets and constructs that enclose it."""

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

    def expression(self, power: int) -> Node:
        """One expression of operators that bind at least as tightly as `power`."""
        raise NotImplementedError

    def prefix(self) -> Node:
        """One operand, or a sign and its operand."""
        raise NotImplementedError

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
        if close.kind != "close" or (close.text != CLOSERS[opener] and {opener, close.text} - set("()[]")):
            raise Unparsed(f"{opener!r} is closed by {close.text or 'nothing'!r}")
        return items, seps, close.text
