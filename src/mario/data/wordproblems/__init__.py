"""Our own word problems: seeded, endless, graded by steps and digits; the data set that needs no download."""

from mario.data.wordproblems.generate import DIGITS, SPLITS, STEPS, TEMPLATES, generate, make_problem

__all__ = ["DIGITS", "SPLITS", "STEPS", "TEMPLATES", "generate", "make_problem"]
