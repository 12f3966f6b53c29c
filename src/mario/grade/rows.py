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
from mario.grade.judge import DEFAULT, Decide, answer_type, grade
from mario.grade.options import Options
from mario.grade.pool import grade_all
from mario.types import Verdict, VerdictStatus

REFERENCE_FIELDS = ("gold", "reference")
ANSWER_FIELDS = ("pred", "answer")
TEXT_FIELDS = ("solution", "output")
ERROR = "error"
UNDECIDED = str(VerdictStatus.UNDECIDED)


class BadRow(Exception):
    """What is wrong with a row, in words for its author."""


def graded_row(
    row: object, number: int, options: Options = DEFAULT, last_resort: Decide | None = None
) -> dict[str, Any]:
    """The result of one row, the `number`-th of its file: id, equivalent, status, reason, type, reference, answer.

    `status` is a `VerdictStatus`, or `error` for a row that cannot be graded; then `equivalent` is None. `id` is the
    row's own, or its number where it has none. `type` is that of the reference.
    """
    try:
        reference, answer = pair_of(row)
    except BadRow as error:
        return result_of(row, number, str(error))
    try:
        verdict = grade(reference, answer, options=options, last_resort=last_resort)
    except Exception as error:  # one pair must not cost the rest
        verdict = Verdict(VerdictStatus.UNDECIDED, f"{type(error).__name__}: {error}"[:300])
    return result_of(row, number, verdict, reference)


def result_of(row: object, number: int, verdict: Verdict | str, reference: str = "") -> dict[str, Any]:
    """The result of a row from its verdict, or from the words that say what is wrong with it."""
    result: dict[str, Any] = {"id": row.get("id", number) if isinstance(row, Mapping) else number}
    if isinstance(verdict, str):
        nothing = {"type": None, "reference": None, "answer": None}
        return result | {"equivalent": None, "status": ERROR, "reason": verdict} | nothing
    return result | {
        "equivalent": verdict.equivalent,
        "status": str(verdict.status),
        "reason": verdict.reason,
        "type": str(answer_type(reference)),
        "reference": verdict.reference,
        "answer": verdict.answer,
    }


def grade_rows(
    rows: Iterable[object], *, workers: int = 1, options: Options = DEFAULT, symbolic_seconds: float = 5.0
) -> Iterator[dict[str, Any]]:
    """One result a row, in order: see `graded_row`."""
    heads: deque[tuple[int, object, str, str]] = deque()

    def pairs() -> Iterator[tuple[str, str]]:
        for number, row in enumerate(rows, start=1):
            try:
                pair = pair_of(row)
            except BadRow as error:
                heads.append((number, row, "", str(error)))
                pair = ("0", "0")  # keeps the place; its verdict is thrown away
            else:
                heads.append((number, row, pair[0], ""))
            yield pair

    for verdict in grade_all(pairs(), workers=workers, options=options, symbolic_seconds=symbolic_seconds):
        number, row, reference, error = heads.popleft()
        yield result_of(row, number, error or verdict, reference)


def pair_of(row: object) -> tuple[str, str]:
    """Reference and answer of a row; bytes are a line that is no JSON. Raises `BadRow`."""
    if isinstance(row, bytes):
        raise BadRow(f"not JSON: {row.strip()[:60].decode('utf-8', 'replace')!r}")
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
