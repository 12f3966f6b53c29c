"""Records in, records out: what the command line and other harnesses feed to the grader.

A row has a reference (`gold` or `reference`) and an answer (`pred` or `answer`), or a whole solution (`solution` or
`output`) to take the answer from. A broken row gives an error row in its place; it stops nothing.

What it does not do: no files, no JSON.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mario.grade.extraction import extract
from mario.grade.judge import DEFAULT
from mario.grade.options import Options
from mario.grade.pool import grade_all

REFERENCE_FIELDS = ("gold", "reference")
ANSWER_FIELDS = ("pred", "answer")
TEXT_FIELDS = ("solution", "output")
ERROR = "error"


class BadRow(Exception):
    """What is wrong with a row, in words for its author."""


def grade_rows(
    rows: Iterable[object], *, workers: int = 1, options: Options = DEFAULT, symbolic_seconds: float = 5.0
) -> Iterator[dict[str, Any]]:
    """One result a row, in order: id, equivalent, status, reason, reference, answer.

    `status` is a `VerdictStatus`, or `error` for a row that cannot be graded; then `equivalent` is None and `id` is
    the row's own id, or its number (from 1) where it has none.
    """
    heads: deque[tuple[object, str | None]] = deque()

    def pairs() -> Iterator[tuple[str, str]]:
        for number, row in enumerate(rows, start=1):
            identity = row.get("id", number) if isinstance(row, Mapping) else number
            try:
                pair = pair_of(row)
            except BadRow as error:
                heads.append((identity, str(error)))
                pair = ("0", "0")  # keeps the place; its verdict is thrown away
            else:
                heads.append((identity, None))
            yield pair

    for verdict in grade_all(pairs(), workers=workers, options=options, symbolic_seconds=symbolic_seconds):
        identity, error = heads.popleft()
        if error is not None:
            yield _result(identity, None, ERROR, error, None, None)
        else:
            status = str(verdict.status)
            yield _result(identity, verdict.equivalent, status, verdict.reason, verdict.reference, verdict.answer)


def _result(
    identity: object, equivalent: bool | None, status: str, reason: str, reference: str | None, answer: str | None
) -> dict[str, Any]:
    return {
        "id": identity,
        "equivalent": equivalent,
        "status": status,
        "reason": reason,
        "reference": reference,
        "answer": answer,
    }


def pair_of(row: object) -> tuple[str, str]:
    """Reference and answer of a row. Raises `BadRow`."""
    if not isinstance(row, Mapping):
        raise BadRow(f"expected a JSON object, got {type(row).__name__}")
    reference = _field(row, REFERENCE_FIELDS)
    if reference is None:
        raise BadRow(f"no reference answer: expected the field {' or '.join(REFERENCE_FIELDS)}")
    if any(row.get(name) is not None for name in ANSWER_FIELDS):
        return reference, _field(row, ANSWER_FIELDS) or ""
    text = _field(row, TEXT_FIELDS)
    if text is not None:
        found = extract(text)
        return reference, found.answer if found else ""
    if any(name in row for name in (*ANSWER_FIELDS, *TEXT_FIELDS)):
        return reference, ""  # null: the model gave no answer
    raise BadRow(f"no answer: expected one of the fields {', '.join((*ANSWER_FIELDS, *TEXT_FIELDS))}")


def _field(row: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = row.get(name)
        if value is None:
            continue
        if isinstance(value, str):
            return value
        if isinstance(value, int | float):
            return str(value)
        raise BadRow(f"field {name} must be a string, got {type(value).__name__}")
    return None
