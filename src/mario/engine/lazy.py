"""An engine that is built when it is first asked: a run with nothing left to do loads no model.

Its name is known before, so that an output directory can be checked against it first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from mario.engine.build import build_engine
from mario.engine.config import EngineConfig
from mario.engine.ledger import Ledger, ledger_of
from mario.engine.prices import check_budget
from mario.engine.protocol import Engine, TextListener
from mario.types import Completion, Request


class LazyEngine:
    """`protocol.Engine` over what `build_engine` makes of a config; see there for its arguments.

    Raises:
        EngineError: there is no such model. UsageError: a cap is set that cannot be kept.
    """

    def __init__(
        self, config: EngineConfig, report: Callable[[str], None] = lambda _: None, ledger: Path | None = None
    ) -> None:
        check_budget(config)
        self._name = _name(config, report)
        self._build = lambda: build_engine(config, report, ledger)
        self._building = asyncio.Lock()
        self._engine: Engine | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def ledger(self) -> Ledger | None:
        return ledger_of(self._engine)

    async def generate(self, request: Request, on_text: TextListener | None = None) -> Completion:
        if self._engine is None:
            async with self._building:
                if self._engine is None:
                    self._engine = await asyncio.to_thread(self._build)
        return await self._engine.generate(request, on_text)

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.close()


def _name(config: EngineConfig, report: Callable[[str], None]) -> str:
    if config.endpoint is not None:
        return config.model
    from mario.engine import checkpoint

    checkpoint.require_transformers()
    directory = checkpoint.resolve(config.model, report)
    dtype = checkpoint.pick_dtype(config.dtype, checkpoint.pick_device(config.device))
    return checkpoint.label(config.model, directory, dtype)
