"""`mario evaluate`: attempt a test set, judge every answer, print accuracy with its interval."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.dry_run import show_plan
from mario.cli.places import needs_out, problems_file
from mario.cli.progress import Attempts, say
from mario.cli.value import values_on
from mario.engine.prices import price_of
from mario.evaluate import EvaluateConfig, Summary, evaluate
from mario.evaluate.benchmark import worked_examples
from mario.evaluate.metrics import Comparison, Estimate
from mario.provenance import to_json
from mario.value.calibrate import Quality


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario evaluate",
        description="Attempt every problem and judge every answer. The output directory resumes when the same command\n"
        "is run again; what is stored is not computed again.",
        epilog="example: mario evaluate runs/test-problems --engine.model runs/model --out runs/evaluated",
    )
    parser.add_argument("problems", nargs="*", type=Path, help="JSON lines of problems, or their directories")
    parser.add_argument("--out", type=Path, metavar="DIRECTORY")
    parser.add_argument("--json", action="store_true", help="the summary as JSON on stdout")
    parser.add_argument(
        "--fail-under",
        type=float,
        metavar="SHARE",
        help="exit 4 when accuracy is below this (0 to 1); with --select that of the choice",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and the first prompt; attempt nothing")
    add_settings(parser, EvaluateConfig, skip=("problems",), short={"solve.seed": "seed", "select.strategy": "select"})
    args = parser.parse(argv)
    config = resolve(EvaluateConfig, args, problems=args.problems)
    if args.dry_run:
        show_plan(config.problems, config.limit, config.engine, config.solve, worked_examples(config)[0])
        return 0
    summary = evaluate_with_progress(config, needs_out(args.out, "evaluate"))
    print(json.dumps(to_json(summary), indent=2) if args.json else table(summary))
    if summary.failures:
        return 3
    reached = summary.accuracy if config.select.strategy == "first" else summary.choosing.chosen
    return 4 if args.fail_under is not None and not reached.value >= args.fail_under else 0


def evaluate_with_progress(config: EvaluateConfig, out: Path) -> Summary:
    config = replace(config, problems=tuple(problems_file(path) for path in config.problems))
    price = price_of(config.engine)
    with Attempts(f"evaluate {out.name}") as line:
        summary = evaluate(config, out, line, line.note, lambda found: line.forecast(found, price), values_on(line))
    if summary.failures:
        say(f"{summary.failures} attempts failed on our side ({out / 'failures.jsonl'}); run again to retry them")
    return summary


def table(summary: Summary) -> str:
    """Accuracy as a whole and by part, for people."""
    rows = [("accuracy", summary.accuracy)]
    rows += [(f"  {name}", part) for name, part in summary.by_split.items() if len(summary.by_split) > 1]
    rows += [(f"  level {name}", part) for name, part in summary.by_level.items() if len(summary.by_level) > 1]
    rows += [(f"pass@{k}", part) for k, part in summary.pass_at.items()]
    rows += [(f"maj@{k}", part) for k, part in summary.majority_at.items()]
    choice = summary.choosing
    rows += [
        (f"{name}@{k}", part) for name, by_k in choice.rates.items() if name != "majority" for k, part in by_k.items()
    ]
    if choice.select.strategy != "first":
        rows.append((f"chosen: {choice.select.strategy}", choice.chosen))
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {rate(part)}" for name, part in rows]
    lines += [f"{name} − maj: {difference(found)}" for name, found in choice.compared.items()]
    lines += [f"values of {name}: {quality_line(found)}" for name, found in choice.values.items()]
    ends = ", ".join(f"{count} {reason}" for reason, count in summary.stop_reasons.items())
    notes = f"{summary.attempts} attempts ({ends})"
    if summary.unscored:
        notes += f"; {summary.unscored} unscored: their reference cannot be read"
    if summary.trained_on:
        notes += f"; {summary.trained_on} of the problems were trained on, as was allowed"
    if summary.failures:
        notes += f"; {summary.failures} failed on our side and are in no rate"
    return "\n".join([summary.label, *lines, notes])


def rate(part: Estimate) -> str:
    if part.n == 0:
        return "no scored problem"
    return f"{100 * part.value:5.1f} %  [{100 * part.low:.1f}, {100 * part.high:.1f}]  n = {part.n}"


def difference(found: Comparison) -> str:
    """`+3.2 points [1.0, 5.4], p = 0.004 (20 to 4 of 320 problems)`."""
    part = found.difference
    p = "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.3f}"
    interval = f"[{100 * part.low:+.1f}, {100 * part.high:+.1f}]"
    counts = f"({found.only_first} to {found.only_second} of {found.n} problems)"
    return f"{100 * part.value:+.1f} points {interval}, {p} {counts}"


def quality_line(found: Quality) -> str:
    rates = {"AUROC": found.auroc, "within a problem": found.within, "Brier": found.brier}
    shown = [f"{name} {rate.value:.3f}" for name, rate in rates.items() if not math.isnan(rate.value)]
    return ", ".join([*shown, f"ECE {found.error:.3f}"])
