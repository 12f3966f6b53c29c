"""Choosing and values in a report: pictures and tables say what the summary says, and values stand by their turns."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mario.evaluate.metrics import Judged, pass_at
from mario.evaluate.summary import Choosing, choosing
from mario.report import ReportRun, build_report
from mario.report.choosing import (
    bins_table,
    compared_table,
    curves_figure,
    curves_table,
    quality_table,
    reliability_figure,
    steps_figure,
)
from mario.solve.vote import VoteConfig
from mario.value import OvmCard, Valued
from mario.value.calibrate import sigmoid
from report_samples import TRAINED, manifest, problem, solved
from test_report import data_of
from test_report_browser import CHROMIUM, drive


def valued_run(n: int = 40, samples: int = 4, models: tuple[str, ...] = ("judge",)) -> tuple[ReportRun, Choosing]:
    """Several samples a problem, and values that grow surer from turn to turn."""
    judged: list[Judged] = [solved(problem(i), TRAINED, "code", k) for i in range(n) for k in range(samples)]
    values = []
    for model in models:
        draw = random.Random(model)
        logits = {
            (row.problem.id, row.trajectory.sample_index): tuple(
                draw.gauss((1 if row.correct else -1) * (0.3 + step), 1.0) for step in range(len(row.trajectory.steps))
            )
            for row in judged
        }
        values.append(Valued(model, OvmCard(), logits))
    choice = choosing(judged, values, VoteConfig())
    curves = {"pass": {k: pass_at(judged, k) for k in (1, 2, 4)}}
    curves |= {name: {int(k): rate for k, rate in rates.items()} for name, rates in choice.rates.items()}
    run = ReportRun(
        "trained",
        TRAINED,
        "code",
        judged,
        manifest=manifest(),
        curves=curves,
        compared=choice.compared,
        quality=choice.values,
        values={key: tuple(map(sigmoid, found)) for key, found in values[0].log_odds.items()},
        valued_by=models[0],
    )
    return run, choice


def test_the_picture_of_choosing_and_its_table_say_what_the_summary_says() -> None:
    run, choice = valued_run(models=("good", "other"))
    figure = curves_figure(run.curves)
    lines = {trace["name"]: trace for trace in figure["data"] if "name" in trace}
    assert list(lines) == ["any of k is right (oracle)", "majority", *(n for n in choice.rates if n != "majority")]
    assert (
        len({(line["line"]["color"], line["line"]["dash"], line["marker"]["symbol"]) for line in lines.values()}) == 8
    )
    for name, rates in choice.rates.items():
        assert lines[name]["y"] == pytest.approx([100 * rate.value for rate in rates.values()])
    assert sum(trace.get("fill") == "toself" for trace in figure["data"]) == len(lines)
    table = curves_table(run.curves)
    assert table.header == ("strategy", "k = 1", "k = 2", "k = 4")
    assert len(table.rows) == 8
    assert compared_table(run).rows[0][0].text == "ovm by good − majority"


def test_the_pictures_of_values_hold_every_bin_and_every_turn() -> None:
    run, choice = valued_run()
    quality = choice.values["judge"]
    diagonal, points = reliability_figure(quality)["data"]
    assert (diagonal["x"], diagonal["y"]) == ([0, 1], [0, 100])
    assert points["y"] == pytest.approx([100 * b.right.value for b in quality.bins])
    assert len(bins_table(quality).rows) == len(quality.bins)
    auroc, right, wrong = steps_figure(quality)["data"]
    assert auroc["y"] == pytest.approx([s.auroc.value for s in quality.steps])
    assert all(r > w for r, w in zip(right["y"], wrong["y"], strict=True))
    (row,) = quality_table([run]).rows
    assert [cell.text for cell in row[:3]] == ["trained", "judge", "160"]


def test_a_report_without_samples_or_values_has_neither_section() -> None:
    run, _ = valued_run()
    page = build_report("t", [replace(run, curves={}, compared={}, quality={}, values={}, valued_by=None)])
    assert 'id="choosing"' not in page
    assert 'id="values"' not in page
    assert "values" not in data_of(page)["attempts"][0]


def test_every_attempt_carries_its_values_turn_by_turn() -> None:
    run, _ = valued_run()
    found = data_of(build_report("t", [run]))
    assert found["runs"][0]["judge"] == "judge"
    for attempt in found["attempts"]:
        key = found["problems"][attempt["problem"]]["id"], attempt["sample"]
        assert attempt["values"] == pytest.approx(run.values[key], abs=1e-4)
        assert len(attempt["values"]) == len(attempt["steps"])
    # A worked example before the question is a turn of the model too, in some formats: the last values are the steps'.
    longer = replace(run, values={key: (0.5, *values) for key, values in run.values.items()})
    assert data_of(build_report("t", [longer]))["attempts"] == found["attempts"]


def test_the_json_of_a_report_holds_no_nan() -> None:
    run, _ = valued_run(n=1, samples=2)
    page = build_report("t", [run])
    found = re.search(r'id="report-data">(.*?)</script>', page, re.DOTALL)
    assert found
    json.loads(found[1], parse_constant=lambda name: pytest.fail(name))


@pytest.mark.full
@pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER: pages were not looked at; apt-get install chromium")
def test_values_are_drawn_and_said(tmp_path: Path) -> None:
    run, _ = valued_run(n=12)
    got: dict[str, Any] = drive(
        build_report("t", [run]),
        """
        await wait(300);
        const first = all("#list details")[0];
        first.open = true;
        await wait(300);
        return {
          plots: all("#choosing .main-svg, #values .main-svg").length > 3,
          strips: all("#list .strip").length, cells: first.querySelectorAll(".strip i").length,
          steps: first.querySelectorAll(".step.valued").length, said: first.querySelector(".strip").title,
          label: first.querySelector(".step .label").textContent,
          colours: new Set(all("#list .strip i").map((i) => getComputedStyle(i).backgroundColor)).size,
          fits: document.documentElement.scrollWidth <= innerWidth,
        };
        """,
        tmp_path,
    )
    assert got["faults"] == [] and got["refused"] == []
    seen = got["seen"]
    assert seen["plots"] and seen["fits"]
    assert seen["strips"] == 48
    assert seen["cells"] == seen["steps"] > 0
    assert seen["colours"] > 10
    assert re.match(r"values by judge, turn by turn: \d\.\d\d", seen["said"])
    assert re.match(r"Step 1 · value \d\.\d\d\d", seen["label"])
