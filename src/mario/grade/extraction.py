"""The final answer in a whole solution, and which rule found it.

Rules, in order of trust; the last match of a rule counts, because solutions restate their answer at the end:
`\\boxed{..}`, `Final Answer: ..`, `#### ..`, `The answer is ..`, a text that is nothing but an answer, and, under its
own name so that callers can refuse it, the interpreter's last output.

What it does not do: it never parses or judges the answer, and it never guesses the last number of a text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from mario.grade.clean import closing_brace

MAX_BARE = 300  # characters of a text that may itself be the answer
MAX_TEXT = 1_000_000


class ExtractionRule(StrEnum):
    BOXED = "boxed"
    FINAL_ANSWER = "final_answer"
    HASHES = "hashes"
    ANSWER_IS = "answer_is"
    BARE = "bare"
    LAST_OUTPUT = "last_output"


@dataclass(frozen=True, slots=True)
class Extraction:
    """The answer as written, and the rule that found it."""

    answer: str
    rule: ExtractionRule


_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_FINAL = re.compile(
    r"\*{0,2}final\s+answer\*{0,2}\s*(?:is\b)?\s*[:：]?\*{0,2}[ \t]*\n?(?P<answer>[^\n]+)", re.IGNORECASE
)
_HASHES = re.compile(r"^####[ \t]*(?P<answer>[^\n]+)$", re.MULTILINE)
_ANSWER = re.compile(
    r"\b(?:the|our|my)?\s*(?:correct\s+)?answer\s*(?:is|:|=|equals)\s*:?[ \t]*(?:therefore\s+)?(?P<answer>[^\n]+)",
    re.IGNORECASE,
)
_OUTPUT = re.compile(
    r"```(?:output|text)[ \t]*\n(?P<fenced>.*?)\n?```|<output>\s*(?P<tagged>.*?)\s*</output>|"
    r"Observation:[ \t]*(?P<observed>[^\n]*)",
    re.DOTALL,
)
_SENTENCE_END = re.compile(r"(?<=[^\s.\d])\.(?=\s+[A-Z\\$]|\s*$)|(?<=\d)\.(?=\s+[A-Z]|\s*$)|(?<=[$}\])])\.(?=\s|$)")


def extract_answer(text: str) -> str | None:
    """The final answer of a solution as it stands there, or None. The interpreter's output is not taken."""
    found = extract(text)
    return found.answer if found else None


def extract(text: str, *, last_output: bool = False) -> Extraction | None:
    """The final answer with the rule that fired; `last_output` also allows the interpreter's last output."""
    text = text[-MAX_TEXT:]
    boxed = _boxed(text)
    if boxed is not None:
        return Extraction(boxed, ExtractionRule.BOXED)
    for rule, pattern in (
        (ExtractionRule.FINAL_ANSWER, _FINAL),
        (ExtractionRule.HASHES, _HASHES),
        (ExtractionRule.ANSWER_IS, _ANSWER),
    ):
        matches = list(pattern.finditer(text))
        answer = _sentence(matches[-1]["answer"]) if matches else ""
        if answer:
            return Extraction(answer, rule)
    stripped = text.strip()
    if stripped and len(stripped) <= MAX_BARE and _looks_bare(stripped):
        return Extraction(stripped, ExtractionRule.BARE)
    if last_output:
        outputs = [m["fenced"] or m["tagged"] or m["observed"] or "" for m in _OUTPUT.finditer(text)]
        lines = [line for line in (outputs[-1].strip().splitlines() if outputs else []) if line.strip()]
        if lines:
            return Extraction(lines[-1].strip(), ExtractionRule.LAST_OUTPUT)
    return None


def _boxed(text: str) -> str | None:
    """Content of the last box that closes; `\\boxed 5` without braces gives the next token."""
    for found in reversed(list(_BOX.finditer(text))):
        start = found.end()
        if text[start : start + 1] == "{":
            end = closing_brace(text, start)
            if end > 0:
                return text[start + 1 : end].strip()
            # The box's own brace is missing: the formula ends at its dollar, and is whole by itself.
            inner = re.match(r"[^$\n]+(?=\$)", text[start + 1 :])
            if inner and inner[0].count("{") == inner[0].count("}"):
                return inner[0].strip()
        else:
            token = re.match(r"[^\s$.,;]+(?:\.\d+)?", text[start:])
            if token and not token[0].startswith(("\\", "}")):
                return token[0]
    return None


def _sentence(text: str) -> str:
    """The answer's part of its line: up to the end of the sentence, without emphasis marks and dangling `$`."""
    text = text.strip().strip("*").strip()
    restated = _ANSWER.search(text)  # "Final Answer: the final answer is 7. I hope it is correct."
    if restated:
        return _sentence(restated["answer"])
    math = re.match(r"\$\$?(?P<inner>[^$]+)\$\$?[.,]?(?:\s+[A-Z].*)?$", text)
    if math:
        return math["inner"].strip()
    end = _SENTENCE_END.search(text)
    if end:
        text = text[: end.start()]
    return text.strip().rstrip(".").strip()


def _looks_bare(text: str) -> bool:
    """A text that is an answer and nothing else: one line, no sentence around it."""
    if "\n" in text or "```" in text:
        return False
    words = re.findall(r"(?<![\\A-Za-z])[A-Za-z]{2,}", re.sub(r"\\(?:text|mathrm|mbox)\{[^{}]*\}", "", text))
    return len(words) <= 4 and not text.endswith(("?", ":"))
