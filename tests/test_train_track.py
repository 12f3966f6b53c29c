"""A run's metrics in trackio and wandb, the real libraries, without a network. What must stay true:

- they get the lines of metrics.jsonl, step by step, and the recipe, in one run of the project for one directory;
- a resumed training goes on in it, a second one in the same process has its own;
- stdout stays ours.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.train, pytest.mark.timeout(600)]
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
from tiny import tiny_model  # noqa: E402

RUN = """
import os, sys
sys.path.insert(0, {tests!r})
from dataclasses import replace
from pathlib import Path
from mario.estimate import wilson
from mario.train.heldout import HeldOut
from test_train import CONFIG, SOURCES
from mario.train.sft import train_sft

config = replace(CONFIG, track={where!r}, epochs=1, save_seconds=0)

class Stop(Exception):
    pass

def stop(progress):
    if progress.step == 4:
        raise Stop

try:
    train_sft(config, SOURCES, {base!r}, Path({out!r}) / "one", stop)
except Stop:
    pass
train_sft(config, SOURCES, {base!r}, Path({out!r}) / "one", held_out=HeldOut(lambda *_: wilson(1, 4)))
train_sft(replace(config, seed=1), SOURCES, {base!r}, Path({out!r}) / "two")
print("ours")
"""


def train(where: str, tmp_path: Path) -> str:
    """Stopped, resumed, and another; returns stdout."""
    if importlib.util.find_spec(where) is None:
        pytest.skip(f"NOT TESTED: {where} is not installed (pip install 'mario-math[track]')")
    base = tiny_model(tmp_path / "tiny", spread=0.02)
    script = tmp_path / "script.py"
    script.write_text(RUN.format(tests=str(Path(__file__).parent), where=where, base=str(base), out=str(tmp_path)))
    settings = {"TRACKIO_DIR": str(tmp_path / "trackio"), "WANDB_DIR": str(tmp_path), "WANDB_MODE": "offline"}
    settings |= {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env={**os.environ, **settings}, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.replace("[INFO] Running in WANDB offline mode\n", "")  # transformers' own, on import


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.full
def test_trackio_holds_the_metrics(tmp_path: Path) -> None:
    assert train("trackio", tmp_path) == "ours\n"
    import sqlite3

    with sqlite3.connect(tmp_path / "trackio" / "mario.db") as held:
        found = held.execute("SELECT run_name, step, metrics FROM metrics ORDER BY id").fetchall()
        (config,) = held.execute("SELECT config FROM configs ORDER BY id LIMIT 1").fetchone()
    runs: dict[str, dict[int, dict[str, Any]]] = {}
    for name, step, metrics in found:
        runs.setdefault(name.rpartition("-")[0], {})[step] = json.loads(metrics)
    assert sorted(runs) == ["one", "two"] and len({name for name, *_ in found}) == 2
    for name, steps in runs.items():
        for line in lines(tmp_path / name):
            sent = steps[line.pop("step")]
            solved = line.pop("heldout", None)
            assert {key: sent[key] for key in line} == line
            assert ("heldout/value" in sent) == (solved is not None)
    assert json.loads(config)["train"]["learning_rate"] == 3e-3


@pytest.mark.full
def test_wandb_is_given_one_run_a_directory(tmp_path: Path) -> None:
    assert train("wandb", tmp_path) == "ours\n"
    sessions = sorted(path.name.rpartition("-")[2] for path in (tmp_path / "wandb").glob("offline-run-*"))
    assert len(sessions) == 3 and len(set(sessions)) == 2  # the stopped and the resumed session have one id
    logged = [path.read_bytes() for path in (tmp_path / "wandb").glob("offline-run-*/*.wandb")]
    assert all(b"tokens_per_second" in written for written in logged)
    assert sum(b"heldout/value" in written for written in logged) == 1
