"""The child's side: answer one frame after another, and end with the parent.

What this module does not do: it takes no rights away beyond the memory limit. Hostile code belongs in
`mario.interpreter`.
"""

from __future__ import annotations

import fcntl
import os
import resource
import select
import socket
from collections.abc import Callable

from mario.process.child import CHANNEL_VARIABLE
from mario.process.frames import FrameBroken, receive_frame, send_frame


def serve(handle: Callable[[bytes], bytes], *, memory_mb: int | None = None) -> None:
    """Answer requests with `handle` until the parent closes the channel; then return.

    `memory_mb` bounds the address space that is still to come: beyond it, allocations raise MemoryError.
    """
    channel_fd, lifeline = (int(fd) for fd in os.environ.pop(CHANNEL_VARIABLE).split(","))
    die_with(lifeline)
    if memory_mb is not None:
        limit_memory(memory_mb)
    with socket.socket(fileno=channel_fd) as channel:
        os.set_inheritable(channel_fd, False)
        while True:
            try:
                request = receive_frame(channel)
            except FrameBroken:
                return
            send_frame(channel, handle(request))


def die_with(lifeline: int) -> None:
    """Have the kernel end this process when the parent's end of the `lifeline` pipe closes, however it closes.

    Nothing is ever written there, so the only event is the hang-up, and SIGIO's default action is to terminate: no
    thread and no poll, so it works inside a loop in C. PR_SET_PDEATHSIG would fire when the parent's *thread* ends.
    """
    os.set_inheritable(lifeline, False)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(lifeline, 0)
    if poll.poll(0):  # the parent was gone before the order stood
        os._exit(1)


def limit_memory(memory_mb: int) -> None:
    with open("/proc/self/statm") as file:  # noqa: PTH123  one number at start
        used = int(file.read().split()[0]) * resource.getpagesize()
    limit = used + memory_mb * 2**20
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
