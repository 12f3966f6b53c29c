"""The figures of a report, as plain JSON for plotly.js: data and layout, colours by name (`var(--c0)`).

What this module does not do: drawing, which is the browser's; every figure has a table with the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mario.evaluate.metrics import accuracy
from mario.report.runs import SPLITS, Axis, ReportRun, styles
from mario.report.tables import Shares

Figure = dict[str, Any]

_DODGE = 0.08  # apart along the axis, so that intervals at one level do not cover each other
_BINS = 24
_LABEL = 32  # characters; a longer one would leave no room for the bars on a telephone


def difficulty_figures(runs: Sequence[ReportRun], axis: Axis) -> list[tuple[str, Figure]]:
    """Accuracy against difficulty, one figure a split, all on one scale: (caption, figure)."""
    splits = list(dict.fromkeys(split for run in runs for split in run.splits))
    ordered = sorted(splits, key=lambda s: (list(SPLITS).index(s) if s in SPLITS else len(SPLITS), s))
    made = [(_caption(split), _difficulty(runs, axis, split)) for split in ordered]
    return [(caption, figure) for caption, figure in made if figure["data"]]  # problems of a split may have no level


def _caption(split: str) -> str:
    return f"{SPLITS[split]} ({split})" if split in SPLITS else f"Split {split}"


def _difficulty(runs: Sequence[ReportRun], axis: Axis, split: str) -> Figure:
    traces = []
    for i, (run, style) in enumerate(zip(runs, styles(runs), strict=True)):
        points = []
        for place, value in enumerate(axis.values):
            rate = accuracy(row for row in run.of_split(split) if axis.of(row.problem) == value)
            if rate.n and not math.isnan(rate.low):
                points.append((place + (i - (len(runs) - 1) / 2) * _DODGE, value, rate))
        if points:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": plain_text(run.name),
                    "x": [x for x, _, _ in points],
                    "y": [100 * rate.value for _, _, rate in points],
                    "error_y": {
                        "type": "data",
                        "symmetric": False,
                        "array": [100 * (rate.high - rate.value) for _, _, rate in points],
                        "arrayminus": [100 * (rate.value - rate.low) for _, _, rate in points],
                        "color": style.colour,
                        "thickness": 1.4,
                        "width": 4,
                    },
                    "line": {"color": style.colour, "dash": style.dash, "width": 2.2},
                    "marker": {
                        "color": style.colour,
                        "symbol": style.symbol,
                        "size": 9,
                        "line": {"color": style.colour, "width": 1.8},
                    },
                    "text": [
                        f"{axis.title.lower()} {plain_text(value)}<br>{100 * rate.value:.1f} % "
                        f"({100 * rate.low:.1f}–{100 * rate.high:.1f}), n {rate.n}"
                        for _, value, rate in points
                    ],
                    "hovertemplate": "%{text}<extra>" + plain_text(run.name) + "</extra>",
                }
            )
    places = list(range(len(axis.values)))
    values = [plain_text(value) for value in axis.values]
    x_axis = plot_axis(axis.title, tickvals=places, ticktext=values, range=[-0.4, len(places) - 0.6])
    return {
        "data": traces,
        "layout": plot_layout(320, x_axis, plot_axis("Accuracy", range=[-4, 104], ticksuffix=" %", dtick=25)),
    }


def shares_figure(shares: Shares, runs: Sequence[ReportRun]) -> Figure:
    """One bar a run, stacked to 100 %."""
    drawn = [(run, count, sum(count.values())) for run, count in zip(runs, shares.counts, strict=True) if count]
    traces = []
    for k, kind in enumerate(shares.kinds):
        share = [100 * count.get(kind, 0) / total for _, count, total in drawn]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": kind.replace("_", " "),
                "y": [plain_text(run.name) for run, _, _ in drawn],
                "x": share,
                "text": [f"{value:.0f} %" if value >= 8 else "" for value in share],
                "textposition": "inside",
                "insidetextanchor": "middle",
                "textangle": 0,
                "textfont": {"color": "var(--paper)"},
                "marker": {"color": f"var(--c{k % 8})", "line": {"color": "var(--paper)", "width": 1.5}},
                "hovertemplate": "%{x:.1f} %<extra>" + kind.replace("_", " ") + "</extra>",
            }
        )
    layout = plot_layout(
        110 + 34 * len(drawn),
        plot_axis(range=[0, 100.5], ticksuffix=" %", dtick=25, ticklabeloverflow="allow"),
        plot_axis(autorange="reversed", automargin=True, showgrid=False, ticks="", ticklabelstandoff=6),
    )
    layout |= {"barmode": "stack", "bargap": 0.3, "showlegend": True, "uniformtext": {"minsize": 11, "mode": "hide"}}
    layout["legend"] = {
        "orientation": "h",
        "traceorder": "normal",
        "x": 0,
        "y": -0.16,
        "yref": "paper",
        "yanchor": "top",
    }
    return {"data": traces, "layout": layout}


def tokens_figure(runs: Sequence[ReportRun]) -> Figure:
    """Histogram of completion tokens, one outline a run, in shares of its attempts."""
    every = [row.trajectory.completion_tokens for run in runs for row in run.judged]
    width = _bin_width(max(every, default=0))
    edges = [width * k for k in range(max(every, default=0) // width + 2)]
    traces = []
    for run, style in zip(runs, styles(runs), strict=True):
        counts = [0] * (len(edges) - 1)
        for row in run.judged:
            counts[row.trajectory.completion_tokens // width] += 1
        share = [100 * count / max(1, len(run.judged)) for count in counts]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": plain_text(run.name),
                "x": edges,
                "y": [*share, 0],
                "line": {"shape": "hv", "color": style.colour, "dash": style.dash, "width": 2},
                "hovertemplate": "from %{x} tokens: %{y:.1f} %<extra>" + plain_text(run.name) + "</extra>",
            }
        )
    y_axis = plot_axis(title="Share of attempts", ticksuffix=" %", rangemode="tozero")
    return {"data": traces, "layout": plot_layout(320, plot_axis(title=f"Completion tokens (bins of {width})"), y_axis)}


def _bin_width(most: int) -> int:
    """The smallest 1, 2 or 5 times a power of ten that needs at most `_BINS` bins."""
    power = 1
    while True:
        for width in (power, 2 * power, 5 * power):
            if most < width * _BINS:
                return width
        power *= 10


def plain_text(text: str) -> str:
    """A label as it is, and short: plotly reads a little markup and %{…} in its labels."""
    text = text if len(text) <= _LABEL else text[: _LABEL - 1] + "…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("%{", "% {")


def plot_axis(title: str = "", **settings: Any) -> dict[str, Any]:
    return {
        "title": {"text": title, "standoff": 10},
        "gridcolor": "var(--rule)",
        "linecolor": "var(--soft)",
        "zeroline": False,
        "fixedrange": True,
        "automargin": True,
        **settings,
    }


def plot_layout(height: int, x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    return {
        "height": height,
        "xaxis": x,
        "yaxis": y,
        "margin": {"l": 8, "r": 20, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "var(--ink)", "size": 13, "family": "system-ui, DejaVu Sans, Liberation Sans, sans-serif"},
        "hoverlabel": {"bgcolor": "var(--panel)", "bordercolor": "var(--rule)", "font": {"color": "var(--ink)"}},
        "showlegend": False,
        "dragmode": False,
    }
