"""Ids are append-only, text comes whole characters at a time, and the first stop string cuts it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario.engine.protocol import first_stop, partial_stop
from mario.engine.tokens import TextStream, encode_spans
from mario.types import Source, Span
from tiny import BOS, EOS, tiny_tokenizer

pytestmark = pytest.mark.train
# One token spans the end of a stop string, so that a cut falls inside it.
MERGES = (("e", ">"), ("e>", "Ċ"), ("b", "c"))


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer(merges=MERGES)


def read(tokenizer, text: str, stops: tuple[str, ...] = (), *, prompt: str = "ab") -> TextStream:
    stream = TextStream(tokenizer, tokenizer(prompt)["input_ids"], stops, keep_special=False)
    if not any(stream.push(token) for token in tokenizer(text)["input_ids"]):
        stream.finish()
    return stream


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(alphabet="abce>\n é√𝟙", max_size=40),
    stops=st.lists(st.text(alphabet="bce>\né𝟙", min_size=1, max_size=4)),
)
def test_a_stream_ends_where_the_whole_text_would_be_cut(text: str, stops: list[str]) -> None:
    tokenizer = tiny_tokenizer(merges=MERGES)
    # Text comes token by token, so a stop that is complete inside another one fires before it; ends may be shared.
    stops = [stop for stop in stops if not any(other in stop[:-1] for other in stops)]
    stream = read(tokenizer, text, tuple(stops))
    found = first_stop(text, tuple(stops))
    if found is None:
        assert (stream.text, stream.stop) == (text, None)
        assert stream.token_ids() == tuple(tokenizer(text)["input_ids"])
    else:
        assert (stream.text, stream.stop) == (text[: found[0]], found[1])
        assert tokenizer.decode(stream.token_ids()) == stream.text + found[1]


def test_ids_are_kept_as_generated_when_the_stop_ends_between_tokens(tokenizer) -> None:
    stream = read(tokenizer, "abc</code>x", ("</code>",))
    assert stream.text == "abc"
    assert stream.token_ids() == tuple(tokenizer("abc</code>")["input_ids"])


def test_only_the_token_that_the_stop_ends_in_is_encoded_anew(tokenizer) -> None:
    generated = tokenizer("bc</code>\n")["input_ids"]
    assert tokenizer.decode(generated[-1:]) == "e>\n"
    stream = read(tokenizer, "bc</code>\n", ("</code>",))
    assert stream.token_ids()[:-1] == tuple(generated[:-1])
    assert tokenizer.decode(stream.token_ids()) == "bc</code>"


def test_half_a_character_is_held_back_until_it_is_whole(tokenizer) -> None:
    stream = TextStream(tokenizer, tokenizer("x")["input_ids"], (), keep_special=False)
    texts = []
    for token in tokenizer("a√b")["input_ids"]:
        stream.push(token)
        texts.append(stream.text)
    assert texts == ["a", "a", "a", "a√", "a√b"]


def test_an_unfinished_character_ends_the_text_as_the_tokenizer_writes_it(tokenizer) -> None:
    stream = TextStream(tokenizer, tokenizer("x")["input_ids"], (), keep_special=False)
    for token in tokenizer("a√")["input_ids"][:-1]:
        stream.push(token)
    stream.finish()
    assert stream.text == tokenizer.decode(stream.ids) == "a�"


def test_special_tokens_are_text_only_where_they_are_asked_for(tokenizer) -> None:
    for keep, expected in ((False, "ab"), (True, "a<bos>b")):
        stream = TextStream(tokenizer, (), (), keep_special=keep)
        for token in (*tokenizer("a")["input_ids"], BOS, *tokenizer("b")["input_ids"]):
            stream.push(token)
        assert stream.text == expected


def test_only_the_first_span_gets_special_tokens_and_known_ids_are_kept() -> None:
    tokenizer = tiny_tokenizer(add_bos=True)
    spans = (Span("ab", Source.PROMPT), Span("ab", Source.MODEL, (EOS, 7)), Span("ab", Source.INTERPRETER))
    first, known, last = encode_spans(tokenizer, spans)
    assert first == (BOS, *last)
    assert known == (EOS, 7)


def test_a_longer_transcript_begins_with_the_ids_of_a_shorter_one() -> None:
    tokenizer = tiny_tokenizer(merges=MERGES)
    spans = tuple(Span(text, Source.PROMPT) for text in ("ab", "c", "e", ">"))
    whole = encode_spans(tokenizer, spans)
    assert all(encode_spans(tokenizer, spans[:n]) == whole[:n] for n in range(5))
    assert tuple(tokenizer("abce>")["input_ids"]) != tuple(i for ids in whole for i in ids)  # merging would differ


@given(text=st.text(alphabet="ab<", max_size=12), stop=st.text(alphabet="ab<", min_size=1, max_size=4))
def test_what_is_not_held_back_can_never_be_part_of_a_stop(text: str, stop: str) -> None:
    if stop in text:
        return
    visible = len(text) - partial_stop(text, (stop,))
    for more in ("", stop, *(stop[i:] for i in range(len(stop)))):
        found = first_stop(text + more, (stop,))
        assert found is None or found[0] >= visible
