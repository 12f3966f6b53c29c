"""Programs that language models wrote, against the output recorded when they first ran.

The recorder captured standard output and, on an exception, the last line of the traceback. What differs is versions:
a reworded message of Python or SymPy. Those are counted as misses here; the bar leaves room for them and little else.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from mario.interpreter import InterpreterPool, Limits
from mario.types import ObservationStatus as Status

pytest.importorskip("numpy", reason="the recorded programs use numpy; type: pip install 'mario-math[sandbox]'")
UNSTEADY = {"timeout", "nondeterministic", "touches_system", "reads_input", "plots"}


def recorded_scripts(count: int) -> list[dict[str, Any]]:
    root = os.environ.get("MARIO_DATA")
    if not root:
        pytest.skip("MARIO_DATA is not set: no recorded programs to compare with")
    with gzip.open(Path(root) / "programs" / "programs.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    rows = [r for r in rows if r["style"] == "script" and r["n_cells"] == 1 and not UNSTEADY & set(r["flags"])]
    return sorted(rows, key=lambda row: hashlib.sha256(row["id"].encode()).hexdigest())[:count]


def as_recorded(output: str, status: Status) -> str:
    text = output.strip() or "Done"
    if status is Status.ERROR:
        text = text.splitlines()[-1]
    return text


def same(text: str, record: str) -> bool:
    cut = text[:200] + "..." + text[-200:]  # how the recorder shortened long outputs
    return record.strip() in (text, cut)


def misses(count: int) -> list[str]:
    found = []
    limits = Limits(wall_seconds=30, output_chars=100_000)
    with InterpreterPool(workers=2, limits=limits, echo="none", preload=("sympy", "numpy")) as pool:
        for row in recorded_scripts(count):
            with pool.open() as kernel:
                observation = kernel.run(row["code"])
            text = as_recorded(observation.output, observation.status)
            if not same(text, row["recorded_output"]):
                found.append(f"{row['id']}: got {text[-200:]!r}, recorded {row['recorded_output'][-200:]!r}")
    return found


@pytest.mark.realdata
def test_a_sample_of_recorded_programs_prints_what_it_printed() -> None:
    found = misses(40)
    assert len(found) <= 2, "\n".join(found)


@pytest.mark.realdata
@pytest.mark.full
def test_the_recorded_programs_print_what_they_printed() -> None:
    found = misses(1_100)
    print("\n".join(found))
    assert len(found) <= 0.03 * len(recorded_scripts(1_100)), "\n".join(found)
