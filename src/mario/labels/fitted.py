"""The coefficients that we ship, `fitted.json`, made by `benchmarks/labels_fit.py`, which says from what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from mario.labels.plausible import AnswerModel
from mario.provenance import from_json


@dataclass(frozen=True, slots=True)
class Fitted:
    """`start` and `weights` turn the observations of `relate` into log-odds that a reference is wrong; `made` tells
    from what they were fitted."""

    made: Mapping[str, str]
    answers: AnswerModel
    start: float
    weights: Mapping[str, float]


@lru_cache(maxsize=1)
def shipped() -> Fitted:
    """What `mario labels find` weighs with."""
    text = files("mario.labels").joinpath("fitted.json").read_text(encoding="utf-8")
    return from_json(Fitted, json.loads(text))
