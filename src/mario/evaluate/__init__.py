"""Solving judged: attempts at a test set, graded, with intervals, in a directory that a report can read."""

from mario.evaluate.benchmark import EvaluateConfig, Summary, evaluate
from mario.evaluate.results import Results, read_results

__all__ = ["EvaluateConfig", "Results", "Summary", "evaluate", "read_results"]
