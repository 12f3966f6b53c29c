"""From settings to an engine: the one place that knows which kinds there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

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
    """

    model: str = "smollm2"
    endpoint: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    batch_size: int = 32
    concurrency: int = 64
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = "auto"
    timeout_seconds: float = 600.0
    max_retries: int = 5

    def __post_init__(self) -> None:
        for name in ("batch_size", "concurrency"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.max_retries < 0:
            raise UsageError(f"max_retries must be 0 or more, got {self.max_retries}")
        if self.timeout_seconds <= 0:
            raise UsageError(f"timeout_seconds must be above 0, got {self.timeout_seconds:g}")


def build_engine(config: EngineConfig, report: Callable[[str], None] = lambda _: None) -> Engine:
    """The engine that a config describes; a model that runs here is loaded now.

    `report` hears of long steps: a conversion, a download.

    Raises:
        EngineError: the model cannot be found or loaded, or the endpoint is no address.
        MissingExtra: a model is to run here, and torch or transformers is not installed.
    """
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
            from mario.engine.remote import RemoteEngine

            return RemoteEngine(
                config.model,
                endpoint,
                api_key_env=config.api_key_env,
                concurrency=config.concurrency,
                timeout_seconds=config.timeout_seconds,
                max_retries=config.max_retries,
            )
