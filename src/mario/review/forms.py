"""What a request asks for, read and checked: a form of bounded length, an item that exists, a verdict that makes sense.

What this module does not do: who may ask (`guard`), or act on it (`server`).
"""

from __future__ import annotations

import math
import time
from urllib.parse import parse_qs

from starlette.requests import Request

from mario.review import pages
from mario.review.desk import Desk
from mario.review.events import Judgement, Verdict
from mario.review.pages import View

FORM_BYTES = 64 * 1024
ANSWER_CHARACTERS = 2000
NOTE_CHARACTERS = 4000


class BadForm(Exception):
    """What a person typed cannot be saved; says why."""


async def read_form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            raise BadForm(f"the form is longer than {FORM_BYTES} bytes; shorten the note")
    found = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in found.items()}


async def read_judgement(desk: Desk, index: int, form: dict[str, str]) -> Judgement:
    """What the form says, checked: a reference is not wrong for the very answer that it gives."""
    verdict = next((each for each in pages.verdicts(desk.items) if each.value == form.get("verdict")), None)
    if verdict is None:
        raise BadForm("no such verdict; reload the page")
    note = form.get("note", "").strip()
    answer = form.get("answer", "").strip() or None
    if len(note) > NOTE_CHARACTERS or len(answer or "") > ANSWER_CHARACTERS:
        raise BadForm(f"a note has at most {NOTE_CHARACTERS} characters, an answer {ANSWER_CHARACTERS}; shorten it")
    if verdict is not Verdict.WRONG:
        return Judgement(verdict, None, note, _seconds(form))
    reference = desk.items.problem(index).answer
    if answer is not None and (await desk.grade(reference, answer)).equivalent:
        raise BadForm(
            f"{answer} is the reference answer, {reference}: type the right one (e), or choose label right (2)"
        )
    return Judgement(verdict, answer, note, _seconds(form))


def item_index(desk: Desk, request: Request) -> int:
    index: int = request.path_params["index"]
    if index >= len(desk.items) and index:
        raise IndexError
    return index


def read_view(request: Request) -> View:
    query = request.query_params
    return View(query.get("show", "open"), query.get("q", "")[:200])


def read_number(form: dict[str, str], name: str) -> int:
    try:
        return int(form.get(name, ""))
    except ValueError:
        raise BadForm("the form is not complete; reload the page") from None


def _seconds(form: dict[str, str]) -> float:
    """How long the page was looked at, as its script says; else since it was made."""
    try:
        given = float(form.get("seconds") or time.time() - float(form.get("opened", "")))
    except ValueError:
        return 0.0
    return round(min(max(given, 0.0), 86400.0), 3) if math.isfinite(given) else 0.0
