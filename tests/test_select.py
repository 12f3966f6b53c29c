"""From attempts to a training set: reasons, support, shapes, choice; streaming, repeatable, nothing lost.

Semantics kept here:
- every attempt is either kept or in drops.jsonl with one reason, and the filters' counts add up;
- the rows do not depend on the order in which attempts were stored, nor on how often selection runs;
- code is read as a tree and never run, whatever it says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario.annotate.index import Entry
from mario.annotate.select import DUPLICATE, ENOUGH, SelectConfig, choose, choose_incorrect, select
from mario.annotate.verify import Rules, verify
from mario.data.readers import write_problems
from mario.data.trainingset import Filter, TrainingSet, read_set, rebuilt
from mario.errors import DataError, StoreError, UsageError
from mario.provenance import file_hash, to_json
from mario.store import ShardWriter, read_jsonl, scan_shards
from mario.transcript import format_named
from mario.transcript.shape import computes, program_key, program_shape
from mario.types import Observation, ObservationStatus, Problem, Sampling, Step, StopReason, Trajectory

SOLUTION = (
    "Seven boxes of twelve eggs each make eighty-four eggs, and she gives nine of all those eggs away to her friends; "
    "so seventy-five eggs are left for cakes, and that is all there is to say about her and about all of them."
)
PROBLEM = Problem("p1", "Seven boxes hold 12 eggs each; nine are given away. How many are left?", "75", "own", "train",
                  solution=SOLUTION)  # fmt: skip


def attempt(
    *code: str,
    outputs: tuple[str, ...] = ("75",),
    answer: str | None = "75",
    thought: str = "Count them.",
    sample: int = 0,
    problem: Problem = PROBLEM,
    status: ObservationStatus = ObservationStatus.OK,
    format: str = "inline",
) -> Trajectory:
    steps = [Step(thought, text, Observation(out, status, 0.5)) for text, out in zip(code, outputs, strict=False)]
    steps.append(Step(thought if not code else "So that is it."))
    if not code:
        format = "text"
    context = format_named(format).render(problem.question, tuple(steps), answer)
    stop = StopReason.ANSWERED if answer is not None else StopReason.STEP_LIMIT
    return Trajectory(problem.id, sample, format, "teacher", Sampling(), tuple(steps), stop, answer, context.spans,
                      context.messages)  # fmt: skip


GOOD = attempt("print(7 * 12 - 9)")


def test_a_sound_attempt_is_kept_and_supported() -> None:
    outcome = verify(PROBLEM, GOOD)
    assert (outcome.drop, outcome.correct, outcome.support) == (None, True, 1)


@pytest.mark.parametrize(
    ("made", "reason", "correct"),
    [
        (attempt("print(7 * 12 - 8)", outputs=("76",), answer="76"), "wrong", False),
        (attempt("print(7 * 12 - 9)", answer=None), "no answer: step_limit", False),
        (attempt("print(7 * 12 - )", status=ObservationStatus.ERROR), "every snippet failed", None),
        (attempt("print(7 * 12 - )", status=ObservationStatus.ERROR, answer="3"), "wrong", None),
        (attempt("print(7 * 12)", outputs=("84",)), "answer never supported by an output", None),
        (attempt("print(7 * 12 - 9)", outputs=("",)), "answer never supported by an output", None),
        (attempt("print(75)"), "echo: the code computes nothing", None),
        (attempt("x = 75\nprint(f'the answer is {x}')"), "echo: the code computes nothing", None),
        (attempt("print(7 * 12 - 9)", thought=SOLUTION), "echo: words of the reference solution", None),
        (attempt("print(7 * 12 - 9)", thought="count " * 2000), "too long", None),
        (attempt("print(7 * 12 - 8)", outputs=("76",), answer="76", thought="count " * 2000), "wrong", None),
    ],
)
def test_each_reason(made: Trajectory, reason: str, correct: bool | None) -> None:
    outcome = verify(PROBLEM, made)
    assert (outcome.drop, outcome.correct) == (reason, correct)


def test_an_unreadable_reference_is_nobodys_mistake() -> None:
    outcome = verify(replace(PROBLEM, answer=""), GOOD)
    assert (outcome.drop, outcome.correct) == ("reference unparsed", None)


@pytest.mark.parametrize(
    "output",
    [
        "75",
        "75\n",
        "eggs left: 75",
        "x = 75",
        "84\n75",
        "75.0",
        "There are 75 eggs.",
        "[75, 9]",
        "$75",
        "first 75 then 9",
    ],
)
def test_an_output_may_show_the_answer_in_many_ways(output: str) -> None:
    assert verify(PROBLEM, attempt("print(7 * 12 - 9)", outputs=(output,))).support == 1


@pytest.mark.parametrize(
    ("answer", "output"), [(r"\frac{1}{2}", "1/2"), ("x+1", "x + 1"), ("1,000", "1000"), (r"\{1, 2\}", "{1, 2}")]
)
def test_support_is_the_graders_business(answer: str, output: str) -> None:
    problem = replace(PROBLEM, answer=answer)
    assert verify(problem, attempt("print(7 * f(12))", outputs=(output,), answer=answer)).support == 1


def test_levels_of_support() -> None:
    """AlphaMath's algorithm 3: an output holds the answer; else every snippet ran; else the rest."""
    rules = Rules(support="preferred")
    second = attempt("a = 7 * 12", "print(a)", outputs=("", "84"))
    failed = replace(second.steps[0], observation=Observation("NameError: b", ObservationStatus.ERROR))
    third = replace(second, steps=(failed, *second.steps[1:]))
    assert [verify(PROBLEM, made, rules).support for made in (GOOD, second, third)] == [1, 2, 3]
    assert verify(PROBLEM, second, rules).drop is None


def test_a_solution_without_code_needs_no_output() -> None:
    assert verify(PROBLEM, attempt()).drop is None


def test_same_program_in_two_spellings() -> None:
    first = attempt("eggs = 7 * 12  # all of them\nleft = eggs - 9\nprint(left)")
    second = attempt("a = 7*12\n\nb = (a) - 9\nprint(b)")
    assert program_key(first) == program_key(second)
    other = attempt("a = 7*13\nb = a - 9\nprint(b)")
    assert program_key(first) != program_key(other)
    assert program_shape(first) == program_shape(other) != program_shape(GOOD)


def test_names_that_are_found_are_not_forgotten() -> None:
    assert program_key(attempt("print(sin(2))")) != program_key(attempt("print(cos(2))"))
    assert program_key(attempt("print(min(2, 3) + 1)")) != program_key(attempt("print(max(2, 3) + 1)"))


def test_imports_make_no_shape() -> None:
    plain = attempt("from sympy import solve\nx = solve(1)\nprint(x)")
    assert program_shape(plain) == program_shape(attempt("import os\nfrom sympy import solve\ny = solve(2)\nprint(y)"))
    assert program_key(plain) != program_key(attempt("import os\nfrom sympy import solve\ny = solve(2)\nprint(y)"))


HOSTILE = [
    "(" * 5000,
    "-" * 200_000 + "1",
    "x" + "[0]" * 3000,
    "1" + "+1" * 9000,
    "x = " + "9" * 10_000,
    "'\\d' '\\q'",
    "\x00",
    "\ud800",
    "f'{" * 50,
    "lambda: " * 4000 + "1",
    "if 1:\n" + "".join(" " * n + "if 1:\n" for n in range(1, 90)) + " " * 95 + "pass",
    "raise SystemExit",
    "import os; os._exit(3)",
]


@pytest.mark.parametrize("code", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_code_is_read_and_never_run(code: str) -> None:
    step = Step("t", code, Observation("75", ObservationStatus.OK))
    made = replace(GOOD, steps=(step, Step("done")))
    assert len(program_key(made)) == len(program_shape(made)) == 32
    computes(made)


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_has_a_key(code: str) -> None:
    made = replace(GOOD, steps=(Step("t", code, Observation("75", ObservationStatus.OK)),))
    assert program_key(made) == program_key(made)
    assert isinstance(computes(made), bool)


def entry(sample: int, key: str, shape: str, support: int = 1, **more: Any) -> Entry:
    given = {"reason": "", "correct": 1, "answered": 1, **more}
    return Entry("p", sample, 0, 0, sample, detail="", support=support, key=key, shape=shape, **given)


def test_new_shapes_come_first_and_no_program_twice() -> None:
    entries = [entry(0, "a", "S"), entry(1, "a", "S"), entry(2, "b", "S"), entry(3, "c", "S"), entry(4, "d", "T")]
    chosen, left = choose(entries, 2)
    assert [e.sample_index for e in chosen] == [0, 4]
    assert {e.sample_index: why for e, why in left.items()} == {1: DUPLICATE, 2: ENOUGH, 3: ENOUGH}


def test_better_support_comes_first() -> None:
    entries = [entry(0, "a", "S", support=2), entry(1, "a", "S"), entry(2, "b", "T", support=3), entry(3, "c", "U")]
    chosen, left = choose(entries, 2)
    assert [e.sample_index for e in chosen] == [1, 3]
    assert left[entries[0]] == DUPLICATE


def test_all_distinct_programs_without_a_limit() -> None:
    assert len(choose([entry(n, str(n % 7), "S") for n in range(20)], None)[0]) == 7


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(1, 3)), max_size=12), st.integers(1, 5))
def test_choice_loses_nobody(drawn: list[tuple[int, int, int]], most: int) -> None:
    entries = [entry(n, f"{shape}.{key}", str(shape), level) for n, (key, shape, level) in enumerate(drawn)]
    chosen, left = choose(entries, most)
    assert len(chosen) + len(left) == len(entries)
    assert len(chosen) == min(most, len({e.key for e in entries}))
    assert len({e.shape for e in chosen}) >= min(len(chosen), len({e.shape for e in entries}) and 1)


def test_wrong_answers_are_preferred_to_none() -> None:
    entries = [entry(0, "a", "S", answered=0), entry(1, "b", "S"), entry(2, "b", "S"), entry(3, "c", "S")]
    assert [e.sample_index for e in choose_incorrect(entries, 2)] == [1, 3]


# --- a whole set ---------------------------------------------------------------------------------------------------


def lay_out(root: Path, attempts: list[Trajectory], problems: list[Problem] | None = None, shard: int = 7) -> Path:
    write_problems(root / "problems.jsonl", problems or [PROBLEM])
    writer = ShardWriter(root / "trajectories", rows_per_shard=shard)
    for made in attempts:
        writer.append(made)
    writer.seal()
    return root


def many() -> tuple[list[Problem], list[Trajectory]]:
    problems = [replace(PROBLEM, id=f"p{n}", answer=str(70 + n)) for n in range(6)]
    attempts = []
    for n, problem in enumerate(problems):
        for sample in range(9):
            value = 70 + n + (sample % 3 == 2)  # every third is wrong
            code = f"a = {sample} + {value - sample}\nprint(a)" if sample % 2 else f"print({value} + 0 * {sample})"
            attempts.append(
                attempt(code, outputs=(str(value),), answer=str(value), sample=sample, problem=problem)
            )  # fmt: skip
    return problems, attempts


def test_a_set_holds_a_few_of_each_and_every_drop(tmp_path: Path) -> None:
    problems, attempts = many()
    made = select(lay_out(tmp_path, attempts, problems), SelectConfig(max_incorrect=2, workers=1))
    kept = list(scan_shards(tmp_path / "kept", Trajectory))
    incorrect = list(scan_shards(tmp_path / "incorrect", Trajectory))
    drops = [line for _, line in read_jsonl(tmp_path / "drops.jsonl")]
    assert made.kept == len(kept) == 24
    assert made.problems == 6
    assert made.incorrect == len(incorrect) == 12
    assert len(kept) + len(drops) == len(attempts)
    assert [f.dropped for f in made.filters] == [{"wrong": 18}, {ENOUGH: 12}]
    assert all(t.tags["correct"] and t.tags["support"] == 1 for t in kept)
    assert all(t.tags == {"verdict": "wrong", "correct": False} for t in incorrect)
    assert all(s.observation is None or s.observation.seconds == 0 for t in kept for s in t.steps)
    assert read_set(tmp_path) == made


def test_the_order_of_arrival_changes_nothing(tmp_path: Path) -> None:
    problems, attempts = many()
    config = SelectConfig(workers=1)
    for name, order in (("first", attempts), ("second", attempts[::-1]), ("third", attempts[1::2] + attempts[::2])):
        select(lay_out(tmp_path / name, order, problems, shard=len(name)), config)
    for file in ("kept/00000.jsonl", "incorrect/00000.jsonl", "drops.jsonl"):
        assert len({(tmp_path / name / file).read_bytes() for name in ("first", "second", "third")}) == 1


def test_workers_change_nothing(tmp_path: Path) -> None:
    problems, attempts = many()
    for workers in (1, 2):
        select(lay_out(tmp_path / str(workers), attempts, problems), SelectConfig(workers=workers))
    assert (tmp_path / "1/kept/00000.jsonl").read_bytes() == (tmp_path / "2/kept/00000.jsonl").read_bytes()


def test_a_second_run_touches_nothing(tmp_path: Path) -> None:
    problems, attempts = many()
    config = SelectConfig(workers=1)
    made = select(lay_out(tmp_path, attempts, problems), config)
    before = {path: path.stat() for path in tmp_path.rglob("*")}
    assert select(tmp_path, replace(config, workers=0)) == made
    assert {path: path.stat() for path in tmp_path.rglob("*")} == before


def test_other_settings_make_another_set(tmp_path: Path) -> None:
    problems, attempts = many()
    lay_out(tmp_path, attempts, problems)
    assert select(tmp_path, SelectConfig(workers=1)).kept == 24
    assert select(tmp_path, SelectConfig(workers=1, max_correct=1, max_incorrect=0)).kept == 6
    assert not (tmp_path / "incorrect").exists()
    assert not (tmp_path / ".part").exists()


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    problems, attempts = many()
    select(lay_out(tmp_path, attempts, problems), SelectConfig(workers=1))
    before = (tmp_path / "kept/00000.jsonl").read_bytes(), (tmp_path / "set.json").read_bytes()
    writer = ShardWriter(tmp_path / "trajectories", rows_per_shard=7)
    writer.append(replace(GOOD, problem_id="unknown"))
    writer.seal()
    with pytest.raises(StoreError, match="names the problem 'unknown'"):
        select(tmp_path, SelectConfig(workers=1))
    assert ((tmp_path / "kept/00000.jsonl").read_bytes(), (tmp_path / "set.json").read_bytes()) == before


def test_a_killed_build_is_begun_again(tmp_path: Path) -> None:
    problems, attempts = many()
    lay_out(tmp_path, attempts, problems)
    (tmp_path / ".part").mkdir()
    (tmp_path / ".part" / "index.sqlite").write_text("torn")
    assert select(tmp_path, SelectConfig(workers=1)).kept == 24


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with rebuilt(tmp_path, ("x",)), pytest.raises(StoreError, match="in use"), rebuilt(tmp_path, ("x",)):
        pass


def test_several_rounds_are_one_set(tmp_path: Path) -> None:
    first = lay_out(tmp_path / "a", [GOOD])
    second = lay_out(tmp_path / "b", [attempt("a = 7 * 12\nprint(a - 9)")])
    out = tmp_path / "both"
    made = select(
        out,
        SelectConfig(workers=1),
        problems=first / "problems.jsonl",
        sources=[first / "trajectories", second / "trajectories"],
    )
    assert made.kept == 2
    assert [t.tags["round"] for t in scan_shards(out / "kept", Trajectory)] == [0, 1]


def test_rows_in_the_students_markup(tmp_path: Path) -> None:
    tools = attempt("print(7 * 12 - 9)", format="tools")
    select(lay_out(tmp_path, [tools]), SelectConfig(format="inline", workers=1))
    (row,) = scan_shards(tmp_path / "kept", Trajectory)
    assert row.format == "inline"
    assert row.tags["teacher_format"] == "tools"
    assert row.spans == format_named("inline").render(PROBLEM.question, tools.steps, "75").spans


def test_what_the_markup_cannot_hold_is_dropped(tmp_path: Path) -> None:
    tools = attempt("print(7 * 12 - 9)", format="tools", thought="I say </p> here")
    made = select(lay_out(tmp_path, [tools]), SelectConfig(format="inline", workers=1))
    assert made.drops == {"not writable in the row's markup": 1}


def test_no_attempt_at_all(tmp_path: Path) -> None:
    write_problems(tmp_path / "problems.jsonl", [PROBLEM])
    refused = [{"problem_id": "p1", "reason": "refused: no_solution", "detail": ""}]
    before = [Filter("convert", "problems", 1, 0, {"refused: no_solution": 1}), Filter("attempt", "attempts", 0, 0)]
    made = select(tmp_path, SelectConfig(workers=1), refused=refused, before=before)
    assert (made.kept, made.drops) == (0, {"refused: no_solution": 1})
    assert not (tmp_path / "kept").exists()


def test_counts_that_do_not_add_up_are_an_error() -> None:
    with pytest.raises(DataError, match="1 unaccounted for"):
        Filter("x", "problems", 3, 1, {"reason": 1})
    with pytest.raises(DataError, match="let 3 attempts go on"):
        TrainingSet("", 1, 1, 0, (Filter("a", "attempts", 3, 3), Filter("b", "attempts", 2, 1, {"r": 1})))
    with pytest.raises(DataError, match="2 rows are kept"):
        TrainingSet("", 1, 2, 0, (Filter("a", "attempts", 3, 3),))


def test_settings_are_checked() -> None:
    for wrong in ({"max_correct": 0}, {"max_incorrect": -1}, {"max_characters": 0}, {"max_copied": 0.0}):
        with pytest.raises(UsageError):
            SelectConfig(**wrong)  # type: ignore[arg-type]


def test_memory_does_not_grow_with_the_set(tmp_path: Path) -> None:
    """20,000 attempts of 2,000 problems, 90 MB in all, cost a bounded cache."""
    problems = [replace(PROBLEM, id=f"p{n:05}") for n in range(2000)]
    write_problems(tmp_path / "problems.jsonl", problems)
    folder = tmp_path / "trajectories"
    folder.mkdir()
    row = to_json(attempt("print(7 * 12 - 9)", thought="Count them all. " * 100))
    with (folder / "00000.jsonl").open("w") as file:
        for n in range(20_000):
            row["problem_id"], row["sample_index"] = f"p{n % 2000:05}", n // 2000
            file.write(json.dumps(row) + "\n")
    size = (folder / "00000.jsonl").stat().st_size
    (folder / "00000.seal.json").write_text(json.dumps({"rows": 20_000, "hash": file_hash(folder / "00000.jsonl")}))
    script = (
        "import resource, sys; from pathlib import Path; from mario.annotate.select import SelectConfig, select\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "made = select(Path(sys.argv[1]), SelectConfig(workers=1))\n"
        "print(made.kept, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONHASHSEED": "0"})  # fmt: skip
    kept, grown_kib = map(int, done.stdout.split())
    assert kept == 2000
    assert size > 60e6
    assert grown_kib < 130_000  # of which 64 MiB are the index's cache
