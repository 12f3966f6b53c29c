"""Taking rights away from one kernel: limits, user, capabilities, Landlock and seccomp. All by ctypes.

The one idea: `Walls` is made once in the server, after namespaces were entered or given up; `Walls.close_in` runs in
each kernel, between its fork and its first untrusted byte; what it takes cannot be had back.

What it does not do: it does not decide which walls are enough (`mario.interpreter.tiers`), and falls back to nothing:
a wall that was asked for and cannot be built raises `OSError`.
"""

# The guest stays small, it is forked often: no pathlib.
# ruff: noqa: PTH112, PTH116, PTH120, PTH123, PTH208
from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import socket
import sys
import time

from . import landlock, seccomp
from . import syscalls as sc

SCRATCH_BYTES = 16 << 20  # what a kernel may write to files, and the size of one file
MAX_DESCRIPTORS = 64  # each pipe can hold kernel memory
MAX_THREADS = 32
SHARED_THREADS, RECOUNT_SECONDS = 256, 5.0  # where a kernel has no account of its own (see Walls.prepare_fork)
MAX_PENDING_SIGNALS = 32
THREAD_STACKS = 64 << 20  # address space beyond the memory limit, for stacks and mapped libraries
# User ids that belong to nobody: the range that systemd leaves alone, and, where a container maps no such high ones,
# the one it hands out to nobody in particular. Kernels that shared one would share a bound on threads.
UNUSED_UIDS = ((0x70000000, 1 << 28), (61184, 4336))
KERNELS_OF_SERVER = 4096  # so many ids in a row are one server's, as far as the range goes
_SETFSUID = {"x86_64": 122, "aarch64": 151}
_PLACEHOLDER = 0x3BADF00D


class Walls:
    """What every kernel of this server is shut in with. Made once, after the namespaces were entered or given up."""

    def __init__(self, paths: list[str], memory_bytes: int, base: tuple[int, int], namespaces: bool) -> None:
        self._namespaces = namespaces
        self._base, self._base_data = base
        self._memory_bytes = memory_bytes
        self._server = os.getpid()
        self._rules = landlock.Rules(paths)
        programs = [seccomp.build_filter(sc.MACHINE, _PLACEHOLDER, branching) for branching in (False, True)]
        self._filters = [sc.Filter(program, _PLACEHOLDER) for program in programs]
        self._branch_filter = sc.Filter(seccomp.build_branch_filter(sc.MACHINE))
        self._reads_as_root = False
        self._uids = UNUSED_UIDS[0]
        self.changes_user = os.getuid() == 0 and self._find_user_change()
        self._user_namespaces = namespaces and not self.changes_user
        self._threads = MAX_THREADS
        self._tasks_counted = (0.0, 0)

    def prepare_fork(self) -> None:
        """Set the next kernel's bound on threads: RLIMIT_NPROC, which counts the tasks of a user.

        A kernel with an account of its own (another user id, a user namespace) gets a plain number; where all share
        ours, it is what runs now and some more.
        """
        if self.changes_user or self._user_namespaces:
            return
        when, tasks = self._tasks_counted
        if time.monotonic() - when > RECOUNT_SECONDS:
            tasks = _count_tasks(os.getuid())
            self._tasks_counted = (time.monotonic(), tasks)
        self._threads = tasks + SHARED_THREADS

    def user_for(self, number: int) -> int | None:
        """The user id of a kernel, None to keep ours."""
        first, count = self._uids
        place = self._server * KERNELS_OF_SERVER + number % KERNELS_OF_SERVER
        return first + place % count if self.changes_user else None

    def owner_of_scratch(self, uid: int) -> int:
        """Who must own the scratch folder of a kernel that runs as `uid`."""
        return 0 if self._reads_as_root else uid

    def _find_user_change(self) -> bool:
        """Whether kernels can run as other users and still import; if need be, reading files as root.

        A Python below a 0700 home is only readable so, as far as Landlock lets it. No capabilities are kept either
        way. Tried in a child.
        """
        for self._uids in UNUSED_UIDS:
            for self._reads_as_root in (False, True):
                if self._could_change():
                    return True
        self._reads_as_root = False
        return False

    def _could_change(self) -> bool:
        pid = os.fork()
        if pid == 0:
            code = 1
            with contextlib.suppress(OSError):
                _change_user(self._uids[0], self._reads_as_root)
                sc.set_capabilities(0)
                os.listdir(os.path.dirname(os.__file__))
                for entry in sys.path:
                    if os.path.isdir(entry):
                        os.listdir(entry)
                code = 0
            os._exit(code)
        return os.waitpid(pid, 0)[1] == 0

    def close_in(
        self, channel: int, scratch: str, uid: int | None, supervisor: socket.socket, keep_supervisor: bool
    ) -> None:
        """Take everything from the calling process, a fresh fork of the server; its channel becomes descriptor 3.

        The server gets, through `supervisor`, the descriptor by which it is asked about each fork, where there is one;
        kept, it becomes descriptor 4.
        """
        if self._namespaces:
            sc.unshare(sc.CLONE_NEWNS)
            owner = "" if uid is None else f",uid={self.owner_of_scratch(uid)},gid={uid}"
            options = f"size={SCRATCH_BYTES},nr_inodes=1k,mode=0700{owner}"
            sc.mount("tmpfs", scratch, "tmpfs", sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC, options)
        if self._user_namespaces:
            sc.unshare(sc.CLONE_NEWUSER)  # an account of its own for RLIMIT_NPROC
        ruleset = self._rules.ruleset(scratch)
        os.chdir(scratch)
        limit_resources(self._base, self._base_data, self._memory_bytes, self._threads)
        if uid is not None:
            _change_user(uid, self._reads_as_root)
        sc.set_capabilities(0)
        sc.die_with_parent()  # after the ids: changing them clears it
        if not self._namespaces and os.getppid() != self._server:
            os._exit(1)
        sc.prctl(sc.PR_SET_DUMPABLE, 0)
        sc.prctl(sc.PR_SET_NO_NEW_PRIVS, 1)
        if ruleset is not None:
            landlock.obey(ruleset)
        listener = self._branch_filter.install(sc.SECCOMP_NEW_LISTENER)
        if listener >= 0:
            try:
                socket.send_fds(supervisor, [b"+"], [listener])
            except OSError:  # too many descriptors under way: this kernel will not branch
                listener = -1
        keep_only_channel(channel, supervisor.fileno() if keep_supervisor else None)
        sc.check(self._filters[listener >= 0].install(), "seccomp")


def _change_user(uid: int, reads_as_root: bool) -> None:
    """Become `uid` in every respect, or in every respect but the opening of files."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    if reads_as_root:
        sc.prctl(sc.PR_SET_KEEPCAPS, 1)
    os.setresuid(uid, uid, uid)
    if reads_as_root:
        sc.set_capabilities(sc.CAP_SETUID)
        sc.LIBC.syscall(_SETFSUID[sc.MACHINE], 0)


def _count_tasks(uid: int) -> int:
    count = 0
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        with contextlib.suppress(OSError):
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == uid:
                count += len(os.listdir(f"/proc/{name}/task"))
    return count


def limit_resources(base: int, base_data: int, memory_bytes: int, threads: int | None) -> None:
    """Lower the limits; memory is counted on top of what the server already maps."""
    limits = [
        (resource.RLIMIT_AS, base + memory_bytes + THREAD_STACKS),
        (resource.RLIMIT_DATA, base_data + memory_bytes),
        (resource.RLIMIT_FSIZE, SCRATCH_BYTES),
        (resource.RLIMIT_CORE, 0),
    ]
    if threads is not None:
        limits.append((resource.RLIMIT_NPROC, threads))
    if sys.platform == "linux":  # accounts of the user, which may be the host's
        limits += [
            (resource.RLIMIT_MEMLOCK, 0),
            (resource.RLIMIT_MSGQUEUE, 0),
            (resource.RLIMIT_SIGPENDING, MAX_PENDING_SIGNALS),
        ]
    for kind, value in limits:
        _lower(kind, value)


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (bound, bound))


def keep_only_channel(channel: int, supervisor: int | None = None) -> None:
    """Close every descriptor but the channel, which becomes number 3, and the supervisor, which becomes 4."""
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    if supervisor is not None:
        supervisor = os.dup(supervisor)  # a number that the next line does not take
    os.dup2(channel, 3)
    if supervisor is not None:
        os.dup2(supervisor, 4)
    first = 4 if supervisor is None else 5
    if sys.platform != "linux" or sc.LIBC.syscall(sc.CLOSE_RANGE, first, 0x7FFFFFFF, 0) != 0:
        os.closerange(first, 1 << 16)
    _lower(resource.RLIMIT_NOFILE, MAX_DESCRIPTORS)  # not before: the server's many descriptors were inherited


def memory_base() -> tuple[int, int]:
    """Address space and private memory of this process in bytes; needs /proc, so before the namespaces."""
    with open("/proc/self/statm") as file:
        pages = [int(field) * resource.getpagesize() for field in file.read().split()]
    return pages[0], pages[5]


def pack_heap() -> None:
    """Collapse the heap into huge pages, so that a fork copies a few hundred entries and not tens of thousands."""
    madv_collapse, huge = 25, 2 << 20
    with contextlib.suppress(OSError), open("/proc/self/maps") as file:
        for line in file:
            span, mode, _, device, *_ = line.split()
            if mode != "rw-p" or device != "00:00":
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            start, end = -(-start // huge) * huge, end // huge * huge
            if start < end:
                sc.LIBC.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), madv_collapse)
