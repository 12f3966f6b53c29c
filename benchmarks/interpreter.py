"""How fast sandboxed kernels are, beside the ways people run model-written Python today.

    python benchmarks/interpreter.py latency
    python benchmarks/interpreter.py pool --programs FOLDER/programs.jsonl.gz [--count 300] [--rounds 3] [--as-recorded]
    python benchmarks/interpreter.py processes --programs FOLDER/programs.jsonl.gz

latency     sessions (open, one trivial snippet, close), trivial snippets in a live kernel, a branch beside replaying
            the history, 1,000 live kernels and their memory
pool        recorded programs, half of them with sympy, a fresh kernel each, beside a reused unisolated process pool
processes   the same beside `subprocess python -c` and beside a Jupyter kernel a session, on the first of them: slow

The programs are those that ran to their end when they were recorded. With --as-recorded they are the file's own mix:
also those that ran into their recorder's time limit, sessions of several cells as one program, and programs that leave
their answer in a variable, behind the imports they expect. Programs that wait for the limit of 10 s then take most of
the time, and after each the reused pool has to start a worker anew.

Contestants take turns (ours, rival, ours, rival, …), so that a drift of the machine's load hits both; a ratio is of
neighbouring turns, given as the median with the lowest and the highest. Each turn starts its servers or workers anew,
before the clock: a reused worker that met the same program before answers from sympy's cache, which no stream of
different programs does. All have 2 workers, a limit of 10 s and the same programs. Prints JSON, ours first in each
pair; numbers of different runs do not compare. `benchmarks/branch.py` has the cost of a branch.

The rivals run the programs without a sandbox: only do that in a machine that may be thrown away.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from interpreter_rivals import Contestant, Outcome, jupyter, kernels, reused_pool, subprocesses

from mario.interpreter import AsyncInterpreterPool, InterpreterPool, Limits
from mario.provenance import code_version, hardware

WORKERS = 2
FIRST_FOR_SUBPROCESS, FIRST_FOR_JUPYTER = 60, 30
UNFIT = {"touches_system", "reads_input", "plots"}  # flags of programs that no rival should run
EXPECTED_IMPORTS = "import math\nimport numpy as np\nfrom sympy import *\n"  # what style ans_variable takes for granted
PACKAGES = ("sympy", "numpy", "pebble", "jupyter_client", "ipykernel")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("latency", "pool", "processes"))
    parser.add_argument("--programs", type=Path, help="the recorded programs; their rows name code, style, flags")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--as-recorded", action="store_true", help="the file's own mix, with programs that time out")
    arguments = parser.parse_args()
    if arguments.part != "latency" and not arguments.programs:
        parser.error("name the file of programs with --programs")
    result: dict[str, Any] = {
        "hardware": hardware(),
        "code": code_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "load_before": os.getloadavg(),
    }
    if arguments.part == "latency":
        result |= latency()
    else:
        programs = choose(arguments.programs, arguments.count, as_recorded=arguments.as_recorded)
        result |= {"pool": beside_pool, "processes": beside_processes}[arguments.part](programs, arguments.rounds)
    result["load_after"] = os.getloadavg()
    print(json.dumps(result, indent=2))


def choose(path: Path, count: int, *, as_recorded: bool) -> list[dict[str, Any]]:
    """Programs, half of them importing sympy, by the sorted hash of their id, the halves interleaved."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    rows = [row for row in rows if not UNFIT & set(row["flags"])]
    if not as_recorded:
        rows = [r for r in rows if r["style"] != "ans_variable" and r["n_cells"] == 1 and "timeout" not in r["flags"]]
    rows.sort(key=lambda row: hashlib.sha256(row["id"].encode()).hexdigest())
    symbolic = [row for row in rows if "sympy" in row["imports"]][: count // 2]
    plain = [row for row in rows if "sympy" not in row["imports"]][: count - count // 2]
    return [row for pair in zip(symbolic, plain, strict=True) for row in pair]


def program(row: dict[str, Any]) -> str:
    return (EXPECTED_IMPORTS if row["style"] == "ans_variable" else "") + str(row["code"])


def beside_pool(rows: list[dict[str, Any]], rounds: int) -> dict[str, Any]:
    """The halves apart, then all of them in one run, interleaved."""
    return {
        "pool_with_sympy": duel(reused_pool, rows[0::2], rounds).figures(),
        "pool_without": duel(reused_pool, rows[1::2], rounds).figures(),
        "pool_together": duel(reused_pool, rows, rounds).figures(),
    }


def beside_processes(rows: list[dict[str, Any]], rounds: int) -> dict[str, Any]:
    return {
        f"subprocess_first_{FIRST_FOR_SUBPROCESS}": duel(subprocesses, rows[:FIRST_FOR_SUBPROCESS], rounds).figures(),
        f"jupyter_first_{FIRST_FOR_JUPYTER}": duel(jupyter, rows[:FIRST_FOR_JUPYTER], rounds).figures(),
    }


@dataclass(frozen=True, slots=True)
class Turn:
    """All programs once, by one contestant."""

    seconds: float
    outcomes: list[Outcome]


@dataclass(frozen=True, slots=True)
class Duel:
    """The turns of both contestants, which took them one after the other."""

    rows: list[dict[str, Any]]
    ours: list[Turn]
    rival: list[Turn]

    @property
    def turns(self) -> tuple[list[Turn], list[Turn]]:
        return self.ours, self.rival

    def figures(self) -> dict[str, Any]:
        ratios = [theirs.seconds / mine.seconds for mine, theirs in zip(self.ours, self.rival, strict=True)]
        mine, theirs = (
            [_median_ms(one) for one in zip(*(t.outcomes for t in turns), strict=True)] for turns in self.turns
        )
        behind = sorted(zip(mine, theirs, (row["id"] for row in self.rows), strict=True), key=lambda it: it[1] - it[0])
        pairs = zip(self.ours[0].outcomes, self.rival[0].outcomes, strict=True)
        return {
            "n": len(self.rows),
            "ratio": {"median": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)},
            "per_second": [[round(len(self.rows) / turn.seconds, 2) for turn in turns] for turns in self.turns],
            "ms": [summary(mine), summary(theirs)],
            "statuses": [Counter(o.status for turn in turns for o in turn.outcomes) for turns in self.turns],
            "same_output": sum(a.output.strip() == b.output.strip() for a, b in pairs),
            "furthest_behind": [f"{name}: {ours:.0f} ms against {rival:.0f}" for ours, rival, name in behind[:8]],
        }


def duel(rival: Contestant, rows: list[dict[str, Any]], rounds: int) -> Duel:
    """Both run all the programs, in turn, `rounds` times."""
    programs = [program(row) for row in rows]
    result = Duel(rows, [], [])
    for _ in range(rounds):
        for contestant, turns in ((kernels, result.ours), (rival, result.rival)):
            with contestant(WORKERS) as run_all:
                started = time.perf_counter()
                outcomes = run_all(programs)
                turns.append(Turn(time.perf_counter() - started, outcomes))
    return result


def _median_ms(outcomes: tuple[Outcome, ...]) -> float:
    return statistics.median(outcome.seconds for outcome in outcomes) * 1000


def latency() -> dict[str, Any]:
    live, replayed = branches()
    return {
        "bare_session_ms": sessions((), 300),
        "warm_session_ms": sessions(("sympy", "numpy"), 100),
        "snippets": snippets(),
        "branch_ms": live,
        "replay_ms": replayed,
        "thousand_kernels": asyncio.run(thousand_kernels()),
    }


def sessions(preload: tuple[str, ...], count: int) -> dict[str, float]:
    with InterpreterPool(workers=1, preload=preload) as pool:

        def session() -> None:
            with pool.open() as kernel:
                kernel.run("1 + 1")

        return summary(clocked(session, count + 5)[5:])


def snippets(count: int = 5000) -> dict[str, float]:
    with InterpreterPool(workers=WORKERS, preload=()) as pool:
        kernel = pool.open()
        times = clocked(lambda: kernel.run("1 + 1"), count)
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
    with InterpreterPool(workers=1, preload=("sympy",)) as pool, pool.open() as kernel:
        for code in HISTORY:
            kernel.run(code)

        def branch() -> None:
            with kernel.branch() as copy:
                copy.run("x + y")

        def replay() -> None:
            with pool.open() as fresh:
                for code in [*HISTORY, "x + y"]:
                    fresh.run(code)

        return summary(clocked(branch, count)), summary(clocked(replay, 5))


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


def clocked(action: Callable[[], object], count: int) -> list[float]:
    """How long each of `count` times took, in milliseconds."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        action()
        times.append((time.perf_counter() - started) * 1000)
    return times


def summary(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "p50": round(statistics.median(ordered), 3),
        "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 3),
        "mean": round(statistics.fmean(ordered), 3),
    }


if __name__ == "__main__":
    main()
