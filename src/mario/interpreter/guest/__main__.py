"""The fork server: a Python process that imports the guest's packages once and forks a locked child for every kernel.

Run by `mario.interpreter.server`, with no environment but what it needs. It speaks frames over its
channel; the first holds the configuration as JSON, the answer what was found. Orders after that are a letter and a
kernel's number:

    O number seed   open: answers with the host's end of the kernel's channel, a descriptor
    I number        interrupt what it runs (SIGINT); answers when the signal is sent
    E number        end it now; answers with its wait status
    C number        close it; no answer
    B number other  let it fork once, as kernel number `other`; answers with both ends of the new one's channel

It trusts the host and runs no foreign code itself: a kernel's channel is closed here once the host has it.
This package imports nothing of `mario`, so that any Python 3.11+ can be the guest.
"""

# The guest stays small, it is forked often: no pathlib.
# ruff: noqa: PTH102, PTH118, PTH123
from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import importlib
import json
import os
import resource
import select
import signal
import site
import socket
import struct
import sys
from typing import Any

from . import branching, landlock, lockdown, namespaces, runner, scratch
from .syscalls import die_with_parent

_LENGTH, _ORDER = struct.Struct(">I"), struct.Struct(">cQq")
NO_SEED = -1
WATCH_SECONDS = 0.2  # between two looks at the free space of the scratch folders' disk


class Server:
    def __init__(self, channel: socket.socket, config: dict[str, Any], base: tuple[int, int]) -> None:
        self._channel = channel
        self._config = config
        self._tier: str = config["tier"]
        self._holder: int | None = None
        self._scratch = config["scratch"]
        self._base = base
        self._walls: lockdown.Walls | None = None
        self._counter = 0
        self._spares: list[tuple[int, socket.socket]] = []  # pid, the host's end
        self._kernels: dict[int, int] = {}  # the host's number -> pid
        self._live: dict[int, int] = {}  # pid -> serial number, of every child not yet reaped
        self._supervisors: dict[int, branching.Supervisor] = {}  # pid -> who answers its wish to fork
        self._arriving: dict[int, branching.Supervisor] = {}  # socket -> whose listener will come through it
        self._listeners: dict[int, branching.Supervisor] = {}  # listener -> its owner
        self._branches: dict[int, int] = {}  # pid of a kernel that may fork once -> the number of its branch to be
        self._ended: dict[int, int] = {}  # pid -> wait status, of kernels whose end was not asked about yet
        self._children = branching.ChildList() if sys.platform == "linux" else None
        self._poll = select.poll()
        self._watch = None if self._tier == "full" else scratch.Watch(self._scratch)
        paths = namespaces.readable_paths()
        if self._tier == "full":
            self._scratch = namespaces.enter(paths)
            self._holder = namespaces.hold_pid_namespace()
        if self._tier != "none":
            self._walls = lockdown.Walls(paths, config["memory_mb"] << 20, base, namespaces=self._tier == "full")
        self._wakeup, wakeup = socket.socketpair()
        wakeup.setblocking(False)
        self._wakeup.setblocking(False)
        self._wakeup_far = wakeup
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGALRM, branching.stop_waiting)
        signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)

    def serve(self) -> None:
        """Carry out orders until the host is gone, then end every kernel and leave no folder."""
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # from here on, the end of the channel tells that the host is gone
        poll = self._poll
        poll.register(self._channel, select.POLLIN)
        poll.register(self._wakeup, select.POLLIN)
        while True:
            lacking = len(self._spares) < self._config["spares"] and not self._branches
            watched = WATCH_SECONDS * 1000 if self._watch is not None and self._live else None
            events = dict(poll.poll(0 if lacking else watched))
            if self._watch is not None:
                self._end_overgrown(self._watch)
            # In this order: what closes descriptors, or opens them under a number just closed, comes after what looks.
            for listener in self._listeners.keys() & events.keys():
                self._answer(listener, events[listener])
            for near in self._arriving.keys() & events.keys():
                self._receive_listener(near)
            if self._wakeup.fileno() in events:
                with contextlib.suppress(BlockingIOError):
                    self._wakeup.recv(4096)
                self._reap()
            if self._channel.fileno() in events:
                order = receive(self._channel)
                if order is None:
                    break
                self._obey(*_ORDER.unpack(order))
            elif lacking:
                try:
                    self._spares.append(self._fork())
                except OSError:  # no process or memory to spare just now: the next order to open says so
                    poll.poll(100)
        for pid in self._live:
            os.kill(pid, signal.SIGKILL)
        if self._holder is not None:
            os.kill(self._holder, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
        if self._tier != "full":
            scratch.remove_tree(self._scratch)

    def _end_overgrown(self, watch: scratch.Watch) -> None:
        overgrown = set(watch.overgrown({str(serial) for serial in self._live.values()}))
        for pid, serial in self._live.items():
            if str(serial) in overgrown:
                os.kill(pid, signal.SIGKILL)

    def _obey(self, order: bytes, number: int, seed: int) -> None:
        if order == b"O":
            self._open(number, seed)
        elif order == b"I":
            pid = self._kernels.get(number, 0)
            if pid in self._live:
                os.kill(pid, signal.SIGINT)
            send(self._channel, b"+")
        elif order == b"E":
            send(self._channel, b"+" + struct.pack(">i", self._end(number)))
        elif order == b"B":
            self._prepare_branch(number, seed)
        elif order == b"C":
            pid = self._kernels.pop(number, 0)  # unknown: it was ended before
            self._ended.pop(pid, None)
            if pid in self._live:
                os.kill(pid, signal.SIGKILL)

    def _open(self, number: int, seed: int) -> None:
        try:
            pid, host_end = self._spares.pop(0) if self._spares else self._fork()
        except OSError as error:
            send(self._channel, b"-" + f"fork: {error.strerror}".encode())
            return
        self._kernels[number] = pid
        if seed != NO_SEED:
            text = str(seed).encode()
            with contextlib.suppress(OSError):
                host_end.sendall(runner.REQUEST.pack(len(text), bytes(8), runner.SEED) + text)
        with host_end:
            socket.send_fds(self._channel, [_LENGTH.pack(1) + b"+"], [host_end.fileno()])

    def _prepare_branch(self, number: int, new: int) -> None:
        pid = self._kernels.get(number, 0)
        try:
            if pid not in self._live or pid not in self._supervisors or self._children is None:
                raise OSError(errno.ESRCH, "the kernel has ended, or none can branch here")
            if sum(serial == self._live[pid] for serial in self._live.values()) >= branching.MAX_FAMILY:
                raise OSError(errno.EAGAIN, f"{branching.MAX_FAMILY} kernels of one family are alive; close some")
            if self._supervisors[pid].listener is None:
                raise OSError(errno.ENOSYS, "it needs seccomp user notification (Linux 5.5)")
            host_end, kernel_end = socket.socketpair()
        except OSError as error:
            send(self._channel, b"-" + (error.strerror or str(error)).encode())
            return
        self._branches[pid] = new
        with host_end, kernel_end:
            fds = [host_end.fileno(), kernel_end.fileno()]
            socket.send_fds(self._channel, [_LENGTH.pack(1) + b"+"], fds)

    def _receive_listener(self, near: int) -> None:
        self._poll.unregister(near)
        supervisor = self._arriving.pop(near)
        supervisor.receive()
        if supervisor.listener is not None:
            self._listeners[supervisor.listener] = supervisor
            self._poll.register(supervisor.listener, select.POLLIN)

    def _answer(self, listener: int, event: int) -> None:
        if self._children is None or not event & select.POLLIN:
            self._poll.unregister(listener)  # hung up: nobody is left to ask
            return
        asker, sibling = self._listeners[listener].answer(self._branches, self._children)
        new = self._branches.pop(asker, None)
        if sibling and new is not None:
            self._live[sibling] = self._live[asker]
            self._supervisors[sibling] = self._supervisors[asker]
            self._kernels[new] = sibling

    def _fork(self) -> tuple[int, socket.socket]:
        serial = self._counter = self._counter + 1
        folder, uid = self._scratch, None
        if self._walls is not None:
            uid = self._walls.user_for(serial)
        if self._tier != "full":
            folder = os.path.join(self._scratch, str(serial))
            os.mkdir(folder, 0o700)
            if uid is not None and self._walls is not None:
                os.chown(folder, self._walls.owner_of_scratch(uid), -1)
        if self._walls is not None:
            self._walls.prepare_fork()
        host_end, kernel_end = socket.socketpair()
        near, far = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            self._become_kernel(kernel_end, folder, uid, far)
        kernel_end.close()
        far.close()
        self._live[pid] = serial
        self._supervisors[pid] = self._arriving[near.fileno()] = branching.Supervisor(near)
        self._poll.register(near, select.POLLIN)
        return pid, host_end

    def _become_kernel(self, channel: socket.socket, folder: str, uid: int | None, supervisor: socket.socket) -> None:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            os.environ.update(HOME=folder, TMPDIR=folder)
            scratch.ignore_modes(folder)
            if self._walls is not None:
                self._walls.close_in(channel.fileno(), folder, uid, supervisor)
            else:
                os.chdir(folder)
                lockdown.limit_resources(*self._base, self._config["memory_mb"] << 20, threads=None)
                if sys.platform == "linux":
                    die_with_parent()
                lockdown.keep_only_channel(channel.fileno())
            fields = ("output_chars", "echo", "tracebacks", "wall", "cpu", "grace")
            runner.Kernel(*(self._config[field] for field in fields)).serve()
            code = 0
        except BaseException as error:
            with contextlib.suppress(BaseException):
                os.write(2, f"a kernel could not start: {type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)

    def _end(self, number: int) -> int:
        pid = self._kernels.pop(number, 0)
        if pid in self._live:
            os.kill(pid, signal.SIGKILL)
            self._ended[pid] = os.waitpid(pid, 0)[1]  # of one that had ended by itself, its own status
            self._bury(pid)
        return self._ended.pop(pid, signal.SIGKILL)  # a branch that never came to be has no status of its own

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._holder:
                    os._exit(1)  # every kernel has ended with it
                self._bury(pid)
                for spare in [spare for spare in self._spares if spare[0] == pid]:
                    self._spares.remove(spare)
                    spare[1].close()
                if pid in self._kernels.values():
                    self._ended[pid] = status

    def _bury(self, pid: int) -> None:
        serial = self._live.pop(pid, 0)
        self._branches.pop(pid, None)
        supervisor = self._supervisors.pop(pid, None)
        if supervisor is not None and supervisor not in self._supervisors.values():
            for known in (self._arriving, self._listeners):
                for descriptor in [descriptor for descriptor, owner in known.items() if owner is supervisor]:
                    del known[descriptor]
                    with contextlib.suppress(KeyError):
                        self._poll.unregister(descriptor)
            supervisor.close()
        if self._tier != "full" and serial not in self._live.values():
            scratch.sweep(os.path.join(self._scratch, str(serial)))


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


def end_with_host(lifeline: int) -> None:
    """SIGIO, which terminates, when the host's end of this pipe closes (see mario.process.worker)."""
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def import_guest_packages(names: list[str]) -> dict[str, str]:
    """Import what is there; returns the reason for each that is not."""
    missing = {}
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            missing[name] = f"{type(error).__name__}: {error}"
    return missing


def keep_guest_path() -> None:
    """Leave on the import path what belongs to the interpreter: no checkout, no editable install, not this folder."""
    homes = [sys.prefix, sys.base_prefix]
    with contextlib.suppress(Exception):
        homes.append(site.getusersitepackages())
    sys.path[:] = [p for p in sys.path if any(p == home or p.startswith(home.rstrip("/") + "/") for home in homes)]


def main() -> None:
    keep_guest_path()
    channel_fd, lifeline = (int(fd) for fd in os.environ.pop("MARIO_PROCESS_CHANNEL").split(","))
    os.set_inheritable(channel_fd, False)
    end_with_host(lifeline)
    os.umask(0o022)
    channel = socket.socket(fileno=channel_fd)
    frame = receive(channel)
    if frame is None:
        return
    config = json.loads(frame)
    missing = import_guest_packages(config["preload"])
    gc.collect()
    gc.freeze()
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")  # when memory runs out, guests go before the host
        lockdown.pack_heap()
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a kernel's wish to branch costs one here
    try:
        server = Server(channel, config, lockdown.memory_base())
    except (OSError, KeyError) as error:
        send(channel, json.dumps({"error": getattr(error, "strerror", None) or str(error)}).encode())
        return
    hello = {"python": sys.version.split()[0], "missing": missing, "landlock": landlock.version()}
    send(channel, json.dumps(hello).encode())
    server.serve()


if __name__ == "__main__":
    main()
