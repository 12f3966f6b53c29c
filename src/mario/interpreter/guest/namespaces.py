"""A world of its own for the server and its kernels: the Python installation, devices, and nothing else.

The one idea: entered once, by the server, so that a kernel costs no more than a mount of its own scratch folder. No
network, no view of other processes, no /proc: nothing needs it.

What it does not do: where the machine refuses, it raises `OSError`; whether to go on without is decided by the host.
"""

# The guest stays small, it is forked often: no pathlib.
# ruff: noqa: PTH103, PTH110, PTH112, PTH118, PTH120, PTH123
from __future__ import annotations

import os
import sys

from . import syscalls as sc

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_ROOTS = ("/tmp", "/run", "/mnt", "/var")


def readable_paths() -> list[str]:
    """The directories a guest needs for its imports: libraries of the interpreter and of the system."""
    found = {"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime"}
    for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}:
        found |= {os.path.join(prefix, name) for name in ("lib", "lib64", "pyvenv.cfg")}
    found |= set(sys.path)
    paths = sorted(path for path in found if os.path.exists(path))
    return [p for p in paths if not any(p != other and p.startswith(other + "/") for other in paths)]


def enter(paths: list[str]) -> str:
    """Give the calling process, single-threaded still, a world of its own; returns the scratch directory's path there.

    The pid namespace is for its children: the caller must fork a first one that lives on (`hold_pid_namespace`).

    Raises:
        OSError: the kernel does not grant it; some of it may have been done, so the process should end.
    """
    flags = sc.CLONE_NEWNS | sc.CLONE_NEWPID | sc.CLONE_NEWNET | sc.CLONE_NEWIPC | sc.CLONE_NEWUTS | sc.CLONE_NEWCGROUP
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        sc.unshare(flags)  # without a user namespace: a root mapped into one is exempt from RLIMIT_NPROC
    else:
        sc.unshare(flags | sc.CLONE_NEWUSER)
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    sc.LIBC.sethostname(b"mario", 5)
    sc.mount("none", "/", "", sc.MS_REC | sc.MS_PRIVATE)
    scratch = "/tmp" if not any(path.startswith("/tmp/") for path in paths) else "/scratch"
    root = next(folder for folder in _ROOTS if os.path.isdir(folder))
    held = {path: os.open(path, os.O_PATH) for path in [*paths, *DEVICES] if os.path.exists(path)}
    sc.mount("tmpfs", root, "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "size=1m,nr_inodes=4k,mode=0755")
    for path, descriptor in held.items():  # by descriptor: what lies below the new mount is hidden by now
        target = root + path
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            os.makedirs(target, mode=0o755, exist_ok=True)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
        sc.mount(f"/proc/self/fd/{descriptor}", target, "", sc.MS_BIND)
        flags = sc.MS_REMOUNT | sc.MS_BIND | sc.MS_RDONLY | sc.MS_NOSUID | _kept_flags(target, path)
        sc.mount("none", target, "", flags)
        os.close(descriptor)
    os.makedirs(root + scratch, exist_ok=True)
    sc.mount("none", root, "", sc.MS_REMOUNT | sc.MS_BIND | sc.MS_RDONLY | sc.MS_NOSUID | sc.MS_NODEV)
    os.chdir(root)
    sc.check(sc.LIBC.syscall(sc.PIVOT_ROOT[sc.MACHINE], b".", b"."), "pivot_root")
    sc.check(sc.LIBC.umount2(b".", sc.MNT_DETACH), "umount of the old root")
    os.chdir("/")
    return scratch


def _kept_flags(target: str, path: str) -> int:
    """Flags of a mount that a user namespace may not drop when it remounts."""
    have = os.statvfs(target).f_flag
    pairs = (
        (4, sc.MS_NODEV),
        (8, sc.MS_NOEXEC),
        (1024, sc.MS_NOATIME),
        (2048, sc.MS_NODIRATIME),
        (4096, sc.MS_RELATIME),
    )
    kept = sum(flag for bit, flag in pairs if have & bit)
    return kept if path in DEVICES else kept | sc.MS_NODEV


def hold_pid_namespace() -> int:
    """Fork the first process of the new pid namespace, which does nothing: when it ends, everything inside ends.

    It waits at a pipe that only its parent holds open: a parent that is killed before its child could ask for a signal
    at its death would leave a process that nobody ends.
    """
    waits_at, held_open = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(held_open)
            os.dup2(waits_at, 0)
            os.closerange(1, 1 << 16)
            sc.die_with_parent()  # sooner than the pipe, which kernels just forked hold open too
            os.read(0, 1)
        finally:
            os._exit(0)
    os.close(waits_at)
    return pid
