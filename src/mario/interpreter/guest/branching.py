"""Letting a kernel fork exactly once, when the host ordered a branch.

The one idea: the clone that makes a sibling process is not allowed to a kernel but put to its supervisor, the server,
by seccomp's user notification (Linux 5.5). The server says yes once for each order, and no to a snippet. The sibling
is the server's own child (CLONE_PARENT), so it is reaped and killed like any kernel, and the server finds its process
id in its own list of children, not in anybody's word.

What it does not do: it does not copy the scratch folder; branches share their files.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import random
import signal
import socket
import struct
import time
from collections.abc import Container

from . import seccomp
from .syscalls import MACHINE, die_with_parent

MAX_FAMILY = 32  # live kernels that stem from one; each may use as much memory as the first
_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")  # id, pid, flags; call, architecture, instruction pointer, arguments
_RESPONSE = struct.Struct("=QqiI")  # id, value, error, flags
_CONTINUE = 1


class Supervisor:
    """The server's view of the wishes to fork of one kernel and the branches it grew."""

    def __init__(self, near: socket.socket) -> None:
        self._near = near  # the kernel sends its listener through it, before its first snippet
        self.listener: int | None = None

    def receive(self) -> None:
        """Take the listener in, as soon as it comes: the machine bounds the descriptors that are under way."""
        try:
            _, descriptors, _, _ = socket.recv_fds(self._near, 1, 1)
        except OSError:
            descriptors = []
        self.listener = descriptors[0] if descriptors else None
        self._near.close()

    def answer(self, permits: Container[int], children: ChildList) -> tuple[int, int]:
        """Answer the question at hand: who asked, and the process id of its new sibling, 0 if there is none.

        Only a process in `permits` may fork; the asker's id comes from the kernel of the machine.
        """
        assert self.listener is not None
        question = bytearray(_NOTIFICATION.size)
        signal.setitimer(signal.ITIMER_REAL, 0.5)  # the asker may be killed between the poll and this, and then we wait
        try:
            fcntl.ioctl(self.listener, _RECEIVE, question)
            number, asker, *_ = _NOTIFICATION.unpack(question)
            before = children.read()
            error, flags = (0, _CONTINUE) if asker in permits else (-errno.EPERM, 0)
            fcntl.ioctl(self.listener, _SEND, _RESPONSE.pack(number, 0, error, flags))
        except OSError:  # the asker was killed meanwhile
            return 0, 0
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        end = time.monotonic() + 2
        while not error and time.monotonic() < end:
            new = children.read() - before
            if new:
                return asker, new.pop()
            time.sleep(0.0002)
        return asker, 0

    def close(self) -> None:
        self._near.close()
        if self.listener is not None:
            os.close(self.listener)
            self.listener = None


class ChildList:
    """The process ids of our children, as the kernel of the machine knows them; opened while /proc can be seen."""

    def __init__(self) -> None:
        self._file = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> set[int]:
        data = b""
        while part := os.pread(self._file, 1 << 16, len(data)):
            data += part
        return {int(number) for number in data.split()}


_COLUMN = 0 if MACHINE == seccomp.X86_64 else 1


def stop_waiting(*_: object) -> None:
    """The server's handler for SIGALRM."""
    raise TimeoutError


_python = ctypes.pythonapi
_syscall = ctypes.PyDLL(None, use_errno=True).syscall  # PyDLL: the interpreter's lock is held across the fork
_syscall.restype = ctypes.c_long
_getstate, _setstate = random.getstate, random.setstate
_dup2, _close = os.dup2, os.close


def fork_sibling(channel: int) -> int:
    """In a kernel: fork; in the copy, `channel` becomes descriptor 3. Returns 0 there, negative when it was refused."""
    state = _getstate()
    _python.PyOS_BeforeFork()
    pid = int(_syscall(seccomp.CALLS["clone"][_COLUMN], seccomp.CLONE_BRANCH, 0, 0, 0, 0))
    if pid == 0:
        _python.PyOS_AfterFork_Child()
        _dup2(channel, 3)
        die_with_parent()
        _setstate(state)  # the fork hook of `random` drew a new one; a branch is a copy
    else:
        _python.PyOS_AfterFork_Parent()
    _close(channel)
    return pid
