"""The tables of a report, as text cells with links: the same for the terminal, for Markdown and for the page.

What this module does not do: statistics (`mario.evaluate.metrics`) and markup (`page`).
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mario.evaluate.metrics import Estimate, Judged, accuracy
from mario.report.paired import Pair
from mario.report.runs import Axis, ReportRun, find
from mario.types import ObservationStatus, StopReason, VerdictStatus

NONE = "–"


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    link: str | None = None
    number: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells below a header; the first cell of a row is its name."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""

    def texts(self) -> list[tuple[str, ...]]:
        """The rows without links, for a terminal."""
        return [tuple(cell.text for cell in row) for row in self.rows]


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One run on one split; `split` is None for all of them together."""

    run: str
    model: str
    mode: str
    split: str | None
    accuracy: Estimate
    unscored: int  # problems whose reference answer cannot be read
    failures: int | None  # of the whole run: None on the rows of single splits
    completion_tokens: float  # mean of an attempt
    estimates: Mapping[str, Estimate] = field(default_factory=dict)


def summary_rows(runs: Sequence[ReportRun]) -> list[SummaryRow]:
    """Every run in the order given: all its problems, then split by split where it has several."""
    rows = []
    for run in runs:
        for split in (None, *run.splits) if len(run.splits) > 1 else (run.splits or (None,)):
            whole = split is None or len(run.splits) == 1
            judged = run.of_split(split)
            tokens = [row.trajectory.completion_tokens for row in judged]
            rows.append(
                SummaryRow(
                    run=run.name,
                    model=run.model_label,
                    mode=run.mode,
                    split=split,
                    accuracy=accuracy(judged),
                    unscored=len({row.problem.id for row in judged if not row.scored}),
                    failures=run.failures if whole else None,
                    completion_tokens=statistics.fmean(tokens) if tokens else math.nan,
                    estimates=run.estimates if whole else {},
                )
            )
    return rows


def summary_table(runs: Sequence[ReportRun]) -> Table:
    """The headline: accuracy with its 95 % interval, and beside it what was not counted."""
    extra = list(dict.fromkeys(name for run in runs for name in run.estimates))
    index = {run.name: i for i, run in enumerate(runs)}
    labels = {run.mode: run.mode_label for run in runs}

    def cells(row: SummaryRow) -> tuple[Cell, ...]:
        here = {"run": index[row.run], "split": row.split}
        whole = row.failures is not None  # the rows of single splits, below it, need not name the model again
        return (
            Cell(row.run, number=False),
            Cell(row.split or "all", number=False),
            Cell(percent(row.accuracy), find(**here, outcome="correct")),
            Cell(str(row.accuracy.n), find(**here)),
            Cell(NONE if row.failures is None else str(row.failures)),
            Cell(str(row.unscored), find(**here, outcome="unscored") if row.unscored else None),
            Cell(_number(row.completion_tokens)),
            *(Cell(percent(row.estimates[name]) if name in row.estimates else NONE) for name in extra),
            Cell(labels[row.mode] if whole else "", number=False),
            Cell(row.model if whole else "", number=False),
        )

    header = ("run", "split", "accuracy (95 %)", "n", "failures", "unscored", "tokens", *extra, "mode", "model")
    return Table(header, tuple(cells(row) for row in summary_rows(runs)))


def summary_markdown(runs: Sequence[ReportRun]) -> str:
    """The headline table in Markdown."""
    table = summary_table(runs)
    lines = [table.header, tuple("---" for _ in table.header), *table.texts()]
    return "\n".join("| " + " | ".join(_markdown(text) for text in line) + " |" for line in lines) + "\n"


def _markdown(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())


def difficulty_table(runs: Sequence[ReportRun], axis: Axis) -> Table:
    """The numbers of the first picture: one row a run and split, one column a level."""
    rows = []
    for i, run in enumerate(runs):
        for split in run.splits:
            cells = [Cell(run.name), Cell(split, number=False)]
            for value in axis.values:
                judged = [row for row in run.of_split(split) if axis.of(row.problem) == value]
                rate = accuracy(judged)
                link = find(run=i, split=split, difficulty=value) if judged else None
                cells.append(Cell(f"{percent(rate, 0)}, n {rate.n}" if rate.n else NONE, link))
            rows.append(tuple(cells))
    heads = tuple(f"{axis.title.lower()} {value}" if k == 0 else value for k, value in enumerate(axis.values))
    return Table(("run", "split", *heads), tuple(rows))


def paired_table(pairs: Sequence[Pair], runs: Sequence[ReportRun]) -> Table:
    """Two runs on the same problems, a row for each pair and split."""

    def cells(pair: Pair) -> tuple[Cell, ...]:
        c, flips = pair.comparison, f"#flips-{pair.first}-{pair.second}"
        return (
            Cell(f"{runs[pair.first].name} − {runs[pair.second].name}"),
            Cell(pair.split or "all", number=False),
            Cell(points(c.difference)),
            Cell("< 0.001" if c.p_value < 0.001 else f"{c.p_value:.3f}"),
            Cell(str(c.only_first), flips if c.only_first else None),
            Cell(str(c.only_second), flips if c.only_second else None),
            Cell(str(c.both)),
            Cell(str(c.neither)),
            Cell(str(c.n)),
        )

    return Table(
        (
            "first − second",
            "split",
            "difference, points (95 %)",
            "p",
            "only first right",
            "only second right",
            "both",
            "neither",
            "n",
        ),
        tuple(cells(pair) for pair in pairs),
    )


@dataclass(frozen=True, slots=True)
class Shares:
    """How often each of several things happened in each run: the table and the stacked bars say the same."""

    title: str
    kinds: tuple[str, ...]
    counts: tuple[Mapping[str, int], ...]  # one a run
    filter: str  # name of the page's filter that selects a kind

    def table(self, runs: Sequence[ReportRun]) -> Table:
        def cell(i: int, kind: str) -> Cell:
            count, total = self.counts[i].get(kind, 0), sum(self.counts[i].values())
            text = f"{count} ({100 * count / total:.0f} %)" if total else NONE
            return Cell(text, find(run=i, **{self.filter: kind}) if count else None)

        return Table(
            ("run", *(kind.replace("_", " ") for kind in self.kinds)),
            tuple((Cell(run.name), *(cell(i, kind) for kind in self.kinds)) for i, run in enumerate(runs)),
        )


def shares(runs: Sequence[ReportRun]) -> list[Shares]:
    """How attempts ended, what the grader said, what the interpreter answered; what never happened is left out."""
    return [
        _shares("Stop reasons", "stop", runs, StopReason, lambda row: [row.trajectory.stop_reason.value]),
        _shares("Verdicts", "verdict", runs, VerdictStatus, lambda row: [row.verdict.status.value]),
        _shares("Interpreter answers", "status", runs, ObservationStatus, _statuses),
    ]


def _statuses(row: Judged) -> list[str]:
    return [step.observation.status.value for step in row.trajectory.steps if step.observation is not None]


def _shares(
    title: str,
    name: str,
    runs: Sequence[ReportRun],
    kinds: type[StopReason] | type[VerdictStatus] | type[ObservationStatus],
    kinds_of: Callable[[Judged], Iterable[str]],
) -> Shares:
    counts = tuple(Counter(kind for row in run.judged for kind in kinds_of(row)) for run in runs)
    seen = tuple(kind.value for kind in kinds if any(kind.value in count for count in counts))
    return Shares(title, seen, counts, name)


def tokens_table(runs: Sequence[ReportRun]) -> Table:
    """Completion tokens of an attempt, in quantiles."""

    def cells(run: ReportRun) -> tuple[Cell, ...]:
        tokens = sorted(row.trajectory.completion_tokens for row in run.judged)
        if not tokens:
            return (Cell(run.name), *(Cell(NONE) for _ in range(5)))
        numbers = (statistics.fmean(tokens), *(_quantile(tokens, q) for q in (0.5, 0.9, 1.0)), sum(tokens))
        return (Cell(run.name), *(Cell(_number(number)) for number in numbers))

    return Table(("run", "mean", "median", "90 %", "most", "all together"), tuple(cells(run) for run in runs))


def _quantile(ordered: Sequence[int], share: float) -> int:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def percent(rate: Estimate, decimals: int = 1) -> str:
    """`97.3 % (94.1–98.9)`; a dash where nothing was counted."""
    if math.isnan(rate.value):
        return NONE
    value, low, high = (f"{100 * x:.{decimals}f}" for x in (rate.value, rate.low, rate.high))
    return f"{value} %" if math.isnan(rate.low) else f"{value} % ({low}–{high})"


def points(difference: Estimate) -> str:
    """`+72.0 (+64.1 to +79.9)`, in percentage points."""
    if math.isnan(difference.value):
        return NONE
    value, low, high = (
        f"{100 * x:+.1f}".replace("-", "−") for x in (difference.value, difference.low, difference.high)
    )
    return f"{value} ({low} to {high})"


def _number(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:,.0f}"
