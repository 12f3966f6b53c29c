"""The child process that asks Math-Verify, on a main thread of its own as its SIGALRM needs.

A request is a head line that says nothing and JSON `[reference, answer]`; the reply is `[true | false | null, reason]`.
Both texts are given as LaTeX between dollars, as its manual asks, unless they bring delimiters of their own.

What it does not do: no options. These are Math-Verify's defaults.
"""

from __future__ import annotations

import json
import logging
import re
from importlib import import_module
from typing import Any

from mario.process import serve

math_verify: Any = import_module("math_verify")

MEMORY_MB = 2048
_DELIMITER = re.compile(r"(?<!\\)\$|\\boxed|\\\[|\\\(")  # \$ is money
SHOWN = 80  # characters of a parsed form in a reason


def handle(request: bytes) -> bytes:
    body = request.partition(b"\n")[2]
    if not body:
        return b""
    reference, answer = json.loads(body)
    try:
        gold, pred = math_verify.parse(delimited(reference)), math_verify.parse(delimited(answer))
        same = bool(math_verify.verify(gold, pred))
    except Exception as error:  # a grader that raises gives no verdict
        return json.dumps([None, f"raised {type(error).__name__}: {error}"[:300]]).encode()
    return json.dumps([same, f"read {shown(gold)} and {shown(pred)}"]).encode()


def delimited(text: str) -> str:
    return text if _DELIMITER.search(text) else f"${text}$"


def shown(parsed: list[object]) -> str:
    """What it parsed."""
    if not parsed:
        return "nothing"
    text = str(parsed[0]).replace("\n", " ")
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # it logs every timeout and every failed parse
    serve(handle, memory_mb=MEMORY_MB)
