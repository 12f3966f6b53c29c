"""Asks an engine to write, each request once: what it wrote is journalled before it is used.

What this module does not do: judge what was written (`written.py`, `agree.py`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import Literal

from mario.augment.candidate import ALREADY, Candidate, Drop, Kind, is_child
from mario.augment.written import (
    TEXT_STOPS,
    Prompt,
    make_fobar,
    make_rephrased,
    make_self_verification,
    prompt_for,
)
from mario.engine.protocol import Engine
from mario.errors import EngineUnavailable
from mario.provenance import content_hash, derive_seed, from_json, to_json
from mario.store import Journal
from mario.types import Completion, Problem, Request, Sampling


@dataclass(frozen=True, slots=True)
class WriteConfig:
    """How the writer is asked.

    api: chat (messages, for tuned models) or text (one text to go on with, for base models)
    temperature: 0 is greedy, and then copies are the same
    top_p: nucleus share
    max_new_tokens: bound of one rewritten question
    """

    api: Literal["chat", "text"] = "chat"
    temperature: float = 0.7
    top_p: float = 1.0
    max_new_tokens: int = 400


@dataclass(slots=True)
class Written:
    """What came of it, in the order of the parents; `failed` counts calls that our side could not finish."""

    candidates: list[Candidate] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Writer:
    """Writes with one engine; `concurrency` bounds the requests in flight."""

    engine: Engine
    journal: Journal
    config: WriteConfig
    seed: int
    concurrency: int
    _heard: bool = False  # whether the engine ever answered

    async def write(self, parents: Iterable[Problem], kinds: Iterable[Kind], copies: int) -> Written:
        """Every copy of every kind for every parent.

        Raises:
            EngineError: a lasting fault, or the engine never answered.
        """
        made = Written()
        questions: set[tuple[str, str]] = set()
        wanted = ((parent, kind, copy) for parent in parents for kind in kinds for copy in range(copies))
        for part in _parts(wanted, self.concurrency):
            for (_, kind, _), item in zip(part, await asyncio.gather(*(self._make(*one) for one in part)), strict=True):
                if item is None:
                    made.failed[kind] += 1
                elif isinstance(item, Drop):
                    made.drops.append(item)
                elif (key := (item.problem.question, item.problem.answer)) in questions:
                    made.drops.append(Drop(item.problem.id, kind, "the same question was made before"))
                else:
                    questions.add(key)
                    made.candidates.append(item)
        return made

    async def _make(self, parent: Problem, kind: Kind, copy: int) -> Candidate | Drop | None:
        if is_child(parent):
            return Drop(parent.id, kind, ALREADY)
        rng = Random(derive_seed(self.seed, parent.id, kind, copy, "hidden"))
        prompt = prompt_for(kind, parent)
        if prompt is None:
            return make_fobar(parent, copy, self.seed, rng)
        try:
            text = (await self._ask(self._request(parent, kind, copy, prompt), kind)).text
        except EngineUnavailable:
            if not self._heard:
                raise
            return None
        if kind == "rephrase":
            return make_rephrased(parent, text, copy, self.seed, self.engine.name)
        return make_self_verification(parent, text, copy, self.seed, self.engine.name, rng)

    def _request(self, parent: Problem, kind: Kind, copy: int, prompt: Prompt) -> Request:
        chat = self.config.api == "chat"
        return Request(
            problem_id=parent.id,
            sample_index=copy,
            turn=0,
            sampling=Sampling(self.config.temperature, self.config.top_p, self.config.max_new_tokens, self.seed),
            seed=derive_seed(self.seed, parent.id, kind, copy),
            messages=prompt.messages() if chat else (),
            spans=() if chat else prompt.spans(),
            stop=() if chat else TEXT_STOPS,
        )

    async def _ask(self, request: Request, kind: Kind) -> Completion:
        key = content_hash({"engine": self.engine.name, "request": request})
        stored = self.journal.get(key)
        if stored is not None:
            return from_json(Completion, stored)
        completion = await self.engine.generate(request)
        self._heard = True
        note = {"kind": kind, "problem": request.problem_id, "sample": request.sample_index}
        await self.journal.put(key, to_json(completion), **note)
        return completion


def _parts(wanted: Iterator[tuple[Problem, Kind, int]], concurrency: int) -> Iterator[list[tuple[Problem, Kind, int]]]:
    while part := list(islice(wanted, concurrency)):
        yield part
