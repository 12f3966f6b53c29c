"""The settings of an engine, with their defaults; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mario.errors import UsageError


@dataclass(frozen=True, slots=True)
class PriceConfig:
    """What the server charges, in dollars per million tokens.

    input: prompt tokens; without it a dated table of known models is asked
    cached_input: prompt tokens that the server had in its cache; without it they cost as much as others
    output: completion tokens
    """

    input: float | None = None
    cached_input: float | None = None
    output: float | None = None

    def __post_init__(self) -> None:
        for name in ("input", "cached_input", "output"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise UsageError(f"price.{name} must be dollars per million tokens, 0 or more, got {value:g}")
        if (self.input is None) != (self.output is None):
            given, lacking = ("input", "output") if self.output is None else ("output", "input")
            raise UsageError(f"price.{given} is given but price.{lacking} is not; give both")
        if self.cached_input is not None and self.input is None:
            raise UsageError("price.cached_input is given but price.input is not; give input and output too")


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Which model answers, and how it is reached.

    model: smollm2 (embedded), a local directory, a hub id; with an endpoint, the name the server knows.
    endpoint: address of an OpenAI-compatible server, such as http://localhost:8000/v1; without it the model runs here.
    api_key_env: name of the environment variable that holds the server's key.
    batch_size: requests that a model here decodes together.
    concurrency: requests in flight to a server.
    dtype: number format of a model here; auto is bfloat16 where the machine computes in it, else float32.
    device: where a model here runs: auto, cpu, cuda, cuda:1, mps.
    timeout_seconds: how long a server may stay silent before a request is tried again.
    max_retries: how often a request that failed in passing is tried again.
    max_cost: dollars that this run may cost in all; what a call can cost is put aside before it is sent.
    max_total_tokens: tokens, prompts and completions together, that this run may use in all.
    cache: directory of answers that runs share; good where a request fixes the answer (temperature 0, or a seed that
        the server keeps) and while the model behind the name stays the same.
    hidden_stops: what to do with a server that hides which stop string ended a text: stream (read along and hang up
        at the first, which hides the call's cost too) or accept (for formats that need not know).
    """

    model: str = "smollm2"
    endpoint: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    batch_size: int = 32
    concurrency: int = 64
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = "auto"
    timeout_seconds: float = 600.0
    max_retries: int = 10
    price: PriceConfig = field(default_factory=PriceConfig)
    max_cost: float | None = None
    max_total_tokens: int | None = None
    cache: Path | None = None
    hidden_stops: Literal["stream", "accept"] = "stream"

    def __post_init__(self) -> None:
        for name in ("batch_size", "concurrency"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.max_retries < 0:
            raise UsageError(f"max_retries must be 0 or more, got {self.max_retries}")
        if self.timeout_seconds <= 0:
            raise UsageError(f"timeout_seconds must be above 0, got {self.timeout_seconds:g}")
        for name in ("max_cost", "max_total_tokens"):
            cap = getattr(self, name)
            if cap is not None and not 0 < cap < float("inf"):
                raise UsageError(f"{name} must be above 0, got {cap:g}; leave it out for no cap")
