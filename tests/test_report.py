"""A report is a pure function of stored results, and each number in it is counted right and can be followed."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from typing import Any

import pytest

from mario.errors import UsageError
from mario.evaluate.metrics import Estimate, Judged, accuracy, compare
from mario.report import ReportRun, build_report, summary_markdown, summary_rows, summary_table
from mario.report.attempts import TEXT_CHARACTERS, attempts
from mario.report.figures import difficulty_figures, shares_figure, tokens_figure
from mario.report.page import headline
from mario.report.paired import flips, pairs
from mario.report.runs import axis_of, find, problem_anchor, styles
from mario.report.tables import difficulty_table, paired_table, percent, points, shares, tokens_table
from mario.types import Verdict, VerdictStatus
from report_samples import BASE, HOSTILE, TRAINED, four_runs, hostile_run, problem, run, solved
from test_page import Elements


def data_of(page: str) -> dict[str, Any]:
    block = next(text for attrs, text in Elements(page).scripts if attrs.get("id") == "report-data")
    return json.loads(block)


def without_levels(runs: list[ReportRun]) -> list[ReportRun]:
    """The same runs on problems that tell no difficulty and have one split, as GSM8K."""

    def plain(row: Judged) -> Judged:
        return dataclasses.replace(row, problem=dataclasses.replace(row.problem, level=None, tags={}, split="test"))

    return [dataclasses.replace(r, judged=[plain(row) for row in r.judged]) for r in runs]


def test_summary_rows_are_the_metrics_own_numbers() -> None:
    runs = four_runs(40)
    rows = summary_rows(runs)
    assert [row.split for row in rows[:3]] == [None, "test-shared", "test-heldout"]
    assert [row.run for row in rows] == [r.name for r in runs for _ in range(3)]
    last = [row for row in rows if row.run == "trained-code"]
    assert last[0].accuracy == accuracy(runs[3].judged)
    assert last[2].accuracy == accuracy(row for row in runs[3].judged if row.problem.split == "test-heldout")
    assert last[1].accuracy.n + last[2].accuracy.n == last[0].accuracy.n == 40


def test_failures_and_unscored_stand_beside_the_rate_and_not_in_it() -> None:
    whole = run("a", TRAINED, "code", 20, failures=3)
    broken = [dataclasses.replace(r, verdict=Verdict(VerdictStatus.REFERENCE_UNPARSED, "?")) for r in whole.judged[:5]]
    rows = summary_rows([dataclasses.replace(whole, judged=[*broken, *whole.judged[5:]])])
    assert (rows[0].failures, rows[0].unscored, rows[0].accuracy.n) == (3, 5, 15)
    assert rows[1].failures is None  # a failure has no split, so no row of one split may claim it


def test_estimates_made_elsewhere_become_columns() -> None:
    runs = [dataclasses.replace(run("a", TRAINED, "code", 8), estimates={"maj@8": Estimate(0.5, 0.25, 0.75, 8)})]
    table = summary_table([*runs, run("b", TRAINED, "text", 8)])
    at = table.header.index("maj@8")
    assert [row[at] for row in table.texts()] == ["50.0 % (25.0–75.0)", "–", "–", "–", "–", "–"]


def test_markdown_keeps_its_columns_whatever_a_model_is_called() -> None:
    lines = summary_markdown([run("a", TRAINED, "code", 4), *[hostile_run()]]).splitlines()
    odd = dataclasses.replace(run("a", TRAINED, "code", 4), model_label="a|b\n<c>\\")
    lines += summary_markdown([odd]).splitlines()
    assert {line.replace("\\|", "").count("|") for line in lines} == {10}


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (Estimate(0.973, 0.941, 0.9881, 150), "97.3 % (94.1–98.8)"),
        (Estimate(0.5, math.nan, math.nan, 1), "50.0 %"),
        (Estimate(math.nan, math.nan, math.nan, 0), "–"),
    ],
)
def test_rates_are_written_with_their_interval(rate: Estimate, text: str) -> None:
    assert percent(rate) == text


def test_differences_are_written_in_points() -> None:
    assert points(Estimate(-0.05, -0.1, 0.0, 9)) == "−5.0 (−10.0 to +0.0)"


def test_the_axis_is_digits_then_levels_then_nothing() -> None:
    runs = [run("a", TRAINED, "code", 8)]
    axis = axis_of(runs)
    assert axis is not None
    assert (axis.title, axis.values) == ("Number of digits", ("1", "2", "3", "4"))
    levels = [
        dataclasses.replace(row, problem=dataclasses.replace(row.problem, level=level, tags={}))
        for row, level in zip(runs[0].judged, ["10", "2", "Level ?", None] * 2, strict=True)
    ]
    axis = axis_of([dataclasses.replace(runs[0], judged=levels)])
    assert axis is not None
    assert (axis.title, axis.values) == ("Level", ("2", "10", "Level ?"))
    assert axis_of(without_levels(runs)) is None


def test_the_picture_and_its_table_say_what_the_metrics_say() -> None:
    runs = four_runs(80)
    axis = axis_of(runs)
    assert axis is not None
    figures = difficulty_figures(runs, axis)
    assert [caption for caption, _ in figures] == [
        "Templates seen in training, new numbers (test-shared)",
        "Templates never trained on (test-heldout)",
    ]
    wanted = accuracy(r for r in runs[3].judged if r.problem.split == "test-heldout" and r.problem.tags["digits"] == 3)
    trace = figures[1][1]["data"][3]
    assert trace["y"][2] == pytest.approx(100 * wanted.value)
    assert trace["y"][2] + trace["error_y"]["array"][2] == pytest.approx(100 * wanted.high)
    assert trace["y"][2] - trace["error_y"]["arrayminus"][2] == pytest.approx(100 * wanted.low)
    row = next(r for r in difficulty_table(runs, axis).rows if r[0].text == "trained-code" and "held" in r[1].text)
    assert row[4].text == f"{percent(wanted, 0)}, n {wanted.n}"
    assert row[4].link == find(run=3, split="test-heldout", difficulty="3")


def test_a_split_without_levels_has_no_empty_picture() -> None:
    (one,) = four_runs(8)[:1]
    plain = [
        dataclasses.replace(row, problem=dataclasses.replace(row.problem, split="test", level=None, tags={}))
        for row in one.judged
    ]
    both = dataclasses.replace(one, judged=[*one.judged, *plain])
    axis = axis_of([both])
    assert axis is not None
    assert [caption for caption, _ in difficulty_figures([both], axis)] == [
        "Templates seen in training, new numbers (test-shared)",
        "Templates never trained on (test-heldout)",
    ]


def test_runs_differ_by_more_than_colour() -> None:
    found = styles(four_runs(4))
    assert len({(style.colour, style.dash, style.symbol) for style in found}) == 4
    assert found[3].dash == "solid" and found[0].dash != "solid"
    assert found[0].colour == found[2].colour != found[1].colour == found[3].colour
    same = [dataclasses.replace(run("a", TRAINED, "code", 4), name=name) for name in "abc"]
    assert len({style.colour for style in styles(same)}) == 3


def test_pairs_are_compared_on_common_problems() -> None:
    runs = four_runs(80)
    found = {(p.first, p.second, p.split): p.comparison for p in pairs(runs)}
    assert found[3, 2, None] == compare(runs[3].judged, runs[2].judged)
    assert found[3, 1, None].n == 60  # the base model attempted fewer
    assert {(first, second) for first, second, _ in found} == {(1, 0), (3, 2), (2, 0), (3, 1)}
    assert found[3, 2, "test-shared"].n + found[3, 2, "test-heldout"].n == 80


def test_flips_are_the_problems_the_comparison_counts() -> None:
    runs = four_runs(80)
    for pair in pairs(runs):
        only_first, only_second = flips(pair, runs)
        assert len(only_first) == pair.comparison.only_first
        assert len(only_second) == pair.comparison.only_second
    table = paired_table(pairs(runs), runs)
    assert next(row for row in table.rows if row[0].text.startswith("trained-code"))[4].link == "#flips-3-2"


def test_runs_without_common_problems_are_not_compared() -> None:
    second = dataclasses.replace(run("b", TRAINED, "text", 8))
    moved = [
        dataclasses.replace(r, problem=dataclasses.replace(r.problem, id="x" + r.problem.id)) for r in second.judged
    ]
    assert pairs([run("a", TRAINED, "code", 8), dataclasses.replace(second, judged=moved)]) == []


def test_shares_count_every_attempt_and_every_snippet_once() -> None:
    runs = four_runs(80)
    stop, verdict, status = shares(runs)
    assert [sum(count.values()) for count in stop.counts] == [len(r.judged) for r in runs]
    assert [sum(count.values()) for count in verdict.counts] == [len(r.judged) for r in runs]
    assert status.counts[2] == {}  # no interpreter, no answers
    figure = shares_figure(status, runs)
    assert all(trace["y"] == ["base-code", "trained-code"] for trace in figure["data"])
    assert [sum(trace["x"][i] for trace in figure["data"]) for i in range(2)] == pytest.approx([100, 100])


def test_the_histogram_holds_every_attempt() -> None:
    runs = four_runs(80)
    for trace in tokens_figure(runs)["data"]:
        assert sum(trace["y"]) == pytest.approx(100)
        assert len(trace["x"]) == len(trace["y"]) <= 26
    assert tokens_table(runs).texts()[0][4] == "256"


def test_the_headline_is_about_the_last_model() -> None:
    runs = four_runs(80)
    said = "".join(text for text, _ in headline(runs, pairs(runs)))
    assert said.startswith(f"{TRAINED} solves {percent(accuracy(runs[3].judged))}")
    assert "templates never trained on" in said
    alone = "".join(text for text, _ in headline(runs[:1], []))
    assert alone.startswith(f"{BASE} solves ") and "without interpreter (n = 60)" in alone


def test_the_same_runs_give_the_same_bytes() -> None:
    assert build_report("t", four_runs(12)) == build_report("t", four_runs(12))


def test_a_report_without_levels_drops_the_picture_and_nothing_else() -> None:
    page = build_report("t", without_levels(four_runs(12)))
    assert "difficulty-0" not in page.split("<script")[0]
    assert "Number of digits" not in page
    assert set(data_of(page)["figures"]) == {"shares-0", "shares-1", "shares-2", "tokens"}


def test_a_report_of_nothing_is_a_page() -> None:
    assert "There are no runs to report." in build_report("t", [])
    page = build_report("t", [ReportRun("a", "m", "code", [])])
    assert "m solves <strong>–</strong>" in page
    assert data_of(page)["attempts"] == []


def test_two_runs_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="two runs are named 'a'"):
        build_report("t", [run("a", TRAINED, "code", 2), run("a", TRAINED, "text", 2)])


def test_every_attempt_is_embedded_and_every_problem_once() -> None:
    runs = four_runs(30)
    data = data_of(build_report("t", runs))
    assert len(data["attempts"]) == 120 and len(data["problems"]) == 30
    first = data["attempts"][-1]
    judged = runs[3].judged[-1]
    assert data["problems"][first["problem"]]["id"] == judged.problem.id
    assert first["answer"] == judged.trajectory.answer
    assert first["steps"][0]["code"] == judged.trajectory.steps[0].code


def test_attempts_over_the_limit_are_left_out_evenly_and_said() -> None:
    data = attempts(four_runs(30), None, limit=40)
    assert [sum(row["run"] == i for row in data["attempts"]) for i in range(4)] == [10] * 4
    assert data["left_out"] == 80


def test_a_text_of_a_megabyte_is_cut_and_says_so() -> None:
    data = attempts([hostile_run()], None, limit=9)
    output = data["attempts"][0]["steps"][0]["output"]
    assert len(output) < TEXT_CHARACTERS + 100
    assert output.endswith("980,000 more characters are in the stored trajectory")


def test_samples_of_one_problem_are_one_problem() -> None:
    judged = [solved(problem(i), TRAINED, "text", sample) for i in range(10) for sample in range(3)]
    runs = [ReportRun("a", TRAINED, "text", judged)]
    assert summary_rows(runs)[0].accuracy.n == 10
    page = build_report("t", runs)
    assert "averaged over the samples" in page
    assert len(data_of(page)["attempts"]) == 30


def test_hostile_text_adds_no_element_and_no_handler() -> None:
    page = build_report(HOSTILE, [hostile_run()])
    page.encode("utf-8")
    hostile, plain = Elements(page), Elements(build_report("t", [run("a", TRAINED, "code", 2)]))
    assert len(hostile.scripts) == len(plain.scripts)
    assert {tag for tag, _ in hostile.tags} <= {tag for tag, _ in plain.tags} | {"path"}
    assert not any(name.startswith("on") for _, attrs in hostile.tags for name in attrs)
    assert data_of(page)["problems"][0]["question"] == HOSTILE
    assert "49" not in page.split("<h1>")[1].split("</h1>")[0]  # {{ 7*7 }} is text, not a template


def test_links_survive_odd_ids() -> None:
    assert problem_anchor("math/test/a b#1?") == "#math/test/a%20b%231%3F"
    assert find(split="a&b=c", run=0, stop=None) == "#find?split=a%26b%3Dc&run=0"


def test_a_page_without_attempts_is_small() -> None:
    page = build_report("t", [dataclasses.replace(r, judged=[]) for r in four_runs(4)])
    assert len(page.encode()) < 3_000_000


def test_importing_the_report_brings_no_torch() -> None:
    code = "import sys, mario.report; print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
