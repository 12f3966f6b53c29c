"""Kernels for blocking callers: a few fork servers, kept alive, and the kernels forked from them.

    with InterpreterPool(workers=2, limits=Limits(wall_seconds=10)) as pool:
        kernel = pool.open()
        kernel.run("x = 2**100")            # Observation(output='', status=ok, ...)
        kernel.run("x % 97").output         # '16': state is kept between snippets
        kernel.close()

The one idea: a kernel is a process of its own, forked from a server that has imported the guest's packages, and
locked in before its first snippet; the pool's part is to choose a server and to replace one that was lost.

What this module does not do: it gives no kernel back to another user; closing ends the process.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self, TypedDict

from mario.errors import InterpreterError
from mario.interpreter.converse import State
from mario.interpreter.kernel import Kernel
from mario.interpreter.limits import Echo, Limits, Tracebacks
from mario.interpreter.server import GuestSettings, Place, Server, ServerLost
from mario.interpreter.tiers import Tier, choose_tier

DEFAULT_PRELOAD = ("sympy", "numpy")
UNEVENNESS = 8  # fewer kernels than this between two servers make neither the busier


class Servers:
    """The fork servers of one pool: started at once, replaced when lost."""

    def __init__(self, count: int, settings: GuestSettings, tier: Tier) -> None:
        if count < 1:
            raise ValueError(f"workers must be at least 1, got {count}")
        self._settings = settings
        self.tier = tier
        self._lock = threading.RLock()
        self._closed = False
        self._servers: list[Server] = []
        try:
            for _ in range(count):
                self._servers.append(Server(settings, tier))
        except InterpreterError:
            self.close()
            raise

    def open(self, seed: int | None) -> Place:
        """A kernel of a server whose turn it is; a server that turns out to be lost is replaced, twice at most.

        Raises:
            InterpreterError: no kernel could be made.
        """
        for attempt in range(3):
            server = self._choose()
            try:
                return server.open(seed)
            except ServerLost as error:
                if attempt == 2:
                    raise InterpreterError(f"interpreter: its server keeps failing: {error}") from error
        raise AssertionError("not reached")

    def _choose(self) -> Server:
        with self._lock:
            if self._closed:
                raise InterpreterError("interpreter: the pool is closed; open kernels inside its `with` block")
            for place, server in enumerate(self._servers):
                if not server.alive:
                    server.kill()
                    self._servers[place] = Server(self._settings, self.tier)
            # In turn, unless that would leave one with many more: it has a spare ready, while others fork theirs.
            server = min(self._servers, key=lambda server: server.kernels // UNEVENNESS)
            self._servers = [*(other for other in self._servers if other is not server), server]
            return server

    def pids(self) -> list[int]:
        return [server.pid for server in self._servers]

    def missing(self) -> dict[str, str]:
        """Of the packages to preload, those the guest does not have, with the reason."""
        servers = self._servers
        for server in servers:
            server.wait()
        return dict(servers[0].versions["missing"])

    def close(self) -> None:
        with self._lock:
            self._closed = True
            servers, self._servers = self._servers, []
        for server in servers:
            server.close()


class PoolOptions(TypedDict, total=False):
    """The arguments of `InterpreterPool` after `workers` and `limits`."""

    hash_seed: int | None
    echo: Echo
    preload: tuple[str, ...]
    python: str | None
    unsafe: bool
    tracebacks: Tracebacks
    tier: Tier | None
    recover: bool


class InterpreterPool:
    """Kernels for code that is not trusted. `workers` servers fork them; any number may be open at once.

    limits: bounds on each snippet and kernel. hash_seed: PYTHONHASHSEED of the guest (None: random). echo: how the
    last expression shows. preload: packages imported once, before forking; any other is imported by the snippet that
    asks. python: the guest's interpreter (None: this one). tier: the walls to use (None: the best that work here).
    unsafe: run even where no walls can be built. recover: a kernel that its snippet kills (a loop in C, a crash) goes
    back to the variables it had before; costs a fork after each answer.

    Raises:
        InterpreterError: no walls can be built here and `unsafe` is not set.
    """

    def __init__(
        self,
        workers: int = 2,
        limits: Limits | None = None,
        hash_seed: int | None = 0,
        echo: Echo = "repr",
        preload: tuple[str, ...] = DEFAULT_PRELOAD,
        python: str | None = None,
        unsafe: bool = False,
        *,
        tracebacks: Tracebacks = "short",
        tier: Tier | None = None,
        recover: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self._recover = recover
        settings = GuestSettings(self.limits, hash_seed, echo, tracebacks, tuple(preload), python, recover)
        self._servers = Servers(workers, settings, choose_tier(tier, unsafe=unsafe, python=python))

    @property
    def tier(self) -> Tier:
        return self._servers.tier

    def missing(self) -> dict[str, str]:
        """Of the packages to preload, those the guest does not have, with the reason."""
        return self._servers.missing()

    def open(self, seed: int | None = None) -> Kernel:
        """A fresh kernel; `seed` fixes `random` (and numpy's global generator, where numpy is preloaded)."""
        return Kernel(self.state(), self.place(seed))

    def server_pids(self) -> list[int]:
        """Process ids of the fork servers, for whoever watches or, in a test, kills them."""
        return self._servers.pids()

    def state(self) -> State:
        """What is to be remembered of a fresh kernel."""
        return State(self.limits, self._recover)

    def place(self, seed: int | None = None) -> Place:
        """A fresh kernel without a driver: what `open` and the awaitable pool are built on."""
        return self._servers.open(seed)

    def close(self) -> None:
        """End every kernel and every server."""
        self._servers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
