"""What goes over the wire to an OpenAI-compatible server and what comes back, as our records.

One idea: a reply is gathered into one `Reply`, from a whole body or from a stream's chunks, and read as a `Completion`
in one place. What this module does not do: it opens no connection (`remote`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mario.engine.chat import read_arguments
from mario.engine.faults import Fault
from mario.engine.protocol import TextListener, first_stop, partial_stop
from mario.engine.spend import Tokens
from mario.errors import EngineError
from mario.types import Completion, FinishReason


@dataclass
class Reply:
    """What a server answered, gathered from one body or from a stream's chunks."""

    stops: tuple[str, ...]
    text: str = ""
    finish: str | None = None
    fired: Any = None  # the stop string that the server names
    reports: bool = False  # the reply has a field for it, as vLLM's and SGLang's do
    calls: dict[int, dict[str, str]] = field(default_factory=dict)
    usage: Any = None

    def read(self, body: Any) -> None:
        choice = self._choice(body)
        if choice is None:
            raise Fault("empty", "the reply holds no choice")
        self.text = (choice.message.content if hasattr(choice, "message") else choice.text) or ""
        for i, call in enumerate(getattr(getattr(choice, "message", None), "tool_calls", None) or ()):
            self._add_call(i, call)

    def read_chunk(self, chunk: Any) -> list[str]:
        choice = self._choice(chunk)
        if choice is None:  # a chunk of usage alone
            return []
        delta = getattr(choice, "delta", None)
        for call in getattr(delta, "tool_calls", None) or ():
            self._add_call(call.index, call)
        text = delta.content if delta is not None else getattr(choice, "text", None)
        return [text] if text else []

    def completion(self) -> Completion:
        found = first_stop(self.text, self.stops)
        stop = found[1] if found else self.fired if self.fired in self.stops else None
        length = self.finish == "length" and stop is None
        return Completion(
            text=self.text[: found[0]] if found else self.text,
            finish=FinishReason.LENGTH if length else FinishReason.STOP,
            stop=stop,
            tool_calls=tuple(_from_wire(i, call) for i, call in sorted(self.calls.items())),
            prompt_tokens=_count(self.usage, "prompt_tokens"),
            completion_tokens=_count(self.usage, "completion_tokens"),
        )

    @property
    def used(self) -> Tokens | None:
        """The server's own count; None where none has arrived."""
        prompt, completion = (_count(self.usage, name) for name in ("prompt_tokens", "completion_tokens"))
        if prompt is None or completion is None:
            return None
        cached = _count(getattr(self.usage, "prompt_tokens_details", None), "cached_tokens")
        if cached is None:
            cached = _count(self.usage, "prompt_cache_hit_tokens")  # DeepSeek's name
        return Tokens(prompt, completion, min(prompt, cached or 0))

    @property
    def named_stop(self) -> bool:
        return self.reports or first_stop(self.text, self.stops) is not None

    @property
    def hides_its_stop(self) -> bool:
        """The reply ended, and nothing says whether by one of the stop strings or by the model's end token."""
        return bool(self.stops) and self.finish == "stop" and not self.named_stop

    def _choice(self, body: Any) -> Any:
        if isinstance(body, str) or not hasattr(body, "choices"):
            raise EngineError(
                f"the endpoint answers, but not as an OpenAI-compatible server: {str(body)[:80]!r}; "
                "give its API's address, which usually ends in /v1"
            )
        self.usage = getattr(body, "usage", None) or self.usage
        if not body.choices:
            return None
        choice = body.choices[0]
        self.finish = choice.finish_reason or self.finish
        extra = choice.model_extra or {}
        for name in ("stop_reason", "matched_stop"):
            self.reports = self.reports or name in extra
            self.fired = extra.get(name) or self.fired
        return choice

    def _add_call(self, index: int, call: Any) -> None:
        entry = self.calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
        entry["id"] = call.id or entry["id"]
        if call.function is not None:
            entry["name"] += call.function.name or ""
            entry["arguments"] += call.function.arguments or ""


@dataclass
class Teller:
    """Passes text on to a listener: never twice, and never what may turn out to be a stop string."""

    listener: TextListener | None
    stops: tuple[str, ...]
    said: int = 0

    def hear(self, text: str) -> None:
        found = first_stop(text, self.stops)
        self._say(text, found[0] if found else len(text) - partial_stop(text, self.stops))

    def finish(self, text: str) -> None:
        self._say(text, len(text))

    def _say(self, text: str, until: int) -> None:
        if self.listener is not None and until > self.said:
            self.listener(text[self.said : until])
            self.said = until


def _count(holder: Any, name: str) -> int | None:
    value = getattr(holder, name, None)
    return value if isinstance(value, int) and value >= 0 else None


def _from_wire(index: int, call: Mapping[str, str]) -> dict[str, Any]:
    """A tool call as our records hold it; arguments that are no JSON object are the model's mistake and stay text."""
    return {
        "id": call["id"] or f"call_{index}",
        "type": "function",
        "function": {"name": call["name"], "arguments": read_arguments(call["arguments"])},
    }


def to_wire(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as servers want it: the arguments of tool calls are JSON text there, objects in our records."""
    wire = dict(message)
    if calls := message.get("tool_calls"):
        wire["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": _as_text(call["function"]["arguments"])}}
            for call in calls
        ]
    return wire


def _as_text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
