"""The adaptive budget's laws, and self-training from end to end.

Laws of the policy: it sees outcomes only, so replaying them gives the same attempts whatever the order of arrival; no
bound is passed; no sample is drawn for a problem that is finished; sample indices of a problem leave no gap.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario.annotate.budget import Attempt, BudgetConfig, Pool, Tally, next_wave, waves
from mario.annotate.verify import DEFAULT
from mario.data.readers import write_problems
from mario.data.wordproblems import generate
from mario.engine import EngineConfig
from mario.errors import UsageError
from mario.evaluate.metrics import Estimate
from mario.page.chart import Series, line_chart, ticks
from mario.selftrain import SelfTrainConfig, self_train
from mario.selftrain.rounds import Round, SampleConfig, SelfTrainResult
from mario.selftrain.sample import Point, Ration
from mario.selftrain.table import page, table
from mario.solve.attempt import InterpreterConfig
from mario.store import scan_shards
from mario.train.config import SftConfig
from mario.transcript.shape import program_key
from mario.types import Observation, ObservationStatus, Problem, Sampling, Step, StopReason, Trajectory
from pupil_server import Pupil, serving

Samples = Mapping[str, list[str | None]]


def outcomes(samples: Samples, wave: list[Attempt]) -> dict[Attempt, str | None]:
    return {attempt: samples[attempt.problem_id][attempt.sample_index] for attempt in wave}


def replayed(samples: Samples, config: BudgetConfig) -> Iterator[list[Attempt]]:
    policy = waves(samples, config)
    wave = next(policy, None)
    while wave:
        yield wave
        try:
            wave = policy.send(outcomes(samples, wave))
        except StopIteration:
            return


pools = st.integers(1, 12).flatmap(
    lambda depth: st.dictionaries(
        st.text("abcdef", min_size=1, max_size=4),
        st.lists(st.sampled_from([None, None, "x", "y", "z", "u", "v"]), min_size=depth, max_size=depth),
        max_size=20,
    ).map(lambda samples: (depth, samples))
)
bounds: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    target=st.integers(1, 5),
    min_samples=st.integers(1, 6),
    total=st.none() | st.integers(1, 60),
    min_gain=st.sampled_from([0.0, 0.02, 0.2, 0.6]),
    wave=st.none() | st.integers(1, 30),
)


@given(pools, bounds)
@settings(max_examples=80, deadline=None)
def test_the_policys_laws(pool: tuple[int, Samples], bound: dict[str, Any]) -> None:
    depth, samples = pool
    config = BudgetConfig(max_samples=depth, **bound)
    drawn: dict[str, list[str | None]] = {name: [] for name in samples}
    count = 0
    for wave in replayed(samples, config):
        assert wave and len(wave) <= (config.wave or 32)
        for name, index in wave:
            assert index == len(drawn[name]) < depth
            assert len({program for program in drawn[name] if program}) < config.target
            drawn[name].append(samples[name][index])
            count += 1
    assert config.total is None or count <= config.total
    if config.min_gain == 0 and config.total is None:  # nothing else may end a problem early
        for seen in drawn.values():
            assert len(seen) == depth or len({program for program in seen if program}) >= config.target


def attempted(problem: Problem, index: int, program: str | None) -> Trajectory:
    """A stored attempt: right, by a program that is marked, or wrong."""
    code = f"mark = {program!r}\nresult = {problem.answer} + 0\nprint(result)" if program else "print(0 + 0)"
    answer = problem.answer if program else "0"
    steps = (Step("", code, Observation(answer, ObservationStatus.OK)), Step(""))
    return Trajectory(problem.id, index, "inline", "m", Sampling(0.8), steps, StopReason.ANSWERED, answer)


@given(pools, st.integers(0, 2**32), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_a_cut_run_goes_on_as_it_would_have(pool: tuple[int, Samples], seed: int, wave_size: int) -> None:
    """Kill at any attempt, let what is stored arrive in any order: the attempts of the whole run are the same."""
    depth, samples = pool
    problems = [Problem(name, "", str(7 + i), "s", "train") for i, name in enumerate(samples)]
    config = BudgetConfig(max_samples=depth, wave=wave_size)
    whole = [attempt for wave in replayed(samples, config) for attempt in wave]
    draw = random.Random(seed)
    stored: list[Trajectory] = []
    made: set[Attempt] = set()
    while True:  # sessions, each killed after some attempts
        ration = Ration(problems, config, DEFAULT, {})
        draw.shuffle(stored)
        wave, left = ration(stored), draw.randint(1, 12)
        while wave and left:
            missing = [pair for pair in wave if Attempt(pair[0].id, pair[1]) not in made]
            assert missing, "a wave that is whole was planned again"
            draw.shuffle(missing)
            ended = [attempted(p, index, samples[p.id][index]) for p, index in missing[:left]]
            made |= {Attempt(one.problem_id, one.sample_index) for one in ended}
            stored += ended
            left -= len(ended)
            if len(ended) == len(missing):
                wave = ration(ended)
        if not wave:
            break
    assert len(stored) == len(made)
    assert made == set(whole)
    assert ration.samples == len(whole)
    keys = {program: program_key(attempted(problems[0], 0, program)) for program in "xyzuv"} if problems else {}
    for problem in problems:
        seen = [samples[problem.id][index] for name, index in whole if name == problem.id]
        assert len(ration.found.get(problem.id, ())) == len({keys[program] for program in seen if program})


def test_gain_is_the_chance_of_a_new_program() -> None:
    """Against the truth: problems drawn from one pass rate and one variety, many enough to tell both."""
    for rate, variety in ((0.3, 1.0), (0.8, 10.0)):
        samples = simulated(3, 400, 9, (1e4 * rate, 1e4 * (1 - rate)), variety)
        tallies = []
        for name, row in samples.items():
            tally = Tally(name)
            for program in row[:8]:
                tally = tally.after(program)
            tallies.append(tally)
        pool = Pool.of(tallies)
        expected = sum(pool.gain(tally) for tally in tallies)
        came = sum(bool(row[8]) and row[8] not in row[:8] for row in samples.values())
        assert abs(expected - came) < 4 * came**0.5, (rate, variety, expected, came)


def test_more_failures_and_more_repeats_promise_less() -> None:
    pool = Pool.of([])
    fresh = Tally("p")
    once, twice = fresh.after("x"), fresh.after("x").after("x")
    assert pool.gain(fresh) > pool.gain(fresh.after(None)) > pool.gain(fresh.after(None).after(None))
    assert pool.gain(fresh.after("x").after("y")) > pool.gain(twice)
    assert pool.gain(once) > pool.gain(twice)
    known = Tally("p", known=frozenset({"x"})).after("x")
    assert (known.distinct, known.correct, pool.gain(known) < pool.gain(once)) == (1, 1, True)


def test_the_pool_is_read_from_its_outcomes() -> None:
    hopeless = [Tally(str(i), samples=8) for i in range(100)]
    solved = [Tally(str(i), samples=8, correct=8, programs={"x": 8}) for i in range(100)]
    tried = Tally("p", samples=1)
    assert Pool.of(hopeless).gain(Tally("new")) < 0.02 < 0.9 < Pool.of(solved).gain(Tally("new"))
    both = Pool.of([*hopeless, *solved])
    assert both.gain(tried) < 0.05, "where problems are solved always or never, one failure says which"
    assert both.gain(Tally("q").after("x")) < 0.05, "and where programs never vary, one is all there is"
    assert Pool.of([]).gain(tried) == Pool.of([Tally("new")]).gain(tried)


def test_hopeless_problems_are_given_up_and_the_samples_go_elsewhere() -> None:
    samples: dict[str, list[str | None]] = {f"never{i}": [None] * 64 for i in range(80)}
    samples |= {f"rare{i}": [f"{j}" if j % 5 == 3 else None for j in range(64)] for i in range(20)}
    drawn = [attempt for wave in replayed(samples, BudgetConfig(max_samples=64)) for attempt in wave]
    counts = {name: sum(attempt.problem_id == name for attempt in drawn) for name in samples}
    assert 4 <= max(counts[f"never{i}"] for i in range(80)) < 12
    assert {counts[f"rare{i}"] for i in range(20)} == {19}  # the fourth program is the nineteenth sample


def test_groups_are_read_apart() -> None:
    """An untried problem of a level that was never solved promises less than one of a level that was."""
    tallies = [Tally(f"e{i}", samples=4, correct=3, programs={"x": 3}, group="easy") for i in range(40)]
    tallies += [Tally(f"h{i}", samples=4, group="hard") for i in range(40)]
    pool = Pool.of([*tallies, Tally("e", group="easy"), Tally("h", group="hard")])
    easy, hard = (pool.gain(Tally("new", group=group)) for group in ("easy", "hard"))
    mixed = Pool.of([replace(tally, group="") for tally in tallies]).gain(Tally("new"))
    assert hard < 0.1 < mixed < 0.5 < easy
    with pytest.raises(UsageError, match=r"budget\.group"):
        Ration(list(generate("train", 2, seed=0)), BudgetConfig(group="colour"), DEFAULT, {})
    assert Ration(list(generate("train", 2, seed=0)), BudgetConfig(group="steps"), DEFAULT, {})(())


def test_known_programs_are_not_new() -> None:
    known = {"a": frozenset({"x", "y", "z"}), "b": frozenset("xyzu")}
    config = BudgetConfig(max_samples=8)
    policy = waves(["a", "b"], config, known)
    assert next(policy) == [Attempt("a", 0)]  # b is finished, and a lacks one program
    assert policy.send({Attempt("a", 0): "x"}) == [Attempt("a", 1)]
    with pytest.raises(StopIteration):
        policy.send({Attempt("a", 1): "u"})


def simulated(seed: int, problems: int, samples: int, shape: tuple[float, float], ways: float) -> Samples:
    """Outcomes of problems with Beta-distributed pass rates; programs come as in a Chinese restaurant of `ways`."""
    draw = random.Random(seed)
    pool: dict[str, list[str | None]] = {}
    for number in range(problems):
        rate, found = draw.betavariate(*shape), list[str]()
        row: list[str | None] = []
        for _ in range(samples):
            if draw.random() >= rate:
                row.append(None)
                continue
            new = draw.random() < ways / (ways + len(found))
            found.append(f"{len(found)}" if new else draw.choice(found))
            row.append(found[-1])
        pool[str(number)] = row
    return pool


def test_the_budget_saves_samples_where_problems_differ() -> None:
    """The rows of 16 samples a problem, with at most 70 % of them; benchmarks/budget.py draws the whole curve."""
    samples = simulated(1, 300, 48, (0.2, 0.8), 20)
    fixed = sum(min(4, len(set(filter(None, row[:16])))) for row in samples.values())
    found: dict[str, set[str]] = {name: set() for name in samples}
    used = 0
    for wave in replayed(samples, BudgetConfig(max_samples=48, wave=64, min_gain=0)):
        for attempt, program in outcomes(samples, wave).items():
            used += 1
            found[attempt.problem_id] |= {program} if program else set()
        if sum(min(4, len(programs)) for programs in found.values()) >= fixed:
            break
    assert used <= 0.7 * 16 * 300


@pytest.mark.parametrize("wrong", [{"target": 0}, {"max_samples": 0}, {"total": 0}, {"wave": -1}, {"min_gain": 1.0}])
def test_impossible_budgets_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"budget.{next(iter(wrong))}"):
        BudgetConfig(**wrong)  # type: ignore[arg-type]


def test_a_wave_of_many_problems_is_decided_quickly() -> None:
    tallies = [Tally(str(i), samples=i % 17, correct=i % 3) for i in range(100_000)]
    began = time.process_time()
    assert next_wave(tallies, BudgetConfig())
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"solve": SampleConfig(temperature=0)}, "temperature"),
        ({"solve": SampleConfig(samples=4)}, "budget.max_samples"),
        ({"rounds": 0}, "rounds"),
        ({"engine": EngineConfig(model="m", endpoint="http://127.0.0.1:1/v1")}, "base"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        SelfTrainConfig(problems=Path("p"), **wrong)  # type: ignore[arg-type]


def test_the_chart_is_svg_and_escapes_its_words() -> None:
    svg = line_chart("<b>&", "x", "y", [Series("a<b", [(0, 0), (37, 4)], marks=True), Series("none", [])])
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert "a<b" in [element.text for element in root.iter()]
    assert svg == line_chart("<b>&", "x", "y", [Series("a<b", [(0, 0), (37, 4)], marks=True), Series("none", [])])
    with pytest.raises(ValueError, match="finite"):
        line_chart("", "", "", [Series("", [(0, float("nan"))])])


@given(st.floats(1e-6, 1e9))
def test_ticks_reach_the_largest_value_in_few_even_steps(most: float) -> None:
    found = ticks(most)
    assert 4 <= len(found) <= 10
    assert found[0] == 0 and found[-1] >= most * (1 - 1e-6) and found[-2] < most


def test_table_and_page_show_every_round() -> None:
    rate = Estimate(0.25, 0.1, 0.5, 16)
    curve = (Point(0, 0, 0), Point(40, 7, 12))
    one = Round(1, 20, 40, 15, 7, 12, 400, 200, curve, {"dollars": 0.5, "unknown_calls": 1, "unknown_dollars": 0.25})
    two = Round(2, 13, 30, 5, 9, 15, 300, 100, (Point(0, 7, 12), Point(30, 9, 15)), None, 5, {"test": rate})
    result = SelfTrainResult(20, 4, {"test": rate}, (one, two), 0, "round 2 <found> no new program")
    text = table(result)
    assert "35.0 %" in text and "45.0 %" in text and "$0.5000 + up to 0.2500" in text
    assert "25.0 % [10.0, 50.0], n = 16" in text and "ended early" in text
    html = page(result)
    assert "<svg" in html and "45.0 %" in html and "&lt;found&gt;" in html


PROBLEMS = 24


def settings_for(folder: Path, endpoint: str, model: Path) -> SelfTrainConfig:
    return SelfTrainConfig(
        problems=folder / "pool" / "problems.jsonl",
        rounds=2,
        base=str(model),
        test=(folder / "test" / "problems.jsonl",),
        engine=EngineConfig(model="pupil", endpoint=endpoint, dtype="float32"),
        solve=SampleConfig(max_new_tokens=48, max_steps=2, concurrency=8),
        budget=BudgetConfig(max_samples=10, wave=16),
        interpreter=InterpreterConfig(preload=()),
        train=SftConfig(dtype="float32", save_dtype="float32", tokens_per_step=3000, learning_rate=2e-3),
    )


def pool(folder: Path) -> Pupil:
    problems = list(generate("train", PROBLEMS, seed=5))
    tests = list(generate("test-heldout", 8, seed=5))
    write_problems(folder / "pool" / "problems.jsonl", problems)
    write_problems(folder / "test" / "problems.jsonl", tests)
    return Pupil([*problems, *tests])


def journalled(folder: Path) -> list[str]:
    return [json.loads(line)["key"] for path in sorted(folder.glob("*/*/journal.jsonl")) for line in path.open()]


@pytest.mark.train
def test_two_rounds_from_a_server_to_a_model(tmp_path: Path) -> None:
    from tiny import tiny_model

    pupil, model = pool(tmp_path), tiny_model(tmp_path / "tiny")
    with serving(pupil) as endpoint:
        config = settings_for(tmp_path, endpoint, model)
        result = self_train(config, tmp_path / "out")
        asked = pupil.calls
        again = self_train(config, tmp_path / "out")
    assert again == result and pupil.calls == asked  # a finished run is only read
    first = result.rounds[0]
    kept = list(scan_shards(tmp_path / "out" / "round-1" / "samples" / "kept", Trajectory))
    assert len(kept) == first.rows == first.curve[-1].rows
    assert len({(row.problem_id, program_key(row)) for row in kept}) == len(kept)
    assert len({row.problem_id for row in kept}) == first.solved < PROBLEMS
    assert first.samples < 10 * PROBLEMS and first.steps > 0
    assert set(first.test) == set(first.change) == set(result.before) == {"test-heldout"}
    assert first.change["test-heldout"].n == 8
    assert first.cost is not None and first.cost["calls"] == pupil.calls - 2 * 8  # the rest were the test's
    assert (tmp_path / "out" / "round-1" / "model" / "config.json").exists()
    # A random model solves nothing: the second round ends self-training instead of training on the same rows again.
    assert [one.number for one in result.rounds] == [1, 2] and result.rounds[1].correct == 0
    assert result.rounds[1].attempted < PROBLEMS and "no new program" in result.ended


def command(endpoint: str, out: str) -> list[str]:
    return [
        *(sys.executable, "-m", "mario", "self-train", "pool", "--base", "tiny", "--test", "test", "--rounds", "1"),
        *("--engine.model", "pupil", "--engine.endpoint", endpoint, "--engine.dtype", "float32", "--out", out),
        *("--solve.max_new_tokens", "48", "--solve.temperature", "0.8", "--solve.concurrency", "8"),
        *("--budget.max_samples", "10", "--budget.wave", "16", "--interpreter.preload", "[]"),
        *("--train.dtype", "float32", "--train.save_dtype", "float32", "--train.tokens_per_step", "3000"),
        *("--train.save_seconds", "0"),
    ]  # fmt: skip


def run_in(folder: Path, arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        arguments, cwd=folder, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.full
@pytest.mark.train
@pytest.mark.timeout(900)
def test_killed_at_random_moments_it_ends_the_same(tmp_path: Path) -> None:
    from tiny import tiny_model

    pupil = pool(tmp_path)
    tiny_model(tmp_path / "tiny")
    with serving(pupil) as endpoint:
        began = time.monotonic()
        child = run_in(tmp_path, command(endpoint, "whole"))
        said, _ = child.communicate(timeout=300)
        assert child.returncode == 0, said
        length, asked = time.monotonic() - began, pupil.calls
        draw, kills = random.Random(3), 0
        for _ in range(8):
            child = run_in(tmp_path, command(endpoint, "killed"))
            try:
                child.communicate(timeout=draw.uniform(0.2, 0.9) * length)
                break
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.communicate()
                kills += 1
        child = run_in(tmp_path, command(endpoint, "killed"))
        said, _ = child.communicate(timeout=300)
        assert child.returncode == 0, said
    assert kills >= 1
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for name in ("rounds.html", "round-1/samples/kept/00000.jsonl", "round-1/model/model.safetensors"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name
    keys = journalled(killed)
    assert len(keys) == len(set(keys)) and set(keys) == set(journalled(whole))
    # What a kill may cost: the calls then in flight are asked again.
    assert asked <= pupil.calls - asked <= asked + kills * 8
