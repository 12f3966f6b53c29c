"""The seam to the code interpreter, as the rollout loop sees it.

`pool.open()` gives a kernel with a state of its own; `kernel.run(code)` answers an `Observation`, whatever the
snippet does. Nothing a snippet does raises; `InterpreterError` means that our side cannot run code at all.
"""

from __future__ import annotations

from typing import Protocol

from mario.types import Observation


class AsyncKernel(Protocol):
    async def run(self, code: str) -> Observation: ...

    async def close(self) -> None: ...


class AsyncInterpreter(Protocol):
    async def open(self) -> AsyncKernel: ...
