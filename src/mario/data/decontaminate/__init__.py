"""Training problems against benchmarks: what is alike is shown side by side, and nothing overlaps without being named.

words.py       one question, read in several ways
benchmark.py   a benchmark's questions, indexed; five rules of likeness
run.py         a directory of problems or training rows in, a smaller one out, with the report
page.py        the report as one HTML page
"""

from mario.data.decontaminate.benchmark import Benchmark, Match, Method, Thresholds
from mario.data.decontaminate.config import DecontaminateConfig, Decontamination, Passed
from mario.data.decontaminate.run import decontaminate, passed
from mario.data.decontaminate.words import read

__all__ = [
    "Benchmark",
    "DecontaminateConfig",
    "Decontamination",
    "Match",
    "Method",
    "Passed",
    "Thresholds",
    "decontaminate",
    "passed",
    "read",
]
