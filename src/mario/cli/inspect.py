"""`mario data inspect`: what a source holds, and which of its references the grader cannot read."""

from __future__ import annotations

import json

from mario.cli.arguments import Parser, add_settings, resolve
from mario.data.collect import DataConfig, collect


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario data inspect",
        description="Count the problems of a source, show some, and list every reference that the grader cannot read.",
        epilog="example: mario data inspect gsm8k train.jsonl",
    )
    parser.add_argument("source", nargs="?", help="wordproblems, gsm8k, math, jsonl or problems")
    parser.add_argument("path", nargs="?", help="file or directory to read, or hub:owner/name")
    parser.add_argument("--json", action="store_true", help="the counts as JSON on stdout")
    add_settings(parser, DataConfig, skip=("source", "path"))
    args = parser.parse(argv)
    config = resolve(DataConfig, args, source=args.source, path=args.path)
    problems = sum(1 for _ in collect(config))
    print(json.dumps({"problems": problems}) if args.json else f"problems {problems}")
    return 0
