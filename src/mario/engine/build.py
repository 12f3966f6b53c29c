"""From settings to an engine: the one place that knows which kinds there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mario.engine.prices import PriceConfig, check_budget, price_of
from mario.engine.protocol import Engine
from mario.errors import UsageError


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


def build_engine(
    config: EngineConfig, report: Callable[[str], None] = lambda _: None, ledger: Path | None = None
) -> Engine:
    """The engine that a config describes; a model that runs here is loaded now.

    `report` hears of long steps (a conversion, a download) and of what a server refuses. `ledger` is the file that
    keeps what a server's calls cost, from run to run; without it they are counted in memory.

    Raises:
        EngineError: the model cannot be found or loaded, or the endpoint is no address.
        MissingExtra: a model is to run here, and torch or transformers is not installed.
        StoreError: the ledger or the cache cannot be opened.
        UsageError: a cap is set that cannot be kept.
    """
    check_budget(config)
    engine = _build(config, report, ledger)
    if config.cache is None:
        return engine
    from mario.engine.cache import CachedEngine

    return CachedEngine(engine, config.cache)


def _build(config: EngineConfig, report: Callable[[str], None], ledger: Path | None) -> Engine:
    match config.endpoint:
        case None:
            from mario.engine import checkpoint

            checkpoint.require_transformers()
            from mario.engine.local import LocalEngine

            return LocalEngine.load(
                config.model,
                dtype=config.dtype,
                device=config.device,
                batch_size=config.batch_size,
                report=report,
            )
        case endpoint:
            from mario.engine.ledger import Ledger
            from mario.engine.remote import RemoteEngine

            return RemoteEngine(
                config.model,
                endpoint,
                api_key_env=config.api_key_env,
                concurrency=config.concurrency,
                timeout_seconds=config.timeout_seconds,
                max_retries=config.max_retries,
                hidden_stops=config.hidden_stops,
                ledger=Ledger(
                    ledger,
                    price=price_of(config),
                    max_cost=config.max_cost,
                    max_total_tokens=config.max_total_tokens,
                ),
                report=report,
            )
