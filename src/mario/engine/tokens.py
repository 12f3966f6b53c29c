"""Between text and token ids: prompts encoded span by span, and generated ids decoded as they come.

One idea: ids are append-only. A span is encoded by itself, once, and what was generated is never encoded again, so
the ids of a longer transcript begin with the ids of a shorter one, in generation and in training alike.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from mario.engine.protocol import first_stop
from mario.types import Span

_CONTEXT = 5  # prompt tokens decoded with the first new ones: some tokenizers drop a space at the start of a text
_ANCHOR = "\ue000"  # for private use, so no tokenizer merges it with a neighbour


def encode_spans(tokenizer: Any, spans: Sequence[Span], *, special: bool = True) -> tuple[tuple[int, ...], ...]:
    """The ids of a prompt, one tuple a span; known ids are kept as they are.

    The first span gets the special tokens this tokenizer puts around a text (not where `special` is False: a chat
    template writes its own), and the space some put before it; the others go on from it and get neither.
    """

    def encode(index: int, text: str) -> Sequence[int]:
        if index:
            return encode_on(tokenizer, text)
        ids: list[int] = tokenizer(text, add_special_tokens=special)["input_ids"]
        return ids

    return tuple(
        span.token_ids if span.token_ids is not None else tuple(encode(index, span.text))
        for index, span in enumerate(spans)
    )


def encode_on(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text that goes on from another.

    Llama 2's tokenizer and its kin put a space before every text they are given, so a span encoded by itself would
    read back with a space that nobody wrote. They are given an anchor before the text, whose ids are then dropped.
    """
    if text and _puts_space(tokenizer):
        anchored = _after_anchor(tokenizer, text)
        if anchored is not None:
            return anchored
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def read_on(tokenizer: Any, before: Sequence[int], ids: Sequence[int], *, skip_special: bool = False) -> str:
    """The text of ids that go on from `before`; alone, some tokenizers would drop a space at its start."""
    context = list(before[-_CONTEXT:])

    def decode(some: list[int]) -> str:
        text: str = tokenizer.decode(some, skip_special_tokens=skip_special, clean_up_tokenization_spaces=False)
        return text

    return decode([*context, *ids])[len(decode(context)) if context else 0 :]


@lru_cache(maxsize=16)
def _puts_space(tokenizer: Any) -> bool:
    """Whether this tokenizer puts something before a text by itself."""
    return _after_anchor(tokenizer, "x") not in (None, tokenizer("x", add_special_tokens=False)["input_ids"])


def _after_anchor(tokenizer: Any, text: str) -> list[int] | None:
    """The ids of `text` after the anchor; None where the anchor's own ids cannot be told from them."""
    anchor: list[int] = tokenizer(_ANCHOR, add_special_tokens=False)["input_ids"]
    both: list[int] = tokenizer(_ANCHOR + text, add_special_tokens=False)["input_ids"]
    rest = both[len(anchor) :]
    return rest if rest and both[: len(anchor)] == anchor else None  # a tokenizer may fuse two unknown characters


class TextStream:
    """Decodes generated ids one at a time, holds back half characters, and finds the first stop string.

    `text` is what was decoded so far; after `push` returned True it ends before the stop string, named by `stop`:
    the one that was complete first, and of several completed by one token the one that begins first.
    """

    def __init__(self, tokenizer: Any, prompt: Sequence[int], stops: tuple[str, ...], *, keep_special: bool) -> None:
        self.ids: list[int] = []
        self.text = ""
        self.stop: str | None = None
        self._tokenizer = tokenizer
        self._stops = stops
        self._longest = max((len(stop) for stop in stops), default=0)
        self._keep_special = keep_special
        self._window = list(prompt[-_CONTEXT:])  # the ids decoded together, the tail of which is new
        self._window_text = self._decode(self._window)
        self._seen = len(self._window)
        self._lengths: list[int] = []  # after each id, the length of the text it completed

    def push(self, token: int) -> bool:
        """Take one more id; True when a stop string is now complete."""
        self.ids.append(token)
        self._window.append(token)
        decoded = self._decode(self._window)
        if len(decoded) > len(self._window_text) and not decoded.endswith("�"):
            return self._grow(decoded)
        self._lengths.append(len(self.text))
        return False

    def finish(self) -> bool:
        """Decode what was held back; True when that completed a stop string."""
        if self._window_is_read() or not self.ids:
            return False
        self._lengths.pop()
        return self._grow(self._decode(self._window))

    def token_ids(self) -> tuple[int, ...]:
        """The ids of the text and of its stop string, as generated.

        Where the stop string ends inside a token, the ids up to that token are kept and the rest is encoded anew.
        """
        if self.stop is None:
            return tuple(self.ids)
        end = len(self.text) + len(self.stop)
        i = bisect_left(self._lengths, end)
        if i < len(self.ids) and self._lengths[i] == end:
            return tuple(self.ids[: i + 1])
        whole = self._lengths[i - 1] if i else 0  # characters that whole tokens make up
        kept = self.ids[: bisect_left(self._lengths, whole) + 1] if whole else []
        return (*kept, *encode_on(self._tokenizer, (self.text + self.stop)[whole:]))

    def _grow(self, decoded: str) -> bool:
        before = len(self.text)
        self.text += decoded[len(self._window_text) :]
        self._lengths.append(len(self.text))
        self._window = self._window[self._seen :]
        self._window_text = self._decode(self._window)
        self._seen = len(self._window)
        found = first_stop(self.text[max(0, before - self._longest + 1) :], self._stops) if self._stops else None
        if found is None:
            return False
        at, self.stop = found
        self.text = self.text[: max(0, before - self._longest + 1) + at]
        return True

    def _window_is_read(self) -> bool:
        return self._seen == len(self._window)

    def _decode(self, ids: list[int]) -> str:
        if not ids:
            return ""
        text: str = self._tokenizer.decode(
            ids, skip_special_tokens=not self._keep_special, clean_up_tokenization_spaces=False
        )
        return text
