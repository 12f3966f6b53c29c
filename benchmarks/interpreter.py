"""How fast sandboxed kernels are, beside the ways people run model-written Python today.

    python benchmarks/interpreter.py --programs FOLDER/programs.jsonl.gz [--count 300] [--rivals]

Measures, in one run on one machine: bare and warm sessions (open, one trivial snippet, close), trivial snippets in a
live kernel, 1,000 live kernels and their memory, and the recorded programs with a fresh kernel each. `--rivals` adds
a reused process pool without isolation (the design of ToRA's executor, on multiprocessing, without its time limits) and
`subprocess python -c`. Prints JSON; numbers from different runs do not compare, load differs.

The rivals run the programs without a sandbox: only do that in a machine that may be thrown away (`--rivals` says yes).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import hashlib
import io
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mario.interpreter import AsyncInterpreterPool, InterpreterPool, Limits
from mario.provenance import code_version, hardware

WORKERS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--rivals", action="store_true")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"hardware": hardware(), "code": code_version(), "load_before": os.getloadavg()}
    result["bare_session_ms"] = sessions((), 300)
    result["warm_session_ms"] = sessions(("sympy", "numpy"), 100)
    result["snippets"] = snippets()
    result["branch_ms"], result["replay_ms"] = branches()
    result["thousand_kernels"] = asyncio.run(thousand_kernels())
    if arguments.programs:
        programs = choose(arguments.programs, arguments.count)
        result["programs"] = {"n": len(programs), "mario": run_kernels(programs)}
        if arguments.rivals:
            result["programs"]["process_pool"] = run_pool(programs)
            result["programs"]["subprocess_first_40"] = run_subprocess(programs[:40])
    result["load_after"] = os.getloadavg()
    print(json.dumps(result, indent=2))


def sessions(preload: tuple[str, ...], count: int) -> dict[str, float]:
    times = []
    with InterpreterPool(workers=1, preload=preload) as pool:
        for _ in range(count + 5):
            started = time.perf_counter()
            with pool.open() as kernel:
                kernel.run("1 + 1")
            times.append((time.perf_counter() - started) * 1000)
    return summary(times[5:])


def snippets(count: int = 5000) -> dict[str, float]:
    with InterpreterPool(workers=WORKERS, preload=()) as pool:
        kernel = pool.open()
        times = []
        for _ in range(count):
            started = time.perf_counter()
            kernel.run("1 + 1")
            times.append((time.perf_counter() - started) * 1000)
        kernels = [pool.open() for _ in range(WORKERS)]
        started = time.perf_counter()
        with ThreadPoolExecutor(WORKERS) as threads:
            list(threads.map(lambda kernel: [kernel.run("1 + 1") for _ in range(count)], kernels))
        return {**summary(times), "per_second_2_kernels": round(WORKERS * count / (time.perf_counter() - started))}


HISTORY = (
    "from sympy import *",
    'x, y = symbols("x y")',
    "solve(x**3 - 6*x**2 + 11*x - 6, x)",
    "factor(x**4 - 5*x**2 + 4)",
    "integrate(sin(x) * exp(x), x)",
    "solve([x + y - 3, x - y - 1], [x, y])",
    "simplify((x**2 - 1) / (x - 1))",
)


def branches(count: int = 50) -> tuple[dict[str, float], dict[str, float]]:
    """A branch of a kernel that has run six sympy snippets, and a new kernel that runs them again."""
    live, replayed = [], []
    with InterpreterPool(workers=1, preload=("sympy",)) as pool, pool.open() as kernel:
        for code in HISTORY:
            kernel.run(code)
        for _ in range(count):
            started = time.perf_counter()
            with kernel.branch() as branch:
                branch.run("x + y")
            live.append((time.perf_counter() - started) * 1000)
        for _ in range(5):
            started = time.perf_counter()
            with pool.open() as fresh:
                for code in [*HISTORY, "x + y"]:
                    fresh.run(code)
            replayed.append((time.perf_counter() - started) * 1000)
    return summary(live), summary(replayed)


async def thousand_kernels(count: int = 1000) -> dict[str, float]:
    async with AsyncInterpreterPool(workers=WORKERS, limits=Limits(wall_seconds=60), preload=("sympy",)) as pool:
        await (await pool.open()).close()
        before, started = available_mib(), time.perf_counter()
        kernels = [await pool.open() for _ in range(count)]
        opened = time.perf_counter() - started
        observations = await asyncio.gather(*(kernel.run("1 + 1") for kernel in kernels))
        answered = time.perf_counter() - started - opened
        assert all(observation.output == "2" for observation in observations)
        used = before - available_mib()
    return {"open_seconds": round(opened, 2), "answer_seconds": round(answered, 2), "memory_mib": round(used)}


def available_mib() -> float:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/meminfo has no MemAvailable")


def choose(path: Path, count: int) -> list[str]:
    """Half of them importing sympy, by the sorted hash of their id; single cells that ran to an end when recorded."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    unsteady = {"timeout", "touches_system", "reads_input", "plots"}
    rows = [
        row for row in rows if row["n_cells"] == 1 and row["style"] == "script" and not unsteady & set(row["flags"])
    ]
    rows.sort(key=lambda row: hashlib.sha256(row["id"].encode()).hexdigest())
    symbolic = [row["code"] for row in rows if "sympy" in row["code"]][: count // 2]
    plain = [row["code"] for row in rows if "sympy" not in row["code"]][: count - len(symbolic)]
    return [code for pair in zip(symbolic, plain, strict=False) for code in pair]


def run_kernels(programs: list[str]) -> dict[str, Any]:
    with InterpreterPool(workers=WORKERS, limits=Limits(wall_seconds=10), echo="none") as pool:
        pool.missing()

        def one(code: str) -> tuple[float, str]:
            started = time.perf_counter()
            with pool.open() as kernel:
                status = kernel.run(code).status
            return (time.perf_counter() - started) * 1000, status

        return timed(one, programs)


def run_subprocess(programs: list[str]) -> dict[str, Any]:
    def one(code: str) -> tuple[float, str]:
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
        return (time.perf_counter() - started) * 1000, str(done.returncode)

    return timed(one, programs)


def timed(one: Any, programs: list[str]) -> dict[str, Any]:
    started = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as threads:
        results = list(threads.map(one, programs))
    seconds = time.perf_counter() - started
    statuses: dict[str, int] = {}
    for _, status in results:
        statuses[status] = statuses.get(status, 0) + 1
    return {
        "per_second": round(len(programs) / seconds, 1),
        "ms": summary([t for t, _ in results]),
        "statuses": statuses,
    }


def run_pool(programs: list[str]) -> dict[str, Any]:
    with multiprocessing.get_context("spawn").Pool(WORKERS, initializer=import_guest) as pool:
        pool.map(execute, ["pass"] * WORKERS * 4)
        started = time.perf_counter()
        times = list(pool.imap(execute, programs, chunksize=1))
        seconds = time.perf_counter() - started
    return {"per_second": round(len(programs) / seconds, 1), "ms": summary(times)}


def import_guest() -> None:
    with contextlib.suppress(ImportError):
        import numpy  # noqa: F401
    import sympy  # noqa: F401


def execute(code: str) -> float:
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(BaseException):
        exec(code, {"__name__": "__main__"})
    return (time.perf_counter() - started) * 1000


def summary(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "p50": round(statistics.median(ordered), 3),
        "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 3),
        "mean": round(statistics.fmean(ordered), 3),
    }


if __name__ == "__main__":
    main()
