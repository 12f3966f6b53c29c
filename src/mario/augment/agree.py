"""Independent attempts at a new problem, and whether they agree: the check of whatever a model wrote.

The one idea: nobody knows the answer of a question that a model wrote, so several attempts must find the same one, by
the grader's classes of equal answers, and it must be the answer that the question was made for. Attempts that agree on
another answer say that the question has changed its meaning, which is a reason of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from mario.augment.candidate import Candidate, Drop, checked
from mario.grade import grade, group
from mario.types import Problem


def agree(candidate: Candidate, answers: Sequence[str | None], needed: int) -> Problem | Drop:
    """The problem, when at least `needed` of the attempts' answers are one class and that class is its answer.

    `answers` are in the order of their sample indices; None stands for an attempt without an answer.
    """
    problem = candidate.problem
    classes = sorted(group(answers), key=len, reverse=True)
    if not classes or len(classes[0]) < needed:
        best = len(classes[0]) if classes else 0
        return Drop(problem.id, candidate.kind, "attempts do not agree", f"{best} of {len(answers)}, needed {needed}")
    common = answers[classes[0][0]]
    assert common is not None  # None belongs to no class
    if not grade(problem.answer, common).equivalent:
        detail = f"{len(classes[0])} of {len(answers)} say {common}, expected {problem.answer}"
        return Drop(problem.id, candidate.kind, "attempts agree on another answer", detail[:300])
    return checked(problem, attempts=len(answers), agree=len(classes[0]))
