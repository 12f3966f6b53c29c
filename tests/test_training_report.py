"""The page of training runs. What must stay true:

- a trained directory has a page: its curve, what it solved on the way, and a table with the same numbers;
- a run that still trains has one too, and says that it has not ended;
- beside evaluations it is a section of their page;
- a curve of any length is drawn from a bounded number of points.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mario.cli.report import ReportConfig, make_report
from mario.errors import DataError, UsageError
from mario.estimate import wilson
from mario.provenance import make_manifest, to_json
from mario.report import TrainingRun, build_report, training_table
from mario.report.training import curve_table, training_figure
from mario.store.jsonl import write_json
from report_samples import four_runs


def lines(steps: int, **parts: float) -> list[dict[str, Any]]:
    return [{"step": i, "loss": 4 / i, "tokens": 100 * i, "seconds": i / 2, **parts} for i in range(1, steps + 1)]


def directory(root: Path, metrics: list[dict[str, Any]], kind: str = "sft", seconds: float | None = 5.0) -> Path:
    root.mkdir(parents=True)
    manifest = to_json(make_manifest(kind, {"model": "tiny", "train": {}}, inputs={}, seeds={"train": 7}))
    write_json(root / "manifest.json", manifest | {"seconds": seconds})
    (root / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in metrics))
    return root


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', page, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_a_trained_directory_has_a_page(tmp_path: Path) -> None:
    metrics = lines(60)
    metrics[29]["heldout"] = to_json(wilson(3, 10))
    metrics[59]["heldout"] = to_json(wilson(6, 10))
    text = make_report(ReportConfig((directory(tmp_path / "model", metrics),)), tmp_path / "r.html")
    assert [line.split()[0] for line in text.splitlines()] == ["training", "model"]
    assert "60.0 %" in text
    page = (tmp_path / "r.html").read_text()
    assert "tiny, fine-tuning: the loss went from 4.000 to" in page and "not ended" not in page
    assert "in 60 steps and 6,000 tokens" in page and "train 7" in page
    (figure,) = data_of(page)["figures"].values()
    assert [trace["name"] for trace in figure["data"]] == ["loss", "loss, running mean", "held-out problems solved"]
    rows = curve_table(metrics).texts()
    assert [row[0] for row in rows if row[-1] != "–"] == ["30", "60"]  # those are in the table, whatever else is
    assert rows[0][:2] == ("1", "100") and len(rows) <= 14


def test_a_run_that_still_trains_has_one(tmp_path: Path) -> None:
    root = directory(tmp_path / "model", lines(3), seconds=None)
    assert "3 so far" in make_report(ReportConfig((root,)), tmp_path / "r.html")
    assert "it has not ended" in (tmp_path / "r.html").read_text()
    with pytest.raises(DataError, match="no step of this training run is done yet"):
        make_report(ReportConfig((directory(tmp_path / "new", [], seconds=None),)), tmp_path / "r.html")


def test_beside_evaluations_it_is_a_section() -> None:
    run = TrainingRun("model", make_manifest("ovm", {"model": "tiny"}, inputs={}, seeds={}), lines(5, value_loss=0.5))
    page = build_report("t", four_runs(12), [run])
    assert page.index("<h2>Accuracy") < page.index("<h2>Training") < page.index("<h2>Attempts")
    assert "training-0" in data_of(page)["figures"] and len(data_of(page)["attempts"]) == 48
    assert "<h2>Training" not in build_report("t", four_runs(12))
    with pytest.raises(UsageError, match="two runs are named 'model'"):
        build_report("t", [], [run, run])


def test_parts_of_a_loss_are_lines_of_their_own() -> None:
    metrics = lines(40, lm_loss=1.5, value_loss=0.5)
    assert [trace["name"] for trace in training_figure(metrics)["data"]][2:] == ["language loss", "value loss"]
    assert curve_table(metrics).header == ("step", "tokens", "loss, running mean", "language loss", "value loss")
    assert {row[3:] for row in curve_table(metrics).texts()} == {("1.500", "0.500")}


@pytest.mark.parametrize("steps", [1, 2, 11, 2001, 30_000])
def test_a_curve_of_any_length(steps: int) -> None:
    metrics = lines(steps)
    loss, mean, *_ = training_figure(metrics)["data"]
    assert len(loss["x"]) == len(mean["y"]) <= 2000
    shown = curve_table(metrics).texts()
    assert shown[0][0] == "1" and shown[-1][1] == f"{100 * steps:,}"
    run = TrainingRun("m", make_manifest("lm", {"model": "tiny"}, inputs={}, seeds={}), metrics)
    assert training_table([run]).texts()[0][3] == f"{steps:,} so far"
