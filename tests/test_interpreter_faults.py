"""What is left when servers are killed under running kernels: nothing, and the pool goes on.

Counted before and after: descriptors, child processes and their children, mounts, files in the temporary folder. Both
pools, blocking and awaitable. What a snippet does to its own kernel is in the attack suite.
"""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mario.interpreter import AsyncInterpreterPool, InterpreterPool, Limits, Tier, probe, server
from mario.types import ObservationStatus as Status

LIMITS = Limits(wall_seconds=30, memory_mb=128)
SLEEP = "import time; time.sleep(20)"
COMPUTE = "from itertools import repeat; all(repeat(1))"
STANDING = {finding.tier: finding for finding in probe()}


def descriptors() -> list[str]:
    return sorted(str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())


def descendants(pid: int) -> set[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = {int(child) for task in tasks for child in (task / "children").read_text().split()}
    except OSError:
        return set()
    return children.union(*(descendants(child) for child in children))


def runs(pid: int) -> bool:
    """Not one that has ended, and has no memory any more, and waits for the machine's first process to notice."""
    try:
        return Path(f"/proc/{pid}/statm").read_text().split()[0] != "0"
    except OSError:
        return False


def mounts() -> str:
    return Path("/proc/self/mounts").read_text()


def eventually(claim: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(params=[Tier.FULL, Tier.NO_NAMESPACES])
def tier(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tier]:
    """The test's tier; after it, nothing may be left of whatever it did."""
    tier: Tier = request.param
    if not STANDING[tier].works:
        pytest.skip(f"tier {tier} does not stand here: {STANDING[tier].reason}")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # other processes' folders are not counted
    gc.collect()
    before = len(descriptors()), descendants(os.getpid()), mounts()
    yield tier
    assert eventually(lambda: descendants(os.getpid()) <= before[1]), "processes are left"
    gc.collect()
    assert len(descriptors()) == before[0], descriptors()
    assert mounts() == before[2]
    assert not list(tmp_path.iterdir())


def kill_servers(pids: list[int]) -> None:
    """And wait till their kernels have died of it: each outlives its server by the moment that takes."""
    kernels = set().union(*(descendants(pid) for pid in pids))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not any(runs(pid) for pid in kernels)), "kernels outlive their server"


BEREFT = """
import sys
sys.path.insert(0, {folder!r})
from guest import namespaces, syscalls
syscalls.die_with_parent = lambda: None
print(namespaces.hold_pid_namespace(), flush=True)
"""


def test_the_holder_of_a_namespace_ends_with_a_server_that_dies_at_once() -> None:
    """Killed so early that its child, the first of the namespace, cannot have asked for a signal at its death."""
    script = BEREFT.format(folder=str(Path(server.__file__).parent))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert eventually(lambda: not runs(int(done.stdout)))


@pytest.mark.full
def test_a_server_killed_under_two_hundred_running_kernels(tier: Tier) -> None:
    with InterpreterPool(workers=2, limits=LIMITS, preload=(), tier=tier) as pool:
        kernels = [pool.open() for _ in range(200)]
        results: list[Status] = []

        def run(number: int) -> None:
            results.append(kernels[number].run(COMPUTE if number % 20 == 0 else SLEEP).status)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(200)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        assert not results
        assert sum(len(descendants(pid)) for pid in pool.server_pids()) >= 200
        kill_servers(pool.server_pids())
        for thread in threads:
            thread.join()
        assert results == [Status.LOST] * 200
        assert {kernel.run("1").status for kernel in kernels} == {Status.LOST}
        with pool.open() as fresh:
            assert fresh.run("6 * 7").output == "42"
        for kernel in kernels:
            kernel.close()


@pytest.mark.full
def test_a_server_killed_under_two_hundred_awaited_kernels(tier: Tier) -> None:
    async def main() -> None:
        async with AsyncInterpreterPool(workers=2, limits=LIMITS, preload=(), tier=tier) as pool:
            kernels = await asyncio.gather(*(pool.open() for _ in range(200)))
            running = asyncio.gather(*(kernel.run(SLEEP) for kernel in kernels))
            await asyncio.sleep(0.5)
            kill_servers(pool.server_pids())
            assert [observation.status for observation in await running] == [Status.LOST] * 200
            again = await asyncio.gather(*(kernel.run("1") for kernel in kernels))
            assert {observation.status for observation in again} == {Status.LOST}
            async with await pool.open() as fresh:
                assert (await fresh.run("6 * 7")).output == "42"
            await asyncio.gather(*(kernel.close() for kernel in kernels))

    asyncio.run(main())


def test_a_killed_server_is_replaced(tier: Tier) -> None:
    with InterpreterPool(workers=1, limits=LIMITS, preload=(), tier=tier) as pool:
        for _ in range(3):
            kernel, other = pool.open(), pool.open()
            kernel.run("x = 1")
            branch = kernel.branch()
            kill_servers(pool.server_pids())
            assert {k.run("1").status for k in (kernel, other, branch)} == {Status.LOST}
            with pool.open() as fresh:
                assert fresh.run("6 * 7").output == "42"


@pytest.mark.full
def test_a_thousand_cycles_and_twenty_kills(tier: Tier) -> None:
    with InterpreterPool(workers=2, limits=LIMITS, preload=(), tier=tier) as pool:
        pool.open().close()
        for number in range(1000):
            with pool.open() as kernel:
                assert kernel.run("1 + 1").output == "2"
                if number % 50 == 25:
                    kill_servers(pool.server_pids())
                    assert kernel.run("1").status is Status.LOST
                    branch = kernel.branch()
                    assert branch.run("1").status is Status.LOST


@pytest.mark.full
def test_a_thousand_awaited_cycles_and_twenty_kills(tier: Tier) -> None:
    async def main() -> None:
        async with AsyncInterpreterPool(workers=2, limits=LIMITS, preload=(), tier=tier) as pool:

            async def cycle(kill: bool) -> None:
                async with await pool.open() as kernel:
                    status = (await kernel.run("1 + 1")).status
                    if kill:
                        kill_servers(pool.server_pids())
                        status = (await kernel.run("1")).status
                    assert status in (Status.OK, Status.LOST)

            for _ in range(20):
                started = time.monotonic()
                await asyncio.gather(*(cycle(kill=n == 25) for n in range(50)))
                assert time.monotonic() - started < 15  # nobody waits out an order to a server that is gone
            async with await pool.open() as fresh:
                assert (await fresh.run("6 * 7")).output == "42"

    asyncio.run(main())


LATE = """#!{python}
import sys, time
sys.path.insert(0, {folder!r})
from guest import family, population
population.BIRTH_SECONDS, children, seen = 0.01, family.Processes.children, {{}}
def late(self):
    found, now = children(self), time.monotonic()
    return {{child for child in found if now - seen.setdefault(child, now) > 0.1}}
family.Processes.children = late
exec(sys.argv[sys.argv.index("-c") + 1])
"""


def test_a_snippet_whose_snapshot_comes_too_late_leaves_nothing(
    tier: Tier, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As on a machine so busy that a fork which was allowed takes longer than the server waits for it."""
    python = tmp_path_factory.mktemp("late") / "python"  # which sees every child a tenth of a second late
    python.write_text(LATE.format(python=sys.executable, folder=str(Path(server.__file__).parent)))
    python.chmod(0o755)
    clone = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    fork = f"import ctypes\nif ctypes.CDLL(None).syscall({clone}, 0x8000 | 17, 0, 1, 0, 0) == 0:\n    while True: pass"
    with InterpreterPool(workers=1, limits=LIMITS, preload=(), tier=tier, recover=True, python=str(python)) as pool:
        with pool.open() as kernel:
            kernel.run("1")
            kernel.run(fork)
        expected = 2 + (tier is Tier.FULL)  # a spare and its snapshot
        assert eventually(lambda: len(descendants(pool.server_pids()[0])) <= expected, 5)
