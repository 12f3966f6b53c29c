"""A row as others read it. Pure: a row of `rows.make_row` in, a JSON object out.

Sources of the forms: OpenAI's fine-tuning guide (arguments as a JSON string); TRL's and verl's multi-turn SFT rows
(`messages`, `tools`); LLaMA-Factory's ShareGPT (human and observation alternate with gpt); axolotl's `input_output`
(segments with a label, the only form here that carries our exact mask); verl's RL rows (prompt and ground truth); the
hub's Session Trace Simple Format, one session a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]

LLAMA_FACTORY = {
    "mario": {
        "file_name": "sharegpt.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations"},
        "tags": {
            "role_tag": "from",
            "content_tag": "value",
            "user_tag": "human",
            "assistant_tag": "gpt",
            "observation_tag": "observation",
            "function_tag": "function_call",
        },
    }
}


def openai(row: Row) -> dict[str, Any]:
    """Chat fine-tuning: as on the wire, where arguments are a JSON string."""
    messages = []
    for message in row["messages"]:
        copy = dict(message)
        if "tool_calls" in copy:
            copy["tool_calls"] = [_as_wire(call) for call in copy["tool_calls"]]
        messages.append(copy)
    return {"messages": messages, "tools": row["tools"], "parallel_tool_calls": False}


def _as_wire(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {**call, "function": {**function, "arguments": json.dumps(function["arguments"], ensure_ascii=False)}}


def trl(row: Row) -> dict[str, Any]:
    """Conversational rows with a `tools` column; arguments stay an object: a chat template encodes a string twice."""
    return {"messages": row["messages"], "tools": row["tools"]}


def sharegpt(row: Row) -> dict[str, Any]:
    """The inline text as turns: model spans are gpt, outputs are observations, so the trainer masks what it should.

    Spans alternate by construction; the marks around an output (`Output:` and the next `<p>`) go with the observation.
    """
    names = {"prompt": "human", "model": "gpt", "interpreter": "observation"}
    return {"conversations": [{"from": names[span["source"]], "value": span["text"]} for span in row["spans"]]}


def axolotl(row: Row) -> dict[str, Any]:
    """`type: input_output`: the text with its exact mask. The end token follows a whole solution and is learnt."""
    return {"segments": [{"label": span["source"] == "model", "text": span["text"]} for span in row["spans"]]}


def verl_rl(problem: Mapping[str, Any], system: str, index: int) -> dict[str, Any]:
    """A problem as a prompt with the answer that a reward function compares with."""
    return {
        "data_source": f"{problem['source']}-{problem['split']}",
        "prompt": [{"role": "system", "content": system}, {"role": "user", "content": problem["question"]}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": problem["answer"]},
        "extra_info": {"split": problem["split"], "index": index, "problem_id": problem["id"]},
    }


def trace(row: Row) -> list[dict[str, Any]]:
    """A session of the hub's trace viewer: its header, then one line a message."""
    lines: list[dict[str, Any]] = [
        {
            "type": "session",
            "harness": "mario",
            "id": row["id"],
            "name": row["question"][:80],
            "correct": row["correct"],
        }
    ]
    for message in row["messages"]:
        shown: dict[str, Any] = {"role": message["role"], "content": message["content"]}
        if "tool_calls" in message:
            shown["toolCalls"] = [_as_wire(call) for call in message["tool_calls"]]
        if "tool_call_id" in message:
            shown["toolCallId"] = message["tool_call_id"]
        if message["role"] == "assistant":
            shown["model"] = row["model"]
        lines.append({"type": "message", "message": shown})
    return lines
