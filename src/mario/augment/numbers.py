"""Numeric variation without a model: other numbers drawn, the program run again, its output held against a second way.

The first way is the old program with the new numbers, run in the sandbox. The second is the written solution with the
new numbers, read afresh and evaluated exactly (`data/calculator/vary.py`); its result is the new reference answer. A
problem is kept when the grader finds the two equal.

What this module does not do: choose numbers, or judge a story.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from random import Random

from mario.augment.candidate import ALREADY, Candidate, Drop, checked, child, is_child
from mario.data.calculator.vary import Unvaried, draw, template
from mario.grade import grade
from mario.interpreter.protocol import AsyncInterpreter
from mario.provenance import derive_seed
from mario.types import Observation, ObservationStatus, Problem

KERNEL_TRIES = 3
_BATCH = 256  # programs in flight: bounds memory


def make_numbers(parent: Problem, copies: int, seed: int) -> Iterator[Candidate | Drop]:
    """As many variations of a problem as asked, each drawn from (seed, problem, copy); or why there is none."""
    if is_child(parent):
        yield from [Drop(parent.id, "numbers", ALREADY)] * copies
        return
    made = template(parent)
    questions = {parent.question}
    for copy in range(copies):
        if isinstance(made, Unvaried):
            yield Drop(parent.id, "numbers", made.value)
            continue
        drawn = draw(made, Random(derive_seed(seed, parent.id, "numbers", copy)))
        if drawn is None:
            yield Drop(parent.id, "numbers", Unvaried.NOT_SANE.value)
        elif drawn.problem.question in questions:
            yield Drop(parent.id, "numbers", "the same numbers were drawn before")
        else:
            questions.add(drawn.problem.question)
            new = child(parent, "numbers", copy, seed, question=drawn.problem.question, answer=drawn.problem.answer,
                        changed=drawn.changed)  # fmt: skip
            yield Candidate(replace(new, solution=drawn.problem.solution), "numbers", drawn.code)


async def check_numbers(candidates: Iterable[Candidate | Drop], interpreter: AsyncInterpreter) -> list[Problem | Drop]:
    """Run every program; the problems whose output is their answer, and drops for the others, in order."""
    found: list[Problem | Drop] = []
    source = iter(candidates)
    while batch := list(islice(source, _BATCH)):
        found += await asyncio.gather(*(_check(item, interpreter) for item in batch))
    return found


async def _check(item: Candidate | Drop, interpreter: AsyncInterpreter) -> Problem | Drop:
    if isinstance(item, Drop):
        return item
    seen = await _run(item.code or "", interpreter)
    output = seen.output.strip()
    if seen.status is not ObservationStatus.OK:
        return Drop(item.problem.id, item.kind, f"the program ended with {seen.status.value}", output[-200:])
    verdict = grade(item.problem.answer, output)
    if not verdict.equivalent:
        return Drop(item.problem.id, item.kind, "program and solution disagree", verdict.reason)
    return checked(item.problem, program=output, solution=item.problem.answer)


async def _run(code: str, interpreter: AsyncInterpreter) -> Observation:
    seen = Observation("", ObservationStatus.LOST)
    for _ in range(KERNEL_TRIES):
        kernel = await interpreter.open()
        try:
            seen = await kernel.run(code)
        finally:
            await kernel.close()
        if seen.status is not ObservationStatus.LOST:
            break
    return seen
