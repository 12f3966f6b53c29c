"""What calls cost, as records: counts of tokens, and the dollars they come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mario.engine.prices import Price


@dataclass(frozen=True, slots=True)
class Tokens:
    """Counts of one call or of many; `cached` is part of `prompt`."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.prompt + other.prompt, self.completion + other.completion, self.cached + other.cached)

    def __sub__(self, other: Tokens) -> Tokens:
        return Tokens(self.prompt - other.prompt, self.completion - other.completion, self.cached - other.cached)

    @property
    def total(self) -> int:
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class Spend:
    """What a run has spent: exact where the server said so, bounded where it did not.

    Dollars are None where no price is known. `faults` counts the tries that failed, by kind.
    """

    calls: int = 0  # sent, whatever became of them
    in_flight: int = 0
    unknown_calls: int = 0
    cache_hits: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)
    confirmed_tokens: Tokens = Tokens()
    unknown_tokens: Tokens = Tokens()  # at most
    reserved_tokens: Tokens = Tokens()  # at most, of calls in flight
    price: Price | None = None
    max_cost: float | None = None
    max_total_tokens: int | None = None

    @property
    def confirmed(self) -> float | None:
        return self._dollars(self.confirmed_tokens)

    @property
    def unknown(self) -> float | None:
        return self._dollars(self.unknown_tokens)

    @property
    def reserved(self) -> float | None:
        return self._dollars(self.reserved_tokens)

    def _dollars(self, tokens: Tokens) -> float | None:
        return self.price.cost(tokens.prompt, tokens.completion, tokens.cached) if self.price else None

    def to_dict(self) -> dict[str, Any]:
        """For a summary or a data card."""
        tokens = self.confirmed_tokens
        return {
            "calls": self.calls,
            "cache_hits": self.cache_hits,
            "faults": dict(sorted(self.faults.items())),
            "prompt_tokens": tokens.prompt,
            "cached_tokens": tokens.cached,
            "completion_tokens": tokens.completion,
            "unknown_calls": self.unknown_calls,
            "unknown_prompt_tokens": self.unknown_tokens.prompt,
            "unknown_completion_tokens": self.unknown_tokens.completion,
            "dollars": _rounded(self.confirmed),
            "unknown_dollars": _rounded(self.unknown),
            "price": None
            if self.price is None
            else {
                "input": self.price.input,
                "cached_input": self.price.cached_input,
                "output": self.price.output,
                "source": self.price.source,
            },
        }


def _rounded(dollars: float | None) -> float | None:
    return None if dollars is None else round(dollars, 6)
