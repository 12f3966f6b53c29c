"""`--dry-run`: what a training run would do and how much memory it would take, from the rows and the config alone.

One idea: everything that decides memory is known before the first step, and the sum is short enough to be shown, so a
reader can see what to change. A model's config gives its weights (built without memory), the plan gives the largest
micro-batch. The activations are those that a Llama-like block keeps for its backward pass, counted with torch's hooks
on saved tensors: in float32 24 H + 16 I + 8 A + 8 K bytes a token and layer (hidden size H, width I of the feed-forward
layer, widths A of all query and K of all key heads); in bfloat16 the residual stream stays float32 and casts of it are
kept too, 26 H + 8 I + 4 A + 4 K. With activations computed twice a layer keeps its input alone, and one layer stands
open.

What this module does not do: it downloads no weights, and knows nothing of time. Other architectures, allocators that
waste, and what the libraries themselves take (half a gigabyte on a CPU, one or two on a GPU) are beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mario.engine import checkpoint
from mario.train.batch import SourceCount, computed_tokens
from mario.train.config import SftConfig
from mario.train.directory import quiet
from mario.train.loop import Plan, Task, computes_in_bfloat16, window_of


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes at the peak, which is where a backward pass begins."""

    weights: int
    casts: int  # bfloat16 copies of float32 weights, kept while a micro-batch is at work
    gradients: int
    optimizer: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        return sum(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True)
class Shape:
    """What a micro-batch and a model are, as far as memory goes."""

    parameters: int
    learning: int  # of the parameters
    vocabulary: int
    layers: int
    hidden: int
    inner: int
    queries: int
    keys: int
    tokens: int  # of the largest micro-batch, with padding
    labelled: int  # the most that one has

    def memory(self, *, bfloat16: bool, adapters: bool, twice: bool) -> Memory:
        """See the module's text; `adapters` leave the base frozen, `twice` computes activations twice."""
        frozen = self.parameters - self.learning
        kept, wide = (2 if adapters else 4, 2) if bfloat16 else (4, 4)  # bytes of a residual and of a product
        if bfloat16:
            layer = 26 * self.hidden + 8 * self.inner + 4 * self.queries + 4 * self.keys
        else:
            layer = 24 * self.hidden + 16 * self.inner + 8 * self.queries + 8 * self.keys
        layers = kept * self.hidden * self.layers + layer if twice else layer * self.layers
        return Memory(
            weights=4 * self.learning + (wide if adapters else 4) * frozen,
            casts=2 * self.learning if bfloat16 else 0,
            gradients=4 * self.learning,
            optimizer=8 * self.learning,
            activations=self.tokens * layers,
            logits=self.labelled * self.vocabulary * (3 * 4 + 2 * wide),
        )


@dataclass(frozen=True, slots=True)
class Forecast:
    """A run before it begins; `arithmetic` is in float32 or bfloat16."""

    model: str
    device: str
    arithmetic: str
    shape: Shape
    memory: Memory
    config: SftConfig
    steps: int
    micro_batches: int
    padding: float  # share of what is computed
    sources: Mapping[str, SourceCount]
    refused: Mapping[str, int]

    @property
    def tokens(self) -> int:
        return sum(source.tokens for source in self.sources.values())

    @property
    def trained_tokens(self) -> int:
        return sum(source.trained_tokens for source in self.sources.values())


def forecast(task: Task, config: SftConfig, model: str, report: Callable[[str], None] = lambda _: None) -> Forecast:
    """Read and encode the rows, plan the steps, and add up the memory.

    Raises:
        DataError: a source has nothing to train on. EngineError: the model's config or tokenizer cannot be had.
    """
    directory = checkpoint.resolve(model, report, weights=False)
    report("reading the rows")
    plan = task.plan(config, checkpoint.load_tokenizer(directory), window_of(directory))
    shape = _shape(directory, config, plan)
    device = checkpoint.pick_device(config.device)
    bfloat16 = config.dtype != "float32" if _is_elsewhere(device) else computes_in_bfloat16(config, device)
    computed = sum(_computed(plan, config, batch) for step in plan.steps for batch in step)
    return Forecast(
        model=checkpoint.describe(model),
        device=device,
        arithmetic="bfloat16" if bfloat16 else "float32",
        shape=shape,
        memory=shape.memory(
            bfloat16=bfloat16, adapters=config.lora.rank is not None, twice=config.gradient_checkpointing
        ),
        config=config,
        steps=len(plan.steps),
        micro_batches=sum(len(step) for step in plan.steps),
        padding=1 - plan.tokens_at_step()[-1] / computed,
        sources=plan.sources,
        refused=plan.refused(),
    )


def _is_elsewhere(device: str) -> bool:
    """Whether a GPU is planned for that is not here; those that train compute in bfloat16."""
    import torch

    return device.startswith("cuda") and not torch.cuda.is_available()


def _computed(plan: Plan, config: SftConfig, batch: tuple[int, ...]) -> int:
    """The tokens of a micro-batch with its padding."""
    return computed_tokens([plan.rows[row].n_tokens for row in batch], packing=config.packing)


def _shape(directory: Path, config: SftConfig, plan: Plan) -> Shape:
    """The model is built on torch's meta device: shapes without memory."""
    import torch
    import transformers

    from mario.train.adapt import with_adapters

    with quiet(), torch.device("meta"):
        settings = transformers.AutoConfig.from_pretrained(directory)
        network: Any = transformers.AutoModelForCausalLM.from_config(settings)
        if config.lora.rank is not None:
            network = with_adapters(network, config.lora)
    return shape_of(network, config, plan)


def shape_of(network: Any, config: SftConfig, plan: Plan) -> Shape:
    """Of a network as it trains; `config` says how the plan's rows are laid out."""
    text = network.config.get_text_config()
    heads = text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // heads
    batches = [batch for step in plan.steps for batch in step]
    return Shape(
        parameters=sum(p.numel() for p in network.parameters()),
        learning=sum(p.numel() for p in network.parameters() if p.requires_grad),
        vocabulary=text.vocab_size,
        layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        inner=getattr(text, "intermediate_size", None) or 4 * text.hidden_size,
        queries=heads * size,
        keys=(getattr(text, "num_key_value_heads", None) or heads) * size,
        tokens=max(_computed(plan, config, batch) for batch in batches),
        labelled=max(sum(plan.rows[row].n_trained for row in batch) for batch in batches),
    )
