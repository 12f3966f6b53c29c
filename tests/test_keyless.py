"""GSM8K without a key, whole: one command from 7,473 problems to a published set, every drop accounted for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mario.store import read_jsonl

DATA = Path(os.environ.get("MARIO_DATA", "/nowhere"))
RECIPE = Path(__file__).parents[1] / "recipes" / "gsm8k-keyless.toml"


@pytest.mark.full
@pytest.mark.realdata
@pytest.mark.timeout(900)
@pytest.mark.skipif(not DATA.is_dir(), reason="NO REAL DATA: the keyless set was not made; set MARIO_DATA")
def test_the_keyless_set(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("datasketch")
    files = {split: str(DATA / "gsm8k" / f"{split}.jsonl.gz") for split in ("train", "test")}
    command = [sys.executable, "-m", "mario", "run", str(RECIPE), "--out", str(tmp_path)]
    for split, path in files.items():
        command += [f"--stages.{split}-problems.path", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "published" / "manifest.json").read_text())
    came = 7473  # one attempt a problem: problems and attempts are the same numbers all the way
    for step in manifest["filters"]:
        assert step["taken"] == came, step
        assert step["kept"] + sum(step.get("dropped", {}).values()) == came, step
        came = step["kept"]
    assert came == manifest["rows"] == sum(1 for _ in read_jsonl(tmp_path / "published" / "data" / "train.jsonl"))
    drops = [line["problem_id"] for _, line in read_jsonl(tmp_path / "published" / "drops.jsonl")]
    assert len(drops) == len(set(drops)) == 7473 - came
    assert came >= 0.98 * 7473
    before = {path: path.stat() for path in (tmp_path / "published").rglob("*") if path.suffix == ".parquet"}
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert [path.read_bytes() for path in before] and json.loads(
        (tmp_path / "published" / "manifest.json").read_text()
    ) == manifest
