"""Solutions by others, read from our runs or from any recorded outputs, and grouped by problem on disk.

One idea: whatever a sample was, it becomes one row: the problem it is for, the answer, who gave it by which program,
and a `Trajectory` that a page can show. Rows lie in an SQLite file on disk: memory does not grow.

Sources: an output directory of `mario evaluate` or `mario annotate` (its trajectories/), a folder of shards, or JSON
lines read by a field map. A recorded output is matched by its question where it has one, else by its id.

What this module does not do: weigh anything (`votes`), or look at what a recording says of right and wrong.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from mario.data.rows import Row, json_value, read_rows
from mario.errors import DataError
from mario.provenance import canonical_json, from_json
from mario.store import scan_shards
from mario.transcript.shape import program_key, program_shape
from mario.types import Observation, ObservationStatus, Problem, Sampling, Step, StopReason, Trajectory
from mario.value import read_values

_LONGEST_ANSWER = 300  # characters; longer ones are texts, not answers


@dataclass(frozen=True, slots=True)
class SampleFields:
    """Which field of a recorded output holds what; of several names the first that holds something is taken.

    id: the problem's id, looked at where a row has no question
    question: the question, by which a row finds its problem
    answer: the answer; of an output of several lines the last
    code: the program
    output: what it printed
    error: what went wrong; a row that has it gives no answer
    model: who wrote it; without one, the file's name
    prompt: what was asked of the model, where it was asked in several ways
    value: the outcome value, from 0 to 1
    """

    id: str = "id"
    question: str = "question"
    answer: tuple[str, ...] = ("pred", "pred_stored", "recorded_answer", "output", "recorded_output")
    code: tuple[str, ...] = ("code",)
    output: tuple[str, ...] = ("output", "recorded_output")
    error: str = "error"
    model: tuple[str, ...] = ("model", "generator")
    prompt: tuple[str, ...] = ("style", "prompt", "format")
    value: str = "value"


@dataclass(frozen=True, slots=True)
class Sample:
    """One solution of a problem, as voting sees it; `row` finds its trajectory."""

    row: int
    answer: str
    model: str
    prompt: str
    key: str
    shape: str
    value: float | None
    has_program: bool = True


class Samples:
    """Problems' ids and all samples of them; use as a context manager."""

    def __init__(self, scratch: Path) -> None:
        self._db = sqlite3.connect(scratch / "samples.sqlite", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=OFF")  # a scratch file: a killed run starts it afresh
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("CREATE TABLE problems(id TEXT PRIMARY KEY, key BLOB, answer TEXT) WITHOUT ROWID")
        self._db.execute(
            "CREATE TABLE samples(problem_id TEXT, answer TEXT, model TEXT, prompt TEXT, key TEXT, shape TEXT,"
            " value REAL, has_program INTEGER, record TEXT)"
        )
        self._db.execute("BEGIN")
        self.read = self.unmatched = self.unanswered = 0

    def __enter__(self) -> Samples:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add_problems(self, problems: Iterable[Problem]) -> int:
        before = self._db.total_changes
        self._db.executemany(
            "INSERT OR REPLACE INTO problems VALUES(?, ?, ?)",
            ((p.id, _question_key(p.question), answer_key(p.answer)) for p in problems),
        )
        self._db.execute("CREATE INDEX by_key ON problems(key)")
        self._db.execute("CREATE INDEX by_answer ON problems(answer)")
        return self._db.total_changes - before

    def add_source(self, source: str, fields: SampleFields) -> None:
        """Read one source whole: a path, or `MODEL=PATH` for a recording that does not say who wrote it.

        Raises:
            DataError, StoreError: it is neither a run nor rows; names the place.
        """
        model, _, path = source.rpartition("=")
        for problem_id, trajectory in _attempts(Path(path), fields, model, self._find):
            self.read += 1
            if problem_id is None:
                self.unmatched += 1
            elif not trajectory.answer or len(trajectory.answer) > _LONGEST_ANSWER:
                self.unanswered += 1
            else:
                self._add(problem_id, trajectory)

    def _add(self, problem_id: str, trajectory: Trajectory) -> None:
        value = trajectory.tags.get("value")
        row = (
            problem_id,
            trajectory.answer,
            trajectory.model,
            f"{trajectory.format} {trajectory.tags.get('prompt', '')}".strip(),
            program_key(trajectory),
            program_shape(trajectory),
            float(value) if isinstance(value, int | float) else None,
            any(step.code is not None for step in trajectory.steps),
            canonical_json(trajectory),
        )
        self._db.execute("INSERT INTO samples VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def _find(self, question: str | None, problem_id: str | None) -> str | None:
        if question:
            found = self._db.execute("SELECT id FROM problems WHERE key = ?", (_question_key(question),)).fetchone()
        else:
            found = self._db.execute("SELECT id FROM problems WHERE id = ?", (problem_id,)).fetchone()
        return found[0] if found else None

    def close_index(self) -> None:
        """After the last source: makes looking up by problem quick."""
        self._db.execute("CREATE INDEX by_problem ON samples(problem_id)")

    def of(self, problem_id: str) -> list[Sample]:
        """The samples of one problem, in the order of reading."""
        rows = self._db.execute(f"SELECT {_SAMPLE} FROM samples WHERE problem_id = ? ORDER BY rowid", (problem_id,))
        return [_sample(row) for row in rows]

    def problems_with(self, answer: str) -> int:
        """How many of the problems have this reference."""
        found = self._db.execute("SELECT COUNT(*) FROM problems WHERE answer = ?", (answer_key(answer),)).fetchone()
        return int(found[0])

    def by_problem(self) -> Iterator[tuple[str, list[Sample]]]:
        rows = self._db.cursor().execute(f"SELECT problem_id, {_SAMPLE} FROM samples ORDER BY problem_id, rowid")
        for problem_id, group in groupby(rows, key=lambda row: row[0]):
            yield problem_id, [_sample(row[1:]) for row in group]

    def trajectory(self, sample: Sample) -> Trajectory:
        found = self._db.execute("SELECT record FROM samples WHERE rowid = ?", (sample.row,)).fetchone()
        return from_json(Trajectory, json.loads(found[0]))


_SAMPLE = "rowid, answer, model, prompt, key, shape, value, has_program"


def _sample(row: tuple[Any, ...]) -> Sample:
    row_id, answer, model, prompt, key, shape, value, has_program = row
    return Sample(row_id, answer, model, prompt, key, shape, value, bool(has_program))


def answer_key(answer: str) -> str:
    """Equal for answers that are written alike; no grading, since only copies are looked for."""
    return "".join(answer.replace(",", "").split())


def _question_key(question: str) -> bytes:
    return hashlib.blake2b(" ".join(question.split()).encode("utf-8", "surrogatepass"), digest_size=16).digest()


Find = Callable[[str | None, str | None], str | None]


def _attempts(path: Path, fields: SampleFields, model: str, find: Find) -> Iterator[tuple[str | None, Trajectory]]:
    """Each attempt with the id of its problem, None where it is for none of ours."""
    folder = path / "trajectories" if (path / "trajectories").is_dir() else path
    if folder.is_dir():
        values = _values(path)
        for trajectory in scan_shards(folder, Trajectory):
            tags = {**trajectory.tags, "from": path.name}
            if (value := values.get((trajectory.problem_id, trajectory.sample_index))) is not None:
                tags["value"] = value
            yield find(None, trajectory.problem_id), replace(trajectory, tags=tags)
        return
    if not path.exists():
        raise DataError(
            f"{path} does not exist; --samples names output directories of runs, or files of recorded outputs"
        )
    for index, row in enumerate(read_rows(path, "")):
        yield find(row.optional(fields.question), row.optional(fields.id)), _recorded(row, path, index, fields, model)


def _values(run: Path) -> dict[tuple[str, int], float]:
    """Chances of being right that `mario value` stored beside the attempts of a run; the mean of several models."""
    found: dict[tuple[str, int], list[float]] = {}
    for valued in read_values(run):
        for key, odds in valued.log_odds.items():
            found.setdefault(key, []).append(1 / (1 + math.exp(-max(-30.0, min(30.0, odds[-1])))))
    return {key: sum(chances) / len(chances) for key, chances in found.items()}


def _recorded(row: Row, path: Path, index: int, fields: SampleFields, model: str) -> Trajectory:
    answer = _last_line(_first(row, fields.answer))
    code, output = _first(row, fields.code), _first(row, fields.output)
    failed = bool(row.value(fields.error))
    status = ObservationStatus.ERROR if failed else ObservationStatus.OK
    step = Step("", code, Observation(output or "", status)) if code is not None else Step(output or "")
    tags: dict[str, Any] = {"from": path.name, "prompt": _first(row, fields.prompt) or ""}
    if (value := row.value(fields.value)) is not None:
        tags["value"] = json_value(value, row.where)
    answered = answer is not None and not failed
    return Trajectory(
        problem_id=row.optional(fields.id) or str(index),
        sample_index=index,
        format="recorded",
        model=model or _first(row, fields.model) or _model_of(path),
        sampling=Sampling(),
        steps=(step,),
        stop_reason=StopReason.ANSWERED if answered else StopReason.NO_ACTION,
        answer=answer if answered else None,
        tags=tags,
    )


def _model_of(path: Path) -> str:
    """The name of a recording without what it is of: solver-7b-v0.1.gsm8k.jsonl.gz is by solver-7b-v0.1."""
    name = re.sub(r"\.jsonl(\.gz)?$", "", path.name)
    return re.sub(r"(?<=.)\.[A-Za-z][\w-]*$", "", name)


def _first(row: Row, names: tuple[str, ...]) -> str | None:
    for name in names:
        text = row.optional(name)
        if text is not None and text.strip():
            return text
    return None


def _last_line(text: str | None) -> str | None:
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return lines[-1] if lines else None
