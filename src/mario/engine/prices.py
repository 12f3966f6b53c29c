"""What a token costs: from the recipe, or from a small dated table of vendors' own pages (`prices.toml`).

What this module does not do: it guesses no price. A model that neither names costs an unknown amount, and a cap on
dollars then refuses to start.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

from mario.engine.config import EngineConfig
from mario.errors import UsageError

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens; `source` says where the price is from."""

    input: float
    output: float
    cached_input: float | None = None
    source: str = "recipe"

    def cost(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """Dollars; `cached_tokens` are those of `prompt_tokens` that the server had in its cache."""
        cached = self.input if self.cached_input is None else self.cached_input
        dollars = (prompt_tokens - cached_tokens) * self.input + cached_tokens * cached
        return (dollars + completion_tokens * self.output) / _MILLION


def price_of(config: EngineConfig) -> Price | None:
    """The price of a config's model at its endpoint; None where nobody told us."""
    given = config.price
    if given.input is not None and given.output is not None:
        return Price(given.input, given.output, given.cached_input)
    host = urlsplit(config.endpoint or "").hostname
    return _table().get((host or "", config.model))


def check_budget(config: EngineConfig) -> None:
    """Refuse a cap that cannot be kept.

    Raises:
        UsageError: a cap on dollars without a price, or a cap on a model that runs here.
    """
    if config.max_cost is not None and price_of(config) is None:
        what = f"{config.model} at {config.endpoint}" if config.endpoint else f"{config.model}, which runs here,"
        raise UsageError(
            f"engine.max_cost is {config.max_cost:g}, but the price of {what} is not known; set engine.price.input and "
            "engine.price.output (dollars per million tokens), or cap engine.max_total_tokens instead"
        )


@cache
def _table() -> dict[tuple[str, str], Price]:
    rows = tomllib.loads(files("mario.engine").joinpath("prices.toml").read_text(encoding="utf-8"))["price"]
    return {
        (row["host"], row["model"]): Price(
            row["input"], row["output"], row["cached_input"], f"{row['source']} as read on {row['read']}"
        )
        for row in rows
    }
