"""Rates and their intervals: against brute force, against known values, and from an evaluation's files."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario.evaluate import read_results
from mario.evaluate.choices import majority_at
from mario.evaluate.metrics import (
    Judged,
    accuracy,
    clustered,
    compare,
    pass_at,
    pass_at_k,
    wilson,
)
from mario.grade import group
from mario.types import Problem, Sampling, StopReason, Trajectory, Verdict, VerdictStatus


def judged(name: str, correct: bool, sample: int = 0, answer: str | None = None, scored: bool = True) -> Judged:
    status = VerdictStatus.EQUIVALENT if correct else VerdictStatus.DIFFERENT
    verdict = Verdict(status if scored else VerdictStatus.REFERENCE_UNPARSED, "")
    trajectory = Trajectory(name, sample, "text", "m", Sampling(), (), StopReason.ANSWERED, answer or str(correct))
    return Judged(Problem(name, "q", "1", "s", "test"), trajectory, verdict)


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(1, 8))
def test_pass_at_k_is_the_share_of_draws_that_hold_a_correct_one(samples: list[bool], k: int) -> None:
    found = pass_at_k(sum(samples), len(samples), k)
    if k > len(samples):
        assert math.isnan(found)
    else:
        draws = list(itertools.combinations(samples, k))
        assert found == pytest.approx(sum(map(any, draws)) / len(draws))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # computed by hand from the closed form with z = 1.959964
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_interval(successes: int, n: int, low: float, high: float) -> None:
    found = wilson(successes, n)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
    assert found.value == successes / n


def test_samples_of_one_problem_do_not_count_as_many_problems() -> None:
    once = clustered([0.5, 0.25, 1.0, 0.0])
    assert once.n == 4
    assert once.value == 0.4375
    many = accuracy([judged(f"p{i}", j < i, j) for i in range(5) for j in range(4)])
    assert (many.n, many.value) == (5, 0.5)


def test_nothing_gives_no_rate() -> None:
    assert accuracy([]).n == 0
    assert math.isnan(accuracy([]).value)


def test_unscored_problems_are_left_out_of_every_rate() -> None:
    rows = [judged("a", True), judged("b", False), judged("c", False, scored=False)]
    assert (accuracy(rows).value, accuracy(rows).n) == (0.5, 2)
    assert pass_at(rows, 1).n == 2


def test_majority_votes_by_equivalence_not_by_text() -> None:
    answers = ["0.5", "7", r"\frac{1}{2}", "8", "1/2"]
    rows = [judged("p", answer not in ("7", "8"), i, answer) for i, answer in enumerate(answers)]
    assert majority_at(rows, 5, group).value == 1.0
    assert majority_at(rows, 1, group).value == pytest.approx(3 / 5)  # over all samples, not the first alone
    assert majority_at(rows[1:], 4, group).value == 1.0


def test_a_tie_goes_to_the_first_and_no_answer_does_not_vote() -> None:
    rows = [judged("p", False, 0, "7"), judged("p", True, 1, "8")]
    assert majority_at(rows, 2, group).value == 0.0
    silent = Judged(
        rows[0].problem,
        Trajectory("p", 0, "text", "m", Sampling(), (), StopReason.NO_ACTION, None),
        Verdict(VerdictStatus.ANSWER_UNPARSED, ""),
    )
    assert majority_at([silent, rows[1]], 2, group).value == 1.0


def test_comparison_is_paired_and_exact() -> None:
    first = [judged(f"p{i}", i < 9) for i in range(10)]
    second = [judged(f"p{i}", i == 9 or i < 2) for i in range(10)]
    found = compare(first, second)
    assert (found.only_first, found.only_second, found.both, found.neither) == (7, 1, 2, 0)
    assert found.difference.value == pytest.approx(0.6)
    assert found.p_value == pytest.approx(2 * (1 + 8) / 2**8)
    assert compare(first, first).p_value == 1.0


def test_results_of_something_else_are_refused(tmp_path: Path) -> None:
    from mario.errors import StoreError
    from mario.provenance import make_manifest, to_json

    (tmp_path / "manifest.json").write_text(json.dumps(to_json(make_manifest("annotate", {}))))
    with pytest.raises(StoreError, match="made by 'annotate', not by an evaluation"):
        read_results(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps(to_json(make_manifest("evaluate", {}))))
    with pytest.raises(StoreError, match="no finished evaluation"):
        read_results(tmp_path)


def evaluated(root: Path, trajectories: list[Trajectory], verdicts: list[Verdict]) -> None:
    """What `evaluate` leaves behind, with as many verdicts as are given."""
    from mario.data.readers import write_problems
    from mario.provenance import make_manifest, to_json
    from mario.store import ShardWriter, write_json
    from mario.store.jsonl import write_jsonl

    write_json(root / "manifest.json", make_manifest("evaluate", {}))
    write_json(root / "summary.json", {"label": "m", "pass_at": {}, "majority_at": {}})
    write_problems(root / "problems.jsonl", [Problem(t.problem_id, "?", "1", "s", "t") for t in trajectories])
    write_jsonl(root / "failures.jsonl", [])
    rows = [
        {"problem_id": t.problem_id, "sample_index": t.sample_index, "verdict": to_json(v)}
        for t, v in zip(trajectories, verdicts, strict=False)
    ]
    write_jsonl(root / "verdicts.jsonl", rows)
    writer = ShardWriter(root / "trajectories")
    for trajectory in trajectories:
        writer.append(trajectory)
    writer.seal()


def test_results_whose_verdicts_are_older_than_their_attempts_say_what_to_do(tmp_path: Path) -> None:
    from mario.errors import StoreError

    rows = [judged("a", True), judged("b", False)]
    trajectories, verdicts = [row.trajectory for row in rows], [row.verdict for row in rows]
    evaluated(tmp_path / "whole", trajectories, verdicts)
    assert [row.correct for row in read_results(tmp_path / "whole").judged] == [True, False]
    evaluated(tmp_path / "killed", trajectories, verdicts[:1])
    with pytest.raises(StoreError, match=r"no verdict for attempt 0 of problem b; run mario evaluate on it again"):
        read_results(tmp_path / "killed")


def test_examples_that_the_markup_cannot_hold_are_passed_over(tmp_path: Path) -> None:
    from mario.data.readers import write_problems
    from mario.evaluate.benchmark import EvaluateConfig, worked_examples
    from mario.store import ShardWriter
    from mario.types import Observation, ObservationStatus, Step

    def taught(name: str, thought: str) -> Trajectory:
        steps = (Step(thought, "print(1)", Observation("1", ObservationStatus.OK)), Step("So."))
        return Trajectory(name, 0, "inline", "m", Sampling(), steps, StopReason.ANSWERED, "1")

    writer = ShardWriter(tmp_path / "kept")
    for trajectory in (taught("a", "The Final Answer: comes later."), taught("b", "Compute.")):
        writer.append(trajectory)
    writer.seal()
    write_problems(tmp_path / "problems.jsonl", [Problem(name, f"{name}?", "1", "s", "t") for name in "ab"])
    shots, _ = worked_examples(EvaluateConfig((Path("p"),), shots=1, demonstrations=tmp_path))
    assert [shot.question for shot in shots] == ["b?"]
