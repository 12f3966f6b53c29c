r"""The paper's student format, as spans (arXiv 2401.08190; layout as its released harness writes it).

    Question: {question}

    Solution:

    <p>
    {thought}
    </p>

    <code>
    ```python
    {code}
    ```
    </code>
    Output: {output}

    <p>
    {thought}
    </p>

    Final Answer: ${answer}$

The idea: who wrote what is kept beside the text, so an output that imitates our markup is still an output. In the
text, lines of an output that look like markup carry a backslash, so that text alone (`from_text`) parses back to the
same steps.

The `<p>` that opens each turn is ours (every request is primed with it); `</code>` is the model's, so that it
learns to stop. Besides the paper's two stop strings a new `Question:` ends a turn: models that were not
tuned on the format go on to invent one.

What this module does not do: keep a status or a time in the text; `parse` gives every observation as `ok`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mario.transcript.moves import Answer, Context, Demonstration, Malformed, Move, RunCode, with_turn
from mario.types import (
    Completion,
    FinishReason,
    Observation,
    ObservationStatus,
    Source,
    Span,
    Step,
    StopReason,
)

OPEN, CLOSE = "<p>\n", "</p>"
CODE_OPEN, CODE_CLOSE = "<code>", "</code>"
FINAL = "Final Answer:"
OUTPUT = "\nOutput: "
NEXT_QUESTION = "\nQuestion:"
_MARKUP_LINE = re.compile(rf"^\\*(?:{re.escape(OPEN.strip())}|{re.escape(FINAL)}|Question:)", re.MULTILINE)
_ESCAPED_LINE = re.compile(_MARKUP_LINE.pattern.replace(r"\\*", r"\\+"), re.MULTILINE)
_FENCE = re.compile(r"\A\s*```[a-zA-Z0-9]*[ \t]*\n?(.*?)\n?[ \t]*```\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Inline:
    """`inline` with code, `text` without; both are one markup with another heading."""

    code: bool = True

    @property
    def name(self) -> str:
        return "inline" if self.code else "text"

    @property
    def heading(self) -> str:
        return "Solution:" if self.code else "Solution without code:"

    @property
    def stop(self) -> tuple[str, ...]:
        return ("\n" + CODE_CLOSE, CODE_CLOSE, NEXT_QUESTION)

    @property
    def tools(self) -> tuple[Mapping[str, Any], ...]:
        return ()

    def start(self, question: str, demonstrations: tuple[Demonstration, ...] = ()) -> Context:
        shots = "".join(self.to_text(d.question, d.steps, d.answer) + "\n\n" for d in demonstrations)
        return Context(spans=(Span(f"{shots}Question: {question}\n\n{self.heading}\n\n{OPEN}", Source.PROMPT),))

    def add_completion(self, context: Context, completion: Completion) -> Context:
        return with_turn(context, completion)

    def add_observation(self, context: Context, observation: Observation) -> Context:
        text = f"{OUTPUT}{_escape(observation.output)}\n\n{OPEN}"
        return Context(spans=(*context.spans, Span(text, Source.INTERPRETER)))

    def read(self, completion: Completion) -> Move:
        """Name what the turn asks for; any text at all gives a `Move`, never an exception."""
        text, stop = completion.text, completion.stop
        thought, rest = _split_thought(text)
        code_at = rest.find(CODE_OPEN) if self.code else -1
        # A print of the words "Final Answer:" inside a program is no answer.
        answer = _final_answer(rest if code_at < 0 else rest[:code_at]) or _final_answer(thought)
        if code_at >= 0 and answer is not None:
            return Malformed(thought, StopReason.CODE_AND_ANSWER)
        if code_at >= 0 and stop in ("\n" + CODE_CLOSE, CODE_CLOSE):
            return RunCode(thought, _unfence(rest[code_at + len(CODE_OPEN) :]))
        if answer is not None:
            return Answer(_without_answer(thought), answer)
        if completion.finish is FinishReason.CONTEXT:
            return Malformed(thought, StopReason.CONTEXT_LIMIT)
        if completion.finish is FinishReason.LENGTH:
            return Malformed(thought, StopReason.TOKEN_LIMIT)
        return Malformed(thought, StopReason.UNCLOSED_CODE if code_at >= 0 else StopReason.NO_ACTION)

    def render(self, question: str, steps: tuple[Step, ...], answer: str | None) -> Context:
        """Spans of a finished solution: every step but the last has code and an observation.

        Raises:
            ValueError: a step cannot be written in this markup (it would not parse back).
        """
        context = self.start(question)
        for index, step in enumerate(steps):
            last = index == len(steps) - 1
            text = _model_text(step, answer if last else None, self.code)
            context = Context(spans=(*context.spans, Span(text, Source.MODEL)))
            if step.observation is not None:
                context = self.add_observation(context, step.observation)
            elif not last:
                raise ValueError(f"step {index} has no observation but is not the last")
        return context

    def parse(self, context: Context) -> tuple[tuple[Step, ...], str | None]:
        """Steps and answer; text that asks for nothing becomes a last step without code."""
        steps: list[Step] = []
        answer: str | None = None
        for span in context.spans:
            if span.source is Source.INTERPRETER and steps:
                steps[-1] = Step(steps[-1].thought, steps[-1].code, _read_observation(span.text))
            elif span.source is Source.MODEL:
                move = self.read(_as_completion(span.text, self.stop))
                steps.append(Step(move.thought, move.code if isinstance(move, RunCode) else None))
                answer = move.answer if isinstance(move, Answer) else None
        return tuple(steps), answer

    def to_text(self, question: str, steps: tuple[Step, ...], answer: str | None) -> str:
        return "".join(span.text for span in self.render(question, steps, answer).spans)

    def from_text(self, text: str) -> tuple[str, tuple[Step, ...], str | None]:
        """Question, steps and answer from plain text; the inverse of `to_text`.

        Raises:
            ValueError: the text does not open with a question and a solution heading.
        """
        prompt, mark, body = text.partition(f"\n\n{self.heading}\n\n{OPEN}")
        if not mark or not prompt.startswith("Question: "):
            raise ValueError(f"expected 'Question: …' and '{self.heading}', got {text[:60]!r}")
        spans = [Span(prompt + mark, Source.PROMPT)]
        while body:
            turn, closed, after = body.partition(CODE_CLOSE + OUTPUT)
            if not closed:
                spans.append(Span(body, Source.MODEL))
                break
            output, more, body = after.partition(f"\n\n{OPEN}")
            spans.append(Span(turn + CODE_CLOSE, Source.MODEL))
            spans.append(Span(OUTPUT + output + more, Source.INTERPRETER))
        return (prompt.removeprefix("Question: "), *self.parse(Context(spans=tuple(spans))))


def _model_text(step: Step, answer: str | None, may_code: bool) -> str:
    for mark in (CLOSE, FINAL, CODE_CLOSE, NEXT_QUESTION, *([CODE_OPEN] if may_code else [])):
        if mark in step.thought:
            raise ValueError(f"a thought may not hold {mark!r}: {step.thought[:60]!r}")
    text = f"{step.thought}\n{CLOSE}"
    if step.code is not None:
        if not may_code or answer is not None:
            raise ValueError("a step holds either code or the answer, and in the text format no code")
        if CODE_CLOSE in step.code or NEXT_QUESTION in step.code:
            raise ValueError(f"code may not hold {CODE_CLOSE!r} or {NEXT_QUESTION!r}: a turn stops there")
        return f"{text}\n\n{CODE_OPEN}\n```python\n{step.code}\n```\n{CODE_CLOSE}"
    if answer is None:
        return text
    return f"{text}\n\n{FINAL} ${' '.join(answer.split())}$"


def _split_thought(text: str) -> tuple[str, str]:
    """The thought, and what follows it; a turn that forgot to close its paragraph is forgiven."""
    thought, closed, rest = text.partition(CLOSE)
    if closed and CODE_OPEN not in thought:
        return thought.removesuffix("\n"), rest
    at = text.find(CODE_OPEN)
    return (text[:at].strip("\n"), text[at:]) if at >= 0 else (text.strip("\n"), "")


def _final_answer(text: str) -> str | None:
    at = text.find(FINAL)
    if at < 0:
        return None
    line = text[at + len(FINAL) :].lstrip(" ").split("\n", 1)[0].strip().removesuffix(CLOSE).rstrip()
    if len(line) >= 2 and line[0] == line[-1] == "$":
        line = line[1:-1].strip()
    return line or None


def _without_answer(thought: str) -> str:
    return thought.partition(FINAL)[0].rstrip("\n")


def _unfence(block: str) -> str:
    fenced = _FENCE.match(block)
    return fenced.group(1) if fenced else block.strip("\n")


def _escape(output: str) -> str:
    return _MARKUP_LINE.sub(lambda m: "\\" + m.group(0), output)


def _unescape(output: str) -> str:
    return _ESCAPED_LINE.sub(lambda m: m.group(0)[1:], output)


def _read_observation(text: str) -> Observation:
    output = text.removeprefix(OUTPUT).removesuffix(OPEN).removesuffix("\n\n")
    return Observation(_unescape(output), ObservationStatus.OK)


def _as_completion(text: str, stops: tuple[str, ...]) -> Completion:
    """A stored model span, as the completion it came from."""
    for stop in stops:
        if text.endswith(stop):
            return Completion(text.removesuffix(stop), FinishReason.STOP, stop)
    return Completion(text, FinishReason.STOP)
