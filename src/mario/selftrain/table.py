"""What the rounds brought: a table for a terminal, and a page with the same table and a plot.

Pure functions of a `SelfTrainResult`. What this module does not do: count anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mario.evaluate.metrics import Comparison, Estimate
from mario.page import document, render
from mario.page.chart import Series, line_chart
from mario.selftrain.rounds import Round, SelfTrainResult

HEADS = ("round", "attempted", "samples", "correct", "solved", "coverage", "rows", "tokens", "cost")


def rows(result: SelfTrainResult) -> list[tuple[str, ...]]:
    """One line a round, in the order of `HEADS`; see `Round` for what is of one round and what is of all."""
    return [_row(one, result.problems) for one in result.rounds]


def _row(one: Round, problems: int) -> tuple[str, ...]:
    return (
        str(one.number),
        f"{one.attempted:,}",
        f"{one.samples:,}",
        f"{one.correct:,}",
        f"{one.solved:,}",
        f"{100 * one.solved / max(1, problems):.1f} %",
        f"{one.rows:,}",
        f"{one.prompt_tokens + one.completion_tokens:,}",
        _cost(one.cost),
    )


def _cost(cost: Mapping[str, Any] | None) -> str:
    """Dollars confirmed, and what calls of unknown cost may add; a model here costs none."""
    if cost is None:
        return "none"
    if cost["dollars"] is None:
        return "no price"
    unknown = f" + up to {cost['unknown_dollars']:.4f}" if cost["unknown_calls"] else ""
    return f"${cost['dollars']:.4f}{unknown}"


def judgements(result: SelfTrainResult) -> list[tuple[str, str, str, str]]:
    """Model, split, pass@1 with interval, and the paired change against the first model."""
    lines = [("before", split, _rate(rate), "") for split, rate in result.before.items()]
    for one in result.rounds:
        for split, rate in one.test.items():
            change = one.change.get(split)
            lines.append((f"round {one.number}", split, _rate(rate), _change(change) if change else ""))
    return lines


def _rate(rate: Estimate) -> str:
    return f"{100 * rate.value:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}], n = {rate.n}"


def _change(change: Comparison) -> str:
    found = change.difference
    return (
        f"{100 * found.value:+.1f} points [{100 * found.low:+.1f}, {100 * found.high:+.1f}]; only after "
        f"{change.only_first}, only before {change.only_second}, exact McNemar p = {change.p_value:.2g}"
    )


def table(result: SelfTrainResult) -> str:
    """Everything as text."""
    blocks = [_columns([HEADS, *rows(result)])]
    if lines := judgements(result):
        blocks.append(_columns([("model", "split", "pass@1", "against before"), *lines], left=True))
    if result.ended:
        blocks.append(f"ended early: {result.ended}")
    return "\n\n".join(blocks)


def _columns(lines: Sequence[Sequence[str]], *, left: bool = False) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join(cell.ljust(width) if left else cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    ]
    return "\n".join(line.rstrip() for line in aligned)


def page(result: SelfTrainResult) -> str:
    """One self-contained HTML document."""
    body = render(
        "mario.selftrain",
        "rounds.html.j2",
        problems=result.problems,
        target=result.target,
        heads=HEADS,
        rows=rows(result),
        judgements=judgements(result),
        ended=result.ended,
        chart=chart(result),
    )
    return document("Self-training", body)


def chart(result: SelfTrainResult) -> Any:
    """Problems solved and distinct programs found against samples, with a dot where a round ended."""
    solved: list[tuple[float, float]] = []
    programs: list[tuple[float, float]] = []
    ends: list[tuple[float, float]] = []
    before = 0
    for one in result.rounds:
        solved += [(before + point.samples, point.solved) for point in one.curve]
        programs += [(before + point.samples, point.rows) for point in one.curve]
        before += one.curve[-1].samples
        ends.append((before, one.curve[-1].solved))
    series = [
        Series("problems solved", solved),
        Series(f"distinct correct programs, at most {result.target} a problem", programs, dashed=True),
    ]
    marks = Series("end of a round", ends, marks=True, joined=False)
    return line_chart("What the samples brought", "samples", "count", [*series, marks] if ends else series)
