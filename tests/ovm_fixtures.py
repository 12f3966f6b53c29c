"""A tiny value model on disk, laid out as `mario train ovm` lays out a real one: stock files, random weights.

Nothing is downloaded. The head is drawn at random: its values mean nothing, and are the same every time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mario.value.checkpoint import OvmCard, write_card
from tiny import tiny_model


def tiny_ovm(directory: Path, *, seed: int = 0, card: OvmCard | None = None, **options: Any) -> Path:
    """A Llama of two layers with a language head and a value head, both drawn from the seed."""
    import torch
    from safetensors.torch import load_file, save_file

    tiny_model(directory, seed=seed, **options)
    weights = load_file(directory / "model.safetensors")
    generator = torch.Generator().manual_seed(seed)
    hidden = weights["model.embed_tokens.weight"].shape[1]
    weights["score.weight"] = torch.randn(1, hidden, generator=generator)
    weights["score.bias"] = torch.randn(1, generator=generator)
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    path = directory / "config.json"
    config = json.loads(path.read_text())
    config |= {
        "architectures": ["LlamaForTokenClassification"],
        "num_labels": 1,
        "id2label": {"0": "correct"},
        "label2id": {"correct": 0},
        "classifier_dropout": 0.0,
        "problem_type": "regression",
    }
    path.write_text(json.dumps(config))
    write_card(directory, card or OvmCard())
    return directory
