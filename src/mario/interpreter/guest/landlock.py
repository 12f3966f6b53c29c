"""Which files a kernel may open, judged by Landlock: the Python installation to read, a scratch folder to write.

The one idea: everything that Landlock's version here can judge is handled, so that what no rule grants is refused:
also TCP (from version 4) and signals and abstract sockets beyond the kernel's own domain (from 6).

What it does not do: Landlock hides no names and no `stat`; only a mount namespace does (`namespaces`).
"""

# The guest stays small, it is forked often: no pathlib.
# ruff: noqa: PTH110, PTH112
from __future__ import annotations

import os
import struct

from .namespaces import DEVICES
from .syscalls import LANDLOCK_ADD, LANDLOCK_CREATE, LANDLOCK_RESTRICT, LIBC, check

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG, _REFER, _TRUNCATE = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 13, 1 << 14
_SCRATCH = (
    _READ_FILE | _READ_DIR | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
)


def version() -> int:
    """The machine's Landlock version, 0 where it has none or it is switched off."""
    return max(0, int(LIBC.syscall(LANDLOCK_CREATE, None, 0, 1)))


class Rules:
    """Made once in the server, which opens the readable paths; each kernel adds its scratch folder and obeys."""

    def __init__(self, readable: list[str]) -> None:
        self._version = version()
        self._readable: list[tuple[int, int]] = []
        for path in [*readable, *DEVICES]:
            if self._version and os.path.exists(path):
                rights = _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0)
                rights |= _WRITE_FILE if path in DEVICES else 0
                self._readable.append((os.open(path, os.O_PATH | os.O_CLOEXEC), rights))

    def ruleset(self, scratch: str) -> int | None:
        """A ruleset's descriptor, for `obey`; None where there is no Landlock."""
        if not self._version:
            return None
        kinds = 13 if self._version < 2 else 14 if self._version < 3 else 15 if self._version < 5 else 16
        handled = (1 << kinds) - 1
        network = 3 if self._version >= 4 else 0
        scoped = 3 if self._version >= 6 else 0
        size = 8 if self._version < 4 else 16 if self._version < 6 else 24
        attributes = struct.pack("=QQQ", handled, network, scoped)[:size]
        ruleset = check(LIBC.syscall(LANDLOCK_CREATE, attributes, size, 0), "landlock_create_ruleset")
        own = os.open(scratch, os.O_PATH)
        for descriptor, rights in [*self._readable, (own, _SCRATCH)]:
            rule = struct.pack("=Qi", rights & handled, descriptor)
            check(LIBC.syscall(LANDLOCK_ADD, ruleset, 1, rule, 0), "landlock_add_rule")
        os.close(own)
        return ruleset


def obey(ruleset: int) -> None:
    """For good; needs no_new_privs."""
    check(LIBC.syscall(LANDLOCK_RESTRICT, ruleset, 0), "landlock_restrict_self")
