"""Tokens: one scanner for LaTeX, Python and SymPy prints, and plain text.

A token is a kind and a text. Numbers keep their spelling; commands, function names and Greek letters become `name`
whether or not a backslash stands before them; letter runs that mean nothing become `word`, and the parser decides
by context whether a word is a product, a unit or prose.

What it does not do: no nesting, no values. Every character must belong to a token, or the answer is unparsed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mario.grade.clean import closing_brace
from mario.grade.names import (
    ACCENTS,
    CALLS,
    CONNECTIVES,
    CONSTANTS,
    FONTS,
    FUNCTIONS,
    GLUED,
    GREEK,
    LOOKS,
    RELATIONS,
    WORDY,
    words,
)
from mario.grade.tree import Unparsed
from mario.grade.units import NORMAL

MAX_TOKENS = 1_500


class Token(NamedTuple):
    """`kind` is num, name, word, text, op, open, close, sep, rel, sub or end; `spaced` says a blank came before."""

    kind: str
    text: str
    spaced: bool = False


END = Token("end", "", False)

_SCAN = re.compile(
    r"""
    (?P<space>[ \t\r\f\v]+)
  | (?P<newline>\s*\n\s*)
  | (?P<repeat>\d*\.\d*\\(?:overline|bar|dot)\s*\{?\d+\}?)
  | (?P<num>(?:\d+\.\d+|\.\d+|\d+\.(?![.\d])|\d+)(?:[eE][+-]?\d+(?![\w.]))?)
  | (?P<break>\\\\)
  | (?P<command>\\[A-Za-z]+)
  | (?P<escape>\\[{}|%$\#&_])
  | (?P<dunder>__+)
  | (?P<ident>[A-Za-z]+)
  | (?P<rel><=|>=|==|=>|=<|!=|->|[<>=])
  | (?P<power>\*\*|\^)
  | (?P<string>"[^"\n]*"|(?<=[(,=\[{\s])'[^'\n]*')
  | (?P<op>[+\-*/!%|:&'_~£€¥₹])
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
  | (?P<sep>[,;])
  | (?P<dots>\.\.\.)
  | (?P<dot>\.)
    """,
    re.VERBOSE,
)
_GROUPS = re.compile(r"\d{1,3}(?:,\d{3})+(?![\d,]|,\d)(?:\.\d+)?")
_PYTHON = re.compile(r"\*\*|[A-Za-z]\w*\(|\w\*\w|\d \* ")
_PY_IDENT = re.compile(r"[A-Za-z]\w*(?:\.[A-Za-z]\w*)*")
_VERBATIM = re.compile(r"(?=.*[a-z])[a-z0-9]{2,}(?: [a-z0-9]+)*|[a-z0-9](?: [a-z0-9]+)+")
_FUNCTION = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_ENV = re.compile(r"\s*\{\s*([A-Za-z]+)\*?\s*\}(\s*\{[|clr\s]*\})?")
_OPEN_COMMANDS = {"lfloor": "lfloor", "lceil": "lceil", "lvert": "|", "lVert": "||", "langle": "<", "lbrace": "\\{"}
_OPEN_COMMANDS |= {"lbrack": "["}
_CLOSE_COMMANDS = {"rfloor": "rfloor", "rceil": "rceil", "rvert": "|", "rVert": "||", "rangle": ">", "rbrace": "\\}"}
_CLOSE_COMMANDS |= {"rbrack": "]"}
_OPERATORS = {
    "cdot": "*",
    "times": "*",
    "ast": "*",
    "div": "/",
    "pm": "pm",
    "mp": "mp",
    "cup": "union",
    "bigcup": "union",
    "cap": "intersection",
    "setminus": "difference",
    "backslash": "difference",
    "land": "and",
    "wedge": "and",
    "lor": "or",
    "vee": "or",
    "mid": "|",
    "vert": "|",
    "Vert": "||",
    "colon": ":",
    "bmod": "mod",
    "pmod": "mod",
    "prime": "'",
    "degree": "deg",
    "circ": "circ",
    "choose": "choose",
    "percent": "%",
}
_STRUCTURES = frozenset(
    words(
        "frac dfrac tfrac cfrac sqrt binom dbinom tbinom begin end sum prod int lim not angle triangle mathbb "
        "measuredangle ldots dots cdots dotsc therefore square blacksquare stackrel overset underset because"
    )
)
_PLAIN_COMMANDS = frozenset(words("frac dfrac tfrac sqrt binom cdot times boxed pm mp cup cap leq geq neq mathbb text"))


class Scanner:
    """One pass over a cleaned text; `tokens` holds the result."""

    def __init__(self, text: str, python: bool) -> None:
        self.text = text
        self.python = python or ("\\" not in text and bool(_PYTHON.search(text)))
        self.tokens: list[Token] = []
        self.spaced = False
        self.depth: list[str] = []
        self.run(text, 0)

    def add(self, kind: str, text: str) -> None:
        if len(self.tokens) >= MAX_TOKENS:
            raise Unparsed(f"more than {MAX_TOKENS} tokens")
        self.tokens.append(Token(kind, text, self.spaced))
        self.spaced = False

    def run(self, text: str, start: int) -> None:
        position = start
        while position < len(text):
            if text[position].isdigit() and not any(d in "([s" for d in self.depth):
                grouped = _GROUPS.match(text, position)
                if grouped:
                    self.add("num", grouped[0].replace(",", ""))
                    position = grouped.end()
                    continue
            found = _SCAN.match(text, position)
            if found is None:
                raise Unparsed(f"cannot read {text[position]!r}")
            position = self.take(found, text)

    def take(self, found: re.Match[str], text: str) -> int:
        kind, value = found.lastgroup, found[0]
        match kind:
            case "space":
                self.spaced = True
            case "newline":
                if not self.depth and "\\" not in text and self.tokens and self.tokens[-1].kind != "sep":
                    self.add("sep", ",")
                self.spaced = True
            case "num" | "repeat":
                self.add("num", value)
            case "command":
                return self.command(value[1:], text, found.end())
            case "escape":
                self.escape(value)
            case "ident":
                return self.ident(found, text)
            case "power":
                self.add("op", "^")
            case "break":
                self.add("op", "\\\\")
            case "rel":
                self.add("rel", RELATIONS[value])
            case "open":
                after_word = self.tokens and self.tokens[-1].kind in ("name", "op")
                braced = value == "{" and (after_word or "\\" in text)
                self.depth.append("g" if braced else "s" if value == "{" else value)
                self.add("open", value)
            case "close":
                if self.depth:
                    self.depth.pop()
                self.add("close", value)
            case "dots":
                self.add("cmd", "ldots")
            case "string":
                self.add("string", value[1:-1])
            case "op" | "sep":
                self.add(kind, value)
            case _:
                raise Unparsed(f"cannot read {value!r}")
        return found.end()

    def escape(self, value: str) -> None:
        if value in ("\\{", "\\}"):
            self.depth = [*self.depth, "s"] if value == "\\{" else self.depth[:-1]
            self.add("open" if value == "\\{" else "close", value)
        elif value == "\\|":
            self.add("op", "||")
        elif value in ("\\%", "\\$", "\\&"):
            self.add("op", value[1:])
        else:
            self.spaced = True

    def command(self, name: str, text: str, end: int) -> int:
        if name in LOOKS:
            self.spaced = True
        elif name in WORDY or name in FONTS:
            return self.styled(name, text, end)
        elif name in ("begin", "end"):
            found = _ENV.match(text, end)
            if not found:
                raise Unparsed(f"\\{name} without an environment")
            if name == "begin":
                self.depth.append("s")
            elif self.depth:
                self.depth.pop()
            self.add(name, found[1])
            return found.end()
        else:
            self.named(name, backslash=True)
        return end

    def styled(self, name: str, text: str, end: int) -> int:
        """The content of `\\text{..}` (words) or `\\mathrm{..}` (as it stands, single letters stay letters)."""
        while end < len(text) and text[end] == " ":
            end += 1
        if end >= len(text) or text[end] != "{":
            return end
        close = closing_brace(text, end)
        if close < 0:
            raise Unparsed("unclosed brace")
        inner = text[end + 1 : close]
        bare = inner.strip()
        before = len(self.tokens)
        if inner[:1] == " ":
            self.spaced = True
        after_value = bool(self.tokens) and self.tokens[-1].kind in ("num", "close")
        bare = bare.lstrip("~ ")
        if name in FONTS and after_value and (bare == "min" or (len(bare) == 1 and bare in NORMAL)):
            self.add("text", bare)  # units are set in roman type
        elif name == "texttt" and _VERBATIM.fullmatch(bare):
            self.add("string", bare)
        elif name == "mathit" and bare.isalpha() and len(bare) > 1:
            self.add("name", bare)
        elif name in FONTS and bare in FUNCTIONS:
            self.named(bare, backslash=True)
        elif name == "operatorname" and _FUNCTION.fullmatch(bare) and (len(bare) > 1 or text[close + 1 :][:1] == "("):
            self.add("func", f"?{bare}")
        elif re.fullmatch(r"[A-Za-z]+\.?", bare) and (name in WORDY or len(bare) > 1):
            self.word(bare.rstrip("."), text=name in WORDY)
        elif name in WORDY:
            self.words(inner)
        else:
            self.run(inner, 0)
        if inner[-1:] == " ":
            self.spaced = True
        if len(self.tokens) == before:
            self.spaced = True
        return close + 1

    def words(self, inner: str) -> None:
        """Text content: letter runs are words, the rest is scanned as always."""
        for piece in re.finditer(r"\\[A-Za-z]+|[A-Za-z]+(?:'[A-Za-z]+|(?:\.[A-Za-z])+\.?)?|[^A-Za-z\\]+|\\.?", inner):
            if piece[0][0].isalpha():
                self.word(piece[0], text=True)
            else:
                self.run(piece[0].replace("?", " ").replace(". ", " ").rstrip("."), 0)

    def word(self, value: str, text: bool) -> None:
        low = value.lower()
        if low in CONNECTIVES:
            self.add("sep", low)
        elif not text and len(value) == 2 and value[0] == "d" and "\\int" in self.text:
            self.add("name", "d")
            self.add("name", value[1])
        elif low in CONSTANTS and low in ("infinity", "pi"):
            self.add("name", CONSTANTS[low])
        elif low == "percent":
            self.add("op", "%")
        else:
            self.add("text" if text else "word", value)

    def ident(self, found: re.Match[str], text: str) -> int:
        value, end = found[0], found.end()
        if self.python or text[end : end + 1] == "(" or value in ("np", "numpy", "sympy", "math", "S", "Interval"):
            whole = _PY_IDENT.match(text, found.start())
            if whole is not None and (self.python or whole[0].rpartition(".")[2] in CALLS or "." in whole[0]):
                name = whole[0]
                for package in ("np.", "numpy.", "sympy.", "math.", "S.", "sp."):
                    name = name.removeprefix(package)
                if "__" in name:
                    raise Unparsed("double underscore")
                if name not in CONNECTIVES:
                    self.python_name(name, text[whole.end() : whole.end() + 1] == "(")
                    return whole.end()
        if value == "j" and found.start() and text[found.start() - 1].isdigit():
            self.add("name", "i")
        elif value == "U" and self.tokens and self.tokens[-1].kind == "close" and text[end:].lstrip()[:1] in ("(", "["):
            self.add("op", "union")
        elif len(value) == 1:
            self.add("name", "i" if value == "I" else value)
        else:
            self.named(value, backslash=False)
        return end

    def python_name(self, name: str, called: bool) -> None:
        name = name.rstrip("_") or name
        if called and name in CALLS:
            self.add("call", CALLS[name])
        elif "." in name:
            raise Unparsed(f"unknown name {name}")
        elif name == "I":
            self.add("name", "i")
        elif len(name) == 1:
            self.add("name", name)
        elif name in CONSTANTS:
            self.add("name", CONSTANTS[name])
        elif name in FUNCTIONS and called:
            self.add("func", FUNCTIONS[name])
        elif name in ("frac", "pm"):
            self.named(name, backslash=False)
        elif name.lower() in CONNECTIVES:
            self.add("sep", name.lower())
        elif called and len(name) in (2, 3) and name.isalpha() and name.islower():
            for letter in name:  # ab(a + b) is a product
                self.add("name", letter)
        elif called:
            self.add("func", f"?{name}")
        elif name in GREEK:
            self.add("name", name)
        elif any(c.isdigit() or c == "_" for c in name):
            head, index = re.sub(r"^([A-Za-z]+?)_?(\d\w*)$", r"\1_\2", name).partition("_")[::2]
            index = index.replace("_", "")
            self.add("name", f"{head}_{index}" if index else head)
        else:
            self.named(name, backslash=False)

    def named(self, value: str, backslash: bool) -> None:
        """A command or a letter run of two letters and more."""
        low = value.lower()
        if value in _OPEN_COMMANDS and backslash:
            self.add("open", _OPEN_COMMANDS[value])
        elif value in _CLOSE_COMMANDS and backslash:
            self.add("close", _CLOSE_COMMANDS[value])
        elif backslash and value in _OPERATORS:
            self.add("op", _OPERATORS[value])
        elif value in RELATIONS and (backslash or value in ("leq", "geq", "neq")):
            self.add("rel", RELATIONS[value])
        elif value in GREEK:
            self.add("name", value.removeprefix("var"))
        elif backslash and value == "surd":
            self.add("func", "sqrt")
        elif value == "min" and not backslash and self.tokens and self.tokens[-1].kind == "num":
            self.add("word", value)
        elif value in FUNCTIONS:
            self.add("func", FUNCTIONS[value])
        elif value in CONSTANTS:
            self.add("name", CONSTANTS[value])
        elif backslash and (value in _STRUCTURES or value in ACCENTS):
            self.add("cmd", value)
        elif not backslash and value in _PLAIN_COMMANDS:
            if value in _OPERATORS:
                self.add("op", _OPERATORS[value])
            else:
                self.add("cmd", value)
        elif backslash and value == "i":
            self.add("name", "i")
        elif low in CONNECTIVES:
            self.add("sep", low)
        elif self.glued(value):
            pass
        elif backslash:
            raise Unparsed(f"unknown command \\{value}")
        else:
            self.word(value, text=False)

    def glued(self, value: str) -> bool:
        for head in GLUED:
            rest = value[len(head) :]
            if value.startswith(head) and (len(rest) == 1 or rest in GREEK or rest == "pi"):
                self.add("func" if head != "sqrt" else "cmd", head)
                self.add("name", "i" if rest == "I" else CONSTANTS.get(rest, rest))
                return True
        return False


def tokenize(text: str, python: bool = False) -> tuple[list[Token], bool]:
    """The tokens of a cleaned text, and whether it is a Python print (`python` says that it is)."""
    scanner = Scanner(text, python)
    return scanner.tokens, scanner.python
