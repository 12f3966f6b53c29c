"""The list of system calls a kernel may make, as a seccomp filter for x86-64 and aarch64.

The one idea: an allow list. What Python, sympy, numpy and scipy need for computing is let through; everything else
fails with EPERM, whatever a future kernel may add: no socket, no exec, no fork, no signal to another process.

Some calls are judged by their arguments: `clone` makes threads only, `kill` reaches only the process itself, `fcntl`
cannot aim a signal, `open` cannot reach past Landlock, `socketpair` gives a connected stream (asyncio wants one) that
`sendto` cannot aim elsewhere nor send urgent bytes through, which unix sockets were broken by before.

What it does not do: a filter cannot read a path. Landlock and the mount namespace judge those (`lockdown`).
The aarch64 table is checked by an emulated filter only, not on hardware.
"""

from __future__ import annotations

import errno
import struct

X86_64, AARCH64 = "x86_64", "aarch64"
_AUDIT_ARCH = {X86_64: 0xC000003E, AARCH64: 0xC00000B7}
_X32_BIT = 0x40000000  # the x32 calls of x86-64 carry it; none is allowed

# name: (number on x86-64, number on aarch64, None where that has no such call)
# fmt: off
CALLS: dict[str, tuple[int, int | None]] = {
    # files: imports, and reading and writing in the scratch folder. Not on the list: what makes links, pipes and
    # devices, what changes owner, mode, times or attributes, locks of a whole file (flock: a way to talk, or to block)
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "stat": (4, None), "lstat": (6, None),
    "newfstatat": (262, 79), "statx": (332, 291), "lseek": (8, 62), "pread64": (17, 67), "pwrite64": (18, 68),
    "readv": (19, 65), "writev": (20, 66), "sendfile": (40, 71), "access": (21, None), "faccessat": (269, 48),
    "faccessat2": (439, 439), "fsync": (74, 82), "fdatasync": (75, 83), "ftruncate": (77, 46), "getdents64": (217, 61),
    "getcwd": (79, 17), "chdir": (80, 49), "fchdir": (81, 50), "rename": (82, None), "renameat": (264, 38),
    "renameat2": (316, 276), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None), "unlink": (87, None),
    "unlinkat": (263, 35), "readlink": (89, None), "readlinkat": (267, 78), "umask": (95, 166),
    "listxattr": (194, 11), "llistxattr": (195, 12), "flistxattr": (196, 13),
    "open": (2, None), "openat": (257, 56), "fcntl": (72, 25), "ioctl": (16, 29),
    # descriptors: the channel to the host, and what asyncio and queues are built on
    "pipe": (22, None), "pipe2": (293, 59), "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24), "poll": (7, None),
    "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72), "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21), "epoll_wait": (232, None), "epoll_pwait": (281, 22),
    "eventfd2": (290, 19), "socketpair": (53, 199), "sendto": (44, 206), "recvfrom": (45, 207), "recvmsg": (47, 212),
    "getsockname": (51, 204), "getpeername": (52, 205), "getsockopt": (55, 209), "shutdown": (48, 210),
    # memory: the allocator, mapped libraries
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "brk": (12, 214),
    "madvise": (28, 233), "msync": (26, 227),
    # signals of our own: the interrupt at the limit, and snippets' own timeouts
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137), "sigaltstack": (131, 132), "pause": (34, None),
    "restart_syscall": (219, 128), "kill": (62, 129), "tgkill": (234, 131),
    # time
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "getitimer": (36, 102), "setitimer": (38, 103),
    "alarm": (37, None), "gettimeofday": (96, 169), "time": (201, None), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "times": (100, 153),
    # threads
    "clone": (56, 220), "clone3": (435, 435), "futex": (202, 98), "set_tid_address": (218, 96),
    "set_robust_list": (273, 99), "rseq": (334, 293), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "prctl": (157, 167),
    # looking at oneself: what `os`, `tempfile` and the libraries' start ask for
    "getpid": (39, 172), "gettid": (186, 178), "getppid": (110, 173), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "getresuid": (118, 148), "getresgid": (120, 150),
    "getgroups": (115, 158), "getpgrp": (111, None), "getcpu": (309, 168), "getrusage": (98, 165),
    "getrlimit": (97, 163), "prlimit64": (302, 261), "sysinfo": (99, 179), "uname": (63, 160),
    "getrandom": (318, 278), "exit": (60, 93), "exit_group": (231, 94),
}
# fmt: on

ALLOW, KILL, ERRNO, ASK = 0x7FFF0000, 0x80000000, 0x00050000, 0x7FC00000
_LOAD, _JEQ, _JGE, _JSET, _AND, _RET = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NR, _ARCH, _ARGS = 0, 4, 16  # offsets in struct seccomp_data

_CLONE_THREAD = 0x00010000
CLONE_BRANCH = 0x00008000 | 17  # CLONE_PARENT | SIGCHLD: a child of the server, with no memory shared
_CLONE_FORBIDDEN = 0x7E020000 | 0x00000080 | 0x00002000  # new namespaces (incl. time), CLONE_PTRACE
_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 1030)  # DUPFD, GETFD, SETFD, GETFL, SETFL, GETLK, SETLK, SETLKW, DUPFD_CLOEXEC
_IOCTL = (0x5401, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS (isatty), FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
_PRCTL = (15, 16)  # PR_SET_NAME, PR_GET_NAME
_SOCKET_OPTIONS = (3, 4, 7, 8, 38, 39)  # TYPE, ERROR, SNDBUF, RCVBUF, PROTOCOL, DOMAIN; not who the peer is
_SOL_SOCKET, _AF_UNIX, _SOCK_TYPE_MASK, _SOCK_STREAM = 1, 1, 0xF, 1
_O_ACCMODE, _O_TRUNC, _O_PATH = 3, 0x200, 0x200000
_SEND_FLAGS = 0x40 | 0x4000  # DONTWAIT, NOSIGNAL
_RECEIVE_FLAGS = 0x2 | 0x20 | 0x40 | 0x100 | 0x40000000  # PEEK, TRUNC, DONTWAIT, WAITALL, CMSG_CLOEXEC; never OOB
_MAP_FORBIDDEN = 0x2000 | 0x40000  # LOCKED, HUGETLB: a pool that all processes of the machine share
# NORMAL to DONTNEED, FREE, DONTFORK, DOFORK, HUGEPAGE, NOHUGEPAGE, DONTDUMP, DODUMP, GUARD_INSTALL, GUARD_REMOVE
_MADVISE = (0, 1, 2, 3, 4, 8, 10, 11, 14, 15, 16, 17, 102, 103)  # not MERGEABLE: merging tells what others hold

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


def build_branch_filter(machine: str) -> bytes:
    """Ask the supervisor about the one clone that branches; stacked with `build_filter`, whose denials win."""
    number = CALLS["clone"][0 if machine == X86_64 else 1]
    assert number is not None
    program: list[Instruction] = [
        (_LOAD, 0, 0, _NR),
        (_JEQ, 0, 2, number),
        _low(0),
        (_JEQ, 1, 0, CLONE_BRANCH),
        (_RET, 0, 0, ALLOW),
        (_RET, 0, 0, ASK),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def build_filter(machine: str, pid: int, branching: bool = False) -> bytes:
    """The filter as an array of struct sock_filter, for a process whose id (in its own namespace) is `pid`.

    With `branching`, the clone that makes a sibling process is let through, for `build_branch_filter` to ask about.

    Raises:
        KeyError: there is no table for this machine.
    """
    arch = _AUDIT_ARCH[machine]
    column = 0 if machine == X86_64 else 1
    judged = _judged(pid, branching)
    program: list[Instruction] = [(_LOAD, 0, 0, _ARCH), (_JEQ, 1, 0, arch), (_RET, 0, 0, KILL), (_LOAD, 0, 0, _NR)]
    if machine == X86_64:
        program += [(_JGE, 0, 1, _X32_BIT), (_RET, 0, 0, ERRNO | errno.EPERM)]
    for name, numbers in CALLS.items():
        number = numbers[column]
        if number is None:
            continue
        body = judged.get(name, [(_RET, 0, 0, ALLOW)])
        program += [(_JEQ, 0, len(body), number), *body]
    program.append((_RET, 0, 0, ERRNO | errno.EPERM))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _judged(pid: int, branching: bool) -> dict[str, list[Instruction]]:
    """The bodies that end in a verdict of their own; each loads the low half of one argument and compares."""
    deny, no_such, unsupported = ((_RET, 0, 0, ERRNO | code) for code in (errno.EPERM, errno.ENOSYS, errno.ENOTSUP))
    allow = (_RET, 0, 0, ALLOW)

    def one_of(argument: int, values: tuple[int, ...], otherwise: Instruction = deny) -> list[Instruction]:
        tests = [(_JEQ, len(values) - i, 0, value) for i, value in enumerate(values)]
        return [_low(argument), *tests, otherwise, allow]

    def is_null(argument: int) -> list[Instruction]:
        return [_low(argument), (_JEQ, 0, 3, 0), _high(argument), (_JEQ, 0, 1, 0), allow, deny]

    def without(argument: int, bits: int) -> list[Instruction]:
        return [_low(argument), (_JSET, 0, 1, bits), deny, allow]

    def and_then(first: list[Instruction], second: list[Instruction]) -> list[Instruction]:
        """Both must allow: what would be the first's `allow`, its last, is the second's beginning."""
        assert first[-2:] == [deny, allow]
        return [*first[:-1], *second]

    def opens(flags: int) -> list[Instruction]:
        """Not O_PATH, which Landlock does not judge; not the access mode 3, nor truncation of what is opened to
        read, which it did not judge before its third version."""
        judge_mode = [_low(flags), (_AND, 0, 0, _O_ACCMODE), (_JEQ, 4, 0, 3), (_JEQ, 0, 2, 0)]
        return and_then(without(flags, _O_PATH), [*judge_mode, _low(flags), (_JSET, 1, 0, _O_TRUNC), allow, deny])

    clock = without(0, 1 << 31)  # negative: the processor time of some process or thread
    return {
        "open": opens(1),
        "openat": opens(2),
        **{call: [unsupported] for call in ("listxattr", "llistxattr", "flistxattr")},  # shutil.copy2 does without
        "mmap": without(3, _MAP_FORBIDDEN),
        "madvise": one_of(2, _MADVISE),
        "clone": [
            _low(0),
            *([(_JEQ, 2, 0, CLONE_BRANCH)] if branching else []),
            (_JSET, 0, 2, _CLONE_THREAD),
            (_JSET, 1, 0, _CLONE_FORBIDDEN),
            allow,
            deny,
        ],
        "clone3": [no_such],  # glibc then falls back to clone, whose flags can be judged
        "kill": one_of(0, (pid,)),
        "tgkill": one_of(0, (pid,)),
        "sched_getaffinity": one_of(0, (0, pid), no_such),  # ENOSYS: glibc then does without, for its other threads
        "clock_gettime": clock,
        "clock_getres": clock,
        "clock_nanosleep": clock,
        "ioctl": one_of(1, _IOCTL),
        "fcntl": one_of(1, _FCNTL),
        "prctl": [  # also PR_SET_PDEATHSIG to SIGKILL, which a branch needs anew
            _low(0),
            *[(_JEQ, 4 - i, 0, option) for i, option in enumerate(_PRCTL)],
            (_JEQ, 0, 3, 1),
            _low(1),
            (_JEQ, 0, 1, 9),
            allow,
            deny,
        ],
        "prlimit64": and_then(one_of(0, (0, pid)), is_null(2)),  # reading one's own limits
        "sendto": and_then(without(3, ~_SEND_FLAGS & 0xFFFFFFFF), is_null(4)),
        "recvfrom": without(3, ~_RECEIVE_FLAGS & 0xFFFFFFFF),
        "recvmsg": without(2, ~_RECEIVE_FLAGS & 0xFFFFFFFF),
        "getsockopt": and_then(one_of(1, (_SOL_SOCKET,)), one_of(2, _SOCKET_OPTIONS)),
        "socketpair": [
            _low(0),
            (_JEQ, 0, 4, _AF_UNIX),
            _low(1),
            (_AND, 0, 0, _SOCK_TYPE_MASK),
            (_JEQ, 0, 1, _SOCK_STREAM),
            allow,
            deny,
        ],
    }


def _low(argument: int) -> Instruction:
    return (_LOAD, 0, 0, _ARGS + 8 * argument)  # both machines are little endian


def _high(argument: int) -> Instruction:
    return (_LOAD, 0, 0, _ARGS + 8 * argument + 4)
