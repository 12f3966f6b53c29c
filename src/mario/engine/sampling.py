"""From logits to tokens: pure functions of a row, so that no draw depends on what else is in the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mario.types import Sampling

_LIKELIEST = (
    512  # sorted first: a nucleus almost always lies in them, and sorting a whole vocabulary costs thirty times more
)


def draw(logits: Any, samplings: Sequence[Sampling], generators: Sequence[Any]) -> list[int]:
    """One token a row of (rows, V) logits: the largest at temperature 0, else a draw from the softmax cut to `top_p`.

    Each row takes one number from its own generator (on the CPU, whatever the device) and inverts its own
    distribution with it.
    """
    tokens: list[int] = logits.argmax(-1).tolist()
    for row, (sampling, generator) in enumerate(zip(samplings, generators, strict=True)):
        if sampling.temperature > 0:
            number = torch.rand((), generator=generator).to(logits.device)
            tokens[row] = int(_invert(logits[row] / sampling.temperature, sampling.top_p, number))
    return tokens


def _invert(logits: Any, top_p: float, number: Any) -> Any:
    """The token at share `number` of the nucleus: the likeliest tokens, as few as have `top_p` of the mass together."""
    probabilities = logits.softmax(-1)
    if top_p >= 1:
        return _at_share(probabilities, number)
    kept, order = probabilities.topk(min(_LIKELIEST, len(probabilities)))
    if kept.sum() < top_p:
        kept, order = probabilities.sort(descending=True)
    likelier = kept.cumsum(-1) - kept
    return order[_at_share(kept[likelier < top_p], number)]


def _at_share(weights: Any, share: Any) -> Any:
    mass = weights.cumsum(-1)
    index = torch.searchsorted(mass, share * mass[-1], right=True)
    return index.clamp(max=int((mass < mass[-1]).sum()))  # rounding must not choose a token past the mass
