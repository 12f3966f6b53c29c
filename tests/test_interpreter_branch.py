"""Branches: live copies of a kernel, forked once for each order and never for a snippet.

Locked, in every tier that stands here: both go on independently; random numbers go on the same unless reseeded; the
original may be closed first; a snippet cannot fork itself, before or after a branch; families are bounded, in number
and in memory; a dead kernel's branch is dead; nothing is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mario.errors import InterpreterError
from mario.interpreter import AsyncInterpreterPool, InterpreterPool, Limits, Tier, probe
from mario.types import ObservationStatus as Status

STANDING = {finding.tier: finding for finding in probe()}
FORK = """
import ctypes
libc = ctypes.PyDLL(None, use_errno=True)
result = libc.syscall(ctypes.c_long(56), ctypes.c_long(0x8000 | 17), 0, 0, 0, 0)
if result >= 0: print("ESC" + "APED", result)
"""


@pytest.fixture(scope="module", params=[Tier.FULL, Tier.NO_NAMESPACES])
def pool(request: pytest.FixtureRequest) -> Iterator[InterpreterPool]:
    if not STANDING[request.param].works:
        pytest.skip(f"tier {request.param} does not stand here: {STANDING[request.param].reason}")
    limits = Limits(wall_seconds=60, memory_mb=256)  # no test here waits for it, and the machine may be busy
    with InterpreterPool(workers=1, limits=limits, preload=(), tier=request.param) as pool:
        yield pool


def children(pool: InterpreterPool) -> int:
    server = pool.server_pids()[0]
    return len(Path(f"/proc/{server}/task/{server}/children").read_text().split())


def settled(pool: InterpreterPool, most: int) -> bool:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if children(pool) <= most:
            return True
        time.sleep(0.02)
    return False


def test_both_go_on_independently(pool: InterpreterPool) -> None:
    with pool.open() as kernel:
        kernel.run("x = [1]; import math")
        with kernel.branch() as branch, branch.branch() as twig:
            assert branch.run("x.append(2); x, math.tau > 6").output == "([1, 2], True)"
            assert kernel.run("x").output == "[1]"
            assert twig.run("x.append(3); x").output == "[1, 3]"
            assert branch.run("import os; os._exit(0)").status is Status.DIED
            assert branch.run("1").status is Status.DIED
            assert kernel.run("x").output == "[1]"
            kernel.close()
            assert twig.run("x").output == "[1, 3]"


@pytest.mark.parametrize("tier", [Tier.FULL, Tier.NO_NAMESPACES])
def test_a_time_limit_in_a_branch_leaves_the_kernel(tier: Tier) -> None:
    if not STANDING[tier].works:
        pytest.skip(f"tier {tier} does not stand here: {STANDING[tier].reason}")
    with (
        InterpreterPool(workers=1, limits=Limits(wall_seconds=1), preload=(), tier=tier) as pool,
        pool.open() as kernel,
    ):
        kernel.run("x = [1]")
        with kernel.branch() as branch:
            assert branch.run("while True: x[0] += 1").status is Status.TIMEOUT
            assert kernel.run("x").output == "[1]"


def test_a_fresh_kernel_branches(pool: InterpreterPool) -> None:
    with pool.open() as kernel, kernel.branch() as branch:
        assert branch.run("6 * 7").output == kernel.run("6 * 7").output == "42"


def test_random_numbers_go_on_the_same_unless_reseeded(pool: InterpreterPool) -> None:
    with pool.open() as kernel:
        kernel.run("import random; random.random()")
        with kernel.branch() as same, kernel.branch(seed=1) as one, kernel.branch(seed=2) as two:
            draws = [k.run("random.random()").output for k in (kernel, same, one, two)]
            assert draws[0] == draws[1]
            assert len(set(draws)) == 3


def test_a_branch_has_the_walls_of_its_kernel(pool: InterpreterPool) -> None:
    with pool.open() as kernel:
        kernel.run("x = 1")
        with kernel.branch() as branch:
            for attack in ("open('/etc/passwd')", "import socket; socket.socket()", "import os; os.fork()"):
                assert branch.run(attack).status is Status.ERROR
            assert branch.run("'x' * 10**9").status is Status.MEMORY


def test_a_snippet_cannot_fork_before_or_after_a_branch(pool: InterpreterPool) -> None:
    with pool.open() as kernel:
        observation = kernel.run(FORK)
        assert (observation.output, observation.status) == ("", Status.OK)
    with pool.open() as kernel:
        kernel.run("x = 1")
        with kernel.branch() as branch:
            for one in (kernel, branch):
                observation = one.run(FORK)
                assert (observation.output, observation.status) == ("", Status.OK)
                assert one.run("x").output == "1"
    assert settled(pool, 3)


def test_forking_in_the_midst_of_a_branch_gives_one_process_at_most(pool: InterpreterPool) -> None:
    hook = FORK.replace("result =", "import os\ndef fork(): libc.syscall(56, 0x8000 | 17, 0, 0, 0, 0)\nresult =", 1)
    with pool.open() as kernel:
        kernel.run(hook.split("result =")[0] + "os.register_at_fork(before=fork)")
        branch = kernel.branch()
        assert kernel.run("1").status in (Status.DIED, Status.OK)
        branch.close()
    assert settled(pool, 3)


def test_families_are_bounded(pool: InterpreterPool) -> None:
    with pool.open() as kernel:
        branches = [kernel.branch() for _ in range(31)]
        with pytest.raises(InterpreterError, match="32 kernels of one family"):
            kernel.branch()
        alive = children(pool)
        branches.pop().close()
        assert settled(pool, alive - 1)
        kernel.branch().close()
        for branch in branches:
            assert branch.run("1 + 1").output == "2"
            branch.close()
    assert settled(pool, 3)


def family_mib(pool: InterpreterPool) -> int:
    """Address space of the server's children beyond its own."""
    server = pool.server_pids()[0]
    pages = [int(Path(f"/proc/{server}/statm").read_text().split()[0])]
    for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split():
        try:
            pages.append(int(Path(f"/proc/{pid}/statm").read_text().split()[0]))
        except FileNotFoundError:
            continue
    return sum(max(0, size - pages[0]) for size in pages[1:]) * os.sysconf("SC_PAGE_SIZE") >> 20


HOARDS = {
    "in private memory": "x = bytearray(200 << 20)",
    "in shared memory, hidden": "import mmap\nx = mmap.mmap(-1, 200 << 20)\n"
    "for i in range(0, 200 << 20, 4096): x[i] = 1\nx.madvise(4)",
}


@pytest.mark.parametrize("hoard", HOARDS.values(), ids=HOARDS)
def test_a_family_that_allocates_in_every_branch_is_bounded(pool: InterpreterPool, hoard: str) -> None:
    """Four times `memory_mb` for all: 1,024 MB here, and what comes between two looks."""
    with contextlib.ExitStack() as stack:
        kernel = stack.enter_context(pool.open())
        kernel.run("kept = 1")
        branches = [stack.enter_context(kernel.branch()) for _ in range(12)]
        most = 0
        for branch in branches:
            branch.run(f"{hoard}\nimport time; time.sleep(0.2)")
            most = max(most, family_mib(pool))
        assert most < 4 * 256
        statuses = [branch.run("len(x)").status for branch in branches]  # one is ended, whichever, for each too many
        assert 3 <= statuses.count(Status.OK) <= 5
        assert statuses.count(Status.MEMORY) + statuses.count(Status.DIED) == 12 - statuses.count(Status.OK)
        assert Status.MEMORY in statuses
        assert kernel.run("kept").output == "1"
        for branch in branches:
            branch.close()
        assert settled(pool, 4)
        with kernel.branch() as branch:
            assert branch.run("kept").output == "1"


def test_a_large_kernel_has_few_branches(pool: InterpreterPool) -> None:
    with pool.open() as kernel:
        kernel.run("x = bytearray(200 << 20)")
        branches = [kernel.branch() for _ in range(3)]
        with pytest.raises(InterpreterError, match=r"its family maps .* MB of 1024 MB; close some"):
            for _ in range(3):
                branches.append(kernel.branch())
        for branch in branches:
            assert branch.run("len(x)").output == str(200 << 20)
            branch.close()


def test_a_dead_kernel_has_a_dead_branch(pool: InterpreterPool) -> None:
    with pool.open() as kernel:
        kernel.run("import os; os._exit(1)")
        with kernel.branch() as branch:
            assert branch.run("1").status is Status.DIED


@pytest.mark.parametrize("deed", ["os._exit(0)", pytest.param("time.sleep(60)", marks=pytest.mark.full)])
def test_a_kernel_that_does_not_follow_the_order_dies(pool: InterpreterPool, deed: str) -> None:
    with pool.open() as kernel:
        kernel.run(f"import os, time\nos.register_at_fork(before=lambda: {deed})")
        with kernel.branch() as branch:
            assert branch.run("1").status is Status.DIED
        assert kernel.run("1").status is Status.DIED
    assert settled(pool, 3)


def test_a_lost_server_loses_the_branches_too() -> None:
    with InterpreterPool(workers=1, preload=()) as pool:
        kernel = pool.open()
        kernel.run("1")
        branch = kernel.branch()
        os.kill(pool.server_pids()[0], signal.SIGKILL)
        time.sleep(0.3)  # a kernel outlives its server by the moment that its own kill takes
        assert branch.run("1").status is Status.LOST
        assert kernel.branch().run("1").status is Status.LOST
        assert kernel.run("1").status is Status.LOST


def test_async_branches() -> None:
    async def main() -> None:
        async with AsyncInterpreterPool(workers=1, preload=()) as pool, await pool.open() as kernel:
            await kernel.run("x = 1")
            branches = await asyncio.gather(*(kernel.branch(seed) for seed in range(10)))
            outputs = await asyncio.gather(*(b.run(f"x += {i}\nx") for i, b in enumerate(branches)))
            assert [o.output for o in outputs] == [str(1 + i) for i in range(10)]
            for branch in branches:
                await branch.close()

    asyncio.run(main())
