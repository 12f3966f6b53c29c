"""What a model's turn asks for, whichever markup it was written in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mario.types import Completion, Observation, Source, Span, Step, StopReason


@dataclass(frozen=True, slots=True)
class RunCode:
    thought: str
    code: str


@dataclass(frozen=True, slots=True)
class Answer:
    thought: str
    answer: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A turn that asks for nothing we can do; the trajectory ends here, with a name for why."""

    thought: str
    reason: StopReason


Move = RunCode | Answer | Malformed


@dataclass(frozen=True, slots=True)
class Context:
    """The conversation so far, exactly: spans in the inline formats, messages in the tool format."""

    spans: tuple[Span, ...] = ()
    messages: tuple[Mapping[str, Any], ...] = ()


def with_turn(context: Context, completion: Completion) -> Context:
    """Spans with the model's turn at their end, its stop string and the ids of generation included."""
    spans = context.spans
    if completion.prompt_ids is not None:
        spans = tuple(Span(span.text, span.source, ids) for span, ids in zip(spans, completion.prompt_ids, strict=True))
    return Context(spans=(*spans, Span(completion.text + (completion.stop or ""), Source.MODEL, completion.token_ids)))


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A worked example that a prompt may open with."""

    question: str
    steps: tuple[Step, ...]
    answer: str


class Format(Protocol):
    """One markup. A context only ever grows at its end, so prefix caches hold and ids are never re-encoded."""

    @property
    def name(self) -> str: ...

    @property
    def stop(self) -> tuple[str, ...]: ...

    @property
    def tools(self) -> tuple[Mapping[str, Any], ...]: ...

    def start(self, question: str, demonstrations: tuple[Demonstration, ...] = ()) -> Context: ...

    def add_completion(self, context: Context, completion: Completion) -> Context: ...

    def add_observation(self, context: Context, observation: Observation) -> Context: ...

    def read(self, completion: Completion) -> Move: ...

    def render(self, question: str, steps: tuple[Step, ...], answer: str | None) -> Context:
        """The context a finished solution would have left behind."""
        ...

    def parse(self, context: Context) -> tuple[tuple[Step, ...], str | None]:
        """Steps and answer of a finished context; the inverse of `render`."""
        ...
