"""A small line chart as SVG text: points in, a picture out that needs no script and reads the same in any viewer.

One idea: a pure function of its numbers, so a committed figure can be made again byte for byte. For figures that people
explore there is plotly (`report.figures`); this is for files, READMEs and pages that must stay small.

What this module does not do: error bars, bars, dates, logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

# Okabe and Ito's colours, which people who see few colours can tell apart; dashes help where they are printed grey.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_WIDTH, _HEIGHT = 680, 400
_LEFT, _RIGHT, _TOP = 74, 30, 40
_UNDER = 52  # tick labels and the axis title below the plot
_ROW = 20  # height of a line of the legend


@dataclass(frozen=True, slots=True)
class Series:
    """One line; `marks` puts a dot on every point, `dashed` draws it broken, without `joined` there are only dots."""

    name: str
    points: Sequence[tuple[float, float]]
    marks: bool = False
    dashed: bool = False
    joined: bool = True


def line_chart(title: str, x_title: str, y_title: str, series: Sequence[Series]) -> Markup:
    """The chart as one `<svg>` element; both axes begin at 0 and reach the largest value.

    Raises:
        ValueError: a number is negative or not finite.
    """
    every = [point for one in series for point in one.points]
    if any(not math.isfinite(value) or value < 0 for point in every for value in point):
        raise ValueError("a chart needs finite numbers from 0 on")
    x_ticks = ticks(max((x for x, _ in every), default=0))
    y_ticks = ticks(max((y for _, y in every), default=0))
    bottom = _HEIGHT - _UNDER
    height = _HEIGHT + _ROW * len(series) + 6

    def at(point: tuple[float, float]) -> tuple[float, float]:
        x = _LEFT + point[0] / x_ticks[-1] * (_WIDTH - _LEFT - _RIGHT)
        return x, bottom - point[1] / y_ticks[-1] * (bottom - _TOP)

    parts = [
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        _text(_WIDTH / 2, 20, title, anchor="middle", size=15),
    ]
    for value in x_ticks:
        x, _ = at((value, 0))
        parts.append(f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="#8884"/>')
        parts.append(_text(x, bottom + 18, _number(value), anchor="middle"))
    for value in y_ticks:
        _, y = at((0, value))
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#8884"/>')
        parts.append(_text(_LEFT - 8, y + 4, _number(value), anchor="end"))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, bottom + 40, x_title, anchor="middle"))
    middle = (_TOP + bottom) / 2
    parts.append(f'<g transform="rotate(-90 18 {middle:.1f})">{_text(18, middle, y_title, anchor="middle")}</g>')
    for i, one in enumerate(series):
        stroke = f'stroke="{_COLOURS[i % len(_COLOURS)]}" stroke-width="2" fill="none"'
        dash = ' stroke-dasharray="6 4"' if one.dashed else ""
        places = [at(point) for point in one.points]
        if places and one.joined:
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
            parts.append(f'<path d="{path}" {stroke}{dash}/>')
        if one.marks:
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" {stroke}/>' for x, y in places]
        y = _HEIGHT + _ROW * i + 8
        if one.joined:
            parts.append(f'<path d="M{_LEFT} {y - 4}h28" {stroke}{dash}/>')
        if one.marks:
            parts.append(f'<circle cx="{_LEFT + 14}" cy="{y - 4}" r="3.5" {stroke}/>')
        parts.append(_text(_LEFT + 36, y, one.name))
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    style = 'font-family="system-ui, DejaVu Sans, sans-serif" fill="#1b1f24" style="max-width: 100%; height: auto"'
    return Markup(
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style} role="img" aria-label="{escape(title)}">\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def ticks(most: float) -> list[float]:
    """From 0 in steps of 1, 2 or 5 times a power of ten to at least `most`: four to nine values."""
    if most <= 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(most) - 1)
    step = next(step for times in (1, 2, 5, 10, 20, 50) if most <= 8 * (step := times * power))
    return [i * step for i in range(math.ceil(most / step - 1e-9) + 1)]


def _number(value: float) -> str:
    return f"{value:,.10g}"


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 13) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'
