"""Questions that a model writes, or that are asked backwards: rephrased, as self-verification, as FOBAR.

The kinds are MetaMath's (arXiv 2309.12284, section 3): a rephrased question has its parent's answer; a backward
question hides one number of its parent and tells the answer instead, and the hidden number is the new answer.
*fobar* appends the answer as a condition and needs no writer; *self_verification* lets the writer turn question and
answer into one statement first. The prompts and examples are our own.

The one idea: a writer is not trusted. Its text is dropped when it loses or brings a number, and what is left counts
only if independent attempts agree (`agree.py`). What this module does not do: call an engine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from mario.augment.candidate import Candidate, Drop, Kind, child
from mario.data.calculator.mentions import Mention, find_mentions
from mario.data.calculator.question import question_values
from mario.types import Problem, Source, Span

MAX_GROWTH = 4  # times the parent's length, plus room for a short parent; past it the writer is rambling
_LETTERS = "xyzwkn"
_STATEMENT_TAIL = " What is the value of the unknown {letter}?"

REPHRASE = """Rewrite the question in other words. Keep every number, every name and what is asked. \
Do not solve it. Write only the new question."""
REPHRASE_EXAMPLES = (
    (
        "A baker puts 6 rolls into each bag. She fills 14 bags and has 5 rolls left. How many rolls did she bake?",
        "After filling 14 bags with 6 rolls each, a baker still has 5 rolls. What is the number of rolls she baked?",
    ),
    (
        "Omar walks 3 km to school and takes the bus back for $2. What does he pay for rides in 20 school days?",
        "Every school day Omar walks the 3 km to school, but rides home on a bus that costs $2. "
        "How much does he spend on rides over 20 school days?",
    ),
)
STATEMENT = """Turn the question and its answer into one statement that says both as facts. \
Keep every number and every name. Ask nothing. Write only the statement."""
STATEMENT_EXAMPLES = (
    (
        "A baker puts 6 rolls into each bag. She fills 14 bags and has 5 rolls left. How many rolls did she bake?\n"
        "Answer: 89",
        "A baker puts 6 rolls into each bag. She fills 14 bags and has 5 rolls left. She baked 89 rolls.",
    ),
    (
        "Omar walks 3 km to school and takes the bus back for $2. What does he pay for rides in 20 school days?\n"
        "Answer: 40",
        "Omar walks 3 km to school and takes the bus back for $2. He pays $40 for rides in 20 school days.",
    ),
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a writer is told: an instruction, examples of (given, written), and what is given now."""

    instruction: str
    examples: tuple[tuple[str, str], ...]
    given: str

    def messages(self) -> tuple[Mapping[str, str], ...]:
        """For chat models."""
        shown = [
            {"role": role, "content": text}
            for pair in self.examples
            for role, text in zip(("user", "assistant"), pair, strict=True)
        ]
        return ({"role": "system", "content": self.instruction}, *shown, {"role": "user", "content": self.given})

    def spans(self) -> tuple[Span, ...]:
        """For models that go on with a text; they stop at `Given:`."""
        shown = "".join(f"Given: {given}\nWritten: {written}\n\n" for given, written in self.examples)
        return (Span(f"{self.instruction}\n\n{shown}Given: {self.given}\nWritten:", Source.PROMPT),)


TEXT_STOPS = ("\nGiven:", "\n\n")


def prompt_for(kind: Kind, parent: Problem) -> Prompt | None:
    """What to ask a writer; None for a kind that needs none."""
    match kind:
        case "rephrase":
            return Prompt(REPHRASE, REPHRASE_EXAMPLES, parent.question)
        case "self_verification":
            return Prompt(STATEMENT, STATEMENT_EXAMPLES, f"{parent.question}\nAnswer: {parent.answer}")
    return None


def make_rephrased(parent: Problem, written: str, copy: int, seed: int, writer: str) -> Candidate | Drop:
    """A writer's version of a question, if it holds the same numbers and does not tell the answer."""
    question = _tidy(written)
    if fault := _fault(parent.question, question):
        return Drop(parent.id, "rephrase", fault, question[:200])
    if question.casefold() == _tidy(parent.question).casefold():
        return Drop(parent.id, "rephrase", "the writer repeated the question")
    brought = question_values(question) - question_values(parent.question)
    if brought & question_values(parent.answer):
        return Drop(parent.id, "rephrase", "the writer tells the answer", question[:200])
    return Candidate(
        child(parent, "rephrase", copy, seed, question=question, answer=parent.answer, writer=writer), "rephrase"
    )


def make_self_verification(
    parent: Problem, written: str, copy: int, seed: int, writer: str, rng: Random
) -> Candidate | Drop:
    """A writer's statement with one of the question's numbers hidden."""
    statement = _tidy(written)
    if fault := _fault(f"{parent.question} {parent.answer}", statement):
        return Drop(parent.id, "self_verification", fault, statement[:200])
    if "?" in statement:
        return Drop(parent.id, "self_verification", "the writer still asks", statement[:200])
    asked = {mention.number for mention in _hideable(parent.question)} - question_values(parent.answer)
    hidden = _choose([mention for mention in _hideable(statement) if mention.number in asked], rng)
    if hidden is None:
        return Drop(parent.id, "self_verification", "no number may be hidden", statement[:200])
    letter = _letter(statement)
    question = statement[: hidden.start] + letter + statement[hidden.end :] + _STATEMENT_TAIL.format(letter=letter)
    new = child(parent, "self_verification", copy, seed, question=question, answer=str(hidden.number),
                changed={hidden.text: letter}, writer=writer)  # fmt: skip
    return Candidate(new, "self_verification")


def make_fobar(parent: Problem, copy: int, seed: int, rng: Random) -> Candidate | Drop:
    """The question with one number hidden and its answer told: no writer needed."""
    hidden = _choose(_hideable(parent.question), rng)
    if hidden is None:
        return Drop(parent.id, "fobar", "no number may be hidden")
    letter = _letter(parent.question)
    question = (
        f"{parent.question[: hidden.start]}{letter}{parent.question[hidden.end :]}\nThe answer to this question is "
        f"{parent.answer}. What is the value of the unknown {letter}?"
    )
    new = child(parent, "fobar", copy, seed, question=question, answer=str(hidden.number),
                changed={hidden.text: letter})  # fmt: skip
    return Candidate(new, "fobar")


def _fault(given: str, written: str) -> str | None:
    """What is plainly wrong with a writer's text."""
    if not written:
        return "the writer wrote nothing"
    if len(written) > MAX_GROWTH * len(given) + 200:
        return "the writer rambled"
    told = {mention.number for mention in find_mentions(given) if mention.number is not None and mention.is_numeral}
    kept = question_values(written)
    if told - kept:
        return "the writer lost a number"
    return None


def _tidy(text: str) -> str:
    """In one line, without the quotes and headings that writers put around."""
    text = " ".join(text.split())
    text = re.sub(r"^(?:Written|Question|Statement|Rewritten question|New question)\s*:\s*", "", text)
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == '"' else text


def _hideable(text: str) -> list[Mention]:
    """Numbers that stand once and plainly; what they count is known from the rest of the sentence."""
    return [mention for mention in find_mentions(text) if mention.kind != "fixed"]


def _choose(mentions: list[Mention], rng: Random) -> Mention | None:
    return rng.choice(mentions) if mentions else None


def _letter(text: str) -> str:
    """A letter that the text does not use by itself."""
    return next((letter for letter in _LETTERS if not re.search(rf"(?<![A-Za-z]){letter}(?![A-Za-z])", text)), "X")
