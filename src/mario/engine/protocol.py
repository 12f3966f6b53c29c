"""The seam to whatever writes text: one method, awaited once a request.

Batching, connection pools and retries are an engine's own business: callers await as many `generate` calls at
once as they like. An engine knows nothing about mathematics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mario.types import Completion, Request

TextListener = Callable[[str], None]


class Engine(Protocol):
    @property
    def name(self) -> str:
        """Names the model for the journal and for tables; two engines of one name must be interchangeable."""
        ...

    async def generate(self, request: Request, on_text: TextListener | None = None) -> Completion:
        """Answer one request; `on_text` hears the text as it comes, never past the first stop string.

        Raises:
            EngineUnavailable: a passing fault, after all retries; the attempt is a failure, not a wrong answer.
            EngineError: a lasting fault (bad model, bad key, wrong endpoint); the run stops.
        """
        ...

    async def close(self) -> None: ...


def first_stop(text: str, stops: tuple[str, ...]) -> tuple[int, str] | None:
    """Where the earliest stop string begins, and which it is; at one position the longest wins."""
    found = [(at, -len(stop), stop) for stop in stops if (at := text.find(stop)) >= 0]
    if not found:
        return None
    at, _, stop = min(found)
    return at, stop


def partial_stop(text: str, stops: tuple[str, ...]) -> int:
    """Length of the longest tail of `text` that could still grow into a stop string; a stream holds it back."""
    longest = max((len(stop) for stop in stops), default=1) - 1
    for size in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-size:]) for stop in stops):
            return size
    return 0
