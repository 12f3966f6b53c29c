r"""The inline formats as a chat template: any chat endpoint then gives the prompt that we train and solve with.

    {"role": "user", "content"}                     Question: {content}\n\nSolution:\n\n<p>\n
    {"role": "assistant", "content", "tool_calls"}  the turn as the model writes it: its text, or a thought and a call
    {"role": "tool", "content"}                     \nOutput: {content}\n\n<p>\n

One idea: the messages of the tool format say the same as the inline text, so one conversation can be written either
way. A turn that already is inline text (it closes its paragraph) stays as it is. An answer ends with the end token, as
it does in training; what stands before never changes when messages are added.

A system message has no place in the format and is left out. `code: false`, as an argument of the template, asks for the
heading of the format without code.

What this module does not do: read replies (`inline` does), and know a tokenizer: the tokens that it puts before a text
stand in the template as text, see `inline_chat`.
"""

from __future__ import annotations

import json

from mario.transcript.inline import CLOSE, CODE_CLOSE, CODE_OPEN, FINAL, OPEN, OUTPUT, Inline

_TEMPLATE = """\
{%- macro text(content) -%}
{%- if content is string %}{{ content }}
{%- elif content %}{% for part in content %}{{ part.text }}{% endfor %}{% endif -%}
{%- endmacro -%}
{%- macro output(content) -%}
{%- for line in content.split('\\n') -%}
{%- if not loop.first %}{{ '\\n' }}{% endif -%}
{%- set bare = line.lstrip('\\\\') -%}
{%- if bare.startswith(@open@) or bare.startswith(@final@) or bare.startswith('Question:') %}{{ '\\\\' }}{% endif -%}
{{ line }}
{%- endfor -%}
{%- endmacro -%}
{%- macro turn(message) -%}
{%- set said = text(message.content) -%}
{%- if @close@ in said -%}
{{ said }}
{%- elif message.tool_calls -%}
{{ said + '\\n' + @close@ + '\\n\\n' + @code_open@ + '\\n```python\\n' }}
{{- message.tool_calls[0].function.arguments.code + '\\n```\\n' + @code_close@ }}
{%- elif @final@ in said -%}
{%- set parts = said.partition(@final@) -%}
{{ parts[0].rstrip('\\n') + '\\n' + @close@ + '\\n\\n' + @final@ + parts[2] }}
{%- else -%}
{{ said + '\\n' + @close@ }}
{%- endif -%}
{%- endmacro -%}
{%- set heading = @heading@ if code is not defined else (@with_code@ if code else @without@) -%}
{{- @before@ -}}
{%- set state = namespace(asked=false) -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}
{{ ('\\n\\n' if state.asked else '') + 'Question: ' + text(message.content) + '\\n\\n' + heading + '\\n\\n' }}
{{- @open@ + '\\n' }}
{%- set state.asked = true -%}
{%- elif message.role == 'assistant' -%}
{%- generation -%}
{{ turn(message) }}
{%- if not message.tool_calls and @code_close@ not in text(message.content) %}{{ @end@ }}{% endif -%}
{%- endgeneration -%}
{%- elif message.role == 'tool' -%}
{{ @output@ + output(text(message.content)) + '\\n\\n' + @open@ + '\\n' }}
{%- endif -%}
{%- endfor -%}
"""


def inline_chat(*, code: bool, before: str, end: str) -> str:
    """The chat template of a model trained on an inline format.

    `before` is what its tokenizer puts before every text (a BOS token, or nothing), `end` the end token.
    """
    words = {
        "open": OPEN.strip(),
        "close": CLOSE,
        "code_open": CODE_OPEN,
        "code_close": CODE_CLOSE,
        "final": FINAL,
        "output": OUTPUT,
        "heading": Inline(code).heading,
        "with_code": Inline(True).heading,
        "without": Inline(False).heading,
        "before": before,
        "end": end,
    }
    text = _TEMPLATE
    for name, word in words.items():
        text = text.replace(f"@{name}@", json.dumps(word))
    return text
