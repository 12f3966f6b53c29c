"""Tool calls for a model that knows none: what training writes, replies are read by, whatever the model made of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario.engine import chat
from mario.train.encode import IGNORED, EncodedRow, Reason, Refusal, encode
from mario.transcript import Inline, React, Tools
from mario.transcript.chatml import can_call, teach_calls
from mario.types import Observation, ObservationStatus, Sampling, Step, StopReason, Trajectory

pytestmark = pytest.mark.train
tiny = pytest.importorskip("tiny", reason="needs tokenizers", exc_type=ImportError)
pytest.importorskip("transformers", reason="needs transformers")
TOOLS = Tools()


def chatml_tokenizer() -> Any:
    tokenizer = tiny.tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"], "eos_token": "<|im_end|>"})
    return tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    made = chatml_tokenizer()
    assert not can_call(made) and teach_calls(made) and can_call(made)
    return made


def taught(format: Any, *steps: Step, answer: str = "24") -> Trajectory:
    context = format.render("How much?", steps, answer)
    return Trajectory("p", 0, format.name, "t", Sampling(), steps, StopReason.ANSWERED, answer,
                      spans=context.spans, messages=context.messages)  # fmt: skip


def seen(output: str) -> Observation:
    return Observation(output, ObservationStatus.OK)


STEPS = (Step('I multiply, "so" to say.', "x = 4 * 6\nprint(x)", seen("24")), Step("It is 24."))


def trained(tokenizer: Any, row: EncodedRow) -> str:
    return str(tokenizer.decode([label for label in row.labels if label != IGNORED], skip_special_tokens=False))


def test_a_conversation_is_trained_on_turn_by_turn_up_to_the_token_that_ends_it(tokenizer: Any) -> None:
    row = encode(taught(TOOLS, *STEPS), tokenizer, max_row_tokens=5000)
    assert isinstance(row, EncodedRow)
    assert trained(tokenizer, row) == (
        'I multiply, "so" to say.\n<tool_call>\n{"name": "python", "arguments": {"code": "x = 4 * 6\\nprint(x)"}}\n'
        "</tool_call><|im_end|>It is 24.\nFinal Answer: $24$<|im_end|>"
    )
    whole = tokenizer.decode(row.input_ids, skip_special_tokens=False)
    assert '"name": "python", "description"' in whole and "<|im_start|>tool\n24<|im_end|>" in whole
    chat_of_react = encode(taught(React(), *STEPS), tokenizer, max_row_tokens=9000)
    assert isinstance(chat_of_react, EncodedRow)
    assert "Observation: 24" not in trained(tokenizer, chat_of_react)


@settings(max_examples=50, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40),
    st.text("ab\n\"'\\{}=</tool_cal>", max_size=40),
)
def test_a_trained_turn_is_read_back_as_the_call_it_was(thought: str, code: str) -> None:
    tokenizer = chatml_tokenizer()
    teach_calls(tokenizer)
    thought = thought.strip().replace("<|", "")
    if "</tool_call>" in code:
        return  # a brace before it would close the call; no program has it
    messages = TOOLS.render("How much?", (Step(thought, code, seen("1")), Step("")), "1").messages
    prompt = chat.render(tokenizer, messages[:2], TOOLS.tools)
    text = tokenizer.apply_chat_template(list(messages[:3]), tools=list(TOOLS.tools), tokenize=False)
    content, calls = chat.parse(tokenizer, text.removeprefix(prompt), prompt, TOOLS.tools)
    assert content == thought
    assert calls[0]["function"] == {"name": "python", "arguments": {"code": code}}


@pytest.mark.parametrize(
    ("reply", "arguments"),
    [
        ('x\n<tool_call>\n{"name": "python", "arguments": {bad}}\n</tool_call><|im_end|>', "{bad}"),
        ('x\n<tool_call>\n{"name": "python", "arguments": {"code": "1"}}\n</tool_call><|im_end|>', {"code": "1"}),
        ('x\n<tool_call>\n{"name": "python", "arguments": [1]}\n</tool_call><|im_end|>', "[1]"),
        ('x\n<tool_call>\n{"name": "python"}\n</tool_call><|im_end|>', None),  # no call: it stays in the text
        ("x\n<tool_call>\nprint(1)<|im_end|>", None),
    ],
)
def test_a_broken_call_is_text_and_never_an_error(tokenizer: Any, reply: str, arguments: Any) -> None:
    """transformers' own server answers 500 where a tokenizer makes it parse a model's JSON; ours does not."""
    prompt = chat.render(tokenizer, [{"role": "user", "content": "q"}], TOOLS.tools)
    message = tokenizer.parse_response(reply, prefix=prompt, tools=list(TOOLS.tools))  # as a server does
    content, calls = chat.parse(tokenizer, reply, prompt, TOOLS.tools)
    if arguments is None:
        assert not calls and not message.get("tool_calls") and content.startswith("x")
    else:
        assert content == "x" and calls[0]["function"]["arguments"] == arguments
        assert isinstance(message["tool_calls"][0]["function"]["arguments"], str)


def test_both_templates_are_saved_with_the_tokenizer(tokenizer: Any, tmp_path: Any) -> None:
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert can_call(again)
    assert (again.chat_template, again.response_template) == (tokenizer.chat_template, tokenizer.response_template)


def test_a_tokenizer_that_cannot_learn_calls_refuses_the_row_and_keeps_its_template() -> None:
    other = tiny.tiny_tokenizer()
    row = encode(taught(TOOLS, *STEPS), other, max_row_tokens=5000)
    assert isinstance(row, Refusal) and row.reason is Reason.NO_SPANS
    assert "cannot write the tools format" in row.detail
    own = tiny.tiny_tokenizer(chat_template="{{ messages }} <tool_call>")
    assert teach_calls(own) and own.chat_template == "{{ messages }} <tool_call>"
    inline = encode(taught(Inline(), *STEPS), other, max_row_tokens=5000)
    assert isinstance(inline, EncodedRow) and other.chat_template is None
