"""The code interpreter: model-written Python, run fast, with state, and shut in.

    with InterpreterPool(workers=2, limits=Limits(wall_seconds=10, memory_mb=512)) as pool:
        kernel = pool.open()
        observation = kernel.run("x = 2**100\\nx")     # output, status, seconds, truncated

`AsyncInterpreterPool` is its awaitable twin. `probe()` says which walls can be built on this machine.

    pool.py aio.py      the two pools          converse.py   the rules of a conversation with a kernel
    kernel.py           a kernel, blocking     server.py     one fork server, from the host's side
    tiers.py            which walls stand      guest/        what runs on the other side; imports nothing of ours

What it protects against, and what not, is in docs/sandbox.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mario.interpreter.kernel import Kernel
from mario.interpreter.limits import Limits
from mario.interpreter.pool import InterpreterPool
from mario.interpreter.tiers import Finding, Tier, probe

if TYPE_CHECKING:
    from mario.interpreter.aio import AsyncInterpreterPool, AsyncKernel

__all__ = ["AsyncInterpreterPool", "AsyncKernel", "Finding", "InterpreterPool", "Kernel", "Limits", "Tier", "probe"]


def __getattr__(name: str) -> Any:
    """The awaitable pool when it is first asked for: asyncio is a seventh of what `mario python` takes to start."""
    if name not in ("AsyncInterpreterPool", "AsyncKernel"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mario.interpreter import aio

    return getattr(aio, name)
