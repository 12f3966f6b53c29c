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
    if not path.is_file():
        raise DataError(f"{path} is not a regular file, and problems are read more than once; write them to a file")
    return path


def needs_out(out: Path | None, verb: str) -> Path:
    if out is None:
        raise UsageError(f"no --out given; say where to, for example: mario {verb} … --out {RUNS / verb}")
    return out


def recipe_file(name: str) -> Path:
    """A recipe by its path, or one of ours by its name: `demo` is recipes/demo.toml.

    Raises:
        UsageError: there is no such recipe; lists ours.
    """
    path = Path(name)
    if path.exists():
        return path
    package = Path(__file__).resolve().parents[1]
    folders = [package / "recipes", package.parents[1] / "recipes"]  # installed from a wheel, or from a checkout
    ours = {file.stem: file for folder in folders for file in sorted(folder.glob("*.toml"))}
    if name in ours:
        return ours[name]
    raise UsageError(f"recipe {name} does not exist; ours are: {', '.join(ours) or 'none here'}")
