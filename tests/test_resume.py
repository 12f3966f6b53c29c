"""`kill -9` at any moment, then the same command: the same results, and nothing that was stored is computed again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tiny import tiny_model

pytestmark = pytest.mark.train

RECIPE = """
out = "run"

[stages.problems]
verb = "data"
count = 40

[stages.test]
verb = "data"
split = "test-heldout"
count = 16

[stages.code]
verb = "annotate"
problems = "@problems"

[stages.text]
verb = "annotate"
problems = "@problems"
solve.format = "text"

[stages.model]
verb = "train"
model = "tiny"
data = ["@code", "@text"]
train.dtype = "float32"
train.save_dtype = "float32"
train.save_seconds = 0
train.learning_rate = 0.002
train.tokens_per_step = 2000

[stages.trained-code]
verb = "evaluate"
problems = ["@test"]
engine.model = "@model"
engine.dtype = "float32"
engine.batch_size = 4
solve.max_new_tokens = 48

[stages.report]
verb = "report"
runs = ["@trained-code"]
"""


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mario", *arguments]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def finish(folder: Path, *arguments: str) -> str:
    child = start(folder, *arguments)
    said, _ = child.communicate(timeout=170)
    assert child.returncode == 0, said
    return said


def texts(run: Path) -> list[tuple[str, str]]:
    """What every attempt said, in the order of the problems."""
    rows = [json.loads(line) for path in sorted((run / "trajectories").glob("[0-9]*.jsonl")) for line in path.open()]
    return sorted((row["problem_id"], "".join(span["text"] for span in row["spans"])) for row in rows)


def keys(run: Path) -> list[str]:
    return [json.loads(line)["key"] for line in (run / "journal.jsonl").open()]


def test_evaluate_killed_and_run_again(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny")
    finish(tmp_path, "data", "wordproblems", "--count", "24", "--split", "test-shared", "--out", "p")
    command = ["evaluate", "p", "--engine.model", "tiny", "--engine.dtype", "float32", "--engine.batch_size", "4",
               "--solve.max_new_tokens", "200", "--out"]  # fmt: skip
    finish(tmp_path, *command, "whole")
    child = start(tmp_path, *command, "killed")
    journal = tmp_path / "killed" / "journal.jsonl"
    deadline = time.monotonic() + 100
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 5):
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    stored = keys(tmp_path / "killed")
    assert 5 <= len(stored) < 24
    said = finish(tmp_path, *command, "killed")
    assert texts(tmp_path / "killed") == texts(tmp_path / "whole")
    after = keys(tmp_path / "killed")
    assert after[: len(stored)] == stored
    assert len(set(after)) == len(after) == len(keys(tmp_path / "whole"))
    assert "from before" in said
    assert (tmp_path / "killed" / "summary.json").read_bytes() == (tmp_path / "whole" / "summary.json").read_bytes()


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_whole_recipe_killed_at_random_moments(tmp_path: Path) -> None:
    folders = [tmp_path / "whole", tmp_path / "killed"]
    for folder in folders:
        folder.mkdir()
        tiny_model(folder / "tiny")
        (folder / "recipe.toml").write_text(RECIPE)
    began = time.monotonic()
    finish(folders[0], "run", "recipe.toml")
    length = time.monotonic() - began
    draw = random.Random(7)
    kills = 0
    for _ in range(6):
        child = start(folders[1], "run", "recipe.toml")
        try:
            child.communicate(timeout=draw.uniform(0.2, 0.7) * length)
            break  # it came through before we struck
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            kills += 1
    assert kills >= 1
    finish(folders[1], "run", "recipe.toml")
    whole, killed = (folder / "run" for folder in folders)
    assert (whole / "model" / "model.safetensors").read_bytes() == (killed / "model" / "model.safetensors").read_bytes()
    assert texts(whole / "trained-code") == texts(killed / "trained-code")
    for stage in ("code", "text"):
        assert (whole / stage / "kept" / "00000.jsonl").read_bytes() == (
            killed / stage / "kept" / "00000.jsonl"
        ).read_bytes()
        found = keys(killed / stage)
        assert len(set(found)) == len(found)
    assert (whole / "trained-code" / "summary.json").read_bytes() == (
        killed / "trained-code" / "summary.json"
    ).read_bytes()
    assert (killed / "report.html").exists()
