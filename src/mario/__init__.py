"""MARIO: language models that solve maths by reasoning in text and computing in Python (arXiv 2401.08190)."""

__version__ = "0.1.0"
