"""Which walls can be built here, found by building them: full, without namespaces, or none.

The one idea: no sysctl and no kernel version is read. Each tier is tried with a real fork server, and a real kernel in
it then tries to get out (a file of the host, a socket, a process, a signal to its parent). A tier stands when all of
that fails and arithmetic works.

    full            namespaces, Landlock where there is one, seccomp, limits: host files are not even visible
    no-namespaces   Landlock, seccomp, limits: the same calls fail, but names and sizes of host files can be seen
    none            limits only; nothing is kept from the host's files or network. Never chosen unless asked for

What this module does not do: it keeps no server; a pool starts its own.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mario.errors import InterpreterError
from mario.interpreter.converse import State
from mario.interpreter.kernel import Kernel
from mario.interpreter.limits import Limits
from mario.interpreter.server import GuestSettings, Server, ServerLost
from mario.types import ObservationStatus


class Tier(StrEnum):
    FULL = "full"
    NO_NAMESPACES = "no-namespaces"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a tier stands here, and why (not), in a sentence."""

    tier: Tier
    works: bool
    reason: str


_SAYS = {
    Tier.FULL: "kernels run in namespaces of their own, with seccomp and resource limits",
    Tier.NO_NAMESPACES: "kernels run under Landlock, seccomp and resource limits; names of host files stay visible",
}
_STANDS = "the walls stand"
_ESCAPES = """
import os, socket, sys
def tries():
    yield lambda: open("/etc/passwd").read()
    yield lambda: open(HOST_FILE).read()
    yield lambda: os.listdir("/proc/self")
    yield lambda: open("/dev/shm/mario-escape", "w")
    yield lambda: socket.socket()
    yield lambda: socket.socket(socket.AF_UNIX)
    yield lambda: os.fork()
    yield lambda: os.execv(sys.executable, [sys.executable, "-c", "0"])
    yield lambda: os.kill(os.getppid() or 1, 0)
    yield lambda: os.setuid(0)
    yield lambda: os.memfd_create("x")
for number, attempt in enumerate(tries()):
    try:
        attempt()
    except OSError:
        continue
    print("attempt", number, "got out")
    break
else:
    print(STANDS)
"""


def probe(python: str | None = None) -> tuple[Finding, ...]:
    """Try the tiers, best first; about a tenth of a second each. `mario doctor` prints this."""
    return tuple(_try(tier, python) for tier in (Tier.FULL, Tier.NO_NAMESPACES))


def choose_tier(wanted: Tier | None, *, unsafe: bool, python: str | None) -> Tier:
    """The tier that was asked for, or the best that stands.

    Raises:
        InterpreterError: it does not stand, or none does and `unsafe` is not set.
    """
    if wanted is Tier.NONE and not unsafe:
        raise InterpreterError("interpreter: tier 'none' runs code without walls; it needs unsafe=True as well")
    if wanted is Tier.NONE:
        return wanted
    findings = []
    for tier in (wanted,) if wanted else (Tier.FULL, Tier.NO_NAMESPACES):
        finding = _found(tier, python)
        if finding.works:
            return tier
        findings.append(finding)
    if unsafe and wanted is None:
        return Tier.NONE
    raise InterpreterError(f"interpreter: {refusal(findings)}")


@functools.cache
def _found(tier: Tier, python: str | None) -> Finding:
    return _try(tier, python)


def _try(tier: Tier, python: str | None) -> Finding:
    if sys.platform != "linux":
        return Finding(tier, False, f"{platform.system()} has no Landlock and no seccomp")
    try:
        with contextlib.closing(Server(GuestSettings(python=python, spares=0), tier)) as server:
            kernel = Kernel(State(Limits()), server.open(None))
            observation = kernel.run(f"HOST_FILE, STANDS = {sys.executable!r}, {_STANDS!r}\n{_ESCAPES}")
            kernel.close()
    except (ServerLost, InterpreterError, OSError) as error:
        return Finding(tier, False, str(error).removeprefix("interpreter: the sandbox could not be built: "))
    if observation.status is ObservationStatus.OK and observation.output == _STANDS:
        return Finding(tier, True, _SAYS[tier])
    return Finding(tier, False, f"a kernel in it said: {observation.output}")


def refusal(findings: Sequence[Finding]) -> str:
    """Why no tier stands, and what to type; at most one command."""
    reasons = "; ".join(f"{finding.tier}: {finding.reason}" for finding in findings)
    if sys.platform != "linux":
        remedy = "Run in Linux (Docker, WSL 2 or a virtual machine)"
    elif os.strerror(errno.EMFILE) in reasons:
        remedy = "Type: ulimit -n 4096 (each kernel needs an open file here)"
    elif "temporary directory" in reasons:
        remedy = "Type: export TMPDIR=… with a folder that can be written to"
    else:
        remedy = (
            "In a container, type: docker run --security-opt seccomp=unconfined … (the sandbox then builds its own "
            "walls); on a kernel before 5.13, update it"
        )
    otherwise = "or pass unsafe=True (in the shell --unsafe) to run without walls"
    return f"no sandbox can be built here ({reasons}). {remedy}; {otherwise}"
