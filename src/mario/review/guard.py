"""Who may speak to the server: the person who started it, from the page it serves, and nobody else on this machine.

    the address      holds a random token; it buys a cookie (SameSite=Strict, HttpOnly) and does not stay in the bar
    Host             must name this server: a foreign name that resolves to 127.0.0.1 (DNS rebinding) is refused
    Origin           must be this very origin on every POST: cookies do not tell ports apart, origins do
    form             carries a second token that only our pages hold

What this module does not do: it hides nothing from other processes of the same user, who can read the files anyway.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from mario.errors import MarioError

POLICY = (
    # KaTeX places its glyphs by style attributes; without a network a style can do no more than look wrong.
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Refused(MarioError):
    """A request that is not from our page."""


def _secret() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Guard:
    """The secrets of one server on one port; a new server has new ones."""

    port: int
    token: str = field(default_factory=_secret)
    cookie: str = field(default_factory=_secret)
    form: str = field(default_factory=_secret)

    @property
    def cookie_name(self) -> str:
        return f"mario-review-{self.port}"  # a browser keeps one jar for all ports of a host

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/enter?token={self.token}"

    def check_host(self, headers: Mapping[str, str]) -> None:
        if headers.get("host") not in self._hosts():
            raise Refused(f"this server is 127.0.0.1:{self.port} and answers to no other name")

    def check_token(self, given: str) -> None:
        if not _same(given, self.token):
            raise Refused("this address is not valid any more; open the one that mario review printed last")

    def check_cookie(self, given: str | None) -> None:
        if given is None or not _same(given, self.cookie):
            raise Refused("this browser has not entered yet; open the address that mario review printed")

    def check_post(self, headers: Mapping[str, str], form_token: str) -> None:
        if headers.get("origin") not in {f"http://{host}" for host in self._hosts()}:
            raise Refused("this came from another page")
        if not _same(form_token, self.form):
            raise Refused("this page is from an earlier server; reload it, then decide again")

    def _hosts(self) -> set[str]:
        return {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
