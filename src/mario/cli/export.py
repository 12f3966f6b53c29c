"""`mario data export`: a training set as files that others read, with a card and a manifest."""

from __future__ import annotations

import json
from pathlib import Path

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.places import needs_out
from mario.cli.progress import say
from mario.errors import UsageError
from mario.export import ExportConfig, Exported, export
from mario.export.push import Plan, plan_push, push
from mario.provenance import to_json


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario data export",
        description="Write a training set as Parquet and JSON lines, in the forms of OpenAI, TRL, ShareGPT, axolotl,\n"
        "verl and the hub's traces, with a data set card and a manifest. The same inputs give the same bytes.",
        epilog="example: mario data export runs/clean --title 'GSM8K with an interpreter' --out runs/published",
    )
    parser.add_argument("source", nargs="?", type=Path, help="directory of mario annotate or data decontaminate")
    parser.add_argument("--out", type=Path, metavar="DIRECTORY")
    parser.add_argument("--json", action="store_true", help="counts and files as JSON on stdout")
    parser.add_argument("--push", metavar="OWNER/NAME", help="upload to this data set repository of the hub")
    parser.add_argument("--public", action="store_true", help="create the repository public; without it, private")
    parser.add_argument("--dry-run", action="store_true", help="with --push: check everything and upload nothing")
    add_settings(parser, ExportConfig, skip=("source",))
    args = parser.parse(argv)
    if args.dry_run and not args.push:
        raise UsageError("--dry-run belongs to --push; without it nothing leaves this machine anyway")
    config = resolve(ExportConfig, args, source=args.source)
    out = needs_out(args.out, "data export")
    done = export(config, out)
    print(json.dumps(to_json({"rows": done.rows, "incorrect": done.incorrect, "files": done.files}), indent=2)
          if args.json else table(done))  # fmt: skip
    if args.push:
        plan = plan_push(out, args.push, private=not args.public)
        say(plan_text(plan))
        if args.dry_run:
            say("dry run: nothing was uploaded")
        else:
            say(f"pushed to {push(out, plan)}")
    return 0


def table(done: Exported) -> str:
    """Every filter with its counts, for people."""
    rows = [("filter", "unit", "came", "went on", "dropped")]
    for step in done.made.filters:
        reasons = ", ".join(f"{reason} {count}" for reason, count in step.dropped.items())
        rows.append((step.name, step.unit, str(step.taken), str(step.kept), reasons))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{name:<{widths[0]}}  {unit:<{widths[1]}}  {came:>{widths[2]}}  {kept:>{widths[3]}}  {reasons}".rstrip()
        for name, unit, came, kept, reasons in rows
    ]
    size = sum(int(file["bytes"]) for file in done.files.values())
    return "\n".join(
        [*lines, f"{done.rows} rows of {done.problems} problems, {len(done.files)} files, {size / 1e6:.1f} MB"]
    )


def plan_text(plan: Plan) -> str:
    what = "private" if plan.private else "public"
    token = "" if plan.token else "; no token: type hf auth login"
    return f"push to {plan.repository} ({what}): {plan.files} files, {plan.bytes / 1e6:.1f} MB{token}"
