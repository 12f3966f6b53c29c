"""Solving judged: attempts at a test set, graded, with intervals, in a directory that a report can read."""

from mario.evaluate.benchmark import EvaluateConfig, evaluate
from mario.evaluate.results import Results, read_results
from mario.evaluate.summary import Summary

__all__ = ["EvaluateConfig", "Results", "Summary", "evaluate", "read_results"]
