"""The fork server: forks a locked child of itself for every kernel, and carries out the host's orders.

It speaks frames over its channel; an order is a letter and a kernel's number:

    O number seed   open: answers with the host's end of the kernel's channel, a descriptor
    I number        interrupt what it runs (SIGINT); answers when the signal is sent
    E number        end it now; answers with its wait status
    R number age    go back to its snapshot, taken after so many snippets; answers with the host's end of a new channel
    C number        close it; no answer
    B number other  let it fork once, as kernel number `other`; answers with the host's end of that one's channel, and
                    with the descriptors that the fork will hold

The one idea: one thread, which never waits for a kernel. It trusts the host and runs no foreign code; a kernel's
channel is closed here once the host has it. Who lives, and who may fork, is the `population`'s business.
"""

# The guest stays small, it is forked often: no pathlib.
from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # without the detour through enums
import contextlib
import gc
import os
import select
import signal
import socket
import struct
import sys
from typing import Any

from . import family, lockdown, runner, scratch
from .family import Kernel
from .population import Population
from .syscalls import die_with_parent

_LENGTH, _ORDER = struct.Struct(">I"), struct.Struct(">cQq")
NO_SEED = -1


class Server:
    def __init__(self, channel: socket.socket, config: dict[str, Any], base: tuple[int, int]) -> None:
        self._channel = channel
        self._config = config
        self._base = base
        self._spares: list[tuple[Kernel, socket.socket]] = []  # with the host's end of the channel
        self._poll = select.poll()
        self._population = Population(config, base, self._poll, self._become_kernel)
        fields = ("output_chars", "echo", "tracebacks", "wall", "cpu", "grace")
        self._runner = runner.Kernel(*(config[field] for field in fields))  # made once, for every child to run
        scratch.ignore_modes()
        self._wakeup, wakeup = socket.socketpair()
        wakeup.setblocking(False)
        self._wakeup.setblocking(False)
        self._wakeup_far = wakeup
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGALRM, family.stop_waiting)
        signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)

    def serve(self) -> None:
        """Carry out orders until the host is gone, then end every kernel and leave no folder."""
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # from here on, the end of the channel tells that the host is gone
        population, poll = self._population, self._poll
        poll.register(self._channel, select.POLLIN)
        poll.register(self._wakeup, select.POLLIN)
        while True:
            lacking = len(self._spares) < self._config["spares"] and not population.is_expecting
            events = dict(poll.poll(0 if lacking else population.patience()))
            # In this order: what closes descriptors, or opens them under a number just closed, comes after what looks.
            population.hear(events)
            population.look_for_birth()
            if self._wakeup.fileno() in events:
                with contextlib.suppress(BlockingIOError):
                    self._wakeup.recv(4096)
                population.reap()
            if self._channel.fileno() in events:
                order = receive(self._channel)
                if order is None:
                    break
                self._obey(*_ORDER.unpack(order))
            elif lacking:
                try:
                    self._spares.append(population.fork())
                except OSError:  # no process or memory to spare just now: the next order to open says so
                    poll.poll(100)
            population.look_after()
        population.end_all()

    def _obey(self, order: bytes, number: int, extra: int) -> None:
        kernel = self._population.kernels.get(number)
        if order == b"O":
            self._open(number, extra)
        elif order == b"I":
            if kernel is not None and self._population.runs(kernel):
                os.kill(kernel.pid, signal.SIGINT)
            send(self._channel, b"+")
        elif order == b"E":
            status = self._population.end(kernel) if kernel is not None else signal.SIGKILL  # a branch that never was
            send(self._channel, b"+" + struct.pack(">i", status))
        elif order in (b"B", b"R"):
            try:
                self._branch(kernel, extra) if order == b"B" else self._go_back(kernel, extra)
            except OSError as error:
                send(self._channel, b"-" + (error.strerror or str(error)).encode())
        elif order == b"C":
            self._population.close(number)

    def _open(self, number: int, seed: int) -> None:
        try:
            kernel, host_end = self._spare() or self._population.fork()
        except OSError as error:
            send(self._channel, b"-" + f"fork: {error.strerror}".encode())
            return
        self._population.kernels[number] = kernel
        if seed != NO_SEED:
            text = str(seed).encode()
            with contextlib.suppress(OSError):
                host_end.sendall(runner.REQUEST.pack(len(text), bytes(8), runner.SEED) + text)
        with host_end:
            self._send_channel(host_end)

    def _spare(self) -> tuple[Kernel, socket.socket] | None:
        while self._spares:
            kernel, host_end = self._spares.pop(0)
            if kernel.status is None:
                return kernel, host_end
            host_end.close()
        return None

    def _branch(self, kernel: Kernel | None, number: int) -> None:
        ends = self._population.permit_branch(kernel, number)
        self._send_channel(*ends)
        for end in ends:
            end.close()

    def _go_back(self, kernel: Kernel | None, age: int) -> None:
        with self._population.go_back(kernel, age) as host_end:
            self._send_channel(host_end)

    def _send_channel(self, *ends: socket.socket) -> None:
        socket.send_fds(self._channel, [_LENGTH.pack(1) + b"+"], [end.fileno() for end in ends])

    def _become_kernel(self, channel: socket.socket, folder: str, uid: int | None, supervisor: socket.socket) -> None:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            _signal.signal(signal.SIGCHLD, _signal.SIG_DFL)
            _signal.signal(signal.SIGALRM, _signal.SIG_DFL)
            gc.freeze()  # what the server made meanwhile is no garbage of the snippet's
            walls = self._population.walls
            if walls is not None:
                recover = self._config["recover"]
                walls.close_in(channel.fileno(), folder, uid, supervisor, keep_supervisor=recover)
            else:
                recover = False
                os.chdir(folder)
                lockdown.limit_resources(*self._base, self._config["memory_mb"] << 20, threads=None)
                if sys.platform == "linux":
                    die_with_parent()
                lockdown.keep_only_channel(channel.fileno())
            self._runner.serve(recover=recover)
            code = 0
        except BaseException as error:
            with contextlib.suppress(BaseException):
                os.write(2, f"a kernel could not start: {type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)


def receive(channel: socket.socket) -> bytes | None:
    """One frame, or None when the host is gone."""
    data = b""
    size = _LENGTH.size
    while len(data) < size:
        part = channel.recv(size - len(data))
        if not part:
            return None
        data += part
        if len(data) == _LENGTH.size == size:
            size += _LENGTH.unpack(data)[0]
    return data[_LENGTH.size :]


def send(channel: socket.socket, payload: bytes) -> None:
    channel.sendall(_LENGTH.pack(len(payload)) + payload)
