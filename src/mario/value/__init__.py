"""The outcome value model: how likely a prefix of a solution is to end right.

- `checkpoint`: what a value model's directory says of itself (`ovm.json`), and how a logit becomes log-odds;
- `positions`: where in a trajectory a value is taken;
- `model`, `remote`: the network, in this process or behind a vLLM pooling server;
- `score`: values of all attempts of a run, stored beside them;
- `calibrate`: how far values can be trusted, and the temperature that makes them probabilities.

What this package does not do: train one (`train.ovm`), or choose an answer by it (`solve.vote`).
"""

from mario.value.checkpoint import OvmCard, read_card, write_card
from mario.value.score import ValueConfig, Valued, ValueModel, or_generator, read_values, score_run

__all__ = [
    "OvmCard",
    "ValueConfig",
    "ValueModel",
    "Valued",
    "or_generator",
    "read_card",
    "read_values",
    "score_run",
    "write_card",
]
