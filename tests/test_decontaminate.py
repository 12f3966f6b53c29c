"""Training problems against benchmarks: the rules, the decisions, and planted leaks in the real sets.

Semantics kept here:
- an overlap stops everything until its benchmark is named, and the report is there in either case;
- what leaves takes its rows along, each with a reason; the benchmarks' own texts never enter the rows.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leaks import change_numbers, paraphrase, verbatim
from mario.annotate.select import SelectConfig, select
from mario.data.decontaminate import Benchmark, DecontaminateConfig, Method, Thresholds, decontaminate, read
from mario.data.readers import read_gsm8k, read_math, read_problems, write_problems
from mario.data.trainingset import read_set
from mario.errors import DataError, UsageError
from mario.store import ShardWriter, read_jsonl
from mario.types import Observation, ObservationStatus, Problem, Sampling, Source, Span, Step, StopReason, Trajectory

QUESTION = (
    "A baker packs 24 rolls into every box and loads 17 boxes onto her van before breakfast. "
    "She sells 5 boxes at the market. How many rolls are left on the van?"
)
REWORDED = (
    "Before breakfast a van is loaded by Oona, who packs boxes of 24 rolls: 17 boxes in all. At the market 5 boxes are "
    "sold by her. What number of rolls stays on the van?"
)


def rules(first: str, second: str, thresholds: Thresholds | None = None) -> list[str]:
    found = Benchmark("b", [("x", second)], thresholds or Thresholds()).matches(read(first))
    return [match.method.value for match in found]


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        (QUESTION, "exact"),
        (QUESTION.upper() + "!!", "exact"),
        (QUESTION.replace("17", "seventeen"), "exact"),
        (QUESTION.replace("24", "1,240").replace("5", "0.5"), "masked"),
        ("Listen: " + QUESTION.split(". ")[0] + ", says a man. What is her name?", "ngram"),
        (QUESTION.replace("baker", "cook").replace("24", "30").replace("17", "twelve"), "ngram"),
        (REWORDED, "reworded"),
        ("A farmer has 24 cows, 17 goats and 5 dogs. How many legs do all of his animals have together?", None),
        ("How many rolls are left on the van?", None),
        ("", None),
    ],
)
def test_rules(changed: str, rule: str | None) -> None:
    assert rules(changed, QUESTION) == ([rule] if rule else [])


def test_near_needs_no_common_run_of_thirteen() -> None:
    words = [f"word{chr(97 + n)}" for n in range(25)]
    changed = [*words[:12], "other", *words[13:]]
    assert rules(" ".join(changed), " ".join(words), Thresholds(near=0.5)) == ["near"]
    assert rules(" ".join(changed), " ".join(words), Thresholds(near=0.9)) == []


def test_a_stock_phrase_is_no_copy() -> None:
    stock = "Write the answer as a common fraction in lowest terms with a positive whole denominator."
    items = [(str(n), f"Task {name} wants the {name} of it. {stock}") for n, name in enumerate(["sum", "root", "mean"])]
    reading = read(f"Quite another problem about trains and their tunnels. {stock}")
    assert Benchmark("b", items, Thresholds()).matches(reading) == []
    assert len(Benchmark("b", items[:2], Thresholds()).matches(reading)) == 2


def test_operators_count_as_numbers_do() -> None:
    assert rules("Compute $3+x$", "Compute $3-x$") == ["masked"]
    assert rules("How far is $(2, -6)$ from $(-4, 3)$?", "How far is $(-3, 1)$ from $(4, 5)$?") == ["masked"]
    assert rules("Compute $3+x$", "compute 3 + x.") == ["exact"]


def test_the_surest_rule_is_named_once() -> None:
    benchmark = Benchmark("b", [("same", QUESTION), ("like", QUESTION.replace("24", "25"))], Thresholds())
    assert {m.item: m.method for m in benchmark.matches(read(QUESTION))} == {
        "same": Method.EXACT,
        "like": Method.MASKED,
    }


def test_thresholds_are_checked() -> None:
    for wrong in ({"ngram": 1}, {"stock": 1}, {"near": 0.0}, {"reworded": 0.0}):
        with pytest.raises(UsageError):
            Thresholds(**wrong)  # type: ignore[arg-type]


# --- a directory ---------------------------------------------------------------------------------------------------


def problem(name: str, question: str, split: str = "train") -> Problem:
    return Problem(name, question, "288", "own", split)


OTHERS = [
    problem(f"p{n}", f"Pavel plants {n + 3} rows of {n + 20} trees behind the mill. How many trees?") for n in range(4)
]


def training_set(root: Path, problems: list[Problem]) -> Path:
    write_problems(root / "problems.jsonl", problems)
    writer = ShardWriter(root / "trajectories")
    for each in problems:
        for sample, answer in enumerate(("288", "289")):
            steps = (Step("t", "print(24 * 12)", Observation(answer, ObservationStatus.OK)), Step("so"))
            writer.append(
                Trajectory(each.id, sample, "inline", "teacher", Sampling(), steps, StopReason.ANSWERED, answer,
                           (Span(each.question, Source.PROMPT),))
            )  # fmt: skip
    writer.seal()
    select(root, SelectConfig(workers=1))
    return root


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    write_problems(
        tmp_path / "bench" / "problems.jsonl", [problem("t0", QUESTION, "test"), problem("t1", "Two?", "test")]
    )
    return tmp_path / "bench"


def test_nothing_in_common(tmp_path: Path, benchmark: Path) -> None:
    source = training_set(tmp_path / "set", OTHERS)
    made = decontaminate(DecontaminateConfig(source, (str(benchmark),)), tmp_path / "out")
    assert (made.problems, made.kept, made.dropped) == (4, 4, {})
    assert made.benchmarks[0]["action"] == "disjoint"
    for name in ("kept/00000.jsonl", "incorrect/00000.jsonl", "problems.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (source / name).read_bytes()


def test_an_overlap_is_an_error_that_says_what_to_type(tmp_path: Path, benchmark: Path) -> None:
    source = training_set(tmp_path / "set", [*OTHERS, problem("leak", QUESTION)])
    with pytest.raises(
        DataError, match=r"1 training problems are like questions of own-test \(exact 1\).*--remove own-test"
    ):
        decontaminate(DecontaminateConfig(source, (str(benchmark),)), tmp_path / "out")
    assert (tmp_path / "out" / "decontamination.html").exists()
    assert [line["item"] for _, line in read_jsonl(tmp_path / "out" / "matches.jsonl")] == ["t0"]
    assert not (tmp_path / "out" / "problems.jsonl").exists()


def test_what_is_named_leaves_with_its_rows(tmp_path: Path, benchmark: Path) -> None:
    source = training_set(tmp_path / "set", [*OTHERS, problem("leak", QUESTION)])
    out = tmp_path / "out"
    made = decontaminate(DecontaminateConfig(source, (str(benchmark),), remove=("own-test",)), out)
    assert made.dropped == {"like own-test: exact": 1}
    assert [p.id for p in read_problems(out / "problems.jsonl")] == [p.id for p in OTHERS]
    for folder in ("kept", "incorrect"):
        ids = {row["problem_id"] for _, row in read_jsonl(out / folder / "00000.jsonl")}
        assert ids == {p.id for p in OTHERS}
    left = read_set(out)
    assert (left.kept, left.incorrect, left.problems) == (4, 4, 4)
    assert left.filters[-1].dropped == {"like own-test: exact": 1}
    assert {"problem_id": "leak", "sample_index": 0, "reason": "like own-test: exact", "detail": "t0"} in [
        line for _, line in read_jsonl(out / "drops.jsonl")
    ]


def test_what_is_allowed_stays_and_is_said(tmp_path: Path, benchmark: Path) -> None:
    source = training_set(tmp_path / "set", [*OTHERS, problem("leak", QUESTION)])
    made = decontaminate(DecontaminateConfig(source, (f"mine={benchmark}",), allow=("mine",)), tmp_path / "out")
    assert (made.kept, made.benchmarks[0]["action"], made.benchmarks[0]["by_rule"]) == (5, "allowed", {"exact": 1})
    assert read_set(tmp_path / "out").compared[0]["action"] == "allowed"


def test_duplicates_inside_the_training_problems(tmp_path: Path, benchmark: Path) -> None:
    twins = [
        *OTHERS,
        replace(OTHERS[0], id="twin", question=OTHERS[0].question.lower()),
        problem("var", QUESTION + " Now!"),
    ]
    write_problems(tmp_path / "train.jsonl", twins)
    config = DecontaminateConfig(tmp_path / "train.jsonl", (str(benchmark),), remove=("all",))
    made = decontaminate(config, tmp_path / "out")
    assert made.dropped == {"duplicate problem": 1, "like own-test: ngram": 1}
    assert made.duplicates == {"masked": 3, "exact": 1}
    assert decontaminate(replace(config, duplicates="report"), tmp_path / "out").kept == 5


def test_what_was_made_from_a_leak_leaves_too(tmp_path: Path, benchmark: Path) -> None:
    kin = replace(OTHERS[0], id="kin", tags={"augmentation": {"parent": "leak", "kind": "backward"}})
    write_problems(tmp_path / "train.jsonl", [kin, *OTHERS[1:], problem("leak", QUESTION)])
    config = DecontaminateConfig(tmp_path / "train.jsonl", (str(benchmark),), remove=("own-test",))
    made = decontaminate(config, tmp_path / "out")
    assert made.dropped == {"like own-test: exact": 1, "made from a problem like a benchmark's": 1}


def test_a_second_run_touches_nothing(tmp_path: Path, benchmark: Path) -> None:
    source = training_set(tmp_path / "set", OTHERS)
    config = DecontaminateConfig(source, (str(benchmark),))
    made = decontaminate(config, tmp_path / "out")
    before = {path: path.stat() for path in (tmp_path / "out").rglob("*")}
    assert decontaminate(config, tmp_path / "out") == made
    assert {path: path.stat() for path in (tmp_path / "out").rglob("*")} == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"remove": ("own-tset",)}, "names 'own-tset', which is no benchmark here; there are: own-test"),
        ({"against": ("nowhere.jsonl",)}, "no such file"),
        ({"against": ()}, "names no benchmark"),
    ],
)
def test_misuse(tmp_path: Path, benchmark: Path, changes: dict[str, Any], said: str) -> None:
    write_problems(tmp_path / "train.jsonl", OTHERS)
    with pytest.raises((UsageError, DataError), match=said):
        given = {"problems": tmp_path / "train.jsonl", "against": (str(benchmark),), **changes}
        decontaminate(DecontaminateConfig(**given), tmp_path / "out")


def test_a_benchmark_may_be_any_json_lines_with_questions(tmp_path: Path) -> None:
    (tmp_path / "quiz.jsonl").write_text(json.dumps({"problem": QUESTION}) + "\n")
    write_problems(tmp_path / "train.jsonl", [problem("leak", QUESTION)])
    with pytest.raises(DataError, match="questions of quiz"):
        decontaminate(DecontaminateConfig(tmp_path / "train.jsonl", (str(tmp_path / "quiz.jsonl"),)), tmp_path / "out")


def test_the_page_shows_text_as_text(tmp_path: Path) -> None:
    nasty = "</script><script>alert(1)</script> " + QUESTION
    write_problems(tmp_path / "bench.jsonl", [problem("t", nasty, "test")])
    write_problems(tmp_path / "train.jsonl", [problem("leak", nasty)])
    decontaminate(
        DecontaminateConfig(tmp_path / "train.jsonl", (str(tmp_path / "bench.jsonl"),), allow=("all",)),
        tmp_path / "out",
    )
    page = (tmp_path / "out" / "decontamination.html").read_text()
    assert "alert(1)" in page
    assert "<script>alert" not in page


# --- the real sets ---------------------------------------------------------------------------------------------------

DATA = Path(os.environ.get("MARIO_DATA", "/nowhere"))
realdata = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason="NO REAL DATA: planted leaks were not looked for; set MARIO_DATA"),
]


def real(name: str) -> list[Problem]:
    if name == "math500":
        chosen = set(json.loads((DATA / "math" / "math500_ids.json").read_text()))
        return [p for p in read_math(DATA / "math" / "test.jsonl.gz", split="test") if p.id in chosen]
    folder, split = name.split("-")
    reader = read_gsm8k if folder == "gsm8k" else read_math
    return list(reader(DATA / folder / f"{split}.jsonl.gz", split=split))


@pytest.mark.parametrize(
    ("train", "test", "reworded"),
    [
        pytest.param("gsm8k-train", "gsm8k-test", 0.85, marks=realdata),
        pytest.param("math-train", "math500", 0.85, marks=realdata),
    ],
)
def test_planted_leaks(tmp_path: Path, train: str, test: str, reworded: float) -> None:
    """200 items of the test set in each of three disguises, mixed into real training problems."""
    items = real(test)
    picked = random.Random(20260101).sample(items, 200)
    planted: list[Problem] = []
    changed: Counter[str] = Counter()
    for disguise in (verbatim, change_numbers, paraphrase):
        for n, item in enumerate(picked):
            question = disguise(item.question, n)
            if disguise is verbatim or question != item.question:  # a rule may have found nothing to change
                planted.append(Problem(f"{disguise.__name__}/{item.id}", question, "0", "planted", "train"))
                changed[disguise.__name__] += 1
    mixed = [*real(train)[:2000], *planted]
    random.Random(1).shuffle(mixed)
    write_problems(tmp_path / "train.jsonl", mixed)
    write_problems(tmp_path / "test.jsonl", items)
    decontaminate(
        DecontaminateConfig(
            tmp_path / "train.jsonl", (f"bench={tmp_path / 'test.jsonl'}",), remove=("bench",), duplicates="report"
        ),
        tmp_path / "out",
    )
    found = {
        line["problem_id"]
        for _, line in read_jsonl(tmp_path / "out" / "matches.jsonl")
        if line["problem_id"].endswith("/" + line["item"])
    }
    left = {p.id for p in read_problems(tmp_path / "out" / "problems.jsonl")}
    assert not found & left
    recall = {kind: sum(f.startswith(kind) for f in found) / count for kind, count in changed.items()}
    print(f"{test}: recall {recall} of {dict(changed)}")
    assert recall["verbatim"] == 1
    assert recall["change_numbers"] >= 0.95
    assert recall["paraphrase"] >= reworded


@pytest.mark.parametrize("train,test", [pytest.param("gsm8k-train", "gsm8k-test", marks=realdata),
                                        pytest.param("gsm8k-train", "math500", marks=realdata)])  # fmt: skip
def test_clean_sets_are_left_alone(train: str, test: str) -> None:
    benchmark = Benchmark(test, ((p.id, p.question) for p in real(test)), Thresholds())
    problems = real(train)
    flagged = [p.id for p in problems if benchmark.matches(read(p.question))]
    print(f"{train} against {test}: {len(flagged)} of {len(problems)}")
    assert len(flagged) <= 0.01 * len(problems)


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="NO REAL DATA: overlaps were not compared; set MARIO_DATA")
def test_known_overlaps_of_math_are_found() -> None:
    """MATH's halves really overlap: nearly every listed pair is found here, and few others."""
    listed = json.loads((DATA / "bench" / "overlap_with_training_sets.json").read_text())["math500"]["math_train"]
    benchmark = Benchmark("math500", ((p.id, p.question) for p in real("math500")), Thresholds())
    problems = {p.id: p for p in real("math-train")}
    flagged = {
        p: {m.item for m in found} for p, q in problems.items() if (found := benchmark.matches(read(q.question)))
    }
    missed = {
        kind: [pair for pair in listed[kind] if pair[0] not in flagged.get(pair[1], ())]
        for kind in ("exact_pairs", "masked_pairs")
    }
    assert missed["exact_pairs"] == []
    # The list takes a whole expression for one number: "the value of 9^3 + 3(9^2)" and "of 26^2 - 24^2" are one to it.
    assert len(missed["masked_pairs"]) <= 2
    near = [pair for pair in listed["near_pairs"] if pair[0] not in flagged.get(pair[1], ())]
    assert len(near) <= 0.1 * len(listed["near_pairs"])
    known = {pair[0] for kind in ("exact_pairs", "masked_pairs", "ngram_pairs", "near_pairs") for pair in listed[kind]}
    new = {p for p, items in flagged.items() if not items & known}
    print(
        f"math-train against math500: {len(flagged)} of {len(problems)} like one; {len(new)} like none that is listed"
    )
    assert len(new) <= 0.01 * len(problems)
