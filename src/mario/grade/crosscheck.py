"""A second opinion: Math-Verify's verdict beside ours, so that a switch of graders can be checked row by row.

Math-Verify (the `crosscheck` extra) stops its own overruns with SIGALRM, which works on a main thread only and on no
call into C. So it runs in a child that is killed when it overruns; this process never imports it.

What it does not do: it does not say who is right.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from typing import Any

from mario.errors import MissingExtra
from mario.grade.children import Children, in_order
from mario.grade.judge import DEFAULT
from mario.grade.options import Options
from mario.grade.pool import GraderPool
from mario.grade.rows import BadRow, pair_of, result_of
from mario.process import ChildDied, ChildTimedOut

SECONDS = 20.0  # a back stop behind Math-Verify's own time limits
WORKER = "mario.grade.mathverify"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What another grader says; `equivalent` is None where it gave no verdict."""

    equivalent: bool | None
    reason: str


class MathVerify:
    """Math-Verify in children of its own; use as a context manager. Safe to share between threads.

    Raises:
        MissingExtra: it is not installed.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        if find_spec("math_verify") is None:
            raise MissingExtra("math-verify (to compare verdicts with)", "crosscheck")
        self.seconds = seconds
        self._children = Children(WORKER)

    def __enter__(self) -> MathVerify:
        return self

    def __exit__(self, *_: object) -> None:
        self._children.close()

    def judge(self, reference: str, answer: str) -> Opinion:
        try:
            reply = self._children.ask({}, json.dumps([reference, answer]).encode(), self.seconds)
        except ChildTimedOut:
            return Opinion(None, f"no verdict in {self.seconds:g} s")
        except ChildDied as error:
            return Opinion(None, f"ended without a verdict: {error}"[:300])
        equivalent, reason = json.loads(reply)
        return Opinion(equivalent, reason)


def cross_check(
    rows: Iterable[object], *, workers: int = 1, options: Options = DEFAULT, symbolic_seconds: float = 5.0
) -> Iterator[dict[str, Any]]:
    """The results of `grade_rows`, each with Math-Verify's verdict under `math_verify` and `math_verify_reason`.

    A broken row has neither. Raises `MissingExtra` at the first row.
    """
    with GraderPool(0, options=options, symbolic_seconds=symbolic_seconds) as ours, MathVerify() as theirs:

        def both(numbered: tuple[int, object]) -> dict[str, Any]:
            number, row = numbered
            try:
                reference, answer = pair_of(row)
            except BadRow as error:
                return result_of(row, number, str(error))
            result = result_of(row, number, ours.grade([(reference, answer)])[0], reference)
            opinion = theirs.judge(reference, answer)
            return result | {"math_verify": opinion.equivalent, "math_verify_reason": opinion.reason}

        yield from in_order(both, zip(count(1), rows), max(1, workers))


def disagree(result: dict[str, Any]) -> bool:
    """Whether the graders differ on a row; no verdict of theirs counts as no."""
    return "math_verify" in result and bool(result["math_verify"]) != result["equivalent"]
