"""What is under review, read by offset: suspects of the finder, or the rows of a training set.

One idea: a directory is walked through once, when the server starts, and of each row only its name, its hash, its
offset and some words to search in stay in memory. The files stay open, so a finder that writes the directory anew
changes nothing under the feet of a reviewer.

What this module does not do: deciding, and writing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

from mario.data.patches import problem_hash
from mario.errors import StoreError, UsageError
from mario.labels.suspects import SUSPECTS, TRAJECTORIES, Suspect
from mario.provenance import content_hash, from_json
from mario.review.events import Event
from mario.review.outcome import Reviewed
from mario.store.jsonl import parse_object
from mario.types import Problem, Trajectory

T = TypeVar("T")
Subject = Literal["labels", "trajectories"]
_SEARCHED = 2000  # characters of a question that a search looks at


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands: which of the open files, and from which byte."""

    file: int
    offset: int


@dataclass(frozen=True, slots=True)
class Row:
    """One item of the queue. `words` is what a search looks at, in lower case."""

    item: str
    hash: str
    problem_id: str
    sample_index: int | None
    place: Place
    words: str


class Items:
    """The queue of a directory, in its order; `sample` keeps so many, drawn by `seed` and name alone.

    Raises:
        UsageError: the directory is neither the finder's nor a training set's.
        StoreError: a file of it is missing or damaged.
    """

    def __init__(self, root: Path, *, part: str = "kept", sample: int | None = None, seed: int = 0) -> None:
        self.root = root
        self._files: list[IO[bytes]] = []
        self._names: list[Path] = []
        self._problems: dict[str, tuple[Place, str, str]] = {}  # place, hash, words
        self._programs: dict[tuple[str, int], Place] = {}
        self.subject: Subject
        for place, row in self._walk(root / "problems.jsonl"):
            name, question, answer = self._fields(place, row, "id", "question", "answer")
            hash = problem_hash(Problem(name, question, answer, "", ""))
            self._problems[name] = (place, hash, question[:_SEARCHED].lower())
        if (root / SUSPECTS).exists():
            self.subject = "labels"
            rows = list(self._suspects(root))
        elif (root / part).is_dir():
            self.subject = "trajectories"
            rows = [row for path in sorted((root / part).glob("[0-9]*.jsonl")) for row in self._trajectories(path)]
        else:
            raise UsageError(
                f"{root} holds neither {SUSPECTS} nor {part}/; name a directory of mario labels find or mario annotate"
            )
        if sample is not None:
            drawn = {row.item for row in sorted(rows, key=lambda row: _draw(seed, row.item))[:sample]}
            rows = [row for row in rows if row.item in drawn]
        self.rows = rows
        self._hashes = {row.item: row.hash for row in rows}

    def __len__(self) -> int:
        return len(self.rows)

    def count(self, decisions: Mapping[str, Event]) -> int:
        """How many of the items are decided, as they are now."""
        return sum(self._hashes.get(item) == event.hash for item, event in decisions.items())

    def suspect(self, index: int) -> Suspect | None:
        """What the finder says of an item; trajectories have none."""
        return self._read(Suspect, self.rows[index].place) if self.subject == "labels" else None

    def problem(self, index: int) -> Problem:
        return self._read(Problem, self._problems[self.rows[index].problem_id][0])

    def trajectory(self, problem_id: str, sample_index: int) -> Trajectory | None:
        place = self._programs.get((problem_id, sample_index))
        return None if place is None else self._read(Trajectory, place)

    def reviewed(self) -> Iterator[Reviewed]:
        """Every item as `outcome` needs it."""
        for index, row in enumerate(self.rows):
            found = self.suspect(index)
            if found is None:
                yield Reviewed(row.item, row.hash, row.problem_id, row.sample_index)
            else:
                evidence = tuple(each.id for each in found.evidence)
                yield Reviewed(row.item, row.hash, row.problem_id, None, found.reference, found.sentence, evidence)

    def close(self) -> None:
        for file in self._files:
            file.close()

    def _suspects(self, root: Path) -> Iterator[Row]:
        for place, row in self._walk(root / SUSPECTS):
            name, hash, kind, sentence = self._fields(place, row, "problem_id", "problem_hash", "kind", "sentence")
            problem = self._problem_of(name, place)
            if problem[1] != hash:
                raise StoreError(
                    f"{self._where(place)}: made for another version of problem {name}; run mario labels find again"
                )
            yield Row(name, hash, name, None, place, f"{name} {kind} {sentence}".lower() + f" {problem[2]}")
        if (root / TRAJECTORIES).exists():
            for place, row in self._walk(root / TRAJECTORIES):
                self._programs[row["problem_id"], row["sample_index"]] = place

    def _trajectories(self, path: Path) -> Iterator[Row]:
        for place, row in self._walk(path):
            name, sample = row["problem_id"], row["sample_index"]
            words = f"{name} {row.get('model', '')} {self._problem_of(name, place)[2]}".lower()
            self._programs[name, sample] = place
            hash = content_hash({"steps": row["steps"], "answer": row.get("answer")})
            yield Row(f"{name}#{sample}", hash, name, sample, place, words)

    def _problem_of(self, name: str, place: Place) -> tuple[Place, str, str]:
        if name not in self._problems:
            raise StoreError(
                f"{self._where(place)}: problem {name} is not in {self.root / 'problems.jsonl'};"
                " make the directory anew"
            )
        return self._problems[name]

    def _walk(self, path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
        try:
            file = path.open("rb")
        except OSError as error:
            raise StoreError(f"{path} cannot be read ({error.strerror}); make the directory anew") from error
        number = len(self._files)
        self._files.append(file)
        self._names.append(path)
        offset = 0
        for raw in file:
            if raw.strip():
                yield Place(number, offset), parse_object(raw, f"{path}, offset {offset}")
            offset += len(raw)

    def _read(self, kind: type[T], place: Place) -> T:
        file = self._files[place.file]
        file.seek(place.offset)
        return self._record(kind, parse_object(file.readline(), self._where(place)), place)

    def _fields(self, place: Place, row: dict[str, Any], *names: str) -> list[str]:
        """Texts of a row; whole records are only made when they are shown."""
        found = [row.get(name) for name in names]
        for name, text in zip(names, found, strict=True):
            if not isinstance(text, str):
                raise StoreError(f"{self._where(place)}: field {name!r} must be text, got {text!r}; make the file anew")
        return [str(text) for text in found]

    def _record(self, kind: type[T], row: dict[str, Any], place: Place) -> T:
        try:
            return from_json(kind, row)
        except TypeError as error:
            raise StoreError(f"{self._where(place)}: {error}; was it made by another version?") from error

    def _where(self, place: Place) -> str:
        return f"{self._names[place.file]}, offset {place.offset}"


def _draw(seed: int, item: str) -> bytes:
    return hashlib.sha256(f"{seed}:{item}".encode("utf-8", "backslashreplace")).digest()
