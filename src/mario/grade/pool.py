"""Many pairs: in order, streaming, over worker processes that can be killed.

With `workers` 0 or 1 the pure part runs here and one child serves only what it leaves undecided; with more, whole
chunks go to the children. A child that overruns its time is killed and replaced, and its pair is `UNDECIDED`: a
verdict that depends on a clock is never "different".

What it does not do: no caching of verdicts, no reading of files (`rows` takes records, the command line takes files).
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from itertools import islice

from mario.grade.children import Children, in_order, task
from mario.grade.judge import DEFAULT, grade
from mario.grade.kinds import AnswerType
from mario.grade.options import Options
from mario.process import ChildDied, ChildTimedOut
from mario.types import Verdict, VerdictStatus

CHUNK = 200  # pairs a request: 20 ms of work, so that a frame's cost is small beside it
CHUNK_SECONDS = 60.0  # a back stop; the pure part is bounded by operation counts
Pair = tuple[str, str]


class GraderPool:
    """Children that grade; use as a context manager. Safe to share between threads.

    `symbolic_seconds` bounds SymPy on one pair; 0 leaves undecided pairs as they are and starts no child for them.
    """

    def __init__(
        self,
        workers: int = 1,
        *,
        answer_type: AnswerType | str | None = None,
        options: Options = DEFAULT,
        symbolic_seconds: float = 5.0,
    ) -> None:
        self.workers = max(0, workers)
        self.answer_type = AnswerType(answer_type) if answer_type is not None else None
        self.options = options
        self.symbolic_seconds = symbolic_seconds
        self._children = Children()

    def __enter__(self) -> GraderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._children.close()

    def grade(self, pairs: list[Pair]) -> list[Verdict]:
        """Verdicts of a few pairs, in order."""
        if self.workers > 1:
            verdicts = self._chunk(pairs)
        else:
            verdicts = [grade(r, a, answer_type=self.answer_type, options=self.options) for r, a in pairs]
        if self.symbolic_seconds > 0:
            for i, verdict in enumerate(verdicts):
                if verdict.status is VerdictStatus.UNDECIDED:
                    verdicts[i] = self._symbolic(pairs[i], verdict)
        return verdicts

    def _chunk(self, pairs: list[Pair]) -> list[Verdict]:
        try:
            return self._ask(pairs, symbolic=False, seconds=CHUNK_SECONDS)
        except (ChildDied, ChildTimedOut) as error:
            if len(pairs) == 1:
                return [Verdict(VerdictStatus.UNDECIDED, f"the grading process ended: {error}"[:300])]
            half = len(pairs) // 2
            return self._chunk(pairs[:half]) + self._chunk(pairs[half:])

    def _symbolic(self, pair: Pair, verdict: Verdict) -> Verdict:
        try:
            return self._ask([pair], symbolic=True, seconds=self.symbolic_seconds)[0]
        except ChildTimedOut:
            reason = f"{verdict.reason}; SymPy found nothing in {self.symbolic_seconds:g} s"
        except ChildDied:
            reason = f"{verdict.reason}; SymPy ran out of memory"
        return Verdict(VerdictStatus.UNDECIDED, reason, verdict.reference, verdict.answer)

    def _ask(self, pairs: list[Pair], *, symbolic: bool, seconds: float) -> list[Verdict]:
        head = task(self.options, symbolic=symbolic, answer_type=self.answer_type, kind="pairs")
        reply = self._children.ask(head, json.dumps(pairs).encode(), seconds)
        return [Verdict(VerdictStatus(s), reason, r, a) for s, reason, r, a in json.loads(reply)]


def grade_all(
    pairs: Iterable[Pair],
    *,
    workers: int = 1,
    answer_type: AnswerType | str | None = None,
    options: Options = DEFAULT,
    symbolic_seconds: float = 5.0,
) -> Iterator[Verdict]:
    """Verdicts of (reference, answer) pairs, lazily and in order; memory does not grow with their number."""
    pool = GraderPool(workers, answer_type=answer_type, options=options, symbolic_seconds=symbolic_seconds)
    source = iter(pairs)
    with pool:
        if pool.workers <= 1:
            for pair in source:
                yield pool.grade([pair])[0]
            return
        for verdicts in in_order(pool.grade, _chunks(source), pool.workers):
            yield from verdicts


def _chunks(pairs: Iterator[Pair]) -> Iterator[list[Pair]]:
    while chunk := list(islice(pairs, CHUNK)):
        yield chunk


async def grade_all_async(
    pairs: Iterable[Pair] | AsyncIterable[Pair],
    *,
    workers: int = 1,
    answer_type: AnswerType | str | None = None,
    options: Options = DEFAULT,
    symbolic_seconds: float = 5.0,
) -> AsyncIterator[Verdict]:
    """`grade_all` for an event loop: the loop is never blocked, and pairs may come from an async source.

    A pair's verdict comes as soon as it is known: an async source is not read ahead.
    """
    with GraderPool(workers, answer_type=answer_type, options=options, symbolic_seconds=symbolic_seconds) as pool:
        if isinstance(pairs, AsyncIterable):
            async for pair in pairs:
                yield (await asyncio.to_thread(pool.grade, [pair]))[0]
            return
        source = iter(pairs)
        waiting: deque[asyncio.Task[list[Verdict]]] = deque()
        try:
            while True:
                while len(waiting) < max(1, pool.workers):
                    chunk = list(islice(source, CHUNK))
                    if not chunk:
                        break
                    waiting.append(asyncio.create_task(asyncio.to_thread(pool.grade, chunk)))
                if not waiting:
                    return
                for verdict in await waiting.popleft():
                    yield verdict
        finally:
            for task in waiting:
                task.cancel()
