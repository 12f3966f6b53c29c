"""In a kernel: forking a sibling, as a branch for the host or as a snapshot to go back to.

The one idea: the fork is a raw clone that the server is asked about (`family`); Python's own bookkeeping is called
round it. A snapshot lets go of the kernel's channel, so that the host sees the kernel's end, and waits, stopped by the
server, for a channel of its own.

What it does not do: it does not copy the scratch folder; branches and snapshots share their files.
"""

from __future__ import annotations

import _socket
import ctypes
import os
import random
import socket
import sys

from . import seccomp
from .private import BUILTINS
from .syscalls import MACHINE, die_with_parent

__builtins__ = BUILTINS  # type: ignore[assignment]  # see there

_COLUMN = 0 if MACHINE == seccomp.X86_64 else 1
CHANNEL, LIFELINE = 3, 4  # descriptors of a kernel; the second only where kernels recover
_SPACE = socket.CMSG_LEN(8)
FOR_BRANCH = 0  # an argument of the clone that the machine ignores and the server reads: of a snapshot 1 + its age

_python = ctypes.pythonapi
_syscall = ctypes.PyDLL(None, use_errno=True).syscall  # PyDLL: the interpreter's lock is held across the fork
_syscall.restype = ctypes.c_long
_getstate, _setstate = random.getstate, random.setstate
_dup2, _close, _write, _Socket = os.dup2, os.close, os.write, _socket.socket


def fork_sibling(why: int) -> int:
    """Returns 0 in the copy, the new process id in the kernel, negative when it was refused."""
    state = _getstate()
    _python.PyOS_BeforeFork()
    pid = int(_syscall(seccomp.CALLS["clone"][_COLUMN], seccomp.CLONE_BRANCH, 0, why, 0, 0))
    if pid == 0:
        _python.PyOS_AfterFork_Child()
        die_with_parent()
        _setstate(state)  # the fork hook of `random` drew a new one; a branch is a copy
    else:
        _python.PyOS_AfterFork_Parent()
    return pid


def branch() -> int:
    """Fork with the descriptors that come beside the one byte of the order's body; the copy holds them as its own."""
    given = _descriptors(CHANNEL)
    pid = fork_sibling(FOR_BRANCH)
    for number, descriptor in enumerate(given, CHANNEL):
        if pid == 0:
            _dup2(descriptor, number)
        _close(descriptor)
    return pid


def leave_snapshot(age: int) -> bool:
    """Fork a copy that waits; returns False at once, and True in the copy when it is needed, with a fresh channel.

    age: how many snippets it has run.
    """
    if fork_sibling(1 + age) != 0:
        return False
    _close(CHANNEL)
    _write(LIFELINE, b"S")  # ready to be stopped
    (channel,) = _descriptors(LIFELINE)
    if channel != CHANNEL:  # it took the number that was free
        _dup2(channel, CHANNEL)
        _close(channel)
    return True


def _descriptors(source: int) -> list[int]:
    """Those that come with one byte."""
    near = _Socket(fileno=source)
    try:
        data = near.recvmsg(1, _SPACE)[1][0][2]
    finally:
        near.detach()
    return [int.from_bytes(data[i : i + 4], sys.byteorder) for i in range(0, len(data), 4)]
