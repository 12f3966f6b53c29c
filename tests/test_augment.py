"""Augmentation: what may change and how it is said; every new problem is checked in two ways; counts add up.

The engine is a real one over loopback: a small server that rewrites and solves shell stories, and sometimes does it
badly. Rules of numeric variation are each shown by a story of our own in which breaking the rule makes nonsense.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse
from starlette.routing import Route

from mario.augment import AugmentConfig, augment
from mario.augment.agree import agree
from mario.augment.candidate import TAG, Candidate, Drop
from mario.augment.writer import WriteConfig
from mario.augment.written import make_fobar, make_rephrased, make_self_verification
from mario.cli.app import main
from mario.data.calculator import Conversion, convert
from mario.data.calculator.mentions import find_mentions
from mario.data.calculator.vary import Template, Unvaried, Variation, draw, template, vary
from mario.data.readers import read_gsm8k, read_problems, write_problems
from mario.data.wordproblems import generate
from mario.engine import EngineConfig
from mario.errors import EngineError, UsageError
from mario.recipe import build
from mario.recipe import settings as recipe_settings
from mario.solve import SolveConfig
from mario.store import read_jsonl
from mario.types import Problem


def problem(question: str, solution: str, answer: str, id: str = "p") -> Problem:
    return Problem(id, question, answer, "mine", "train", solution=solution, licence="CC0")


PENS = problem(
    "Mara buys 12 packs of pens with 8 pens each and gives 15 pens away. How many pens has she left?",
    "She buys 12*8=<<12*8=96>>96 pens.\nShe has 96-15=<<96-15=81>>81 pens left.",
    "81",
)
SALE = problem(
    "A $250 coat is 20% off on Monday. Ivo pays with $320. What is his change?",
    "The discount is $250*.20=$<<250*.20=50>>50.\nSo he pays 250-50=$<<250-50=200>>200.\n"
    "His change is $320-$200=$<<320-200=120>>120.",
    "120",
)


def made(item: Problem) -> Template:
    found = template(item)
    assert isinstance(found, Template), found
    return found


def with_numbers(item: Problem, **values: int | str) -> Variation | None:
    """The variation with these new numbers, by the old text: n12=14."""
    found = made(item)
    chosen = {name.removeprefix("n").replace("_", "."): Fraction(value) for name, value in values.items()}
    return vary(found, {mention: chosen.get(mention.text, mention.value) for mention in found.free})


def drawn(item: Problem, count: int = 40) -> list[Variation]:
    found = made(item)
    return [new for seed in range(count) if (new := draw(found, Random(seed))) is not None]


# --- what changes together


def test_question_program_and_solution_change_together() -> None:
    new = with_numbers(PENS, n12=14, n8=9, n15=16)
    assert new is not None
    assert new.problem.question.startswith("Mara buys 14 packs of pens with 9 pens each and gives 16 pens away.")
    assert new.problem.solution == "She buys 14*9=<<14*9=126>>126 pens.\nShe has 126-16=<<126-16=110>>110 pens left."
    assert new.problem.answer == "110"
    assert "14 * 9" in new.code and "- 16" in new.code
    assert new.changed == {"12": "14", "8": "9", "15": "16"}
    again = convert(new.problem)
    assert isinstance(again, Conversion) and again.output == "110"


def test_a_percentage_changes_in_every_spelling() -> None:
    new = with_numbers(SALE, n20=30)
    assert new is not None
    assert "30% off" in new.problem.question
    assert "250*.3=" in (new.problem.solution or "").replace("$", "").replace(".30", ".3")
    assert new.problem.answer == "145"


def test_numbers_keep_their_style() -> None:
    story = problem(
        "Nine men earn an 8-hour wage of $1,200 and $3.50 each hour. What do they earn?",
        "9*1200=<<9*1200=10800>>10,800 and 9*3.5=<<9*3.5=31.5>>31.5.\nThen 31.5*8=<<31.5*8=252>>252."
        "\nTogether 10800+252=<<10800+252=11052>>11052",
        "11052",
    )
    new = with_numbers(story, nNine=12, n8=11, n3_50=Fraction(9, 2))
    assert new is not None
    assert new.problem.question == "Twelve men earn an 11-hour wage of $1,200 and $4.50 each hour. What do they earn?"
    new = with_numbers(story, n8=9, nNine=10)
    assert new is not None and "Ten men earn a 9-hour wage" in new.problem.question


def test_new_numbers_are_drawn_by_seed_and_differ() -> None:
    found = made(PENS)
    one, two = draw(found, Random(1)), draw(found, Random(1))
    assert one == two is not None
    assert len({new.problem.question for new in drawn(PENS)}) > 20


@pytest.mark.parametrize("item", [PENS, SALE], ids=["pens", "sale"])
def test_results_stay_whole_positive_and_near(item: Problem) -> None:
    for new in drawn(item):
        again = convert(new.problem)
        assert isinstance(again, Conversion) and again.output == new.problem.answer
        value = Fraction(new.problem.answer)
        assert value.denominator == 1 and value > 0
        assert Fraction(item.answer) / 4 <= value <= Fraction(item.answer) * 4
        for percent in re.findall(r"(\d+)%", new.problem.question):
            assert 0 < int(percent) < 100


# --- what is left alone: each of these was a fault once

LEFT_ALONE = {
    "a total that would no longer cover its parts": (
        "Of 90 seats, 40 are sold on Monday and 30 on Tuesday. How many are sold on both days?",
        "40+30=<<40+30=70>>70", "70", Unvaried.UNUSED_NUMBER),
    "half, and two others": (
        "Half of 30 pupils bring 8 cans, two bring none, and the other 13 bring 4 cans each. How many cans?",
        "30/2=<<30/2=15>>15 pupils.\n15*8=<<15*8=120>>120.\n13*4=<<13*4=52>>52.\n120+52=<<120+52=172>>172",
        "172", Unvaried.UNUSED_NUMBER),
    "a number that the solution made up": (
        "Ann, Bo and Cy share 48 plums. How many does each get?", "48/3=<<48/3=16>>16", "16",
        Unvaried.UNKNOWN_LITERAL),
    "two meanings of one number": (
        "Ida has 6 hens and 6 ducks and sells 4 hens. How many hens has she?", "6-4=<<6-4=2>>2", "2",
        Unvaried.UNUSED_NUMBER),
    "minutes of an hour": (
        "A tap gives 60 drops a minute. How many drops in an hour?", "60*60=<<60*60=3600>>3600", "3600",
        Unvaried.NOTHING_TO_CHANGE),
    "nothing to read": ("Why?", "Because.", "7", Unvaried.NOT_CONVERTED),
}  # fmt: skip


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_a_story_that_cannot_be_changed_safely_is_left_alone(case: str) -> None:
    question, solution, answer, reason = LEFT_ALONE[case]
    assert template(problem(question, solution, answer)) is reason


FIXED = [
    ("A dog has 4 legs. How many legs have 9 dogs?", ["9"]),
    ("There are 3,500 calories in a pound and 20 pounds.", ["20"]),
    ("He works the first 5 days of the week for 9 dollars.", ["9"]),
    ("At 5 pm on day 3 in 1998 she paid with a $20 bill for 14 eggs.", ["14"]),
    ("A deck and 50% of 18 cards, 3/4 of 22 cups, 2 million, 5:30, 2nd, size 44, 10-15.", ["18", "22"]),
    ("Six boys, twenty-five girls and twice as many men.", ["Six"]),
    ("Two of 12 cakes are halved; one is left.", ["12"]),
    ("7 hens and another 7 hens and 19 ducks.", ["19"]),
]


@pytest.mark.parametrize(("question", "free"), FIXED, ids=[question[:30] for question, _ in FIXED])
def test_facts_names_and_shared_numbers_are_fixed(question: str, free: list[str]) -> None:
    assert [mention.text for mention in find_mentions(question) if mention.kind != "fixed"] == free


def test_what_counts_the_text_itself_is_fixed() -> None:
    average = problem(
        "Over 3 games Jo scored 14, 19 and 24 points. What is the average?",
        "14+19+24=<<14+19+24=57>>57\n57/3=<<57/3=19>>19", "19")  # fmt: skip
    assert isinstance(template(average), Unvaried) or "3" not in {m.text for m in made(average).free}
    quizzes = problem(
        "Lea wrote 4 quizzes with 92% each and wants 93% over 5 quizzes. What must she get?",
        "4*92=<<4*92=368>>368\n5*93=<<5*93=465>>465\n465-368=<<465-368=97>>97", "97")  # fmt: skip
    assert {mention.text for mention in made(quizzes).free} <= {"92", "93"}
    assert all(Fraction(new.problem.answer) <= 100 for new in drawn(quizzes))


def test_what_would_turn_the_story_upside_down_is_refused() -> None:
    assert with_numbers(PENS, n15=97) is None  # more given away than bought
    assert with_numbers(PENS, n15=5) is None  # fewer given away than in a pack: the order of the numbers changed
    assert with_numbers(SALE, n20=23) is None  # a discount of 57.50, where there were no cents
    assert with_numbers(SALE, n250=400) is None  # he could not pay


# --- questions that are written, or asked backwards

SHELLS = Problem("s/1", "Mia has 14 shells and finds 9 more. How many shells has Mia now?", "23", "mine", "train")


def test_fobar_hides_a_number_and_tells_the_answer() -> None:
    new = make_fobar(SHELLS, 0, 0, Random(0))
    assert isinstance(new, Candidate)
    hidden = new.problem.answer
    assert hidden in ("14", "9")
    assert new.problem.question == SHELLS.question.replace(hidden, "x", 1) + (
        "\nThe answer to this question is 23. What is the value of the unknown x?"
    )
    assert new.problem.tags[TAG] == {"parent": "s/1", "kind": "fobar", "seed": 0, "changed": {hidden: "x"}}
    assert new.problem.solution is None
    other = make_fobar(replace(SHELLS, question="Given x + 14 = 23 and y = 9. What is x?"), 0, 0, Random(0))
    assert isinstance(other, Candidate) and "unknown z?" in other.problem.question


REPHRASED = [
    ("Mia owns 14 shells and then finds 9. How many shells are hers?", None),
    ("Question: Mia owns 14 shells\nand then finds nine. How many shells are hers?", None),
    ("", "the writer wrote nothing"),
    ("Mia finds 9 shells. How many has she?", "the writer lost a number"),
    ("Mia has 14 shells and finds 9 more, so 23. How many shells has she?", "the writer tells the answer"),
    (SHELLS.question, "the writer repeated the question"),
    ("14 9 " + "so " * 400, "the writer rambled"),
]


@pytest.mark.parametrize(("written", "reason"), REPHRASED, ids=[str(reason) for _, reason in REPHRASED])
def test_a_rephrased_question_keeps_its_numbers(written: str, reason: str | None) -> None:
    new = make_rephrased(SHELLS, written, 0, 0, "writer")
    if reason is None:
        assert isinstance(new, Candidate)
        assert (new.problem.answer, new.problem.tags[TAG]["writer"]) == ("23", "writer")
    else:
        assert isinstance(new, Drop) and new.reason == reason


def test_self_verification_hides_a_number_of_the_question_not_of_the_answer() -> None:
    for seed in range(10):
        new = make_self_verification(
            SHELLS, "Mia has 14 shells and finds 9 more. Mia has 23 shells now.", 0, 0, "w", Random(seed)
        )
        assert isinstance(new, Candidate)
        assert new.problem.answer in ("14", "9")
        assert "23 shells now. What is the value of the unknown x?" in new.problem.question
    asks = make_self_verification(SHELLS, "Mia has 14 and 9: 23?", 0, 0, "w", Random(0))
    assert isinstance(asks, Drop) and asks.reason == "the writer still asks"
    lost = make_self_verification(SHELLS, "Mia has 14 shells and finds 9.", 0, 0, "w", Random(0))
    assert isinstance(lost, Drop) and lost.reason == "the writer lost a number"


def test_attempts_must_agree_on_the_answer() -> None:
    candidate = make_rephrased(SHELLS, "Mia owns 14 shells, finds 9. How many?", 0, 0, "w")
    assert isinstance(candidate, Candidate)
    kept = agree(candidate, ["23", "23.0", None, "22"], 2)
    assert isinstance(kept, Problem)
    assert kept.tags[TAG]["checked"] == {"attempts": 4, "agree": 2}
    for answers, reason in [
        (["23", "22", "21", None], "attempts do not agree"),
        ([None] * 4, "attempts do not agree"),
        (["5", "5", "5", "23"], "attempts agree on another answer"),
    ]:
        drop = agree(candidate, answers, 2)
        assert isinstance(drop, Drop) and drop.reason == reason


# --- whole runs


class StoryServer:
    """Rewrites and solves shell stories as a model would; stories about stones it solves differently each time, and
    stories about boats it turns round (`finds` becomes `loses`) when it rewrites them."""

    def __init__(self) -> None:
        self.calls = 0
        self.down = False

    async def chat(self, http: HttpRequest) -> JSONResponse:
        self.calls += 1
        if self.down:
            return JSONResponse({"error": "out of order"}, 500)
        messages = (await http.json())["messages"]
        story, _, answer = messages[-1]["content"].partition("\nAnswer: ")
        facts = story[: story.index("How many")].strip()
        if answer:
            written = f"{facts} In the end it is {answer}."
        elif "boats" in facts:
            written = facts.replace("finds", "loses") + " What is left?"
        else:
            written = f"{facts} What does that make?"
        choice = {"message": {"role": "assistant", "content": written}, "finish_reason": "stop"}
        return JSONResponse({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 9}})

    async def complete(self, http: HttpRequest) -> JSONResponse:
        self.calls += 1
        call = self.calls  # others come while the body is read
        prompt = (await http.json())["prompt"]
        if prompt.endswith("Written:"):
            story = prompt[prompt.rindex("Given: ") + 7 :]
            text, stop = f" {story[: story.index('How many')]}What does that make?", "\nGiven:"
            return JSONResponse({"choices": [{"text": text, "finish_reason": "stop", "stop_reason": stop}]})
        asked = prompt[prompt.rindex("Question:") :]
        question = asked[: asked.index("Solution:")]
        if "Output:" in asked:
            text, stop = f"That is it.\n</p>\n\nFinal Answer: ${asked.split('Output:')[1].split()[0]}$\n", None
        else:
            numbers = re.findall(r"\d+", question)
            if "unknown" in question:
                code = f"print({numbers[-1]} - {numbers[0]})"
            elif "stones" in question:
                code = f"print({call})"
            else:
                code = f"print({numbers[0]} {'-' if 'loses' in question else '+'} {numbers[1]})"
            text, stop = f"I compute.\n</p>\n\n<code>\n```python\n{code}\n```\n", "</code>"
        choice = {"text": text, "finish_reason": "stop", "stop_reason": stop}
        return JSONResponse({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 9}})


@pytest.fixture(scope="module")
def story_server() -> Iterator[tuple[StoryServer, str]]:
    story = StoryServer()
    routes = [Route("/v1/chat/completions", story.chat, methods=["POST"]),
              Route("/v1/completions", story.complete, methods=["POST"])]  # fmt: skip
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield story, f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    server.should_exit = True
    thread.join(timeout=10)
    listener.close()


def stories(path: Path) -> Path:
    things = ["shells", "coins", "stones", "boats", "cards", "pears"]
    found = [
        Problem(f"s/{i}", f"Mia has {11 + 7 * i} {thing} and finds {5 + i} more. How many {thing} has Mia now?",
                str(16 + 8 * i), "mine", "train", licence="CC0")
        for i, thing in enumerate(things)
    ]  # fmt: skip
    write_problems(path, found)
    return path


def settings(problems: Path, endpoint: str, **changes: Any) -> AugmentConfig:
    config = AugmentConfig(
        problems,
        ("rephrase", "self_verification", "fobar"),
        agree=3,
        engine=EngineConfig("stories", endpoint, max_retries=0),
        solve=SolveConfig(samples=3, temperature=0.7),
        write=WriteConfig(),
    )
    return replace(config, **changes)


def test_written_questions_are_kept_where_attempts_agree(story_server: tuple[StoryServer, str], tmp_path: Path) -> None:
    story, endpoint = story_server
    config = settings(stories(tmp_path / "p.jsonl"), endpoint)
    result = augment(config, tmp_path / "out")
    for kind in config.kinds:
        assert result.wanted[kind] == result.kept[kind] + result.dropped[kind] + result.failed[kind] == 6
    assert result.failures == 0
    kept = {new.id: new for new in read_problems(tmp_path / "out" / "problems.jsonl")}
    assert len(kept) == sum(result.kept.values())
    drops = {(row["problem_id"], row["reason"]) for _, row in read_jsonl(tmp_path / "out" / "drops.jsonl")}
    assert ("s/2+rephrase-0", "attempts do not agree") in drops  # stones
    assert ("s/3+rephrase-0", "attempts agree on another answer") in drops  # boats
    assert {"s/0+rephrase-0", "s/1+rephrase-0", "s/4+rephrase-0", "s/5+rephrase-0"} <= set(kept)
    backwards = kept["s/0+fobar-0"]
    assert backwards.answer in ("11", "5")
    assert backwards.tags[TAG]["parent"] == "s/0"
    assert backwards.tags[TAG]["checked"] == {"attempts": 3, "agree": 3}
    assert (backwards.source, backwards.split, backwards.licence) == ("mine", "train", "CC0")
    calls, before = story.calls, (tmp_path / "out" / "problems.jsonl").read_bytes()
    assert augment(config, tmp_path / "out") == result
    assert story.calls == calls  # nothing is asked twice
    assert (tmp_path / "out" / "problems.jsonl").read_bytes() == before


def test_a_base_model_writes_by_going_on_with_a_text(story_server: tuple[StoryServer, str], tmp_path: Path) -> None:
    _, endpoint = story_server
    config = settings(stories(tmp_path / "p.jsonl"), endpoint, kinds=("rephrase",), write=WriteConfig(api="text"))
    result = augment(config, tmp_path / "out")
    assert result.kept["rephrase"] == 5  # all but the stones
    kept = next(read_problems(tmp_path / "out" / "problems.jsonl"))
    assert kept.question == "Mia has 11 shells and finds 5 more. What does that make?"


def test_a_dead_engine_is_an_error_not_a_drop(story_server: tuple[StoryServer, str], tmp_path: Path) -> None:
    story, endpoint = story_server
    story.down = True
    try:
        with pytest.raises(EngineError):
            augment(settings(stories(tmp_path / "p.jsonl"), endpoint, kinds=("rephrase",)), tmp_path / "out")
    finally:
        story.down = False


def test_numbers_run_end_to_end_without_a_model(tmp_path: Path) -> None:
    write_problems(tmp_path / "p.jsonl", generate("train", 60, 0, (1, 2), (1, 2, 3)))
    config = AugmentConfig(tmp_path / "p.jsonl", copies=2, seed=3)
    result = augment(config, tmp_path / "out")
    assert result.wanted["numbers"] == 120 == result.kept["numbers"] + result.dropped["numbers"]
    assert result.kept["numbers"] >= 30
    kept = list(read_problems(tmp_path / "out" / "problems.jsonl"))
    assert len({new.question for new in kept}) == len(kept)
    for new in kept:
        again = convert(new)
        assert isinstance(again, Conversion) and again.output == new.answer
        assert new.tags[TAG]["checked"] == {"program": new.answer, "solution": new.answer}
    # A problem's numbers do not depend on the others, and the parents of parents are told apart.
    (tmp_path / "few.jsonl").write_bytes(b"".join((tmp_path / "p.jsonl").read_bytes().splitlines(True)[30:]))
    augment(replace(config, problems=tmp_path / "few.jsonl"), tmp_path / "few")
    fewer = list(read_problems(tmp_path / "few" / "problems.jsonl"))
    parents = {new.id for new in read_problems(tmp_path / "few.jsonl")}
    assert fewer == [new for new in kept if new.tags[TAG]["parent"] in parents]
    again_result = augment(replace(config, problems=tmp_path / "out" / "problems.jsonl"), tmp_path / "twice")
    assert again_result.drops == {"numbers: its parent was made from another problem": 2 * len(kept)}


def test_the_command_makes_shows_and_plans(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_problems(tmp_path / "problems.jsonl", [PENS, replace(SALE, id="q")])
    assert main(["augment", str(tmp_path), "--copies", "3", "--json", "--out", str(tmp_path / "out")]) == 0
    counts = json.loads(capfd.readouterr().out)
    assert counts["wanted"] == {"numbers": 6}
    assert counts["kept"]["numbers"] + counts["dropped"]["numbers"] == 6
    assert main(["augment", str(tmp_path), "--kinds", "rephrase,numbers", "--dry-run"]) == 0
    assert "first prompt of rephrase (p)" in capfd.readouterr().out
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'out = "{tmp_path}/run"\n[stages.more]\nverb = "augment"\nproblems = "{tmp_path}/problems.jsonl"\n'
    )
    assert main(["run", str(recipe)]) == 0
    assert (tmp_path / "run" / "more" / "problems.jsonl").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kinds": ()}, "kinds must name"),
        ({"kinds": ("fobar", "fobar")}, "kinds must name each kind once"),
        ({"copies": 0}, "copies must be a positive integer"),
        ({"agree": 5}, "raise solve.samples"),
        ({"limit": 0}, "limit must be"),
    ],
)
def test_settings_that_make_no_sense(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        settings(Path("p"), "http://127.0.0.1:9/v1", **changes)


def test_a_flag_of_the_attempts_leaves_their_other_defaults() -> None:
    found = build(AugmentConfig, {"problems": "p", "solve": {"samples": 5}}, "flags")
    assert (found.solve.samples, found.solve.temperature) == (5, 0.7)
    defaults = {setting.path: setting.default for setting in recipe_settings(AugmentConfig)}
    assert (defaults["solve.samples"], defaults["solve.temperature"]) == (4, 0.7)


@pytest.mark.realdata
def test_numbers_of_real_problems_vary(tmp_path: Path) -> None:
    if "MARIO_DATA" not in os.environ:
        pytest.skip("MARIO_DATA names no folder with the real data sets: no numbers of GSM8K were varied")
    source = Path(os.environ["MARIO_DATA"]) / "gsm8k" / "train.jsonl.gz"
    write_problems(tmp_path / "p.jsonl", islice(read_gsm8k(source, split="train"), 300))
    result = augment(AugmentConfig(tmp_path / "p.jsonl"), tmp_path / "out")
    assert result.kept["numbers"] >= 90  # of 300; it was 113 and then 106, as rules were added
    assert not any("disagree" in reason or "ended with" in reason for reason in result.drops)
