"""The value loss, the head it trains, and the directory in which both tasks' weights lie side by side.

One idea: the head is one linear layer under the name that transformers' token classifiers have, on the hidden states
that the language head sees. So one set of stock files loads as a generator and as a token classifier, without code
of ours: `model.*`, `lm_head.weight`, `score.*`.

What this module does not do: choose rows and positions (`ovm`), or turn logits into probabilities (`value.checkpoint`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from mario.errors import UsageError
from mario.store import write_json
from mario.train.trainer import SpanTrainer

SCORE = "score.safetensors"
# What makes a generator's configuration a value model's; vLLM leaves logits raw where it says regression.
AS_CLASSIFIER = {
    "id2label": {"0": "correct"},
    "label2id": {"correct": 0},
    "classifier_dropout": 0.0,
    "problem_type": "regression",
}


def value_losses(logits: torch.Tensor, outcomes: torch.Tensor, *, target: str, loss: str) -> torch.Tensor:
    """The loss of each position: `logits` x and `outcomes` y (1 right, 0 wrong), both [N].

    p = sigmoid(s x) is the chance of a right answer, with s = 1 for the target sigmoid and s = 2 for tanh, as
    tanh(x) = 2 sigmoid(2x) - 1. Then bce is -y ln p - (1 - y) ln(1 - p); mse is (p - y)^2 for sigmoid, and
    (tanh(x) - (2y - 1))^2 = (2p - 2y)^2 for tanh, as in AlphaMath (2405.03553).
    """
    slope = 2.0 if target == "tanh" else 1.0
    if loss == "bce":
        return binary_cross_entropy_with_logits(slope * logits, outcomes, reduction="none")
    return (slope * (torch.sigmoid(slope * logits) - outcomes)) ** 2


class OvmTrainer(SpanTrainer):
    """lm_weight * mean language loss over the step's labels + value_weight * mean value loss over its positions."""

    def __init__(self, *args: Any, target: str, loss: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.target = target
        self.loss = loss

    def value_losses(self, model: Any, hidden: torch.Tensor, inputs: Mapping[str, Any]) -> torch.Tensor:
        learns = ~inputs["values"].isnan()
        logits = getattr(model, "module", model).score(hidden[learns])[:, 0]
        return value_losses(logits, inputs["values"][learns], target=self.target, loss=self.loss)


class ValueHead(torch.nn.Linear):  # type: ignore[misc]
    """Computes in float32, which costs nothing for one number a position, whatever its input and weights come in."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            return torch.nn.functional.linear(hidden.float(), self.weight.float(), self.bias.float())


def attach_head(network: Any, seed: int) -> Any:
    """Give a causal language model its value head `score`: drawn as its own layers were, with a bias of zero.

    Raises:
        UsageError: transformers has no token classifier that would read the network back.
    """
    hidden = network.config.get_text_config().hidden_size
    spread = float(getattr(network.config, "initializer_range", 0.02))
    network.score = ValueHead(hidden, 1, device=network.device)
    with torch.no_grad():
        weight = torch.randn(1, hidden, generator=torch.Generator().manual_seed(seed % 2**63))
        network.score.weight.copy_(spread * weight)
        network.score.bias.zero_()
    _check_family(network)
    return network


def _check_family(network: Any) -> None:
    from transformers import AutoModelForTokenClassification

    name = type(network).__name__
    remedy = "take a model of another family, such as Llama, Mistral, Qwen2, Qwen3, Gemma2 or Phi3"
    config = type(network.config).from_dict(network.config.to_dict() | AS_CLASSIFIER)
    try:
        with torch.device("meta"):
            classifier = AutoModelForTokenClassification.from_config(config)
    except ValueError as error:
        raise UsageError(f"{name} has no token classifier in transformers, so no value model; {remedy}") from error
    expected, found = (
        set(classifier.state_dict()),
        {name for name in network.state_dict() if not name.startswith("lm_head.")},
    )
    if expected != found:
        odd = sorted(expected ^ found)[0]
        raise UsageError(f"the token classifier of {name} is built otherwise ({odd}), so no value model; {remedy}")


def save(network: Any, directory: Path) -> None:
    """Write weights and configuration.

    The language head is written even where it is the embedding's own tensor, as a loader may read it from the file.
    The value head has a file of its own: vLLM refuses tensors that a generator does not know, and can be kept from
    reading a file.
    """
    from safetensors.torch import save_file

    value_head, network.score = network.score, None
    language_head = network.get_output_embeddings()
    tied, language_head.weight = language_head.weight, torch.nn.Parameter(language_head.weight.detach().clone())
    try:
        network.save_pretrained(directory)
    finally:
        language_head.weight, network.score = tied, value_head
    save_file({f"score.{name}": tensor.cpu() for name, tensor in value_head.state_dict().items()}, directory / SCORE)
    _index(directory)
    config = json.loads((directory / "config.json").read_text(encoding="utf-8")) | AS_CLASSIFIER
    config["architectures"] = [type(network).__name__.removesuffix("ForCausalLM") + "ForTokenClassification"]
    write_json(directory / "config.json", config)


def _index(directory: Path) -> None:
    """Name every tensor's file; without a `model.safetensors` every loader goes by this."""
    from safetensors import safe_open

    single = directory / "model.safetensors"
    if single.exists():
        single.rename(directory / "model-00001-of-00001.safetensors")
    places: dict[str, str] = {}
    for path in sorted(directory.glob("*.safetensors")):
        with safe_open(path, "pt") as tensors:
            places |= dict.fromkeys(tensors.keys(), path.name)
    size = sum(path.stat().st_size for path in directory.glob("*.safetensors"))
    write_json(directory / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": places})
