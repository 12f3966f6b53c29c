"""Where things lie: outputs by default, and what a path given by a person stands for."""

from __future__ import annotations

from pathlib import Path

from mario.errors import DataError, UsageError

RUNS = Path("runs")
DEMO_MODEL = RUNS / "demo" / "model"
PROBLEMS = "problems.jsonl"


def problems_file(path: Path) -> Path:
    """A file of problems, also by the directory that `mario data` made.

    Raises:
        DataError: there is none; says how to make one.
    """
    if path.is_dir():
        path = path / PROBLEMS
    if not path.exists():
        raise DataError(f"{path} does not exist; make it with: mario data wordproblems --out {path.parent}")
    return path


def needs_out(out: Path | None, verb: str) -> Path:
    if out is None:
        raise UsageError(f"no --out given; say where to, for example: mario {verb} … --out {RUNS / verb}")
    return out
