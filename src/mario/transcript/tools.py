"""Native tool messages: the form that chat models, `datasets` and trainers know.

One tool, `python`, whose `arguments` stand as an object in our records; the wire turns them into a string, because a
chat template would encode a string twice. `label_messages` gives the same conversation as labelled spans under any chat
template that only ever appends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mario.transcript.moves import Answer, Context, Demonstration, Malformed, Move, RunCode
from mario.types import Completion, FinishReason, Observation, ObservationStatus, Source, Span, Step, StopReason

SYSTEM = (
    "You solve mathematics problems by reasoning in words and computing in Python. Use the python tool for every "
    "calculation; its state is kept between calls, and what you print or leave as the last expression comes back. "
    "Close with one line: Final Answer: $...$"
)
PYTHON_TOOL: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": "python",
        "description": "Run Python code in a session that keeps its state; returns what it prints or its last value.",
        "parameters": {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "the code to run"}},
            "required": ["code"],
        },
    },
}
_FINAL = re.compile(r"Final Answer:[ \t]*(.+)")
_Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tools:
    """The `tools` format."""

    @property
    def name(self) -> str:
        return "tools"

    @property
    def stop(self) -> tuple[str, ...]:
        return ()

    @property
    def tools(self) -> tuple[Mapping[str, Any], ...]:
        return (PYTHON_TOOL,)

    def start(self, question: str, demonstrations: tuple[Demonstration, ...] = ()) -> Context:
        shots: tuple[_Message, ...] = ()
        for index, shot in enumerate(demonstrations):
            body = self.render(shot.question, shot.steps, shot.answer).messages[1:]
            shots += tuple(_renumbered(message, f"shot{index}_") for message in body)
        system = {"role": "system", "content": SYSTEM}
        return Context(messages=(system, *shots, {"role": "user", "content": question}))

    def add_completion(self, context: Context, completion: Completion) -> Context:
        turn: dict[str, Any] = {"role": "assistant", "content": completion.text}
        if completion.tool_calls:
            # One call a turn: a second one could not have seen the first one's output.
            turn["tool_calls"] = [dict(completion.tool_calls[0])]
        return Context(messages=(*context.messages, turn))

    def add_observation(self, context: Context, observation: Observation) -> Context:
        calls = context.messages[-1].get("tool_calls") or [{"id": "call_0"}]
        answer = {"role": "tool", "tool_call_id": calls[0]["id"], "name": "python", "content": observation.output}
        return Context(messages=(*context.messages, answer))

    def read(self, completion: Completion) -> Move:
        thought = completion.text
        if completion.tool_calls:
            function = completion.tool_calls[0].get("function", {})
            arguments = function.get("arguments")
            code = arguments.get("code") if isinstance(arguments, Mapping) else None
            if function.get("name") != "python" or not isinstance(code, str):
                was_cut = completion.finish is FinishReason.LENGTH
                return Malformed(thought, StopReason.TOKEN_LIMIT if was_cut else StopReason.NO_ACTION)
            return RunCode(thought, code)
        found = _FINAL.search(thought)
        if found:
            answer = found.group(1).strip()
            if len(answer) >= 2 and answer[0] == answer[-1] == "$":
                answer = answer[1:-1]
            if answer:
                return Answer(thought[: found.start()].rstrip("\n"), answer)
        if completion.finish is FinishReason.CONTEXT:
            return Malformed(thought, StopReason.CONTEXT_LIMIT)
        if completion.finish is FinishReason.LENGTH:
            return Malformed(thought, StopReason.TOKEN_LIMIT)
        return Malformed(thought, StopReason.NO_ACTION)

    def render(self, question: str, steps: tuple[Step, ...], answer: str | None) -> Context:
        context = self.start(question)
        for index, step in enumerate(steps):
            if step.code is not None:
                call = {
                    "id": f"call_{index}",
                    "type": "function",
                    "function": {"name": "python", "arguments": {"code": step.code}},
                }
                turn = Completion(step.thought, FinishReason.STOP, tool_calls=(call,))
            else:
                closing = f"Final Answer: ${' '.join(answer.split())}$" if answer is not None else ""
                turn = Completion("\n".join(filter(None, (step.thought, closing))), FinishReason.STOP)
            context = self.add_completion(context, turn)
            if step.observation is not None:
                context = self.add_observation(context, step.observation)
        return context

    def parse(self, context: Context) -> tuple[tuple[Step, ...], str | None]:
        steps: list[Step] = []
        answer: str | None = None
        for message in context.messages:
            if message["role"] == "tool" and steps:
                observed = Observation(message["content"], ObservationStatus.OK)
                steps[-1] = Step(steps[-1].thought, steps[-1].code, observed)
            elif message["role"] == "assistant":
                calls = tuple(message.get("tool_calls") or ())
                move = self.read(Completion(message.get("content") or "", FinishReason.STOP, tool_calls=calls))
                steps.append(Step(move.thought, move.code if isinstance(move, RunCode) else None))
                answer = move.answer if isinstance(move, Answer) else None
        return tuple(steps), answer


def _renumbered(message: _Message, prefix: str) -> dict[str, Any]:
    """A demonstration's message with call ids that cannot clash with the live ones."""
    copy = dict(message)
    if "tool_calls" in copy:
        copy["tool_calls"] = [{**call, "id": prefix + call["id"]} for call in copy["tool_calls"]]
    if "tool_call_id" in copy:
        copy["tool_call_id"] = prefix + copy["tool_call_id"]
    return copy


def label_messages(
    messages: Sequence[_Message], template: Callable[[Sequence[_Message], bool], str]
) -> tuple[Span, ...]:
    """Spans of a conversation under a chat template.

    `template(messages, add_generation_prompt)` renders a prefix of the conversation. What an assistant message adds
    after its generation prompt is the model's; what a tool message adds is the interpreter's; the rest is prompt.

    Raises:
        ValueError: the template rewrites earlier text, so no labelling of it can be exact.
    """
    spans: list[Span] = []
    done = ""
    for end, message in enumerate(messages, start=1):
        role = message["role"]
        if role == "assistant":
            done = _extend(spans, done, template(messages[: end - 1], True), Source.PROMPT)
        source = {"assistant": Source.MODEL, "tool": Source.INTERPRETER}.get(role, Source.PROMPT)
        done = _extend(spans, done, template(messages[:end], False), source)
    return tuple(spans)


def _extend(spans: list[Span], done: str, text: str, source: Source) -> str:
    if not text.startswith(done):
        raise ValueError("the chat template rewrites earlier messages; spans cannot be labelled exactly")
    if text != done:
        spans.append(Span(text[len(done) :], source))
    return text
