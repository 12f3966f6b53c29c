"""One reviewer at work: what the handlers of the server need, and what the grader says to an answer that is typed.

What this module does not do: speak HTTP (`server`), or keep decisions (`book`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from mario.grade import GraderPool
from mario.review.book import Book
from mario.review.cells import Cells
from mario.review.guard import Guard
from mario.review.items import Items
from mario.types import Verdict, VerdictStatus


@dataclass
class Desk:
    """The items, one reviewer's book, and the tools on the table."""

    items: Items
    book: Book
    guard: Guard
    cells: Cells = field(default_factory=Cells)
    grader: GraderPool = field(default_factory=lambda: GraderPool(1, symbolic_seconds=2.0))

    def same(self, a: str, b: str) -> bool:
        """Whether two answers are one, by the exact part of the grader: quick enough for every pair of a page."""
        return a == b or self.grader.grade([(a, b)])[0].equivalent

    async def grade(self, reference: str, answer: str) -> Verdict:
        return (await asyncio.to_thread(self.grader.grade, [(reference, answer)]))[0]

    async def opinion(self, index: int, typed: str) -> str:
        """One line about an answer that is being typed."""
        if not typed:
            return "No answer: the problem would be removed."
        verdict = await self.grade(self.items.problem(index).answer, typed)
        if verdict.status is VerdictStatus.ANSWER_UNPARSED:
            return f"The grader cannot read this: {verdict.reason}"
        suspect = self.items.suspect(index)
        others = [answer for answer in suspect.answers if not answer.is_reference] if suspect else []
        match = next((answer for answer in others if self.same(answer.answer, typed)), None)
        votes = f"; the answer of {match.samples} samples" if match else ""
        if verdict.equivalent:
            return f"This is the reference answer ({verdict.reason})"
        undecided = " as far as the grader can tell" if verdict.status is VerdictStatus.UNDECIDED else ""
        return f"Read as {verdict.answer or typed}: not the reference{undecided}{votes}"

    async def close(self) -> None:
        await self.cells.close()
        self.grader.close()
        self.book.close()
        self.items.close()
