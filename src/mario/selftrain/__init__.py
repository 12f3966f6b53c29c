"""Self-training: a model attempts problems, learns from what verified, and attempts again what it could not solve.

`sample` draws one round's attempts under an adaptive budget (`annotate.budget`) and chooses from them; `rounds` chains
sampling, training and evaluation; `table` and `page` show what the rounds brought.
"""

from mario.selftrain.rounds import SelfTrainConfig, SelfTrainResult, self_train

__all__ = ["SelfTrainConfig", "SelfTrainResult", "self_train"]
