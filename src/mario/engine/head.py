"""The value head of a directory that generates and values: a value of each turn, while it is written.

One idea: what the language head reads after a token is what the value head reads (docs/ovm.md), so a generator that has
one values what it writes for one number a turn, and nobody has to read the text again.

What this module does not do: it knows no turns (`local`), and not what a logit means (`value`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch


class ValueHead:
    """`score` of a token classifier on the hidden states of the same network as a generator."""

    def __init__(self, model: Any, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        # Rounded as the network's other weights are, and computed in float32: as `value.model` has it.
        as_loaded = [None if t is None else t.to(model.device, model.dtype).float() for t in (weight, bias)]
        self._weight, self._bias = as_loaded
        self._hidden: Any = None
        self._hook = model.get_output_embeddings().register_forward_pre_hook(self._see)

    @classmethod
    def of(cls, directory: Path, model: Any) -> ValueHead | None:
        """The head of a model's directory; None where the directory is a generator only."""
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        if not str((config.get("architectures") or [""])[0]).endswith("ForTokenClassification"):
            return None
        from safetensors import safe_open

        found: dict[str, torch.Tensor] = {}
        for path in sorted(directory.glob("*.safetensors")):
            with safe_open(path, framework="pt") as file:
                names = {"score.weight", "score.bias"}.intersection(file.keys())
                found |= {name: file.get_tensor(name) for name in names}
        weight = found.get("score.weight")
        return cls(model, weight, found.get("score.bias")) if weight is not None and weight.shape[0] == 1 else None

    def values(self, rows: Sequence[int]) -> list[float]:
        """The raw logit after the last token of those rows of the last forward."""
        hidden = self._hidden[list(rows)].float()
        values: list[float] = torch.nn.functional.linear(hidden, self._weight, self._bias)[:, 0].tolist()
        return values

    def close(self) -> None:
        self._hook.remove()
        self._hidden = None

    def _see(self, _: Any, args: tuple[Any, ...]) -> None:
        self._hidden = args[0][:, -1]
