"""The one way from a trajectory to token ids, for training and for valuing alike.

One idea: what a model learnt from and what it is judged by must be the same ids. Spans are encoded one by one by the
rule of generation (`tokens.encode_spans`), ids that generation saw are kept, a conversation is written by the
tokenizer's own chat template, and an answer ends with the end token.

What this module does not do: labels and refusals (`train.encode`), positions of values (`value.positions`), torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mario.engine.tokens import encode_spans, read_on
from mario.transcript import format_named, label_messages
from mario.transcript.chatml import teach_calls
from mario.types import Source, Span, StopReason, Trajectory


@dataclass(frozen=True, slots=True)
class Written:
    """A trajectory span by span, empty spans left out; `ids` are those of each span.

    `end` is the end token of an answer where the ids of the last span do not hold it already, else empty.
    """

    spans: tuple[Span, ...]
    ids: tuple[tuple[int, ...], ...]
    end: tuple[int, ...]

    @property
    def input_ids(self) -> tuple[int, ...]:
        return (*(token for ids in self.ids for token in ids), *self.end)


def written(trajectory: Trajectory, tokenizer: Any) -> Written:
    """Encode one trajectory; `tokenizer` is one of transformers'.

    Raises:
        ValueError: it has no text, or is a conversation that the chat template cannot write append-only.
    """
    found = _conversation(trajectory, tokenizer) if trajectory.messages else trajectory.spans
    spans = tuple(span for span in found if span.text or span.token_ids)
    if not spans:
        raise ValueError(f"format {trajectory.format!r} has no text")
    ids = encode_spans(tokenizer, spans, special=not trajectory.messages)
    answered = spans[-1].source is Source.MODEL and trajectory.stop_reason is StopReason.ANSWERED
    missing = answered and ids[-1][-1:] != (tokenizer.eos_token_id,)
    return Written(spans, ids, (tokenizer.eos_token_id,) if missing else ())


def misread(tokenizer: Any, row: Written) -> Iterator[int]:
    """The spans whose ids do not read back as their text, by number.

    Our own ids must give it exactly (some tokenizers lowercase, or drop a character). The first span's, and those of
    generation, may hold more: a BOS token before it, the end token after it. Ids in which the text is not found come
    from another model's tokenizer.
    """
    before: tuple[int, ...] = ()
    for index, (span, ids) in enumerate(zip(row.spans, row.ids, strict=True)):
        if span.token_ids is None and before:
            is_read = read_on(tokenizer, before, ids) == span.text
        else:
            is_read = any(span.text in read_on(tokenizer, before, ids, skip_special=skip) for skip in (False, True))
        if not is_read:
            yield index
        before = ids or before


def _conversation(trajectory: Trajectory, tokenizer: Any) -> list[Span]:
    """A chat's messages as labelled spans, each turn up to the token that ends it.

    A tokenizer that does not say how tool calls are written is given our way, which the trained model then keeps.
    """
    tools = list(format_named(trajectory.format).tools)
    if not (teach_calls(tokenizer) if tools else tokenizer.chat_template):
        raise ValueError(f"the tokenizer's chat template cannot write the {trajectory.format} format")

    def template(messages: Sequence[Mapping[str, Any]], generate: bool) -> str:
        text: str = tokenizer.apply_chat_template(
            list(messages), tools=tools or None, add_generation_prompt=generate, tokenize=False
        )
        return text

    try:
        labelled = label_messages(trajectory.messages, template)
    except ValueError:
        raise
    except Exception as error:  # a template is a program of the model's author
        raise ValueError(f"the chat template refuses the conversation: {error}") from error
    spans: list[Span] = []
    for span in labelled:
        said, end, rest = span.text.rpartition(tokenizer.eos_token)
        if span.source is Source.MODEL and end and not rest.strip():
            spans += [Span(said + end, Source.MODEL), Span(rest, Source.PROMPT)]  # the model writes nothing after it
        else:
            spans.append(span)
    return spans
