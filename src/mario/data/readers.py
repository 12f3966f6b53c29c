"""Raw data sets to `Problem`s, lazily: GSM8K, MATH, any rows by a field map, and our own files.

The one idea: a source becomes a stream of `Row`s (`rows.py`), and one small function per data set turns a row into a
`Problem`. Every reader applies `patches`, so nobody can forget the corrections, and refuses an id that came before,
for everything later is stored under it. A file is read as far as it is consumed; memory holds a hash an id.

Formats: GSM8K https://github.com/openai/grade-school-math (question, answer ending in `#### x`), MATH
https://github.com/hendrycks/math (problem, level, type, solution with `\\boxed{x}`).

What this module does not do: it shuffles, splits, filters and grades nothing, and does not look for duplicates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mario.data.jsonl import write_lines
from mario.data.patches import Patches, apply_patches
from mario.data.rows import Container, Row, json_value, read_rows
from mario.errors import DataError
from mario.provenance import from_json
from mario.types import Problem

_MATH_SUBJECTS = (  # the configurations of the hub's copies of MATH
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)


@dataclass(frozen=True, slots=True)
class Fields:
    """Which field of a row holds what; `answer.value` names a field inside another. Optional ones may be missing.

    question: the question, which must be there
    answer: the reference answer, which must be there; none where the rows have no references
    solution: a worked solution
    id: a stable id; rows without one are numbered
    level: difficulty
    subject: field of mathematics
    licence: licence of the row, where rows have their own
    tags: further fields to keep
    """

    question: str = "question"
    answer: str | None = "answer"
    solution: str | None = "solution"
    id: str | None = "id"
    level: str | None = "level"
    subject: str | None = "subject"
    licence: str | None = "license"
    tags: tuple[str, ...] = field(default=())


def read_gsm8k(source: str | Path, *, split: str, patches: Patches | None = None) -> Iterator[Problem]:
    """GSM8K from a file of rows, or `hub:openai/gsm8k`; the solution keeps its `<<a*b=c>>` annotations.

    Raises:
        DataError: while reading, at the first row that is not GSM8K.
        MissingExtra: a hub source, and `datasets` is not installed.
    """
    return _problems(read_rows(source, split, ("main",)), lambda row: _gsm8k(row, split), patches)


def read_math(source: str | Path, *, split: str, patches: Patches | None = None) -> Iterator[Problem]:
    """MATH from a file of rows, the directory of one split (`algebra/0.json`, …), or `hub:` and a copy's name.

    A solution that boxes nothing gives the answer "" and `tags["defect"]`: the published set has two such rows, and
    a problem without a reference is to be seen as unscored, not to vanish. Several boxes are all in `tags["boxed"]`.

    Raises:
        DataError, MissingExtra: as in `read_gsm8k`.
    """
    return _problems(read_rows(source, split, _MATH_SUBJECTS), lambda row: _math(row, split), patches)


def read_mapped(
    source_path: str | Path,
    *,
    source: str,
    split: str,
    licence: str | None = None,
    fields: Fields | None = None,
    patches: Patches | None = None,
    container: Container | None = None,
) -> Iterator[Problem]:
    """Any rows by a field map; ids are `source/split/n` (from 0) where the rows carry none."""
    chosen = fields or Fields()
    rows = read_rows(source_path, split, container=container)
    return _problems(rows, lambda row: _mapped(row, source, split, licence, chosen), patches)


def read_problems(path: Path, *, patches: Patches | None = None) -> Iterator[Problem]:
    """Our own format, one `Problem` a line, as `write_problems` writes it."""
    return _problems(read_rows(path, ""), _own, patches)


def write_problems(path: Path, problems: Iterable[Problem]) -> int:
    """Write problems as JSON lines (gzipped when named `.gz`) and return how many; no half-written file appears."""
    return write_lines(path, problems)


def _problems(rows: Iterable[Row], read: Callable[[Row], Problem], patches: Patches | None) -> Iterator[Problem]:
    return apply_patches(_distinct(rows, read), patches or {})


def _distinct(rows: Iterable[Row], read: Callable[[Row], Problem]) -> Iterator[Problem]:
    seen: set[int] = set()
    for row in rows:
        problem = read(row)
        if (key := hash(problem.id)) in seen:
            raise DataError(
                f"{row.where}: problem id {problem.id!r} occurs twice; give each problem an id of its own"
                " (rows read by a field map are numbered with --fields.id none)"
            )
        seen.add(key)
        yield problem


def _gsm8k(row: Row, split: str) -> Problem:
    solution, mark, answer = row.text("answer").rpartition("####")
    if not mark or not answer.strip():
        raise DataError(f"{row.where}: field 'answer' has no final '#### x'; is it GSM8K? if not, use a field map")
    return Problem(
        id=row.optional("id") or f"gsm8k/{split}/{row.name}",
        question=row.text("question"),
        answer=answer.strip(),
        source="gsm8k",
        split=split,
        solution=solution.strip(),
        licence="MIT",
    )


def _math(row: Row, split: str) -> Problem:
    solution = row.text("solution")
    boxed = find_boxed(solution)
    level = re.search(r"\d", row.text("level"))  # two published rows say "Level ?"
    tags: dict[str, Any] = {"boxed": boxed} if len(boxed) > 1 else {}
    if not boxed:
        tags["defect"] = "no boxed answer"
    return Problem(
        id=row.optional("id") or f"math/{split}/{row.name}",
        question=row.text("problem"),
        answer=boxed[-1] if boxed else "",
        source="math",
        split=split,
        solution=solution,
        level=level.group() if level else None,
        subject=row.text("type"),
        licence="MIT",
        tags=tags,
    )


def find_boxed(solution: str) -> list[str]:
    r"""What each `\boxed{…}` or `\fbox{…}` holds, in order; also the form `\boxed 5`. One never closed is left out."""
    found = []
    for start in re.finditer(r"\\(?:boxed|fbox)(?![A-Za-z])\s*", solution):
        rest = solution[start.end() :]
        content = _braced(rest) if rest.startswith("{") else (re.match(r"\\?\w+", rest) or [None])[0]
        if content is not None and content.strip():
            found.append(content.strip())
    return found


def _braced(text: str) -> str | None:
    depth = 0
    for at, char in enumerate(text):
        escaped = at > 0 and text[at - 1] == "\\" and not text[:at].endswith("\\\\")
        if char in "{}" and not escaped:
            depth += 1 if char == "{" else -1
            if depth == 0:
                return text[1:at]
    return None


def _mapped(row: Row, source: str, split: str, licence: str | None, fields: Fields) -> Problem:
    absent = [name for name in fields.tags if name not in row.record]
    if absent:
        raise DataError(f"{row.where}: no field {absent[0]!r} for the tags; correct the field map")
    answer = row.optional(fields.answer)
    if fields.answer is not None and answer is None:
        row.text(fields.answer)  # raises with the fields that are there
    return Problem(
        id=row.optional(fields.id) or f"{source}/{split}/{row.name}",
        question=row.text(fields.question),
        answer=answer or "",
        source=source,
        split=split,
        solution=row.optional(fields.solution),
        level=row.optional(fields.level),
        subject=row.optional(fields.subject),
        licence=row.optional(fields.licence) or licence,
        tags={name: json_value(row.record[name], row.where) for name in fields.tags},
    )


def _own(row: Row) -> Problem:
    try:
        return from_json(Problem, row.record)
    except TypeError as error:
        raise DataError(f"{row.where}: not a problem of ours: {error}; for other files use a field map") from error
