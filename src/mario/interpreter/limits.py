"""What a kernel may use, and how it answers: the settings of a pool, as the fork server is told them.

What this module does not do: it enforces nothing (`guest/`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Echo = Literal["repr", "str", "mario", "none"]
Tracebacks = Literal["short", "line"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one snippet (time, output) and on its kernel (memory).

    `wall_seconds` depends on how busy the machine is; for results that do not, set `cpu_seconds` and leave the wall
    limit generous. `memory_mb` is on top of what the imported packages take. `output_chars` is how much of the output
    is shown: beyond it, the first and the last half.
    """

    wall_seconds: float = 10.0
    memory_mb: int = 512
    output_chars: int = 8000
    cpu_seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("wall_seconds", "memory_mb", "output_chars", "cpu_seconds"):
            value = getattr(self, name)
            if value is not None and not (0 < value < math.inf):
                raise ValueError(f"Limits.{name} must be a positive number, got {value!r}")


GRACE_SECONDS = 0.5  # between the interrupt, which a snippet survives, and the kill, which it does not
