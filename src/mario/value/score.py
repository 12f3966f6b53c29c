"""Values of the attempts that a run has stored: one pass over them, resumed by calling it again.

    RUN/values/NAME/manifest.json     which model, by fingerprint; several models stand side by side
    RUN/values/NAME/ovm.json          the model's card, as it was at the last call: a run stands alone
    RUN/values/NAME/00000.jsonl       one `Value` an attempt, in the order of RUN/trajectories/00000.jsonl
    RUN/values/NAME/00000.seal.json   rows, hash, and the hash of the trajectories they belong to; written last

One idea: a shard of values belongs to one sealed shard of trajectories, whose bytes never change. So a run that grew
is scored where it grew, a kill costs the rows in flight, and memory holds a chunk of rows however long the run is.

What this module does not do: it judges no answer and chooses none. An attempt that cannot be valued (longer than the
model's window) is stored without logits, and counted.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from mario.engine import EngineConfig, checkpoint
from mario.engine.rows import misread, written
from mario.errors import DataError, StoreError, UsageError
from mario.provenance import file_hash, from_json, make_manifest
from mario.store.jsonl import AppendLog, dump_line, read_jsonl, storing, write_json
from mario.store.run import adopt
from mario.types import Source, Trajectory, Value
from mario.value.checkpoint import CARD, OvmCard, read_card, write_card
from mario.value.model import LocalScorer, Row, Scorer, check_value_model
from mario.value.positions import step_ends

VALUES = "values"
_CHUNK = 8  # batches scored between two commits: about half a minute for a small model on a laptop
_UNBOUNDED = 2**62


@dataclass(frozen=True, slots=True)
class ValueConfig:
    """The outcome value model, and how it is reached.

    model: directory that mario train ovm wrote, also when it is served elsewhere (for its tokenizer and calibration);
        where a choice needs one and none is named, the generator here, if its directory is one
    name: what its values are called in a run; the directory's name by default
    endpoint: address of a vLLM pooling server of that directory; without it the model runs here
    served: name the server knows the model by; the directory as given by default
    api_key_env: name of the environment variable that holds the server's key
    concurrency: requests in flight to a server
    batch_tokens: tokens of one forward here, padding included
    dtype: number format of a model here; auto is bfloat16 where the machine computes in it, else float32
    device: where a model here runs: auto, cpu, cuda, cuda:1, mps
    """

    model: str | None = None
    name: str | None = None
    endpoint: str | None = None
    served: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    concurrency: int = 32
    batch_tokens: int = 4096
    dtype: checkpoint.Dtype = "auto"
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in ("concurrency", "batch_tokens"):
            if getattr(self, name) < 1:
                raise UsageError(f"value.{name} must be a positive integer, got {getattr(self, name)}")
        if self.name is not None and not re.fullmatch(r"[\w.-]*\w[\w.-]*", self.name):
            raise UsageError(f"value.name must be letters, digits, - . _ (it names a folder), got {self.name!r}")


@dataclass(slots=True)
class Progress:
    """How far scoring is; `resumed` of the `done` were stored before."""

    total: int
    done: int = 0
    resumed: int = 0
    tokens: int = 0
    unvalued: int = 0
    seconds: float = 0.0  # in the model


Key = tuple[str, int]  # problem id, sample index
Listener = Callable[[Progress], None]
Report = Callable[[str], None]


def or_generator(config: ValueConfig, engine: EngineConfig, report: Report) -> ValueConfig:
    """The value model named, else the generator itself where it is one and runs here, and `report` is told.

    In the engine's number format, so that the values are those that it gives while it writes.
    """
    named = config.model is not None or config.endpoint is not None
    if named or engine.endpoint is not None or not (Path(engine.model).expanduser() / CARD).is_file():
        return config
    report(f"value.model is {engine.model}, the generator itself")
    alike = {name: getattr(engine, name) for name in ("dtype", "device") if getattr(config, name) == "auto"}
    return replace(config, model=engine.model, **alike)


class ValueModel:
    """A value model by its directory: tokenizer and card at once, weights (or server) when first asked."""

    def __init__(self, config: ValueConfig, report: Report = lambda _: None) -> None:
        if config.model is None:
            raise UsageError("no value model named; type: --value.model DIRECTORY (made by mario train ovm)")
        self.config = config
        self.directory = checkpoint.resolve(config.model, report)
        check_value_model(self.directory)
        self.card = read_card(self.directory)
        self.name = config.name or self.directory.resolve().name
        self.tokenizer = checkpoint.load_tokenizer(self.directory)
        self.window = _window(self.directory)
        self._scorer: Scorer | None = None

    @property
    def scorer(self) -> Scorer:
        if self._scorer is None:
            config = self.config
            if config.endpoint is None:
                self._scorer = LocalScorer.load(
                    self.directory, dtype=config.dtype, device=config.device, batch_tokens=config.batch_tokens
                )
            else:
                from mario.value.remote import RemoteScorer

                self._scorer = RemoteScorer(
                    config.served or str(config.model),
                    config.endpoint,
                    api_key_env=config.api_key_env,
                    concurrency=config.concurrency,
                )
        return self._scorer

    def row(self, trajectory: Trajectory) -> Row:
        """Its ids and the places of its values; ids that another tokenizer made are not taken for ours.

        Raises:
            ValueError: it has no text, or the chat template cannot write it.
        """
        found = written(trajectory, self.tokenizer)
        if any(found.spans[index].token_ids is not None for index in misread(self.tokenizer, found)):
            found = written(_without_ids(trajectory), self.tokenizer)
        return Row(found.input_ids, step_ends(found))

    def values(self, trajectories: list[Trajectory], progress: Progress) -> list[Value]:
        """One `Value` a trajectory, without logits for what is too long or cannot be written.

        What this very model gave of its own turns while it wrote them is taken as it is.
        """
        rows: list[tuple[int, Row]] = []
        logits: dict[int, tuple[float, ...]] = {}
        for index, trajectory in enumerate(trajectories):
            with contextlib.suppress(ValueError):
                row = self.row(trajectory)
                if self._wrote(trajectory, row):
                    logits[index] = trajectory.values
                elif len(row.input_ids) <= (self.window or _UNBOUNDED):
                    rows.append((index, row))
        began = time.monotonic()
        scored = self.scorer.score([row for _, row in rows]) if rows else []
        progress.seconds += time.monotonic() - began
        progress.tokens += sum(len(row.input_ids) for _, row in rows)
        logits |= {index: found for (index, _), found in zip(rows, scored, strict=True)}
        progress.unvalued += len(trajectories) - len(logits)
        return [Value(t.problem_id, t.sample_index, logits.get(i, ())) for i, t in enumerate(trajectories)]

    def _wrote(self, trajectory: Trajectory, row: Row) -> bool:
        """Whether a trajectory's own values are this model's, in this number format, at the places of this row."""
        finished = [span.source for span in trajectory.spans[-1:]] == [Source.MODEL]
        if not trajectory.values or not finished or self.config.endpoint is not None:
            return False
        ids = tuple(token for span in trajectory.spans for token in span.token_ids or ())
        engine = trajectory.model.rpartition(" [")[2]
        return engine == self._engine and row.input_ids == ids and len(row.places) == len(trajectory.values)

    @cached_property
    def _engine(self) -> str:
        """Fingerprint and number format, as they end the name of an engine over the same files, wherever those lie."""
        return checkpoint.label(str(self.directory), self.directory, _dtype(self.config)).rpartition(" [")[2]

    def close(self) -> None:
        if self._scorer is not None:
            self._scorer.close()


def _without_ids(trajectory: Trajectory) -> Trajectory:
    """The same text, to be read by a tokenizer that did not make its ids."""
    return replace(trajectory, spans=tuple(replace(span, token_ids=None) for span in trajectory.spans))


def score_run(run: Path, model: ValueModel, on_progress: Listener = lambda _: None) -> Progress:
    """Value every attempt of a run that has no value by this model yet.

    Raises:
        StoreError: the run is not finished, or these values were made by another model; names the remedy.
        EngineError: the model or its server fails; what is scored is stored.
    """
    shards = _trajectory_shards(run)
    folder = run / VALUES / model.name
    progress = Progress(sum(_seal(path)["rows"] for path in shards))
    with _locked(folder):
        manifest = make_manifest(
            "value",
            {"dtype": "server" if model.config.endpoint else _dtype(model.config)},
            inputs={"model": checkpoint.fingerprint(model.directory)},
        )
        adopt(folder, manifest, frozenset(), "give these values another name: --value.name")
        write_card(folder, model.card)
        for path in shards:
            _score_shard(path, folder / path.name, model, progress, on_progress)
    if progress.unvalued == progress.total:
        first = next(_trajectories(shards[0]))
        model.row(first)  # says why, where it is not the length
        raise DataError(f"{run}: no attempt fits the window of {model.name}, {model.window} tokens")
    return progress


def _score_shard(path: Path, target: Path, model: ValueModel, progress: Progress, tell: Listener) -> None:
    seal, of = target.with_suffix(".seal.json"), _seal(path)
    if seal.exists():
        if json.loads(seal.read_text())["trajectories"] != of["hash"]:
            raise StoreError(
                f"{target} values other attempts than {path} holds; remove {target.parent} to start afresh"
            )
        progress.done += of["rows"]
        progress.resumed += of["rows"]
        tell(progress)
        return
    before = progress.done
    if file_hash(path) != of["hash"]:
        raise StoreError(f"{path} has changed since it was sealed; restore it, or attempt again into another --out")
    log = AppendLog(target)  # cuts the torn line of a writer that was killed
    log.close()
    stored = read_jsonl(target)
    for chunk in _chunks(_trajectories(path), _CHUNK * model.config.batch_tokens):
        found = [from_json(Value, line) for _, line in islice(stored, len(chunk))]
        for value, trajectory in zip(found, chunk, strict=False):
            if (value.problem_id, value.sample_index) != _key(trajectory):
                raise StoreError(f"{target} values other attempts than {path} holds; remove {target.parent}")
        if len(found) == len(chunk):
            progress.resumed += len(chunk)
            progress.unvalued += sum(not value.logits for value in found)
        else:  # a chunk is scored whole or not at all: batches, and so roundings, are those of an unbroken call
            _cut(target, progress.done - before)
            _append(target, model.values(chunk, progress))
        progress.done += len(chunk)
        tell(progress)
    write_json(seal, {"rows": of["rows"], "hash": file_hash(target), "trajectories": of["hash"]})


def _append(path: Path, values: Iterable[Value]) -> None:
    log = AppendLog(path)
    try:
        for value in values:
            log.append(dump_line(value))
        log.commit()
    finally:
        log.close()


def _cut(path: Path, lines: int) -> None:
    """Keep the first so many lines of a file."""
    with storing(path), path.open("r+b") as file:
        file.truncate(sum(len(line) for line in islice(file, lines)))


def _chunks(source: Iterator[Trajectory], tokens: int) -> Iterator[list[Trajectory]]:
    """Lists of attempts of about so many tokens together, by the counts they carry, else by their text."""
    chunk: list[Trajectory] = []
    size = 0
    for trajectory in source:
        chunk.append(trajectory)
        size += sum(len(span.token_ids or span.text) for span in trajectory.spans) or trajectory.completion_tokens
        if size >= tokens:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _key(trajectory: Trajectory) -> Key:
    return trajectory.problem_id, trajectory.sample_index


def _trajectories(path: Path) -> Iterator[Trajectory]:
    for number, line in read_jsonl(path):
        try:
            yield from_json(Trajectory, line)
        except TypeError as error:
            raise StoreError(f"{path}, row {number}: {error}; was it made by another version?") from error


def _trajectory_shards(run: Path) -> list[Path]:
    shards = sorted((run / "trajectories").glob("[0-9]*.jsonl"))
    if not shards:
        raise StoreError(f"{run} holds no attempts; name the --out of mario evaluate or mario annotate")
    for path in shards:
        if not path.with_suffix(".seal.json").exists():
            raise StoreError(f"{path} is not sealed: the run that makes it has not finished; run it again to resume")
    return shards


def _seal(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.with_suffix(".seal.json").read_text())
    return found


def _window(directory: Path) -> int | None:
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    found = config.get("max_position_embeddings", config.get("text_config", {}).get("max_position_embeddings"))
    return int(found) if found else None


def _dtype(config: ValueConfig) -> str:
    return checkpoint.pick_dtype(config.dtype, checkpoint.pick_device(config.device))


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(f"{folder} is in use by another process; wait for it") from error
        yield


@dataclass(frozen=True, slots=True)
class Valued:
    """The raw values of one model over a whole run, by problem and sample, and how to read them.

    An attempt that could not be valued is not in it.
    """

    name: str
    card: OvmCard
    logits: dict[Key, tuple[float, ...]]

    @property
    def log_odds(self) -> dict[Key, tuple[float, ...]]:
        """Log-odds at the end of every turn, the last one of the whole attempt."""
        return {key: tuple(map(self.card.log_odds, logits)) for key, logits in self.logits.items()}


def read_values(run: Path, report: Report = lambda _: None) -> list[Valued]:
    """The values of every model that has scored all of a run's attempts, by name; `report` hears of the others."""
    found: list[Valued] = []
    shards = sorted((run / "trajectories").glob("[0-9]*.jsonl"))
    for folder in sorted((run / VALUES).glob("*/")) if shards and (run / VALUES).exists() else ():
        missing = next((path for path in shards if not _is_valued(path, folder)), None)
        if missing is not None:
            report(f"{folder} has no values for all of {missing}; run mario value on it again")
            continue
        rows = (from_json(Value, line) for path in sorted(folder.glob("[0-9]*.jsonl")) for _, line in read_jsonl(path))
        logits = {(row.problem_id, row.sample_index): row.logits for row in rows if row.logits}
        found.append(Valued(folder.name, read_card(folder), logits))
    return found


def _is_valued(path: Path, folder: Path) -> bool:
    values, attempts = (folder / path.name).with_suffix(".seal.json"), path.with_suffix(".seal.json")
    if not values.exists() or not attempts.exists():
        return False
    return bool(json.loads(values.read_text())["trajectories"] == _seal(path)["hash"])
