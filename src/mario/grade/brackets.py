"""Brackets: points, lists, sets, set builders, mappings, half-open intervals.

What it does not do: whether `(1, 2)` is a point or an interval is for `compare`, which sees the other answer.
"""

from __future__ import annotations

from mario.grade.cursor import CLOSERS, Cursor
from mario.grade.tree import (
    Apply,
    Interval,
    Mapping,
    Node,
    Relation,
    Sequence,
    Unparsed,
)


class Brackets(Cursor):
    """Reads what an opening bracket begins."""

    def bracket(self, opener: str) -> Node:
        if opener in ("lfloor", "lceil", "|"):
            items, _, close = self.closed(opener)
            if close != CLOSERS[opener] or len(items) != 1:
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
        kind = {"\\{": "{}", "<": "<>"}.get(opener, opener + CLOSERS[opener])
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
        if self.peek().kind not in ("name", "word", "text", "string", "num", "op", "cmd") or self.peek().text == "|":
            return None
        colon = next((i for i in range(self.at, min(self.at + 16, len(self.tokens))) if self.tokens[i].text == ":"), -1)
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
