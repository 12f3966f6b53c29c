"""From logits to tokens: what a row draws depends on that row alone, never on what else is in the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mario.types import Sampling

_ROWS_ON_CPU = 32  # drawn together: what they need then stays in the caches, and the heap gives it out again
_LIKELIEST = (
    512  # looked at first: a nucleus almost always lies in them, and sorting a vocabulary takes 30 times as long
)


def draw(logits: Any, samplings: Sequence[Sampling], generators: Sequence[Any]) -> list[int]:
    """One token a row of (rows, V) logits: the largest at temperature 0, else a draw from the softmax cut to `top_p`.

    Each row takes one number from its own generator (on the CPU, whatever the device) and inverts its own
    distribution with it, in float32.
    """
    size = _ROWS_ON_CPU if logits.device.type == "cpu" else len(samplings)
    return [
        token
        for first in range(0, len(samplings), size)
        for token in _draw(*(some[first : first + size] for some in (logits, samplings, generators)))
    ]


def _draw(logits: Any, samplings: Sequence[Sampling], generators: Sequence[Any]) -> list[int]:
    logits = logits.float()
    greedy = any(s.temperature == 0 for s in samplings)
    tokens: list[int] = logits.argmax(-1).tolist() if greedy else [0] * len(samplings)
    for cut in (False, True):
        rows = [i for i, s in enumerate(samplings) if s.temperature > 0 and (s.top_p < 1) == cut]
        if not rows:
            continue
        temperatures = torch.tensor([samplings[i].temperature for i in rows], device=logits.device)
        numbers = torch.stack([torch.rand((), generator=generators[i]) for i in rows]).to(logits.device)
        here = logits if len(rows) == len(samplings) else logits[rows]
        probabilities = (here / temperatures[:, None]).softmax(-1)
        if cut:
            drawn = _from_nucleus(probabilities, torch.tensor([samplings[i].top_p for i in rows]), numbers)
        else:
            drawn = _at_share(probabilities, numbers)
        for row, token in zip(rows, drawn.tolist(), strict=True):
            tokens[row] = token
    return tokens


def _from_nucleus(probabilities: Any, top_p: Any, numbers: Any) -> Any:
    """Draws from the likeliest tokens, as few as have `top_p` of the mass together."""
    top_p = top_p.to(probabilities.device)
    likeliest, order = probabilities.topk(min(_LIKELIEST, probabilities.shape[-1]))
    drawn = order.gather(-1, _at_share(_cut(likeliest, top_p), numbers)[:, None])[:, 0]
    for row in (likeliest.sum(-1) < top_p).nonzero()[:, 0].tolist():  # a flat distribution: sort it all
        here = slice(row, row + 1)
        whole, order = probabilities[here].sort(descending=True)
        drawn[row] = order[0, _at_share(_cut(whole, top_p[here]), numbers[here])[0]]
    return drawn


def _cut(descending: Any, top_p: Any) -> Any:
    likelier = descending.cumsum(-1) - descending  # the mass before each token; none before the first, which stays
    return descending.where(likelier < top_p[:, None], 0)


def _at_share(weights: Any, shares: Any) -> Any:
    """In each row the index at which the mass passes that share of the whole."""
    mass = weights.cumsum(-1)
    total = mass[:, -1:].contiguous()
    index = torch.searchsorted(mass, shares[:, None] * total, right=True)
    return index.minimum(torch.searchsorted(mass, total))[:, 0]  # rounding must not point past the mass
