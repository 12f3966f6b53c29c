"""A value model in this process: rows of token ids in, a raw logit at every place asked for out.

One idea: one forward over the tokens, nothing generated. The model is a stock token classifier of transformers, whose
head is one number wide, so every position is nearly free once the network has run. Rows that begin alike are read once
(`shared`); others are sorted by length and padded on the right without a mask, as in training (a causal model's real
tokens never look at what follows them).

A row's logits do not depend on its neighbours but for rounding: 1e-4 in float32, more in bfloat16.
What this module does not do: turn logits into probabilities (`calibrate`), or know what a trajectory is (`score`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mario.engine import checkpoint
from mario.errors import EngineError
from mario.value.shared import Tree, may_share, trees, visible


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids, and the places in them at which a value is wanted."""

    input_ids: tuple[int, ...]
    places: tuple[int, ...]


class Scorer(Protocol):
    """Whatever values prefixes."""

    def score(self, rows: Sequence[Row]) -> list[tuple[float, ...]]:
        """The logits of each row at its places.

        Raises:
            EngineError: the model or its server fails.
        """
        ...

    def close(self) -> None: ...


class LocalScorer:
    """`Scorer` over a loaded token classifier; `batch_tokens` bounds one forward, padding included."""

    def __init__(self, model: Any, *, batch_tokens: int = 4096) -> None:
        self._model = model
        self._batch_tokens = batch_tokens
        if hasattr(model, "score"):  # in bfloat16 a value near 4 would be rounded to 1/32, and many would tie
            model.score.float().register_forward_pre_hook(lambda _, args: (args[0].float(),))
        self._vocabulary: int = model.get_input_embeddings().weight.shape[0]
        self._shares = may_share(model.config.get_text_config())

    @classmethod
    def load(
        cls, directory: Path, *, dtype: checkpoint.Dtype = "auto", device: str = "auto", batch_tokens: int = 4096
    ) -> LocalScorer:
        """Load a directory that `mario train ovm` wrote.

        Raises:
            EngineError: it holds no value model, or cannot be loaded.
        """
        check_value_model(directory)
        model = checkpoint.load_model(directory, dtype=dtype, device=device, task="token-classification")
        return cls(model, batch_tokens=batch_tokens)

    def score(self, rows: Sequence[Row]) -> list[tuple[float, ...]]:
        """See `Scorer.score`; rows come back in the order given."""
        import torch

        for row in rows:
            if not 0 <= min(row.input_ids) <= max(row.input_ids) < self._vocabulary:
                raise EngineError(
                    f"a row holds token id {max(row.input_ids)}, but the value model has ids below {self._vocabulary}; "
                    "its tokenizer is another's"
                )
        order = sorted(range(len(rows)), key=lambda i: rows[i].input_ids)  # those that begin alike side by side
        grown = trees([rows[i].input_ids for i in order], share=self._shares)
        try:
            with torch.inference_mode():
                logits: list[list[float]] = [[]] * len(grown)
                for batch in batches([len(tree.ids) for tree in grown], self._batch_tokens):
                    for index, found in zip(batch, self._forward([grown[i] for i in batch]), strict=True):
                        logits[index] = found
        except RuntimeError as error:  # torch's, most often a full GPU
            hint = "; lower value.batch_tokens" if "memory" in str(error).lower() else ""
            raise EngineError(f"the value model failed: {checkpoint.first_line(error)}{hint}") from error
        paths = ((found, path) for tree, found in zip(grown, logits, strict=True) for path in tree.rows)
        values = {
            i: tuple(found[path[place]] for place in rows[i].places)
            for i, (found, path) in zip(order, paths, strict=True)
        }
        return [values[i] for i in range(len(rows))]

    def _forward(self, batch: Sequence[Tree]) -> list[list[float]]:
        """The logit of every node of every tree."""
        import torch

        size = max(len(tree.ids) for tree in batch)
        ids = torch.zeros(len(batch), size, dtype=torch.long)
        depths = torch.zeros(len(batch), size, dtype=torch.long)
        for i, tree in enumerate(batch):
            ids[i, : len(tree.ids)] = torch.tensor(tree.ids)
            depths[i, : len(tree.ids)] = torch.tensor(tree.depths)
        place, mask = self._model.device, {}
        if not all(tree.is_chain for tree in batch):
            seen = torch.stack([visible(tree, size) for tree in batch])[:, None]
            hidden = torch.zeros(seen.shape, dtype=self._model.dtype).masked_fill_(
                ~seen, torch.finfo(self._model.dtype).min
            )
            mask = {"attention_mask": hidden.to(place), "position_ids": depths.to(place)}
        logits = self._model(input_ids=ids.to(place), use_cache=False, **mask).logits[..., 0].float().cpu()
        return [logits[i, : len(tree.ids)].tolist() for i, tree in enumerate(batch)]

    def close(self) -> None:
        self._model = None


def check_value_model(directory: Path) -> None:
    """Whether a directory holds a network with a value head.

    Raises:
        EngineError: it does not; a head that is not there would be drawn at random without a word.
    """
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    architecture = str((config.get("architectures") or ["none"])[0])
    if not architecture.endswith("ForTokenClassification"):
        raise EngineError(
            f"{directory} is a {architecture}, which has no value head; train one with: mario train ovm, "
            "and name its --out"
        )
    labels = config.get("num_labels", len(config.get("id2label") or {}))
    if labels != 1:
        raise EngineError(f"{directory} classifies tokens into {labels} labels; a value model has 1")


def batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices in groups of like length, longest first: a batch that is too large fails at once, not at the end."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batch and lengths[batch[0]] * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
