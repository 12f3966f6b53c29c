"""What choosing among samples gives, and how far values can be trusted: figures for plotly.js, and tables beside them.

One idea: pass@k, the share of problems that any of k samples solves, is what a perfect choice would reach, so it stands
on the same axis as every strategy. What this module does not do: statistics (`evaluate.choices`, `value.calibrate`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mario.estimate import Estimate
from mario.report.figures import Figure, plain_text, plot_axis, plot_layout
from mario.report.runs import ReportRun
from mario.report.tables import NONE, Cell, Table, percent, points
from mario.value.calibrate import Quality

Curves = Mapping[str, Mapping[int, Estimate]]

_NAMES = {"pass": "any of k is right (oracle)", "majority": "majority"}
_DASHES = {"pass": "dash", "majority": "dot"}
_SYMBOLS = {"ovm": "circle", "outlier-free": "diamond", "weighted": "square"}


def curves_figure(curves: Curves) -> Figure:
    """The rate at every k, a line with its band for each strategy."""
    ks = sorted({k for rates in curves.values() for k in rates})
    traces: list[dict[str, Any]] = []
    for i, (name, rates) in enumerate(curves.items()):
        colour = "var(--soft)" if name == "pass" else f"var(--c{(i - 1) % 8})"
        shown = [(ks.index(k), k, rate) for k, rate in sorted(rates.items()) if rate.n and not math.isnan(rate.low)]
        if not shown:
            continue
        upper = [(place, rate.high) for place, _, rate in shown]
        band = [*upper, *((place, rate.low) for place, _, rate in reversed(shown))]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [place for place, _ in band],
                "y": [100 * value for _, value in band],
                "fill": "toself",
                "fillcolor": colour + "1f",
                "line": {"width": 0},
                "hoverinfo": "skip",
                "showlegend": False,
            }
        )
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": plain_text(_NAMES.get(name, name)),
                "x": [place for place, _, _ in shown],
                "y": [100 * rate.value for _, _, rate in shown],
                "line": {"color": colour, "dash": _DASHES.get(name, "solid"), "width": 2.2},
                "marker": {"color": colour, "size": 8, "symbol": _SYMBOLS.get(name.split(" ")[0], "circle-open")},
                "text": [f"k = {k}: {percent(rate)}, n {rate.n}" for _, k, rate in shown],
                "hovertemplate": "%{text}<extra>" + plain_text(_NAMES.get(name, name)) + "</extra>",
            }
        )
    x = plot_axis("Samples a problem (k)", tickvals=list(range(len(ks))), ticktext=[str(k) for k in ks])
    return {
        "data": traces,
        "layout": _with_legend(400, x, plot_axis("Problems solved", ticksuffix=" %", rangemode="tozero")),
    }


def curves_table(curves: Curves) -> Table:
    ks = sorted({k for rates in curves.values() for k in rates})
    rows = [
        (Cell(_NAMES.get(name, name)), *(Cell(percent(rates[k]) if k in rates else NONE) for k in ks))
        for name, rates in curves.items()
    ]
    return Table(("strategy", *(f"k = {k}" for k in ks)), tuple(rows), "Rates by strategy and number of samples")


def compared_table(run: ReportRun) -> Table:
    """The strategies that go by values against the majority, on the same samples."""
    rows = tuple(
        (
            Cell(f"{name} − majority"),
            Cell(points(found.difference)),
            Cell("< 0.001" if found.p_value < 0.001 else f"{found.p_value:.3f}"),
            Cell(str(found.only_first)),
            Cell(str(found.only_second)),
            Cell(str(found.n)),
        )
        for name, found in run.compared.items()
    )
    header = ("first − second", "difference, points (95 %)", "p", "only first right", "only second right", "n")
    return Table(header, rows, "On the same samples, at the largest k")


def reliability_figure(quality: Quality) -> Figure:
    """Shares of right attempts against their values: on the diagonal a value is a probability."""
    bins = [b for b in quality.bins if not math.isnan(b.right.low)]
    diagonal = {
        "type": "scatter",
        "mode": "lines",
        "name": "value = share",
        "x": [0, 1],
        "y": [0, 100],
        "line": {"color": "var(--soft)", "dash": "dash", "width": 1.4},
        "hoverinfo": "skip",
    }
    most = max((b.samples for b in bins), default=1)
    found = {
        "type": "scatter",
        "mode": "markers",
        "name": "attempts (area: how many)",
        "x": [b.value for b in bins],
        "y": [100 * b.right.value for b in bins],
        "error_y": _bars([b.right for b in bins], "var(--c0)"),
        "marker": {
            "color": "var(--c0)",
            "size": [7 + 13 * math.sqrt(b.samples / most) for b in bins],
            "opacity": 1,
            "line": {"width": 0},
        },
        "text": [f"value {b.value:.2f}: {percent(b.right)} right of {b.samples} attempts" for b in bins],
        "hovertemplate": "%{text}<extra></extra>",
    }
    y = plot_axis("Share right", range=[-4, 104], ticksuffix=" %", dtick=25)
    return {
        "data": [diagonal, found],
        "layout": _with_legend(360, plot_axis("Value", range=[-0.04, 1.04], dtick=0.25), y),
    }


def steps_figure(quality: Quality) -> Figure:
    """How early values know: AUROC after each turn, and the mean values of what ended right and wrong."""
    steps = quality.steps
    rows: list[tuple[str, str, str, str, list[tuple[int, float, Estimate | None]]]] = [
        ("AUROC", "var(--c0)", "solid", "circle", [(s.step, s.auroc.value, s.auroc) for s in steps]),
        ("mean value, right", "var(--right)", "dot", "triangle-up", [(s.step, s.mean_right, None) for s in steps]),
        ("mean value, wrong", "var(--wrong)", "dot", "triangle-down", [(s.step, s.mean_wrong, None) for s in steps]),
    ]
    traces = []
    for name, colour, dash, symbol, every in rows:
        shown = [(step, value, rate) for step, value, rate in every if not math.isnan(value)]
        trace: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": [step for step, _, _ in shown],
            "y": [value for _, value, _ in shown],
            "line": {"color": colour, "dash": dash, "width": 2.2},
            "marker": {"color": colour, "size": 9, "symbol": symbol},
            "hovertemplate": "after turn %{x}: %{y:.3f}<extra>" + name + "</extra>",
        }
        rates = [rate for _, _, rate in shown if rate is not None]
        if rates:
            trace["error_y"] = _bars(rates, colour, 1)
        traces.append(trace)
    y = plot_axis("AUROC, value", range=[-0.04, 1.04], dtick=0.25)
    x = plot_axis("After turn", dtick=1, range=[0.6, max((s.step for s in steps), default=1) + 0.4])
    return {"data": traces, "layout": _with_legend(360, x, y)}


def _bars(rates: Sequence[Estimate], colour: str, times: float = 100) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [_drawn(times * (rate.high - rate.value)) for rate in rates],
        "arrayminus": [_drawn(times * (rate.value - rate.low)) for rate in rates],
        "color": colour,
        "thickness": 1.4,
        "width": 4,
    }


def _drawn(length: float) -> float:
    return 0.0 if math.isnan(length) else length  # an interval that is not known is not drawn


def _with_legend(height: int, x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    legend = {"orientation": "h", "x": 0, "y": -0.22, "yanchor": "top", "font": {"size": 12}}
    return plot_layout(height, x, y) | {"showlegend": True, "legend": legend}


def quality_table(runs: Sequence[ReportRun]) -> Table:
    """How good each value model's values are, run by run."""
    rows = [
        (
            Cell(run.name),
            Cell(name, number=False),
            Cell(f"{found.samples:,}"),
            Cell(percent(found.right)),
            Cell(_decimal(found.auroc)),
            Cell(_decimal(found.within)),
            Cell(_decimal(found.brier)),
            Cell(_number(found.log_loss)),
            Cell(_number(found.error)),
        )
        for run in runs
        for name, found in run.quality.items()
    ]
    header = ("run", "value model", "attempts", "right", "AUROC", "AUROC within a problem", "Brier", "log loss", "ECE")
    return Table(header, tuple(rows), "How good the values are")


def steps_table(quality: Quality) -> Table:
    rows = tuple(
        (
            Cell(str(s.step)),
            Cell(f"{s.samples:,}"),
            Cell(_decimal(s.auroc)),
            Cell(_number(s.mean_right)),
            Cell(_number(s.mean_wrong)),
        )
        for s in quality.steps
    )
    return Table(("after turn", "attempts", "AUROC", "mean value, right", "mean value, wrong"), rows)


def bins_table(quality: Quality) -> Table:
    rows = tuple(
        (Cell(f"{b.low:.1f} to {b.high:.1f}"), Cell(f"{b.samples:,}"), Cell(_number(b.value)), Cell(percent(b.right)))
        for b in quality.bins
    )
    return Table(("value", "attempts", "mean value", "share right"), rows)


def _decimal(rate: Estimate) -> str:
    if math.isnan(rate.value):
        return NONE
    text = f"{rate.value:.3f}"
    return text if math.isnan(rate.low) else f"{text} ({rate.low:.3f}–{rate.high:.3f})"


def _number(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:.3f}"
