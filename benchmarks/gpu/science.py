"""The whole protocol study on a machine without network, at a GPU's size, in parts that end in time.

    python benchmarks/gpu/science.py --model DIR --data DIR --packages DIR --results DIR    (again, until it says done)

One idea: the study is `recipes/mario-smollm2.toml`, and `mario run` resumes it; this file only makes it larger, stops
it in time, and gathers what is small. It needs torch, transformers, peft and accelerate where it runs. To bring along:

    --model DIR      the model as a Hugging Face directory (the embedded one: science.py --pack DIR, where it is
                     installed); what is too large for one transfer goes through split -b and cat
    --data DIR       gsm8k/train.jsonl.gz, bench/mawps.jsonl.gz, bench/asdiv.jsonl.gz: rows of question and answer
    --packages DIR   pip install --no-deps --target DIR python-flint: the grader's, for the Python of that machine

Other flags go to `mario run` (--stages.samples-code.limit 100). State is under --out and must outlast the parts; a part
that is killed costs what came after its last checkpoint. --results takes three small files: environment.txt, table.md
and results.json (summaries, times, losses of the stages that are done).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "mario-smollm2.toml"
NEEDED = {"torch": "training", "transformers": "training", "accelerate": "training", "flint": "grading (python-flint)"}
SHOWN = ("torch", "transformers", "accelerate", "peft", "numpy", "sympy", "python-flint")
FILES = {"gsm8k": "gsm8k/train.jsonl.gz", "mawps": "bench/mawps.jsonl.gz", "asdiv": "bench/asdiv.jsonl.gz"}
BASE = "smollm2"  # what the recipe calls the model that --model replaces

# Settings by verb, then by stage; a stage or setting that the recipe lacks is left out.
SCALES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "recipe": {},
    "gpu": {
        "train": {"train.tokens_per_source": 1_000_000, "train.tokens_per_step": 4_000, "train.max_tokens": 32_000},
        "train-ovm": {"train.tokens_per_step": 4_000, "train.max_tokens": 32_000},
        "annotate": {"engine.batch_size": 512, "solve.concurrency": 640},
        "evaluate": {"engine.batch_size": 512, "solve.concurrency": 640},
        "words": {"count": 12_000},
        "gsm8k": {"limit": 7_500},
        "test-shared": {"count": 1_000},
        "test-heldout": {"count": 1_000},
        "sample-words": {"count": 1_500},
        "samples-code": {"limit": 500},
        "samples-ovm": {"limit": 500},
        "sft-self": {"train.tokens_per_source": None},  # how many rows of its own there are nobody knows
    },
    "tiny": {
        "train": {"train.tokens_per_source": 1_500, "train.max_tokens": 2_048, "train.max_row_tokens": 2_048},
        "train-ovm": {"train.max_tokens": 2_048, "train.max_row_tokens": 2_048},
        "annotate": {"solve.samples": 2, "solve.max_new_tokens": 4},
        "evaluate": {"solve.max_new_tokens": 4, "limit": 2},
        "words": {"count": 16},
        "gsm8k": {"limit": 16},
        "test-shared": {"count": 2},
        "test-heldout": {"count": 2},
        "sample-words": {"count": 4},
        "samples-code": {"solve.samples": 2},
        "samples-ovm": {"solve.samples": 2},
        "sft-self": {"train.tokens_per_source": 700},
    },
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="directory of the model to start from")
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--packages", type=Path, help="folder of packages that this machine lacks")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "science", help="state [runs/science]")
    parser.add_argument("--results", type=Path, help="folder of the small files [OUT/results]")
    parser.add_argument("--minutes", type=float, default=8.0, help="after which this part ends [8]")
    parser.add_argument("--scale", choices=list(SCALES), default="gpu", help="how large [gpu]")
    parser.add_argument("--seed", type=int, default=0, help="of training; another seed needs another --out [0]")
    parser.add_argument("--pack", type=Path, metavar="DIR", help="copy the embedded model to DIR, and end")
    args, more = parser.parse_known_args(argv)
    if args.pack:
        return pack(args.pack)
    if not args.model or not args.data:
        parser.error("--model and --data are needed")
    deadline = time.monotonic() + 60 * args.minutes
    environ = dict(os.environ, OMP_WAIT_POLICY="PASSIVE", PYTHONUNBUFFERED="1")
    environ["PYTHONPATH"] = os.pathsep.join(str(path.resolve()) for path in (ROOT / "src", args.packages) if path)
    results: Path = args.results or args.out / "results"
    results.mkdir(parents=True, exist_ok=True)
    if not say_environment(results / "environment.txt", environ):
        return 2
    tables = tomllib.loads(RECIPE.read_text(encoding="utf-8"))["stages"]
    command = [sys.executable, "-m", "mario", "run", str(RECIPE), "--out", str(args.out)]
    for stage, setting, value in overrides(tables, args):
        command += [f"--stages.{stage}.{setting}", toml(value)]
    command += more
    ended = run_until(command, environ, deadline)
    stages = gather(args.out, tables)
    (results / "results.json").write_text(json.dumps(stages, indent=1) + "\n", encoding="utf-8")
    write_table(args.out, results / "table.md", environ)
    print(f"{len(stages)} of {len(tables)} stages are done: {', '.join(stages)}")
    if ended is None:
        print(f"this part ended after {args.minutes:g} minutes; run the same command again to go on")
        return 0
    print("done" if ended == 0 else f"mario run ended with {ended}")
    return ended


def pack(target: Path) -> int:
    """The embedded model as a directory that needs neither its wheel nor a GGUF reader."""
    import shutil

    from mario.engine import checkpoint

    shutil.copytree(checkpoint.resolve("smollm2", print), target)
    return 0


def say_environment(path: Path, environ: Mapping[str, str]) -> bool:
    """Print and write what this machine has; False, and what to bring, where something is lacking."""
    for folder in reversed(environ["PYTHONPATH"].split(os.pathsep)):
        sys.path.insert(0, folder)
    lines = [f"Python {sys.version.split()[0]}"]
    for name in SHOWN:
        try:
            lines.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(f"{name} none")
    missing = {name: why for name, why in NEEDED.items() if importlib.util.find_spec(name) is None}
    if not missing:
        doctor = [sys.executable, "-m", "mario", "doctor"]  # the machine, the interpreter's tier, the GPU
        lines.append(subprocess.run(doctor, env=environ, capture_output=True, text=True, check=False).stdout.strip())
    lines += [f"MISSING {name}, needed for {why}; see --packages" for name, why in missing.items()]
    text = "\n".join(lines)
    print(text, flush=True)
    path.write_text(text + "\n", encoding="utf-8")
    return not missing


def overrides(stages: Mapping[str, Any], args: argparse.Namespace) -> Iterator[tuple[str, str, Any]]:
    """What this run sets otherwise than the recipe: paths, the model, the seed, the sizes."""
    scale = SCALES[args.scale]
    for name, table in stages.items():
        verb = table["verb"]
        if name in FILES:
            yield name, "path", str((args.data / FILES[name]).resolve())
        if verb == "train":
            yield name, "model", str(args.model.resolve())
        if verb in ("train", "train-ovm"):
            yield name, "train.seed", args.seed
        if table.get("engine.model", table.get("engine", {}).get("model")) == BASE:
            yield name, "engine.model", str(args.model.resolve())
        sizes = {**scale.get(verb, {}), **scale.get(name, {})}
        if verb == "annotate" and table.get("teacher") == "calculator":
            sizes = {}  # no model takes part
        yield from ((name, setting, value) for setting, value in sizes.items())


def toml(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else str(value).lower()  # None is none, which unsets


def run_until(command: list[str], environ: Mapping[str, str], deadline: float) -> int | None:
    """Exit status, or None when time was up: then the whole process group is gone."""
    child = subprocess.Popen(command, env=environ, start_new_session=True)
    try:
        return child.wait(timeout=max(1.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def gather(out: Path, stages: Mapping[str, Any]) -> dict[str, Any]:
    """The small files of every stage that is done, by its name."""
    found: dict[str, Any] = {}
    for name, table in stages.items():
        root = out / name
        if table["verb"] in ("train", "train-ovm"):
            manifest = read(root / "manifest.json")
            if manifest.get("seconds") is not None:
                lines = (root / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
                found[name] = {"manifest": manifest, "first": json.loads(lines[0]), "last": json.loads(lines[-1])}
        elif (root / "summary.json").exists():
            found[name] = {"summary": read(root / "summary.json")}
        elif table["verb"] == "value":
            if any((out / table["run"].removeprefix("@") / "values").glob("*/*.seal.json")):
                found[name] = {}  # what they are worth stands in the summary of the run
        elif table["verb"] == "data" and (root / "problems.jsonl").exists():
            found[name] = {}
    return found


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_table(out: Path, target: Path, environ: Mapping[str, str]) -> None:
    """Rates, paired tests and selections of what is done; a part that got nowhere has no table."""
    script = Path(__file__).with_name("science_table.py")
    made = subprocess.run(
        [sys.executable, str(script), str(out)], env=environ, capture_output=True, text=True, check=False
    )
    print(made.stdout or made.stderr)
    if made.returncode == 0:
        target.write_text(made.stdout, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
