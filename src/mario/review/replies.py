"""Answers to a browser: whole pages, a fragment, a message. `Said` is what stands at the top of a page.

What this module does not do: what a page shows (`pages`), or decide which one to send (`server`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from mario import page
from mario.review import pages
from mario.review.desk import Desk
from mario.review.guard import Refused
from mario.review.pages import View


@dataclass(frozen=True, slots=True)
class Said:
    """What has just happened, `text` when it went well and `alert` when not; and the status that goes with it."""

    text: str = ""
    alert: str = ""
    status: int = 200


NOTHING = Said()


def settle_reply(desk: Desk, request: Request, index: int, said: Said = NOTHING) -> Response:
    """An item with everybody's verdicts, for who has opened the difference."""
    row = desk.items.rows[index]
    key = (row.item, row.hash)
    if not desk.book.own.has_opened(row.item):
        raise Refused("open this difference from the agreement page first")
    opinions = pages.opinions(desk.book.everyone(), key)
    values = pages.item_values(desk.items, desk.book.own, index, View("all", ""))
    values |= {"settling": opinions, "stamp": desk.book.settled_stamp(*key)}
    return page_reply(desk, request, "item.html.j2", row.item, f"/settle/{index}", values, said)


def item_reply(desk: Desk, request: Request, index: int, view: View, said: Said = NOTHING) -> Response:
    if not desk.items.rows:
        return message_reply("Nothing to review", "the queue of this directory is empty", 200)
    values = pages.item_values(desk.items, desk.book.own, index, view) | {"settling": None, "stamp": ""}
    address = f"/item/{index}?{view.query}"
    return page_reply(desk, request, "item.html.j2", desk.items.rows[index].item, address, values, said)


def page_reply(
    desk: Desk, request: Request, template: str, title: str, address: str, values: dict[str, Any], said: Said = NOTHING
) -> Response:
    """A whole page; `address` is the one that the browser shows for it."""
    text = page.render(
        "mario.review",
        template,
        title=title,
        said=said.text,
        alert=said.alert,
        reviewer=desk.book.reviewer,
        where=desk.items.root.name,
        form_token=desk.guard.form,
        opened=f"{time.time():.3f}",
        **values,
    )
    headers = {"HX-Push-Url": address} if request.headers.get("hx-request") else {}
    return HTMLResponse(text.encode("utf-8", "backslashreplace"), said.status, headers)


def fragment_reply(template: str, **values: Any) -> Response:
    return HTMLResponse(page.render("mario.review", template, **values).encode("utf-8", "backslashreplace"))


def message_reply(title: str, text: str, status: int) -> Response:
    return HTMLResponse(page.render("mario.review", "message.html.j2", title=title, text=text), status)
