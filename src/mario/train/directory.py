"""The output directory of a training run: held by one process, bound to one run, its faults in our words.

What this module does not do: it writes no checkpoint (`keeper`) and no model (`sft`).
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mario.errors import MissingExtra, StoreError, TrainingError
from mario.provenance import to_json
from mario.store.jsonl import storing
from mario.store.run import read_manifest
from mario.train.config import SftConfig
from mario.types import Manifest

_CHANGES_NO_WEIGHT = {"save_seconds", "track"}  # a run may resume with another value
_LOCK_SECONDS = 10.0
_WRITER_MARKS = ("inline_container", "PytorchStreamWriter", "I/O error")  # in torch's and safetensors' messages


@contextlib.contextmanager
def claim(out: Path) -> Iterator[None]:
    """One process trains into a directory at a time; the lock goes with a killed process.

    We wait a little for it: a process killed while it writes a checkpoint takes seconds to be gone.
    """
    with storing(out):
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / ".lock").open("w")
    with lock:
        end = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > end:
                    raise StoreError(
                        f"{out} is in use by another process; wait for it or name another --out"
                    ) from error
            time.sleep(0.1)
        yield


def adopt(manifest: Manifest, out: Path) -> Manifest:
    """The manifest that counts: the one found in `out` when it asks for the same training, else ours, not yet written.

    Raises:
        StoreError: the directory holds another run (names what differs), or a model that no run of ours made.
    """
    has_model = (out / "config.json").exists() or any(out.glob("*.safetensors"))
    if not (out / "manifest.json").exists():
        if has_model:
            raise StoreError(f"{out} already holds a model; name another --out")
        return manifest
    found = read_manifest(out)
    old, new = _identity(found), _identity(manifest)
    known = {f"train.{name}": value for name, value in to_json(SftConfig()).items()}
    for key in known.keys() - old.keys():  # a setting that is younger than the directory
        if key in new:
            old[key] = known[key]
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            raise StoreError(
                f"{out} was made with {key} = {old.get(key)!r}, and this command says {new.get(key)!r}; "
                "name another --out, or remove the directory to start afresh"
            )
    if found.seconds is not None and not has_model:
        raise StoreError(f"{out} says that it is trained, but its model is gone; remove the directory to train again")
    return found


def _identity(manifest: Manifest) -> dict[str, Any]:
    tables = {
        table: settings for table, settings in manifest.recipe.items() if table != "model"
    }  # its hash is an input
    return {
        "kind": manifest.kind,
        **{
            f"{table}.{name}": value
            for table, settings in tables.items()
            for name, value in settings.items()
            if name not in _CHANGES_NO_WEIGHT
        },
        **{f"the content of {name}": digest for name, digest in manifest.inputs.items()},
    }


def check_space(network: Any, out: Path) -> None:
    """Two checkpoints of three float32 tensors a trained weight stand side by side for a moment; then the model."""
    learning = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    needed = 4 * (6 * learning + sum(parameter.numel() for parameter in network.parameters()))
    free = shutil.disk_usage(out).free
    if free < needed:
        raise StoreError(
            f"no space to train in {out}: checkpoints and model need {needed / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free; free some, or name another --out"
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """transformers' progress bars and advice stay out of a caller's output; our metrics say what it would."""
    from transformers.utils import logging

    level, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of one library about another
            yield
    finally:
        logging.set_verbosity(level)
        if had_bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def translated(out: Path) -> Iterator[None]:
    """Faults of disk, memory and installation, in our words."""
    try:
        with storing(out):
            yield
    except ImportError as error:
        raise MissingExtra(f"{error.name or 'accelerate'} (needed to train)", "train") from error
    except Exception as error:  # torch and safetensors have no class of their own for these
        if "out of memory" in str(error) or "can't allocate memory" in str(error):
            remedy = "lower train.max_tokens (and max_row_tokens), or train a smaller model"
            raise TrainingError(f"memory is out; {remedy}") from error
        if any(mark in str(error) for mark in _WRITER_MARKS):
            raise StoreError(
                f"a file could not be written to {out}, mostly for want of space; free some and run the same command "
                f"again: it goes on from the last whole checkpoint ({error})"
            ) from error
        raise
