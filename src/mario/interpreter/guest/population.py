"""The kernels of one fork server: their births, their deaths, and who may fork.

The one idea: no word of a kernel is believed. Who it is comes from the machine with each question to fork; what it bore
from the machine's list of our children; and what a family uses from its address space, which cannot be hidden.

What it does not do: it knows no host (`server`).
"""

# The guest stays small, it is forked often: no pathlib.
# ruff: noqa: PTH102, PTH118
from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from . import family, forking, lockdown, namespaces, scratch, watch
from .branching import FOR_BRANCH
from .family import Birth, Family, Kernel, Permit

LATE_SECONDS = 0.2  # between two looks for a clone that may still come
BIRTH_SECONDS = 0.5  # a clone that was allowed is seen by then, or failed
BRANCH_SECONDS = 2.0  # the same of one that the host ordered, and waits for
UNREADY_SECONDS = 0.25  # a fresh snapshot runs no longer than this

Life = Callable[[socket.socket, str, int | None, socket.socket], None]


class Population:
    """`live_as` is what a forked child does with its channel, folder, user and supervisor; it does not return."""

    def __init__(self, config: dict[str, Any], base: tuple[int, int], poll: select.poll, live_as: Life) -> None:
        self._config = config
        self._live_as = live_as
        self._tier: str = config["tier"]
        self._poll = poll
        self._scratch = config["scratch"]
        self._counter = 0
        self.kernels: dict[int, Kernel] = {}  # by the host's number
        self._live: dict[int, Kernel] = {}  # by process id: every child not yet reaped; a snapshot's is its kernel
        self._arriving: dict[int, Family] = {}  # by the descriptor through which its listener will come
        self._listeners: dict[int, Family] = {}  # by descriptor
        self._restless: dict[Kernel, float] = {}  # with a snapshot that still runs, until when it may
        self._permits: dict[Kernel, Permit] = {}
        self._birth: Birth | None = None
        self._late: set[Kernel] = set()  # allowed to fork, and not seen to in time: on a busy machine they still may
        self._processes = family.Processes() if sys.platform == "linux" else None
        folders = None if self._tier == "full" else self._scratch
        self._watch = watch.Watch(config["memory_mb"], base[0], self._processes, folders)
        self._holder = 0
        paths = namespaces.readable_paths()
        if self._tier == "full":
            self._scratch = namespaces.enter(paths)
            self._holder = namespaces.hold_pid_namespace()
        self._helpers = {self._holder}  # children that are no kernels
        self.walls: lockdown.Walls | None = None
        if self._tier != "none":
            self.walls = lockdown.Walls(paths, config["memory_mb"] << 20, base, namespaces=self._tier == "full")

    @property
    def is_expecting(self) -> bool:
        """Whether a kernel may fork or is about to: children of our own would only confuse."""
        return bool(self._permits) or self._birth is not None

    def patience(self) -> int | None:
        """Milliseconds until something must be looked at, unless something happens."""
        if self._birth is not None:
            return 1
        if self._restless:
            return int(UNREADY_SECONDS * 1000)
        watched = self._watch.patience(bool(self._live))
        return watched if watched is not None or not self._late else int(LATE_SECONDS * 1000)

    def runs(self, kernel: Kernel) -> bool:
        return self._live.get(kernel.pid) is kernel

    def fork(self) -> tuple[Kernel, socket.socket]:
        """A new kernel, and the host's end of its channel.

        Raises:
            OSError: there is no process, memory or descriptor left for it.
        """
        serial = self._counter = self._counter + 1
        folder, uid = self._scratch, None
        if self.walls is not None:
            uid = self.walls.user_for(serial)
        if self._tier != "full":
            folder = os.path.join(self._scratch, str(serial))
            os.mkdir(folder, 0o700)
            if uid is not None and self.walls is not None:
                os.chown(folder, self.walls.owner_of_scratch(uid), -1)
        if os.environ.get("TMPDIR") != folder:
            os.environ.update(HOME=folder, TMPDIR=folder)  # here, so that it costs the kernel nothing
            scratch.own(folder)
        if self.walls is not None:
            self.walls.prepare_fork()
        host_end, kernel_end = socket.socketpair()
        near, far = socket.socketpair()
        pid = forking.fork()
        if pid == 0:
            self._live_as(kernel_end, folder, uid, far)
        kernel_end.close()
        far.close()
        recover = self._config["recover"]
        kernel = self._live[pid] = Kernel(Family(serial, near, members={pid}), pid, near if recover else None)
        self._arriving[near.fileno()] = kernel.family
        self._poll.register(near, select.POLLIN)
        return kernel, host_end

    def end(self, kernel: Kernel) -> int:
        """Kill it, unless it has ended; returns its wait status."""
        if self.runs(kernel):
            os.kill(kernel.pid, signal.SIGKILL)
            self._bury(kernel.pid, os.waitpid(kernel.pid, 0)[1])  # of one that had ended by itself, its own status
        if kernel.overgrown:
            return family.FAMILY_MEMORY
        return signal.SIGKILL if kernel.status is None else kernel.status

    def close(self, number: int) -> None:
        kernel = self.kernels.pop(number, None)
        for asker in [asker for asker, permit in self._permits.items() if permit.number == number or asker is kernel]:
            del self._permits[asker]  # a kernel that did not take up its permit has none for later
        birth = self._birth
        if birth is not None and (
            birth.asker is kernel or (birth.permit is not None and birth.permit.number == number)
        ):
            birth.wanted = False
        if kernel is not None:
            for pid in (kernel.pid, kernel.snapshot):
                if self._live.get(pid) is kernel:
                    os.kill(pid, signal.SIGKILL)

    def permit_branch(self, kernel: Kernel | None, number: int) -> tuple[socket.socket, ...]:
        """Let a kernel fork once, as the kernel `number`; returns the host's end of its channel, and what it will hold.

        Raises:
            OSError: it may not.
        """
        if kernel is None or not self.runs(kernel) or self._processes is None:
            raise OSError(errno.ESRCH, "the kernel has ended, or none can branch here")
        if len(kernel.family.members) >= family.MAX_FAMILY:
            raise OSError(errno.EAGAIN, f"{family.MAX_FAMILY} kernels of one family are alive; close some")
        if kernel.family in self._arriving.values():
            self._receive_listener(kernel.family)  # it was sent before the kernel greeted its host
        if kernel.family.listener is None:
            raise OSError(errno.ENOSYS, "it needs seccomp user notification (Linux 5.5)")
        if refusal := self._watch.refusal(kernel):
            raise OSError(errno.ENOMEM, refusal)
        host_end, kernel_end = socket.socketpair()
        if kernel.near is None:
            self._permits[kernel] = Permit(number, None)
            return host_end, kernel_end
        near, far = socket.socketpair()
        self._permits[kernel] = Permit(number, near)
        return host_end, kernel_end, far

    def go_back(self, kernel: Kernel | None, age: int) -> socket.socket:
        """Let the snapshot of an ended kernel take its place; returns the host's end of its new channel.

        One of another age than the host's is of another state: a kernel may be killed just as it has answered.

        Raises:
            OSError: there is none.
        """
        while self._birth is not None and self._birth.asker is kernel:
            self.look_for_birth()
            time.sleep(0.0002)
        if kernel is None or kernel.near is None or self._live.get(kernel.snapshot) is not kernel or kernel.age != age:
            raise OSError(errno.ESRCH, "there is no snapshot")
        kernel.pid, kernel.snapshot, kernel.status, kernel.overgrown = kernel.snapshot, 0, None, False
        self._let_rest(kernel)
        host_end, kernel_end = socket.socketpair()
        with kernel_end:
            socket.send_fds(kernel.near, [b"R"], [kernel_end.fileno()])
        os.kill(kernel.pid, signal.SIGCONT)
        return host_end

    def end_all(self) -> None:
        """End every process, and leave no folder."""
        for pid in {*self._live, *self._helpers, *(self._processes.children() if self._processes else ())} - {0}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
        if self._tier != "full":
            scratch.remove_tree(self._scratch)

    def hear(self, events: dict[int, int]) -> None:
        """Take in what kernels say: a family's listener, a wish to fork, that a snapshot is ready."""
        for descriptor in self._listeners.keys() & events.keys():
            if not events[descriptor] & select.POLLIN:
                self._poll.unregister(descriptor)  # hung up: nobody is left to ask
                del self._listeners[descriptor]
            elif self._birth is None:
                self._answer(self._listeners[descriptor], descriptor)
        for descriptor in self._arriving.keys() & events.keys():
            self._receive_listener(self._arriving[descriptor])

    def _receive_listener(self, known: Family) -> None:
        self._poll.unregister(known.near)
        del self._arriving[known.near.fileno()]
        known.receive_listener()
        if known.listener is not None:
            self._listeners[known.listener] = known
            self._poll.register(known.listener, select.POLLIN)
        if not self._config["recover"]:
            known.near.close()

    def _expect_readiness(self, kernel: Kernel) -> None:
        if kernel.near is not None and kernel not in self._restless:
            self._poll.register(kernel.near, select.POLLIN)
        self._restless[kernel] = time.monotonic() + UNREADY_SECONDS

    def _let_rest(self, kernel: Kernel) -> None:
        if self._restless.pop(kernel, None) is not None and kernel.near is not None:
            self._poll.unregister(kernel.near)

    def _answer(self, known: Family, listener: int) -> None:
        """May it fork? Yes to one that was ordered to, and once it has a new state to go back to; no to a snippet."""
        question = family.next_question(listener)
        if question is None or self._processes is None:
            return
        asker = self._live.get(question.pid)
        if asker is not None and asker.pid != question.pid:  # a snapshot may not
            asker = None
        is_snapshot = self._config["recover"] and question.why > FOR_BRANCH
        permit = None if asker is None or is_snapshot else self._permits.pop(asker, None)
        yes = asker is not None and (is_snapshot or permit is not None)
        if yes and asker is not None and is_snapshot:
            if self._live.get(asker.snapshot) is asker:
                os.kill(asker.snapshot, signal.SIGKILL)  # of an older state
            self._let_rest(asker)
            asker.snapshot, asker.age = 0, question.why - 1
            asker.hears_readiness()  # of the older one
            yes = len(known.members) <= family.MAX_FAMILY
        before = self._processes.children() if yes else set()
        self._end_strays(before)
        if yes and asker is not None:
            self._late.discard(asker)  # it can only ask again once its last clone is done
        if family.answer_question(listener, question.number, yes) and yes and asker is not None:
            patience = BIRTH_SECONDS if permit is None else BRANCH_SECONDS
            self._birth = Birth(asker, permit, before, time.monotonic() + patience)

    def look_for_birth(self) -> None:
        """Register the sibling that was allowed, once the machine lists it."""
        birth = self._birth
        if birth is None or self._processes is None:
            return
        new = self._processes.children() - birth.before - self._live.keys() - self._helpers
        if not new:
            if not self.runs(birth.asker):
                self._birth = None  # it was reaped before this look: what it bore would be there
            elif time.monotonic() > birth.until:  # the clone failed, or is late
                self._birth = None
                self._late.add(birth.asker)
            return
        self._birth = None
        pid, kernel = new.pop(), birth.asker
        if birth.permit is None:
            kernel.snapshot = pid
            self._expect_readiness(kernel)
        else:
            kernel = self.kernels[birth.permit.number] = Kernel(kernel.family, pid, birth.permit.near)
        self._live[pid] = kernel
        kernel.family.members.add(pid)
        self._watch.count(kernel.family)
        if not birth.wanted:
            os.kill(pid, signal.SIGKILL)
            if birth.permit is not None:
                del self.kernels[birth.permit.number]

    def _end_strays(self, children: set[int]) -> None:
        """Of births that took too long: nobody waits for them any more."""
        for stray in children - self._live.keys() - self._helpers:
            os.kill(stray, signal.SIGKILL)

    def reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._holder:
                    os._exit(1)  # every kernel has ended with it
                self._helpers.discard(pid)
                self._bury(pid, status)

    def _bury(self, pid: int, status: int) -> None:
        if self._birth is not None and self._birth.asker.pid == pid:
            self.look_for_birth()  # now: a family without members is forgotten, and the clone is one
        kernel = self._live.pop(pid, None)
        if kernel is None:
            return
        if kernel.pid == pid:
            kernel.status = status
            self._permits.pop(kernel, None)
            if self._live.get(kernel.snapshot) is kernel:  # stopped too early, it would still hold the channel open
                os.kill(kernel.snapshot, signal.SIGCONT)
                self._expect_readiness(kernel)
        elif kernel.snapshot == pid:
            kernel.snapshot = 0
            self._let_rest(kernel)
        known = kernel.family
        known.members.discard(pid)
        self._watch.count(known)
        if not known.members:
            self._forget(known)

    def _forget(self, known: Family) -> None:
        if known in self._arriving.values():
            self._receive_listener(known)
        if known.listener in self._listeners:
            self._poll.unregister(known.listener)
            del self._listeners[known.listener]
        known.close()
        if self._tier != "full":
            self._helpers.add(scratch.sweep(os.path.join(self._scratch, str(known.serial))))

    def look_after(self) -> None:
        now = time.monotonic()
        for kernel, until in list(self._restless.items()):
            if kernel.hears_readiness() or now > until:
                self._let_rest(kernel)
                if self._live.get(kernel.snapshot) is kernel:  # never 0: that is our own process group
                    os.kill(kernel.snapshot, signal.SIGSTOP)  # stopped, it computes nothing
        if not self._watch.is_due():
            return
        if self._late and self._birth is None and self._processes is not None:
            alive = {kernel for kernel in self._late if self.runs(kernel)}
            self._end_strays(self._processes.children())
            self._late = alive
        for pid in self._watch.too_large(self._live):
            if pid in self._live:
                self._live[pid].overgrown = self._live[pid].pid == pid
                os.kill(pid, signal.SIGKILL)
        for pid in self._watch.hoarders(self._live):
            os.kill(pid, signal.SIGKILL)
