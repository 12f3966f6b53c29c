"""What choosing is worth: rates over all sets of k samples, against enumeration and closed forms."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario.evaluate.choices import MAJORITY, Rule, Samples, compare_rules, curves, outcomes, sampled
from mario.evaluate.metrics import Judged, pass_at_k
from mario.evaluate.summary import choosing
from mario.grade import group
from mario.solve.vote import STRATEGIES, VoteConfig
from mario.types import Problem, Sampling, StopReason, Trajectory, Verdict, VerdictStatus
from mario.value import OvmCard, Valued

OVM = Rule(VoteConfig("ovm"), "v")
RULES: dict[str, Rule] = {
    name: Rule(VoteConfig(name), None if name in ("first", "majority") else "v") for name in STRATEGIES
}


@st.composite
def problems(draw: st.DrawFn, most: int = 8) -> Samples:
    n = draw(st.integers(1, most))
    names = draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n))
    right = draw(st.integers(0, 3))
    values = draw(st.lists(st.floats(-9, 9), min_size=n, max_size=n, unique=True))
    classes: dict[int, list[int]] = {}
    for index, name in enumerate(names):
        if name >= 0:
            classes.setdefault(name, []).append(index)
    return Samples(
        "p", tuple(map(tuple, classes.values())), tuple(name == right for name in names), {"v": tuple(values)}
    )


@given(problems(), st.integers(1, 8))
def test_best_of_k_is_its_closed_form(one: Samples, k: int) -> None:
    n = len(one.correct)
    if k > n:
        assert curves([one], {"ovm": OVM}, [k])["ovm"][k].n == 0
        return
    # The sample of rank r is the best answered one of a set with C(n - 1 - r, k - 1) of the C(n, k) sets, where
    # samples without an answer rank below all others, and a set of these alone is wrong.
    answered = {i for members in one.classes for i in members}
    ranked = sorted(range(n), key=lambda i: (i not in answered, -one.log_odds["v"][i]))
    share = sum(
        math.comb(n - 1 - r, k - 1) for r, i in enumerate(ranked) if one.correct[i] and i in answered
    ) / math.comb(n, k)
    assert curves([one], {"ovm": OVM}, [k])["ovm"][k].value == pytest.approx(share)


@given(problems())
def test_no_strategy_passes_the_oracle_and_at_one_all_are_alike(one: Samples) -> None:
    n = len(one.correct)
    found = curves([one], RULES, range(1, n + 1))
    for k in range(1, n + 1):
        ceiling = pass_at_k(sum(one.correct), n, k)
        assert all(rates[k].value <= ceiling + 1e-12 for rates in found.values())
    assert {round(rates[1].value, 12) for rates in found.values()} == {round(sum(one.correct) / n, 12)}


@given(problems(most=5))
def test_rates_are_means_over_all_sets(one: Samples) -> None:
    n = len(one.correct)
    for k in range(1, n + 1):
        for name, rule in RULES.items():
            sets = [rule.chooses_right(one, one.among(some)) for some in itertools.combinations(range(n), k)]
            assert curves([one], {name: rule}, [k])[name][k].value == pytest.approx(sum(sets) / len(sets))


def test_beyond_what_can_be_gone_through_sets_are_drawn_and_come_near() -> None:
    # 30 samples, 10 right ones of one answer: maj@5 by the hypergeometric law, all other answers being distinct.
    classes = [tuple(range(10)), *((i,) for i in range(10, 30))]
    many = [Samples(f"p{i}", tuple(classes), tuple(k < 10 for k in range(30))) for i in range(300)]
    found = curves(many, {"majority": MAJORITY}, [5])["majority"][5]
    # Right wins when two or more agree, and alone when it comes first, as the right ones here all do.
    exact = sum(math.comb(10, r) * math.comb(20, 5 - r) for r in range(1, 6)) / math.comb(30, 5)
    assert found.value == pytest.approx(exact, abs=0.01)
    assert found == curves(many, {"majority": MAJORITY}, [5])["majority"][5]


def judged(name: str, answers: list[str | None], truth: str) -> list[Judged]:
    rows = []
    for k, answer in enumerate(answers):
        status = VerdictStatus.EQUIVALENT if answer == truth else VerdictStatus.DIFFERENT
        stop = StopReason.ANSWERED if answer is not None else StopReason.NO_ACTION
        trajectory = Trajectory(name, k, "inline", "m", Sampling(), (), stop, answer)
        rows.append(Judged(Problem(name, "?", truth, "s", "dev"), trajectory, Verdict(status, "")))
    return rows


def test_values_meet_their_samples_and_a_missing_value_loses() -> None:
    rows = judged("a", ["7", "8", None, "8"], "7")
    found = sampled(rows, group, {"v": {("a", 0): (9.0, 2.0), ("a", 1): (9.0, 1.0), ("a", 2): (5.0,)}})[0]
    assert found.log_odds["v"] == (2.0, 1.0, 5.0, -math.inf)
    assert found.classes == ((0,), (1, 3))
    assert outcomes([found], OVM) == {"a": True}
    assert outcomes([found], MAJORITY) == {"a": False}
    compared = compare_rules([found], OVM, MAJORITY)
    assert (compared.only_first, compared.only_second, compared.n) == (1, 0, 1)


def test_a_summary_says_every_strategy_by_every_model() -> None:
    rows = [row for i in range(6) for row in judged(f"p{i}", ["1", "2", "2", "3"], "1")]
    log_odds: dict[tuple[str, int], tuple[float, ...]] = {
        (f"p{i}", k): (float(-k),) for i in range(6) for k in range(4)
    }
    one = choosing(rows, [Valued("good", OvmCard(), log_odds)], VoteConfig("ovm"))
    assert one.rates["ovm"]["4"].value == 1.0
    assert one.rates["majority"]["4"].value == 0.0
    assert one.rates["outlier-free"]["4"].value == 0.0  # the right answer stood alone
    assert (one.chosen.value, one.model) == (1.0, "good")
    assert one.compared["ovm"].only_first == 6
    assert one.values["good"].within.value == 1.0
    flipped: dict[tuple[str, int], tuple[float, ...]] = {key: (-values[0],) for key, values in log_odds.items()}
    both = choosing(rows, [Valued("bad", OvmCard(), flipped), Valued("good", OvmCard(), log_odds)], VoteConfig())
    assert {"ovm by bad", "ovm by good", "weighted by good"} <= both.rates.keys()
    assert both.rates["ovm by bad"]["4"].value == 0.0
    assert list(both.rates["majority"]) == ["1", "2", "4"]


def test_one_sample_a_problem_has_no_curve() -> None:
    assert choosing(judged("a", ["1"], "1"), [], VoteConfig()).rates == {}
    assert choosing([], [], VoteConfig()).chosen.n == 0


@settings(max_examples=20)
@given(st.integers(2, 20))
def test_the_largest_k_is_the_number_of_samples(samples: int) -> None:
    found = choosing(judged("a", ["1"] * samples, "1"), [], VoteConfig())
    assert max(map(int, found.rates["majority"])) == samples


def test_an_evaluation_is_scored_chosen_from_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mario.cli.app import main
    from mario.data.readers import write_problems
    from ovm_fixtures import tiny_ovm
    from tiny import tiny_model

    model, judge = str(tiny_model(tmp_path / "model")), str(tiny_ovm(tmp_path / "judge"))
    write_problems(tmp_path / "problems.jsonl", [Problem(f"p{i}", f"{i}?", str(i), "s", "dev") for i in range(3)])
    command = [
        *("evaluate", str(tmp_path / "problems.jsonl"), "--engine.model", model, "--out", str(tmp_path / "run")),
        *("--solve.samples", "4", "--solve.temperature", "1", "--solve.max_new_tokens", "12", "--json"),
    ]
    assert main([*command, "--select", "ovm"]) == 2
    assert "needs values; name a value model: --value.model" in capsys.readouterr().err
    assert main([*command, "--select", "weighted", "--value.model", judge]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["choosing"]["select"]["strategy"] == "weighted"
    assert first["choosing"]["model"] == "judge"
    assert set(first["choosing"]["rates"]) == {"majority", "ovm", "outlier-free", "weighted"}
    assert first["choosing"]["values"]["judge"]["samples"] == 12
    assert main(["value", str(tmp_path / "run"), "--model", judge, "--name", "second"]) == 0
    assert "second: 12 attempts" in capsys.readouterr().out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert {"weighted by judge", "weighted by second"} <= summary["choosing"]["rates"].keys()
    assert summary["choosing"]["select"]["strategy"] == "weighted"  # what was asked for before still stands
    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "report.html")]) == 0
    assert "weighted by second@4" in capsys.readouterr().out
    assert main(command) == 0  # without a strategy, and nothing is attempted or scored again
    assert "choosing" in json.loads(capsys.readouterr().out)


def test_a_question_is_answered_by_a_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mario.cli.app import main
    from mario.cli.solve import count_table
    from mario.solve.vote import tally
    from ovm_fixtures import tiny_ovm
    from tiny import tiny_model

    samples = [row.trajectory for row in judged("q", ["7", "8", None, "8", "9"], "8")]
    log_odds = [1.0, 0.0, 3.0, -1.0, 4.0]
    select = VoteConfig("outlier-free")
    shown = count_table(samples, tally(group([t.answer for t in samples]), log_odds, select), log_odds, select)
    assert shown.splitlines()[1:3] == [
        "outlier-free: 5 samples, 1 without an answer",
        "→ 8  (2 of 5, value 0.500 at best, 0.769 together)",
    ]
    assert shown.splitlines()[3] == "  9  (1 of 5, value 0.982 at best, 0.982 together, too little support)"
    model, judge = str(tiny_model(tmp_path / "model")), str(tiny_ovm(tmp_path / "judge"))
    command = ["solve", "1 + 1?", "--engine.model", model, "--solve.max_new_tokens", "8"]
    assert main([*command, "--select", "majority"]) == 2
    assert "chooses among samples; add, for example: --solve.samples 8" in capsys.readouterr().err
    several = [*command, "--solve.samples", "3", "--solve.temperature", "1"]
    assert main([*several, "--select", "ovm"]) == 2
    assert "no value model named" in capsys.readouterr().err
    code = main([*several, "--select", "ovm", "--value.model", judge, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (code, found["answer"], len(found["samples"]), len(found["log_odds"])) == (1, None, 3, 3)


def test_a_generator_with_a_value_head_is_its_own_value_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where none is named: said in a line, and its values are those that it gave while it wrote."""
    from mario.cli.app import main
    from mario.data.readers import write_problems
    from ovm_fixtures import tiny_ovm

    model, judge = str(tiny_ovm(tmp_path / "both")), str(tiny_ovm(tmp_path / "judge", seed=1))
    said = f"value.model is {model}, the generator itself"
    engine = ["--engine.model", model, "--engine.dtype", "float32"]
    sampling = ["--solve.samples", "3", "--solve.temperature", "1", "--solve.max_new_tokens", "8"]
    write_problems(tmp_path / "problems.jsonl", [Problem(f"p{i}", f"{i}?", str(i), "s", "dev") for i in range(2)])
    run = tmp_path / "run"
    command = ["evaluate", str(tmp_path / "problems.jsonl"), *engine, "--out", str(run), *sampling, "--json"]
    assert main(command) == 0
    assert not (run / "values").exists()  # nobody asked for them
    assert said not in capsys.readouterr().err
    assert main([*command, "--select", "ovm"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["choosing"]["model"] == "both"
    assert shown.err.count(said) == 1
    given, kept = (
        [json.loads(line)[name] for line in (run / folder / "00000.jsonl").read_text().splitlines()]
        for folder, name in (("trajectories", "values"), ("values/both", "logits"))
    )
    assert kept == given and all(given)
    manifest = json.loads((run / "values" / "both" / "manifest.json").read_text())
    assert manifest["recipe"]["dtype"] == "float32"  # the engine's
    identity = manifest["inputs"]["model"].removeprefix("sha256:")[:12]
    assert identity in (run / "manifest.json").read_text()  # which names the generator by it
    assert main([*command, "--select", "ovm", "--value.model", judge]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["choosing"]["model"] == "judge"
    assert said not in shown.err

    assert main(["solve", "1 + 1?", *engine, *sampling, "--select", "ovm", "--json"]) in (0, 1)
    shown = capsys.readouterr()
    assert len(json.loads(shown.out)["log_odds"]) == 3
    assert said in shown.err
