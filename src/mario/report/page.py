"""`report.html`: what was run, how good it was and how sure that is, and every attempt behind each number.

One idea: the page is a pure function of stored results. It has no clock, reads no files and asks no model, so the
same runs give the same bytes. What this module does not do: statistics (`evaluate.metrics`), drawing (the browser).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from mario.errors import UsageError
from mario.evaluate.metrics import accuracy
from mario.page import document, render
from mario.provenance import to_json
from mario.report.attempts import attempts
from mario.report.choosing import (
    bins_table,
    compared_table,
    curves_figure,
    curves_table,
    quality_table,
    reliability_figure,
    steps_figure,
    steps_table,
)
from mario.report.figures import difficulty_figures, shares_figure, tokens_figure
from mario.report.paired import Pair, flips, pairs
from mario.report.runs import ReportRun, axis_of, styles
from mario.report.tables import (
    difficulty_table,
    paired_table,
    percent,
    points,
    shares,
    summary_table,
    tokens_table,
)
from mario.report.training import (
    KINDS,
    TrainingRun,
    curve_table,
    held_out_losses,
    solved,
    training_figure,
    training_table,
)

Piece = tuple[str, bool]  # text of the headline, and whether it is the number to read first


def build_report(
    title: str, runs: Sequence[ReportRun], trained: Sequence[TrainingRun] = (), *, max_attempts: int = 20_000
) -> str:
    """One self-contained HTML page of these runs, in the order given; the last run's model makes the headline.

    `trained` are training runs to show beside them, or alone.

    `max_attempts` bounds what can be browsed (about 2 kB each), not what is counted; the page says what it left out.

    Raises:
        UsageError: two runs have one name.
    """
    names = [run.name for run in runs] + [run.name for run in trained]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"two runs are named {twice!r}; give each run of a report a name of its own")
    curves = [(f"training-{i}", run) for i, run in enumerate(trained)]
    learnt: dict[str, Any] = {
        "training": training_table(trained),
        "tried_on_the_way": any(solved(run.lines) for run in trained),
        "has_held_out_loss": any(held_out_losses(run.lines) for run in trained),
        "training_runs": [(name, run, curve_table(run.lines)) for name, run in curves],
    }
    drawn = {name: training_figure(run.lines) for name, run in curves}
    if not runs:
        return _without_evaluations(title, trained, learnt, drawn)
    axis = axis_of(runs)
    paired = pairs(runs)
    whole = [pair for pair in paired if pair.split is None]
    by_difficulty = difficulty_figures(runs, axis) if axis else []
    by_share = [(f"shares-{k}", kinds) for k, kinds in enumerate(shares(runs)) if kinds.kinds]
    figures = {f"difficulty-{k}": figure for k, (_, figure) in enumerate(by_difficulty)}
    figures |= drawn | {name: shares_figure(kinds, runs) for name, kinds in by_share} | {"tokens": tokens_figure(runs)}
    sampled_runs = [(f"curves-{i}", run) for i, run in enumerate(runs) if any(run.curves.values())]
    valued = [(f"{i}-{j}", run, name) for i, run in enumerate(runs) for j, name in enumerate(run.quality)]
    figures |= {name: curves_figure(run.curves) for name, run in sampled_runs}
    figures |= {f"reliability-{key}": reliability_figure(run.quality[name]) for key, run, name in valued}
    figures |= {f"steps-{key}": steps_figure(run.quality[name]) for key, run, name in valued}
    body = render(
        "mario.report",
        "report.html.j2",
        title=title,
        meta=_meta(runs),
        headline=headline(runs, paired),
        runs=runs,
        axis=axis,
        legend=list(zip(runs, styles(runs), strict=True))[::-1],  # the main run first
        twins=len({(run.model_label, run.mode) for run in runs}) < len(runs),
        sampled=any(row.trajectory.sample_index for run in runs for row in run.judged),
        difficulty_figures=[(f"difficulty-{k}", caption) for k, (caption, _) in enumerate(by_difficulty)],
        difficulty_table=difficulty_table(runs, axis) if axis else None,
        summary=summary_table(runs),
        paired=paired_table(paired, runs),
        flip_heads=[(pair, _flip_head(pair, runs)) for pair in whole],
        curves=[(name, run, curves_table(run.curves), compared_table(run)) for name, run in sampled_runs],
        quality=quality_table(runs),
        valued=[
            (key, f"{run.name}, valued by {name}", bins_table(run.quality[name]), steps_table(run.quality[name]))
            for key, run, name in valued
        ],
        share_figures=[(name, kinds.title, kinds.table(runs)) for name, kinds in by_share],
        tokens=tokens_table(runs),
        facts=_facts(runs),
        recipes=_recipes([*runs, *trained]),
        **learnt,
    )
    data = attempts(runs, axis, max_attempts) | {"figures": figures, "pairs": [_flips(pair, runs) for pair in whole]}
    return document(
        title,
        body,
        libraries=("katex", "highlight", "plotly"),
        styles=[_own("report.css")],
        scripts=[_own("report.js")],
        data={"report-data": data},
    )


def _without_evaluations(
    title: str, trained: Sequence[TrainingRun], learnt: Mapping[str, Any], figures: Mapping[str, Any]
) -> str:
    body = render(
        "mario.report",
        "report.html.j2",
        title=title,
        meta=_meta(trained) if trained else [],
        headline=training_headline(trained),
        runs=[],
        facts=_facts(trained),
        recipes=_recipes(trained),
        **learnt,
    )
    return document(
        title,
        body,
        libraries=("plotly",) if trained else (),
        styles=[_own("report.css")],
        scripts=[_own("report.js")] if trained else (),
        data={"report-data": {"figures": figures}} if trained else None,
    )


def training_headline(trained: Sequence[TrainingRun]) -> list[Piece]:
    """What the last training run came to."""
    if not trained:
        return [("There are no runs to report.", False)]
    run = trained[-1]
    first, last = run.lines[0], run.lines[-1]
    pieces: list[Piece] = [
        (f"{run.base}, {KINDS[run.manifest.kind]}: the loss went from {first['loss']:.3f} to ", False),
        (f"{run.final_loss:.3f}", True),
        (f" in {last['step']:,} steps and {last['tokens']:,} tokens", False),
    ]
    if not run.is_done:
        pieces.append((", and it has not ended", False))
    tried = solved(run.lines)
    if tried:
        rate = tried[-1][1]
        pieces += [
            ("; of the held-out problems it then solved ", False),
            (percent(rate), True),
            (f" (n = {rate.n})", False),
        ]
    return [*pieces, (".", False)]


def headline(runs: Sequence[ReportRun], paired: Sequence[Pair]) -> list[Piece]:
    """What the report says in one breath: the main model with against without interpreter, else its accuracy."""
    main = runs[-1]
    of_main = [
        pair
        for pair in paired
        if {runs[pair.first].mode, runs[pair.second].mode} == {"code", "text"}
        and runs[pair.first].model_label == main.model_label
    ]
    if not of_main:
        rate = accuracy(main.judged)
        said = f" of its problems {main.mode_label} (n = {rate.n:,}). In brackets: the 95 % interval."
        return [(f"{main.model_label} solves ", False), (percent(rate), True), (said, False)]
    whole, *parts = of_main
    first, second = runs[whole.first], runs[whole.second]
    pieces: list[Piece] = [
        (f"{main.model_label} solves ", False),
        (percent(accuracy(first.judged)), True),
        (" of its problems with the interpreter and ", False),
        (percent(accuracy(second.judged)), True),
        (f" without. On the {whole.comparison.n:,} problems both attempted that is ", False),
        (points(whole.comparison.difference) + " points", True),
    ]
    held_out = next((pair for pair in parts if pair.split == "test-heldout"), None)
    if held_out:
        pair_points = points(held_out.comparison.difference)
        pieces += [
            (f"; on the {held_out.comparison.n:,} from templates never trained on, ", False),
            (pair_points, True),
        ]
    return [*pieces, (". In brackets: 95 % intervals.", False)]


def _flip_head(pair: Pair, runs: Sequence[ReportRun]) -> str:
    count = pair.comparison.only_first + pair.comparison.only_second
    return f"The {count} problems that only {runs[pair.first].name} or only {runs[pair.second].name} solves"


def _flips(pair: Pair, runs: Sequence[ReportRun]) -> dict[str, Any]:
    only_first, only_second = flips(pair, runs)
    return {"first": pair.first, "second": pair.second, "only_first": only_first, "only_second": only_second}


Ran = ReportRun | TrainingRun
Facts = tuple[tuple[str, Callable[[Any], str]], ...]


def _meta(runs: Sequence[Ran]) -> list[str]:
    """The line under the title: what all runs have in common, or of the first with the number of others."""
    facts = dict(_facts(runs))
    shown = [facts[name] for name in ("Code", "Date", "Hardware") if name in facts]
    return [
        f"{len(runs)} runs" if len(runs) > 1 else "1 run",
        *(v[0] if len(v) == 1 else "several: see below" for v in shown),
    ]


def _facts(runs: Sequence[Ran]) -> list[tuple[str, list[str]]]:
    """Name and value of everything that shaped the runs; one line where all agree, else a line for each."""
    of_evaluations: Facts = (("Model", lambda run: run.model_label), ("Decoding", _decoding))
    of_any: Facts = (
        ("Seeds", lambda run: _pairs(run.manifest.seeds) if run.manifest else ""),
        ("Code", _code),
        ("Date", lambda run: run.manifest.started[:10] if run.manifest else ""),
        ("Wall time", lambda run: f"{run.manifest.seconds:,.0f} s" if run.manifest and run.manifest.seconds else ""),
        ("Hardware", _hardware),
    )
    after: Facts = (
        ("Counts", lambda run: _pairs(run.manifest.counts) if run.manifest else ""),
        ("Command", lambda run: run.command or ""),
    )
    evaluated = any(isinstance(run, ReportRun) for run in runs)
    found = []
    for name, of in (*of_evaluations, *of_any, *after) if evaluated else of_any:
        values = [of(run) for run in runs]
        if len(set(values)) == 1:
            lines = values[:1]
        else:
            lines = [f"{run.name}: {value or 'not known'}" for run, value in zip(runs, values, strict=True)]
        if any(values):
            found.append((name, lines))
    return found


def _decoding(run: ReportRun) -> str:
    """As the attempts themselves record it."""
    samplings = {row.trajectory.sampling for row in run.judged}
    formats = sorted({row.trajectory.format for row in run.judged})
    samples = 1 + max((row.trajectory.sample_index for row in run.judged), default=0)
    kinds = sorted(
        f"greedy, at most {s.max_new_tokens} new tokens a completion"
        if s.temperature == 0
        else f"temperature {s.temperature:g}, top-p {s.top_p:g}, at most {s.max_new_tokens} new tokens a completion"
        for s in {(s.temperature, s.top_p, s.max_new_tokens): s for s in samplings}.values()
    )
    return "; ".join([*kinds, f"{samples} a problem, {', '.join(formats)} format"]) if kinds else ""


def _code(run: Ran) -> str:
    if run.manifest is None:
        return ""
    code = run.manifest.code
    commit = f", commit {str(code['commit'])[:12]}" if code.get("commit") else ""
    return f"mario {code.get('version', 'unknown')}{commit}{' with changes not committed' if code.get('dirty') else ''}"


def _hardware(run: Ran) -> str:
    if run.manifest is None:
        return ""
    parts = dict(run.manifest.hardware)
    memory = parts.pop("memory_mib", None)
    cores = parts.pop("cores", None)
    named = [str(parts.pop(name)) for name in ("processor", "gpu", "machine", "system") if parts.get(name)]
    sizes = [f"{cores} cores"] * (cores is not None) + ([f"{memory / 1024:.0f} GiB"] if memory else [])
    return ", ".join([*named, *sizes, *(f"{name} {value}" for name, value in parts.items())])


def _pairs(values: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _recipes(runs: Sequence[Ran]) -> list[tuple[Ran, str]]:
    return [(run, _recipe(run)) for run in runs if run.manifest]


def _recipe(run: Ran) -> str:
    manifest = to_json(run.manifest)
    kept = {name: manifest[name] for name in ("kind", "recipe", "inputs", "packages", "hardware") if name in manifest}
    return json.dumps(kept, indent=2, ensure_ascii=False)


def _own(name: str) -> str:
    return (files("mario.report") / name).read_text("utf-8")
