"""From settings to an engine: the one place that knows which kinds there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mario.engine.config import EngineConfig
from mario.engine.prices import check_budget, price_of
from mario.engine.protocol import Engine


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
