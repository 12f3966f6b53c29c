"""Forking the server, without what Python does in the child for the sake of threads that there are none of.

The one idea: after a fork `threading` makes its locks and its list of threads anew, a fifth of what a kernel's start
costs, most of it in pages copied. The server has one thread, and no lock is held, so they are as they should be. A
kernel that forks later, with threads perhaps, still has it done.

What it does not do: the other hooks run: `random` draws a new state. The main thread of a kernel goes on with the
server's `native_id`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

_alone = False


def take_over() -> None:
    """Import `threading`, which lays its hook; where that was done before, its hook runs after every fork."""
    if "threading" in sys.modules:
        return
    register = os.register_at_fork

    def register_ours(**hooks: Callable[[], object]) -> None:
        reset = hooks.get("after_in_child")
        if reset is not None:
            hooks["after_in_child"] = lambda: None if _alone else reset()
        register(**hooks)

    os.register_at_fork = register_ours  # type: ignore[assignment]
    try:
        import threading  # noqa: F401
    finally:
        os.register_at_fork = register


def fork() -> int:
    """As `os.fork`, in a process that has one thread."""
    global _alone
    _alone = True
    try:
        return os.fork()
    finally:
        _alone = False
