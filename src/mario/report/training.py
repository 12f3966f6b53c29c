"""The curve of a training run: its loss, and what it solved of held-out problems on the way.

Pure functions of the lines of `metrics.jsonl`; the figure is plotly's JSON, as in `figures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mario.report.figures import Figure, plot_axis, plot_layout
from mario.store import read_jsonl

_SMOOTH = 20  # points that a mean runs over, at most a twentieth of the curve


def read_metrics(directory: Path) -> list[dict[str, Any]]:
    """The lines of a trained directory; none where it holds no metrics.

    Raises:
        DataError: a line is damaged.
    """
    path = directory / "metrics.jsonl"
    return [line for _, line in read_jsonl(path)] if path.exists() else []


def training_figure(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss against tokens (each step faint, a running mean over it), and accuracy with intervals on the right."""
    seen = [line["tokens"] for line in lines]
    losses = [line["loss"] for line in lines]
    name = {"color": "var(--c0)"}
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "loss",
            "x": seen,
            "y": losses,
            "opacity": 0.35,
            "line": {**name, "width": 1},
            "hovertemplate": "%{x:,} tokens: loss %{y:.3f}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "loss, running mean",
            "x": seen,
            "y": running_mean(losses),
            "line": {**name, "width": 2.2},
            "hoverinfo": "skip",
        },
    ]
    layout = plot_layout(320, plot_axis("Tokens"), plot_axis("Loss", rangemode="tozero"))
    tried = [(line["tokens"], line["heldout"]) for line in lines if "heldout" in line]
    if tried:
        traces.append(_solved(tried))
        layout["yaxis2"] = plot_axis("Held-out problems solved", range=[-4, 104], ticksuffix=" %", dtick=25) | {
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
        }
    return {"data": traces, "layout": layout | {"showlegend": True, "legend": {"orientation": "h", "y": -0.25}}}


def _solved(tried: Sequence[tuple[int, Mapping[str, Any]]]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "held-out problems solved",
        "yaxis": "y2",
        "x": [tokens for tokens, _ in tried],
        "y": [100 * rate["value"] for _, rate in tried],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [100 * (rate["high"] - rate["value"]) for _, rate in tried],
            "arrayminus": [100 * (rate["value"] - rate["low"]) for _, rate in tried],
            "color": "var(--c1)",
            "thickness": 1.4,
            "width": 4,
        },
        "line": {"color": "var(--c1)", "dash": "dot", "width": 1.6},
        "marker": {"color": "var(--c1)", "size": 8},
        "text": [f"{100 * rate['value']:.0f} % of {rate['n']}" for _, rate in tried],
        "hovertemplate": "%{x:,} tokens: %{text}<extra></extra>",
    }


def running_mean(values: Sequence[float]) -> list[float]:
    """Each value with those just before it."""
    width = max(1, min(_SMOOTH, len(values) // 20))
    return [sum(part) / len(part) for i in range(len(values)) if (part := values[max(0, i + 1 - width) : i + 1])]
