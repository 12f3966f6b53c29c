"""The few calls to the C library and the kernel of the machine that the walls are built with, by ctypes.

What it does not do: it decides nothing, and falls back to nothing: a call that fails raises `OSError`.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
MACHINE = platform.machine()

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_NOATIME, MS_NODIRATIME = 1, 2, 4, 8, 32, 1024, 2048
MS_BIND, MS_REC, MS_PRIVATE, MS_RELATIME = 4096, 16384, 1 << 18, 1 << 21
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS = 1, 4, 8, 38
CAP_SETUID = 1 << 7
_SECCOMP_SET_MODE_FILTER, _SECCOMP_SPEC_ALLOW, SECCOMP_NEW_LISTENER = 1, 4, 8

# Numbers of what the C library has no function for; from 424 on they are the same on every machine.
CLOSE_RANGE, LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 436, 444, 445, 446
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_SECCOMP = {"x86_64": 317, "aarch64": 277}


def check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


_prctl: Any = getattr(LIBC, "prctl", None)  # Linux has one
if _prctl is not None:
    _prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]


def prctl(option: int, argument: int) -> None:
    check(_prctl(option, argument, 0, 0, 0), "prctl")


def unshare(flags: int) -> None:
    check(LIBC.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    arguments = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode() or None)
    check(LIBC.mount(*arguments), f"mount {target}")


def set_capabilities(wanted: int) -> None:
    """Permitted and effective ones, of the first 32; none are inheritable."""
    data = struct.pack("=6I", wanted, wanted, 0, 0, 0, 0)
    check(LIBC.syscall(_CAPSET[MACHINE], struct.pack("=Ii", 0x20080522, 0), data), "capset")


class Filter:
    """A seccomp filter, laid out in memory before the fork; `placeholder` stands in it for the process id."""

    def __init__(self, program: bytes, placeholder: int = -1) -> None:
        self._buffer = ctypes.create_string_buffer(program, len(program))
        self._struct = struct.pack("@HP", len(program) // 8, ctypes.addressof(self._buffer))
        constants = enumerate(struct.iter_unpack("=4xI", program))
        self._holes = [8 * place + 4 for place, (value,) in constants if value == placeholder]

    def install(self, flags: int = 0) -> int:
        """The result is negative where it is refused, with SECCOMP_NEW_LISTENER a descriptor."""
        for hole in self._holes:
            struct.pack_into("=I", self._buffer, hole, os.getpid())
        call, operation = _SECCOMP[MACHINE], _SECCOMP_SET_MODE_FILTER
        result = int(LIBC.syscall(call, operation, flags | _SECCOMP_SPEC_ALLOW, self._struct))
        if result < 0:  # kernels before 4.17 lack SPEC_ALLOW
            result = int(LIBC.syscall(call, operation, flags, self._struct))
        return result


def die_with_parent() -> None:
    prctl(PR_SET_PDEATHSIG, 9)
