"""Finding wrong references: rules, votes, scores, patches, the command; and on the real sets what is known of them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from mario.cli.app import main
from mario.data.patches import (
    Patch,
    PatchAction,
    apply_patches,
    by_hash,
    problem_hash,
    read_patches,
    write_patches,
)
from mario.data.readers import read_gsm8k, read_math, read_problems, write_problems
from mario.errors import DataError, StoreError
from mario.labels.find import FindConfig, find, weigh_problem
from mario.labels.fitted import shipped
from mario.labels.formula import formula_of
from mario.labels.plausible import answer_kind, number_of, operations
from mario.labels.relate import SORTS, VOTES, differences
from mario.labels.rules import find_faults
from mario.labels.samples import Sample, SampleFields, Samples
from mario.labels.score import PRIOR, score_of
from mario.labels.shipped import FOLDER, shipped_patches
from mario.labels.suspects import Suspect, SuspectKind, read_suspects
from mario.labels.votes import Models, count_answers
from mario.provenance import from_json, to_json
from mario.store import read_jsonl
from mario.store.shards import ShardWriter
from mario.types import Problem, Sampling, Step, StopReason, Trajectory
from mario.value import OvmCard, write_card


def story(
    answer: str, solution: str | None, question: str = "Ann has 5 bags of 7 nuts and eats 3. How many nuts?"
) -> Problem:
    return Problem("t/0", question, answer, "t", "test", solution)


GOOD = "Ann has 5*7 = <<5*7=35>>35 nuts.\nShe keeps 35-3 = <<35-3=32>>32 nuts."


def rules_of(problem: Problem) -> dict[str, str | None]:
    return {finding.rule: finding.answer for finding in find_faults(problem)}


def test_a_right_reference_with_its_solution_shows_nothing() -> None:
    assert rules_of(story("32", GOOD)) == {}
    assert rules_of(story("32.00", GOOD)) == {}
    assert rules_of(story("32", None)) == {}


def test_a_reference_that_its_solution_does_not_give() -> None:
    assert rules_of(story("34", GOOD)) == {"chain": "32"}
    assert rules_of(story("35", GOOD)) == {"last_line": "32"}


def test_a_false_equation_accuses_unless_it_gives_the_reference_when_done_right() -> None:
    wrong = GOOD.replace("35-3 = <<35-3=32>>32", "35-3 = 34")
    assert rules_of(story("34", wrong)) == {"arithmetic": "32"}
    assert rules_of(story("32", wrong)) == {"slip_in_text": "32", "chain": "34"}


@pytest.mark.parametrize(
    "line",
    [
        "So 2x + 4 = 20, x = 8.",
        "Half is 50% * 8 = 4 nuts, and 8 / 1/2 = 16.",
        "That is 17 / 3 = 5.67 nuts.",
        "He gets 100% - 30% = 70% of 10 = 7.",
        "She has 1 1/2 + 1 1/2 = 3 bags.",
        "The bill is $1,200 + $300 = $1,500.",
    ],
)
def test_equations_that_hold_or_are_no_claims_about_numbers(line: str) -> None:
    assert "arithmetic" not in rules_of(story("32", f"{line}\n{GOOD}"))


def test_a_dropped_result_and_a_number_from_nowhere() -> None:
    problem = story("331", "She has 5*7 = <<5*7=35>>35 nuts.\nShe keeps 334-3 = <<334-3=331>>331 nuts.")
    assert "dropped" in rules_of(problem)
    question = "Ann has 5 bags of 7 nuts and gets 80 nuts. How many nuts?"
    misread = "She has 5*7 = <<5*7=35>>35 nuts.\nThat is 35+130 = <<35+130=165>>165 nuts."
    assert "misread" in rules_of(story("165", misread, question))


def test_a_time_of_the_other_half_of_the_day() -> None:
    question = "Ann knits 2 rows an hour from 9:00 AM until 10 p.m. How many rows?"
    assert "clock" in rules_of(story("2", "From 9am to 10am is 1 hour: 1*2 = <<1*2=2>>2 rows.", question))
    assert "clock" not in rules_of(story("26", "From 9am to 10pm it is 13 hours: 13*2 = <<13*2=26>>26 rows.", question))


def test_a_percentage_the_wrong_way_round() -> None:
    question = "Ann earns 25% more than Bo. Ann earns $100. What does Bo earn?"
    wrong = "Bo earns 25% less, 100*.25 = <<100*.25=25>>25 less: 100-25 = <<100-25=75>>75."
    assert "inverted" in rules_of(story("75", wrong, question))
    assert "inverted" not in rules_of(story("80", "That is 100/1.25 = <<100/1.25=80>>80.", question))
    assert "inverted" not in rules_of(
        story("75", wrong, "Bo earns 25% less than Ann, who earns 25% more than Cy, $100.")
    )


def test_units_and_bounds() -> None:
    assert "integrality" in rules_of(story("3.5", None, "How many people come?"))
    assert "integrality" not in rules_of(story("3.5", None, "How many hours does she work?"))
    assert "bounds" in rules_of(story("-4", None, "How many apples are left?"))
    assert "bounds" in rules_of(story("7", None, "What is the probability that it is red?"))
    assert "bounds" not in rules_of(story("7", None, "The probability is m/n. What is the probability's form m + n?"))


def test_boxed_solutions() -> None:
    assert rules_of(story("5", r"So $x = \boxed{4}.$")) == {"boxed": "4"}
    assert rules_of(story("0.5", r"So $x = \boxed{\frac{1}{2}}.$", "Find x.")) == {}
    assert rules_of(story("-3", r"So $x = \boxed{5}$ or $x = \boxed{-3}.$", "Find x.")) == {"boxes": "5, -3"}
    assert rules_of(story("12", r"As $3 \cdot 4 = 13 - 2$, it is $\boxed{12}.$")) == {"arithmetic": None}
    assert rules_of(story("720", r"As $6! = 720$, it is $\boxed{720}.$")) == {}


@pytest.mark.parametrize(
    ("question", "formula"),
    [
        ("Compute $3 \\cdot 4 + 5$.", "3 \\cdot 4 + 5"),
        (
            "What is the value of \\[\\frac{1}{2} + \\frac{1}{3}?\\] Express your answer as a common fraction.",
            "\\frac{1}{2} + \\frac{1}{3}",
        ),
        ("Expand $(x+2)(x-3)$.", "(x+2)(x-3)"),
        ("Find $x$.", None),
        ("Compute $x + 2^3$ if $x = 4$.", None),
        ("Find $12_3 + 4_5$ in base 7.", None),
        ("Evaluate $1 + 2 + \\dots + 2^9$.", None),
        ("Let $f(x) = 2x$. Find $f(3)^2$.", None),
        ("What is $\\frac{1}{3}$ of 60?", None),
    ],
)
def test_questions_that_are_a_formula(question: str, formula: str | None) -> None:
    assert formula_of(question) == formula


def test_the_value_of_a_formula_is_its_answer() -> None:
    assert set(rules_of(story("17", None, "Compute $3 \\cdot 4 + 5$."))) == {"formula_holds"}
    assert set(rules_of(story("27", None, "Compute $3 \\cdot 4 + 5$."))) == {"formula"}


def sample(answer: str, model: str = "m", key: str = "k", shape: str | None = None) -> Sample:
    return Sample(0, answer, model, "", key, shape or key, None)


def test_the_same_program_again_is_no_second_vote() -> None:
    once = count_answers("1", [sample("2")])[1]
    assert count_answers("1", [sample("2")] * 9)[1].weight == once.weight == 1
    assert 1 < count_answers("1", [sample("2"), sample("2", key="other")])[1].weight < 2
    assert count_answers("1", [sample("2"), sample("2", model="n")])[1].weight == 2


def test_answers_are_classes_of_the_grader() -> None:
    reference, rival = count_answers("1/2", [sample("0.5"), sample("\\frac12", "n"), sample("7"), sample("7.0", "n")])
    assert reference.is_reference
    assert len(reference.samples) == 2
    assert (rival.text, len(rival.samples), set(rival.votes)) == ("7", 2, {"m", "n"})


def test_a_model_of_two_minds_shares_its_vote() -> None:
    reference, rival = count_answers("1", [sample("2"), sample("2"), sample("2"), sample("1")])
    assert (reference.weight, rival.weight) == (0.25, 0.75)


def test_an_answer_without_its_program_is_no_second_way() -> None:
    bare = replace(sample("2", key="words", shape="words"), has_program=False)
    assert count_answers("1", [sample("2"), bare])[1].weight == 1
    assert count_answers("1", [bare])[1].weight == 1


def test_of_several_values_the_last_answers_where_one_number_is_asked_for() -> None:
    assert count_answers("370", [sample("(220, 90, 370)")])[0].weight == 1
    assert [answer.text for answer in count_answers("3", [sample("{H: 10, W: 4}"), sample("True", "n")])] == ["3", "4"]
    assert count_answers("(1, 2)", [sample("(1, 2)")])[0].weight == 1


def test_votes_of_better_models_and_of_more_models_say_more() -> None:
    models = Models()
    for _ in range(90):
        models.learn(count_answers("1", [sample("1", "good"), sample("1", "bad")]))
    for _ in range(10):
        models.learn(count_answers("1", [sample("3", "good"), sample("4", "bad")]))
    for _ in range(60):
        models.learn(count_answers("1", [sample("5", "bad")]))
    assert models.accuracy("good") > 0.85 > 0.6 > models.accuracy("bad")

    def score(*samples: Sample) -> float:
        return weigh_problem(TRIP, list(samples), 0, models, shipped()).suspect.score

    assert score(sample("11", "good")) > score(sample("11", "bad")) > score()
    assert score(sample("11", "good"), sample("11", "bad")) > score(sample("11", "good"))
    assert score(sample("11", "good"), sample("10", "bad")) < score(sample("11", "good"))
    assert score(sample("10", "good")) < score()


TRIP = story("10", None, "Cy reads 2 pages a day. How many pages does he read in 5 days?")


def test_a_difference_like_a_slip_says_more_than_one_by_a_number_of_the_question() -> None:
    def score(reference: str) -> float:
        models = Models()
        return weigh_problem(replace(TRIP, answer=reference), [sample("10")], 0, models, shipped()).suspect.score

    assert score("100") > score("12")
    assert score("100") > score("5")


def test_a_solution_that_gives_the_reference_silences_what_speaks_of_slips() -> None:
    def kinds(solution: str | None) -> set[str]:
        problem = story("98347", solution)
        suspect = weigh_problem(problem, [sample("32")], 0, Models(), shipped()).suspect
        return {item.kind for item in suspect.evidence}

    assert {"question", "difference"} <= kinds(None)
    assert {"question", "difference"} <= kinds(GOOD)
    assert not {"question", "difference"} & kinds("Ann has 98340+7 = <<98340+7=98347>>98347 nuts.")


def test_every_fitted_weight_is_told_in_some_piece_of_evidence() -> None:
    told = {*VOTES, *(name for names in SORTS.values() for name in names)}
    assert set(shipped().weights) == told
    assert set(shipped().answers.kinds) >= {kind for words in shipped().answers.words.values() for kind in words}


def test_how_a_reference_differs_is_seen() -> None:
    def seen(reference: str, rival: str, question: str = TRIP.question) -> set[str]:
        problem = replace(TRIP, answer=reference, question=question)
        return {name for name, value in differences(problem, rival).items() if value}

    assert seen("100", "10") == {"power of ten", "far"} - {"far"}
    assert "sign" in seen("-10", "10")
    assert "factor of two" in seen("20", "10")
    assert "one digit" in seen("17", "13")
    assert "only digit" in seen("7", "3")
    assert "one number" in seen("15", "10")  # 15 - 10 is the question's 5
    assert "small factor" in seen("30", "10")
    assert "strange letter" in seen("3x", "4", "Find it.")
    assert "strange letter" not in seen("3x", "4x", "Find it.")
    assert "other kind" in seen("\\frac{1}{2}", "7")


def test_plain_numbers_are_read_and_nothing_else() -> None:
    read = {
        "1,200": 1200,
        "$5.50": 5.5,
        "20%": 20,
        "\\frac{3}{4}": 0.75,
        "\\frac34": 0.75,
        "1,\\!200": 1200,
        "30^\\circ": 30,
    }
    assert {text: number_of(text) for text in read} == read
    assert number_of("5\\text{ cm}^2") == number_of("5 miles") == 5
    assert [number_of(text) for text in ("3x", "2+3i", "2\\sqrt{3}", "(3,4)", "\\pi", "x=5")] == [None] * 6


def test_operations_that_lead_to_a_number() -> None:
    question = "Ann has 5 bags of 7 nuts and eats 3."
    assert [operations(question, value) for value in (7.0, 35.0, 32.0, 38.5)] == [0, 1, 2, 3]
    assert operations(question, 987654.0) == 4  # once, everything was reachable: times zero it was zero


def test_answers_of_another_kind_than_the_question_asks_for_are_implausible() -> None:
    model = shipped().answers
    question = "How many apples are in 5 bags of 7 apples?"
    right = model.implausibility(question, "35")
    for answer in ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "x^2+3", "98347"):
        assert model.implausibility(question, answer) > right


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("7", "1 digits"),
        ("1,200", "4 digits, 2 zeros"),
        ("-40", "negative 2 digits, 1 zeros"),
        ("0", "1 digits"),
        ("2.50", "decimal"),
        ("\\frac{3}{4}", "fraction"),
        ("-\\frac{3}{4}", "negative fraction"),
        ("3\\sqrt{2}", "root"),
        ("(1,2)", "tuple"),
        ("[1,\\infty)", "interval"),
        ("x+1", "expression"),
        ("2+3i", "complex"),
        ("1,-2", "list"),
        ("\\text{Tuesday}", "text"),
        ("y=2x", "claim"),
    ],
)
def test_kinds_of_answers(answer: str, kind: str) -> None:
    assert answer_kind(answer) == kind


def test_a_file_name_says_who_wrote_the_outputs_not_what_of(tmp_path: Path) -> None:
    write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    row = json.dumps({"question": PROBLEMS[2].question, "pred": "11"})
    for name in ("solver-7b-v0.1.gsm8k.jsonl", "solver-7b-v0.1.jsonl"):
        (tmp_path / name).write_text(row + "\n")
        with Samples(tmp_path) as samples:
            samples.add_problems(PROBLEMS)
            samples.add_source(str(tmp_path / name), SampleFields())
            assert [one.model for one in samples.of("t/2")] == ["solver-7b-v0.1"]
        (tmp_path / "samples.sqlite").unlink()


def test_without_evidence_the_score_is_the_prior() -> None:
    assert score_of([]) == pytest.approx(PRIOR)


PROBLEMS = [
    replace(story("32", GOOD), id="t/0"),
    replace(story("34", GOOD, "Bo has 5 bags of 7 nuts and eats 3. How many nuts?"), id="t/1"),
    replace(story("10", None, "Cy reads 2 pages a day. How many pages does he read in 5 days?"), id="t/2"),
]
RECORDED = [
    {"question": PROBLEMS[2].question, "code": "print(2 * 5 + 1)", "output": "11", "model": "a"},
    {"question": PROBLEMS[2].question, "code": "x = 2 * 5\nprint(x + 1)", "output": "11", "model": "b"},
    {"question": PROBLEMS[2].question, "code": "print(2 * 5)", "output": "10", "model": "c", "error": "timeout"},
    {"question": "Another question?", "code": "print(1)", "output": "1", "model": "a"},
]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    (tmp_path / "recorded.jsonl").write_text("".join(json.dumps(row) + "\n" for row in RECORDED))
    return tmp_path


def test_find_writes_suspects_that_read_back(files: Path) -> None:
    out = files / "out"
    config = FindConfig(files / "problems.jsonl", (str(files / "recorded.jsonl"),))
    result = find(config, out)
    assert (result.problems, result.samples, result.unmatched, result.unanswered) == (3, 4, 1, 1)
    suspects = list(read_suspects(out))
    assert [suspect.rank for suspect in suspects] == [1, 2, 3]
    assert suspects[0].problem_id == "t/1"
    assert suspects[0].suggestion == "32"
    assert suspects[0].problem_hash == problem_hash(PROBLEMS[1])
    assert [problem.id for problem in read_problems(out / "problems.jsonl")] == [s.problem_id for s in suspects]
    voted = next(suspect for suspect in suspects if suspect.problem_id == "t/2")
    assert voted.suggestion == "11"
    assert "2 of 2 samples by 2 models say 11" in voted.sentence
    rows = [from_json(Trajectory, row) for _, row in read_jsonl(out / "trajectories.jsonl")]
    shown = {(row.problem_id, row.sample_index): row for row in rows}
    assert len(shown) == len(rows) == 2
    best = [shown["t/2", item.sample_index] for answer in voted.answers for item in answer.best]
    assert {row.model for row in best} == {"a", "b"}
    assert all(row.steps[0].code and row.steps[0].observation for row in best)
    for suspect in suspects:
        assert from_json(Suspect, json.loads(json.dumps(to_json(suspect)))) == suspect
        odds = sum(item.weight for item in suspect.evidence)
        assert suspect.score == pytest.approx(score_of(suspect.evidence), abs=1e-5)
        assert (suspect.score > PRIOR) == (odds > 0) or odds == 0
    again = files / "again"
    find(config, again)
    assert (again / "suspects.jsonl").read_bytes() == (out / "suspects.jsonl").read_bytes()


def test_stored_outcome_values_weigh_the_votes(files: Path) -> None:
    def score(logits: tuple[float, float] | None) -> tuple[float, float | None]:
        run = files / f"run{logits}"
        writer = ShardWriter(run / "trajectories")
        for index, answer in enumerate(("10", "11")):
            step = Step("", f"print({answer} + {index})")
            writer.append(
                Trajectory("t/2", index, "react", f"m{index}", Sampling(), (step,), StopReason.ANSWERED, answer)
            )
        writer.seal()
        if logits is not None:
            folder = run / "values" / "ovm"
            folder.mkdir(parents=True)
            write_card(folder, OvmCard())
            rows = [
                json.dumps({"problem_id": "t/2", "sample_index": i, "logits": [0.0, x]}) for i, x in enumerate(logits)
            ]
            (folder / "00000.jsonl").write_text("\n".join(rows) + "\n")
            digest = json.loads((run / "trajectories/00000.seal.json").read_text())["hash"]
            (folder / "00000.seal.json").write_text(json.dumps({"trajectories": digest}))
        find(FindConfig(files / "problems.jsonl", (str(run),)), files / "out")
        suspect = next(s for s in read_suspects(files / "out") if s.problem_id == "t/2")
        return suspect.score, next(answer.value for answer in suspect.answers if answer.answer == "11")

    (plain, none), (low, _), (high, value) = score(None), score((3.0, -3.0)), score((-3.0, 3.0))
    assert none is None
    assert value == pytest.approx(1 / (1 + math.exp(-3)), abs=1e-4)
    assert low < plain < high


def test_hidden_solutions_are_not_looked_at(files: Path) -> None:
    find(FindConfig(files / "problems.jsonl", solutions=False), files / "out")
    seen = {item.kind for suspect in read_suspects(files / "out") for item in suspect.evidence}
    assert seen <= {"question", "copy", "unseen"}


def test_even_votes_for_two_answers_are_an_ambiguity(files: Path) -> None:
    rows = [
        {"question": PROBLEMS[2].question, "code": f"print({n} + {i})", "output": str(answer), "model": f"{answer}{i}"}
        for n, (answer, i) in enumerate((answer, i) for answer in (10, 11) for i in range(3))
    ]
    (files / "even.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    find(FindConfig(files / "problems.jsonl", (str(files / "even.jsonl"),)), files / "out")
    kinds = {suspect.problem_id: suspect.kind for suspect in read_suspects(files / "out")}
    assert kinds["t/2"] is SuspectKind.AMBIGUOUS
    assert kinds["t/0"] is SuspectKind.LABEL


def test_a_missing_output_is_told_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="mario labels find"):
        list(read_suspects(tmp_path))


def patch_of(problem: Problem, **fields: Any) -> Patch:
    return replace(
        Patch(problem.id, problem_hash(problem), problem.answer, PatchAction.REPLACE, "5*7 - 3", "2026-01-31", "32"),
        **fields,
    )


def test_patches_are_found_by_hash_whatever_the_id(tmp_path: Path) -> None:
    assert write_patches(tmp_path / "p.jsonl", [patch_of(PROBLEMS[1])]) == 1
    patches = read_patches(tmp_path / "p.jsonl")
    copy = replace(PROBLEMS[1], id="another/7")
    assert [p.answer for p in apply_patches([copy], patches)] == ["34"]
    assert [p.answer for p in apply_patches([copy], by_hash(patches))] == ["32"]
    changed = replace(PROBLEMS[1], question="Bo has none. How many nuts?")
    with pytest.raises(DataError, match="another version"):
        list(apply_patches([changed], patches))


def test_unsound_patches_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="new_answer"):
        write_patches(tmp_path / "p.jsonl", [patch_of(PROBLEMS[1], new_answer=None)])
    with pytest.raises(ValueError, match="two patches"):
        write_patches(tmp_path / "p.jsonl", [patch_of(PROBLEMS[1])] * 2)


def test_the_command_finds_shows_and_applies(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["labels", "find", str(files), "--samples", str(files / "recorded.jsonl"), "--out", str(files / "o")]) == 0
    )
    assert "t/1" in capsys.readouterr().out
    write_patches(
        files / "p.jsonl", [patch_of(PROBLEMS[1]), patch_of(PROBLEMS[0], action=PatchAction.REMOVE, new_answer=None)]
    )
    assert main(["labels", "diff", str(files), "--patches", str(files / "p.jsonl")]) == 0
    assert "t/1  34 -> 32" in capsys.readouterr().out
    assert (
        main(["labels", "apply", str(files), "--patches", str(files / "p.jsonl"), "--out", str(files / "clean")]) == 0
    )
    assert [(p.id, p.answer) for p in read_problems(files / "clean" / "problems.jsonl")] == [
        ("t/1", "32"),
        ("t/2", "10"),
    ]
    assert main(["labels", "stats"]) == 0
    assert "gsm8k" in capsys.readouterr().out
    assert main(["labels", "fnd"]) == 2


def test_what_we_ship_holds_no_problem_text() -> None:
    patches = shipped_patches()
    assert len(patches) >= 40
    for path in FOLDER.glob("*.jsonl"):
        for _, row in read_jsonl(path):
            assert set(row) <= set(Patch.__dataclass_fields__)
            assert len(row["reason"]) < 250


def real_data() -> Path:
    if "MARIO_DATA" not in os.environ:
        pytest.skip("MARIO_DATA names no folder with the real data sets: no published reference was looked at")
    return Path(os.environ["MARIO_DATA"])


@pytest.fixture(scope="module")
def real() -> Iterator[Mapping[str, list[Problem]]]:
    folder = real_data()
    yield {
        "gsm8k/train": list(read_gsm8k(folder / "gsm8k/train.jsonl.gz", split="train")),
        "gsm8k/test": list(read_gsm8k(folder / "gsm8k/test.jsonl.gz", split="test")),
        "math/train": list(read_math(folder / "math/train.jsonl.gz", split="train")),
    }


@pytest.mark.realdata
def test_every_shipped_patch_fits_the_published_sets(real: Mapping[str, list[Problem]]) -> None:
    patches = shipped_patches()
    hashes = {problem_hash(problem): problem for problems in real.values() for problem in problems}
    assert set(patches) <= set(hashes)
    for digest, patch in patches.items():
        assert patch.old_answer == hashes[digest].answer


@pytest.mark.realdata
def test_rules_alone_rank_what_they_can_prove_first(real: Mapping[str, list[Problem]], tmp_path: Path) -> None:
    write_problems(tmp_path / "problems.jsonl", real["gsm8k/train"])
    find(FindConfig(tmp_path / "problems.jsonl", top=100), tmp_path / "out")
    found = {suspect.problem_hash for suspect in read_suspects(tmp_path / "out")}
    wrong = {
        h for h, p in shipped_patches().items() if p.action is PatchAction.REPLACE and "gsm8k/train" in p.problem_id
    }
    assert len(found & wrong) >= 8
    assert Fraction(len(found & wrong), len(wrong)) >= Fraction(2, 3)


@pytest.mark.realdata
def test_recorded_outputs_are_matched_by_question(real: Mapping[str, list[Problem]], tmp_path: Path) -> None:
    folder = real_data()
    with Samples(tmp_path) as samples:
        samples.add_problems(real["gsm8k/test"])
        samples.add_source(str(folder / "outputs/tora-code-34b-v1.0.gsm8k.jsonl.gz"), SampleFields())
        assert (samples.read, samples.unmatched) == (1319, 0)


@pytest.mark.realdata
def test_changed_references_are_ranked_before_published_ones(real: Mapping[str, list[Problem]], tmp_path: Path) -> None:
    problems = real["gsm8k/test"][400:700]
    changed = {problem.id for problem in problems[::50]}
    write_problems(
        tmp_path / "problems.jsonl",
        (replace(p, answer=p.answer.replace(",", "") + "3") if p.id in changed else p for p in problems),
    )
    find(FindConfig(tmp_path / "problems.jsonl", top=len(changed) + 2), tmp_path / "out")
    assert changed <= {suspect.problem_id for suspect in read_suspects(tmp_path / "out")}
