"""Children that hang, crash, flood and outlive their parent; every one is a real process.

Locked: a timeout kills; a death names the signal and shows the last words; nothing is left behind (descriptors,
zombies, orphans); the environment is empty; threads may share a child.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mario.errors import MarioError
from mario.process import MAX_FRAME, Child, ChildDied, ChildTimedOut, python_worker

WORKER = """
import os, sys, time
sys.path[:] = {path!r}
from mario.process import serve

def handle(request):
    verb, _, rest = request.partition(b" ")
    if verb == b"echo": return rest
    if verb == b"env": return repr(dict(os.environ)).encode()
    if verb == b"fds": return repr(sorted(os.listdir("/proc/self/fd"))).encode()
    if verb == b"sleep": time.sleep(float(rest)); return b"slept"
    if verb == b"exit": os._exit(int(rest))
    if verb == b"raise": raise ValueError("last words of a worker")
    if verb == b"kill": os.kill(os.getpid(), int(rest))
    if verb == b"cloop": sum(range(10**14))
    if verb == b"huge": os.write(int(rest), b"\\xff\\xff\\xff\\xff"); time.sleep(1000)
    if verb == b"memory":
        try: return str(len(bytearray(int(rest)))).encode()
        except MemoryError: return b"MemoryError"
    if verb == b"fork":
        if not os.fork(): time.sleep(1000)
        time.sleep(1000)

serve(handle, memory_mb=300)
"""


def worker() -> Child:
    return Child([sys.executable, "-I", "-c", WORKER.format(path=[p for p in sys.path if p])])


def gone(pid: int, within: float = 5.0) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


def test_a_child_answers_and_keeps_answering() -> None:
    with worker() as child:
        assert child.ask(b"echo hello", 20) == b"hello"
        assert child.ask(b"echo ", 20) == b""
        big = os.urandom(5_000_000)
        assert child.ask(b"echo " + big, 20) == big
        assert child.alive
    assert not child.alive


def test_a_child_sees_no_environment_and_no_descriptor_of_ours() -> None:
    secret = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        with worker() as child:
            environment = eval(child.ask(b"env", 20))
            assert set(environment) <= {"LC_CTYPE"}  # Python itself sets LC_CTYPE in a C locale
            assert len(eval(child.ask(b"fds", 20))) == 6  # 0, 1, 2, channel, lifeline, and listdir's own
    finally:
        os.close(secret)


def test_a_timeout_kills_the_child_and_says_so() -> None:
    child = worker()
    child.ask(b"echo ready", 20)
    before = time.monotonic()
    with pytest.raises(ChildTimedOut, match=r"no answer in 0\.2 s"):
        child.ask(b"sleep 100", 0.2)
    assert time.monotonic() - before < 3
    assert gone(child.pid)
    with pytest.raises(ChildDied, match="start a new one"):
        child.ask(b"echo again", 1)
    child.close()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (b"exit 7", "exit code 7"),
        (b"exit 0", "exit code 0"),
        (b"kill 9", "SIGKILL"),
        (b"kill 11", "SIGSEGV"),
        (b"raise", "last words of a worker"),
    ],
)
def test_a_death_is_told_with_its_cause(request_: bytes, said: str) -> None:
    with worker() as child, pytest.raises(ChildDied, match=said) as caught:
        child.ask(request_, 20)
    assert isinstance(caught.value, MarioError)


def test_a_frame_too_long_is_refused_before_it_is_read() -> None:
    with worker() as child:
        channel = next(fd for fd in eval(child.ask(b"fds", 20)) if int(fd) > 2)
        with pytest.raises(ChildDied, match=r"4,294,967,295 bytes"):
            child.ask(b"huge " + channel.encode(), 20)
    with worker() as child, pytest.raises(ValueError, match="at most"):
        child.ask(bytes(MAX_FRAME + 1), 20)


def test_memory_is_bounded() -> None:
    with worker() as child:
        assert child.ask(b"memory 1000000", 20) == b"1000000"
        assert child.ask(b"memory 500000000", 20) == b"MemoryError"
        assert child.ask(b"echo alive", 20) == b"alive"


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(ChildDied, match="/no/such/python could not be started"):
        Child(["/no/such/python"])


def test_nothing_is_left_behind() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before = descriptors()
    pids = []
    for _ in range(5):
        child = worker()
        pids.append(child.pid)
        child.close()
        child.close()
    forgotten = worker()
    pids.append(forgotten.pid)
    del forgotten
    with pytest.raises(ChildDied):
        Child(["/no/such/python"])
    assert descriptors() == before
    for pid in pids:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def test_the_whole_group_is_killed() -> None:
    child = worker()
    child.ask(b"echo ready", 20)
    with pytest.raises(ChildTimedOut):
        child.ask(b"fork", 0.5)
    end = time.monotonic() + 5
    while left := [p for p in Path("/proc").glob("[0-9]*/stat") if _session(p) == child.pid]:
        assert time.monotonic() < end, left
        time.sleep(0.02)


def _session(stat: Path) -> int:
    try:
        fields = stat.read_text().rsplit(")", 1)[1].split()
    except OSError:
        return -1
    return -1 if fields[0] in "ZX" else int(fields[3])


def test_threads_may_share_a_child() -> None:
    with worker() as child:
        wrong: list[int] = []

        def work(number: int) -> None:
            for i in range(30):
                text = f"{number}-{i}".encode()
                if child.ask(b"echo " + text, 20) != text:
                    wrong.append(number)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


def test_a_kill_from_another_thread_ends_a_waiting_question() -> None:
    child = worker()
    child.ask(b"echo ready", 20)
    threading.Timer(0.2, os.kill, (child.pid, signal.SIGKILL)).start()
    with pytest.raises(ChildDied, match="SIGKILL"):
        child.ask(b"sleep 100", 20)


@pytest.mark.parametrize("busy", [b"sleep 1000", b"cloop"])
def test_a_child_ends_with_a_parent_that_is_killed(busy: bytes) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys\nfrom mario.process import Child\n"
            f"child = Child([sys.executable, '-I', '-c', {WORKER.format(path=[p for p in sys.path if p])!r}])\n"
            "child.ask(b'echo ready', 20)\nprint(child.pid, flush=True)\n"
            f"child.ask({busy!r}, 1000)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    time.sleep(0.3)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(pid)


def test_close_from_another_thread_ends_a_waiting_question() -> None:
    child = worker()
    child.ask(b"echo ready", 20)
    threading.Timer(0.2, child.close).start()
    with pytest.raises(ChildDied):
        child.ask(b"sleep 100", 20)


def test_python_worker_runs_a_module_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "upper_worker.py").write_text(
        "from mario.process import serve\nif __name__ == '__main__':\n    serve(bytes.upper)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with Child(python_worker("upper_worker")) as child:
        assert child.ask(b"abc", 20) == b"ABC"
