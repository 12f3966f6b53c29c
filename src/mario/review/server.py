"""The review server: Starlette on loopback, pages made here, htmx to exchange them without a flicker.

One idea: every answer to a person is a whole page; htmx takes the part it wants out of it, and without scripts the same
links and forms work. Requests are answered one after the other by one event loop, so two tabs meet in one `Book`.

What this module does not do: what a page shows (`pages`), who may ask (`guard`), what is kept (`book`).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import mimetypes
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from mario import page
from mario.errors import InterpreterError, StoreError
from mario.grade import GraderPool
from mario.review import pages
from mario.review.agreement import may_open
from mario.review.book import Book
from mario.review.cells import Cells
from mario.review.events import Judgement, Stale, Verdict
from mario.review.guard import HEADERS, Guard, Refused
from mario.review.items import Items
from mario.review.pages import View
from mario.types import Verdict as Graded
from mario.types import VerdictStatus

FORM_BYTES = 64 * 1024
ANSWER_CHARACTERS = 2000
NOTE_CHARACTERS = 4000
_OWN = ("review.css", "review.js")


class BadForm(Exception):
    """What a person typed cannot be saved; says why."""


@dataclass
class Desk:
    """One reviewer at work: everything the handlers need."""

    items: Items
    book: Book
    guard: Guard
    cells: Cells = field(default_factory=Cells)
    grader: GraderPool = field(default_factory=lambda: GraderPool(1, symbolic_seconds=2.0))

    def same(self, a: str, b: str) -> bool:
        """Whether two answers are one, by the exact part of the grader: quick enough for every pair of a page."""
        return a == b or self.grader.grade([(a, b)])[0].equivalent


Handler = Callable[[Desk, Request], Awaitable[Response]]


def build_app(desk: Desk) -> Starlette:
    """The application of one reviewer; closing it closes the sandbox, the book and the files."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await desk.cells.close()
        desk.grader.close()
        desk.book.close()
        desk.items.close()

    def route(path: str, handler: Handler, method: str = "GET") -> Route:
        async def guarded(request: Request) -> Response:
            return await _answer(desk, request, handler)

        return Route(path, guarded, methods=[method])

    return Starlette(
        routes=[
            route("/enter", _enter),
            route("/", _start),
            route("/item/{index:int}", _item),
            route("/find", _find),
            route("/decide/{index:int}", _decide, "POST"),
            route("/undo", _undo, "POST"),
            route("/check/{index:int}", _check, "POST"),
            route("/run/{index:int}/{sample:int}/{step:int}", _run, "POST"),
            route("/agreement", _agreement),
            route("/open/{index:int}", _open, "POST"),
            route("/settle/{index:int}", _settle_page),
            route("/settle/{index:int}", _settle, "POST"),
            route("/text/{index:int}/{part}", _text),
            route("/assets/{name:path}", _asset),
        ],
        lifespan=lifespan,
    )


async def _answer(desk: Desk, request: Request, handler: Handler) -> Response:
    try:
        desk.guard.check_host(request.headers)
        if handler is not _enter:
            desk.guard.check_cookie(request.cookies.get(desk.guard.cookie_name))
        if request.method == "POST":
            request.state.form = await _form(request)
            desk.guard.check_post(request.headers, request.state.form.get("csrf", ""))
        response = await handler(desk, request)
    except Refused as error:
        response = _message("Not allowed", str(error), 403)
    except IndexError:
        response = _message("Not found", "there is no such item; go back to the start", 404)
    except BadForm as error:
        response = _message("Not saved", str(error), 422)
    except StoreError as error:
        response = _message("Not saved", str(error), 500)
    response.headers.update(HEADERS)
    return response


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            raise BadForm(f"the form is longer than {FORM_BYTES} bytes; shorten the note")
    found = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in found.items()}


async def _enter(desk: Desk, request: Request) -> Response:
    desk.guard.check_token(request.query_params.get("token", ""))
    # Not a redirect: after one that began on another site the browser would hold a strict cookie back.
    response = HTMLResponse(
        '<!DOCTYPE html><meta charset="utf-8"><title>Review</title><meta http-equiv="refresh" content="0;url=/">'
    )
    response.set_cookie(desk.guard.cookie_name, desk.guard.cookie, httponly=True, samesite="strict", path="/")
    return response


async def _start(desk: Desk, _: Request) -> Response:
    found = pages.matching(desk.items, desk.book.own, View())
    return RedirectResponse(f"/item/{found[0] if found else 0}", 303)


async def _item(desk: Desk, request: Request) -> Response:
    return _item_page(desk, request, _index(desk, request), _view(request))


async def _find(desk: Desk, request: Request) -> Response:
    view = _view(request)
    found = pages.matching(desk.items, desk.book.own, view)
    if found:
        return _item_page(desk, request, found[0], view)
    everything = View("all", "")
    return _item_page(desk, request, 0, everything, alert="Nothing matches this filter; all items are shown.")


async def _decide(desk: Desk, request: Request) -> Response:
    index, view, form = _index(desk, request), _view(request), request.state.form
    row = desk.items.rows[index]
    judgement = await _judgement(desk, index, form)
    found = pages.matching(desk.items, desk.book.own, view)
    try:
        event = desk.book.decide(row.item, row.hash, judgement, seen=_number(form, "seen"))
    except Stale as error:
        return _item_page(desk, request, index, view, alert=f"{error}. It now says: {_now(desk, index)}.", status=409)
    following = pages.following(found, index)
    said = f"Saved: {pages.said(event)}."
    if following is None:
        return _item_page(desk, request, index, View("all", view.words), said=f"{said} That was the last one here.")
    return _item_page(desk, request, following, view, said=said)


async def _undo(desk: Desk, request: Request) -> Response:
    form = request.state.form
    try:
        undone = desk.book.undo(_number(form, "undoes"))
    except Stale as error:
        return _item_page(
            desk,
            request,
            min(_number(form, "index"), len(desk.items) - 1),
            _view(request),
            alert=str(error),
            status=409,
        )
    index = next((i for i, row in enumerate(desk.items.rows) if row.item == undone.item), 0)
    return _item_page(desk, request, index, _view(request), said=f"Taken back: {pages.said(undone)}.")


async def _check(desk: Desk, request: Request) -> Response:
    """One line about the answer that is being typed."""
    index = _index(desk, request)
    typed = request.state.form.get("answer", "").strip()[:ANSWER_CHARACTERS]
    return PlainTextResponse(
        await _opinion(desk, index, typed) if typed else "No answer: the problem would be removed."
    )


async def _run(desk: Desk, request: Request) -> Response:
    index = _index(desk, request)
    codes = pages.cells(desk.items, index, request.path_params["sample"], request.path_params["step"])
    if not codes:
        raise IndexError
    try:
        seen = await desk.cells.run(codes)
    except InterpreterError as error:
        return _fragment("cell.html.j2", status="no sandbox", output=pages.clipped(str(error)), seconds=0.0)
    return _fragment("cell.html.j2", status=seen.status.value, output=pages.clipped(seen.output), seconds=seen.seconds)


async def _agreement(desk: Desk, request: Request) -> Response:
    everyone = desk.book.everyone()
    values = await asyncio.to_thread(pages.agreement_values, desk.items, desk.book.reviewer, everyone, desk.same)
    return _page(desk, request, "agreement.html.j2", "Agreement", "/agreement", **values)


async def _open(desk: Desk, request: Request) -> Response:
    index = _index(desk, request)
    row = desk.items.rows[index]
    if not may_open(desk.book.reviewer, desk.book.everyone(), (row.item, row.hash)):
        raise Refused("decide this item yourself first; until then the others' verdicts stay hidden")
    desk.book.open(row.item, row.hash)
    return _settle_view(desk, request, index)


async def _settle_page(desk: Desk, request: Request) -> Response:
    return _settle_view(desk, request, _index(desk, request))


async def _settle(desk: Desk, request: Request) -> Response:
    index, form = _index(desk, request), request.state.form
    row = desk.items.rows[index]
    if not desk.book.own.has_opened(row.item):
        raise Refused("open this difference from the agreement page first")
    judgement = await _judgement(desk, index, form)
    try:
        event = desk.book.adjudicate(row.item, row.hash, judgement, seen=form.get("stamp", ""))
    except Stale as error:
        return _settle_view(desk, request, index, alert=str(error), status=409)
    everyone = desk.book.everyone()
    values = await asyncio.to_thread(pages.agreement_values, desk.items, desk.book.reviewer, everyone, desk.same)
    said = f"Settled {row.item}: {pages.said(event)}."
    return _page(desk, request, "agreement.html.j2", "Agreement", "/agreement", said=said, **values)


async def _text(desk: Desk, request: Request) -> Response:
    """All of a text that a page shows the head of, as plain text."""
    text = pages.whole(desk.items.problem(_index(desk, request)), request.path_params["part"])
    return PlainTextResponse((text or "").encode("utf-8", "backslashreplace"))


async def _asset(_: Desk, request: Request) -> Response:
    name = request.path_params["name"]
    found = page.files() | {own: package_files("mario.review") / own for own in _OWN}
    if name not in found:
        return PlainTextResponse("no such file", 404)
    kind = "font/woff2" if name.endswith(".woff2") else mimetypes.guess_type(name)[0] or "text/plain"
    return Response(found[name].read_bytes(), media_type=kind)


async def _judgement(desk: Desk, index: int, form: dict[str, str]) -> Judgement:
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
    if answer is not None and (await _graded(desk, reference, answer)).equivalent:
        raise BadForm(
            f"{answer} is the reference answer, {reference}: type the right one (e), or choose label right (2)"
        )
    return Judgement(verdict, answer, note, _seconds(form))


async def _opinion(desk: Desk, index: int, typed: str) -> str:
    reference = desk.items.problem(index).answer
    verdict = await _graded(desk, reference, typed)
    if verdict.status is VerdictStatus.ANSWER_UNPARSED:
        return f"The grader cannot read this: {verdict.reason}"
    suspect = desk.items.suspect(index)
    others = [answer for answer in suspect.answers if not answer.is_reference] if suspect else []
    match = next((answer for answer in others if desk.same(answer.answer, typed)), None)
    votes = f"; the answer of {match.samples} samples" if match else ""
    if verdict.equivalent:
        return f"This is the reference answer ({verdict.reason})"
    undecided = " as far as the grader can tell" if verdict.status is VerdictStatus.UNDECIDED else ""
    return f"Read as {verdict.answer or typed}: not the reference{undecided}{votes}"


async def _graded(desk: Desk, reference: str, answer: str) -> Graded:
    return (await asyncio.to_thread(desk.grader.grade, [(reference, answer)]))[0]


def _settle_view(desk: Desk, request: Request, index: int, *, alert: str = "", status: int = 200) -> Response:
    row = desk.items.rows[index]
    key = (row.item, row.hash)
    if not desk.book.own.has_opened(row.item):
        raise Refused("open this difference from the agreement page first")
    extra: dict[str, Any] = {
        "settling": pages.opinions(desk.book.everyone(), key),
        "stamp": desk.book.settled_stamp(*key),
    }
    return _item_page(
        desk, request, index, View("all", ""), alert=alert, status=status, address=f"/settle/{index}", **extra
    )


def _item_page(
    desk: Desk,
    request: Request,
    index: int,
    view: View,
    *,
    said: str = "",
    alert: str = "",
    status: int = 200,
    **more: Any,
) -> Response:
    if not desk.items.rows:
        return _message("Nothing to review", "the queue of this directory is empty", 200)
    values = {"settling": None, "stamp": "", "address": f"/item/{index}?{view.query}"} | more
    address = str(values.pop("address"))
    values |= pages.item_values(desk.items, desk.book.own, index, view)
    title = f"{desk.items.rows[index].item}"
    return _page(desk, request, "item.html.j2", title, address, said=said, alert=alert, status=status, **values)


def _page(
    desk: Desk,
    request: Request,
    template: str,
    title: str,
    address: str,
    *,
    said: str = "",
    alert: str = "",
    status: int = 200,
    **values: Any,
) -> Response:
    text = page.render(
        "mario.review",
        template,
        title=title,
        said=said,
        alert=alert,
        reviewer=desk.book.reviewer,
        where=desk.items.root.name,
        form_token=desk.guard.form,
        opened=f"{time.time():.3f}",
        **values,
    )
    headers = {"HX-Push-Url": address} if request.headers.get("hx-request") else {}
    return HTMLResponse(text.encode("utf-8", "backslashreplace"), status, headers)


def _fragment(template: str, **values: Any) -> Response:
    return HTMLResponse(page.render("mario.review", template, **values).encode("utf-8", "backslashreplace"))


def _message(title: str, text: str, status: int) -> Response:
    return HTMLResponse(page.render("mario.review", "message.html.j2", title=title, text=text), status)


def _now(desk: Desk, index: int) -> str:
    row = desk.items.rows[index]
    event = desk.book.own.decision(row.item, row.hash)
    return pages.said(event) if event else "not decided"


def _index(desk: Desk, request: Request) -> int:
    index: int = request.path_params["index"]
    if index >= len(desk.items) and index:
        raise IndexError
    return index


def _view(request: Request) -> View:
    query = request.query_params
    return View(query.get("show", "open"), query.get("q", "")[:200])


def _number(form: dict[str, str], name: str) -> int:
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
