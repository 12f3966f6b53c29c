"""The verdict on one pair: read both texts, compare them, say what was understood and why.

`is_equivalent` is the fast road to the same decision. Neither forks, starts a thread or looks at a clock.

What it does not do: extraction from a whole solution (`extract`), many pairs at once (`pool`).
"""

from __future__ import annotations

from collections.abc import Callable

from mario.grade.compare import compare
from mario.grade.kinds import AnswerType, forced, kind_of
from mario.grade.numeric import Match
from mario.grade.options import Options
from mario.grade.read import readings
from mario.grade.render import render
from mario.grade.tree import Node, Sequence, Unparsed
from mario.types import Verdict, VerdictStatus

DEFAULT = Options()
Decide = Callable[[Node, Node], Match]


def is_equivalent(reference: str, answer: str) -> bool:
    """Whether the answer is the reference answer, by the default rules. Never raises on any two strings."""
    if reference == answer:
        return bool(reference.strip())
    try:
        return _best(readings(reference), readings(answer), DEFAULT).same is True
    except Unparsed:
        return False


def grade(
    reference: str,
    answer: str,
    *,
    answer_type: AnswerType | str | None = None,
    options: Options = DEFAULT,
    last_resort: Decide | None = None,
) -> Verdict:
    """Compare an answer with the reference answer.

    `answer_type` says what the question asks for where the notation leaves it open: `Interval`, `Vector`, `Set`.
    `last_resort` is asked about two values that ball arithmetic leaves undecided; the worker process passes SymPy.
    A reference that cannot be read gives `REFERENCE_UNPARSED`: the problem is left unscored, never failed.
    """
    if reference == answer and reference.strip():
        shown = _canonical_or_none(reference) or reference.strip()
        return Verdict(VerdictStatus.EQUIVALENT, "the same text", shown, shown)
    try:
        left = readings(reference)
    except Unparsed as why:
        return Verdict(VerdictStatus.REFERENCE_UNPARSED, f"the reference cannot be read: {why}")
    try:
        right = readings(answer)
    except Unparsed as why:
        return Verdict(VerdictStatus.ANSWER_UNPARSED, f"the answer cannot be read: {why}", render(left[0]))
    if answer_type is not None:
        wanted = AnswerType(answer_type)
        left = tuple(forced(node, wanted) for node in left)
        right = tuple(forced(node, wanted) for node in right)
    match = _best(left, right, options)
    if match.same is None and last_resort is not None:
        match = last_resort(left[0], right[0])
    status = {True: VerdictStatus.EQUIVALENT, False: VerdictStatus.DIFFERENT, None: VerdictStatus.UNDECIDED}[match.same]
    return Verdict(status, match.reason, render(left[0]), render(right[0]))


def _best(left: tuple[Node, ...], right: tuple[Node, ...], options: Options) -> Match:
    first: Match | None = None
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            if i + j and not _may_meet(a, b):
                continue
            try:
                match = compare(a, b, options)
            except (Unparsed, RecursionError) as why:
                match = Match(None, f"could not be compared: {why}")
            if match.same:
                return match
            first = first or match
    assert first is not None
    if first.same is None and render(left[0]) == render(right[0]):
        return Match(True, "the same after reading")
    return first


def _may_meet(a: Node, b: Node) -> bool:
    """Whether second readings may be compared: `1,234` is a list only against a list, and never the point (1, 234)."""
    if isinstance(a, Sequence) and isinstance(b, Sequence):
        return "()" not in (a.kind, b.kind)
    return not isinstance(a, Sequence) and not isinstance(b, Sequence)


def canonical(answer: str) -> str | None:
    """What was understood, as one LaTeX text; None when the answer cannot be read, or is nonsense that reads.

    The canonical text of a canonical text is itself.
    """
    return _canonical_or_none(answer)


def _canonical_or_none(answer: str) -> str | None:
    try:
        text = render(readings(answer)[0])
        for _ in range(3):  # a printed form may read as a plainer tree once more; the fixed point is the canon
            again = render(readings(text)[0])
            if again == text:
                return text
            text = again
    except Unparsed:
        return None
    return None  # nonsense, such as a point in arithmetic, that no print of ours reads back


def answer_type(answer: str) -> AnswerType:
    """The type of an answer among the eleven of MARIO Eval; `Others` for words and for what cannot be read."""
    try:
        return kind_of(readings(answer)[0])
    except Unparsed:
        return AnswerType.OTHERS
