"""Programs run again in the sandbox: a fresh kernel, the cells before it first, exactly as written.

What this module does not do: it compares nothing; recorded and new output stand side by side on the page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mario.errors import InterpreterError
from mario.interpreter import AsyncInterpreterPool, Limits
from mario.types import Observation, ObservationStatus

LIMITS = Limits(wall_seconds=10.0, memory_mb=512, output_chars=8000)


class Cells:
    """The sandbox of one server, started by the first cell."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._pool: AsyncInterpreterPool | None = None
        self._one_at_a_time = asyncio.Lock()

    async def run(self, cells: Sequence[str]) -> Observation:
        """The observation of the last cell; of an earlier one when that did not end well.

        Raises:
            InterpreterError: there is no sandbox on this machine.
        """
        async with self._one_at_a_time:
            if self._pool is None:
                self._pool = await asyncio.to_thread(AsyncInterpreterPool, 1, self._limits)
            async with await self._pool.open(seed=0) as kernel:
                for number, code in enumerate(cells, start=1):
                    seen = await kernel.run(code)
                    if seen.status is ObservationStatus.LOST:
                        raise InterpreterError(f"interpreter: {seen.output}; run it again")
                    if number == len(cells) or seen.status is not ObservationStatus.OK:
                        return seen
        raise ValueError("there is no cell to run")

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
