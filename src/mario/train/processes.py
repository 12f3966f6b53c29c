"""Several processes that train one model, a GPU each: who writes, and what they agree on.

One idea: every process plans the whole run and takes its share of every step (`trainer.own_share`); their gradients are
averaged once a step by torch's DistributedDataParallel. Started by torchrun or accelerate launch, which set
the environment; without it every function here is the plain answer of one process.

What this module does not do: share out weights (FSDP, DeepSpeed): every process holds the whole model.
"""

from __future__ import annotations

import os

from mario.engine import checkpoint
from mario.errors import TrainingError


def count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return count() == 1 or os.environ.get("RANK", "0") == "0"


def own_device(device: str) -> str:
    """This process's GPU."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if count() > 1 and device == "cuda" else device


def connect(device: str) -> None:
    """Connect them, before anything is written.

    Raises:
        TrainingError: the launcher was told to share out weights, which is not done here.
    """
    if count() == 1:
        return
    for name, what in (("ACCELERATE_USE_FSDP", "FSDP"), ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed")):
        if os.environ.get(name, "false").lower() == "true":
            raise TrainingError(
                f"{what} was asked for, but every process holds the whole model here; start them by torchrun, and "
                "where memory is short set train.lora.rank or train.gradient_checkpointing"
            )
    import torch

    device = checkpoint.pick_device(device)
    if device == "cuda":
        torch.cuda.set_device(own_device(device))
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")


def together() -> None:
    """Wait until every process is here."""
    if count() > 1:
        import torch.distributed as dist

        dist.barrier()


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
