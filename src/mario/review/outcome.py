"""What the decisions amount to: a patch for each settled reference, a drop for each trajectory that goes.

One idea: only what nobody contradicts leaves this module; everything else is counted, so that the counts add up to the
items. What this module does not do: writing files (`cli.review`) and applying patches (readers do).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mario.data.patches import Patch, PatchAction
from mario.review.agreement import Kappa, Ledgers, SameAnswer, Settled, kappas, settle
from mario.review.events import Verdict


@dataclass(frozen=True, slots=True)
class Reviewed:
    """One item as the outcome needs it: its name and hash, and for labels what the finder said."""

    item: str
    hash: str
    problem_id: str
    sample_index: int | None = None
    reference: str = ""
    sentence: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """`counts` by verdict, and of `differing`, `too_few` (reviewers) and `open` items."""

    patches: tuple[Patch, ...] = ()
    drops: tuple[Mapping[str, Any], ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    kappas: tuple[Kappa, ...] = ()


def outcome(items: Sequence[Reviewed], ledgers: Ledgers, same: SameAnswer, min_reviewers: int = 1) -> Outcome:
    """Settle every item; patches are sorted by problem id."""
    counts: Counter[str] = Counter()
    patches: list[Patch] = []
    drops: list[Mapping[str, Any]] = []
    for item in items:
        settled = settle(ledgers, (item.item, item.hash), same)
        name = _standing(settled, min_reviewers)
        counts[name] += 1
        if settled is None or settled.decision is None or name == "too_few":
            continue
        if item.sample_index is None:
            patches += _patch(item, settled)
        else:
            drops += _drop(item, settled)
    pairs = kappas(ledgers, [(item.item, item.hash) for item in items])
    return Outcome(tuple(sorted(patches, key=lambda p: p.problem_id)), tuple(drops), dict(counts), tuple(pairs))


def _standing(settled: Settled | None, min_reviewers: int) -> str:
    if settled is None:
        return "open"
    if settled.decision is None:
        return "differing"
    if len(settled.by) < min_reviewers and not settled.adjudicated:
        return "too_few"
    return str(settled.decision.verdict)


def _patch(item: Reviewed, settled: Settled) -> Iterable[Patch]:
    event = settled.decision
    assert event is not None  # the caller has looked
    match event.verdict:
        case Verdict.WRONG:
            action = PatchAction.REMOVE if event.answer is None else PatchAction.REPLACE
        case Verdict.AMBIGUOUS:
            action = PatchAction.AMBIGUOUS
        case _:
            return
    yield Patch(
        problem_id=item.problem_id,
        problem_hash=item.hash,
        old_answer=item.reference,
        action=action,
        new_answer=event.answer if action is PatchAction.REPLACE else None,
        reason=event.note or item.sentence,
        evidence=item.evidence,
        reviewers=settled.by,
        date=event.time[:10],
    )


def _drop(item: Reviewed, settled: Settled) -> Iterable[Mapping[str, Any]]:
    event = settled.decision
    assert event is not None  # the caller has looked
    if event.verdict in (Verdict.DROP, Verdict.WRONG_REASONING):
        reason = "reviewed: drop" if event.verdict is Verdict.DROP else "reviewed: wrong reasoning"
        detail = "; ".join(part for part in (event.note, f"by {', '.join(settled.by)}, {event.time[:10]}") if part)
        yield {"problem_id": item.problem_id, "sample_index": item.sample_index, "reason": reason, "detail": detail}
