"""The only place that knows the markup: steps to text and back, with every piece labelled by its author.

Training masks, solving prompts and pages must agree on one markup; disagreement is the classic silent bug. Three
formats stand side by side, chosen by name:

- `inline`: the paper's student format (`<p>`, `<code>`, `Output:`, `Final Answer:`);
- `text`: the same without code, ours, to measure what the interpreter buys;
- `tools`: native chat messages with tool calls.

What this package does not do: run code, call an engine, or judge an answer.
"""

from mario.errors import UsageError
from mario.transcript.inline import Inline
from mario.transcript.moves import Answer, Context, Demonstration, Format, Malformed, Move, RunCode
from mario.transcript.tools import Tools, label_messages

__all__ = [
    "Answer",
    "Context",
    "Demonstration",
    "Format",
    "Inline",
    "Malformed",
    "Move",
    "RunCode",
    "Tools",
    "format_named",
    "label_messages",
]


def format_named(name: str) -> Format:
    match name:
        case "inline":
            return Inline(code=True)
        case "text":
            return Inline(code=False)
        case "tools":
            return Tools()
    raise UsageError(f"format {name!r} is unknown; write inline, text or tools")
