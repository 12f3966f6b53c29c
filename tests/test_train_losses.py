"""The losses of a tiny real model, step by step, as committed numbers.

They are a tripwire: a change of rows, masks, order, rate, loss or optimizer moves them, and must say so in the
changelog. They were made in float32 on an x86-64 CPU with torch 2.13; other processors round otherwise, by far less
than the tolerance in so few steps. That two runs are equal to the last bit, and that a killed run goes on to the same
curve, is tested in `test_train.py`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.train
pytest.importorskip("torch")
pytest.importorskip("transformers")

TOLERANCE = 3e-4  # of each loss
PLAIN = {"learning_rate": 3e-3, "tokens_per_step": 900, "max_tokens": 600}
PINNED: dict[str, tuple[dict[str, Any], list[float]]] = {
    "padded": ({}, [5.82987, 5.46679, 5.20045, 5.00957, 4.82101, 4.68136, 4.50957, 4.40102, 4.31079, 4.27311]),
    "packed": (
        {"packing": True},
        [5.82961, 5.45712, 5.20137, 4.99296, 4.80644, 4.64041, 4.50212, 4.39402, 4.31625, 4.2506],
    ),
    "output learnt": (
        {"train_on_output": True},
        [5.83636, 5.49446, 5.23247, 5.05032, 4.87465, 4.72797, 4.5756, 4.47336, 4.3894, 4.35291],
    ),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny import tiny_model
    from tiny_lessons import merges

    return tiny_model(tmp_path_factory.mktemp("base") / "tiny", spread=0.02, add_bos=True, merges=merges())


@pytest.mark.parametrize("way", PINNED)
def test_losses_are_the_committed_ones(base: Path, tmp_path: Path, way: str) -> None:
    from mario.train.sft import SourceSet, train_sft
    from tiny_lessons import CONFIG, lessons

    settings, expected = PINNED[way]
    config = replace(CONFIG, **PLAIN, **settings)
    train_sft(config, [SourceSet("lessons", list(lessons(160)), "sha256:lessons")], str(base), tmp_path)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    print([round(loss, 5) for loss in losses])
    assert losses == pytest.approx(expected, rel=TOLERANCE)
