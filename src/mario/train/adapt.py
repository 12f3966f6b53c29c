"""Ways to train in less memory: low-rank adapters, and activations computed twice.

One idea: what is published after training with adapters is the merged model, a stock directory that every engine
loads; the adapter lies beside it in `adapter/` for those who want to apply it to the base themselves. Adapters are
float32 whatever the frozen weights are, and the sum of both is taken in float32 before it is rounded once.

What this module does not do: quantised bases, several adapters at once. The peft library does the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mario.errors import MissingExtra, UsageError
from mario.train.config import LoraConfig

ADAPTER = "adapter"


def with_adapters(network: Any, config: LoraConfig, *, full: Sequence[str] = (), seed: int = 0) -> Any:
    """The network with adapters, all else frozen but the modules named in `full`, which are trained whole.

    Raises:
        MissingExtra: peft is not installed. UsageError: no layer has a name that `config.targets` asks for.
    """
    import torch

    try:
        import peft
    except ImportError as error:
        raise MissingExtra("peft (for LoRA)", "train") from error
    linear = _linear_names(network, full)
    unknown = [name for name in config.targets if name not in linear]
    if unknown:
        raise UsageError(f"lora.targets: no linear layer is called {unknown[0]!r}; there are: {', '.join(linear)}")
    rank = config.rank or 0
    settings = peft.LoraConfig(
        r=rank,
        lora_alpha=config.alpha if config.alpha is not None else 2 * rank,
        lora_dropout=config.dropout,
        target_modules=list(config.targets or linear),
        modules_to_save=list(full) or None,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):  # the first adapters are drawn; a run's draws begin at the trainer's seed
        torch.manual_seed(seed)
        network = peft.get_peft_model(network, settings)
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return network


def _linear_names(network: Any, full: Sequence[str]) -> list[str]:
    """Last names of the linear layers, the head and what is trained whole left out."""
    import torch

    head = network.get_output_embeddings()
    found = {
        name.rpartition(".")[2]
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
    return sorted(found - set(full))


def merged(network: Any, dtype: Any) -> Any:
    """The base network with the adapters added to its weights, in `dtype`; one layer at a time is in float32."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in network.modules():
        if isinstance(module, BaseTunerLayer):
            weights = module.get_base_layer()
            weights.to(dtype=_float32())
            module.merge()
            weights.to(dtype=dtype)
    return network.unload().to(dtype)


def save_adapter(network: Any, directory: Path, base: str) -> None:
    """Write the adapter alone; `base` is the name by which others find the model that it belongs to."""
    config = network.peft_config[network.active_adapters[0]]
    where, config.base_model_name_or_path = config.base_model_name_or_path, base
    try:
        network.save_pretrained(
            directory, save_embedding_layers=False
        )  # asked, peft would look for the base on the hub
    finally:
        config.base_model_name_or_path = where
    (directory / "README.md").unlink(missing_ok=True)  # a form with nothing filled in


def checkpoint_activations(network: Any) -> None:
    """Keep activations at layers' borders only and compute the rest again; the library renamed this in 5.2x."""
    turn_on = getattr(network, "activation_checkpointing_enable", None) or network.gradient_checkpointing_enable
    turn_on({"use_reentrant": False})


def _float32() -> Any:
    import torch

    return torch.float32
