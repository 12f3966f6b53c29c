"""Snippets that try to get out, to hurt their neighbours or to fool the host, in every tier that stands here.

A case prints ESCAPED when it reached what it must not reach. Locked for every case: nothing escaped, the observation
came in bounded time, a neighbour opened before goes on with its state, and the next kernel works. What the host put
out as bait (a file, a process, sockets, shared memory) is untouched at the end.
"""

# A case is a program, on one line where that reads better.
# ruff: noqa: E501

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mario.interpreter import InterpreterPool, Kernel, Limits, Tier, probe
from mario.types import Observation
from mario.types import ObservationStatus as Status

WALL = 2.0
PRELUDE = """
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def escaped(*what): print("ESC" + "APED", *what)
def attempt(f, *a):
    try: r = f(*a)
    except OSError: return
    escaped(f, r)
def call(number, *a):
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(x) if isinstance(x, int) else x for x in a])
    if r >= 0: escaped("syscall", number, r)
"""

# Bait is filled in with str.replace: BAIT_FILE, BAIT_PID, BAIT_PORT, BAIT_UNIX, BAIT_ABSTRACT.
CASES: dict[str, str] = {
    # files
    "read /etc/passwd": "attempt(open, '/etc/passwd')",
    "read a file of the host": "attempt(open, 'BAIT_FILE')",
    "write a file of the host": "attempt(open, 'BAIT_FILE', 'a')",
    "truncate a file of the host": "attempt(os.truncate, 'BAIT_FILE', 0)",
    "truncate through read-only open": "attempt(os.open, os.__file__, os.O_RDONLY | os.O_TRUNC)",
    "delete a file of the host": "attempt(os.unlink, 'BAIT_FILE')",
    "rename a file of the host": "attempt(os.rename, 'BAIT_FILE', 'mine')",
    "chmod a file of the host": "attempt(os.chmod, 'BAIT_FILE', 0o777)",
    "write into the standard library": "attempt(open, os.__file__, 'a')",
    "add to the standard library": "attempt(open, os.path.dirname(os.__file__) + '/evil.py', 'w')",
    "list the host's root": "names = []\ntry: names = os.listdir('/')\nexcept OSError: pass\nif 'home' in names: escaped(names)",
    "symlink out of the scratch": "attempt(os.symlink, 'BAIT_FILE', 'link')\nattempt(open, 'link')",
    "hard link out of the scratch": "attempt(os.link, 'BAIT_FILE', 'link')",
    "climb by ..": "attempt(open, '../' * 30 + 'etc/passwd')",
    "open a device": "attempt(open, '/dev/mem', 'rb'); attempt(open, '/dev/kmsg', 'rb'); attempt(open, '/dev/tty', 'rb')",
    "make a device": "attempt(os.mknod, 'd', 0o20666, os.makedev(1, 1))",
    "mount": "if libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0: escaped()",
    "chroot": "attempt(os.chroot, '.')",
    "name_to_handle_at": "call(303, -100, b'/', ctypes.create_string_buffer(136), ctypes.byref(ctypes.c_int()), 0)",
    "read the server's code": "attempt(open, 'BAIT_SOURCE')",
    # /proc
    "read /proc/self/environ": "attempt(open, '/proc/self/environ', 'rb')",
    "read the memory of the parent": "attempt(open, f'/proc/{os.getppid()}/mem', 'rb')",
    "read the bait's environment": "attempt(open, '/proc/BAIT_PID/environ', 'rb')",
    "adjust oom score": "attempt(open, '/proc/self/oom_score_adj', 'w')",
    "list processes": "attempt(os.listdir, '/proc')",
    # network
    "tcp": "attempt(socket.create_connection, ('127.0.0.1', BAIT_PORT), 1)",
    "udp": "attempt(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)",
    "ipv6": "attempt(socket.socket, socket.AF_INET6, socket.SOCK_STREAM)",
    "raw": "attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1)",
    "unix socket": "attempt(lambda: socket.socket(socket.AF_UNIX).connect('BAIT_UNIX'))",
    "abstract socket": "attempt(lambda: socket.socket(socket.AF_UNIX).connect('\\0BAIT_ABSTRACT'))",
    "datagram pair aimed elsewhere": "attempt(socket.socketpair, socket.AF_UNIX, socket.SOCK_DGRAM)",
    "stream pair aimed elsewhere": "a, b = socket.socketpair()\nattempt(a.sendto, b'x', 'BAIT_UNIX')",
    "netlink": "attempt(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, 0)",
    "vsock": "attempt(socket.socket, 40, socket.SOCK_STREAM)",
    "alg": "attempt(socket.socket, 38, 5)",
    "packet": "attempt(socket.socket, 17, 3)",
    "io_uring": "call(425, 8, ctypes.create_string_buffer(120))",
    "dns": "attempt(socket.getaddrinfo, 'localhost', 80)",
    # processes
    "fork": "attempt(os.fork)",
    "vfork by number": "call(58)",
    "clone by number": "call(56, 17, 0, 0, 0, 0)",
    "clone3": "call(435, ctypes.create_string_buffer(88), 88)",
    "exec": "attempt(os.execv, sys.executable, ['python', '-c', 'print(1)'])",
    "subprocess": "import subprocess\nattempt(subprocess.run, ['/bin/true'])",
    "system": "if os.system('true') == 0: escaped()",
    "posix_spawn": "attempt(os.posix_spawn, '/bin/true', ['true'], {})",
    "fork bomb": "for _ in range(1000): attempt(os.fork)",
    "thread bomb": "import threading, time\nthreading.stack_size(32768)\nn = 0\ntry:\n    for _ in range(3000):\n"
    "        threading.Thread(target=time.sleep, args=(9,), daemon=True).start(); n += 1\nexcept RuntimeError: pass\n"
    "if n > 1500: escaped(n)",
    "signal the parent": "attempt(os.kill, os.getppid(), 0); attempt(os.kill, os.getppid(), 9)",
    "signal the bait": "attempt(os.kill, BAIT_PID, 9)",
    "signal everybody": "attempt(os.kill, -1, 9); attempt(os.killpg, 0, 9)",
    "queue a signal": "call(129, BAIT_PID, 9, ctypes.create_string_buffer(128))",
    "pidfd": "attempt(os.pidfd_open, 1); call(434, BAIT_PID, 0)",
    "aim a signal by fcntl": "import fcntl\nr, w = os.pipe()\nattempt(fcntl.fcntl, r, fcntl.F_SETOWN, BAIT_PID)\n"
    "attempt(fcntl.fcntl, r, 10, 9)",
    "ptrace the bait": "call(101, 16, BAIT_PID, 0, 0)",
    "ptrace oneself": "call(101, 0, 0, 0, 0)",
    "read memory across processes": "call(310, BAIT_PID, 0, 0, 0, 0, 0)",
    "leave the session": "attempt(os.setsid); attempt(os.setpgid, 0, 0)",
    "outlive the kernel by clearing the death signal": "if libc.prctl(1, 0, 0, 0, 0) == 0: escaped()",
    # rights
    "become root": "attempt(os.setresuid, 0, 0, 0) if os.geteuid() else None",
    "raise limits": "import resource\ntry: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)); escaped()\n"
    "except (OSError, ValueError): pass",
    "new user namespace": "if libc.unshare(0x10000000) == 0: escaped()",
    "join a namespace": "call(308, 0, 0)",
    "capset": "call(126, ctypes.create_string_buffer(8), ctypes.create_string_buffer(24))",
    "new seccomp filter": "call(317, 1, 0, 0)",
    "bpf": "call(321, 0, ctypes.create_string_buffer(128), 128)",
    "userfaultfd": "call(323, 0)",
    "perf": "call(298, ctypes.create_string_buffer(128), 0, -1, -1, 0)",
    "keyring": "call(250, 0, -3, 1)",
    "kernel module": "call(313, 0, b'', 0)",
    "set the clock": "import time\nattempt(time.clock_settime, time.CLOCK_REALTIME, 0)",
    "set the host name": "attempt(socket.sethostname, 'evil')",
    "reboot": "call(169, 0xfee1dead, 672274793, 0x1234567, 0)",
    "x32 calls": "call(0x40000000 + 41, 2, 1, 0)",
    "change scheduling": "attempt(os.nice, -5); attempt(os.sched_setaffinity, 0, {0})",
    # memory and quotas
    "memfd": "attempt(os.memfd_create, 'x')",
    "sysv shared memory": "call(29, 0, 1 << 20, 0o1600)",
    "sysv messages and semaphores": "call(68, 0, 0o1600); call(64, 0, 1, 0o1600)",
    "posix shared memory": "attempt(open, '/dev/shm/x', 'w')\nfrom multiprocessing import shared_memory as s\n"
    "attempt(lambda: s.SharedMemory(create=True, size=10))",
    "inotify": "call(294, 0)",
    "lock memory": "call(151, 1)",
    "big files": "n = 0\ntry:\n    with open('big', 'wb') as f:\n        while n < 200: n += 1; f.write(bytes(1 << 20))\n"
    "except OSError: pass\nif n > 40: escaped(n)",
    "many descriptors": "n = 0\ntry:\n    while n < 1000: os.pipe(); n += 1\nexcept OSError: pass\nif n > 100: escaped(n)",
    "memory by mmap": "import mmap\nm = []\ntry:\n    while len(m) < 40: x = mmap.mmap(-1, 1 << 26); x.write(bytes(1 << 20)); m.append(x)\n"
    "except OSError: pass\nif len(m) > 20: escaped(len(m))",
    "timers": "call(222, 0, 0, ctypes.create_string_buffer(8))",
    # the conversation with the host
    "forged answer": "import struct\nos.write(3, struct.pack('>I8sBQ', 5, bytes(8), 0, 0) + b'12345')",
    "garbage": "os.write(3, os.urandom(100000))",
    "huge announcement": "import struct\nos.write(3, struct.pack('>I8sBQ', 0xffffffff, bytes(8), 0, 0)); import time; time.sleep(9)",
    "endless answer": "while True: os.write(3, bytes(65536))",
    "steal the channel": "while True: os.read(3, 1)",
    "replace the channel": "r, w = os.pipe(); os.dup2(w, 3)",
    "close every descriptor": "os.closerange(0, 100)",
    "descriptors of the server": "n = [f for f in range(4, 64) if not libc.fcntl(f, 1) < 0]\nif n: escaped(n)",
    "patched os.write": "os.write = os.read = lambda *a: 1/0\nimport posix\nposix.write = posix.read = lambda *a: 1/0",
    "patched struct": "import struct\nstruct.pack = struct.Struct = struct.unpack = None",
    "patched builtins": "import builtins\nfor n in ('len', 'str', 'repr', 'isinstance', 'print', 'exec', 'compile', 'type'):\n"
    "    setattr(builtins, n, lambda *a, **k: 1/0)",
    "patched ast and linecache": "import ast, linecache\nast.parse = None\nlinecache.cache = None",
    "patched sys": "sys.stdout = sys.stderr = None\nsys.modules.clear()",
    "trace function": "sys.settrace(lambda *a: 1/0); sys.setprofile(lambda *a: 1/0)",
    "the runner by frames": "f = sys._getframe()\nwhile f.f_back: f = f.f_back\nf.f_globals.clear()",
    "the runner by gc": "import gc\nfor o in gc.get_objects():\n    if type(o).__name__ in ('Kernel', 'Capture', 'Stream'): o.__dict__.clear()",
    "hook at exit of nothing": "import atexit; atexit.register(lambda: escaped()); raise SystemExit",
    "code object surgery": "exec(compile('1', '', 'exec').replace(co_code=bytes(range(256))))",
    "deep repr": "x = []\nfor _ in range(10**5): x = [x]\nx",
    "long error": "raise ValueError('x' * 10**7)",
    "huge integer": "x = 10 ** (10 ** 9)",
    "lone surrogates in an error": "raise ValueError('\\ud800')",
}  # fmt: skip


@dataclass
class Bait:
    file: Path
    process: subprocess.Popen[bytes]
    port: int
    unix: Path
    abstract: str

    def fill(self, code: str) -> str:
        pairs = {
            "BAIT_FILE": str(self.file),
            "BAIT_PID": str(self.process.pid),
            "BAIT_PORT": str(self.port),
            "BAIT_UNIX": str(self.unix),
            "BAIT_ABSTRACT": self.abstract,
            "BAIT_SOURCE": str(Path(__file__).resolve()),
        }
        for name, value in pairs.items():
            code = code.replace(name, value)
        return code


@pytest.fixture(scope="module")
def bait(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bait]:
    folder = tmp_path_factory.mktemp("bait")
    for part in [folder, *folder.parents]:  # readable by anybody, so that only the walls keep it
        if part.stat().st_uid == os.getuid() and str(part).startswith("/tmp/"):
            part.chmod(0o755)
    file = folder / "file"
    file.write_text("secret")
    file.chmod(0o666)
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix, socket.socket(socket.AF_UNIX) as abstract:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        unix.bind(str(folder / "u"))
        (folder / "u").chmod(0o777)
        unix.listen()
        name = f"mario-bait-{os.getpid()}"
        abstract.bind("\0" + name)
        abstract.listen()
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        yield Bait(file, process, tcp.getsockname()[1], folder / "u", name)
        assert file.read_text() == "secret"
        assert process.poll() is None
        for listener in (tcp, unix, abstract):
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()
        process.kill()
        process.wait()


STANDING = {finding.tier: finding for finding in probe()}


@pytest.fixture(scope="module", params=[Tier.FULL, Tier.NO_NAMESPACES])
def pool(request: pytest.FixtureRequest) -> Iterator[InterpreterPool]:
    if not STANDING[request.param].works:
        pytest.skip(f"tier {request.param} does not stand here: {STANDING[request.param].reason}")
    limits = Limits(wall_seconds=WALL, memory_mb=256, output_chars=4000)
    with InterpreterPool(workers=1, limits=limits, preload=(), tier=request.param) as pool:
        yield pool


@pytest.fixture(scope="module")
def neighbour(pool: InterpreterPool) -> Iterator[Kernel]:
    with pool.open() as kernel:
        assert kernel.run("n = 0").status is Status.OK
        yield kernel


@pytest.mark.parametrize("name", CASES)
def test_nothing_gets_out(name: str, pool: InterpreterPool, neighbour: Kernel, bait: Bait) -> None:
    n = int(neighbour.run("n").output)
    with pool.open() as kernel:
        started = time.monotonic()
        observation = kernel.run(PRELUDE + bait.fill(CASES[name]))
        later = kernel.run("6 * 7")
        assert time.monotonic() - started < 3 * WALL + 2
        assert isinstance(observation, Observation)
        assert "ESCAPED" not in observation.output
        assert len(observation.output) < 5000
        assert observation.status is not Status.LOST
        if later.status is Status.OK:
            assert later.output == "42"
    assert neighbour.run("n += 1\nn").output == str(n + 1)
    with pool.open() as fresh:
        assert fresh.run("1 + 1").output == "2"


SURVIVED = (
    "patched os.write",
    "patched struct",
    "patched builtins",
    "patched ast and linecache",
    "patched sys",
    "trace function",
)


@pytest.mark.parametrize("name", SURVIVED)
def test_a_kernel_survives_what_patches_its_modules(name: str, pool: InterpreterPool) -> None:
    with pool.open() as kernel:
        kernel.run(PRELUDE + CASES[name])
        assert kernel.run("6 * 7").output == "42"
        assert kernel.run("print('still here')\n1/0").output.splitlines()[0] == "still here"


def test_scratch_files_are_private_and_vanish(pool: InterpreterPool) -> None:
    with pool.open() as one, pool.open() as two:
        where = one.run("import os; open('mine', 'w').write('x'); os.path.abspath('mine')").output.strip("'")
        assert two.run(f"open({where!r}).read()").status is Status.ERROR
    time.sleep(0.2)
    assert not Path(where).exists()


def test_an_answer_forged_for_the_snippet_itself_does_not_outlive_it(pool: InterpreterPool) -> None:
    """A snippet that finds its nonce can answer for itself; its true answer then comes unasked and ends the kernel."""
    code = (
        "import gc, os, struct, sys\n"
        "frame = sys._getframe()\n"
        "while 'nonce' not in frame.f_locals: frame = frame.f_back\n"
        "os.write(3, struct.pack('>I8sBQ', 5, frame.f_locals['nonce'], 0, 0) + b'false')\n"
    )
    with pool.open() as kernel:
        first = kernel.run(code)
        assert (first.output, first.status) in [("false", Status.OK)] or first.status is Status.DIED
        assert kernel.run("1").status is Status.DIED
        assert kernel.run("1").status is Status.DIED
