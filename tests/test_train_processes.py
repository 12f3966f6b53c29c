"""Two processes train one model (on CPUs, over gloo). What must stay true:

- losses, gradients and weights are those of one process, to rounding; also where a step has one micro-batch, so that a
  process idles, and for the value model's loss;
- one process writes: one line of metrics a step, whole checkpoints, one directory; all of them report the same result;
- a run that ended is only read;
- the same holds where FSDP2 or DeepSpeed's ZeRO 3 share the weights out, by the files of `recipes/accelerate`, and
  after a run was killed; what was never tried is refused.

accelerate shares weights out on GPUs only. The launched script tells it, before it looks, that these CPUs are such; the
collectives, the sharding and the checkpoints are the real ones.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tomllib
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.train, pytest.mark.timeout(600)]  # a busy machine starts processes slowly
torch = pytest.importorskip("torch")
if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip("this torch has no gloo: two processes cannot be tried", allow_module_level=True)
from mario.engine import checkpoint  # noqa: E402
from mario.errors import MarioError, TrainingError, UsageError  # noqa: E402
from mario.estimate import wilson  # noqa: E402
from mario.train.heldout import HeldOut  # noqa: E402
from mario.train.sft import train_sft  # noqa: E402
from test_train import CONFIG, SOURCES  # noqa: E402
from tiny import tiny_model  # noqa: E402

RECIPES = Path(__file__).parent.parent / "recipes" / "accelerate"
no_deepspeed = pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None,
    reason="NOT TESTED: DeepSpeed is not installed (pip install deepspeed)",
)
by_each_library = pytest.mark.parametrize(
    "config", ["fsdp2.yaml", pytest.param("deepspeed-zero3.yaml", marks=no_deepspeed)]
)

RUN = """
import os, sys
sys.path.insert(0, {tests!r})
from dataclasses import replace
from pathlib import Path
from accelerate import state
from accelerate.utils import DistributedType

made = state.AcceleratorState.__init__

def as_on_gpus(self, mixed_precision=None, cpu=False, *args, **kwargs):
    if not state.AcceleratorState._shared_state and os.environ.get("ACCELERATE_USE_FSDP") == "true":
        state.PartialState(True).distributed_type = DistributedType.MULTI_GPU
    made(self, mixed_precision, cpu and os.environ.get("ACCELERATE_USE_DEEPSPEED") != "true", *args, **kwargs)

state.AcceleratorState.__init__ = as_on_gpus
import test_ovm
from test_train import CONFIG, SOURCES
from mario.train.config import LoraConfig
from mario.train import processes
from mario.train.ovm import train_ovm
from mario.train.sft import train_sft

heard = []

def listen(progress):
    heard.append(progress)
    if progress.step == {stop}:
        os._exit(9)

train = {train}
result = train({base!r}, Path({out!r}), listen)
losses = repr(result.first_loss), repr(result.last_loss)
said = os.environ["RANK"], len(heard), result.steps, *losses, result.resumed_from
Path({said!r} + os.environ["RANK"]).write_text(" ".join(map(str, said)))
processes.leave()
"""
SFT = "lambda base, out, listen: train_sft(replace(CONFIG, save_seconds=0.2), SOURCES, base, out, listen)"


def launch(tmp_path: Path, base: Path, train: str = SFT, config: str | None = None, stop: int = 0) -> list[str]:
    """Train in two processes; what each says at its end, in a file of its own (lines on one pipe may interleave).

    With `stop` the first is killed after so many steps, and nothing is said.
    """
    path, said = tmp_path / "script.py", tmp_path / "said"
    tests = str(Path(__file__).parent)
    out = str(tmp_path / "two")
    path.write_text(RUN.format(tests=tests, base=str(base), out=out, said=str(said), train=train, stop=stop))
    kept = tmp_path / "kept"
    if Path(out).exists():
        shutil.copytree(out, kept, dirs_exist_ok=True)
    done = _start(path, config)
    aborted = config is not None and "SIGABRT" in done.stderr  # seen once in forty, never without accelerate's files
    if aborted or "EADDRINUSE" in done.stderr:
        warnings.warn(f"launched once more after:\n{done.stderr[-2000:]}", stacklevel=2)
        shutil.rmtree(out, ignore_errors=True)
        if kept.exists():
            shutil.copytree(kept, out)
        done = _start(path, config)
    if stop:
        assert done.returncode != 0
        return []
    assert done.returncode == 0, done.stdout + done.stderr
    return [Path(f"{said}{rank}").read_text() for rank in range(2)]


def _start(script: Path, config: str | None) -> subprocess.CompletedProcess[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    if config is None:
        start = ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", port]
    else:
        start = ["accelerate.commands.launch", "--config_file", str(RECIPES / config)]
        start += ["--num_processes", "2", "--main_process_port", port]
    return subprocess.run(
        [sys.executable, "-m", *start, str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "DS_ACCELERATOR": "cpu"},
        timeout=300,
    )


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def assert_same_run(shared: Path, alone: Path) -> None:
    """Files, curve and weights."""
    from safetensors.torch import load_file

    names = [sorted(str(path.relative_to(root)) for path in root.rglob("*")) for root in (shared, alone)]
    assert names[0] == names[1]
    curves = lines(shared), lines(alone)
    for key in ("step", "loss", "grad_norm", "tokens", *(key for key in ("value_loss",) if key in curves[1][0])):
        first, second = ([line[key] for line in curve] for curve in curves)
        assert first == pytest.approx(second, rel=2e-3), key
    for path in alone.rglob("*.safetensors"):
        found = load_file(shared / path.relative_to(alone))
        for name, tensor in load_file(path).items():
            torch.testing.assert_close(found[name], tensor, rtol=1e-2, atol=1e-3, msg=name)


@pytest.mark.full
def test_two_processes_train_the_model_of_one(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "tiny", spread=0.02, add_bos=True)
    one = train_sft(CONFIG, SOURCES, str(base), tmp_path / "one")
    said = launch(tmp_path, base)
    assert [line.split()[:3] for line in said] == [
        ["0", str(one.steps), str(one.steps)],
        ["1", "0", str(one.steps)],
    ]
    assert said[0].split()[3:] == said[1].split()[3:]
    assert_same_run(tmp_path / "two", tmp_path / "one")
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

    uneven = [own_share(batches, rank, 3, evenly=True) for rank in range(3)]
    assert [len(share) for share in uneven] == [2, 2, 2]  # 5 among 3


@pytest.mark.full
@by_each_library
def test_weights_shared_out_train_the_model_of_one_process(tmp_path: Path, config: str) -> None:
    base = tiny_model(tmp_path / "tiny", spread=0.02, add_bos=True)
    one = train_sft(CONFIG, SOURCES, str(base), tmp_path / "one")
    launch(tmp_path, base, config=config, stop=12)
    assert list((tmp_path / "two" / "checkpoints").glob("*/complete"))
    said = launch(tmp_path, base, config=config)
    assert [line.split()[2] for line in said] == [str(one.steps)] * 2
    assert 0 < int(said[0].split()[-1]) <= 12, "it did not resume"
    assert_same_run(tmp_path / "two", tmp_path / "one")


def train_value_model(tmp_path: Path, config: str, changes: dict[str, Any]) -> None:
    """By one process into `one`, and into `two` by two that share the weights out."""
    import test_ovm
    from mario.train.ovm import train_ovm

    base = tiny_model(tmp_path / "tiny", spread=0.02, add_bos=True)
    data = test_ovm.training_set(tmp_path / "sums")
    train_ovm(replace(test_ovm.CONFIG, **changes), test_ovm.OVM, [data], str(base), tmp_path / "one")
    train = (
        f"lambda base, out, listen: train_ovm(replace(test_ovm.CONFIG, **{changes!r}), test_ovm.OVM, "
        f"[Path({str(data)!r})], base, out, listen)"
    )
    launch(tmp_path, base, train, config)


@pytest.mark.full
@by_each_library
def test_a_value_model_and_adapters_under_shared_weights(tmp_path: Path, config: str) -> None:
    """In float32 and several micro-batches a step, not as many for each process; activations computed twice."""
    from mario.train.config import LoraConfig

    changes = {"epochs": 2, "max_tokens": 240, "gradient_checkpointing": True, "lora": LoraConfig(rank=4)}
    train_value_model(tmp_path, config, changes)
    assert_same_run(tmp_path / "two", tmp_path / "one")


@pytest.mark.full
def test_fsdp_in_bfloat16_is_near_one_process(tmp_path: Path) -> None:
    """FSDP computes on bfloat16 weights, one process by autocast; the value head is float32 in both."""
    train_value_model(tmp_path, "fsdp2.yaml", {"epochs": 2, "dtype": "bfloat16"})
    alone, shared = lines(tmp_path / "one"), lines(tmp_path / "two")
    assert [line["loss"] for line in shared] == pytest.approx([line["loss"] for line in alone], rel=1e-2)
    assert [line["value_loss"] for line in shared] == pytest.approx([line["value_loss"] for line in alone], rel=2e-2)


def test_a_whole_recipe_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several would make its rows side by side."""
    from mario.cli import stages

    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="mario run is one process, and several were started"):
        stages.run([str(RECIPES.parent / "demo.toml"), "--dry-run"])


@pytest.mark.parametrize("size", ["7b", "34b"])
def test_the_protocol_finds_what_several_gpus_trained(size: str) -> None:
    """The settings for `mario train` are those of the stage, so `mario run` takes the directory for its own."""
    alone = tomllib.loads((RECIPES / f"sft-{size}.toml").read_text())
    stage = tomllib.loads((RECIPES.parent / f"mario-{size}.toml").read_text())["stages"]["sft"]
    assert alone == {name: setting for name, setting in stage.items() if name not in ("verb", "data")}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"WORLD_SIZE": "1"}, "one process has nobody to share weights with"),
        ({"FSDP_VERSION": "1"}, "fsdp_version: 2"),
        (
            {"ACCELERATE_USE_FSDP": "false", "ACCELERATE_USE_DEEPSPEED": "true"},
            r"pip install 'mario-math\[deepspeed\]'",
        ),
    ],
)
def test_what_cannot_be_shared_out_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], message: str
) -> None:
    if "ACCELERATE_USE_DEEPSPEED" in settings and importlib.util.find_spec("deepspeed"):
        pytest.skip("DeepSpeed is installed, so it is not refused")
    share(monkeypatch, **settings)
    base = tiny_model(tmp_path / "tiny")
    with pytest.raises(MarioError, match=message):
        train_sft(CONFIG, SOURCES, str(base), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def share(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """What accelerate launch sets for FSDP2."""
    for name, value in {"WORLD_SIZE": "2", "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", **settings}.items():
        monkeypatch.setenv(name, value)


def test_problems_are_not_solved_with_shared_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process alone would wait for the others' shares forever."""
    share(monkeypatch)
    held_out = HeldOut(lambda *_: wilson(0, 1))
    with pytest.raises(UsageError, match="while FSDP shares the weights out"):
        train_sft(CONFIG, SOURCES, str(tiny_model(tmp_path / "tiny")), tmp_path / "out", held_out=held_out)


def test_accelerate_not_sharing_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no GPUs it says nothing and copies the model."""
    from transformers import TrainingArguments

    from mario.train.trainer import SpanTrainer

    share(monkeypatch, WORLD_SIZE="1")
    model = checkpoint.load_model(tiny_model(tmp_path / "tiny"), dtype="float32", device="cpu")
    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")
    with pytest.raises(TrainingError, match="accelerate shares weights out on GPUs only, and device is cpu"):
        SpanTrainer(model=model, args=arguments)
