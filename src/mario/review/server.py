"""The review server: Starlette on loopback, pages made here, htmx to exchange them without a flicker.

One idea: every answer to a person is a whole page; htmx takes the part it wants out of it, and without scripts the same
links and forms work. Requests are answered one after the other by one event loop, so two tabs meet in one `Book`.

What this module does not do: read a form (`forms`), make a page (`replies`, `pages`), say who may ask (`guard`), keep
what is decided (`book`).
"""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files as package_files

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from mario import page
from mario.errors import InterpreterError, StoreError
from mario.review import pages
from mario.review.agreement import may_open
from mario.review.desk import Desk
from mario.review.events import Stale
from mario.review.forms import ANSWER_CHARACTERS, BadForm, item_index, read_form, read_judgement, read_number, read_view
from mario.review.guard import HEADERS, Refused
from mario.review.pages import View
from mario.review.replies import NOTHING, Said, fragment_reply, item_reply, message_reply, page_reply, settle_reply

_OWN = ("review.css", "review.js")


Handler = Callable[[Desk, Request], Awaitable[Response]]


def build_app(desk: Desk) -> Starlette:
    """The application of one reviewer; closing it closes the sandbox, the book and the files."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await desk.close()

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
            request.state.form = await read_form(request)
            desk.guard.check_post(request.headers, request.state.form.get("csrf", ""))
        response = await handler(desk, request)
    except Refused as error:
        response = message_reply("Not allowed", str(error), 403)
    except IndexError:
        response = message_reply("Not found", "there is no such item; go back to the start", 404)
    except BadForm as error:
        response = message_reply("Not saved", str(error), 422)
    except StoreError as error:
        response = message_reply("Not saved", str(error), 500)
    response.headers.update(HEADERS)
    return response


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
    return item_reply(desk, request, item_index(desk, request), read_view(request))


async def _find(desk: Desk, request: Request) -> Response:
    view = read_view(request)
    found = pages.matching(desk.items, desk.book.own, view)
    if found:
        return item_reply(desk, request, found[0], view)
    everything = View("all", "")
    return item_reply(desk, request, 0, everything, Said(alert="Nothing matches this filter; all items are shown."))


async def _decide(desk: Desk, request: Request) -> Response:
    index, view, form = item_index(desk, request), read_view(request), request.state.form
    row = desk.items.rows[index]
    judgement = await read_judgement(desk, index, form)
    found = pages.matching(desk.items, desk.book.own, view)
    try:
        event = desk.book.decide(row.item, row.hash, judgement, seen=read_number(form, "seen"))
    except Stale as error:
        alert = f"{error}. It now says: {_now(desk, index)}."
        return item_reply(desk, request, index, view, Said(alert=alert, status=409))
    following = pages.following(found, index)
    said = f"Saved: {pages.said(event)}."
    if following is None:
        last = Said(f"{said} That was the last one here.")
        return item_reply(desk, request, index, View("all", view.words), last)
    return item_reply(desk, request, following, view, Said(said))


async def _undo(desk: Desk, request: Request) -> Response:
    form = request.state.form
    try:
        undone = desk.book.undo(read_number(form, "undoes"))
    except Stale as error:
        index = min(read_number(form, "index"), len(desk.items) - 1)
        return item_reply(desk, request, index, read_view(request), Said(alert=str(error), status=409))
    index = next((i for i, row in enumerate(desk.items.rows) if row.item == undone.item), 0)
    return item_reply(desk, request, index, read_view(request), Said(f"Taken back: {pages.said(undone)}."))


async def _check(desk: Desk, request: Request) -> Response:
    """One line about the answer that is being typed."""
    index = item_index(desk, request)
    typed = request.state.form.get("answer", "").strip()[:ANSWER_CHARACTERS]
    return PlainTextResponse(await desk.opinion(index, typed))


async def _run(desk: Desk, request: Request) -> Response:
    index = item_index(desk, request)
    codes = pages.cells(desk.items, index, request.path_params["sample"], request.path_params["step"])
    if not codes:
        raise IndexError
    try:
        seen = await desk.cells.run(codes)
    except InterpreterError as error:
        return fragment_reply("cell.html.j2", status="no sandbox", output=pages.clipped(str(error)), seconds=0.0)
    return fragment_reply(
        "cell.html.j2", status=seen.status.value, output=pages.clipped(seen.output), seconds=seen.seconds
    )


async def _agreement(desk: Desk, request: Request) -> Response:
    return await _agreement_reply(desk, request)


async def _open(desk: Desk, request: Request) -> Response:
    index = item_index(desk, request)
    row = desk.items.rows[index]
    if not may_open(desk.book.reviewer, desk.book.everyone(), (row.item, row.hash)):
        raise Refused("decide this item yourself first; until then the others' verdicts stay hidden")
    desk.book.open(row.item, row.hash)
    return settle_reply(desk, request, index)


async def _settle_page(desk: Desk, request: Request) -> Response:
    return settle_reply(desk, request, item_index(desk, request))


async def _settle(desk: Desk, request: Request) -> Response:
    index, form = item_index(desk, request), request.state.form
    row = desk.items.rows[index]
    if not desk.book.own.has_opened(row.item):
        raise Refused("open this difference from the agreement page first")
    judgement = await read_judgement(desk, index, form)
    try:
        event = desk.book.adjudicate(row.item, row.hash, judgement, seen=form.get("stamp", ""))
    except Stale as error:
        return settle_reply(desk, request, index, Said(alert=str(error), status=409))
    return await _agreement_reply(desk, request, Said(f"Settled {row.item}: {pages.said(event)}."))


async def _agreement_reply(desk: Desk, request: Request, said: Said = NOTHING) -> Response:
    everyone = desk.book.everyone()
    values = await asyncio.to_thread(pages.agreement_values, desk.items, desk.book.reviewer, everyone, desk.same)
    return page_reply(desk, request, "agreement.html.j2", "Agreement", "/agreement", values, said)


async def _text(desk: Desk, request: Request) -> Response:
    """All of a text that a page shows the head of, as plain text."""
    text = pages.whole(desk.items.problem(item_index(desk, request)), request.path_params["part"])
    return PlainTextResponse((text or "").encode("utf-8", "backslashreplace"))


async def _asset(_: Desk, request: Request) -> Response:
    name = request.path_params["name"]
    found = page.files() | {own: package_files("mario.review") / own for own in _OWN}
    if name not in found:
        return PlainTextResponse("no such file", 404)
    kind = "font/woff2" if name.endswith(".woff2") else mimetypes.guess_type(name)[0] or "text/plain"
    return Response(found[name].read_bytes(), media_type=kind)


def _now(desk: Desk, index: int) -> str:
    row = desk.items.rows[index]
    event = desk.book.own.decision(row.item, row.hash)
    return pages.said(event) if event else "not decided"
