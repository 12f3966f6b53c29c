"""The host in an attack: a process in one setting, with bait put out, a pool, and a neighbour that must not notice.

Run as `python arena_host.py SETTING` by `arena.py`; reads one case a line (JSON: what to run) and answers one verdict a
line (JSON: a list of complaints, empty when all is well). Settings, each made for real before the product is imported:

    root             as it is
    user             an id that owns nothing, no capabilities
    root-contained   what Docker leaves of root: fewer capabilities, a seccomp filter that refuses namespaces and mounts
    user-contained   both
    …-recovering     with kernels that go back to a snapshot, which may fork a little more

What this file does not do: it holds no attacks (`attacks_walls.py`, `attacks_python.py`).
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import secrets
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mario.interpreter import InterpreterPool, Kernel

REFUSED = 77  # the exit code of a setting that cannot be made
NOBODY = 54321  # of no account
WALL = 1.0
OUTPUT = 4000
REFUSED_CALLS = {
    "x86_64": (272, 308, 165, 166, 155, 428, 429, 430, 432, 442),
    "aarch64": (97, 268, 40, 39, 41, 428, 429),
}
CLONE = {"x86_64": 56, "aarch64": 220}
DOCKER_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
libc = ctypes.CDLL(None, use_errno=True)


def refuse_namespaces() -> None:
    """As Docker's default profile does: no unshare, setns, mounts, nor clone with flags of namespaces."""
    machine = os.uname().machine
    code: list[tuple[int, int, int, int]] = [(0x20, 0, 0, 0)]
    for number in REFUSED_CALLS[machine]:
        code += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050001)]
    code += [(0x15, 0, 1, 435), (0x06, 0, 0, 0x00050026)]  # clone3: no such call
    code += [(0x15, 0, 3, CLONE[machine]), (0x20, 0, 0, 16), (0x45, 0, 1, 0x7E020000), (0x06, 0, 0, 0x00050001)]
    code.append((0x06, 0, 0, 0x7FFF0000))
    program = b"".join(struct.pack("=HBBI", *line) for line in code)
    buffer = ctypes.create_string_buffer(program, len(program))
    if os.getuid() != 0:
        assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, struct.pack("@HP", len(code), ctypes.addressof(buffer)), 0, 0) == 0
    assert libc.unshare(0x10000000) == -1


def keep_dockers_capabilities() -> None:
    for capability in set(range(41)) - set(DOCKER_CAPABILITIES):
        assert libc.prctl(24, capability, 0, 0, 0) == 0
    kept = sum(1 << capability for capability in DOCKER_CAPABILITIES)
    data = struct.pack("=6I", kept, kept, 0, 0, 0, 0)
    call = {"x86_64": 126, "aarch64": 91}[os.uname().machine]
    assert libc.syscall(call, struct.pack("=Ii", 0x20080522, 0), data) == 0


def open_to_all(paths: list[str]) -> None:
    """Let anybody pass to these folders, in a mount namespace of our own: a Python may lie below a 0700 home."""
    import mario

    paths = [*paths, str(Path(mario.__file__).parent)]
    homes = {str(p) for path in paths for p in Path(path).parents if not p.stat().st_mode & 1}
    if not homes:
        return
    if libc.unshare(0x20000) != 0 or libc.mount(b"none", b"/", None, 0x44000, None) != 0:  # private, with all below
        sys.exit(REFUSED)
    held = {path: os.open(path, os.O_PATH) for path in paths}
    for home in sorted(homes):
        if Path(home).stat().st_mode & 1:
            continue  # below one that was opened
        inside = [path for path in held if path.startswith(home + "/")]
        assert libc.mount(b"none", home.encode(), b"tmpfs", 0, b"mode=0755") == 0
        for path in inside:
            Path(path).mkdir(parents=True)
            assert libc.mount(f"/proc/self/fd/{held[path]}".encode(), path.encode(), None, 0x1000, None) == 0


def become(setting: str) -> None:
    user, _, how = setting.partition("-")
    contained = how == "contained"
    assert user == "user" or os.getuid() == 0
    if user == "user" and os.getuid() == 0:
        open_to_all([sys.base_prefix, sys.prefix, str(Path(__file__).parent)])
    if contained:
        refuse_namespaces()
    if contained and os.getuid() == 0:
        keep_dockers_capabilities()
    if user == "user" and os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        os.environ["HOME"] = "/nonexistent"
    assert user == "root" or os.getuid() != 0


class Bait:
    """What a snippet must not reach: all of it lies open to whoever gets past the walls."""

    def __init__(self, folder: Path) -> None:
        self.secret = secrets.token_hex(16)
        os.environ["SECRET_OF_THE_HOST"] = self.secret
        self.copies = [self.secret + str(n) for n in range(1000)]
        folder.chmod(0o755)
        self.file = folder / "file"
        self.file.write_text("secret")
        self.file.chmod(0o666)
        self.shared = Path("/dev/shm") / f"mario-bait-{os.getpid()}"
        self.shared.write_text("secret")
        self.shared.chmod(0o666)
        self.listeners = [socket.socket(), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
        self.listeners[0].bind(("127.0.0.1", 0))
        self.unix, self.abstract = folder / "u", f"mario-bait-{os.getpid()}"
        self.listeners[1].bind(str(self.unix))
        self.unix.chmod(0o777)
        self.listeners[2].bind("\0" + self.abstract)
        for listener in self.listeners:
            listener.listen()
            listener.setblocking(False)
        self.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        self.when = self.file.stat()

    def fill(self, code: str) -> str:
        from mario.interpreter.guest import seccomp

        column = 0 if os.uname().machine == "x86_64" else 1
        pairs = {
            "BAIT_FILE": str(self.file),
            "BAIT_PID": str(self.process.pid),
            "BAIT_PORT": str(self.listeners[0].getsockname()[1]),
            "BAIT_UNIX": str(self.unix),
            "BAIT_ABSTRACT": self.abstract,
            "BAIT_SHM": self.shared.name,
            "BAIT_HASH": hashlib.sha256(self.secret.encode()).hexdigest(),
            "BAIT_SOURCE": __file__,
            "BAIT_RECOVERS": str(sys.argv[1].endswith("-recovering")),  # such have a channel to their snapshot as well
            "BAIT_ROOT": str(os.getuid() == 0),
            "BAIT_ALLOWED": repr({numbers[column] for numbers in seccomp.CALLS.values()} - {None}),
        }
        for name, value in pairs.items():
            code = code.replace(name, value)
        return code

    def complaints(self) -> Iterator[str]:
        if self.file.read_text() != "secret" or self.shared.read_text() != "secret":
            yield "the bait file was written"
        now = self.file.stat()
        if (now.st_mode, now.st_uid, now.st_mtime_ns) != (self.when.st_mode, self.when.st_uid, self.when.st_mtime_ns):
            yield "the bait file was changed"
        if self.process.poll() is not None:
            yield "the bait process ended"
        for listener in self.listeners:
            with contextlib.suppress(BlockingIOError):
                listener.accept()
                yield "somebody connected to the bait"

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.shared.unlink()
        for listener in self.listeners:
            listener.close()


class Arena:
    def __init__(self, pool: InterpreterPool, bait: Bait) -> None:
        self.pool, self.bait = pool, bait
        self.neighbour: Kernel = pool.open()
        self.neighbour.run("n = 0")
        self.n = 0
        self.calm: InterpreterPool | None = None
        of_a_kernel = 2 if sys.argv[1].endswith("-recovering") else 1  # with its snapshot
        self.processes = 2 * of_a_kernel + (pool.tier == "full")  # the neighbour, a spare, the holder of a namespace
        self.memory = resident()

    def children(self) -> int:
        """Of our fork servers: kernels, spares, and the holder of a namespace."""
        pids = self.pool.server_pids()
        return sum(len(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()) for pid in pids)

    def attack(self, snippets: list[str]) -> Iterator[str]:
        from mario.types import ObservationStatus as Status

        with self.pool.open() as kernel:
            for snippet in snippets:
                started = time.monotonic()
                observation = kernel.run(self.bait.fill(snippet))
                if (seconds := time.monotonic() - started) > WALL + 2.5:
                    yield f"took {seconds:.1f} s"
                if "ESCAPED" in observation.output:
                    yield observation.output
                if len(observation.output) > OUTPUT + 200:
                    yield f"{len(observation.output)} characters of output"
                if observation.status is Status.LOST:
                    yield f"lost: {observation.output}"
            later = kernel.run("6 * 7")
            if later.status is Status.OK and not later.output.endswith("42"):
                yield f"later: {later}"
        yield from self.afterwards()

    def afterwards(self) -> Iterator[str]:
        """The neighbour kept its state, the next kernel works, nothing is left, the bait is untouched."""
        self.n += 1
        if (observation := self.neighbour.run("n += 1\nn")).output != str(self.n):
            yield f"the neighbour: {observation}"
        with self.pool.open() as fresh:
            if (observation := fresh.run("1 + 1")).output != "2":
                yield f"the next kernel: {observation}"
        if not eventually(lambda: self.children() <= self.processes):
            yield f"{self.children() - self.processes} processes are left"
        yield from self.bait.complaints()
        if resident() > self.memory + (64 << 20):
            yield f"the host grew by {resident() - self.memory >> 20} MiB"

    def scenario(self, name: str) -> Iterator[str]:
        import scenarios

        getattr(scenarios, name)(self.pool)
        yield from self.afterwards()

    def benign(self, snippets: list[str], expected: str) -> Iterator[str]:
        """In a pool as users make it, with its own packages and a little more time."""
        from mario.interpreter import InterpreterPool, Limits

        if self.calm is None:
            self.calm = InterpreterPool(1, Limits(wall_seconds=5))
        with self.calm.open() as kernel:
            observation = [kernel.run(snippet) for snippet in snippets][-1]
        if observation.output != expected:
            yield f"expected {expected!r}, got {observation}"


def eventually(claim: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def main() -> None:
    become(sys.argv[1])
    from mario.interpreter import InterpreterPool, Limits

    recover = sys.argv[1].endswith("-recovering")
    limits = Limits(wall_seconds=WALL, memory_mb=256, output_chars=OUTPUT)
    with tempfile.TemporaryDirectory() as folder, InterpreterPool(1, limits, preload=(), recover=recover) as pool:
        bait = Bait(Path(folder))
        arena = Arena(pool, bait)
        print(json.dumps(str(pool.tier)), flush=True)
        for line in sys.stdin:
            order: dict[str, Any] = json.loads(line)
            try:
                complaints = list(getattr(arena, order.pop("do"))(**order))
            except Exception:
                complaints = [f"raised in the host: {traceback.format_exc()}"]
            print(json.dumps(complaints), flush=True)
        if arena.calm is not None:
            arena.calm.close()
        bait.close()


if __name__ == "__main__":
    main()
