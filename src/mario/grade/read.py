"""From the text of an answer to its tree, and to its second reading where the text has two.

What it does not do: it looks at one text at a time.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mario.grade.clean import clean
from mario.grade.numbers import number
from mario.grade.parse import Parser
from mario.grade.shape import shape
from mario.grade.tokens import Token, tokenize
from mario.grade.tree import Apply, Node, Sequence, Text, Unparsed, children
from mario.grade.words import prose, special, spelled_number

MAX_DEPTH = 100  # what walks a tree calls itself; Python allows a thousand calls

_INTEGER = re.compile(r"-?\d+", re.ASCII)
_DECIMAL = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_BLANKS = re.compile(r"[-+]?\d+(?:\.\d+)?(?:\s+[-+]?\d+(?:\.\d+)?)+")
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+")
_ARRAY = re.compile(r"[\[\]\d\s.eE+\-]*")
_INDEXED = re.compile(r"(?<![A-Za-z\d])[A-Za-z]\d")  # x1 is x_1, or x times 1
_SPACED = re.compile(r"\d{1,3}(?: \d{3})+")


@lru_cache(maxsize=8192)
def readings(text: str) -> tuple[Node, ...]:
    """The tree of an answer, then its other readings. Raises `Unparsed`."""
    if len(text) < 200 and _DECIMAL.fullmatch(text):
        return (_signed_number(text),)
    try:
        bare = clean(text)
        return _read(bare)
    except RecursionError:
        raise Unparsed("nested too deep") from None


def _signed_number(text: str) -> Node:
    value = number(text.lstrip("-"))
    return shape(Apply("neg", (value,))) if text[0] == "-" else value


def _read(text: str) -> tuple[Node, ...]:
    found = special(text)
    if found is not None:
        return (found,)
    if _BLANKS.fullmatch(text):
        vector = Sequence("<>", tuple(_signed_number(part.lstrip("+")) for part in text.split()))
        if _SPACED.fullmatch(text):
            return (number(text.replace(" ", "")), vector)
        return (vector,)
    if text[0] == "[" and "," not in text and _ARRAY.fullmatch(text):
        text = _commas(text)
    try:
        tokens, python = tokenize(text)
        node = _tree(tokens, python)
    except Unparsed:
        words = prose(text)
        if words is None:
            raise
        return (_spelled(words),)
    if isinstance(node, Text):
        return (_spelled(node),)
    if _GROUPED.fullmatch(text):
        parts = tuple(_signed_number(part.lstrip("+")) for part in text.split(","))
        return (node, Sequence("", parts))
    if python and any(token == ("name", "E", token.spaced) for token in tokens):
        return (node, _tree(tokens, python, euler=False))
    if not python and "\\" not in text and _INDEXED.search(text):
        try:
            return (node, _tree(tokenize(text, python=True)[0], True))
        except Unparsed:
            pass
    return (node,)


def _tree(tokens: list[Token], python: bool, euler: bool = True) -> Node:
    node = Parser(tokens, python, euler).answer()
    level: list[Node] = [node]
    for _ in range(MAX_DEPTH):
        level = [part for item in level for part in children(item)]
        if not level:
            return shape(node)
    raise Unparsed(f"nested deeper than {MAX_DEPTH}")  # chains such as 1/2/3/4/... nest without brackets


def _spelled(node: Text) -> Node:
    return spelled_number(list(node.words)) or node


def _commas(text: str) -> str:
    """A numpy print `[[1 2]\\n [3 4]]` with the commas it leaves out."""
    text = re.sub(r"(?<=[\d.])\s+(?=[-+.\d])", ", ", text)
    return re.sub(r"\]\s*\[", "], [", text)
