"""How far values can be trusted, held against definitions, closed forms and hand counts.

- AUROC is its definition over all pairs, ties half; it changes with no rising transform of the values.
- A temperature leaves the order unchanged and lowers the log loss it is fitted on; a bias lowers it further.
- Values that are the true chances come out calibrated; over-confident ones get a temperature above 1.
- Problems are the unit: copies of a problem's attempts widen no evidence, and halves split by problem.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario.cli.app import main
from mario.data.overlap import NAME, fingerprint
from mario.errors import DataError
from mario.provenance import from_json, to_json
from mario.value import OvmCard, read_card, read_values, score_run, write_card
from mario.value.calibrate import (
    Outcome,
    Quality,
    auroc,
    auroc_by_problem,
    auroc_within,
    by_step,
    fit,
    halves,
    log_loss,
    quality,
    reliability,
    sigmoid,
)
from mario.value.fitting import calibrate_run, outcomes
from ovm_fixtures import tiny_ovm
from test_value import attempts, model_of, stored

numbers = st.lists(st.integers(-20, 20).map(lambda i: i / 4), min_size=1, max_size=12)
rows = st.lists(st.tuples(st.integers(-20, 20).map(lambda i: i / 4), st.booleans()), min_size=2, max_size=30)


@given(numbers, numbers)
def test_auroc_is_the_share_of_pairs_that_are_in_order(right: list[float], wrong: list[float]) -> None:
    pairs = [1.0 if r > w else 0.5 if r == w else 0.0 for r in right for w in wrong]
    assert auroc(right, wrong) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)
    assert auroc(right, wrong) + auroc(wrong, right) == pytest.approx(1)
    assert auroc([math.atan(x) for x in right], [math.atan(x) for x in wrong]) == auroc(right, wrong)


def test_auroc_by_hand() -> None:
    assert auroc([3, 2], [1, 0]) == 1.0
    assert auroc([3, 1], [2, 0]) == 0.75
    assert auroc([1, 1], [1]) == 0.5
    assert math.isnan(auroc([], [1]))


def test_auroc_of_independent_attempts_has_the_known_error() -> None:
    # One attempt a problem: Obuchowski's variance is DeLong's; for n right and n wrong normals it is near 1 / (6 n).
    draw = random.Random(5)
    found = auroc_by_problem([(str(i), draw.gauss(0, 1), i % 2 == 0) for i in range(2000)])
    half = (found.high - found.low) / 2
    assert half == pytest.approx(1.96 * math.sqrt(2001 / (12 * 1000 * 1000)), rel=0.03)
    assert found.low < 0.5 < found.high
    assert found.n == 2000


def test_copies_of_a_problem_are_no_new_evidence() -> None:
    draw = random.Random(6)
    once = [(str(i), draw.gauss(i % 2, 1.0), i % 2 == 0) for i in range(60)]
    copied = [row for row in once for _ in range(5)]
    alone, together = auroc_by_problem(once), auroc_by_problem(copied)
    assert (together.value, together.low, together.high) == pytest.approx((alone.value, alone.low, alone.high))
    single = quality([Outcome(name, (value,), correct) for name, value, correct in once])
    many = quality([Outcome(name, (value,), correct) for name, value, correct in copied])
    assert many.brier.value == pytest.approx(single.brier.value)
    assert (many.brier.low, many.brier.high) == pytest.approx((single.brier.low, single.brier.high))


def test_ranking_within_a_problem_is_not_telling_problems_apart() -> None:
    # The values know which problem is easy, and nothing of which attempt is right.
    easy = [("easy", 2.0, k > 0) for k in range(4)]
    hard = [("hard", -2.0, k == 0) for k in range(4)]
    assert auroc_within([*easy, *hard]).value == 0.5
    assert auroc_by_problem([*easy, *hard]).value == pytest.approx((9 + 0.5 * 3 + 0.5 * 3) / 16)
    assert auroc_within([("solved", 1.0, True)]).n == 0


# ---- calibration


@given(rows)
def test_a_temperature_keeps_the_order_and_lowers_the_loss(found: list[tuple[float, bool]]) -> None:
    best, with_bias = fit(found), fit(found, with_bias=True)
    assert 0.01 <= best.temperature <= 100
    assert best.bias == 0.0
    loss = log_loss(found)
    cooled = log_loss([(best(value), correct) for value, correct in found])
    assert cooled <= loss + 1e-12
    assert log_loss([(with_bias(value), correct) for value, correct in found]) <= cooled + 1e-6
    ordered = sorted(value for value, _ in found)
    assert [best(value) for value in ordered] == sorted(best(value) for value in ordered)


@given(rows)
def test_no_other_temperature_does_better(found: list[tuple[float, bool]]) -> None:
    best = fit(found)
    loss = log_loss([(best(value), correct) for value, correct in found])
    for temperature in (0.01, 0.1, 0.5, 0.9, 1.1, 2.0, 10.0, 100.0):
        assert loss <= log_loss([(value / temperature, correct) for value, correct in found]) + 1e-6


def drawn(n: int, *, times: float = 1.0, shift: float = 0.0) -> list[Outcome]:
    """Attempts right with the chance their values say, after the values were made too bold and moved."""
    draw = random.Random(7)
    found = []
    for i in range(n):
        truth = draw.gauss(0, 1.5)
        found.append(Outcome(str(i), (truth * times + shift,), draw.random() < sigmoid(truth)))
    return found


def test_true_chances_are_calibrated_and_bold_ones_are_cooled() -> None:
    honest = drawn(6000)
    assert fit([(o.last, o.correct) for o in honest]).temperature == pytest.approx(1, abs=0.08)
    assert quality(honest).error < 0.03
    bold = drawn(6000, times=3.0)
    best = fit([(o.last, o.correct) for o in bold])
    assert best.temperature == pytest.approx(3, abs=0.25)
    cooled = [replace(o, log_odds=tuple(map(best, o.log_odds))) for o in bold]
    before, after = quality(bold), quality(cooled)
    assert after.error < before.error / 3
    assert after.brier.value < before.brier.value
    assert after.auroc == before.auroc


def test_a_bias_undoes_another_share_of_right_attempts() -> None:
    best = fit([(o.last, o.correct) for o in drawn(6000, times=2.0, shift=3.0)], with_bias=True)
    assert best.temperature == pytest.approx(2, abs=0.2)
    assert best.bias == pytest.approx(-1.5, abs=0.15)


def test_values_the_wrong_way_round_are_flattened_not_turned() -> None:
    assert fit([(1.0, False), (-1.0, True)] * 10).temperature == pytest.approx(100)


def test_scores_by_hand() -> None:
    found = quality([Outcome("a", (0.0,), True), Outcome("b", (0.0,), False)])
    assert found.brier.value == 0.25
    assert found.log_loss == pytest.approx(math.log(2))
    assert found.error == 0.0
    assert found.auroc.value == 0.5
    assert (found.samples, found.right.value) == (2, 0.5)
    assert log_loss([(800.0, False)]) == 800.0  # no overflow


def test_bins_hold_every_attempt_once_and_say_what_happened() -> None:
    found = reliability(drawn(500))
    assert sum(b.samples for b in found) == 500
    for b in found:
        assert b.low <= b.value <= b.high
        assert b.right.low <= b.right.value <= b.right.high
    assert reliability([Outcome("a", (99.0,), True)])[0].high == 1.0  # a chance of 1 is in the last bin


def test_steps_count_the_attempts_that_have_them() -> None:
    found = by_step([Outcome("a", (1.0, 3.0), True), Outcome("b", (0.0,), False), Outcome("c", (2.0, -1.0), False)])
    assert [(s.step, s.samples) for s in found] == [(1, 3), (2, 2)]
    assert [s.auroc.value for s in found] == [0.5, 1.0]
    assert found[1].mean_right == pytest.approx(sigmoid(3.0))
    assert by_step([]) == ()


def test_nothing_is_no_number_and_survives_being_stored() -> None:
    empty = quality([])
    assert empty.samples == 0
    assert math.isnan(empty.log_loss)
    assert math.isnan(from_json(Quality, to_json(empty)).brier.value)
    whole = quality(drawn(50))
    assert from_json(Quality, to_json(whole)) == whole


@given(st.sets(st.text(min_size=1, max_size=4), max_size=30), st.integers(0, 5))
@settings(max_examples=30)
def test_halves_split_problems_and_depend_on_nothing_else(names: set[str], seed: int) -> None:
    first, second = halves(names, seed)
    assert first | second == names
    assert not first & second
    for name in names:
        assert (name in halves([name], seed)[0]) == (name in first)


# ---- a run


def test_a_calibration_is_stored_with_the_model_and_with_the_run(tmp_path: Path) -> None:
    judge = tiny_ovm(tmp_path / "judge", card=OvmCard("tanh"))
    run = stored(tmp_path / "run", list(attempts(24, 6)))
    score_run(run, model_of(judge))
    (valued,) = read_values(run)
    found = outcomes(run, valued)
    assert len(found) == 24 * 6
    assert 0 < sum(o.correct for o in found) < len(found)
    result = calibrate_run(run, model_of(judge))
    card = read_card(judge)
    assert card.temperature == result.card.temperature
    assert card.bias is None
    assert (card.target, card.calibration["problems_fitted"]) == ("tanh", result.fitted_on)
    assert result.fitted_on + result.before.right.n == 24
    assert result.after.auroc == result.before.auroc
    assert card.calibration["after"]["log_loss"] == pytest.approx(result.after.log_loss)
    (again,) = read_values(run)
    assert again.card == card
    assert (
        calibrate_run(run, model_of(judge)).card == card
    )  # what a calibration finds does not depend on an earlier one


def test_nothing_is_calibrated_on_what_was_trained_on_or_is_tested_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = tiny_ovm(tmp_path / "judge")
    run = stored(tmp_path / "run", list(attempts(24, 6)))
    with pytest.raises(DataError, match="has no values by judge; score it first"):
        calibrate_run(run, model_of(judge))
    score_run(run, model_of(judge))
    learnt = [f"What is number p{p}?" for p in range(24)]
    (judge / NAME).write_text("".join(fingerprint(question) + "\n" for question in learnt[:10]))
    assert calibrate_run(run, model_of(judge)).left_out == 10
    (judge / NAME).write_text("".join(fingerprint(question) + "\n" for question in learnt))
    with pytest.raises(DataError, match="was trained on every problem"):
        calibrate_run(run, model_of(judge))
    (judge / "holdout.jsonl").write_text("".join(f'{{"problem_id": "p{p}"}}\n' for p in range(20)))
    assert calibrate_run(run, model_of(judge)).left_out == 4  # its base knew them, its head did not
    assert main(["value", str(run), "--model", str(judge), "--value.dtype", "float32"]) == 0
    assert "learnt from 4 of the 24 problems, and figures over these flatter it" in capsys.readouterr().out
    (judge / NAME).unlink()
    assert main(["value", str(run), "--model", str(judge), "--value.dtype", "float32"]) == 0
    assert "learnt from" not in capsys.readouterr().out
    tested = stored(tmp_path / "tested", list(attempts(4)), split="test-heldout")
    score_run(tested, model_of(judge))
    with pytest.raises(DataError, match="split 'test-heldout'; a test set is not for calibrating"):
        calibrate_run(tested, model_of(judge))


def test_attempts_of_one_kind_fit_nothing(tmp_path: Path) -> None:
    judge = tiny_ovm(tmp_path / "judge")
    wrong = [replace(row, answer="-1") for row in attempts(4)]
    run = stored(tmp_path / "run", wrong)
    score_run(run, model_of(judge))
    with pytest.raises(DataError, match="are not both right and wrong"):
        calibrate_run(run, model_of(judge))
    write_card(judge, OvmCard())
