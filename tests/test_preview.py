"""The preview shows what will be learnt, and whatever a model wrote stays text. What must stay true:

- the pieces are the row: put together they are its text, and the trained ones hold exactly the trained tokens;
- counts and refusals are those of the run;
- in a terminal as on the page, no text of a row moves a cursor, runs, or turns the reading direction;
- colour comes only where a terminal asks for it, and without it every piece says in words what it is.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mario.cli.app import main
from mario.store import ShardWriter
from mario.train.config import SftConfig
from mario.train.encode import Reason
from mario.train.sft import SourceSet
from mario.types import Sampling, Source, Span, StopReason, Trajectory

pytestmark = pytest.mark.train
zoo = pytest.importorskip("tokenizers_zoo", reason="needs tokenizers", exc_type=ImportError)
pytest.importorskip("transformers")

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[2J\x1b]0;owned\x07\u202etxt\x85"


def row(number: int, *spans: Span) -> Trajectory:
    return Trajectory(f"p{number}", 0, "inline", "t", Sampling(), (), StopReason.ANSWERED, spans=spans)


def rows() -> list[Trajectory]:
    ask = Span("Question: 17 * 24?\n\nSolution:\n\n<p>\n", Source.PROMPT)
    code = Span("Compute.\n</p>\n\n<code>\nprint(17 * 24)\n</code>", Source.MODEL)
    end = Span("So.\n</p>\n\nFinal Answer: $408$", Source.MODEL)
    return [
        row(0, ask, code, Span("\nOutput: 408\n\n<p>\n", Source.INTERPRETER), end),
        row(1, ask, code, Span(f"\nOutput: {HOSTILE}\n", Source.INTERPRETER), end),
        row(2, ask),
        row(3, ask, Span("word " * 900, Source.MODEL)),
    ]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return zoo.zoo("byte-level")


def made(tokenizer: Any, **settings: Any) -> Any:
    from mario.train.preview import preview

    return preview(
        SourceSet("taught", rows(), "h"), tokenizer, SftConfig(max_row_tokens=700, **settings), window=700, rows=2
    )


def test_the_pieces_are_the_row(tokenizer: Any) -> None:
    found = made(tokenizer)
    for shown, trajectory in zip(found.rows, rows(), strict=False):
        text = "".join(piece.text for piece in shown.pieces)
        assert text == "<s>" + "".join(span.text for span in trajectory.spans) + "</s>"
        assert sum(piece.n_tokens for piece in shown.pieces if piece.is_trained) == shown.n_trained
        assert sum(piece.n_tokens for piece in shown.pieces) == shown.n_tokens
        by_model = "".join(span.text for span in trajectory.spans if span.source is Source.MODEL)
        assert "".join(piece.text for piece in shown.pieces if piece.is_trained) == by_model + "</s>"
    first = found.rows[0].pieces
    assert [(piece.kind, piece.is_special) for piece in first] == [
        ("prompt", True),
        ("prompt", False),
        ("trained", False),
        ("output", False),
        ("trained", False),
        ("trained", True),
    ]
    assert [piece.is_merged for piece in first] == [False, False, True, False, False, False]  # "</code>" and "\nOutput"


def test_the_ablation_is_seen(tokenizer: Any) -> None:
    assert {piece.kind for piece in made(tokenizer, train_on_output=True).rows[0].pieces} == {"prompt", "trained"}


def test_counts_are_those_of_the_run(tokenizer: Any) -> None:
    found = made(tokenizer)
    assert (found.count.rows, found.refused) == (2, {Reason.NOTHING_TRAINED: 1, Reason.TOO_LONG: 1})
    assert [refusal.id for refusal in found.refusals] == ["p2#0", "p3#0"]
    assert found.count.merged_boundaries == sum(shown.n_merged for shown in found.rows) == 2
    assert found.count.trained_tokens == sum(shown.n_trained for shown in found.rows)
    assert found.lengths.shortest <= found.lengths.median <= found.lengths.longest <= 700


def test_of_many_refusals_the_first_are_shown_and_the_rest_is_said(tokenizer: Any) -> None:
    from mario.cli.train_preview import text
    from mario.train.preview import preview
    from mario.train.preview_page import page

    many = [row(i, Span("Question: 17 * 24?", Source.PROMPT)) for i in range(5)]
    found = preview(SourceSet("taught", many, "h"), tokenizer, SftConfig(), window=700, rows=2)
    assert [refusal.id for refusal in found.refusals] == ["p0#0", "p1#0", "p2#0"]
    said = text(found, colour=False)
    assert "  refused, nothing_trained: 5, the first 3:\n    p0#0: " in said
    assert "no row to show" in said and "row lengths" not in said
    assert "5 refused: nothing_trained 5 (the first 3 below)" in page([found], "zoo")


def test_a_terminal_is_told_colours_and_nothing_else(tokenizer: Any) -> None:
    from mario.cli.train_preview import text

    coloured = text(made(tokenizer), colour=True)
    assert set(re.findall(r"\x1b[^m]*m", coloured)) == {"\x1b[2m", "\x1b[1;32m", "\x1b[33m", "\x1b[7m", "\x1b[0m"}
    assert not re.search(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e]", coloured)
    assert r"\u001b[2J\u001b]0;owned\u0007\u202etxt\u0085" in coloured
    assert "\x1b[1;32mCompute." in coloured
    plain = text(made(tokenizer), colour=False)
    assert "\x1b" not in plain
    assert "--- trained, special, 1 token\n</s>" in plain
    assert "--- output, " in plain


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "src"]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_hostile_text_as_text(tokenizer: Any) -> None:
    from mario.train.preview_page import page

    made_page = page([made(tokenizer)], "zoo <b>")
    tags = Tags(made_page)
    assert "img" not in tags.names
    assert tags.names.count("script") == 1  # our own, which the policy names by its hash
    assert not tags.handlers
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>\\u001b[2J" in tags.text
    assert "\u202e" not in made_page
    assert 'class="piece output"' in made_page
    assert 'class="merged"' in made_page
    assert "http" not in re.sub(r'content="[^"]*"', "", made_page).replace("http-equiv", "")


def test_the_verb_reads_a_directory_and_writes_a_page(
    tmp_path: Path, tokenizer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 700}))
    shards = ShardWriter(tmp_path / "taught" / "kept")
    for trajectory in rows():
        shards.append(trajectory)
    shards.seal()
    command = ["train", "preview", str(tmp_path / "taught"), "--model", str(tmp_path / "model"), "--rows", "1"]
    assert main([*command, "--html", str(tmp_path / "page.html")]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("taught: 2 rows, ")
    assert "refused, too_long: 1" in said.out
    assert said.out.count("--- trained") == 3
    assert "\x1b" not in said.out  # no terminal
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    assert main([*command, "--html", str(tmp_path / "absent" / "page.html")]) == 1
    assert "could not be written" in capsys.readouterr().err
