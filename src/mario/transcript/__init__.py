"""The only place that knows the markup: steps to text and back, with every piece labelled by its author.

Training masks, solving prompts and pages must agree on one markup; disagreement is the classic silent bug. The
formats stand side by side, chosen by name, and the steps are their common ground: `render_as` writes a solution anew.

- `inline`: the paper's student format (`<p>`, `<code>`, `Output:`, `Final Answer:`);
- `text`: the same without code, ours, to measure what the interpreter buys;
- `tools`: native chat messages with tool calls;
- `react`: the paper's teacher prompt, for chat models; `react-text` the same for engines that continue a text.

What this package does not do: run code, call an engine, or judge an answer.
"""

from dataclasses import replace

from mario.errors import UsageError
from mario.transcript.inline import Inline
from mario.transcript.moves import Answer, Context, Demonstration, Format, Malformed, Move, RunCode
from mario.transcript.react import React
from mario.transcript.tools import Tools, label_messages
from mario.types import Trajectory

__all__ = [
    "Answer",
    "Context",
    "Demonstration",
    "Format",
    "Inline",
    "Malformed",
    "Move",
    "React",
    "RunCode",
    "Tools",
    "format_named",
    "label_messages",
    "render_as",
]

FORMATS = ("inline", "text", "tools", "react", "react-text")


def format_named(name: str) -> Format:
    match name:
        case "inline":
            return Inline(code=True)
        case "text":
            return Inline(code=False)
        case "tools":
            return Tools()
        case "react":
            return React()
        case "react-text":
            return React(chat=False)
    raise UsageError(f"format {name!r} is unknown; known: {', '.join(FORMATS)}")


def render_as(trajectory: Trajectory, question: str, name: str) -> Trajectory:
    """The same steps and answer in another format's markup, as if its model had written them.

    Token ids that generation saw are gone, since the text is another.

    Raises:
        ValueError: a step cannot be written in that markup.
    """
    if name == trajectory.format:
        return trajectory
    context = format_named(name).render(question, trajectory.steps, trajectory.answer)
    return replace(trajectory, format=name, spans=context.spans, messages=context.messages)
