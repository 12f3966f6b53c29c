"""Continued pre-training. What must stay true:

- no text is lost: the blocks, put together, are the documents, each closed by the end token;
- every token but a block's first is learnt, and the loss falls;
- a file that is not what it should be is named, with the line and what to set.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mario.engine import checkpoint
from mario.errors import DataError, UsageError
from mario.train.lm import Corpus, PlainText, blocks, train_lm

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")
from test_train import CONFIG  # noqa: E402
from tiny import BOS, EOS, tiny_model, tiny_tokenizer  # noqa: E402

TEXTS = [f"Chapter {i}. The sum of {i} and {i} is {2 * i}; nobody doubts it." * (1 + i % 3) for i in range(20)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base") / "tiny", spread=0.02)


@pytest.fixture
def corpora(tmp_path: Path) -> dict[str, Path]:
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(json.dumps({"body": text, "n": 1}) + "\n" for text in ["", *TEXTS]))
    whole = tmp_path / "whole.txt"
    whole.write_text("\n".join(TEXTS))
    return {"lines": lines, "whole": whole}


@pytest.mark.parametrize("add_bos", [False, True])
@pytest.mark.parametrize("size", [50, 97, 10_000])
def test_no_text_is_lost(corpora: dict[str, Path], add_bos: bool, size: int) -> None:
    tokenizer = tiny_tokenizer(add_bos=add_bos)
    rows = list(blocks(Corpus(corpora["lines"], "body"), tokenizer, size))
    ids = [token for row in rows for token in row.input_ids]
    found: list[list[int]] = [[]]
    for token in ids:
        found[-1].append(token)
        if token == EOS:
            found.append([])
    assert [tokenizer.decode(one, skip_special_tokens=True) for one in found[:-1]] == TEXTS
    assert all((one[0] == BOS) is add_bos for one in found[:-1])
    assert all(row.n_tokens == size for row in rows[:-1])
    assert all(row.labels == row.input_ids and row.n_trained == row.n_tokens - 1 for row in rows)
    assert [row.id for row in rows[:2]] == ["lines.jsonl#0", "lines.jsonl#1"][: len(rows)]


def test_a_model_learns_the_language_of_its_corpus(base: Path, corpora: dict[str, Path], tmp_path: Path) -> None:
    files = [Corpus(corpora["lines"], "body"), Corpus(corpora["whole"])]
    config = replace(CONFIG, epochs=6, max_row_tokens=120)
    result = train_lm(config, files, str(base), tmp_path / "out")
    assert result.last_loss < result.first_loss - 2
    assert set(result.sources) == {"lines.jsonl", "whole.txt"}
    text = (tmp_path / "out" / "README.md").read_text()
    assert "a base to fine-tune, not a model to ask" in text
    assert checkpoint.load_tokenizer(tmp_path / "out").chat_template is None
    again = train_lm(config, files, str(base), tmp_path / "out")
    assert again == result


def test_parquet_is_read_too(corpora: dict[str, Path], tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "table.parquet"
    parquet.write_table(arrow.table({"body": TEXTS, "n": list(range(20))}), path)
    assert list(Corpus(path, "body").documents()) == list(Corpus(corpora["lines"], "body").documents()) == TEXTS
    with pytest.raises(DataError, match=r"its columns: no text in field 'text' \(it has: body, n\)"):
        list(Corpus(path, "text").documents())
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        list(Corpus(path, "body").documents())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.jsonl",
            '{"text": "x"}\n{"title": "y"}\n',
            r"line 2: no text in field 'text' \(it has: title\); .* --field NAME",
        ),
        ("a.csv", "x", r"a corpus is \.txt, \.md, \.jsonl or \.parquet, got '\.csv'"),
        ("a.txt", b"\xff\xfe\xff", "cannot be read as UTF-8"),
        ("a.txt", " \n", "no document with text"),
    ],
)
def test_what_is_no_corpus_is_named(base: Path, tmp_path: Path, name: str, content: Any, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    tokenizer = checkpoint.load_tokenizer(base)
    with pytest.raises(DataError, match=message):
        PlainText([Corpus(path)]).plan(CONFIG, tokenizer, 1024)


def test_misuse_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one or more files"):
        PlainText([])
    with pytest.raises(DataError, match="is no file"):
        PlainText([Corpus(tmp_path / "none.txt")])
