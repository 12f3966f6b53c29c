"""The awaitable twin of the pool, for thousands of kernels in one event loop.

    async with AsyncInterpreterPool(workers=2) as pool:
        kernel = await pool.open()
        observation = await kernel.run("2 ** 10")
        await kernel.close()

A waiting kernel costs one descriptor watched by the loop, no thread. Orders to the fork servers (open, interrupt, kill)
block for milliseconds and so go through a few threads: one for each server, and one kept free for interrupts.

What this module does not do: it has no rules of its own (`converse`).
"""

from __future__ import annotations

import asyncio
import socket
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from mario.errors import InterpreterError
from mario.interpreter.branch import branch
from mario.interpreter.converse import Action, End, GoBack, Interrupt, Receive, Send, State, converse
from mario.interpreter.limits import Limits
from mario.interpreter.pool import InterpreterPool, PoolOptions
from mario.interpreter.server import Place, ServerLost
from mario.interpreter.tiers import Tier
from mario.types import Observation

T = TypeVar("T")


class AsyncInterpreterPool:
    """Kernels for code that is not trusted, awaited; the arguments are those of `InterpreterPool`.

    Raises:
        InterpreterError: no walls can be built here and `unsafe` is not set.
    """

    def __init__(self, workers: int = 2, limits: Limits | None = None, **options: Unpack[PoolOptions]) -> None:
        self._pool = InterpreterPool(workers, limits, **options)
        self._openers = ThreadPoolExecutor(workers, "mario-open")
        self._threads = _Threads(ThreadPoolExecutor(2, "mario-end"), ThreadPoolExecutor(2, "mario-branch"))

    @property
    def limits(self) -> Limits:
        return self._pool.limits

    @property
    def tier(self) -> Tier:
        return self._pool.tier

    async def missing(self) -> dict[str, str]:
        """Of the packages to preload, those the guest does not have, with the reason."""
        return await _in_thread(self._openers, self._pool.missing)

    def server_pids(self) -> list[int]:
        """Process ids of the fork servers, as of `InterpreterPool`."""
        return self._pool.server_pids()

    async def open(self, seed: int | None = None) -> AsyncKernel:
        """A fresh kernel; `seed` fixes `random` (and numpy's global generator, where numpy is preloaded)."""
        place = await _in_thread(self._openers, lambda: self._pool.place(seed), late=Place.release)
        return AsyncKernel(self._pool.state(), place, self._threads)

    async def close(self) -> None:
        """End every kernel and every server."""
        await _in_thread(self._threads.end, self._pool.close)
        for executor in (self._openers, self._threads.end, self._threads.branch):
            executor.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()


@dataclass(frozen=True, slots=True)
class _Threads:
    """A branch waits for a kernel that may be hostile; interrupts and kills must not queue behind it."""

    end: ThreadPoolExecutor
    branch: ThreadPoolExecutor


class AsyncKernel:
    """One live interpreter state; snippets given to it at once run one after the other."""

    def __init__(self, state: State, place: Place, threads: _Threads) -> None:
        self._lock = asyncio.Lock()
        self._state = state
        self._place = place
        self._threads = threads
        self._release = weakref.finalize(self, place.release)

    async def run(self, code: str) -> Observation:
        """Run one snippet; whatever it does is in the observation. Cancelled, it ends the kernel."""
        async with self._lock:
            if not self._release.alive:
                raise InterpreterError("interpreter: this kernel was closed; open another")
            steps = converse(self._state, code)
            try:
                action = next(steps)
                while True:
                    try:
                        answer = await self._perform(action)
                    except ServerLost as lost:
                        action = steps.throw(lost)
                    else:
                        action = steps.send(answer)
            except StopIteration as done:
                observation: Observation = done.value
                return observation
            except BaseException:  # cancelled: the answer to come would be taken for the next snippet's
                self._release()
                raise

    async def _perform(self, action: Action) -> Any:
        match action:
            case Receive(deadline):
                return await self._receive(deadline)
            case Send(data, deadline):
                return await self._send(data, deadline)
            case Interrupt():
                return await _in_thread(self._threads.end, lambda: self._place.server.interrupt(self._place.number))
            case End():
                return await _in_thread(self._threads.end, lambda: self._place.server.end(self._place.number))
            case GoBack(age):
                return await _in_thread(self._threads.end, lambda: self._place.go_back(age))

    async def _receive(self, deadline: float) -> bytes | None:
        if deadline and not await self._ready(deadline, writing=False):
            return None
        try:
            return self._place.channel.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    async def _send(self, data: bytes, deadline: float) -> None:
        """What the kernel does not take in time is not sent; waiting for its answer then times out."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._place.channel.send(rest, socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                if not await self._ready(deadline, writing=True):
                    return
            except OSError:
                return

    async def _ready(self, deadline: float, *, writing: bool) -> bool:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[bool] = loop.create_future()

        def settle(value: bool) -> None:
            if not ready.done():
                ready.set_result(value)

        descriptor = self._place.channel.fileno()
        watch, forget = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
        watch(descriptor, settle, True)
        timer = loop.call_later(max(0.0, deadline - time.monotonic()), settle, False)
        try:
            return await ready
        finally:
            timer.cancel()
            forget(descriptor)

    async def branch(self, seed: int | None = None) -> AsyncKernel:
        """A live copy, as `Kernel.branch`."""
        async with self._lock:
            if not self._release.alive:
                raise InterpreterError("interpreter: this kernel was closed; open another")
            state, place = await _in_thread(self._threads.branch, lambda: branch(self._state, self._place, seed))
            return AsyncKernel(state, place, self._threads)

    async def close(self) -> None:
        """End the kernel's process; may be called twice."""
        async with self._lock:
            await _in_thread(self._threads.end, self._release)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()


async def _in_thread(
    executor: ThreadPoolExecutor, work: Callable[[], T], late: Callable[[T], object] | None = None
) -> T:
    """Await `work` done in a thread; should the caller be cancelled meanwhile, `late` disposes of the result."""
    future = asyncio.get_running_loop().run_in_executor(executor, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if late is not None:
            future.add_done_callback(lambda done: None if done.cancelled() or done.exception() else late(done.result()))
        raise
