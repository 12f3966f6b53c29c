r"""The teacher's format: ReAct, after the paper's annotation prompt (arXiv 2401.08190), in our own words.

    Question: {question}
    Thought: {thought}
    Action: python_interpreter
    Action Input:
    ```python
    {code}
    ```
    Observation: {output}
    Thought: {thought}
    Final Answer: ${answer}$

One markup, two carriers. `react` is a conversation: one user message holds the rules, two demonstrations and the
question; each turn is an assistant message, each observation a user message. `react-text` is the same as one growing
text, primed with `Thought:`, for engines that only continue a text. The paper sends the whole text as one user message
at every step; as a conversation no model is asked to go on in the middle of a message.

Teachers are not tuned on this, so reading forgives what they do: a forgotten `Action:`, bold headings, a fence without
a language or none, a turn that ends without waiting for its observation. An output that imitates our headings is
still an output: authors are kept beside the text, and such lines carry a backslash for the model's eyes.

What this module does not do: it writes no student's format (`render_as` does, from the steps).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mario.transcript.moves import Answer, Context, Demonstration, Malformed, Move, RunCode, with_turn
from mario.transcript.react_prompt import FINAL, RULES, SHOTS
from mario.types import Completion, FinishReason, Observation, ObservationStatus, Source, Span, Step, StopReason

ACTION = "python_interpreter"
THOUGHT, OBSERVATION = "Thought:", "Observation:"
STOP = ("\n" + OBSERVATION, OBSERVATION, "\nQuestion:")  # the paper's two; the third for models that go on alone
_HEADING = re.compile(r"^[ \t#]*(?:\*\*)?(Thought|Action Input|Action|Final Answer)[ \t]*:(?:\*\*)?", re.MULTILINE)
_FENCE_OPEN = re.compile(r"^[ \t]*```[^\n`]*(?:\n|\Z)", re.MULTILINE)
_FENCE_CLOSE = re.compile(r"^[ \t]*```", re.MULTILINE)
_MARKUP_LINE = re.compile(
    rf"^\\*(?:{'|'.join(map(re.escape, (THOUGHT, 'Action:', 'Action Input:', OBSERVATION, FINAL, 'Question:')))})",
    re.MULTILINE,
)
_ESCAPED_LINE = re.compile(_MARKUP_LINE.pattern.replace(r"\\*", r"\\+"), re.MULTILINE)


@dataclass(frozen=True, slots=True)
class React:
    """`react` with `chat`, `react-text` without."""

    chat: bool = True

    @property
    def name(self) -> str:
        return "react" if self.chat else "react-text"

    @property
    def stop(self) -> tuple[str, ...]:
        return STOP

    @property
    def tools(self) -> tuple[Mapping[str, Any], ...]:
        return ()

    def start(self, question: str, demonstrations: tuple[Demonstration, ...] = ()) -> Context:
        """The rules, the demonstrations (two of ours where none are given) and the question."""
        shots = demonstrations or SHOTS
        text = "\n\n".join(
            [
                RULES,
                f"Here {'is 1 example' if len(shots) == 1 else f'are {len(shots)} examples'}.",
                *map(_written, shots),
                "Now your question.",
            ]
        )
        text += f"\n\nQuestion: {question}"
        if self.chat:
            return Context(messages=({"role": "user", "content": text},))
        return Context(spans=(Span(f"{text}\n{THOUGHT}", Source.PROMPT),))

    def add_completion(self, context: Context, completion: Completion) -> Context:
        if self.chat:
            return Context(messages=(*context.messages, {"role": "assistant", "content": completion.text}))
        return with_turn(context, completion)

    def add_observation(self, context: Context, observation: Observation) -> Context:
        output = _MARKUP_LINE.sub(lambda m: "\\" + m.group(0), observation.output)
        if self.chat:
            return Context(
                messages=(*context.messages, {"role": "user", "content": f"{OBSERVATION} {output}"}),
            )
        # The model may have written the heading itself (its stop string), or ended its turn before it.
        heading = "" if context.spans[-1].text.endswith(OBSERVATION) else f"\n{OBSERVATION}"
        return Context(spans=(*context.spans, Span(f"{heading} {output}\n{THOUGHT}", Source.INTERPRETER)))

    def read(self, completion: Completion) -> Move:
        """Name what the turn asks for; any text at all gives a `Move`, never an exception."""
        turn = _Turn.of(completion.text)
        cut_short = completion.finish is not FinishReason.STOP
        if turn.code is not None and turn.answer is not None:
            return Malformed(turn.thought, StopReason.CODE_AND_ANSWER)
        if turn.code is not None and (turn.is_closed or not cut_short):
            # Some servers do not say that a stop string ended the turn, so a fence left open is no reason not to run.
            return RunCode(turn.thought, turn.code)
        if turn.answer is not None and not (cut_short and turn.ends_with_answer):  # the tokens ran out: digits may lack
            return Answer(turn.thought, turn.answer)
        if completion.finish is FinishReason.CONTEXT:
            return Malformed(turn.thought, StopReason.CONTEXT_LIMIT)
        return Malformed(turn.thought, StopReason.TOKEN_LIMIT if cut_short else StopReason.NO_ACTION)

    def render(self, question: str, steps: tuple[Step, ...], answer: str | None) -> Context:
        """The context a finished solution would have left behind: every step but the last has code and an observation.

        Raises:
            ValueError: a step cannot be written in this markup (it would not parse back).
        """
        context = self.start(question)
        for index, step in enumerate(steps):
            last = index == len(steps) - 1
            text = _model_text(step, answer if last else None)
            if self.chat:
                turn = Completion(text, FinishReason.STOP)
            else:  # the prompt holds the first heading, and the model's text its stop string
                stop = STOP[0] if step.code is not None else None
                turn = Completion(text.removeprefix(THOUGHT), FinishReason.STOP, stop)
            context = self.add_completion(context, turn)
            if step.observation is not None:
                context = self.add_observation(context, step.observation)
            elif not last:
                raise ValueError(f"step {index} has no observation but is not the last")
        return context

    def parse(self, context: Context) -> tuple[tuple[Step, ...], str | None]:
        steps: list[Step] = []
        answer: str | None = None
        for source, text in self._turns(context):
            if source is Source.INTERPRETER and steps:
                seen = Observation(_ESCAPED_LINE.sub(lambda m: m.group(0)[1:], text), ObservationStatus.OK)
                steps[-1] = Step(steps[-1].thought, steps[-1].code, seen)
            elif source is Source.MODEL:
                move = self.read(_as_completion(text))
                steps.append(Step(move.thought, move.code if isinstance(move, RunCode) else None))
                answer = move.answer if isinstance(move, Answer) else None
        return tuple(steps), answer

    def _turns(self, context: Context) -> list[tuple[Source, str]]:
        """What the model wrote and what it saw, in order; the prompt left out."""
        if self.chat:
            sources = {"assistant": Source.MODEL, "user": Source.INTERPRETER}
            return [
                (sources[message["role"]], message["content"].removeprefix(f"{OBSERVATION} "))
                for message in context.messages[1:]
            ]
        return [
            (span.source, span.text)
            if span.source is Source.MODEL
            else (span.source, span.text.removeprefix(f"\n{OBSERVATION}")[1:].removesuffix(f"\n{THOUGHT}"))
            for span in context.spans[1:]
        ]


@dataclass(frozen=True, slots=True)
class _Turn:
    """One turn, taken apart: `is_closed` when its code ended by itself, `ends_with_answer` when nothing follows it."""

    thought: str
    code: str | None = None
    answer: str | None = None
    is_closed: bool = False
    ends_with_answer: bool = False

    @classmethod
    def of(cls, text: str) -> _Turn:
        text = text.partition(OBSERVATION)[0]  # what stands after it was made up, wherever it came from
        before, code, after, is_closed = _split_code(text)
        thought, answer, ends = _split_answer(before)
        if answer is None and code is not None:
            _, answer, ends = _split_answer(after)
        return cls(_thought(thought), code, answer, is_closed, ends)


def _split_code(text: str) -> tuple[str, str | None, str, bool]:
    """Text before the action, its code, text after, and whether the code is whole.

    An action that names another tool than ours, or none, has no code.
    """
    headings = {found.group(1): found for found in reversed(list(_HEADING.finditer(text)))}  # the first of each
    given = headings.get("Action Input")
    if given is None:
        return text, None, "", False
    action = headings.get("Action")
    start = given.start()
    if action is not None and action.start() < given.start():
        start = action.start()
        if "python" not in text[action.end() : given.start()].lower():
            return text[:start], None, "", False
    body = text[given.end() :]
    fence = _FENCE_OPEN.search(body)
    if fence is None:
        bare, mark, rest = body.partition(f"\n{FINAL}")
        code = bare.strip("`\n ")
        return text[:start], code or None, mark + rest, False
    closing = _FENCE_CLOSE.search(body, fence.end())
    if closing is None:
        return text[:start], body[fence.end() :].removesuffix("\n"), "", False
    return text[:start], body[fence.end() : closing.start()].removesuffix("\n"), body[closing.end() :], True


def _split_answer(text: str) -> tuple[str, str | None, bool]:
    """Text before the answer, the answer (None where there is none), and whether the text ends with it."""
    before, mark, rest = text.partition(FINAL)
    if not mark:
        return text, None, False
    is_bold = before.endswith("**")
    line, more, _ = (rest.removeprefix("**") if is_bold else rest).lstrip().partition("\n")
    answer = line.strip()
    if is_bold:
        before, answer = before.removesuffix("**"), answer.removesuffix("**")
    if len(answer) >= 2 and answer[0] == answer[-1] == "$":
        answer = answer[1:-1].strip()
    return before, answer or None, not more


def _thought(text: str) -> str:
    found = _HEADING.match(text)
    return (text[found.end() :] if found and found.group(1) == "Thought" else text).strip()


def _written(shot: Demonstration) -> str:
    """A demonstration as one text."""
    pieces = [f"Question: {shot.question}"]
    for index, step in enumerate(shot.steps):
        pieces.append(_model_text(step, shot.answer if index == len(shot.steps) - 1 else None))
        if step.observation is not None:
            pieces.append(f"{OBSERVATION} {step.observation.output}")
    return "\n".join(pieces)


def _model_text(step: Step, answer: str | None) -> str:
    if _HEADING.search(step.thought) or any(mark in step.thought for mark in (OBSERVATION, FINAL, "\nQuestion:")):
        raise ValueError(f"a thought may not hold a heading of the markup: {step.thought[:60]!r}")
    if step.thought != step.thought.strip():
        raise ValueError(f"a thought may not begin or end with space: {step.thought[:60]!r}")
    text = f"{THOUGHT} {step.thought}"
    if step.code is not None:
        if answer is not None:
            raise ValueError("a step holds either code or the answer")
        if OBSERVATION in step.code or "\nQuestion:" in step.code or _FENCE_CLOSE.search(step.code):
            raise ValueError("code may hold neither a stop string nor a fence: its turn would end there")
        return f"{text}\nAction: {ACTION}\nAction Input:\n```python\n{step.code}\n```"
    return text if answer is None else f"{text}\n{FINAL} ${' '.join(answer.split())}$"


def _as_completion(text: str) -> Completion:
    """A stored turn, as the completion it came from."""
    for stop in STOP:
        if text.endswith(stop):
            return Completion(text.removesuffix(stop), FinishReason.STOP, stop)
    return Completion(text, FinishReason.STOP)
