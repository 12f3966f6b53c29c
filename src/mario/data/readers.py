"""Raw data sets to `Problem`s, lazily: GSM8K, MATH, any JSON lines by a field map, and our own files.

The one idea: a source (a file, a directory of MATH's one-problem files, or a data set of the hub) becomes a stream of
`Row`s, and one small function per data set turns a row into a `Problem`. Every reader applies `patches`, so nobody
can forget the corrections. A file is read as far as it is consumed; memory does not grow with it.

Formats: GSM8K https://github.com/openai/grade-school-math (question, answer ending in `#### x`), MATH
https://github.com/hendrycks/math (problem, level, type, solution with `\\boxed{x}`).

What this module does not do: it shuffles, splits, filters and grades nothing, and does not look for duplicates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mario.data.jsonl import read_lines, read_whole, text_field, write_lines
from mario.data.patches import Patches, apply_patches
from mario.errors import DataError, MissingExtra
from mario.provenance import from_json
from mario.store.jsonl import parse_object
from mario.types import Problem

HUB_PREFIX = "hub:"
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
    """Which field of a JSON object holds what; only `question` must be there. Missing optional fields are left out."""

    question: str = "question"
    answer: str | None = "answer"
    solution: str | None = "solution"
    id: str | None = "id"
    level: str | None = "level"
    subject: str | None = "subject"
    tags: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Row:
    """One raw record, a name for it that does not change between readings, and where it stands for messages."""

    record: dict[str, Any]
    name: str
    where: str

    def text(self, name: str) -> str:
        return text_field(self.record, name, self.where)

    def optional(self, name: str | None) -> str | None:
        """The field as text; numbers are written out, for ids and levels are often numbers. None where it is absent."""
        value = None if name is None else self.record.get(name)
        if value is None:
            return None
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else self.text(str(name))


def read_gsm8k(source: str | Path, *, split: str, patches: Patches | None = None) -> Iterator[Problem]:
    """GSM8K from a `.jsonl[.gz]` file, or `hub:openai/gsm8k`; the solution keeps its `<<a*b=c>>` annotations.

    Raises:
        DataError: while reading, at the first row that is not GSM8K.
        MissingExtra: a hub source, and `datasets` is not installed.
    """
    return _problems(_rows(source, split, ("main",)), lambda row: _gsm8k(row, split), patches)


def read_math(source: str | Path, *, split: str, patches: Patches | None = None) -> Iterator[Problem]:
    """MATH from a `.jsonl[.gz]` file, the directory of one split (`algebra/0.json`, …), or `hub:` and a copy's name.

    A solution that boxes nothing gives the answer "" and `tags["defect"]`: the published set has two such rows, and
    a problem without a reference is to be seen as unscored, not to vanish. Several boxes are all in `tags["boxed"]`.

    Raises:
        DataError, MissingExtra: as in `read_gsm8k`.
    """
    return _problems(_rows(source, split, _MATH_SUBJECTS), lambda row: _math(row, split), patches)


def read_jsonl(
    path: Path,
    *,
    source: str,
    split: str,
    licence: str | None = None,
    fields: Fields | None = None,
    patches: Patches | None = None,
) -> Iterator[Problem]:
    """Any JSON lines by a field map; ids are `source/split/n` (from 0) where the rows carry none."""
    chosen = fields or Fields()
    return _problems(_rows(path, split, ()), lambda row: _mapped(row, source, split, licence, chosen), patches)


def read_problems(path: Path, *, patches: Patches | None = None) -> Iterator[Problem]:
    """Our own format, one `Problem` a line, as `write_problems` writes it."""
    return _problems(_rows(path, "", ()), _own, patches)


def write_problems(path: Path, problems: Iterable[Problem]) -> int:
    """Write problems as JSON lines (gzipped when named `.gz`) and return how many; no half-written file appears."""
    return write_lines(path, problems)


def _problems(rows: Iterable[Row], read: Callable[[Row], Problem], patches: Patches | None) -> Iterator[Problem]:
    return apply_patches(map(read, rows), patches or {})


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
        licence=licence,
        tags={name: row.record[name] for name in fields.tags},
    )


def _own(row: Row) -> Problem:
    try:
        return from_json(Problem, row.record)
    except TypeError as error:
        raise DataError(f"{row.where}: not a problem of ours: {error}; for other files use a field map") from error


def _rows(source: str | Path, split: str, configurations: tuple[str, ...]) -> Iterator[Row]:
    if isinstance(source, str) and source.startswith(HUB_PREFIX):
        return _hub_rows(source.removeprefix(HUB_PREFIX), split, configurations)
    path = Path(source)
    return _directory_rows(path) if path.is_dir() else _file_rows(path)


def _file_rows(path: Path) -> Iterator[Row]:
    for line in read_lines(path):
        yield Row(line.record, str(line.index), line.where)


def _directory_rows(root: Path) -> Iterator[Row]:
    paths = sorted(root.rglob("*.json"), key=lambda path: _natural(str(path.relative_to(root))))
    if not paths:
        raise DataError(f"{root}: no .json file in this directory; name the split's directory, or a .jsonl file")
    for path in paths:
        yield Row(
            parse_object(read_whole(path), str(path)), path.relative_to(root).with_suffix("").as_posix(), str(path)
        )


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts 2.json before 10.json."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _hub_rows(name: str, split: str, configurations: tuple[str, ...]) -> Iterator[Row]:
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets (to read from the hub)", "hf") from None
    for configuration in configurations:
        try:
            rows: Iterable[Mapping[str, Any]] = datasets.load_dataset(name, configuration, split=split, streaming=True)
            for index, record in enumerate(rows):
                own_name = str(index) if len(configurations) == 1 else f"{configuration}/{index}"
                yield Row(dict(record), own_name, f"{HUB_PREFIX}{name} ({configuration}, {split}), row {index}")
        except (OSError, ValueError, RuntimeError) as error:  # no network, no such data set, no such split
            raise DataError(
                f"{HUB_PREFIX}{name}: cannot be read ({_first_line(error)}); check the name, the split {split!r} and"
                " the network, or download the file and give its path"
            ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
