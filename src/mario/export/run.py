"""A training set in, a data set to publish out.

    README.md          the card
    manifest.json      recipe, input hashes, every file with its hash; no clock and no machine in it
    data/              train.parquet, train.jsonl, and incorrect.* where wrong attempts were kept for a value model
    forms/             the same rows as trainers want them, one file or folder a form
    drops.jsonl        what is not in it, each with its reason

The one idea: the same inputs and the same recipe give the same bytes, file by file. So the manifest tells two people
whether they hold the same data set.

The report of decontamination stays behind: it holds the benchmarks' questions, and publishing it would leak them. Its
counts are in the card.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from mario.annotate.index import Index
from mario.data.readers import read_problems
from mario.data.trainingset import Filter, TrainingSet, read_set, rebuilt
from mario.errors import DataError
from mario.export import forms
from mario.export.card import Sources, write_card
from mario.export.config import ExportConfig
from mario.export.files import JsonLines, Parquet, chat_schema, rl_schema, row_schema
from mario.export.rows import make_row
from mario.provenance import code_version, file_hash, installed_version, to_json
from mario.store import scan_shards, write_json
from mario.transcript.tools import SYSTEM
from mario.types import Trajectory

_OUTPUTS = ("README.md", "data", "forms", "drops.jsonl", "manifest.json")
_NOT_WRITABLE = "not writable as inline text"


@dataclass(frozen=True, slots=True)
class Exported:
    """`files` are hash, bytes and, where they hold rows, their number, by name."""

    rows: int
    incorrect: int
    problems: int
    made: TrainingSet
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def export(config: ExportConfig, out: Path) -> Exported:
    """Write the data set.

    Raises:
        DataError: there is nothing to export, or a problem of a test set is in it and not allowed by name.
        StoreError: the source is not whole. MissingExtra: pyarrow is not installed.
    """
    made = read_set(config.source)
    if not made.kept:
        raise DataError(f"{config.source} keeps no rows; see its drops.jsonl for the reasons")
    with rebuilt(out, _OUTPUTS) as part:
        with Index(part, ()) as index:
            index.add_problems(config.source / "problems.jsonl")
            sources = Sources()
            counts = _write_rows(config, part, "kept", "train", index, sources)
            wrong = _write_rows(config, part, "incorrect", "incorrect", index, sources) if made.incorrect else Counter()
        (part / "index.sqlite").unlink()
        if "verl" in config.forms:
            _write_rl(config.source, part / "forms" / "verl-rl.parquet")
        if "sharegpt" in config.forms:
            write_json(part / "forms" / "dataset_info.json", forms.LLAMA_FACTORY)
        if (config.source / "drops.jsonl").exists():
            shutil.copyfile(config.source / "drops.jsonl", part / "drops.jsonl")
        dropped = {_NOT_WRITABLE: counts[_NOT_WRITABLE]} if counts[_NOT_WRITABLE] else {}
        last = Filter("export", "attempts", made.kept, counts["rows"], dropped)
        made = replace(made, kept=counts["rows"], incorrect=wrong["rows"], filters=(*made.filters, last))
        write_card(part / "README.md", config, made, sources)
        done = Exported(counts["rows"], wrong["rows"], sources.problems, made, _files(part))
        write_json(part / "manifest.json", _manifest(config, done))
    return done


def _write_rows(
    config: ExportConfig, part: Path, folder: str, name: str, index: Index, sources: Sources
) -> Counter[str]:
    """One pass over the attempts; every file of theirs is open at once."""
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        writers = [
            stack.enter_context(Parquet(part / "data" / f"{name}.parquet", row_schema())).write,
            stack.enter_context(JsonLines(part / "data" / f"{name}.jsonl")).write,
            *(_form_writers(config, part, stack) if name == "train" else ()),
        ]
        for trajectory in scan_shards(config.source / folder, Trajectory):
            problem = index.problem(trajectory.problem_id)
            known = f"{problem.source}-{problem.split}"
            if problem.split.startswith("test") and known not in config.allow:
                raise DataError(
                    f"problem {problem.id} is of the test set {known}: a training set may not hold it; take it out "
                    f"with mario data decontaminate, or add --allow {known} if that is what you want"
                )
            try:
                row = make_row(problem, trajectory)
            except ValueError:
                counts[_NOT_WRITABLE] += 1
                continue
            for write in writers:
                write(row)
            counts["rows"] += 1
            if name == "train":
                sources.add(row)
    return counts


def _form_writers(config: ExportConfig, part: Path, stack: ExitStack) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A function for each form asked for, that writes a row in it."""
    whole: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
        "openai": forms.openai,
        "trl": forms.trl,
        "sharegpt": forms.sharegpt,
        "axolotl": forms.axolotl,
    }
    for name, form in whole.items():
        if name in config.forms:
            lines = stack.enter_context(JsonLines(part / "forms" / f"{name}.jsonl"))
            yield lambda row, lines=lines, form=form: lines.write(form(row))  # type: ignore[misc]
    if "verl" in config.forms:
        chat = stack.enter_context(Parquet(part / "forms" / "verl-sft.parquet", chat_schema()))
        yield lambda row: chat.write(forms.trl(row))
    if "traces" in config.forms and config.traces:
        yield _Traces(part / "forms" / "traces", config.traces).write


class _Traces:
    """The first so many attempts, one session a file."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most, self._count = folder, most, 0

    def write(self, row: Mapping[str, Any]) -> None:
        if self._count < self._most:
            with JsonLines(self._folder / f"{self._count:05}.jsonl") as lines:
                for line in forms.trace(row):
                    lines.write(line)
            self._count += 1


def _write_rl(source: Path, path: Path) -> None:
    """Every problem with an answer, solved or not: reinforcement learning wants the hard ones too."""
    with Parquet(path, rl_schema()) as rows:
        for index, problem in enumerate(p for p in read_problems(source / "problems.jsonl") if p.answer):
            rows.write(forms.verl_rl(to_json(problem), SYSTEM, index))


def _files(part: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(path for path in part.rglob("*") if path.is_file()):
        found[path.relative_to(part).as_posix()] = {"hash": file_hash(path), "bytes": path.stat().st_size}
    return found


def _manifest(config: ExportConfig, done: Exported) -> dict[str, Any]:
    settings = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.name != "source"}
    return cast(
        dict[str, Any],
        to_json(
            {
                "kind": "export",
                "recipe": settings,
                "inputs": {"set": done.made.key, "kept": done.made.hash},
                "code": code_version(),
                "packages": {"pyarrow": installed_version("pyarrow")},
                "rows": done.rows,
                "incorrect": done.incorrect,
                "problems": done.problems,
                "filters": done.made.filters,
                "teachers": done.made.teachers,
                "cost": done.made.cost,
                "compared": done.made.compared,
                "files": done.files,
            }
        ),
    )
