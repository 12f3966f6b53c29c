"""Answers that runs share: the same request to the same model is asked once, ever.

One idea: the key is the hash of what is sent (model, prompt, sampling, seed, stop strings) and of nothing else, so a
run under another name, with other problems around, finds it. It is right only where the request fixes the answer: at
temperature 0, or with a seed that the server keeps, and while the server's model stays what its name says; whoever
sets it says so. A run's own journal needs no such promise.

What this module does not do: it throws nothing away; delete the directory to forget. SQLite's file locks must work
there, which on some network file systems they do not.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from mario.engine.ledger import Ledger, ledger_of
from mario.engine.protocol import Engine, TextListener
from mario.errors import StoreError
from mario.provenance import content_hash, from_json, to_json
from mario.store.jsonl import storing
from mario.types import Completion, Request

_BUSY_SECONDS = 30.0  # another run may be writing


class CachedEngine:
    """`protocol.Engine` that asks another one only what no run has asked it before; belongs to one thread."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self._engine = engine
        self._file = directory / "answers.sqlite"
        with storing(directory):
            directory.mkdir(parents=True, exist_ok=True)
        try:
            self._database = sqlite3.connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None)
            # A power cut may take the last answers, never the file; a run's own journal is the durable copy.
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = normal")
            self._database.execute("create table if not exists answers (key text primary key, value text not null)")
        except sqlite3.Error as error:
            raise self._broken(error) from error

    @property
    def name(self) -> str:
        return self._engine.name

    @property
    def ledger(self) -> Ledger | None:
        return ledger_of(self._engine)

    async def generate(self, request: Request, on_text: TextListener | None = None) -> Completion:
        key = _key(self.name, request)
        try:
            found = self._database.execute("select value from answers where key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise self._broken(error) from error
        if found is not None:
            completion = from_json(Completion, json.loads(found[0]))
            if self.ledger is not None:
                self.ledger.cache_hits += 1
            if on_text is not None and completion.text:
                on_text(completion.text)
            return completion
        completion = await self._engine.generate(request, on_text)
        value = json.dumps(to_json(completion))
        try:
            self._database.execute("insert or ignore into answers values (?, ?)", (key, value))
        except sqlite3.Error as error:
            raise self._broken(error) from error
        return completion

    async def close(self) -> None:
        self._database.close()
        await self._engine.close()

    def _broken(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"the cache {self._file} cannot be used ({error}); delete it, or leave out engine.cache")


def _key(model: str, request: Request) -> str:
    return content_hash(
        {
            "model": model,
            "prompt": "".join(span.text for span in request.spans),
            "messages": request.messages,
            "tools": request.tools,
            "temperature": request.sampling.temperature,
            "top_p": request.sampling.top_p,
            "max_new_tokens": request.sampling.max_new_tokens,
            "seed": request.seed,
            "stop": request.stop,
        }
    )
