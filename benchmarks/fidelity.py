"""Do sandboxed kernels print what plain Python prints, and what was printed when the programs were recorded?

    python benchmarks/fidelity.py --programs FOLDER/programs.jsonl.gz --out fidelity.jsonl [--seconds 280]

Runs every session of the file in a fresh kernel and beside it in plain Python (`fidelity_reference.py`), under the same
packages, hash seed and echo style, and appends both to --out; it goes on where it was stopped. When all are done it
prints how many are the same and puts every miss with its class into a file beside --out. The rules of comparison and
the classes are in `fidelity_rules.py`.

The reference runs the programs without a sandbox: only do that in a machine that may be thrown away.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fidelity_rules import cells_of, classes, report

from mario.interpreter import InterpreterPool, Limits
from mario.types import ObservationStatus as Status

LIMITS = Limits(wall_seconds=120, cpu_seconds=10, memory_mb=512, output_chars=1_000_000)
REFERENCE = Path(__file__).with_name("fidelity_reference.py")
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "MPLBACKEND": "Agg",
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plain", type=Path, help="an earlier --out: what plain Python said there is not asked again")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after that long; run again to go on")
    arguments = parser.parse_args()
    rows = read_rows(arguments.programs)
    done, known = read_results(arguments.out), read_results(arguments.plain)
    end = time.monotonic() + arguments.seconds
    with arguments.out.open("a") as file, Comparison(known) as comparison, ThreadPoolExecutor(2) as threads:
        lacking = (row for row in rows if row["id"] not in done)
        for result in threads.map(lambda row: comparison.run(row) if time.monotonic() < end else None, lacking):
            if result is not None:
                done[result["id"]] = result
                file.write(json.dumps(result) + "\n")
                file.flush()
    print(f"{len(done)} of {len(rows)} sessions", file=sys.stderr)
    if len(done) < len(rows):
        return 3
    found = [classes(row, done[row["id"]]) for row in rows]
    print(report(found))
    with arguments.out.with_suffix(".misses.jsonl").open("w") as file:
        for miss in found:
            if miss.plain or miss.record:
                file.write(json.dumps(miss.to_json(done[miss.id])) + "\n")
    return 0


def read_rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_results(path: Path | None) -> dict[str, dict[str, Any]]:
    if path is None or not path.exists():
        return {}
    with path.open() as file:
        return {result["id"]: result for result in map(json.loads, file)}


class Comparison:
    """Runs a session here and there, from several threads; of sessions in `known` only ours is run again."""

    def __init__(self, known: Mapping[str, dict[str, Any]] = MappingProxyType({})) -> None:
        self._known = known
        self._pools = {
            echo: InterpreterPool(1, LIMITS, hash_seed=0, echo=echo, tracebacks="line") for echo in ("repr", "none")
        }

    def run(self, row: dict[str, Any]) -> dict[str, Any]:
        """`ours` and `plain` cell by cell; `again` is a second plain run, made where the first differs from ours."""
        known = self._known.get(row["id"])
        ours, plain = self.ours(row), known["plain"] if known else run_plain(row)
        late = any(cell["status"] == "timeout" for cell in ours + plain)
        again = run_plain(row) if not late and _texts(ours) != _texts(plain) else None
        return {"id": row["id"], "ours": ours, "plain": plain, "again": again}

    def ours(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        cells, echo = cells_of(row)
        observations = []
        with self._pools["repr" if echo else "none"].open() as kernel:
            for cell in cells:
                observations.append(kernel.run(cell))
                if observations[-1].status is Status.TIMEOUT:  # plain Python ends there: nothing to compare with
                    break
        if any(observation.status is Status.LOST for observation in observations):
            raise SystemExit(f"{row['id']}: the interpreter was lost: {observations}")
        return [{"output": o.output, "status": o.status.value} for o in observations]

    def __enter__(self) -> Comparison:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in self._pools.values():
            pool.close()


def run_plain(row: dict[str, Any]) -> list[dict[str, Any]]:
    """What plain Python says, cell by cell; of a session over its processor time fewer cells, the last a timeout."""
    cells, echo = cells_of(row)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", REFERENCE],
            input=json.dumps({"cells": cells, "echo": echo}),
            capture_output=True,
            text=True,
            cwd=folder,
            env=ENVIRONMENT | {"HOME": folder, "TZ": os.environ.get("TZ", "UTC")},
            timeout=600,
        )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    said = [{"output": a["output"].rstrip("\n"), "status": "error" if a["failed"] else "ok"} for a in answers]
    if len(said) < len(cells):
        said.append({"output": done.stderr[-500:], "status": "timeout" if done.returncode < 0 else "died"})
    return said


def _texts(cells: Iterable[dict[str, Any]]) -> list[str]:
    return [cell["output"] for cell in cells]


if __name__ == "__main__":
    sys.exit(main())
