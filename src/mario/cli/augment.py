"""`mario augment`: new problems from old ones, kept where two ways agree on the answer."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

from mario.augment import AugmentConfig, AugmentResult, augment
from mario.augment.written import prompt_for
from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.places import needs_out, problems_file
from mario.cli.progress import Attempts, say
from mario.data.readers import read_problems
from mario.provenance import to_json


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario augment",
        description="Make new problems from old ones: other numbers, other words, or asked backwards; keep those on\n"
        "whose answer two ways agree. The output directory resumes when the same command is run again.",
        epilog="example: mario augment runs/gsm8k --kinds numbers --copies 2 --out runs/gsm8k-numbers\n"
        "         mario augment runs/gsm8k --kinds rephrase,fobar --engine.model gpt-5 \\\n"
        "             --engine.endpoint https://api.openai.com/v1 --out runs/gsm8k-more",
    )
    parser.add_argument("problems", nargs="?", type=Path, help="JSON lines of problems, or their directory")
    parser.add_argument("--out", type=Path, metavar="DIRECTORY")
    parser.add_argument("--json", action="store_true", help="the counts as JSON on stdout")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and the first prompts; make nothing")
    add_settings(parser, AugmentConfig, skip=("problems",))
    args = parser.parse(argv)
    config = resolve(AugmentConfig, args, problems=args.problems)
    if args.dry_run:
        show_plan(config)
        return 0
    result = augment_with_progress(config, needs_out(args.out, "augment"))
    print(json.dumps(to_json(result), indent=2) if args.json else table(result))
    return 3 if result.failures else 0


def augment_with_progress(config: AugmentConfig, out: Path) -> AugmentResult:
    config = replace(config, problems=problems_file(config.problems))
    with Attempts(f"augment {out.name}") as line:
        result = augment(config, out, line, say)
    if result.failures:
        say(f"{result.failures} new problems were not finished on our side; run again to try them once more")
    return result


def show_plan(config: AugmentConfig) -> None:
    """Count the problems (so every row is read and checked) and print the first prompt of each kind."""
    problems = list(islice(read_problems(problems_file(config.problems)), config.limit))
    wanted = len(problems) * config.copies
    print(f"{len(problems)} problems, {config.copies} copies each of {', '.join(config.kinds)}")
    if config.written:
        attempts = wanted * len(config.written) * config.solve.samples
        print(f"at most {attempts} attempts by {config.engine.model} to check what is made")
    for kind in config.kinds:
        if problems and (prompt := prompt_for(kind, problems[0])):
            print(f"\nfirst prompt of {kind} ({problems[0].id}):\n\n{prompt.spans()[0].text}")


def table(result: AugmentResult) -> str:
    """Counts by kind, and the reasons, for people."""
    lines = [f"problems {result.problems}"]
    for kind, wanted in result.wanted.items():
        share = 100 * result.kept[kind] / max(1, wanted)
        line = f"{kind}: {wanted} wanted, {result.kept[kind]} kept ({share:.1f} %), {result.dropped[kind]} dropped"
        lines.append(line + (f", {result.failed[kind]} FAILED" if result.failed[kind] else ""))
        lines += [
            f"  {count:>6}  {reason.removeprefix(f'{kind}: ')}"
            for reason, count in result.drops.items()
            if reason.startswith(f"{kind}: ")
        ]
    return "\n".join(lines)
