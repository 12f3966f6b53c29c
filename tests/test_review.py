"""Review decisions: what is kept, what an undo uncovers, who agrees, what is exported.

What must hold: replaying a file gives the state that was; an undo gives the state before; reviewers' files can be read
in any order; nothing is settled while people differ; a slower tab overwrites nothing.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario.cli.app import main
from mario.data.patches import PatchAction, apply_patches, read_patches
from mario.data.readers import read_problems
from mario.data.trainingset import Filter, read_set
from mario.errors import StoreError, UsageError
from mario.grade import is_equivalent
from mario.review.agreement import differing, kappa, kappas, may_open, settle
from mario.review.book import Book, read_ledgers
from mario.review.chain import redo, without_marks
from mario.review.events import Event, EventKind, Judgement, Ledger, Stale, Verdict
from mario.review.guard import Guard, Refused
from mario.review.items import Items
from mario.review.outcome import Reviewed, outcome
from mario.review.pages import View, following, matching
from mario.store import scan_shards
from mario.types import Trajectory
from review_samples import right_answer, suspects_directory, training_directory

ITEMS = ("a", "b", "c")
HASH = "sha256:1"
KEYS = [(item, HASH) for item in ITEMS]
LABELS = (Verdict.WRONG, Verdict.RIGHT, Verdict.AMBIGUOUS, Verdict.FORM, Verdict.SKIP)
Move = tuple[str, str, Verdict, str | None]
moves = st.lists(
    st.tuples(
        st.sampled_from(["decide", "decide", "adjudicate", "open", "undo"]),
        st.sampled_from(ITEMS),
        st.sampled_from(LABELS),
        st.sampled_from([None, "1", "2"]),
    ),
    max_size=25,
)


def events_of(reviewer: str, made: list[Move]) -> list[Event]:
    """The events that a page would write for these moves; an undo of nothing writes none."""
    ledger, events = Ledger(), []
    for kind, item, verdict, answer in made:
        latest = ledger.undoable()
        if kind == "undo":
            if latest is None:
                continue
            event = Event(ledger.last + 1, "t", reviewer, EventKind.UNDO, latest.item, HASH, undoes=latest.seq)
        elif kind == "open":
            event = Event(ledger.last + 1, "t", reviewer, EventKind.OPEN, item, HASH)
        else:
            judgement = Judgement(verdict, answer if verdict is Verdict.WRONG else None)
            event = Event(ledger.last + 1, "t", reviewer, EventKind(kind), item, HASH, judgement)
        ledger.add(event)
        events.append(event)
    return events


def standing(ledger: Ledger) -> list[Any]:
    return [(ledger.decision(item), ledger.adjudication(item)) for item in ITEMS] + [ledger.undoable()]


@given(moves)
def test_undoing_everything_leaves_nothing(made: list[Move]) -> None:
    ledger = Ledger(events_of("anna", made))
    while (latest := ledger.undoable()) is not None:
        ledger.add(Event(ledger.last + 1, "t", "anna", EventKind.UNDO, latest.item, HASH, undoes=latest.seq))
    assert all(ledger.decision(item) is None and ledger.adjudication(item) is None for item in ITEMS)
    assert ledger.decisions == {}


@given(moves, st.sampled_from(ITEMS), st.sampled_from(LABELS))
def test_an_undo_uncovers_what_stood_before(made: list[Move], item: str, verdict: Verdict) -> None:
    ledger = Ledger(events_of("anna", made))
    before = standing(ledger)
    number = ledger.last + 1
    ledger.add(Event(number, "t", "anna", EventKind.DECIDE, item, HASH, Judgement(verdict)))
    assert ledger.decision(item) is not None
    ledger.add(Event(number + 1, "t", "anna", EventKind.UNDO, item, HASH, undoes=number))
    assert standing(ledger) == before


@given(moves, st.data())
def test_a_file_cut_at_any_line_replays_to_what_stood_then(made: list[Move], data: st.DataObject) -> None:
    events = events_of("anna", made)
    cut = data.draw(st.integers(0, len(events)))
    ledger = Ledger(events[:cut])
    then = standing(ledger)
    for event in events[cut:]:
        ledger.add(event)
    assert standing(ledger) == standing(Ledger(events))
    assert standing(Ledger(events[:cut])) == then


@given(moves, moves)
def test_two_reviewers_never_touch_each_other_and_their_order_means_nothing(one: list[Move], two: list[Move]) -> None:
    anna, ben = Ledger(events_of("anna", one)), Ledger(events_of("ben", two))
    ledgers, turned = {"anna": anna, "ben": ben}, {"ben": ben, "anna": anna}
    for key in KEYS:
        assert settle(ledgers, key, str.__eq__) == settle(turned, key, str.__eq__)
    assert differing(ledgers, KEYS, str.__eq__) == differing(turned, KEYS, str.__eq__)
    there, back = kappa("anna", anna, "ben", ben, KEYS), kappa("ben", ben, "anna", anna, KEYS)
    assert there.n == back.n and there.kappa == back.kappa
    assert standing(anna) == standing(Ledger(events_of("anna", one)))


@given(moves)
def test_who_agrees_with_themself_agrees_wholly(made: list[Move]) -> None:
    ledger = Ledger(events_of("anna", made))
    pair = kappa("anna", ledger, "twin", Ledger(events_of("twin", made)), KEYS)
    assert pair.kappa in (None, 1.0)
    assert differing({"anna": ledger, "twin": ledger}, KEYS, str.__eq__) == []


def decided(reviewer: str, *verdicts: Verdict | tuple[Verdict, str]) -> Ledger:
    """One decision an item, in order."""
    judged = [Judgement(*each) if isinstance(each, tuple) else Judgement(each) for each in verdicts]
    return Ledger(
        Event(number, "2026-03-04T05:06:07Z", reviewer, EventKind.DECIDE, f"i{number}", HASH, judgement)
        for number, judgement in enumerate(judged, start=1)
    )


def test_kappa_is_that_of_the_textbook() -> None:
    # 20 both yes, 5 yes/no, 10 no/yes, 15 both no: observed 0.7, by chance 0.5, kappa 0.4.
    yes, no = Verdict.WRONG, Verdict.RIGHT
    anna = decided("anna", *[yes] * 25, *[no] * 25)
    ben = decided("ben", *[yes] * 20, *[no] * 5, *[yes] * 10, *[no] * 15)
    pair = kappa("anna", anna, "ben", ben, [(f"i{n}", HASH) for n in range(1, 51)])
    assert (pair.n, pair.observed, pair.expected) == (50, 0.7, 0.5)
    assert pair.kappa is not None and math.isclose(pair.kappa, 0.4)


def test_kappa_counts_the_verdict_from_before_the_difference_was_opened() -> None:
    anna, ben = decided("anna", Verdict.WRONG, Verdict.RIGHT), decided("ben", Verdict.RIGHT, Verdict.RIGHT)
    keys = [("i1", HASH), ("i2", HASH)]
    assert kappas({"anna": anna, "ben": ben}, keys)[0].observed == 0.5
    anna.add(Event(3, "t", "anna", EventKind.OPEN, "i1", HASH))
    anna.add(Event(4, "t", "anna", EventKind.DECIDE, "i1", HASH, Judgement(Verdict.RIGHT)))
    assert kappas({"anna": anna, "ben": ben}, keys)[0].observed == 0.5
    assert differing({"anna": anna, "ben": ben}, keys, str.__eq__) == []


def test_nobody_sees_another_verdict_before_their_own() -> None:
    anna, ben = decided("anna", Verdict.WRONG), decided("ben", Verdict.SKIP, Verdict.RIGHT)
    ledgers = {"anna": anna, "ben": ben}
    assert not may_open("anna", ledgers, ("i2", HASH))
    assert may_open("ben", ledgers, ("i2", HASH))
    assert may_open("carla", ledgers, ("i2", HASH))  # who reviews nothing may settle


def test_a_decision_about_another_version_of_an_item_does_not_stand() -> None:
    ledger = decided("anna", Verdict.WRONG)
    assert ledger.decision("i1", HASH) is not None
    assert ledger.decision("i1", "sha256:2") is None


def reviewed(count: int) -> list[Reviewed]:
    return [Reviewed(f"i{n}", HASH, f"p{n}", None, "36", "because", ("e1",)) for n in range(1, count + 1)]


def test_only_what_nobody_contradicts_becomes_a_patch() -> None:
    wrong = Verdict.WRONG
    anna = decided("anna", (wrong, "18"), (wrong, "18"), wrong, Verdict.AMBIGUOUS, Verdict.FORM, Verdict.SKIP, wrong)
    ben = decided("ben", (wrong, "18.0"), (wrong, "19"), wrong, Verdict.AMBIGUOUS, Verdict.FORM, Verdict.SKIP)
    found = outcome(reviewed(8), {"anna": anna, "ben": ben}, is_equivalent, min_reviewers=2)
    assert [(p.problem_id, p.action, p.new_answer) for p in found.patches] == [
        ("p1", PatchAction.REPLACE, "18"),
        ("p3", PatchAction.REMOVE, None),
        ("p4", PatchAction.AMBIGUOUS, None),
    ]
    assert found.patches[0].reviewers == ("anna", "ben")
    assert (found.patches[0].date, found.patches[0].evidence) == ("2026-03-04", ("e1",))
    assert found.counts == {"wrong": 2, "differing": 1, "ambiguous": 1, "form": 1, "open": 2, "too_few": 1}


def test_an_adjudication_settles_and_a_second_one_that_differs_unsettles() -> None:
    anna, ben = decided("anna", (Verdict.WRONG, "18")), decided("ben", Verdict.RIGHT)
    ledgers = {"anna": anna, "ben": ben}
    assert not outcome(reviewed(1), ledgers, is_equivalent).patches
    settling = Judgement(Verdict.WRONG, "18", "half are sold")
    anna.add(Event(2, "2026-03-05T00:00:00Z", "anna", EventKind.ADJUDICATE, "i1", HASH, settling))
    patch = outcome(reviewed(1), ledgers, is_equivalent, min_reviewers=2).patches[0]
    assert (patch.new_answer, patch.reason, patch.date) == ("18", "half are sold", "2026-03-05")
    ben.add(Event(2, "t", "ben", EventKind.ADJUDICATE, "i1", HASH, Judgement(Verdict.RIGHT)))
    assert outcome(reviewed(1), ledgers, is_equivalent).counts == {"differing": 1}


def test_a_reference_solution_is_calculated_again() -> None:
    solution = "It is <<3*4=12>>12, then <<12/5=2.5>>2.5 and <<x@=1>>."
    assert [(step.holds, step.value) for step in redo(solution)][:2] == [("holds", "12"), ("fails", "12/5")]
    assert redo(solution)[2].holds == "unread"
    assert without_marks(solution) == "It is 12, then 2.5 and ."


# ---- files


def test_decisions_survive_and_a_slower_tab_is_told(tmp_path: Path) -> None:
    book = Book(tmp_path, "anna", clock=lambda: "2026-03-04T05:06:07Z")
    book.decide("a", HASH, Judgement(Verdict.WRONG, "1", "why", 2.5), seen=0)
    with pytest.raises(Stale):
        book.decide("a", HASH, Judgement(Verdict.RIGHT), seen=0)
    book.decide("b", HASH, Judgement(Verdict.RIGHT), seen=0)
    with pytest.raises(Stale):
        book.undo(1)
    assert book.undo(2).item == "b"
    lines = (tmp_path / "reviews" / "anna.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["judgement"] == {"verdict": "wrong", "answer": "1", "note": "why", "seconds": 2.5}
    with (tmp_path / "reviews" / "anna.jsonl").open("ab") as file:
        file.write(b'{"seq": 4, "ti')  # torn by a kill
    assert read_ledgers(tmp_path)["anna"].last == 3
    book.close()
    again = Book(tmp_path, "anna")
    assert again.own.decision("a") is not None and again.own.decision("b") is None
    again.decide("c", HASH, Judgement(Verdict.FORM), seen=0)
    again.close()
    assert read_ledgers(tmp_path)["anna"].last == 4


def test_one_server_a_reviewer_and_one_settlement_an_item(tmp_path: Path) -> None:
    anna, ben = Book(tmp_path, "anna"), Book(tmp_path, "ben")
    with pytest.raises(UsageError, match="has a server"):
        Book(tmp_path, "anna")
    stamp = ben.settled_stamp("a", HASH)
    anna.adjudicate("a", HASH, Judgement(Verdict.RIGHT), seen=anna.settled_stamp("a", HASH))
    with pytest.raises(Stale):
        ben.adjudicate("a", HASH, Judgement(Verdict.WRONG), seen=stamp)
    assert ben.everyone()["anna"].adjudication("a") is not None
    anna.close()
    ben.close()


@pytest.mark.parametrize("name", ["", "../x", "Anna", "a b", "x" * 40])
def test_a_reviewer_is_named_so_that_a_file_can_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="reviewer must be"):
        Book(tmp_path, name)


def test_a_damaged_file_of_events_is_not_guessed_at(tmp_path: Path) -> None:
    book = Book(tmp_path, "anna")
    book.decide("a", HASH, Judgement(Verdict.RIGHT), seen=0)
    book.close()
    path = tmp_path / "reviews" / "anna.jsonl"
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(StoreError, match="event 1 follows event 1"):
        read_ledgers(tmp_path)


def test_a_directory_is_a_queue(tmp_path: Path) -> None:
    items = Items(suspects_directory(tmp_path / "s", 6))
    assert items.subject == "labels" and len(items) == 6
    suspect = items.suspect(4)
    assert suspect is not None and suspect.problem_id == items.problem(4).id == "shelf/4"
    assert matching(items, Ledger(), View("all", "shelf/2 PENCILS")) == [2]
    assert following([1, 3], 3) == 1 and following([3], 3) is None
    items.close()
    drawn = [Items(tmp_path / "s", sample=3, seed=seed) for seed in (1, 1, 2)]
    names = [[row.item for row in each.rows] for each in drawn]
    assert names[0] == names[1] and len(names[2]) == 3
    rows = Items(training_directory(tmp_path / "t", 6))
    assert rows.subject == "trajectories" and [row.item for row in rows.rows][4] == "shelf/4#0"
    with pytest.raises(UsageError, match="holds neither"):
        (tmp_path / "e").mkdir()
        (tmp_path / "e" / "problems.jsonl").write_text("")
        Items(tmp_path / "e")


def test_suspects_of_another_version_are_refused(tmp_path: Path) -> None:
    suspects_directory(tmp_path, 2)
    path = tmp_path / "problems.jsonl"
    path.write_text(path.read_text().replace("A shelf holds 13", "A shelf held 13"))
    with pytest.raises(StoreError, match="another version of problem shelf/1"):
        Items(tmp_path)


def test_exported_patches_are_what_readers_apply(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = suspects_directory(tmp_path / "s", 3)
    items = Items(root)
    book = Book(root, "anna")
    first = items.rows[0]
    book.decide(first.item, first.hash, Judgement(Verdict.WRONG, right_answer(0)), seen=0)
    book.decide(items.rows[1].item, items.rows[1].hash, Judgement(Verdict.WRONG), seen=0)
    book.close()
    assert main(["review", "export", str(root), "--out", str(tmp_path / "p.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"wrong": 2, "open": 1}
    patched = list(apply_patches(read_problems(root / "problems.jsonl"), read_patches(tmp_path / "p.jsonl")))
    assert [(p.id, p.answer) for p in patched] == [("shelf/0", right_answer(0)), ("shelf/2", "70")]


def test_exported_drops_of_a_training_set(tmp_path: Path) -> None:
    root = training_directory(tmp_path / "t", 3)
    items = Items(root)
    book = Book(root, "anna")
    for row, verdict in zip(items.rows, (Verdict.KEEP, Verdict.DROP, Verdict.WRONG_REASONING), strict=True):
        book.decide(row.item, row.hash, Judgement(verdict, None, "guesses"), seen=0)
    book.close()
    assert main(["review", "export", str(root), "--out", str(tmp_path / "d.jsonl")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert [(row["problem_id"], row["reason"]) for row in rows] == [
        ("shelf/1", "reviewed: drop"),
        ("shelf/2", "reviewed: wrong reasoning"),
    ]
    assert rows[0]["detail"].startswith("guesses; by anna, ")


def test_a_reviewed_set_lacks_what_was_dropped_and_can_be_published(tmp_path: Path) -> None:
    taught, reviewed = tmp_path / "taught", tmp_path / "reviewed"
    assert main(["data", "wordproblems", "--count", "5", "--out", str(tmp_path / "p")]) == 0
    assert main(["annotate", str(tmp_path / "p"), "--out", str(taught)]) == 0
    items = Items(taught)
    book = Book(taught, "anna")
    for row, verdict in zip(items.rows[:3], (Verdict.DROP, Verdict.KEEP, Verdict.WRONG_REASONING), strict=True):
        book.decide(row.item, row.hash, Judgement(verdict, None, "guesses"), seen=0)
    book.close()
    assert main(["review", "export", str(taught), "--set", str(reviewed)]) == 0
    before, after = read_set(taught), read_set(reviewed)
    assert (before.kept, after.kept, after.problems) == (5, 3, 3)
    assert after.filters[-1] == Filter(
        "review", "attempts", 5, 3, {"reviewed: drop": 1, "reviewed: wrong reasoning": 1}
    )
    left = [row.problem_id for row in scan_shards(reviewed / "kept", Trajectory)]
    assert left == [row.problem_id for row in (items.rows[1], *items.rows[3:])]
    drops = [json.loads(line) for line in (reviewed / "drops.jsonl").read_text().splitlines()]
    assert [row["problem_id"] for row in drops] == [items.rows[0].problem_id, items.rows[2].problem_id]
    assert main(["data", "export", str(reviewed), "--out", str(tmp_path / "published")]) == 0
    assert "| review | attempts | 5 | 3 |" in (tmp_path / "published" / "README.md").read_text()
    assert main(["review", "export", str(taught), "--set", str(taught)]) == 2
    assert read_set(taught) == before


# ---- who may ask


def test_only_our_own_page_may_ask() -> None:
    guard = Guard(8123)
    guard.check_host({"host": "localhost:8123"})
    guard.check_post({"origin": "http://127.0.0.1:8123"}, guard.form)
    with pytest.raises(Refused):
        guard.check_host({"host": "evil.example:8123"})
    for origin in ("http://127.0.0.1:9000", "null", "https://127.0.0.1:8123", None):
        with pytest.raises(Refused):
            guard.check_post({"origin": origin} if origin else {}, guard.form)
    with pytest.raises(Refused):
        guard.check_post({"origin": "http://127.0.0.1:8123"}, "guessed")
    with pytest.raises(Refused):
        guard.check_token("é")
    assert Guard(8123).token != guard.token


def test_the_verb_says_what_it_wants(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["review", str(tmp_path)]) == 1
    assert "problems.jsonl" in capsys.readouterr().err
    assert main(["review", str(tmp_path), "--port", "70000"]) == 2
    script = "import sys, mario.cli.review; print([n for n in ('starlette', 'uvicorn', 'jinja2') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
