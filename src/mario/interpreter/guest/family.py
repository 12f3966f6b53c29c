"""Kernels as the server knows them: families that share walls, and the questions by which they ask to fork.

The one idea: the clone that makes a sibling process is not allowed to a kernel but put to the server, by seccomp's
user notification (Linux 5.5). The server says yes once for each branch the host ordered, and, where kernels recover,
once for the snapshot after each answer. The sibling is the server's own child (CLONE_PARENT), so it is reaped and
killed like any kernel, and its process id comes from the machine's list of children, not from anybody's word.

What it does not do: it decides nothing (`server`), and is not in the kernel (`branching`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import struct
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_FAMILY = 32  # live processes that stem from one kernel, snapshots among them
MEMORY_SHARES = 4  # a family may map this many times what one kernel may
FAMILY_MEMORY = -1  # in place of a wait status: ended because its family outgrew that
_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")  # id, pid, flags; call, architecture, instruction pointer, arguments
_RESPONSE = struct.Struct("=QqiI")  # id, value, error, flags
_CONTINUE = 1


@dataclass(eq=False, slots=True)
class Family:
    """A kernel, the branches it grew and their snapshots: one scratch folder, one account, one listener."""

    serial: int
    near: socket.socket  # brings the listener
    listener: int | None = None
    members: set[int] = field(default_factory=set)

    def receive_listener(self) -> None:
        """Take it in as soon as it comes: the machine bounds the descriptors that are under way."""
        try:
            _, descriptors, _, _ = socket.recv_fds(self.near, 1, 1, socket.MSG_DONTWAIT)
        except OSError:
            descriptors = []
        self.listener = descriptors[0] if descriptors else None

    def close(self) -> None:
        if self.listener is not None:
            os.close(self.listener)
            self.listener = None


@dataclass(eq=False, slots=True)
class Kernel:
    family: Family
    pid: int
    near: socket.socket | None  # where kernels recover, speaks with its snapshot; closed with its last reference
    status: int | None = None  # its wait status, once reaped
    snapshot: int = 0  # the process to go back to when this one must be killed
    age: int = 0  # how many snippets the snapshot has run
    overgrown: bool = False

    def hears_readiness(self) -> bool:
        """Whether a snapshot said, since this was asked last, that it may be stopped."""
        try:
            return self.near is not None and bool(self.near.recv(4096, socket.MSG_DONTWAIT))
        except OSError:
            return False


@dataclass(eq=False, slots=True)
class Permit:
    """To fork once, as the branch `number`; `near` is as of the kernel to be."""

    number: int
    near: socket.socket | None


@dataclass(eq=False, slots=True)
class Birth:
    """A sibling that was allowed and has not been seen yet: a branch with a permit, or a snapshot."""

    asker: Kernel
    permit: Permit | None
    before: set[int]
    until: float
    wanted: bool = True


class Question(NamedTuple):
    number: int
    pid: int  # of who asks, from the kernel of the machine
    why: int  # by its own word: 0 a branch, 1 + n a snapshot after n snippets


def next_question(listener: int) -> Question | None:
    """The question at hand."""
    question = bytearray(_NOTIFICATION.size)
    signal.setitimer(signal.ITIMER_REAL, 0.5)  # the asker may be killed between the poll and this, and then we wait
    try:
        fcntl.ioctl(listener, _RECEIVE, question)
    except OSError:
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    number, pid, _, _, _, _, _, _, why, *_ = _NOTIFICATION.unpack(question)
    return Question(number, pid, why)


def answer_question(listener: int, number: int, yes: bool) -> bool:
    """Whether the answer was heard: who asked may have been killed."""
    try:
        response = (0, _CONTINUE) if yes else (-errno.EPERM, 0)
        fcntl.ioctl(listener, _SEND, _RESPONSE.pack(number, 0, *response))
    except OSError:
        return False
    return True


def stop_waiting(*_: object) -> None:
    """The server's handler for SIGALRM."""
    raise TimeoutError


class Processes:
    """The machine's own view of our children; opened while /proc can be seen."""

    def __init__(self) -> None:
        self._children = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)
        self._proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._page = os.sysconf("SC_PAGE_SIZE")

    def children(self) -> set[int]:
        data = b""
        while part := os.pread(self._children, 1 << 16, len(data)):
            data += part
        return {int(number) for number in data.split()}

    def mapped(self, pid: int) -> int:
        """Bytes of address space: what a process can have in memory at most, whatever it does to hide it."""
        try:
            file = os.open(f"{pid}/statm", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        except OSError:
            return 0
        try:
            return int(os.read(file, 64).split()[0]) * self._page
        finally:
            os.close(file)
