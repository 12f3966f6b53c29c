"""Several processes that train one model, a GPU each: who writes, what they agree on, and who holds the weights.

One idea: every process plans the whole run and takes its share of every step (`trainer.own_share`). Their gradients are
averaged once a step, so the result is that of one process. Started by torchrun or accelerate launch, which set the
environment; without it every function here is the plain answer of one process.

Started by torchrun, each holds the whole model. Started by accelerate launch with a configuration for FSDP or DeepSpeed
(`recipes/accelerate`), each holds a share of the weights, gradients and optimizer states; the libraries do that, and
what is left to do here is to load the model aside and to put it together again at the end.

What this module does not do: share out layers or long rows (tensor, pipeline and context parallelism).
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mario.engine import checkpoint
from mario.errors import MissingExtra, TrainingError

_SWITCHES = {"FSDP": "ACCELERATE_USE_FSDP", "DeepSpeed": "ACCELERATE_USE_DEEPSPEED"}  # set by accelerate launch


def count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return count() == 1 or os.environ.get("RANK", "0") == "0"


def sharing() -> str | None:
    """By what the weights are shared out: FSDP or DeepSpeed; None where every process holds them all."""
    on = (name for name, switch in _SWITCHES.items() if os.environ.get(switch, "false").lower() == "true")
    return next(on, None)


def own_device(device: str) -> str:
    """This process's GPU."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if count() > 1 and device == "cuda" else device


def loading_device(device: str) -> str:
    """Where the whole model is loaded: on the device that trains it, unless that will hold a share alone."""
    return "cpu" if sharing() else device


def connect(device: str) -> None:
    """Connect them, before anything is written.

    Raises:
        TrainingError: weights were to be shared out in a way that was never tried.
        MissingExtra: DeepSpeed was asked for and is not installed.
    """
    if sharing():
        _check_sharing()
    if count() == 1:
        return
    import torch

    device = checkpoint.pick_device(device)
    if device == "cuda":
        torch.cuda.set_device(own_device(device))
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")


def _check_sharing() -> None:
    if count() == 1:
        raise TrainingError(
            f"{sharing()} was asked for, but one process has nobody to share weights with; "
            "raise --num_processes, or start without accelerate launch"
        )
    if sharing() == "FSDP" and os.environ.get("FSDP_VERSION") != "2":
        raise TrainingError(
            "FSDP was asked for in its first version, which was never tried here; set fsdp_version: 2 as "
            "recipes/accelerate/fsdp2.yaml does"
        )
    if sharing() == "DeepSpeed" and importlib.util.find_spec("deepspeed") is None:
        raise MissingExtra("deepspeed", "deepspeed")


def together() -> None:
    """Wait until every process is here."""
    if count() > 1:
        import torch.distributed as dist

        dist.barrier()


def leave() -> None:
    """Part, when this process trains nothing more; left to its exit, torch may abort it or warn."""
    if count() > 1:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.barrier()
            dist.destroy_process_group()


def agreed(claim: bool) -> bool:
    """What the first process says."""
    if count() == 1:
        return claim
    import torch
    import torch.distributed as dist

    place = "cuda" if dist.get_backend() == "nccl" else "cpu"
    told = torch.tensor(int(claim), device=place)
    dist.broadcast(told, 0)
    return bool(told.item())


def check_shared(trainer: Any) -> None:
    """Called when the trainer stands, before it prepares the network: see that weights are shared out as asked for.

    Gradients are summed over processes in float32, as elsewhere here; accelerate's default is the arithmetic's format.

    Raises:
        TrainingError: they are not, as accelerate does it on GPUs only, and says nothing where there are none.
    """
    if sharing() and not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        raise TrainingError(
            f"{sharing()} was asked for, but accelerate shares weights out on GPUs only, and device is "
            f"{trainer.args.device.type}; start without its configuration"
        )
    plugin = getattr(trainer.accelerator.state, "fsdp_plugin", None)
    if plugin is not None and plugin.mixed_precision_policy is not None:
        import torch

        plugin.mixed_precision_policy = replace(plugin.mixed_precision_policy, reduce_dtype=torch.float32)


def whole(trainer: Any, load: Callable[[], Any]) -> Any:
    """The trained network with all of its weights, on the first process; None on the others, which help to gather it.

    `load` loads the network as it was before training. Where every process holds all weights, it is the trainer's own.
    """
    if sharing() is None:
        return trainer.model
    weights = _deepspeed_weights(trainer) if trainer.is_deepspeed_enabled else _fsdp_weights(trainer)
    if not is_first():
        return None
    network = load()
    network.load_state_dict(weights, assign=True)
    network.tie_weights()
    return network


def _fsdp_weights(trainer: Any) -> dict[str, Any]:
    weights: dict[str, Any] = trainer.accelerator.get_state_dict(trainer.model)
    return weights


def _deepspeed_weights(trainer: Any) -> dict[str, Any]:
    """What learnt in float32, as its optimizer holds it; one tensor at a time is whole on every process."""
    import deepspeed
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    network = trainer.accelerator.unwrap_model(trainer.model_wrapped)
    weights = {}
    for name, held in network.named_parameters(remove_duplicate=False):
        learnt = deepspeed.utils.safe_get_full_fp32_param(held) if held.requires_grad else None
        with deepspeed.zero.GatheredParameters([held], enabled=learnt is None):
            if is_first():
                weights[name] = (held if learnt is None else learnt).detach().cpu().clone()
    kept = network.state_dict().keys()
    unset_hf_deepspeed_config()  # else the model that is loaded next would be shared out too
    return weights | {name: buffer.cpu() for name, buffer in network.named_buffers() if name in kept}
