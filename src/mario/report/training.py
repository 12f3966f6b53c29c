"""The curve of a training run: its loss, and what it solved of held-out problems on the way.

Pure functions of a trained directory's manifest and of the lines of its `metrics.jsonl`; a run that still trains has
both too. The figure is plotly's JSON, as in `figures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mario.estimate import Estimate
from mario.provenance import from_json
from mario.report.figures import Figure, plot_axis, plot_layout
from mario.report.tables import NONE, Cell, Table, percent
from mario.store import read_jsonl
from mario.types import Manifest

KINDS = {"sft": "fine-tuning", "ovm": "writing and valuing", "lm": "plain text"}  # of manifests, and their names
_SMOOTH = 20  # points that a mean runs over, at most a twentieth of the curve
_PARTS = {"lm_loss": ("language loss", "var(--c2)", "dash"), "value_loss": ("value loss", "var(--c3)", "dashdot")}
_MOST_POINTS = 2000  # of a curve; a longer one is drawn by every second, third, … step
_ROWS = 12  # of the table of the curve


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A trained directory, or one that still trains: `lines` are its metrics, a step each."""

    name: str
    manifest: Manifest
    lines: Sequence[Mapping[str, Any]]

    @property
    def is_done(self) -> bool:
        return self.manifest.seconds is not None

    @property
    def final_loss(self) -> float:
        """A mean over the last steps: one of them alone is mostly chance."""
        return running_mean([line["loss"] for line in self.lines])[-1]

    @property
    def base(self) -> str:
        return str(self.manifest.recipe.get("model", "unknown"))


def read_metrics(directory: Path) -> list[dict[str, Any]]:
    """The lines of a trained directory; none where it holds no metrics.

    Raises:
        DataError: a line is damaged.
    """
    path = directory / "metrics.jsonl"
    return [line for _, line in read_jsonl(path)] if path.exists() else []


def training_table(runs: Sequence[TrainingRun]) -> Table:
    """A row a run: what it learnt from, how far it came, and how sure the held-out problems make that."""
    losses = ("loss, first step", "mean at the end")
    header = ("training run", "kind", "base", "steps", "tokens", *losses, "held out (95 %)", "n", "time")
    return Table(header, tuple(_row(run) for run in runs))


def _row(run: TrainingRun) -> tuple[Cell, ...]:
    first, last = run.lines[0], run.lines[-1]
    steps = f"{last['step']:,}" if run.is_done else f"{last['step']:,} so far"
    tried = solved(run.lines)
    return (
        Cell(run.name, number=False),
        Cell(KINDS[run.manifest.kind], number=False),
        Cell(run.base, number=False),
        Cell(steps),
        Cell(f"{last['tokens']:,}"),
        Cell(f"{first['loss']:.3f}"),
        Cell(f"{run.final_loss:.3f}"),
        Cell(percent(tried[-1][1]) if tried else NONE),
        Cell(str(tried[-1][1].n) if tried else NONE),
        Cell(f"{last['seconds']:,.0f} s"),
    )


def curve_table(lines: Sequence[Mapping[str, Any]]) -> Table:
    """The curve at some steps: those at which something held out was tried, if they are few, and steps evenly apart."""
    parts = [part for part in _PARTS if part in lines[0]]
    means = {name: running_mean([line[name] for line in lines]) for name in ("loss", *parts)}
    rates, held_out = dict(solved(lines)), dict(held_out_losses(lines))
    tried = {line["tokens"] for line in lines} & (rates.keys() | held_out.keys())
    even = {round(i * (len(lines) - 1) / (_ROWS - 1)) for i in range(_ROWS)}
    shown = sorted(even | {i for i, line in enumerate(lines) if line["tokens"] in tried and len(tried) <= _ROWS})
    rows = []
    for i in shown:
        line = lines[i]
        rate, loss = rates.get(line["tokens"]), held_out.get(line["tokens"])
        rows.append(
            (
                Cell(f"{line['step']:,}"),
                Cell(f"{line['tokens']:,}"),
                *(Cell(f"{means[name][i]:.3f}") for name in means),
                *((Cell(NONE if loss is None else f"{loss:.3f}"),) if held_out else ()),
                *((Cell(percent(rate) if rate else NONE),) if rates else ()),
            )
        )
    names = ("loss, running mean", *(_PARTS[part][0] for part in parts))
    tries = (*(("held-out loss",) if held_out else ()), *(("held out (95 %)",) if rates else ()))
    return Table(("step", "tokens", *names, *tries), tuple(rows))


def training_figure(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss against tokens (each step faint, a running mean over it), and accuracy with intervals on the right.

    Where a loss has parts, their running means stand below it.
    """
    tried, held_out = solved(lines), held_out_losses(lines)
    parts = {part: running_mean([line[part] for line in lines]) for part in _PARTS if part in lines[0]}
    mean = running_mean([line["loss"] for line in lines])
    drawn = range(0, len(lines), -(-len(lines) // _MOST_POINTS))
    lines = [lines[i] for i in drawn]
    seen = [line["tokens"] for line in lines]
    losses = [line["loss"] for line in lines]
    first = {"color": "var(--c0)"}
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "loss",
            "x": seen,
            "y": losses,
            "opacity": 0.35,
            "line": {**first, "width": 1},
            "hovertemplate": "%{x:,} tokens: loss %{y:.3f}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "loss, running mean",
            "x": seen,
            "y": [mean[i] for i in drawn],
            "line": {**first, "width": 2.2},
            "hoverinfo": "skip",
        },
    ]
    for part, values in parts.items():
        name, colour, dash = _PARTS[part]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": seen,
                "y": [values[i] for i in drawn],
                "line": {"color": colour, "dash": dash, "width": 1.8},
                "hovertemplate": f"%{{x:,}} tokens: {name} %{{y:.3f}}<extra></extra>",
            }
        )
    if held_out:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": "held-out loss",
                "x": [tokens for tokens, _ in held_out],
                "y": [loss for _, loss in held_out],
                "line": {"color": "var(--c4)", "dash": "dot", "width": 1.8},
                "marker": {"color": "var(--c4)", "size": 7, "symbol": "diamond"},
                "hovertemplate": "%{x:,} tokens: held-out loss %{y:.3f}<extra></extra>",
            }
        )
    layout = plot_layout(340, plot_axis("Tokens"), plot_axis("Loss", rangemode="tozero"))
    if tried:
        traces.append(_solved_trace(tried))
        layout["yaxis2"] = plot_axis("Held-out problems solved", range=[-4, 104], ticksuffix=" %", dtick=25) | {
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
        }
    return {"data": traces, "layout": layout | {"showlegend": True, "legend": {"orientation": "h", "y": -0.25}}}


def solved(lines: Sequence[Mapping[str, Any]]) -> list[tuple[int, Estimate]]:
    """Tokens seen, and the held-out problems solved then."""
    return [(line["tokens"], from_json(Estimate, line["heldout"])) for line in lines if "heldout" in line]


def held_out_losses(lines: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """Tokens seen, and the loss on held-out rows then."""
    return [(line["tokens"], line["heldout_loss"]) for line in lines if "heldout_loss" in line]


def _solved_trace(tried: Sequence[tuple[int, Estimate]]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "held-out problems solved",
        "yaxis": "y2",
        "x": [tokens for tokens, _ in tried],
        "y": [100 * rate.value for _, rate in tried],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [100 * (rate.high - rate.value) for _, rate in tried],
            "arrayminus": [100 * (rate.value - rate.low) for _, rate in tried],
            "color": "var(--c1)",
            "thickness": 1.4,
            "width": 4,
        },
        "line": {"color": "var(--c1)", "dash": "dot", "width": 1.6},
        "marker": {"color": "var(--c1)", "size": 8},
        "text": [f"{100 * rate.value:.0f} % of {rate.n}" for _, rate in tried],
        "hovertemplate": "%{x:,} tokens: %{text}<extra></extra>",
    }


def running_mean(values: Sequence[float]) -> list[float]:
    """Each value with those just before it."""
    width = max(1, min(_SMOOTH, len(values) // 20))
    return [sum(part) / len(part) for i in range(len(values)) if (part := values[max(0, i + 1 - width) : i + 1])]
