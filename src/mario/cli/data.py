"""`mario data`: make or read problems, apply patches, write them as JSON lines.

A first word out of `SUBVERBS` is a verb of its own, in a file of its own.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.places import PROBLEMS
from mario.cli.progress import say
from mario.data.collect import DataConfig, collect
from mario.data.readers import write_problems
from mario.provenance import content_hash, file_hash, make_manifest
from mario.store import write_json
from mario.store.jsonl import dump_line

SUBVERBS = {
    "inspect": "count what a source holds, list the references that the grader cannot read",
    "decontaminate": "compare training problems with benchmarks",
    "export": "write a training set in the forms of trainers and of the hub",
}


def run(argv: list[str]) -> int:
    match argv[:1]:
        case ["inspect"]:
            from mario.cli import inspect

            return inspect.run(argv[1:])
        case ["decontaminate"]:
            from mario.cli import decontaminate

            return decontaminate.run(argv[1:])
        case ["export"]:
            from mario.cli import export

            return export.run(argv[1:])
    return _make(argv)


def _make(argv: list[str]) -> int:
    parser = Parser(
        prog="mario data",
        description="Problems of a source as JSON lines: into --out DIRECTORY, or to stdout without it.\n\n"
        + "\n".join(f"mario data {name:<14}{summary}" for name, summary in SUBVERBS.items()),
        epilog="example: mario data wordproblems --split train --count 600 --out runs/train-problems\n"
        "         mario data gsm8k train.jsonl --split train --out runs/gsm8k",
    )
    parser.add_argument("source", nargs="?", help="wordproblems, gsm8k, math, problems, jsonl, parquet or csv")
    parser.add_argument("path", nargs="?", help="file or directory to read, or hub:owner/name")
    parser.add_argument("--out", type=Path, metavar="DIRECTORY")
    add_settings(parser, DataConfig, skip=("source", "path"))
    args = parser.parse(argv)
    config = resolve(DataConfig, args, source=args.source, path=args.path)
    if args.out is None:
        for problem in collect(config):
            sys.stdout.buffer.write(dump_line(problem))
        return 0
    count = make_problems(config, args.out)
    say(f"{count} problems in {args.out / PROBLEMS}")
    return 0


def make_problems(config: DataConfig, out: Path) -> int:
    """Write the problems and their manifest; returns how many."""
    began = time.monotonic()
    manifest = make_manifest("data", config, seeds={"data": config.seed})
    count = write_problems(out / PROBLEMS, collect(config))
    # Hashed after reading: whatever is wrong with a source has been told by then, with its remedy.
    done = replace(manifest, inputs=_inputs(config), counts={"problems": count})
    write_json(out / "manifest.json", replace(done, seconds=round(time.monotonic() - began, 3)))
    return count


def _inputs(config: DataConfig) -> dict[str, str]:
    """The hash of every file that was read; of a directory, one hash of all its files."""
    paths = [*config.patches, *([Path(config.path)] if config.path else [])]
    return {path.resolve().name: _hash(path) for path in paths if path.exists()}


def _hash(path: Path) -> str:
    if path.is_file():
        return file_hash(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return content_hash({file.relative_to(path).as_posix(): file_hash(file) for file in files})
