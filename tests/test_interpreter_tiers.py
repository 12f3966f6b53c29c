"""Which walls are found where: tiers are chosen by trying, and a machine that grants none is refused.

Refusals are real: a child process installs a seccomp filter that denies the calls, as a container's does, and then uses
the library. The filter of the kernels itself is run by a small emulator, for both machines' tables.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import shlex
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import mario
from mario.interpreter import InterpreterPool, Tier, probe
from mario.interpreter.guest import seccomp

UNSHARE, LANDLOCK_CREATE, SECCOMP = 272, 444, 317  # x86-64
REFUSE = """
import ctypes, struct, sys
def refuse(*numbers):
    libc = ctypes.CDLL(None, use_errno=True)
    program = struct.pack("=HBBI", 0x20, 0, 0, 0)
    for number in numbers:
        program += struct.pack("=HBBI", 0x15, 0, 1, number) + struct.pack("=HBBI", 0x06, 0, 0, 0x00050001)
    program += struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)
    buffer = ctypes.create_string_buffer(program, len(program))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    assert libc.prctl(22, 2, fprog, 0, 0) == 0
"""
on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the refusing filter has x86-64 numbers only")


def run_refused(numbers: tuple[int, ...], code: str) -> str:
    program = f"{REFUSE}\nrefuse(*{numbers!r})\nfrom mario.interpreter import *\nfrom mario.errors import *\n{code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() or done.stderr.strip()


def test_the_best_tier_stands_on_this_machine() -> None:
    findings = probe()
    assert [finding.tier for finding in findings] == [Tier.FULL, Tier.NO_NAMESPACES]
    assert all(finding.reason for finding in findings)
    if not any(finding.works for finding in findings):
        pytest.skip("no sandbox can be built here: " + "; ".join(finding.reason for finding in findings))


@on_x86
def test_without_namespaces_the_next_tier_is_chosen() -> None:
    code = (
        "print([(f.works, f.reason) for f in probe()][0])\n"
        "with InterpreterPool(workers=1, preload=()) as pool, pool.open() as kernel:\n"
        "    print(pool.tier, kernel.run('open(\"/etc/passwd\")').output.splitlines()[-1], kernel.run('6*7').output)"
    )
    first, second = run_refused((UNSHARE,), code).splitlines()
    assert first == "(False, 'unshare: Operation not permitted')"
    assert second == "no-namespaces PermissionError: [Errno 13] Permission denied: '/etc/passwd' 42"


@on_x86
def test_namespaces_without_landlock_are_a_full_tier() -> None:
    code = (
        "with InterpreterPool(workers=1, preload=()) as pool, pool.open() as kernel:\n"
        "    print(pool.tier, kernel.run('open(\"/etc/passwd\")').output.splitlines()[-1])"
    )
    assert run_refused((LANDLOCK_CREATE,), code).startswith("full FileNotFoundError")


@on_x86
@pytest.mark.parametrize("numbers", [(UNSHARE, LANDLOCK_CREATE), (SECCOMP,)])
def test_a_machine_without_walls_is_refused_unless_unsafe(numbers: tuple[int, ...]) -> None:
    code = (
        "try: InterpreterPool(workers=1, preload=())\n"
        "except InterpreterError as error: print(error)\n"
        "with InterpreterPool(workers=1, preload=(), unsafe=True) as pool, pool.open() as kernel:\n"
        "    print(pool.tier, kernel.run('6*7').output)"
    )
    lines = run_refused(numbers, code).splitlines()
    assert lines[0].startswith("interpreter: no sandbox can be built here (full: ")
    assert "unsafe=True" in lines[0]
    assert lines[-1] == "none 42"


USE = """
import sys
from mario.errors import *
from mario.interpreter import *
try:
    with InterpreterPool(workers=1, preload=()) as pool, pool.open() as kernel:
        said = kernel.run("open('x', 'w').write('yes'); import tempfile; tempfile.mkdtemp(); open('x').read()").output
except InterpreterError as error:
    said = str(error)
with open(sys.argv[1], "w") as file:
    file.write(said)
"""


@pytest.mark.parametrize(
    "shell",
    [
        '"$0" -c "$1" "$2"',
        'mkdir gone && cd gone && rmdir ../gone && "$0" -c "$1" "$2"',
        '"$0" -c "$1" "$2" <&-',
        '"$0" -c "$1" "$2" <&- >&- 2>&-',
        'ulimit -n 64 && "$0" -c "$1" "$2"',
        'ulimit -Sn 16 && "$0" -c "$1" "$2"',
        'umask 077 && "$0" -c "$1" "$2"',
        'ulimit -s unlimited; "$0" -c "$1" "$2"',
        'mkdir my\\ tmp && TMPDIR="$PWD/my tmp" "$0" -c "$1" "$2"',
        'TMPDIR=/nonexistent "$0" -c "$1" "$2"',
        'env -i "$0" -c "$1" "$2"',
    ],
)
def test_odd_hosts_have_a_sandbox_too(shell: str, tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    subprocess.run(["bash", "-c", shell, sys.executable, USE, str(answer)], cwd=tmp_path, timeout=60, check=True)
    assert answer.read_text() == "'yes'"


@pytest.mark.parametrize("options", ["noexec,nosuid,nodev", "ro"])
@pytest.mark.parametrize("tier", ["full", "no-namespaces"])
def test_where_the_temporary_folder_is_not_as_usual(options: str, tier: str, tmp_path: Path) -> None:
    """In mount namespaces made for it, where everything else stays reachable below /mnt, the answer's folder too."""
    use = USE.replace("workers=1", f"workers=1, tier=Tier({tier!r})")
    needed = {sys.prefix, sys.base_prefix, str(Path(mario.__file__).parents[1])}  # this checkout may lie in /tmp itself
    hidden = shlex.join(path for path in sorted(needed) if path.startswith(("/tmp/", "/var/tmp/")))
    shell = f"""
        mount --rbind / /mnt && for d in /tmp /var/tmp; do mount -t tmpfs none $d || exit; done
        for path in {hidden}; do mkdir -p $path && mount --bind /mnt$path $path || exit; done
        for d in /tmp /var/tmp; do mount -o remount,{options} $d || exit; done
        cd /proc && "$0" -c "$1" /mnt{tmp_path}/answer"""
    answer, command = tmp_path / "answer", ["unshare", "-m", "bash", "-c", shell, sys.executable, use]
    if os.getuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
        pytest.skip("needs root and mount namespaces")
    subprocess.run(command, timeout=60, check=True)
    if (tier, options) == ("no-namespaces", "ro"):  # nowhere to put what snippets write
        assert "Type: export TMPDIR=" in answer.read_text()
    else:
        assert answer.read_text() == "'yes'"


def test_too_few_files_are_named_with_the_command_that_helps(tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    shell = 'ulimit -n 12 && "$0" -c "$1" "$2"'
    subprocess.run(["bash", "-c", shell, sys.executable, USE, str(answer)], timeout=60, check=True)
    assert "Type: ulimit -n 4096" in answer.read_text()


def judge(program: bytes, machine: str, number: int, *arguments: int) -> int:
    """Run a filter as the kernel would, over struct seccomp_data."""
    arch = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    padded = [a % 2**64 for a in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("=IIQ6Q", number, arch, 0, *padded)
    instructions = list(struct.iter_unpack("=HBBI", program))
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, constant = instructions[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, constant)
            case 0x54:
                accumulator &= constant
            case 0x06:
                return int(constant)
            case 0x15:
                at += if_true if accumulator == constant else if_false
            case 0x35:
                at += if_true if accumulator >= constant else if_false
            case 0x45:
                at += if_true if accumulator & constant else if_false
            case _:
                raise AssertionError(f"instruction {code:#x}")


NUMBERS = {  # of calls that must fail; from the kernel's tables
    "x86_64": {
        "socket": 41,
        "connect": 42,
        "fork": 57,
        "vfork": 58,
        "execve": 59,
        "ptrace": 101,
        "mount": 165,
        "unshare": 272,
        "memfd_create": 319,
        "bpf": 321,
        "execveat": 322,
        "io_uring_setup": 425,
        "pidfd_open": 434,
        "setns": 308,
        "process_vm_readv": 310,
        "shmget": 29,
        "symlink": 88,
        "link": 86,
        "truncate": 76,
        "sendmsg": 46,
        "setsid": 112,
    },
    "aarch64": {
        "socket": 198,
        "connect": 203,
        "execve": 221,
        "ptrace": 117,
        "mount": 40,
        "unshare": 97,
        "memfd_create": 279,
        "bpf": 280,
        "execveat": 281,
        "io_uring_setup": 425,
        "pidfd_open": 434,
        "setns": 268,
        "process_vm_readv": 270,
        "shmget": 194,
        "symlinkat": 36,
        "linkat": 37,
        "truncate": 45,
        "sendmsg": 211,
        "setsid": 157,
    },
}
JUDGED = {
    *("open", "openat", "mmap", "madvise", "clone", "clone3", "kill", "tgkill", "sched_getaffinity"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "ioctl", "fcntl", "prctl", "prlimit64", "sendto"),
    *("recvfrom", "recvmsg", "getsockopt", "socketpair", "listxattr", "llistxattr", "flistxattr"),
}
DENIED, ALLOWED, NO_SUCH = seccomp.ERRNO | errno.EPERM, seccomp.ALLOW, seccomp.ERRNO | errno.ENOSYS


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_judges_as_written(machine: str) -> None:
    pid, column = 4242, 0 if machine == "x86_64" else 1
    program = seccomp.build_filter(machine, pid)
    assert len(program) // 8 < 4096
    of = {name: numbers[column] for name, numbers in seccomp.CALLS.items()}

    def verdict(name: str, *arguments: int) -> int:
        number = of[name]
        assert number is not None
        return judge(program, machine, number, *arguments)

    for name, number in of.items():
        if number is not None and name not in JUDGED:
            assert judge(program, machine, number) == ALLOWED, name
    for name, number in NUMBERS[machine].items():
        assert judge(program, machine, number) == DENIED, name
    named = {number for number in of.values() if number is not None}
    for number in set(range(600)) - named:
        assert judge(program, machine, number) == DENIED, number
    thread, thread_stack = 0x3D0F00, 0x10000
    assert verdict("clone", thread) == ALLOWED
    for flags in (17, 0, 0x4100, thread | 0x10000000, thread | 0x80, thread_stack | 0x20000):
        assert verdict("clone", flags) == DENIED, hex(flags)
    assert verdict("clone3") == NO_SUCH
    assert [verdict("kill", who) for who in (pid, 1, 0, -1, -pid)] == [ALLOWED] + [DENIED] * 4
    assert [verdict("tgkill", who) for who in (pid, 1)] == [ALLOWED, DENIED]
    assert [verdict("fcntl", 5, command) for command in (1, 3, 4, 1030, 8, 10, 15, 1031, 1033)] == [ALLOWED] * 4 + [
        DENIED
    ] * 5
    assert [verdict("prctl", option) for option in (15, 1, 22, 24, 38)] == [ALLOWED] + [DENIED] * 4
    assert [verdict("prctl", 1, signal) for signal in (9, 0, 15)] == [ALLOWED, DENIED, DENIED]
    assert [verdict("prlimit64", who, 9, 0) for who in (0, pid, 1, -1)] == [ALLOWED] * 2 + [DENIED] * 2
    assert [verdict("prlimit64", 0, 9, new) for new in (0, 1, 1 << 32)] == [ALLOWED, DENIED, DENIED]
    assert [verdict("sendto", 3, 0, 1, 0, address) for address in (0, 8, 1 << 32)] == [ALLOWED, DENIED, DENIED]
    assert [verdict("sendto", 3, 0, 1, flags) for flags in (0x4040, 1, 0x20000000)] == [ALLOWED, DENIED, DENIED]
    assert [verdict("recvfrom", 3, 0, 1, flags) for flags in (0x40000142, 1, 0x2000)] == [ALLOWED, DENIED, DENIED]
    assert [verdict("recvmsg", 3, 0, flags) for flags in (0x40000142, 1, 0x2000)] == [ALLOWED, DENIED, DENIED]
    assert [verdict("getsockopt", 3, *what) for what in ((1, 3), (1, 77), (1, 17), (0, 3))] == [ALLOWED] + [DENIED] * 3
    opened = [verdict("openat", 0, 0, flags) for flags in (0, 0o1101, 0o1002, 0o2000101, 0o1000, 3, 0o1003, 0o10000000)]
    assert opened == [ALLOWED] * 4 + [DENIED] * 4
    if machine == "x86_64":
        assert [verdict("open", 0, flags) for flags in (0, 0o1101, 0o1000, 3)] == [ALLOWED] * 2 + [DENIED] * 2
    assert [verdict("mmap", 0, 0, 0, flags) for flags in (0x22, 0x40022, 0x2022)] == [ALLOWED, DENIED, DENIED]
    assert [verdict("madvise", 0, 0, advice) for advice in (4, 14, 12, 100, 21)] == [ALLOWED] * 2 + [DENIED] * 3
    assert [verdict("sched_getaffinity", who) for who in (0, pid, 1)] == [ALLOWED, ALLOWED, NO_SUCH]
    assert [verdict("clock_gettime", clock) for clock in (0, 3, -6, 0xFFFFFFFA)] == [ALLOWED] * 2 + [DENIED] * 2
    assert verdict("listxattr") == seccomp.ERRNO | errno.ENOTSUP
    assert [verdict("socketpair", *pair) for pair in ((1, 1), (1, 0o2000001), (1, 2), (2, 1))] == [ALLOWED] * 2 + [
        DENIED
    ] * 2
    other = "aarch64" if machine == "x86_64" else "x86_64"
    assert judge(program, other, 0) == seccomp.KILL
    if machine == "x86_64":
        assert judge(program, machine, 0x40000000) == DENIED


@on_x86
@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ((), r"ok +sandbox +full: kernels run in namespaces of their own"),
        ((UNSHARE,), r"ok +sandbox +no-namespaces: .*; full does not stand here: unshare: Operation not permitted"),
        ((SECCOMP,), r"broken +sandbox +.*full: .*; no-namespaces: .*docker run .*unsafe"),
    ],
)
def test_the_doctor_says_the_tier_and_why(numbers: tuple[int, ...], says: str) -> None:
    if not numbers and not probe()[0].works:
        pytest.skip("the full tier does not stand here")
    code = "from mario.cli.doctor import run\nimport sys\nsys.stdout.flush()\nrun([])"
    assert re.search(says, run_refused(numbers, code))


@pytest.mark.skipif(os.geteuid() != 0, reason="kernels only change user where the host is root")
@pytest.mark.parametrize("tier", ["full", "no-namespaces"])
def test_pools_do_not_meet_in_a_user(tier: str) -> None:
    """Kernels of one user share its bound on threads, so each server has 4,096 ids of its own."""
    standing = {finding.tier: finding for finding in probe()}
    if not standing[Tier(tier)].works:
        pytest.skip(f"tier {tier} does not stand here: {standing[Tier(tier)].reason}")
    with (
        InterpreterPool(workers=2, preload=(), tier=Tier(tier)) as one,
        InterpreterPool(preload=(), tier=Tier(tier)) as two,
    ):
        kernels = [pool.open() for pool in (one, two) for _ in range(6)]
        uids = [int(kernel.run("import os; os.getuid()").output) for kernel in kernels]
        for kernel in kernels:
            kernel.close()
    assert len(set(uids)) == len(kernels)
    assert len({uid // 4096 for uid in uids}) == 4  # servers
