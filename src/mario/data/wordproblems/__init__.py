"""Our own word problems: seeded, endless, graded by steps and digits; the data set that needs no download."""

from mario.data.wordproblems.generate import DIGITS, HELDOUT, SPLITS, STEPS, TRAINED, generate, make_problem

__all__ = ["DIGITS", "HELDOUT", "SPLITS", "STEPS", "TRAINED", "generate", "make_problem"]
