"""Chat for a model in this process: messages to prompt text, reply text to a message, by the tokenizer's own rules.

One idea: the tokenizer knows its model's chat format or nobody does. Tool calls are read by its response template,
or where its chat template writes them as `<tool_call>{json}</tool_call>`; for anything else a server is the answer.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mario.errors import EngineError
from mario.transcript.chatml import can_call

MAX_DEPTH = 100  # of JSON that a model wrote; records are walked recursively
_TAGGED_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)


def render(tokenizer: Any, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> str:
    """The prompt that asks for the next assistant message."""
    if not tokenizer.chat_template:
        raise EngineError(
            "this model's tokenizer has no chat template; use an inline format, or an instruction-tuned model"
        )
    if tools and not can_call(tokenizer):
        raise EngineError(
            "this model's tokenizer does not say how tool calls are written; "
            "serve the model and give its --endpoint with the chat API, or use an inline format"
        )
    try:
        text: str = tokenizer.apply_chat_template(
            list(messages), tools=list(tools) or None, add_generation_prompt=True, tokenize=False
        )
    except Exception as error:  # a template is a program of the model's author
        reason = " ".join(str(error).split())
        raise EngineError(f"this model's chat template refuses the conversation: {reason}") from error
    return text


def parse(
    tokenizer: Any, reply: str, prompt: str, tools: Sequence[Mapping[str, Any]]
) -> tuple[str, tuple[Mapping[str, Any], ...]]:
    """Text and tool calls of a reply, calls in the OpenAI form with arguments as objects.

    A call that cannot be read stays in the text: it is the model's mistake, and the caller sees it there.
    """
    if getattr(tokenizer, "response_template", None):
        try:
            message = tokenizer.parse_response(reply, prefix=prompt, tools=list(tools))
        except Exception:  # whatever a text that nobody vouches for does to the template's parsers
            return reply, ()
        calls = [call.get("function", call) for call in message.get("tool_calls") or ()]
        return message.get("content") or "", _numbered(calls)
    calls = []
    for found in _TAGGED_CALL.finditer(reply):
        try:
            calls.append(load_json(found.group(1)))
        except ValueError:
            return reply, ()
    if not all(isinstance(call, dict) and "name" in call for call in calls):
        return reply, ()
    return (_TAGGED_CALL.sub("", reply).strip() if calls else reply), _numbered(calls)


def load_json(text: str) -> Any:
    """JSON that a model wrote.

    Raises:
        ValueError: it is none, or holds what no record may: NaN, infinity, nesting without end.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    def finite(digits: str) -> float:
        value = float(digits)
        if math.isinf(value):
            raise ValueError(f"{digits[:20]} is out of range")
        return value

    if _depth(text) > MAX_DEPTH:
        raise ValueError("nested too deeply")
    return json.loads(text, parse_constant=refuse, parse_float=finite)


def _depth(text: str) -> int:
    """A bound on the nesting: brackets inside strings count too, which errs on the safe side."""
    depth = deepest = 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    return deepest


def _numbered(calls: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {
            "id": f"call_{i}",
            "type": "function",
            "function": {"name": call["name"], "arguments": read_arguments(call.get("arguments", {}))},
        }
        for i, call in enumerate(calls)
    )


def read_arguments(arguments: Any) -> Any:
    """A call's arguments as an object; text that holds none is the model's mistake and stays text."""
    if not isinstance(arguments, str):
        return arguments
    try:
        parsed = load_json(arguments)
    except ValueError:
        return arguments
    return parsed if isinstance(parsed, dict) else arguments
