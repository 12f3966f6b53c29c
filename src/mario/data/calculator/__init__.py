"""The calculator teacher: GSM8K-style solutions into programs. `convert(problem)` is the whole interface."""

from mario.data.calculator.programs import SHAPES
from mario.data.calculator.teacher import Conversion, Refusal, RefusalReason, convert

__all__ = ["SHAPES", "Conversion", "Refusal", "RefusalReason", "convert"]
