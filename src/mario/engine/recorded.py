"""Stored completions that answer again: free regrading, exact debugging, and fast tests without a model.

One idea: a request is the key. The same request gets the completion that was stored for it, any other is an error that
names it, so a replay either repeats the recorded run exactly or says where it leaves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mario.engine.protocol import Engine, TextListener
from mario.errors import DataError, EngineError
from mario.provenance import content_hash, from_json
from mario.store.jsonl import dump_line, read_jsonl
from mario.types import Completion, Request


class RecordedEngine:
    """`protocol.Engine` over completions by request key; `name` should be that of the engine that made them."""

    def __init__(self, completions: Mapping[str, Completion], name: str = "recorded") -> None:
        self._completions = completions
        self._name = name

    @classmethod
    def load(cls, path: Path, name: str = "recorded") -> RecordedEngine:
        """Read what a `Recorder` wrote: JSON lines of `{"request": …, "completion": …}`.

        Raises:
            DataError: the file is missing, or a line does not hold the two records; names file and line.
        """
        found: dict[str, Completion] = {}
        for number, entry in read_jsonl(path):
            try:
                request = from_json(Request, entry["request"])
                found[request_key(request)] = from_json(Completion, entry["completion"])
            except (TypeError, KeyError) as error:
                raise DataError(f"{path}, line {number}: expected a request and its completion: {error}") from error
        return cls(found, name)

    @property
    def name(self) -> str:
        return self._name

    async def generate(self, request: Request, on_text: TextListener | None = None) -> Completion:
        key = request_key(request)
        completion = self._completions.get(key)
        if completion is None:
            raise EngineError(
                f"no completion is recorded for problem {request.problem_id}, sample {request.sample_index}, "
                f"turn {request.turn} ({key[:19]}…); record the run again with these settings"
            )
        if on_text is not None and completion.text:
            on_text(completion.text)
        return completion

    async def close(self) -> None:
        """Nothing is open."""


class Recorder:
    """`protocol.Engine` that passes every request on and appends what came back to a file."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._file = path.open("ab", buffering=0)  # a line is in the file when its completion is handed over

    @property
    def name(self) -> str:
        return self._engine.name

    async def generate(self, request: Request, on_text: TextListener | None = None) -> Completion:
        completion = await self._engine.generate(request, on_text)
        self._file.write(dump_line({"request": request, "completion": completion}))
        return completion

    async def close(self) -> None:
        self._file.close()
        await self._engine.close()


def request_key(request: Request) -> str:
    """The hash of everything an engine is told."""
    return content_hash(request)
