"""One output directory and what it holds; rerunning a command on it resumes.

    manifest.json       what made it (types.Manifest); the recipe in it must be the one that resumes
    journal.jsonl       completions and observations, by key
    trajectories/       sealed shards of finished attempts
    failures.jsonl      attempts our side could not finish in the last run; tried again by the next

One process at a time: the directory is locked while a run is open.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mario.errors import StoreError
from mario.provenance import from_json, to_json
from mario.store.journal import Journal
from mario.store.jsonl import storing, write_json, write_jsonl
from mario.store.shards import ShardWriter, scan_shards
from mario.types import Failure, Manifest, Trajectory


class RunStore:
    """Opened for writing with the manifest of the run that is about to happen.

    `pace` names settings of the recipe that a resumed run may change, since they change no result.

    Raises:
        StoreError: another process writes here, or the directory was made by another recipe; names the key.
    """

    def __init__(self, root: Path, manifest: Manifest, pace: frozenset[str] = frozenset()) -> None:
        self.root = root
        with storing(root):
            root.mkdir(parents=True, exist_ok=True)
            self._lock = (root / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise StoreError(f"{root} is in use by another process; wait for it or name another --out") from error
        try:
            self.manifest = adopt(root, manifest, pace, "name another --out, or remove the directory to start afresh")
            self.trajectories = ShardWriter(root / "trajectories")
            self.journal = Journal(root / "journal.jsonl")
            self.done = {(t.problem_id, t.sample_index) for t in self.scan(sealed=False)}
        except BaseException:
            self._lock.close()
            raise

    def add(self, trajectory: Trajectory) -> None:
        """Keep a finished attempt. No fsync: whatever a power cut takes is rebuilt from the journal without a call."""
        self.trajectories.append(trajectory)
        self.trajectories.flush()
        self.done.add((trajectory.problem_id, trajectory.sample_index))

    def scan(self, *, sealed: bool = True) -> Iterator[Trajectory]:
        if not sealed and not (self.root / "trajectories").exists():
            return iter(())
        if not sealed and not any((self.root / "trajectories").glob("[0-9]*.jsonl")):
            return iter(())
        return scan_shards(self.root / "trajectories", Trajectory, sealed=sealed)

    def write_failures(self, failures: list[Failure]) -> None:
        write_jsonl(self.root / "failures.jsonl", failures)

    def finish(self, counts: Mapping[str, Any], seconds: float) -> None:
        """Seal the trajectories and complete the manifest."""
        self.trajectories.seal()
        total = seconds + (self.manifest.seconds or 0.0)
        self.manifest = replace(self.manifest, counts=dict(counts), seconds=round(total, 3))
        write_json(self.root / "manifest.json", self.manifest)

    def close(self) -> None:
        self.trajectories.close()
        self.journal.close()
        self._lock.close()

    def __enter__(self) -> RunStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def adopt(root: Path, manifest: Manifest, pace: frozenset[str], remedy: str) -> Manifest:
    """The manifest of a directory: the one that stands there if it says the same, else this one, which is written.

    Raises:
        StoreError: it was made by another recipe or from other inputs; names the key, and the remedy.
    """
    path = root / "manifest.json"
    if not path.exists():
        write_json(path, manifest)
        return manifest
    found = read_manifest(root)
    ours, theirs = _identity(manifest, pace), _identity(found, pace)
    if ours != theirs:
        key, old, new = _first_difference(theirs, ours)
        raise StoreError(f"{root} was made with {key} = {old!r}, and this command says {new!r}; {remedy}")
    return found


def read_manifest(root: Path) -> Manifest:
    """The manifest of an output directory.

    Raises:
        StoreError: it is missing or not a manifest.
    """
    path = root / "manifest.json"
    try:
        return from_json(Manifest, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise StoreError(f"{root} has no manifest.json; is it the output directory of a run?") from error
    except NotADirectoryError as error:
        raise StoreError(f"{root} is a file; name the output directory of a run") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}; check its permissions") from error
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path} is not a manifest: {error}") from error


def _identity(manifest: Manifest, pace: frozenset[str]) -> Any:
    kept = to_json({"kind": manifest.kind, "recipe": manifest.recipe, "inputs": manifest.inputs})
    return _without(kept, pace)


def _without(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _without(item, names) for key, item in value.items() if key not in names}
    return value


def _first_difference(old: Any, new: Any, where: str = "") -> tuple[str, Any, Any]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                return _first_difference(old.get(key), new.get(key), f"{where}.{key}" if where else str(key))
    return where, old, new
