"""Taking rights away: namespaces round the server, then per kernel limits, Landlock and seccomp. All by ctypes.

Two moments. `enter_namespaces` runs once in the server: it leaves a file system that holds the Python installation
and nothing else, no network, and no view of other processes. `Walls.close_in` runs in each kernel, between its fork
and its first untrusted byte; what it takes cannot be had back.

What it does not do: it does not decide which walls are enough (`mario.interpreter.tiers`), and falls back to nothing:
a wall that was asked for and cannot be built raises `OSError`.
"""

# The guest stays small, it is forked often: no pathlib.
# ruff: noqa: PTH103, PTH110, PTH112, PTH116, PTH118, PTH120, PTH123, PTH208
from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import socket
import struct
import sys
import time

from . import seccomp

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long

_CLONE_NEWNS, _CLONE_NEWCGROUP, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_NOATIME, _MS_NODIRATIME = 1, 2, 4, 8, 32, 1024, 2048
_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_RELATIME = 4096, 16384, 1 << 18, 1 << 21
_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SECCOMP_SPEC_ALLOW, _SECCOMP_NEW_LISTENER = 4, 8
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446  # the same on every machine
_SYS_CLOSE_RANGE = 436  # the same on every machine
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}
_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}

MACHINE = platform.machine()
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SCRATCH_BYTES = 16 << 20  # what a kernel may write to files, and the size of one file
MAX_DESCRIPTORS = 64  # each pipe can hold kernel memory
MAX_THREADS = 32
SHARED_THREADS, RECOUNT_SECONDS = 256, 5.0  # where a kernel has no account of its own (see Walls.prepare_fork)
THREAD_STACKS = 64 << 20  # address space beyond the memory limit, for stacks and mapped libraries
FIRST_UID, UIDS = 61184, 4336  # the range that systemd hands out to nobody in particular
_PLACEHOLDER = 0x3BADF00D


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _prctl(option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(a) for a in (*arguments, 0, 0, 0, 0)[:4]]
    _check(LIBC.prctl(option, *padded), f"prctl({option})")


def _unshare(flags: int) -> None:
    _check(LIBC.unshare(flags), "unshare")


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    arguments = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode() or None)
    _check(LIBC.mount(*arguments), f"mount {target}")


def readable_paths() -> list[str]:
    """The directories a guest needs for its imports: libraries of the interpreter and of the system."""
    found = {"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime"}
    for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}:
        found |= {os.path.join(prefix, name) for name in ("lib", "lib64", "pyvenv.cfg")}
    found |= set(sys.path)
    paths = sorted(path for path in found if os.path.exists(path))
    return [p for p in paths if not any(p != other and p.startswith(other + "/") for other in paths)]


def enter_namespaces(paths: list[str]) -> str:
    """Give the calling process, single-threaded still, a world of its own; returns the scratch directory's path there.

    The pid namespace is for its children: the caller must fork a first one that lives on (`hold_pid_namespace`).

    Raises:
        OSError: the kernel does not grant it; some of it may have been done, so the process should end.
    """
    flags = _CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS | _CLONE_NEWCGROUP
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        _unshare(flags)  # without a user namespace: a root mapped into one is exempt from RLIMIT_NPROC
    else:
        _unshare(flags | _CLONE_NEWUSER)
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    LIBC.sethostname(b"mario", 5)
    _mount("none", "/", "", _MS_REC | _MS_PRIVATE)
    scratch = "/tmp" if not any(path.startswith("/tmp/") for path in paths) else "/scratch"
    root = "/tmp"
    held = {path: os.open(path, os.O_PATH) for path in [*paths, *DEVICES] if os.path.exists(path)}
    _mount("tmpfs", root, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,nr_inodes=4k,mode=0755")
    for path, descriptor in held.items():  # by descriptor: what lies below the new mount is hidden by now
        target = root + path
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            os.makedirs(target, mode=0o755, exist_ok=True)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
        _mount(f"/proc/self/fd/{descriptor}", target, "", _MS_BIND)
        _mount("none", target, "", _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _kept_flags(target, path))
        os.close(descriptor)
    os.makedirs(root + scratch, exist_ok=True)
    _mount("none", root, "", _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    os.chdir(root)
    _check(LIBC.syscall(_SYS_PIVOT_ROOT[MACHINE], b".", b"."), "pivot_root")
    _check(LIBC.umount2(b".", _MNT_DETACH), "umount of the old root")
    os.chdir("/")
    return scratch


def _kept_flags(target: str, path: str) -> int:
    """Flags of a mount that a user namespace may not drop when it remounts."""
    have = os.statvfs(target).f_flag
    pairs = ((4, _MS_NODEV), (8, _MS_NOEXEC), (1024, _MS_NOATIME), (2048, _MS_NODIRATIME), (4096, _MS_RELATIME))
    kept = sum(flag for bit, flag in pairs if have & bit)
    return kept if path in DEVICES else kept | _MS_NODEV


def hold_pid_namespace() -> int:
    """Fork the first process of the new pid namespace, which does nothing: when it ends, everything inside ends."""
    pid = os.fork()
    if pid == 0:
        try:
            os.closerange(0, 1 << 16)
            die_with_parent()
            while True:
                LIBC.pause()
        finally:
            os._exit(0)
    return pid


class Walls:
    """What every kernel of this server is shut in with. Made once, after the namespaces were entered or given up."""

    def __init__(self, paths: list[str], memory_bytes: int, base: tuple[int, int], namespaces: bool) -> None:
        self._namespaces = namespaces
        self._base, self._base_data = base
        self._memory_bytes = memory_bytes
        self._abi = landlock_abi()
        self._server = os.getpid()
        existing = [path for path in [*paths, *DEVICES] if os.path.exists(path)]
        self._readable = [(os.open(path, os.O_PATH | os.O_CLOEXEC), os.path.isdir(path), path) for path in existing]
        self._filters = {b: seccomp.build_filter(MACHINE, _PLACEHOLDER, b) for b in (False, True)}
        self._branch_filter = seccomp.build_branch_filter(MACHINE)
        self._keep_effective_root = False
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

    def _find_user_change(self) -> bool:
        """Whether kernels can run as other users and still import; by effective id too, or by real id only.

        With the real id alone changed, root's files stay readable (a Python below a 0700 home), as far as Landlock
        lets it, and RLIMIT_NPROC counts. No capabilities are kept either way. Tried in a child.
        """
        for keep in (False, True):
            pid = os.fork()
            if pid == 0:
                code = 1
                with contextlib.suppress(OSError):
                    _change_user(FIRST_UID, keep)
                    os.listdir(os.path.dirname(os.__file__))
                    for entry in sys.path:
                        if os.path.isdir(entry):
                            os.listdir(entry)
                    code = 0
                os._exit(code)
            if os.waitpid(pid, 0)[1] == 0:
                self._keep_effective_root = keep
                return True
        return False

    def close_in(self, channel: int, scratch: str, uid: int | None, supervisor: socket.socket) -> None:
        """Take everything from the calling process, a fresh fork of the server; its channel becomes descriptor 3.

        The server gets, through `supervisor`, the descriptor by which it is asked about each fork, where there is one.
        """
        if self._namespaces:
            _unshare(_CLONE_NEWNS)
            options = f"size={SCRATCH_BYTES},nr_inodes=1k,mode=0700" + ("" if uid is None else f",uid={uid},gid={uid}")
            _mount("tmpfs", scratch, "tmpfs", _MS_NOSUID | _MS_NODEV, options)
        if self._user_namespaces:
            _unshare(_CLONE_NEWUSER)  # an account of its own for RLIMIT_NPROC
        ruleset = self._ruleset(scratch) if self._abi else None
        os.chdir(scratch)
        limit_resources(self._base, self._base_data, self._memory_bytes, self._threads)
        if uid is not None:
            _change_user(uid, self._keep_effective_root)
        _check(LIBC.syscall(_SYS_CAPSET[MACHINE], struct.pack("=Ii", 0x20080522, 0), bytes(24)), "capset")
        die_with_parent()  # after the ids: changing them clears it
        if not self._namespaces and os.getppid() != self._server:
            os._exit(1)
        _prctl(_PR_SET_DUMPABLE, 0)
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        if ruleset is not None:
            _check(LIBC.syscall(_LANDLOCK_RESTRICT, ruleset, 0), "landlock_restrict_self")
        listener = self._install(self._branch_filter, _SECCOMP_NEW_LISTENER)
        if listener >= 0:
            try:
                socket.send_fds(supervisor, [b"+"], [listener])
            except OSError:  # too many descriptors under way: this kernel will not branch
                listener = -1
        keep_only_channel(channel)
        own_id = struct.pack("=I", os.getpid())
        program = self._filters[listener >= 0].replace(struct.pack("=I", _PLACEHOLDER), own_id)
        _check(self._install(program, 0), "seccomp")

    def _ruleset(self, scratch: str) -> int:
        files = (1 << (13 if self._abi < 2 else 14 if self._abi < 3 else 15 if self._abi < 5 else 16)) - 1
        network = 3 if self._abi >= 4 else 0
        scoped = 3 if self._abi >= 6 else 0
        size = 8 if self._abi < 4 else 16 if self._abi < 6 else 24
        attributes = struct.pack("=QQQ", files, network, scoped)[:size]
        ruleset = _check(LIBC.syscall(_LANDLOCK_CREATE, attributes, size, 0), "landlock_create_ruleset")
        read_file, read_dir, execute = 1 << 2, 1 << 3, 1 << 0
        for descriptor, is_directory, path in self._readable:
            rights = read_file | ((read_dir | execute) if is_directory else 0)
            if path in DEVICES:
                rights |= 1 << 1  # write to /dev/null
            self._allow(ruleset, descriptor, rights & files)
        own = os.open(scratch, os.O_PATH)
        truncate = 1 << 14
        write_file, remove_dir, remove_file, make_dir, make_reg = 1 << 1, 1 << 4, 1 << 5, 1 << 7, 1 << 8
        rights = read_file | read_dir | write_file | remove_dir | remove_file | make_dir | make_reg | truncate
        self._allow(ruleset, own, rights & files)
        os.close(own)
        return ruleset

    def _allow(self, ruleset: int, descriptor: int, rights: int) -> None:
        rule = struct.pack("=Qi", rights, descriptor)
        _check(LIBC.syscall(_LANDLOCK_ADD, ruleset, 1, rule, 0), "landlock_add_rule")

    def _install(self, program: bytes, flags: int) -> int:
        buffer = ctypes.create_string_buffer(program, len(program))
        fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
        call = _SYS_SECCOMP[MACHINE]
        result = int(LIBC.syscall(call, 1, flags | _SECCOMP_SPEC_ALLOW, fprog))
        return result if result >= 0 else int(LIBC.syscall(call, 1, flags, fprog))  # older kernels lack SPEC_ALLOW


def _change_user(uid: int, keep_effective_root: bool) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    effective = 0 if keep_effective_root else uid
    os.setresuid(uid, effective, effective)


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
    for kind, value in limits:
        _lower(kind, value)


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (bound, bound))


def die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, 9)


def keep_only_channel(channel: int) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.dup2(channel, 3)
    if sys.platform != "linux" or LIBC.syscall(_SYS_CLOSE_RANGE, 4, 0x7FFFFFFF, 0) != 0:
        os.closerange(4, 1 << 16)
    _lower(resource.RLIMIT_NOFILE, MAX_DESCRIPTORS)  # not before: the server's many descriptors were inherited


def memory_base() -> tuple[int, int]:
    """Address space and private memory of this process in bytes; needs /proc, so before the namespaces."""
    with open("/proc/self/statm") as file:
        pages = [int(field) * resource.getpagesize() for field in file.read().split()]
    return pages[0], pages[5]


def landlock_abi() -> int:
    """The kernel's Landlock version, 0 where it has none or it is switched off."""
    return max(0, int(LIBC.syscall(_LANDLOCK_CREATE, None, 0, 1)))


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
                LIBC.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), madv_collapse)
