"""`mario report`: evaluations and training runs as one self-contained page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.progress import say
from mario.errors import DataError, UsageError
from mario.evaluate import read_results
from mario.report import ReportRun, TrainingRun, build_report, summary_table, training_table
from mario.report.tables import Table
from mario.report.training import KINDS, read_metrics
from mario.store.jsonl import storing
from mario.store.run import read_manifest
from mario.value.calibrate import sigmoid


@dataclass(frozen=True, slots=True)
class ReportConfig:
    """The page.

    runs: output directories of mario evaluate and of mario train, in the order they shall stand
    title: of the page
    """

    runs: tuple[Path, ...]
    title: str = "MARIO report"


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario report",
        description="One self-contained page: tables, plots, and every trajectory to browse. Of training runs, done\n"
        "or not, the curve of the loss and of the held-out problems solved.",
        epilog="example: mario report runs/base runs/trained --out report.html",
    )
    parser.add_argument("runs", nargs="*", type=Path, help="output directories of mario evaluate and mario train")
    parser.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE")
    add_settings(parser, ReportConfig, skip=("runs",))
    args = parser.parse(argv)
    config = resolve(ReportConfig, args, runs=args.runs)
    print(make_report(config, args.out))
    say(f"report in {args.out}")
    return 0


def make_report(config: ReportConfig, out: Path) -> str:
    """Write the page; returns its main table as text."""
    if not config.runs:
        raise UsageError("no runs given; name the output directories of mario evaluate or mario train")
    short = len({root.name for root in config.runs}) == len(config.runs)
    named = [(root, root.name if short else "/".join(root.parts[-2:])) for root in config.runs]
    found = [_trained(root, name) or _read(root, name) for root, name in named]
    runs = [run for run in found if isinstance(run, ReportRun)]
    trained = [run for run in found if isinstance(run, TrainingRun)]
    page = build_report(config.title, runs, trained)
    with storing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page, encoding="utf-8", errors="backslashreplace")
    tables = [summary_table(runs)] * bool(runs) + [training_table(trained)] * bool(trained)
    return "\n\n".join(map(_columns, tables))


def _trained(root: Path, name: str) -> TrainingRun | None:
    """What a directory's manifest says is a training run, done or not; None where it says otherwise or is missing.

    Raises:
        DataError: no step is done yet.
    """
    if not (root / "metrics.jsonl").exists():
        return None
    manifest = read_manifest(root)
    if manifest.kind not in KINDS:
        return None
    lines = read_metrics(root)
    if not lines:
        raise DataError(f"{root}: no step of this training run is done yet; wait for the first")
    return TrainingRun(name, manifest, lines)


def _read(root: Path, name: str) -> ReportRun:
    results = read_results(root)
    solve = results.manifest.recipe.get("solve", {})
    judge = next(iter(results.values), None)  # one strip an attempt: of several value models the first by name
    return ReportRun(
        name=name,
        model_label=results.label,
        mode="text" if solve.get("format") == "text" else "code",
        judged=results.judged,
        failures=results.failures,
        manifest=results.manifest,
        estimates=results.estimates,
        curves=results.curves if any(results.curves.values()) else {},
        compared=results.compared,
        quality=results.quality,
        values={key: tuple(map(sigmoid, found)) for key, found in judge.log_odds.items()} if judge else {},
        valued_by=judge.name if judge else None,
    )


def _columns(table: Table) -> str:
    rows = [table.header, *table.texts()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
