"""`recover=True`: a kernel that its snippet killed goes back to the variables it had before, and says so.

Locked, in every tier that stands here: crashes, `os._exit` and loops in C are recovered from, as often as they come,
from the first snippet on; random numbers go on from where they were; branches recover apart; a snapshot is stopped, one
a kernel, and ends with it; a snippet gets no process out of it; a lost server is still lost.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mario.interpreter import AsyncInterpreterPool, InterpreterPool, Kernel, Limits, Tier, probe
from mario.types import ObservationStatus as Status

STANDING = {finding.tier: finding for finding in probe()}
CLONE = """
import ctypes
libc = ctypes.PyDLL(None, use_errno=True)
def clone(): return libc.syscall(ctypes.c_long(56), ctypes.c_long(0x8000 | 17), 0, 1, 0, 0)
"""
C_LOOP = "from itertools import repeat\nall(repeat(1))"
AGAIN = "; variables are again what they were before this snippet"


@pytest.fixture(scope="module", params=[Tier.FULL, Tier.NO_NAMESPACES])
def pool(request: pytest.FixtureRequest) -> Iterator[InterpreterPool]:
    if not STANDING[request.param].works:
        pytest.skip(f"tier {request.param} does not stand here: {STANDING[request.param].reason}")
    limits = Limits(wall_seconds=1, memory_mb=256)
    with InterpreterPool(workers=1, limits=limits, preload=(), tier=request.param, recover=True) as pool:
        yield pool


@pytest.fixture
def kernel(pool: InterpreterPool) -> Iterator[Kernel]:
    with pool.open() as kernel:
        yield kernel


def states(pool: InterpreterPool) -> list[str]:
    """One letter for each child of the server: S sleeping, R running, T stopped."""
    server = pool.server_pids()[0]
    found = []
    for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split():
        try:
            found.append(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0])
        except FileNotFoundError:
            continue
    return found


def settles(pool: InterpreterPool, most: int, stopped: int) -> bool:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        now = states(pool)
        if len(now) <= most and now.count("T") <= stopped and not set(now) & set("RZ"):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("os._exit(3)", Status.DIED, "the interpreter died: it ended its own process with exit code 3"),
        ("import ctypes; ctypes.string_at(0)", Status.DIED, "the interpreter died: it crashed with SIGSEGV"),
        (C_LOOP, Status.TIMEOUT, "TimeoutError: killed after 1 s; it did not react to an interrupt"),
        ("os.close(3)", Status.DIED, ""),  # what is seen first, the closed channel or the exit, is chance
    ],
)
def test_what_kills_a_kernel_costs_only_its_own_snippet(kernel: Kernel, code: str, status: Status, said: str) -> None:
    kernel.run("import os; x = [1]")
    for _ in range(3):
        killed = kernel.run(f"x.append(2)\n{code}")
        assert killed.status is status
        assert killed.output.startswith(said)
        assert killed.output.endswith(AGAIN)
        assert kernel.alive
        assert kernel.run("x").output == "[1]"
    assert kernel.run("x.append(3); x").output == "[1, 3]"
    kernel.run(code)
    assert kernel.run("x").output == "[1, 3]"


@pytest.mark.full
def test_a_kernel_that_dies_just_after_its_snapshot_was_forked_goes_back_too(pool: InterpreterPool) -> None:
    """Its death may be seen before its snapshot: once in some thousand, the family was then taken for extinct."""
    for _ in range(500):
        with pool.open() as kernel:
            kernel.run("import os")
            said = [kernel.run("os.close(3)").output for _ in range(3)]
        assert all(text.endswith(AGAIN) for text in said), said


def test_a_first_snippet_is_recovered_from_with_its_seed(pool: InterpreterPool) -> None:
    draws = []
    for _ in range(2):
        with pool.open(seed=5) as kernel:
            assert kernel.run("import os; os._exit(1)").output.endswith(AGAIN)
            draws.append(kernel.run("import random; random.random()").output)
    assert draws[0] == draws[1]


def test_random_numbers_go_on_from_where_they_were(kernel: Kernel) -> None:
    kernel.run("import os, random; random.seed(3)")
    kernel.run("random.random(); os._exit(0)")
    drawn = kernel.run("random.random()").output
    kernel.run("random.seed(3)")
    assert kernel.run("random.random()").output == drawn


def test_a_kernel_that_breaks_the_protocol_is_dead(kernel: Kernel) -> None:
    """Its state between two snippets is not known."""
    kernel.run("import os; x = 1")
    assert kernel.run("os.write(3, b'x' * 100)").status is Status.DIED
    assert kernel.run("x").status is Status.DIED


def test_a_soft_stop_needs_no_recovery(kernel: Kernel) -> None:
    kernel.run("x = 0")
    assert kernel.run("x = 7\nwhile True: pass").output.endswith("variables are kept")
    assert kernel.run("x").output == "7"


def test_branches_recover_apart(kernel: Kernel) -> None:
    kernel.run("import os; x = 1")
    with kernel.branch() as branch, branch.branch() as twig:
        branch.run("x = 2")
        for one in (kernel, branch, twig):
            assert one.run("x += 10; os._exit(0)").output.endswith(AGAIN)
        assert [one.run("x").output for one in (kernel, branch, twig)] == ["1", "2", "1"]
        kernel.close()
        assert branch.run("os._exit(0)").status is Status.DIED
        assert branch.run("x").output == "2"


def test_a_snapshot_is_stopped_and_ends_with_its_kernel(pool: InterpreterPool) -> None:
    assert settles(pool, most=3, stopped=1)  # the holder of the namespace, a spare and its snapshot
    for _ in range(5):
        with pool.open() as kernel:
            for n in range(4):
                kernel.run(f"x = {n}")
            assert settles(pool, most=5, stopped=2)
            kernel.run("import os; os._exit(0)")
            kernel.run("x")
            assert settles(pool, most=5, stopped=2)
    assert settles(pool, most=3, stopped=1)


@pytest.mark.parametrize(
    "code",
    [
        "clone()",
        "[clone() for _ in range(20)]",
        "import os\nif clone() == 0:\n    while True: pass",
        "import os\nos.write(4, b'S' * 100)\nclone()",
    ],
)
def test_a_snippet_that_forks_by_itself_has_one_stopped_copy_at_most(pool: InterpreterPool, code: str) -> None:
    with pool.open() as kernel:
        kernel.run(CLONE)
        kernel.run(code)
        answer = kernel.run("6 * 7").output  # the copy answers too, if it may
        assert answer in ("42", "") or "broke the protocol" in answer
        assert settles(pool, most=5, stopped=2)
    assert settles(pool, most=3, stopped=1)
    with pool.open() as fresh:
        assert fresh.run("6 * 7").output == "42"


def test_a_clone_that_fails_holds_up_nobody(pool: InterpreterPool) -> None:
    """A kernel whose threads use up its account is answered yes, and then cannot fork."""
    full = (
        "import threading, time\nfor _ in range(40):\n    try: threading.Thread(target=time.sleep, args=(3,)).start()\n"
    )
    with pool.open() as kernel, pool.open() as neighbour:
        kernel.run(full + "    except RuntimeError: break\nfor _ in range(20): pass")
        started = time.monotonic()
        assert neighbour.run("1").output == "1"
        with pool.open() as third:
            assert third.run("1").output == "1"
        assert time.monotonic() - started < 1.5


def test_a_lost_server_is_lost() -> None:
    with InterpreterPool(workers=1, preload=(), recover=True) as pool, pool.open() as kernel:
        kernel.run("x = 1")
        os.kill(pool.server_pids()[0], signal.SIGKILL)
        time.sleep(0.3)
        assert kernel.run("x").status is Status.LOST


def test_awaited_kernels_recover() -> None:
    async def main() -> None:
        async with AsyncInterpreterPool(workers=1, preload=(), recover=True) as pool, await pool.open() as kernel:
            await kernel.run("import os; x = 1")
            died = await asyncio.gather(kernel.run("x = 2; os._exit(1)"), kernel.run("x"))
            assert [observation.status for observation in died] == [Status.DIED, Status.OK]
            assert died[1].output == "1"

    asyncio.run(main())
