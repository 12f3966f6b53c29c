"""A model says which questions it learnt, and is not judged on them unless their set is named.

What is held: a fingerprint sees words and numbers, not layout; only problems with a row count; a model trained on from
another carries on what that one knew; evaluation and self-training refuse before anything is attempted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mario.data.overlap import NAME, count_known, fingerprint, questions_of, trained_on, write_trained
from mario.data.readers import write_problems
from mario.data.wordproblems import generate
from mario.errors import DataError
from mario.selftrain import SelfTrainConfig, self_train
from mario.store import ShardWriter
from mario.types import Problem

TRAIN = list(generate("train", 12, seed=1))
TEST = list(generate("test-shared", 12, seed=1))


def mario(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "mario", *arguments], cwd=cwd, capture_output=True, text=True)


def rows(folder: Path, problems: list[Problem], answered: list[Problem]) -> Path:
    """A folder of rows beside its problems."""
    write_problems(folder / "problems.jsonl", problems)
    writer = ShardWriter(folder / "kept")
    for problem in answered:
        writer.append({"problem_id": problem.id})
    writer.seal()
    return folder / "kept"


def test_a_fingerprint_sees_words_and_numbers_not_layout() -> None:
    one = fingerprint("A crate holds 1,200 nails.  How many do three crates hold?")
    assert one == fingerprint("a crate holds 1200 nails, how many do 3 crates hold")
    assert one != fingerprint("A crate holds 1,300 nails. How many do three crates hold?")
    assert len({fingerprint(problem.question) for problem in TRAIN + TEST}) == 24


def test_only_problems_with_a_row_were_learnt(tmp_path: Path) -> None:
    found = questions_of(rows(tmp_path, TRAIN, TRAIN[:5]))
    assert found == {fingerprint(problem.question) for problem in TRAIN[:5]}
    assert count_known("It learnt", found, TRAIN[5:] + TEST) == 0


def test_an_overlap_names_its_problems_and_what_to_type(tmp_path: Path) -> None:
    base, model = tmp_path / "base", tmp_path / "model"
    base.mkdir()
    model.mkdir()
    write_trained(base, [rows(tmp_path / "a", TRAIN, TRAIN[:2])], tmp_path)
    write_trained(model, [rows(tmp_path / "b", TEST, TEST[:1])], base)  # carries on what its base knew
    assert len((model / NAME).read_text().split()) == 3
    with pytest.raises(DataError) as raised:
        trained_on(model, TRAIN + TEST)
    said = str(raised.value)
    assert f"2 of the 12 problems of wordproblems-train ({TRAIN[0].id}, {TRAIN[1].id})" in said
    assert f"1 of the 12 problems of wordproblems-test-shared ({TEST[0].id})" in said
    assert "--allow_overlap wordproblems-train,wordproblems-test-shared" in said
    with pytest.raises(DataError, match="wordproblems-test-shared"):
        trained_on(model, TRAIN + TEST, ["wordproblems-train"])
    assert trained_on(model, TRAIN + TEST, ["wordproblems-train", "wordproblems-test-shared"]) == 3
    assert trained_on(base, TEST) == trained_on(tmp_path, TRAIN) == 0


def test_a_damaged_file_is_no_absent_file(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=f"{NAME} cannot be read"):
        trained_on(tmp_path, TRAIN)


def test_self_training_refuses_before_it_samples(tmp_path: Path) -> None:
    write_problems(tmp_path / "pool.jsonl", TRAIN)
    seen = replace(TEST[3], question=TRAIN[7].question.upper())
    write_problems(tmp_path / "test.jsonl", [*TEST[:3], seen])
    config = SelfTrainConfig(tmp_path / "pool.jsonl", test=(tmp_path / "test.jsonl",))
    with pytest.raises(DataError, match=f"self-training would learn from 1 of the 4 .*{seen.id}"):
        self_train(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.train
def test_a_trained_model_is_not_judged_on_what_it_learnt(tmp_path: Path) -> None:
    from tiny import tiny_model

    tiny_model(tmp_path / "tiny")
    write_problems(tmp_path / "p" / "problems.jsonl", TRAIN)
    write_problems(tmp_path / "new" / "problems.jsonl", TEST[:1])
    tuning = ["--model", "tiny", "--train.dtype", "float32", "--train.tokens_per_step", "3000", "--out", "model"]
    for command in (["annotate", "p", "--limit", "8", "--out", "taught"], ["train", "sft", "taught", *tuning]):
        done = mario(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    judge = ["--engine.model", "model", "--solve.max_new_tokens", "4", "--engine.dtype", "float32"]
    refused = mario("evaluate", "p", *judge, "--out", "e", cwd=tmp_path)
    assert refused.returncode == 1 and not (tmp_path / "e").exists()
    assert "model was trained on 8 of the 12 problems of wordproblems-train" in refused.stderr
    named = mario("evaluate", "p", *judge, "--allow_overlap", "wordproblems-train", "--out", "e", cwd=tmp_path)
    assert named.returncode == 0, named.stderr
    assert json.loads((tmp_path / "e" / "summary.json").read_text())["trained_on"] == 8
    assert "8 of the problems were trained on, as was allowed" in named.stdout
    fresh = mario("evaluate", "new", *judge, "--out", "f", cwd=tmp_path)
    assert fresh.returncode == 0, fresh.stderr
