"""Choosing among samples, by its laws.

- A permutation of the samples changes the chosen class only where two classes tie.
- Equal values: weighted is majority. One class: every strategy chooses it. `max` weights: weighted is ovm.
- outlier-free: plain ovm when every answer stands alone, and with a cut of 1; majority (up to ties) when the cut
  reaches the top count; it never chooses a class below the cut.
- A larger value for a sample never takes the choice away from its class (ovm, weighted).
- A sample without an answer is never chosen.
"""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario.errors import UsageError
from mario.solve.vote import STRATEGIES, VALUED, Strategy, VoteConfig, choose, tally

Samples = tuple[list[list[int]], list[float]]


@st.composite
def samples(draw: st.DrawFn, distinct: bool = False) -> Samples:
    """Up to 10 samples in classes, some without an answer, and their log-odds."""
    n = draw(st.integers(1, 10))
    names = draw(st.lists(st.integers(-1, 4), min_size=n, max_size=n))
    values = draw(st.lists(st.integers(-60, 60).map(lambda i: i / 7), min_size=n, max_size=n, unique=distinct))
    return classes_of(names), values


def classes_of(names: list[int]) -> list[list[int]]:
    found: dict[int, list[int]] = {}
    for index, name in enumerate(names):
        if name >= 0:
            found.setdefault(name, []).append(index)
    return list(found.values())


def winner(classes: list[list[int]], values: list[float], config: VoteConfig) -> frozenset[int]:
    chosen = choose(classes, values, config)
    return next((frozenset(members) for members in classes if chosen in members), frozenset())


@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s != "first"])
@given(samples(distinct=True), st.randoms(use_true_random=False))
def test_the_order_of_samples_decides_nothing_but_ties(
    strategy: Strategy, given_samples: Samples, order: random.Random
) -> None:
    classes, values = given_samples
    places = list(range(len(values)))
    order.shuffle(places)  # sample i moves to places[i]
    moved = [[places[i] for i in members] for members in classes]
    moved_values = [values[places.index(i)] for i in range(len(values))]
    config = VoteConfig(strategy)
    counted = tally(classes, values, config)
    if len(counted) > 1 and (counted[0].kept, counted[0].weight, len(counted[0].members)) == (
        counted[1].kept,
        counted[1].weight,
        len(counted[1].members),
    ):
        return
    assert {places[i] for i in winner(classes, values, config)} == winner(moved, moved_values, config)


@given(samples(), st.floats(-800, 800))
def test_equal_values_make_the_weighted_vote_a_majority(given_samples: Samples, value: float) -> None:
    classes, values = given_samples
    equal = [value] * len(values)
    assert choose(classes, equal, VoteConfig("weighted")) == choose(classes, None, VoteConfig("majority"))


@given(samples())
def test_the_heaviest_single_sample_is_ovm(given_samples: Samples) -> None:
    classes, values = given_samples
    by_max = choose(classes, values, VoteConfig("weighted", weight="max"))
    assert by_max == choose(classes, values, VoteConfig("ovm"))
    answered = [i for members in classes for i in members]
    if answered:
        assert by_max is not None
        assert values[by_max] == max(values[i] for i in answered)


@given(samples())
def test_without_outliers_to_drop_it_is_plain_ovm(given_samples: Samples) -> None:
    classes, values = given_samples
    alone = [[i] for members in classes for i in members]
    assert choose(alone, values, VoteConfig("outlier-free")) == choose(alone, values, VoteConfig("ovm"))
    uncut = VoteConfig("outlier-free", min_count=1, min_share=0)
    assert choose(classes, values, uncut) == choose(classes, values, VoteConfig("ovm"))


@given(samples(), st.integers(1, 12), st.floats(0, 1))
def test_an_outlier_is_never_chosen_and_a_cut_at_the_top_is_majority(
    given_samples: Samples, min_count: int, min_share: float
) -> None:
    classes, values = given_samples
    top = max(map(len, classes), default=0)
    config = VoteConfig("outlier-free", min_count=min_count, min_share=min_share)
    counted = tally(classes, values, config)
    kept = [len(t.members) for t in counted if t.kept]
    if not classes:
        assert counted == ()
        return
    assert kept
    cut = min(top, max(min_count, math.ceil(min_share * sum(map(len, classes)) - 1e-9)))
    assert min(kept) >= cut
    assert all(len(t.members) < cut for t in counted if not t.kept)
    most = [members for members in classes if len(members) == top]
    if cut == top and len(most) == 1:
        majority = choose(classes, None, VoteConfig("majority"))
        assert winner(classes, values, config) == frozenset(most[0])
        assert majority in most[0]


@given(samples(), st.integers(0, 9), st.floats(0, 5), st.sampled_from(["ovm", "weighted"]))
def test_a_higher_value_never_hurts_its_answer(
    given_samples: Samples, index: int, rise: float, strategy: Strategy
) -> None:
    classes, values = given_samples
    before = winner(classes, values, VoteConfig(strategy))
    raised = [value + rise * (i == index) for i, value in enumerate(values)]
    if index in before:
        assert winner(classes, raised, VoteConfig(strategy)) == before


@given(samples())
def test_every_strategy_chooses_an_answered_sample_if_there_is_one(given_samples: Samples) -> None:
    classes, values = given_samples
    answered = {i for members in classes for i in members}
    for strategy in STRATEGIES:
        chosen = choose(classes, values, VoteConfig(strategy))
        assert chosen in answered if answered else chosen is None
        counted = tally(classes, values, VoteConfig(strategy))
        assert {i for t in counted for i in t.members} == answered
        assert all(t.chosen in t.members for t in counted)


def test_by_hand() -> None:
    # Three samples say A, two B, one C; the value model adores the single C and prefers B to A.
    classes, values = [[0, 2, 5], [1, 4], [3]], [-1.0, 1.0, -1.0, 4.0, 1.0, -1.0]
    found = {strategy: choose(classes, values, VoteConfig(strategy)) for strategy in STRATEGIES}
    assert found == {"first": 0, "majority": 0, "ovm": 3, "outlier-free": 1, "weighted": 1}
    # A: 3 * 0.269 = 0.807, B: 2 * 0.731 = 1.462, C: 0.982; by their means C is first again.
    assert choose(classes, values, VoteConfig("weighted", weight="mean")) == 3
    assert [t.members for t in tally(classes, values, VoteConfig("outlier-free"))] == [(1, 4), (0, 2, 5), (3,)]


def test_ties_go_to_more_samples_and_then_to_the_earlier_one() -> None:
    assert choose([[1], [0]], None, VoteConfig("majority")) == 0
    assert choose([[0], [1, 2]], [1.0, 1.0, 0.0], VoteConfig("ovm")) == 1
    assert choose([[1], [0]], [2.0, 2.0], VoteConfig("ovm")) == 0


def test_values_so_high_that_their_probability_is_one_are_still_told_apart() -> None:
    assert choose([[0], [1]], [50.0, 60.0], VoteConfig("ovm")) == 1


def test_a_sample_that_could_not_be_valued_loses_and_still_votes() -> None:
    assert choose([[0], [1]], [-math.inf, -9.0], VoteConfig("ovm")) == 1
    assert choose([[0]], [-math.inf], VoteConfig("ovm")) == 0
    assert choose([[0], [1]], [-math.inf, -9.0], VoteConfig("weighted")) == 1


@pytest.mark.parametrize("strategy", VALUED)
def test_a_strategy_by_value_without_values_says_what_to_type(strategy: Strategy) -> None:
    with pytest.raises(UsageError, match=r"needs values; name a value model: --value\.model"):
        choose([[0]], None, VoteConfig(strategy))


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(UsageError, match="min_count must be a positive integer"):
        VoteConfig(min_count=0)
    with pytest.raises(UsageError, match="min_share must be from 0 to 1"):
        VoteConfig(min_share=1.5)
