"""What can go wrong with a call, told apart by what follows from it: try again or not, and was it paid for.

One place reads the SDK's errors. A `Fault` is passing; what lasts is an `EngineError` with its remedy. A server that
turns a request away (any 4xx, or 503 and 529: overloaded) has done no work for it; after a 500, a reset or a silence
nobody knows, and the ledger holds the call as unknown.
"""

from __future__ import annotations

import re
from typing import Any

from mario.engine.pace import retry_after

_PASSING = frozenset({408, 409, 425, 429})  # and every 5xx
_OVERLOADED = frozenset({429, 503, 529})
_TOO_LONG = re.compile(r"context.?(length|window|size)|maximum context|too long|max_model_len|exceeds? .*tokens", re.I)
_UNSUPPORTED = re.compile(
    r"unsupported|not (support|permitted|allowed)|unexpected|unrecognized|unknown|extra (input|field)|only the default",
    re.I,
)
# Without these a request still asks for the same text, less exactly; the user is told.
OPTIONAL = ("temperature", "top_p", "stop", "seed", "stream_options")


class Fault(Exception):
    """A try that failed in passing.

    `kind` counts it: a status, "reset", "timeout", "unreachable", "broken" or "empty". `free` says that the server
    has done nothing for it. `wait` is what the server asks for, in seconds.
    """

    def __init__(self, kind: str, text: str, *, free: bool = False, wait: float | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.free = free
        self.wait = wait

    @property
    def overloaded(self) -> bool:
        return self.kind.isdigit() and int(self.kind) in _OVERLOADED


class ContextFull(Exception):
    """The prompt does not fit the model's window: an outcome, not a fault."""


class Unsupported(Exception):
    """The server refuses a field of the request that is sent without it from now on."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def passing(error: Any, timeout_seconds: float) -> Fault | None:
    """The fault that an error of the SDK stands for, or None if trying again would not help."""
    import openai

    if isinstance(error, openai.APITimeoutError):
        if "Connect" in type(error.__cause__).__name__ or "Pool" in type(error.__cause__).__name__:
            return Fault("unreachable", f"no connection within {timeout_seconds:g} s", free=True)
        return Fault("timeout", f"silent for {timeout_seconds:g} s")
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__ or error
        if type(cause).__name__ == "ConnectError":
            return Fault("unreachable", brief(cause), free=True)
        return Fault("reset", brief(cause))
    if isinstance(error, openai.APIStatusError):
        status = error.status_code
        if (status not in _PASSING and status < 500) or error.code == "insufficient_quota":
            return None
        free = status < 500 or status in _OVERLOADED
        return Fault(str(status), brief(error), free=free, wait=retry_after(error.response.headers))
    return Fault("broken", brief(error))  # the body is not what was announced


def refused_field(error: Any, sent: dict[str, Any]) -> str | None:
    """The optional field of a request that a refusal is about, if that is what it is about."""
    message = said(error)
    if not _UNSUPPORTED.search(message):
        return None
    named = [error.param] if getattr(error, "param", None) in OPTIONAL else OPTIONAL
    for name in named:
        if name in sent and (error.param == name or re.search(rf"\b{name}\b", message)):
            return name
    return None


def is_too_long(error: Any) -> bool:
    return error.code == "context_length_exceeded" or _TOO_LONG.search(error.message) is not None


def said(error: BaseException) -> str:
    """What a refusal says; of its body the SDK keeps only some shapes."""
    body = getattr(error, "body", None)
    text = body.get("message") or body.get("detail") if isinstance(body, dict) else None
    return str(text or error or type(error).__name__)


def brief(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(said(error).split())[:300]
