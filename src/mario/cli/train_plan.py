"""`--dry-run` of every kind of training: the forecast for people."""

from __future__ import annotations

from mario.cli.progress import short
from mario.train.estimate import Forecast


def plan_text(found: Forecast) -> str:
    """Steps, tokens and the sum of the memory, each part with its factors."""
    shape, memory, config = found.shape, found.memory, found.config
    learning = shape.learning / shape.parameters
    lines = [
        f"{found.model}: {short(shape.parameters)} parameters, "
        + ("all of them learn" if learning == 1 else f"{short(shape.learning)} of them learn ({100 * learning:.2g} %)"),
        *(f"  {name}: {count}" for name, count in found.sources.items()),
        *(f"  refused, {reason}: {count}" for reason, count in found.refused.items()),
        f"{found.steps:,} steps in {found.micro_batches:,} micro-batches: {found.tokens:,} tokens, "
        f"{found.trained_tokens:,} of them trained, {100 * found.padding:.1f} % padding beside them",
        f"memory at the peak, by forecast: {_gigabytes(memory.total)}, and what the libraries take",
        f"  {_gigabytes(memory.weights)}  weights",
        f"  {_gigabytes(memory.casts)}  bfloat16 copies of those that learn: 2 bytes each",
        f"  {_gigabytes(memory.gradients)}  gradients: 4 bytes for each weight that learns",
        f"  {_gigabytes(memory.optimizer)}  AdamW's two averages: 8 bytes for each",
        f"  {_gigabytes(memory.activations)}  activations of {shape.tokens:,} tokens in {shape.layers} layers"
        + (", computed twice" if config.gradient_checkpointing else "; less with --train.gradient_checkpointing"),
        f"  {_gigabytes(memory.logits)}  logits at {shape.labelled:,} trained tokens, "
        f"{shape.vocabulary:,} words; less with a lower --train.max_tokens",
    ]
    return "\n".join(lines)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.2f} GB"
