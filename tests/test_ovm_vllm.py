"""A value model's directory behind a real vLLM server: the values of its pooling task, and the text it generates.

vLLM pins its own torch and transformers, so it runs in an environment of its own: MARIO_VLLM_PYTHON names its Python.
The lines under "Serving" in docs/ovm.md are what these tests type.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mario.engine import checkpoint
from mario.value.model import LocalScorer, Row
from mario.value.remote import RemoteScorer

PYTHON = os.environ.get("MARIO_VLLM_PYTHON", "")
pytestmark = [
    pytest.mark.train,
    pytest.mark.full,
    pytest.mark.skipif(not PYTHON, reason="MARIO_VLLM_PYTHON names no Python with vLLM: values behind it are UNTESTED"),
]
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from tiny import tiny_tokenizer  # noqa: E402

START_SECONDS = 400
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}
TEXTS = ["Is it so?", "print(3 + 4)</code>\nOutput: 7\nIt is 7", "Question: " + "a box holds 24 pencils " * 8]


@pytest.fixture(scope="module", params=[("Llama", True), ("Qwen2", False)], ids=["llama-tied", "qwen2-untied"])
def ovm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network with heads of 64 numbers, the least that vLLM's CPU attention takes."""
    from mario.train.value_loss import attach_head, save

    family, tied = request.param
    tokenizer = tiny_tokenizer()
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.1,
        tie_word_embeddings=tied,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    network = attach_head(getattr(transformers, f"{family}ForCausalLM")(config), 1)
    torch.nn.init.normal_(network.score.weight, std=0.3)
    torch.nn.init.normal_(network.score.bias)
    directory = tmp_path_factory.mktemp("ovm") / f"{family}-{tied}"
    save(network, directory)
    tokenizer.save_pretrained(directory)
    return directory


@contextmanager
def served(directory: Path, log: Path, *flags: str) -> Iterator[str]:
    """A server over a directory, on loopback; ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--model", str(directory), "--served-model-name"]
    command += ["ovm", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager", *flags]
    with log.open("w") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **ENVIRONMENT}, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + START_SECONDS
        while not healthy(url):
            assert process.poll() is None, log.read_text()[-4000:]
            assert time.monotonic() < end, log.read_text()[-4000:]
            time.sleep(0.5)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def test_values_are_transformers_raw_logits(ovm: Path, tmp_path: Path) -> None:
    tokenizer = checkpoint.load_tokenizer(ovm)
    ids = [tuple(tokenizer(text).input_ids) for text in TEXTS]
    rows = [Row(one, tuple(range(len(one)))) for one in ids]
    expected = LocalScorer.load(ovm, dtype="float32", device="cpu").score(rows)
    with served(ovm, tmp_path / "log") as url:
        scorer = RemoteScorer("ovm", f"{url}/v1", max_retries=0)
        found = scorer.score(rows)
        scorer.close()
    difference = max(
        abs(a - b) for one, other in zip(expected, found, strict=True) for a, b in zip(one, other, strict=True)
    )
    logits = [abs(x) for one in expected for x in one]
    print(
        f"\n{ovm.name}: largest difference {difference:.1e} over {len(logits)} tokens, largest logit {max(logits):.1f}"
    )
    assert max(logits) > 2  # no probability
    assert difference < 1e-3


def test_text_comes_from_the_same_files(ovm: Path, tmp_path: Path) -> None:
    tokenizer = checkpoint.load_tokenizer(ovm)
    generator = checkpoint.load_model(ovm, dtype="float32", device="cpu")
    expected = []
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt").input_ids
        expected.append(generator.generate(ids, max_new_tokens=24, do_sample=False)[0, ids.shape[1] :].tolist())
    view = tmp_path / "generator"
    subprocess.run(["cp", "-rs", ovm, view], check=True)
    (view / "score.safetensors").unlink()
    (view / "model.safetensors.index.json").unlink()  # it names the file, and vLLM misses it
    overrides = json.dumps({"architectures": [type(generator).__name__]})
    with served(view, tmp_path / "log", "--hf-overrides", overrides) as url:
        found = [complete(url, tokenizer(text).input_ids) for text in TEXTS]
    assert found == expected
    assert len({tuple(ids) for ids in found}) == len(found)


def complete(url: str, ids: list[int]) -> list[int]:
    """Ids of the greedy text: vLLM keeps back the bytes of a character that is not whole."""
    body: dict[str, Any] = {"model": "ovm", "prompt": ids, "max_tokens": 24, "temperature": 0, "return_token_ids": True}
    request = urllib.request.Request(
        f"{url}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as reply:
        return list(json.load(reply)["choices"][0]["token_ids"])
