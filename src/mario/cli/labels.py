"""`mario labels`: find references that may be wrong, and keep what people decide as patches."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.places import needs_out, problems_file
from mario.cli.progress import say
from mario.data.patches import Patches, apply_patches, patch_for, read_patches
from mario.data.readers import read_problems, write_problems
from mario.errors import UsageError
from mario.labels.find import FindConfig, find
from mario.labels.shipped import shipped_patches
from mario.labels.suspects import read_suspects
from mario.provenance import to_json
from mario.recipe import unknown_key
from mario.types import Problem

SUBVERBS = {
    "find": "rank problems by the evidence that their reference is wrong",
    "apply": "write the problems with their references corrected",
    "diff": "show what patches change in a file of problems",
    "stats": "count patches by action and data set",
}


def run(argv: list[str]) -> int:
    match argv[:1]:
        case ["find"]:
            return _find(argv[1:])
        case ["apply"]:
            return _apply(argv[1:])
        case ["diff"]:
            return _diff(argv[1:])
        case ["stats"]:
            return _stats(argv[1:])
        case [] | ["-h"] | ["--help"]:
            lines = "\n".join(f"  mario labels {name:<7}{summary}" for name, summary in SUBVERBS.items())
            print(
                f"usage: mario labels VERB [ARGUMENTS]\n\n{lines}\n\nmario labels VERB --help says more.\n\n"
                "example: mario labels find problems.jsonl --out runs/suspects"
            )
            return 0
    raise UsageError(f"{unknown_key(argv[0], list(SUBVERBS), 'verb')}; see: mario labels --help")


def _find(argv: list[str]) -> int:
    parser = Parser(
        prog="mario labels find",
        description="Rank problems by the evidence that their reference answer is wrong: the written solution worked\n"
        "again, and the answers of other solutions where --samples names some. Nothing is changed.",
        epilog="example: mario labels find runs/gsm8k --samples runs/eval-a,runs/eval-b --out runs/suspects",
    )
    parser.add_argument("problems", nargs="?", type=Path, help="JSON lines of problems, or their directory")
    parser.add_argument("--out", type=Path, metavar="DIRECTORY")
    parser.add_argument("--show", type=int, default=10, metavar="N", help="how many suspects to print [10]")
    parser.add_argument("--json", action="store_true", help="the counts as JSON on stdout")
    add_settings(parser, FindConfig, skip=("problems",))
    args = parser.parse(argv)
    if args.problems is None:
        raise UsageError("no problems given; say which, for example: mario labels find runs/gsm8k --out runs/suspects")
    config = resolve(FindConfig, args, problems=problems_file(args.problems))
    out = needs_out(args.out, "labels find")
    result = find(config, out)
    if args.json:
        print(json.dumps(to_json(result), indent=2))
        return 0
    for suspect in islice(read_suspects(out), max(0, args.show)):
        print(f"{suspect.rank:>4}  {suspect.score:.3f}  {suspect.problem_id}  {suspect.reference}", end="")
        print(f" -> {suspect.suggestion}" if suspect.suggestion else "", f"\n      {suspect.sentence}", sep="")
    say(f"{result.problems} problems, {result.samples - result.unmatched} samples of them, {result.likely} suspects")
    if result.unmatched:
        say(f"{result.unmatched} samples belong to none of these problems")
    return 0


def _patch_parser(name: str, description: str, example: str) -> Parser:
    parser = Parser(prog=f"mario labels {name}", description=description, epilog=f"example: {example}")
    parser.add_argument(
        "--patches",
        action="append",
        type=Path,
        metavar="FILE",
        help="a patch file; may be given several times [those that mario ships]",
    )
    return parser


def _chosen(paths: list[Path] | None) -> Patches:
    return read_patches(*paths) if paths else shipped_patches()


def _apply(argv: list[str]) -> int:
    parser = _patch_parser(
        "apply",
        "Write the problems with their references corrected. A patch made for another version of its problem is an\n"
        "error.",
        "mario labels apply runs/gsm8k --out runs/gsm8k-clean",
    )
    parser.add_argument("problems", type=Path, help="JSON lines of problems, or their directory")
    parser.add_argument("--out", type=Path, metavar="DIRECTORY")
    args = parser.parse(argv)
    patches, counts = _chosen(args.patches), Counter[str]()
    out = needs_out(args.out, "labels apply")
    out.mkdir(parents=True, exist_ok=True)

    def counted() -> Iterator[Problem]:
        for problem in read_problems(problems_file(args.problems)):
            counts["problems"] += 1
            if (patch := patch_for(problem, patches)) is not None:
                counts[patch.action.value] += 1
            yield problem

    kept = write_problems(out / "problems.jsonl", apply_patches(counted(), patches))
    changes = ", ".join(f"{counts[action]} {action}" for action in ("replace", "remove", "ambiguous"))
    say(f"{counts['problems']} problems read, {kept} written to {out / 'problems.jsonl'}: {changes}")
    return 0


def _diff(argv: list[str]) -> int:
    parser = _patch_parser(
        "diff", "Show what patches change in a file of problems; write nothing.", "mario labels diff runs/gsm8k"
    )
    parser.add_argument("problems", type=Path, help="JSON lines of problems, or their directory")
    args = parser.parse(argv)
    patches, seen = _chosen(args.patches), set[str]()
    for problem in read_problems(problems_file(args.problems)):
        if (patch := patch_for(problem, patches)) is None:
            continue
        seen.add(patch.problem_id)
        change = patch.action.value if patch.new_answer is None else f"{patch.old_answer} -> {patch.new_answer}"
        print(f"{problem.id}  {change}  ({patch.reason})")
    say(f"{len(seen)} of {len(patches)} patches are for these problems")
    return 0


def _stats(argv: list[str]) -> int:
    parser = _patch_parser("stats", "Count patches by action and data set.", "mario labels stats")
    parser.add_argument("--json", action="store_true", help="the counts as JSON on stdout")
    args = parser.parse(argv)
    counts = Counter(
        (re.split("[/-]", patch.problem_id)[0], patch.action.value) for patch in _chosen(args.patches).values()
    )
    if args.json:
        print(json.dumps({f"{source} {action}": count for (source, action), count in sorted(counts.items())}, indent=2))
    else:
        for (source, action), count in sorted(counts.items()):
            print(f"{source:<14}{action:<11}{count:>6}")
    return 0
