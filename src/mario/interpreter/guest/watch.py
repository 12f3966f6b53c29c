"""The watch over what no limit of a single process bounds: a family's memory, and the host's disk.

The one idea: a family's measure is address space, which no process can hide, beyond what the server had; it is looked
at only where the limits of each member do not bound them all.

What it does not do: it ends nobody; it names those to be ended (`population`).
"""

# The guest stays small, it is forked often: no pathlib.
from __future__ import annotations

import time

from . import family, scratch
from .family import Family, Kernel, Processes

SECONDS = 0.05  # between two looks at the memory of families large enough to matter
DISK_SECONDS = 0.2  # between two looks at the free space of the scratch folders' disk


class Watch:
    """`base` is the server's address space; `folders` holds the scratch folders, where they lie on the host's disk."""

    def __init__(self, memory_mb: int, base: int, processes: Processes | None, folders: str | None) -> None:
        self._memory_mb = memory_mb
        self._base = base
        self._processes = processes
        self._disk = None if folders is None else scratch.Watch(folders)
        self._crowds: set[Family] = set()  # of so many members that the limits of each do not bound them all
        self._looked = 0.0

    def patience(self, any_live: bool) -> int | None:
        """Milliseconds until the next look."""
        if self._crowds:
            return int(SECONDS * 1000)
        return int(DISK_SECONDS * 1000) if self._disk is not None and any_live else None

    def count(self, known: Family) -> None:
        """Its members have changed."""
        if len(known.members) >= family.MEMORY_SHARES:
            self._crowds.add(known)
        else:
            self._crowds.discard(known)

    def refusal(self, kernel: Kernel) -> str:
        """Why a kernel has no room for a copy of itself, if so."""
        mine, all_of_them = self._mapped(kernel.pid), sum(map(self._mapped, kernel.family.members))
        allowed = family.MEMORY_SHARES * self._memory_mb
        if mine + all_of_them <= allowed << 20:
            return ""
        return f"its family maps {all_of_them >> 20} MB of {allowed} MB; close some"

    def is_due(self) -> bool:
        """Whether it is time to look again; it is asked so only to look."""
        now = time.monotonic()
        if now - self._looked < SECONDS:
            return False
        self._looked = now
        return True

    def too_large(self, live: dict[int, Kernel]) -> list[int]:
        """Who must be ended so that families are within their bound: the largest, snapshots first."""
        found = []
        for known in self._crowds:
            mapped = {pid: self._mapped(pid) for pid in known.members}
            while mapped and sum(mapped.values()) > family.MEMORY_SHARES * self._memory_mb << 20:
                snapshots = [pid for pid in mapped if pid in live and live[pid].pid != pid]
                pid = max(snapshots or mapped, key=lambda pid: mapped[pid])
                del mapped[pid]
                found.append(pid)
        return found

    def hoarders(self, live: dict[int, Kernel]) -> list[int]:
        """Whose scratch folder has outgrown its bound."""
        if self._disk is None:
            return []
        overgrown = set(self._disk.overgrown({str(kernel.family.serial) for kernel in live.values()}))
        return [pid for pid, kernel in live.items() if str(kernel.family.serial) in overgrown]

    def _mapped(self, pid: int) -> int:
        """Bytes of address space that a process has beyond what it was forked with."""
        return max(0, self._processes.mapped(pid) - self._base) if self._processes is not None else 0
