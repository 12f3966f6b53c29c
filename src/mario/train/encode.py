"""From a trajectory's labelled spans to token ids and labels.

One idea: a boundary between two authors is a boundary between two tokens. Spans are encoded one by one, by the rule
that generation uses (`engine.tokens.encode_spans`), and ids that generation saw are kept, so no token holds text of
two authors and training sees what solving will. Labels stand on `MODEL` spans only: what the interpreter wrote is
read, never learnt (`train_on_output` is there for the ablation).

A conversation (a row with messages) is written by the tokenizer's own chat template, and labelled message by message.

A row that cannot be trained on whole is refused with its id and a reason; nothing is cut to fit.

What this module does not do: it knows no markup (`transcript` made the spans), no batches and no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mario.engine.tokens import encode_spans
from mario.transcript import format_named, label_messages
from mario.transcript.chatml import teach_calls
from mario.types import Source, Span, StopReason, Trajectory

IGNORED = -100  # the label that torch's cross entropy skips


class Reason(StrEnum):
    """Why a trajectory is not trained on."""

    NO_SPANS = "no_spans"  # nothing at all, or a conversation that the chat template cannot write
    NOTHING_TRAINED = "nothing_trained"  # no label is left: nothing written by the model
    TOO_LONG = "too_long"
    NOT_REVERSIBLE = "not_reversible"  # the tokenizer does not read a span's ids back as its text


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """One trajectory as numbers: `labels` is `input_ids` where a token is trained, `IGNORED` elsewhere.

    Both are unshifted; the first token predicts nothing before it, so it never counts as trained.
    """

    id: str
    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    n_trained: int

    @property
    def n_tokens(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True, slots=True)
class Refusal:
    id: str
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Encoded:
    """What `encode_all` made of a set of trajectories."""

    rows: tuple[EncodedRow, ...]
    refusals: tuple[Refusal, ...]


def encode_all(
    trajectories: Iterable[Trajectory], tokenizer: Any, *, max_row_tokens: int, train_on_output: bool = False
) -> Encoded:
    """Encode every trajectory; the refused ones are listed with their reasons."""
    rows: list[EncodedRow] = []
    refusals: list[Refusal] = []
    for trajectory in trajectories:
        row = encode(trajectory, tokenizer, max_row_tokens=max_row_tokens, train_on_output=train_on_output)
        if isinstance(row, EncodedRow):
            rows.append(row)
        else:
            refusals.append(row)
    return Encoded(tuple(rows), tuple(refusals))


def encode(
    trajectory: Trajectory, tokenizer: Any, *, max_row_tokens: int, train_on_output: bool = False
) -> EncodedRow | Refusal:
    """Token ids and labels of one trajectory.

    `tokenizer` is one of transformers'. The end token is appended, and trained, where the trajectory ended with an
    answer and generation's own ids do not already hold it.
    """
    row_id = f"{trajectory.problem_id}#{trajectory.sample_index}"
    try:
        written = _conversation(trajectory, tokenizer) if trajectory.messages else trajectory.spans
    except ValueError as error:
        return Refusal(row_id, Reason.NO_SPANS, str(error))
    spans = [span for span in written if span.text or span.token_ids]
    if not spans:
        return Refusal(row_id, Reason.NO_SPANS, f"format {trajectory.format!r} has no text to train on")
    input_ids: list[int] = []
    labels: list[int] = []
    for index, (span, ids) in enumerate(zip(spans, encode_spans(tokenizer, spans), strict=True)):
        if not _reads_back(tokenizer, span, ids, is_first=index == 0):
            return Refusal(row_id, Reason.NOT_REVERSIBLE, f"span {index}: {span.text[:60]!r}")
        is_trained = span.source is Source.MODEL or (train_on_output and span.source is Source.INTERPRETER)
        input_ids += ids
        labels += ids if is_trained else [IGNORED] * len(ids)
    ended = spans[-1].source is Source.MODEL and trajectory.stop_reason is StopReason.ANSWERED
    if ended and input_ids[-1] != tokenizer.eos_token_id:
        input_ids.append(tokenizer.eos_token_id)
        labels.append(tokenizer.eos_token_id)
    n_trained = sum(label != IGNORED for label in labels[1:])
    if not n_trained:
        return Refusal(row_id, Reason.NOTHING_TRAINED, f"{len(input_ids)} tokens, none by the model")
    if len(input_ids) > max_row_tokens:
        return Refusal(row_id, Reason.TOO_LONG, f"{len(input_ids)} tokens, at most {max_row_tokens}")
    return EncodedRow(row_id, tuple(input_ids), tuple(labels), n_trained)


def _conversation(trajectory: Trajectory, tokenizer: Any) -> list[Span]:
    """A chat's messages as labelled spans, each turn up to the token that ends it.

    A tokenizer that does not say how tool calls are written is given our way, which the trained model then keeps.

    Raises:
        ValueError: the tokenizer has no chat template, or one that cannot write this conversation append-only.
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


def _reads_back(tokenizer: Any, span: Span, ids: Sequence[int], *, is_first: bool) -> bool:
    """Whether these ids are this text.

    Our own ids must give it exactly (some tokenizers lowercase, or drop a character). The first span's, and those of
    generation, may hold more: a BOS token before it, the end token after it. Ids in which the text is not found come
    from another model's tokenizer.
    """
    if span.token_ids is None and not is_first:
        return _decode(tokenizer, ids) == span.text
    return any(span.text in _decode(tokenizer, ids, skip_special_tokens=skip) for skip in (False, True))


def _decode(tokenizer: Any, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
    text: str = tokenizer.decode(ids, skip_special_tokens=skip_special_tokens, clean_up_tokenization_spaces=False)
    return text
