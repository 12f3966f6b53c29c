"""The settings of every kind of training, with their defaults; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mario.errors import UsageError


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """Low-rank adapters (arXiv 2106.09685): the weights stand still, and what is added to them is learnt.

    rank: of the adapters, such as 16; none trains every weight
    alpha: adapters are scaled by alpha / rank; none is twice the rank
    dropout: on what goes into an adapter
    targets: names of the layers that get one, such as q_proj,v_proj; none is every linear layer but the head

    Raises:
        UsageError: a value is impossible; names it.
    """

    rank: int | None = None
    alpha: float | None = None
    dropout: float = 0.0
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("rank", "alpha"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"lora.{name} must be above 0, got {value}")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"lora.dropout must be at least 0 and below 1, got {self.dropout}")
        if self.rank is None and (self.alpha is not None or self.dropout or self.targets):
            raise UsageError("lora settings are given, but no lora.rank; set it, for example to 16")


@dataclass(frozen=True, slots=True)
class SftConfig:
    """How to fine-tune. Tokens are the model's own, of prompt and output too, unless called trained.

    learning_rate: the highest; 2e-4 suits full fine-tuning of 135M parameters, about 1e-5 from 1.5B on
    warmup_fraction: share of the steps in which the rate rises; then it falls linearly to zero
    weight_decay: AdamW's
    max_grad_norm: gradients longer than this are shortened to it
    epochs: passes over every source; where tokens_per_source is set, at most so many
    tokens_per_source: stop every source at this many tokens, so that sources compare at equal cost
    tokens_per_step: size of an optimizer step, about
    rows_per_step: size of an optimizer step in rows; replaces tokens_per_step
    max_tokens: of one micro-batch with its padding; 1600 keep 135M parameters below 6 GB
    max_row_tokens: longer trajectories are refused, never cut
    packing: rows one after another in one sequence instead of padded, none seeing another; they keep their order
    train_on_output: learn the interpreter's output too; for the ablation only
    seed: of the order of rows
    dtype: of the arithmetic; auto is bfloat16 where the processor has it; weights that learn are always float32
    device: auto, cpu, cuda or mps
    save_dtype: of the weights written at the end
    save_seconds: time between checkpoints (for 135M parameters 1.6 GB each)
    gradient_checkpointing: compute activations twice and keep few: much less memory for about a third more time
    track: also send the metrics to trackio (on this machine) or wandb; metrics.jsonl is always written

    Raises:
        UsageError: a value is impossible; names it.
    """

    learning_rate: float = 2e-4
    warmup_fraction: float = 0.03
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    epochs: int = 1
    tokens_per_source: int | None = None
    tokens_per_step: int = 1200
    rows_per_step: int | None = None
    max_tokens: int = 1600
    max_row_tokens: int = 1024
    packing: bool = False
    train_on_output: bool = False
    seed: int = 0
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    device: str = "auto"
    save_dtype: Literal["float32", "bfloat16"] = "bfloat16"
    save_seconds: float = 75.0
    gradient_checkpointing: bool = False
    lora: LoraConfig = field(default_factory=LoraConfig)
    track: Literal["none", "trackio", "wandb"] = "none"

    def __post_init__(self) -> None:
        above_zero = ("learning_rate", "max_grad_norm", "epochs", "tokens_per_source", "tokens_per_step")
        for name in (*above_zero, "rows_per_step", "max_tokens", "max_row_tokens"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} must be above 0, got {value}")
        for name in ("weight_decay", "save_seconds", "seed"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if not 0 <= self.warmup_fraction < 1:
            raise UsageError(f"warmup_fraction must be at least 0 and below 1, got {self.warmup_fraction}")
        if self.max_row_tokens > self.max_tokens:
            raise UsageError(
                f"max_row_tokens is {self.max_row_tokens} and max_tokens {self.max_tokens}: so long a row fits in no "
                "micro-batch; raise max_tokens (it costs memory) or lower max_row_tokens"
            )
