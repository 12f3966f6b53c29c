"""The forecast of a training run. What must stay true:

- its counts are those of the run itself, read without weights;
- its sum of memory is what a real run takes, in every mode, within a quarter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mario.train.config import LoraConfig

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")
pytest.importorskip("peft")
from mario.cli.train_run import plan_text  # noqa: E402
from mario.train.estimate import Shape, forecast  # noqa: E402
from mario.train.sft import FineTuning, train_sft  # noqa: E402
from test_train import CONFIG, SOURCES  # noqa: E402
from tiny import tiny_model  # noqa: E402


def test_the_counts_are_those_of_the_run(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "tiny", add_bos=True)
    (tmp_path / "tiny" / "model.safetensors").rename(tmp_path / "kept-apart")
    found = forecast(FineTuning(SOURCES), CONFIG, str(base))
    (tmp_path / "kept-apart").rename(tmp_path / "tiny" / "model.safetensors")
    result = train_sft(CONFIG, SOURCES, str(base), tmp_path / "out")
    assert (found.steps, found.tokens, found.sources) == (result.steps, result.tokens, result.sources)
    assert 0 < found.padding < 0.3
    assert found.shape.learning == found.shape.parameters > 2 * 2 * 64 * 128
    adapted = forecast(FineTuning(SOURCES), replace(CONFIG, lora=LoraConfig(rank=2)), str(base)).shape
    # Two layers of rank times (in + out) of q, k, v, o, gate, up and down.
    assert adapted.learning == 2 * 2 * (128 + 96 + 96 + 128 + 192 + 192 + 192)
    assert adapted.parameters == found.shape.parameters + adapted.learning


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here, and what it can is asked of it")
def test_a_run_for_a_gpu_elsewhere_is_forecast_as_gpus_compute(tmp_path: Path) -> None:
    base = str(tiny_model(tmp_path / "tiny", add_bos=True))
    auto = replace(CONFIG, device="cuda", dtype="auto")
    found = forecast(FineTuning(SOURCES), auto, base)
    assert found.arithmetic == "bfloat16" and found.memory.casts > 0
    assert "by forecast: 0.00 GB in bfloat16 on cuda, and what the libraries take" in plan_text(found)
    assert forecast(FineTuning(SOURCES), replace(auto, dtype="float32"), base).arithmetic == "float32"


def test_a_large_model_needs_what_is_known_of_it() -> None:
    """Weights, gradients and AdamW of 7B parameters in float32 are 16 bytes each."""
    shape = Shape(6_740_000_000, 6_740_000_000, 32_000, 32, 4096, 11_008, 4096, 4096, tokens=4096, labelled=3000)
    memory = shape.memory(bfloat16=True, adapters=False, twice=True)
    assert memory.weights + memory.gradients + memory.optimizer == 16 * 6_740_000_000
    assert 120e9 < memory.total < 135e9
    assert shape.memory(bfloat16=True, adapters=False, twice=False).total > memory.total + 25e9


MEASURE = """
import ctypes, gc, json, sys
sys.path.insert(0, {tests!r})
from dataclasses import replace
from pathlib import Path
import torch
from test_train import CONFIG, Lessons
from mario.train.config import LoraConfig
from mario.train.estimate import forecast
from mario.train.sft import FineTuning, SourceSet, train_sft
from tiny import tiny_model

torch.set_num_threads(1)
base = tiny_model(Path({out!r}) / "base", hidden=256, layers=4)
sources = [SourceSet("code", Lessons(80), "sha256:code")]
plain = replace(CONFIG, epochs=1, learning_rate=1e-4, tokens_per_step=3000, max_tokens=3000)

def resident(name):
    return next(int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith(name))

found = []
for i, changed in enumerate([{{}}, {{}}, {{"dtype": "bfloat16"}}, {{"gradient_checkpointing": True}},
                             {{"dtype": "bfloat16", "lora": LoraConfig(rank=8)}}]):
    config = replace(plain, **changed)
    expected = forecast(FineTuning(sources), config, str(base)).memory.total
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    train_sft(config, sources, str(base), Path({out!r}) / str(i))
    found.append([str(changed), expected, resident("VmHWM") - before])
print(json.dumps(found[1:]))  # the first run loads the libraries
"""


@pytest.mark.full
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc to reset a peak")
def test_the_sum_is_what_a_run_takes(tmp_path: Path) -> None:
    script = MEASURE.format(tests=str(Path(__file__).parent), out=str(tmp_path))
    # With glibc's sliding threshold freed blocks of some megabytes stay in its heap, and a peak is up to twice the sum.
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "MALLOC_MMAP_THRESHOLD_": "262144"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    for what, expected, measured in json.loads(done.stdout.splitlines()[-1]):
        assert measured == pytest.approx(expected, rel=0.25), what
