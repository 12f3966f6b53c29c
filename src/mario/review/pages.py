"""What a page shows, as values for its template: the place in the queue, the item, what was decided, what may be.

Text of others is clipped here, so that a question of a megabyte makes a page of kilobytes; all of it waits behind a
link that answers in plain text. What this module does not do: markup (the templates) and requests (`server`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from mario.labels.suspects import Competing, Suspect
from mario.review.agreement import Key, Ledgers, SameAnswer, differing, kappas, may_open, settle, standing
from mario.review.chain import redo, without_marks
from mario.review.events import LABEL_VERDICTS, TRAJECTORY_VERDICTS, Event, Ledger, Verdict
from mario.review.items import Items
from mario.types import Problem, Trajectory

CLIP = 20_000  # characters of one text in a page
PROGRAMS = 3  # side by side
LISTED = 200  # differences on one page
NAMES = {
    Verdict.WRONG: "label wrong",
    Verdict.RIGHT: "label right",
    Verdict.AMBIGUOUS: "ambiguous",
    Verdict.FORM: "form only",
    Verdict.KEEP: "keep",
    Verdict.DROP: "drop",
    Verdict.WRONG_REASONING: "wrong reasoning",
    Verdict.SKIP: "skip",
}
KEYS = {verdict: str(key) for key, verdict in enumerate(LABEL_VERDICTS, start=1)} | {
    Verdict.KEEP: "1",
    Verdict.DROP: "2",
    Verdict.WRONG_REASONING: "3",
}


@dataclass(frozen=True, slots=True)
class View:
    """What of the queue is wanted: `show` is all, open, decided or a verdict; `words` must all occur."""

    show: str = "open"
    words: str = ""

    @property
    def query(self) -> str:
        return urlencode({"show": self.show, "q": self.words})


def shows(items: Items) -> list[tuple[str, str]]:
    """The choices of `View.show` with their names."""
    return [
        ("open", "not decided"),
        ("all", "all"),
        ("decided", "decided"),
        *((v.value, NAMES[v]) for v in verdicts(items)),
    ]


def verdicts(items: Items) -> Sequence[Verdict]:
    return LABEL_VERDICTS if items.subject == "labels" else TRAJECTORY_VERDICTS


def matching(items: Items, ledger: Ledger, view: View) -> list[int]:
    """Positions in the queue that the view wants, in order."""
    words = view.words.lower().split()
    found = []
    for index, row in enumerate(items.rows):
        if words and not all(word in row.words for word in words):
            continue
        decided = ledger.decision(row.item, row.hash)
        match view.show:
            case "open":
                wanted = decided is None
            case "decided":
                wanted = decided is not None
            case "all":
                wanted = True
            case verdict:
                wanted = decided is not None and decided.verdict == verdict
        if wanted:
            found.append(index)
    return found


def following(found: Sequence[int], index: int) -> int | None:
    """The next wanted position after `index`, from the start again when there is none."""
    later = next((position for position in found if position > index), None)
    return later if later is not None or not found or found == [index] else found[0]


def item_values(items: Items, ledger: Ledger, index: int, view: View) -> dict[str, Any]:
    """The page of one item."""
    row = items.rows[index]
    found = matching(items, ledger, view)
    problem, suspect = items.problem(index), items.suspect(index)
    decided = ledger.decision(row.item, row.hash)
    undoable = ledger.undoable()
    return {
        "index": index,
        "row": row,
        "subject": items.subject,
        "problem": problem,
        "question": clipped(problem.question),
        "solution": clipped(without_marks(problem.solution or "")),
        "redone": _redone(problem.solution[:CLIP]) if problem.solution else (),
        "suspect": suspect,
        "programs": programs(items, index, suspect),
        "decided": decided,
        "decided_words": said(decided) if decided else "",
        "answer": _prefilled(decided, suspect),
        "seen": ledger.version(row.item),
        "undoable": undoable.seq if undoable else None,
        "verdicts": [(v.value, NAMES[v], KEYS.get(v, "5")) for v in verdicts(items)],
        "previous": next((position for position in reversed(found) if position < index), None),
        "next": next((position for position in found if position > index), None),
        "place": _place(found, index),
        "progress": (items.count(ledger.decisions), len(items)),
        "view": view,
        "shows": shows(items),
    }


def programs(items: Items, index: int, suspect: Suspect | None) -> list[dict[str, Any]]:
    """The trajectory under review, or the best programs of the competing answers: one of each before a second."""
    row = items.rows[index]
    chosen: Sequence[tuple[int, Competing | None]]
    if suspect is None:
        chosen = [] if row.sample_index is None else [(row.sample_index, None)]
    else:
        rounds = max((len(answer.best) for answer in suspect.answers), default=0)
        chosen = [
            (answer.best[turn].sample_index, answer)
            for turn in range(rounds)
            for answer in suspect.answers
            if turn < len(answer.best)
        ][:PROGRAMS]
    found = ((items.trajectory(row.problem_id, sample), answer) for sample, answer in chosen)
    return [_program(trajectory, answer) for trajectory, answer in found if trajectory is not None]


def _program(trajectory: Trajectory, answer: Competing | None) -> dict[str, Any]:
    value = trajectory.tags.get("value")
    if isinstance(value, (list, tuple)):  # one value a step: the last speaks for the whole
        value = value[-1] if value else None
    steps = [
        {
            "thought": clipped(step.thought),
            "code": None if step.code is None else clipped(step.code),
            "output": None if step.observation is None else clipped(step.observation.output),
            "status": None if step.observation is None else step.observation.status.value,
        }
        for step in trajectory.steps
    ]
    return {
        "sample": trajectory.sample_index,
        "model": trajectory.model,
        "answer": trajectory.answer if answer is None else answer.answer,
        "is_reference": answer is not None and answer.is_reference,
        "value": value if isinstance(value, (int, float)) and 0 <= value <= 1 else None,
        "steps": steps,
    }


def cells(items: Items, index: int, sample: int, step: int) -> list[str]:
    """The code of a program up to a step, in order; empty when there is no such cell."""
    trajectory = items.trajectory(items.rows[index].problem_id, sample)
    if trajectory is None or not 0 <= step < len(trajectory.steps) or trajectory.steps[step].code is None:
        return []
    return [each.code for each in trajectory.steps[: step + 1] if each.code is not None]


def agreement_values(items: Items, reviewer: str, ledgers: Ledgers, same: SameAnswer) -> dict[str, Any]:
    """Kappa of every pair, and the differences: those that this person may see come with a way in."""
    keys: list[Key] = [(row.item, row.hash) for row in items.rows]
    index = {row.item: position for position, row in enumerate(items.rows)}
    differences: list[dict[str, Any]] = []
    hidden = 0
    for key in differing(ledgers, keys, same):
        settled = settle(ledgers, key, same)
        if may_open(reviewer, ledgers, key):
            is_settled = settled is not None and settled.decision is not None
            differences.append({"item": key[0], "index": index[key[0]], "settled": is_settled})
        else:
            hidden += 1
    differences.sort(key=lambda each: each["settled"])  # what is still to do comes first
    counts = {name: sum(ledger.decision(*key) is not None for key in keys) for name, ledger in ledgers.items()}
    return {
        "counts": counts,
        "kappas": kappas(ledgers, keys),
        "names": NAMES,
        "differences": differences[:LISTED],
        "more": max(0, len(differences) - LISTED),
        "hidden": hidden,
    }


def opinions(ledgers: Ledgers, key: Key) -> list[tuple[str, str, str]]:
    """Who said what of an item, with the note."""
    return [(name, said(event), event.note) for name, event in standing(ledgers, key).items()]


def said(event: Event) -> str:
    """A decision in words: "label wrong, the answer is 14"."""
    assert event.verdict is not None  # decisions have one
    if event.verdict is not Verdict.WRONG:
        return NAMES[event.verdict]
    return "label wrong, no answer is right" if event.answer is None else f"label wrong, the answer is {event.answer}"


def clipped(text: str) -> Mapping[str, Any]:
    """What a page holds of a text, and how long it is when that is not all."""
    return {"text": text[:CLIP].replace("\x00", "\ufffd"), "whole": len(text) if len(text) > CLIP else None}


def whole(problem: Problem, part: str) -> str | None:
    return {"question": problem.question, "solution": problem.solution}.get(part)


def _prefilled(decided: Event | None, suspect: Suspect | None) -> str:
    if decided is not None and decided.verdict is Verdict.WRONG:
        return decided.answer or ""
    return (suspect.suggestion or "") if suspect is not None else ""


def _place(found: Sequence[int], index: int) -> tuple[int | None, int]:
    return (found.index(index) + 1 if index in found else None, len(found))


@lru_cache(maxsize=64)
def _redone(solution: str) -> tuple[Any, ...]:
    return tuple(redo(solution))
