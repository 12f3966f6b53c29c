"""What a value model's directory says of itself beside its weights: `ovm.json`, and how its logits become log-odds.

One idea: the weights give a raw logit and never change; what it means (the target it was trained on, the temperature
that a calibration found) is a small file beside them, so calibrating again touches no weight and no stored value.

What this module does not do: write or load networks (`train.ovm`, `value.model`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from mario.errors import DataError, EngineError
from mario.provenance import from_json
from mario.store import read_jsonl, write_json

CARD = "ovm.json"
HELD_OUT = "holdout.jsonl"  # ids of the problems that value training left out, for calibration

Target = Literal["sigmoid", "tanh"]
Positions = Literal["token", "step", "last"]


@dataclass(frozen=True, slots=True)
class OvmCard:
    """`ovm.json`.

    target: what the head was trained to give: sigmoid(x) in {0, 1}, or tanh(x) in {-1, 1}
    positions: where it was trained: every model token, the end of every turn, or the end of the trajectory
    data: hash of what it was trained on
    temperature, bias: of the calibration; log-odds are slope * x / temperature + bias
    calibration: what the calibration saw and how good it was before and after
    """

    target: Target = "sigmoid"
    positions: Positions = "token"
    data: str = ""
    temperature: float | None = None
    bias: float | None = None
    calibration: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.target not in get_args(Target) or self.positions not in get_args(Positions):
            raise TypeError(f"target {self.target!r} or positions {self.positions!r} is none that is known")
        if self.temperature is not None and not self.temperature > 0:
            raise TypeError(f"temperature must be above 0, got {self.temperature}")

    def log_odds(self, logit: float) -> float:
        """The logarithm of p / (1 - p); tanh(x) = 2 sigmoid(2x) - 1, so a tanh head counts double."""
        slope = 2.0 if self.target == "tanh" else 1.0
        return slope * logit / (self.temperature or 1.0) + (self.bias or 0.0)


def read_card(directory: Path) -> OvmCard:
    """The card of a value model's directory.

    Raises:
        EngineError: there is none: it is not a value model. DataError: it is damaged.
    """
    path = directory / CARD
    if not path.exists():
        raise EngineError(f"{directory} has no {CARD}: it is not a value model; train one with: mario train ovm")
    try:
        return from_json(OvmCard, json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is not a value model's card: {error}") from error


def write_card(directory: Path, card: OvmCard) -> None:
    """Replace the card, whole or not at all."""
    write_json(directory / CARD, card)


def held_out_problems(directory: Path) -> frozenset[str]:
    """Ids of the problems of its training sets that the value model did not see, though its base may have."""
    path = directory / HELD_OUT
    return frozenset(str(row["problem_id"]) for _, row in read_jsonl(path)) if path.exists() else frozenset()
