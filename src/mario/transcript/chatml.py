"""How tool calls are written by a model whose own chat template knows none: ChatML with `<tool_call>` blocks.

    <|im_start|>assistant
    {thought}
    <tool_call>
    {"name": "python", "arguments": {"code": "print(17 * 24)"}}
    </tool_call><|im_end|>

One idea: training, our engine and any server read the same two descriptions, both kept with the tokenizer. The chat
template writes a conversation; the response template reads a reply (transformers' servers go by it, vLLM's
`--tool-call-parser hermes` reads the same form). A model that has calls of its own keeps them.

What this module does not do: it changes no weights; a model has to be trained on the form.
"""

from __future__ import annotations

from typing import Any

OPEN, CLOSE = "<|im_start|>", "<|im_end|>"

# A message's newline belongs to the next one, so that what a turn adds ends with the token that the model ends it by.
CHAT_TEMPLATE = """\
{%- macro text(content) -%}
{%- if content is string %}{{ content }}
{%- elif content %}{% for part in content %}{{ part.text }}{% endfor %}{% endif -%}
{%- endmacro -%}
{%- macro manual() -%}
You may call tools, described here as JSON:
{% for tool in tools %}{{ tool.function | tojson }}
{% endfor %}A call is a JSON object between <tool_call> and </tool_call>, after what you have to say; then wait.
{%- endmacro -%}
{%- if tools and messages[0].role != 'system' -%}
<|im_start|>system
{{ manual() }}<|im_end|>
{% endif -%}
{%- for message in messages -%}
{%- if not loop.first %}{{ '\\n' }}{% endif -%}
<|im_start|>{{ message.role }}
{{ text(message.content) -}}
{%- if loop.first and tools and message.role == 'system' %}{{ '\\n\\n' + manual() }}{% endif -%}
{%- for call in message.tool_calls or [] -%}
{%- set made = call.function -%}
{{ '\\n<tool_call>\\n{"name": ' }}{{ made.name | tojson }}, "arguments": {{ made.arguments | tojson }}}
</tool_call>
{%- endfor -%}
<|im_end|>
{%- endfor -%}
{%- if add_generation_prompt %}{{ '\\n<|im_start|>assistant\\n' }}{% endif -%}
"""

RESPONSE_TEMPLATE: dict[str, Any] = {
    "defaults": {"role": "assistant"},
    "start_anchor": f"{OPEN}assistant\n",
    "fields": {
        # The arguments are taken as text: a server that parsed them itself would answer a model's broken JSON with an
        # error of its own, and again at every try.
        "tool_calls": {
            "open_pattern": r"\s*<tool_call>\s*\{\"name\": \"(?P<name>[^\"]*)\", \"arguments\": ",
            "close_pattern": r"\}\s*</tool_call>",
            "repeats": True,
            "content": "text",
            "transform": {"type": "function", "function": {"name": "{name}", "arguments": "{content}"}},
        },
        "content": {"close_pattern": r"\s*<\|im_end\|>", "content": "text"},
    },
}


def can_call(tokenizer: Any) -> bool:
    """Whether this tokenizer says how its model writes tool calls."""
    return bool(getattr(tokenizer, "response_template", None)) or "<tool_call>" in str(tokenizer.chat_template)


def teach_calls(tokenizer: Any) -> bool:
    """Give a tokenizer that has ChatML's tokens, but no tool calls, our templates; whether it can call now."""
    if can_call(tokenizer):
        return True
    marks = tokenizer(OPEN + CLOSE, add_special_tokens=False)["input_ids"]
    if len(marks) != 2 or tokenizer.eos_token_id != marks[1]:
        return False
    tokenizer.chat_template, tokenizer.response_template = CHAT_TEMPLATE, RESPONSE_TEMPLATE
    return True
