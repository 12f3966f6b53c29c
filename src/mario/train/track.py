"""The metrics of a run in a dashboard too: trackio, which keeps them on this machine, or wandb.

One idea: what is sent are the lines of `metrics.jsonl` and the recipe, nothing else, to one run of the project `mario`
for each output directory; a resumed training goes on in it. What the libraries print goes to stderr.

A dashboard that fails while training goes on is told of and left alone: the lines are in the file.

What this module does not do: send weights, text, or the machine's output.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mario.errors import UsageError
from mario.provenance import content_hash
from mario.types import Manifest

PROJECT = "mario"


class Tracker:
    """One run in a dashboard; `where` is trackio or wandb, which is installed."""

    def __init__(self, where: str, out: Path, manifest: Manifest) -> None:
        """Begin the run, or go on with it.

        Raises:
            UsageError: the dashboard refuses, such as wandb without a key.
        """
        identity = content_hash({"out": str(out.resolve()), "started": manifest.started}).removeprefix("sha256:")[:12]
        config = {"kind": manifest.kind, **manifest.recipe}
        with contextlib.redirect_stdout(sys.stderr):
            try:
                self._run = _begin(where, f"{out.name}-{identity[:6]}", identity, config)
            except Exception as error:  # each library has classes of its own, for network, key and settings
                offline = "wandb login, or set WANDB_MODE=offline, or " if where == "wandb" else ""
                raise UsageError(f"{where} cannot begin a run: {error}; {offline}leave train.track out") from error

    def log(self, line: Mapping[str, Any]) -> None:
        """Send a line of the metrics; what is a record in it gives a value a field."""
        if self._run is None:
            return
        values: dict[str, float] = {}
        for name, value in line.items():
            parts = (
                {f"{name}/{key}": part for key, part in value.items()} if isinstance(value, Mapping) else {name: value}
            )
            values |= parts if name != "step" else {}
        try:
            self._run.log(values, step=line["step"])
        except Exception as error:
            self._lose(error)

    def close(self) -> None:
        if self._run is None:
            return
        with contextlib.redirect_stdout(sys.stderr):
            try:
                self._run.finish()
            except Exception as error:
                self._lose(error)
        self._run = None

    def _lose(self, error: Exception) -> None:
        warnings.warn(f"the dashboard hears no more of this run: {error}; metrics.jsonl does", stacklevel=3)
        self._run = None


def _begin(where: str, name: str, identity: str, config: Mapping[str, Any]) -> Any:
    library = importlib.import_module(where)
    if where == "trackio":
        library.init(project=PROJECT, name=name, config=dict(config), resume="allow", embed=False)
        return library  # its own run object would be finished, and told of, a second time at the end of the process
    return library.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        name=name,
        id=identity,
        config=dict(config),
        resume="allow",
        reinit="create_new",  # a second training in one process is a run of its own
        settings=library.Settings(console="off"),
    )
