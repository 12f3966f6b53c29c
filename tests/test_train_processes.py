"""Two processes train one model (on CPUs, over gloo). What must stay true:

- losses, gradients and weights are those of one process, to rounding; also where a step has one micro-batch, so that a
  process idles, and for the value model's loss;
- one process writes: one line of metrics a step, whole checkpoints, one directory; all of them report the same result;
- a run that ended is only read.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")
if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip("this torch has no gloo: two processes cannot be tried", allow_module_level=True)
from mario.errors import TrainingError  # noqa: E402
from mario.train.sft import train_sft  # noqa: E402
from test_train import CONFIG, SOURCES  # noqa: E402
from tiny import tiny_model  # noqa: E402

RUN = """
import os, sys
sys.path.insert(0, {tests!r})
from dataclasses import replace
from pathlib import Path
from test_train import CONFIG, SOURCES
from mario.train.sft import train_sft

heard = []
result = train_sft(replace(CONFIG, save_seconds=0.2), SOURCES, {base!r}, Path({out!r}), heard.append)
said = os.environ["RANK"], len(heard), result.steps, repr(result.first_loss), repr(result.last_loss)
Path({said!r} + os.environ["RANK"]).write_text(" ".join(map(str, said)))
"""


def launch(tmp_path: Path, base: Path) -> list[str]:
    """Train in two processes; what each says at its end, in a file of its own (lines on one pipe may interleave)."""
    path = tmp_path / "script.py"
    said = tmp_path / "said"
    tests = str(Path(__file__).parent)
    path.write_text(RUN.format(tests=tests, base=str(base), out=str(tmp_path / "two"), said=str(said)))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-port",
        str(port),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        [*command, str(path)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [Path(f"{said}{rank}").read_text() for rank in range(2)]


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.full
def test_two_processes_train_the_model_of_one(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    base = tiny_model(tmp_path / "tiny", spread=0.02, add_bos=True)
    one = train_sft(CONFIG, SOURCES, str(base), tmp_path / "one")
    said = launch(tmp_path, base)
    assert [line.split()[:3] for line in said] == [
        ["0", str(one.steps), str(one.steps)],
        ["1", "0", str(one.steps)],
    ]
    assert said[0].split()[3:] == said[1].split()[3:]
    alone, shared = lines(tmp_path / "one"), lines(tmp_path / "two")
    assert [line["step"] for line in shared] == list(range(1, one.steps + 1))
    for key in ("loss", "grad_norm", "tokens"):
        assert [line[key] for line in shared] == pytest.approx([line[key] for line in alone], rel=2e-3), key
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=1e-2, atol=1e-3, msg=name)
    assert not (tmp_path / "two" / "checkpoints").exists()
    again = launch(tmp_path, base)  # a finished run is only read
    assert [line.split()[1:3] for line in again] == [["0", str(one.steps)]] * 2


def test_each_micro_batch_is_computed_once() -> None:
    from mario.train.encode import IGNORED
    from mario.train.trainer import own_share

    batches = [{"labels": torch.tensor([[IGNORED, i]]), "row_ids": [str(i)]} for i in range(5)]
    for ranks in (1, 2, 3, 7):
        shares = [own_share(batches, rank, ranks) for rank in range(ranks)]
        assert all(shares)
        learnt = [int(batch["labels"].max()) for share in shares for batch in share if batch["labels"].max() >= 0]
        assert sorted(learnt) == list(range(5))


@pytest.mark.parametrize(("name", "what"), [("ACCELERATE_USE_FSDP", "FSDP"), ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed")])
def test_sharing_out_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, what: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv(name, "true")
    base = tiny_model(tmp_path / "tiny")
    with pytest.raises(TrainingError, match=rf"{what} was asked for.*every process holds the whole model"):
        train_sft(CONFIG, SOURCES, str(base), tmp_path / "out")
    assert not (tmp_path / "out").exists()
