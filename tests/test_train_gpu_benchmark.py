"""The training benchmark for GPUs, in its small size on the CPU: every case runs, four packages are enough, and its
rows are what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
pytest.importorskip("torch")
pytest.importorskip("peft")
from test_science import bare_python  # noqa: E402

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu" / "train.py"


@pytest.mark.full
def test_the_small_size_runs_every_case(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    command = [sys.executable, str(SCRIPT), "--size", "cpu", "--results", str(results)]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(results.read_text())
    found = {result["case"]: result for result in report["results"]}
    assert len(found) == 6
    assert found["exact"]["largest_relative_difference"] < 0.02
    for name, result in found.items():
        assert result.get("falls") or ("TRL" in name and "skipped" in result), result
        if "tokens_per_second" in result:
            assert result["tokens_per_second"] > 0 and result["steps"] == 4
    assert {"torch", "transformers"} <= set(report["versions"])


@pytest.mark.full
def test_it_runs_where_only_torch_transformers_peft_and_accelerate_are(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL"))}
    command = [
        str(bare_python(tmp_path / "bare")),
        str(SCRIPT),
        "--size",
        "cpu",
        "--only",
        "adapters",
        "--results",
        str(results),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment | {"OMP_WAIT_POLICY": "PASSIVE"})
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(results.read_text())
    assert [(result["case"], result["falls"]) for result in report["results"]] == [("1B, adapters", True)]
    assert {"torch", "transformers", "accelerate", "peft"} <= set(report["versions"])
    assert "trl" not in report["versions"]


def test_the_rows_are_what_their_runs_say() -> None:
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        import train as benchmark
    finally:
        sys.path.pop(0)
    rows = benchmark.read_rows()
    assert len(rows) == 96
    lines = [json.loads(line) for line in benchmark.ROWS.read_text().splitlines()]
    for row, line in zip(rows, lines, strict=True):
        assert len(row.labels) == row.n_tokens == sum(line["runs"])
        assert row.n_trained == sum(line["runs"][1::2])
        assert max(row.input_ids) < benchmark.VOCABULARY
        assert all(label in (benchmark.IGNORED, token) for token, label in zip(row.input_ids, row.labels, strict=True))
