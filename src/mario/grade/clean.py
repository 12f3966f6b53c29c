"""Text before tokens: wrappers, look-alikes and damage that say nothing about the value.

`clean` undoes what typesetting and printing add (`$..$`, `\\boxed{}`, `\\left`, thin spaces, Unicode, quotes, doubled
backslashes) and nothing else: every character that could carry value reaches the tokenizer.

What it does not do: no rule looks at two answers at once, and no rule drops digits, letters or brackets.
"""

from __future__ import annotations

import re

from mario.grade.names import SUBSCRIPTS, SUPERSCRIPTS, UNICODE
from mario.grade.tree import Unparsed

MAX_CHARACTERS = 4_000  # answers in the wild stay under 1,000; what is longer is a solution, not an answer

_TABLE = str.maketrans(UNICODE)
_SUPER = re.compile(f"[{''.join(SUPERSCRIPTS)}]+")
_SUB = re.compile(f"[{''.join(SUBSCRIPTS)}]+")
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\s*\}|,\s*\\[!,;: ]|\\[,!]\s*,?|\{,\}\\!)\s*(?=\d{3}(?!\d))")
_SPACING = re.compile(r"(?<!\\)(?:\\\\)*\\[,;:!>]|~")
_LOOK = re.compile(
    r"\\(?:left|right|[bB]igg?[lrm]?|middle|displaystyle|textstyle|scriptstyle|limits|nolimits|hfill|hline|rm|bf|"
    r"normalsize|large|Large|LARGE|huge|Huge|small|checkmark|square|blacksquare|qquad|quad|enspace|thinspace)(?![A-Za-z])(?:(?<=left|ight)\s*\.)?"
)
_COLOR = re.compile(r"\\(?:text)?color\s*\{[^{}]*\}")
# A command whose first letters were taken for an escape: "\\boxed" printed as backspace and "oxed".
_ESCAPES = {"\x07": "a", "\x08": "b", "\t": "t", "\x0b": "v", "\x0c": "f", "\r": "r", "\\x07": "a", "\\x08": "b"}
_ESCAPES |= {"\\x0b": "v", "\\x0c": "f"}
_CONTROL = re.compile(
    r"(\x08|\\x08)(?=oxed|inom|egin|eta|ar\b)|(\x0c|\\x0c)(?=rac|box|loor)|(\t)(?=imes|ext|frac|heta|an\b|au\b)|"
    r"(\r)(?=ight|angle|ho\b|floor|ceil)|(\x07|\\x07)(?=lpha|pprox|rc|ngle)|(\x0b|\\x0b)(?=ec\b|arphi|matrix)"
)
_PREFIX = re.compile(
    r"^\s*(?:so|thus|hence|therefore)?,?\s*(?:the|my|our)?\s*(?:final\s+|correct\s+)?(?:answer|result|solution)s?\s*"
    r"(?:(?:is|are|equals)\b\s*:?|:|(?=\\boxed|\$))\s*(?:option\b|choice\b)?\s*",
    re.IGNORECASE,
)
_ENVIRONMENT = re.compile(r"\\begin\s*\{")
_DOUBLED = re.compile(r"\\\\(?=[A-Za-z{}()\[\],;!|%$])")
_RUN = re.compile(r"\\{2,}(?=[A-Za-z])")
_SINGLE_BREAK = re.compile(r"(?<!\\)\\(?=[\d\-.\n]| +-?\d)")
_CELL_COMMANDS = re.compile(
    r"\\+(frac|dfrac|tfrac|sqrt|pi|cdot|infty|theta|text|sin|cos|tan|begin|end|hline)(?![A-Za-z])"
)


def clean(text: str) -> str:
    """The answer's own characters. Raises `Unparsed` when there are none or far too many."""
    if len(text) > MAX_CHARACTERS:
        raise Unparsed(f"longer than {MAX_CHARACTERS} characters")
    if not text.isascii():
        text = _unicode(text)
    if not text.isprintable() or "\\x" in text:
        text = _CONTROL.sub(lambda m: "\\" + _ESCAPES[m[0]], text)
    text = text.strip()
    for _ in range(8):
        bare = _unwrap(text)
        if bare == text:
            break
        text = bare
    text = _THOUSANDS.sub("", _COLOR.sub(" ", text))
    if "\\" in text:
        text = _backslashes(text)
    if "$" in text:
        text = _dollars(text)
    if not text:
        raise Unparsed("empty")
    return text


def _unicode(text: str) -> str:
    text = text.translate(_TABLE)
    text = _SUPER.sub(lambda m: "^{" + "".join(SUPERSCRIPTS[c] for c in m[0]) + "}", text)
    return _SUB.sub(lambda m: "_{" + "".join(SUBSCRIPTS[c] for c in m[0]) + "}", text)


def _unwrap(text: str) -> str:
    """One layer of wrapping off, if the wrapping spans the whole text."""
    text = text.strip()
    while text.endswith(("\\", ".", ",", ";")) and not text.endswith("..."):
        text = text[:-1].rstrip()
    if text.startswith("\\\\boxed{"):
        text = text[1:]
    for opener in ("\\boxed{", "\\fbox{", "\\framebox{", "boxed{", "\\displaystyle"):
        if text.startswith(opener):
            if not opener.endswith("{"):
                return text[len(opener) :]
            end = closing_brace(text, len(opener) - 1)
            if end == len(text) - 1:
                return text[len(opener) : -1]
            rest = text[end + 1 :].strip() if end > 0 else "x"
            if rest in ("$", "$$", "\\]", "\\)"):
                return text[len(opener) : end]
    for left, right in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`")):
        inner = text[len(left) : -len(right)]
        wrapped = len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right)
        if wrapped and left not in inner and right not in inner:
            return inner
    for quote in "'\"":
        if len(text) > 2 and text[0] == text[-1] == quote and quote not in text[1:-1]:
            return text[1:-1]
    found = _PREFIX.match(text)
    if found and found.end() < len(text):
        return text[found.end() :]
    return text


def closing_brace(text: str, start: int) -> int:
    """Index of the brace that closes the one at `start`; -1 where none does."""
    depth = 0
    i = start
    while i < len(text):
        char = text[i]
        if char == "\\":
            i += 2
            continue
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return i
        i += 1
    return -1


def _backslashes(text: str) -> str:
    if _ENVIRONMENT.search(text):
        # Rows are parted by `\\`. Damage comes as one backslash lost (`1\2`) or as all of them doubled (`\\frac`).
        text = _SINGLE_BREAK.sub(r"\\\\", text)
        text = _CELL_COMMANDS.sub(_row_break_and_command, text)
    else:
        text = _DOUBLED.sub(r"\\", text)
        text = text.replace("\\\\", " ")
    return re.sub(r"(?<!\\)\\(?=\s)", " ", _SPACING.sub(" ", _LOOK.sub(" ", text)))


def _row_break_and_command(found: re.Match[str]) -> str:
    slashes = len(found[0]) - len(found[1])
    return ("\\\\ " if slashes >= 3 else "") + "\\" + found[1]


def _dollars(text: str) -> str:
    """Math delimiters go, the sign of the currency stays (as `\\$`)."""
    bare = re.sub(r"\\\$", "\x01", text)
    count = bare.count("$")
    if count % 2:
        # One sign is left over: it is money where a digit follows, damage elsewhere.
        bare = re.sub(r"^(-?)\s*\$\s*(?=[\d.])", "\\1\x01", bare) if count == 1 else bare
    return bare.replace("$", " ").replace("\x01", "\\$").strip()
