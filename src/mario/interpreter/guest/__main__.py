"""The start of a guest: import its packages once, pack the heap, build the outer walls, then serve (`server`).

Run by `mario.interpreter.server`, with no environment but what it needs. The first frame over its channel holds the
configuration as JSON; the answer what was found, or why the walls could not be built.

This package imports nothing of `mario`, so that any Python 3.11+ can be the guest.
"""

# The guest stays small, it is forked often: no pathlib.
# ruff: noqa: PTH120, PTH123
from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import resource
import site
import socket
import sys

from . import forking, landlock, lockdown, preload, runner
from .server import Server, receive, send


def end_with_host(lifeline: int) -> None:
    """SIGIO, which terminates, when the host's end of this pipe closes (see mario.process.worker)."""
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def keep_guest_path() -> None:
    """Leave on the import path what belongs to the interpreter: no checkout, no editable install, not this folder."""
    homes = [sys.prefix, sys.base_prefix]
    with contextlib.suppress(Exception):
        homes.append(site.getusersitepackages())
    own = os.path.dirname(os.path.dirname(__file__))  # our host's modules, wherever they are installed
    kept = [p for p in sys.path if any(p == home or p.startswith(home.rstrip("/") + "/") for home in homes)]
    sys.path[:] = [p for p in kept if p != own]


def main() -> None:
    keep_guest_path()
    channel_fd, lifeline = (int(fd) for fd in os.environ.pop("MARIO_PROCESS_CHANNEL").split(","))
    os.set_inheritable(channel_fd, False)
    end_with_host(lifeline)
    os.umask(0o022)
    forking.take_over()
    channel = socket.socket(fileno=channel_fd)
    frame = receive(channel)
    if frame is None:
        return
    config = json.loads(frame)
    missing = preload.import_packages(config["preload"])
    runner.rehearse(config["output_chars"], config["echo"], config["tracebacks"])
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
