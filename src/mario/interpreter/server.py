"""One fork server, seen from the host: start it, order kernels from it, end it.

The one idea: orders are strictly question and answer under one lock, each with a bound on its time; a server that
breaks that is killed, and with it, by the kernel's hand, everything it forked.

What this module does not do: it never speaks to a snippet (`kernel`) and does not start a new server (`pool`).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import site
import socket
import struct
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mario.errors import InterpreterError
from mario.interpreter.guest.scratch import remove_tree
from mario.interpreter.limits import GRACE_SECONDS, Echo, Limits, Tracebacks
from mario.process import Child, ChildDied, ChildTimedOut

# The guest's modules are a package of their own there: the folder above it is ours, and leaves its import path at once.
_GUEST = (
    f"import runpy, sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
    "runpy.run_module('guest', None, '__main__')"
)
START_SECONDS = 120.0  # importing scipy from a cold disk on a busy machine
ORDER_SECONDS = 30.0
_LENGTH, _ORDER = struct.Struct(">I"), struct.Struct(">cQq")
_NO_SEED = -1


class ServerLost(Exception):
    """The fork server is gone; what ran in it is lost, and it is not the snippets' doing."""


@dataclass(frozen=True, slots=True)
class GuestSettings:
    """Everything the fork server is configured with."""

    limits: Limits = field(default_factory=Limits)
    hash_seed: int | None = 0
    echo: Echo = "repr"
    tracebacks: Tracebacks = "short"
    preload: tuple[str, ...] = ()
    python: str | None = None
    recover: bool = False
    spares: int = 1


class Server:
    """A running fork server; the constructor returns before its imports are done, `wait` after.

    Raises:
        InterpreterError: the interpreter to run it with could not be started.
    """

    def __init__(self, settings: GuestSettings, tier: str) -> None:
        self._lock = (
            threading.RLock()
        )  # a forgotten kernel is released by the collector, perhaps in the midst of an order
        self._numbers = itertools.count(1)
        self._started = False
        self.kernels = 0  # live ones, for choosing the least busy server
        self.versions: dict[str, Any] = {}
        self._scratch = "" if tier == "full" else tempfile.mkdtemp(prefix="mario-kernels-")
        limits = settings.limits
        self._config = {
            "tier": tier,
            "scratch": self._scratch,
            "preload": list(settings.preload),
            "memory_mb": limits.memory_mb,
            "output_chars": limits.output_chars,
            "echo": settings.echo,
            "tracebacks": settings.tracebacks,
            "wall": limits.wall_seconds,
            "cpu": limits.cpu_seconds,
            "grace": GRACE_SECONDS,
            "recover": settings.recover,
            "spares": settings.spares,
        }
        if tier != "full":
            Path(self._scratch).chmod(0o711)  # a kernel that runs as another user passes through to its own folder
        flags = [] if site.ENABLE_USER_SITE else ["-s"]
        try:
            self._child = Child([settings.python or sys.executable, *flags, "-c", _GUEST], env=_environment(settings))
        except ChildDied as error:
            self._clean()
            raise InterpreterError(f"interpreter: {error}") from error

    def wait(self) -> None:
        """Return when the server can fork kernels.

        Raises:
            ServerLost: it ended instead.
            InterpreterError: it could not build the walls that were asked for.
        """
        with self._lock:
            if self._started:
                return
            try:
                hello = json.loads(self._child.ask(json.dumps(self._config).encode(), START_SECONDS))
            except (ChildDied, ChildTimedOut) as error:
                self._clean()
                raise ServerLost(str(error)) from error
            if "error" in hello:
                self.kill()
                raise InterpreterError(f"interpreter: the sandbox could not be built: {hello['error']}")
            self.versions = hello
            self._started = True

    @property
    def alive(self) -> bool:
        return self._child.alive

    @property
    def pid(self) -> int:
        return self._child.pid

    def open(self, seed: int | None) -> Place:
        """Fork a kernel.

        Raises:
            ServerLost: the server is gone.
            InterpreterError: there is no process, memory or descriptor left for one more.
        """
        self.wait()
        number = next(self._numbers)
        answer, descriptors = self._order(b"O", number, _NO_SEED if seed is None else seed % 2**62, descriptors=1)
        if answer != b"+":
            raise InterpreterError(
                f"interpreter: no new kernel: {answer[1:].decode()}; close some, or use fewer at once"
            )
        if not descriptors:
            self._order(b"C", number, wants_answer=False)
            if _raise_descriptor_limit():
                return self.open(seed)
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            raise InterpreterError(
                f"interpreter: out of file descriptors at a limit of {limit}; a kernel needs one. "
                "Type `ulimit -n 65536` before, or close kernels"
            )
        with self._lock:
            self.kernels += 1
        return Place(self, number, socket.socket(fileno=descriptors[0]))

    def branch(self, number: int) -> tuple[Place, list[int]]:
        """Let a kernel fork once: where the branch will live, and the descriptors it will hold, for the kernel to take.

        Raises:
            ServerLost: the server is gone.
            InterpreterError: the kernel cannot branch, or may not any more.
        """
        new = next(self._numbers)
        answer, descriptors = self._order(b"B", number, new, descriptors=3)
        if answer != b"+" or len(descriptors) < 2:
            for descriptor in descriptors:
                os.close(descriptor)
            self._order(b"C", new, wants_answer=False)
            raise InterpreterError(f"interpreter: no branch: {answer[1:].decode() or 'out of file descriptors'}")
        with self._lock:
            self.kernels += 1
        return Place(self, new, socket.socket(fileno=descriptors[0])), descriptors[1:]

    def nowhere(self) -> Place:
        """A place without a process, for the branch of a kernel that is dead."""
        with self._lock:
            self.kernels += 1
        return Place(self, next(self._numbers), socket.socket(socket.AF_UNIX))

    def go_back(self, number: int, age: int) -> socket.socket | None:
        """Let the snapshot of an ended kernel, taken after `age` snippets, take its place: its channel, or None."""
        answer, descriptors = self._order(b"R", number, age, descriptors=1)
        return socket.socket(fileno=descriptors[0]) if answer == b"+" and descriptors else None

    def interrupt(self, number: int) -> None:
        self._order(b"I", number)

    def end(self, number: int) -> int:
        """Kill the kernel and return its wait status: its own, had it ended before."""
        (status,) = struct.unpack(">i", self._order(b"E", number)[0][1:])
        return int(status)

    def close_kernel(self, number: int) -> None:
        with contextlib.suppress(ServerLost), self._lock:
            self.kernels -= 1
            self._order(b"C", number, wants_answer=False)

    def _order(
        self, letter: bytes, number: int, extra: int = _NO_SEED, *, wants_answer: bool = True, descriptors: int = 0
    ) -> tuple[bytes, list[int]]:
        with self._lock:
            if not self._child.alive:
                raise ServerLost("the fork server has ended")
            channel = self._child.channel
            answered = False
            try:
                channel.settimeout(ORDER_SECONDS)
                order = _ORDER.pack(letter, number, extra)
                channel.sendall(_LENGTH.pack(len(order)) + order)
                answer = _receive(channel, descriptors) if wants_answer else (b"", [])
                answered = True
                return answer
            except OSError as error:
                raise ServerLost(f"the fork server is gone ({error})") from error
            finally:
                if not answered:
                    self._child.kill()
                    self._clean()

    def close(self) -> None:
        """End the server gracefully, so that it reaps its children; then, or after two seconds, kill what is left."""
        with self._lock:
            if self._child.alive:
                with contextlib.suppress(OSError):
                    self._child.channel.shutdown(socket.SHUT_RDWR)
                end = time.monotonic() + 2
                while time.monotonic() < end and self._child.alive:
                    time.sleep(0.002)
            self.kill()

    def kill(self) -> None:
        with self._lock:  # not under another thread's order: the number of the descriptor it waits on would be reused
            self._child.kill()
        self._clean()

    def _clean(self) -> None:
        if self._scratch:
            remove_tree(self._scratch)


@dataclass(eq=False, slots=True)
class Place:
    """Where a kernel lives: its server, its number there, and our end of its channel."""

    server: Server
    number: int
    channel: socket.socket

    def go_back(self, age: int) -> bool:
        """After its end: whether the kernel is again what it was before its last snippet, on a channel of its own."""
        channel = self.server.go_back(self.number, age)
        if channel is None:
            return False
        self.channel.close()
        self.channel = channel
        return True

    def release(self) -> None:
        self.channel.close()
        self.server.close_kernel(self.number)


def _receive(channel: socket.socket, descriptors: int) -> tuple[bytes, list[int]]:
    """One frame, short enough to come in one piece or two, and the descriptors that came with it."""
    data: bytes = b""
    found: list[int] = []
    while len(data) < _LENGTH.size or len(data) < _LENGTH.size + _LENGTH.unpack(data[: _LENGTH.size])[0]:
        part, came, _, _ = socket.recv_fds(channel, 4096, descriptors, socket.MSG_CMSG_CLOEXEC)
        found += came
        if not part:
            raise ConnectionError("it closed its channel")
        data += part
    return data[_LENGTH.size :], found


def _raise_descriptor_limit() -> bool:
    """Raise the soft limit on open files to the hard one, for a program that opens kernels by the thousand."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard or soft == resource.RLIM_INFINITY:
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return True


def _environment(settings: GuestSettings) -> dict[str, str]:
    """All a guest sees; one thread for each numerical library, because the server must be able to fork."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {
        "PYTHONHASHSEED": "random" if settings.hash_seed is None else str(settings.hash_seed),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "MPLBACKEND": "Agg",
        "TZ": os.environ.get("TZ", "UTC"),
        **threads,
    }
