"""`mario data decontaminate`: training problems against benchmarks, with a report and nothing hidden."""

from __future__ import annotations

import json
from pathlib import Path

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.places import needs_out
from mario.cli.progress import say
from mario.data.decontaminate import DecontaminateConfig, Decontamination, decontaminate
from mario.data.decontaminate.run import PAGE
from mario.provenance import make_manifest, to_json
from mario.store import write_json


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario data decontaminate",
        description="Find training problems that are like a benchmark's questions: the same, the same but for the\n"
        "numbers, with a run of words in common, nearly the same, or reworded. An overlap is an error until the\n"
        "benchmark is named in --remove or --allow; the report with all pairs is written in any case.",
        epilog="example: mario data decontaminate runs/taught --against runs/test-problems --remove gsm8k-test "
        "--out runs/clean",
    )
    parser.add_argument("problems", nargs="?", type=Path, help="training problems, or the directory of mario annotate")
    parser.add_argument("--out", type=Path, metavar="DIRECTORY")
    parser.add_argument("--json", action="store_true", help="the counts as JSON on stdout")
    add_settings(parser, DecontaminateConfig, skip=("problems",))
    args = parser.parse(argv)
    config = resolve(DecontaminateConfig, args, problems=args.problems)
    out = needs_out(args.out, "data decontaminate")
    made = decontaminated(config, out)
    print(json.dumps(to_json(made), indent=2) if args.json else table(made))
    say(f"pairs side by side in {out / PAGE}")
    return 0


def decontaminated(config: DecontaminateConfig, out: Path) -> Decontamination:
    """Do it, and say in a manifest what was done."""
    manifest = make_manifest("decontaminate", config)
    made = decontaminate(config, out)
    write_json(out / "manifest.json", manifest)
    return made


def table(made: Decontamination) -> str:
    """Counts, for people."""
    rows = [("training problems", made.problems, "")]
    for benchmark in made.benchmarks:
        rules = ", ".join(f"{rule} {count}" for rule, count in benchmark["by_rule"].items())
        note = "; ".join(part for part in (rules, benchmark["action"]) if part)
        rows.append((f"like {benchmark['name']}", benchmark["matching_problems"], note))
    for rule, count in made.duplicates.items():
        rows.append((f"duplicates, {rule}", count, ""))
    rows += [(f"dropped, {reason}", count, "") for reason, count in made.dropped.items()]
    rows.append(("left", made.kept, ""))
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(f"{name:<{width}}  {count:>7}  {note}".rstrip() for name, count, note in rows)
