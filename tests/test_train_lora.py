"""LoRA on a tiny real model. What must stay true:

- the directory is a stock model: its logits are those of base and adapter together, and peft loads the adapter alone;
- frozen weights stay as they were, modules named as trained whole do not;
- a run killed amid training ends with the weights of an uninterrupted one;
- gradient checkpointing changes no loss.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mario.engine import checkpoint
from mario.errors import UsageError
from mario.train.adapt import merged, with_adapters
from mario.train.config import LoraConfig
from mario.train.loop import TrainResult
from mario.train.sft import train_sft

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
from test_train import CONFIG, SOURCES, curve, wait_until, weights  # noqa: E402
from tiny import tiny_model  # noqa: E402

LORA = replace(CONFIG, learning_rate=1e-2, lora=LoraConfig(rank=4, dropout=0.1))
IDS = [[1, 40, 50, 60, 70, 80]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base") / "tiny", spread=0.05, add_bos=True)


@pytest.fixture(scope="module")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train_sft(LORA, SOURCES, str(base), tmp_path_factory.mktemp("whole"))


def logits(model: Any) -> Any:
    with torch.no_grad():
        return model(torch.tensor(IDS)).logits


def test_the_model_is_base_and_adapter_in_one(base: Path, whole: TrainResult) -> None:
    assert whole.last_loss < whole.first_loss - 0.5
    stock = checkpoint.load_model(whole.directory, dtype="float32", device="cpu")
    assert type(stock).__name__ == "LlamaForCausalLM"
    assert not any("lora" in name for name in stock.state_dict())
    apart = peft.PeftModel.from_pretrained(
        checkpoint.load_model(base, dtype="float32", device="cpu"), whole.directory / "adapter"
    )
    torch.testing.assert_close(logits(stock), logits(apart), rtol=1e-5, atol=1e-5)
    before = checkpoint.load_model(base, dtype="float32", device="cpu")
    assert not torch.allclose(logits(stock), logits(before), atol=0.1)
    torch.testing.assert_close(stock.get_input_embeddings().weight, before.get_input_embeddings().weight)
    said = json.loads((whole.directory / "adapter" / "adapter_config.json").read_text())
    assert said["base_model_name_or_path"] == "tiny"
    assert (said["r"], said["lora_alpha"], said["lora_dropout"]) == (4, 8, 0.1)


def test_one_seed_gives_one_model(base: Path, whole: TrainResult, tmp_path: Path) -> None:
    again = train_sft(LORA, SOURCES, str(base), tmp_path)
    assert weights(again.directory) == weights(whole.directory)
    assert curve(again.directory) == curve(whole.directory)


RUN = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from dataclasses import replace
from test_train_lora import LORA, SOURCES
from mario.train.sft import train_sft
train_sft(replace(LORA, save_seconds=0.3), SOURCES, {base!r}, Path({out!r}), lambda _: time.sleep(0.1))
"""


def test_a_killed_run_ends_with_the_same_weights_and_curve(base: Path, whole: TrainResult, tmp_path: Path) -> None:
    script = RUN.format(tests=str(Path(__file__).parent), base=str(base), out=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: any(tmp_path.glob("checkpoints/*/complete")), process)
    saved = next(tmp_path.glob("checkpoints/*/complete")).parent
    assert not (saved / "model.safetensors").exists()  # the adapter is all that a checkpoint needs
    wait_until(lambda: len(curve(tmp_path)) > int(saved.name.rpartition("-")[2]), process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    result = train_sft(LORA, SOURCES, str(base), tmp_path)
    assert 0 < result.resumed_from < whole.steps
    assert weights(tmp_path) == weights(whole.directory)
    assert curve(tmp_path) == curve(whole.directory)


def test_what_is_frozen_may_be_bfloat16_and_what_learns_is_float32(base: Path, tmp_path: Path) -> None:
    from mario.train.loop import load
    from mario.train.sft import FineTuning

    network = load(FineTuning(SOURCES), replace(LORA, dtype="bfloat16"), base, "cpu")
    kinds = {(parameter.requires_grad, parameter.dtype) for parameter in network.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
    result = train_sft(replace(LORA, dtype="bfloat16", save_dtype="bfloat16", epochs=1), SOURCES, str(base), tmp_path)
    assert result.last_loss < result.first_loss
    assert checkpoint.load_model(tmp_path).dtype == torch.bfloat16


def test_merging_rounds_once(base: Path) -> None:
    """The sum is taken in float32: adding small updates to bfloat16 weights would lose most of them."""
    network = with_adapters(checkpoint.load_model(base, dtype="bfloat16", device="cpu"), LoraConfig(rank=4))
    layer = network.base_model.model.model.layers[0].self_attn.q_proj
    torch.nn.init.normal_(layer.lora_B["default"].weight, std=0.01)
    expected = (layer.base_layer.weight.float() + layer.get_delta_weight("default").float()).to(torch.bfloat16)
    stock = merged(network, torch.bfloat16)
    assert torch.equal(stock.model.layers[0].self_attn.q_proj.weight, expected)


def test_a_new_head_is_trained_whole_and_comes_along(base: Path) -> None:
    network = checkpoint.load_model(base, dtype="float32", device="cpu")
    network.score = torch.nn.Linear(network.config.hidden_size, 1)
    network = with_adapters(network, LoraConfig(rank=4), full=["score"])
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert any("score" in name for name in learning)
    assert all("score" in name or "lora_" in name for name in learning)
    assert not any("lm_head" in name or "embed" in name for name in learning)
    with torch.no_grad():
        network.score.weight.fill_(0.5)
    stock = merged(network, torch.float32)
    assert type(stock.score) is torch.nn.Linear
    assert stock.score.weight.unique().tolist() == [0.5]


def test_an_unknown_target_is_named(base: Path) -> None:
    network = checkpoint.load_model(base, dtype="float32", device="cpu")
    with pytest.raises(UsageError, match=r"no linear layer is called 'query'; there are: down_proj, gate_proj"):
        with_adapters(network, LoraConfig(rank=4, targets=("query",)))
    with pytest.raises(UsageError, match=r"no lora\.rank; set it"):
        LoraConfig(alpha=16)


@pytest.mark.parametrize("config", [CONFIG, replace(LORA, lora=LoraConfig(rank=4))])
def test_checkpointing_changes_no_loss(base: Path, tmp_path: Path, config: Any) -> None:
    config = replace(config, epochs=1)
    plain = train_sft(config, SOURCES, str(base), tmp_path / "plain")
    spared = train_sft(replace(config, gradient_checkpointing=True), SOURCES, str(base), tmp_path / "spared")
    losses = [[loss for _, loss, *_ in curve(run.directory)] for run in (plain, spared)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
