"""`mario annotate`: a teacher solves problems with a live interpreter; what verifies is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mario.annotate import AnnotateConfig, AnnotateResult, annotate
from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.dry_run import show_plan
from mario.cli.places import needs_out, problems_file
from mario.cli.progress import Attempts, dollars, say, short
from mario.engine.prices import price_of
from mario.provenance import to_json


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario annotate",
        description="Attempt every problem with a teacher, run its code in the sandbox, grade, keep what is right.\n"
        "The output directory resumes when the same command is run again.",
        epilog="example: mario annotate runs/train-problems --teacher calculator --out runs/taught",
    )
    parser.add_argument("problems", nargs="?", type=Path, help="JSON lines of problems, or their directory")
    parser.add_argument("--out", type=Path, metavar="DIRECTORY")
    parser.add_argument("--json", action="store_true", help="the counts as JSON on stdout")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and the first prompt; attempt nothing")
    add_settings(parser, AnnotateConfig, skip=("problems",), short={"solve.seed": "seed"})
    args = parser.parse(argv)
    config = resolve(AnnotateConfig, args, problems=args.problems)
    if args.dry_run:
        engine = None if config.teacher == "calculator" else config.engine
        show_plan((config.problems,), config.limit, engine, config.solve)
        return 0
    result = annotate_with_progress(config, needs_out(args.out, "annotate"))
    print(json.dumps(to_json(result), indent=2) if args.json else table(result))
    return 3 if result.failures else 0


def annotate_with_progress(config: AnnotateConfig, out: Path) -> AnnotateResult:
    config = replace(config, problems=problems_file(config.problems))
    price = price_of(config.engine)
    with Attempts(f"annotate {out.name}") as line:
        result = annotate(config, out, line, line.note, lambda found: line.forecast(found, price))
    if result.failures:
        say(f"{result.failures} attempts failed on our side ({out / 'failures.jsonl'}); run again to retry them")
    return result


def table(result: AnnotateResult) -> str:
    """Counts at every step, for people."""
    of, whole = max(("problems", result.problems), ("attempts", result.attempts), key=lambda pair: pair[1])
    rows = [
        ("problems", result.problems, ""),
        ("attempts", result.attempts, ""),
        ("kept", result.kept, f"{100 * result.kept / max(1, whole):.2f} % of the {of}"),
        *((f"  {name}", count, "") for name, count in result.notes.items()),
        *((f"dropped, {reason}", count, "") for reason, count in result.drops.items()),
    ]
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{name:<{width}}  {count:>7}  {note}".rstrip() for name, count, note in rows]
    return "\n".join([*lines, _cost_line(result.cost)] if result.cost else lines)


def _cost_line(cost: Mapping[str, Any]) -> str:
    """Calls, tokens and dollars of all sessions."""
    used = f"{short(cost['prompt_tokens'])} prompt and {short(cost['completion_tokens'])} completion tokens"
    text = f"cost: {cost['calls']} calls, {used}"
    if cost["dollars"] is not None:
        text += f", {dollars(cost['dollars'])}"
    if cost["unknown_calls"]:
        most = cost["unknown_prompt_tokens"] + cost["unknown_completion_tokens"]
        bound = f"{short(most)} tokens" if cost["unknown_dollars"] is None else dollars(cost["unknown_dollars"])
        text += f"; {cost['unknown_calls']} calls of unknown cost, at most {bound}"
    return text
