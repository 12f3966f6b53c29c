"""From evidence to a score: log-odds that add up, and the sentence that says why.

One idea: the score is the logistic of a prior and of weights, one an observation, each a log-likelihood ratio: how much
oftener it is seen when the reference is wrong than when it is right. `reach` was counted on GSM8K's training set with
synthetic noise; the others were set by reading what the rules list there and how much of it is wrong (docs/labels.md).
`benchmarks/labels.py` shows how scores and frequencies agree. Votes bring their own weight (`votes`), times a factor
below one, because models err together.

What this module does not do: find anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction

from mario.grade import answer_type
from mario.labels.rules import Finding, number_of
from mario.labels.suspects import Evidence, SuspectKind
from mario.labels.votes import Answer, Models

PRIOR = 0.01  # of a reference being wrong, before anything is seen; published audits find 1 to 2 in 100
WEIGHTS = {
    "boxed": 7.0,
    "chain": 5.5,
    "last_line": 3.0,
    "boxes": 3.0,
    "misread": 1.8,
    "dropped": 1.8,
    "arithmetic": 1.6,
    "integrality": 2.5,
    "bounds": 2.5,
    "origin": 0.7,
    "reach": 1.0,
    "type": 1.2,
    "slip_in_text": -4.5,
    "agreement": 1.5,
}
VOTE_SHARE = 0.6  # of what the votes would say if models erred apart from each other
SLIPS = {"sign": 1.2, "power of ten": 1.2, "one digit": 0.7, "factor": 0.2}
_Item = tuple[str, str, float, str | None, dict[str, float]]  # kind, says, weight, answer, numbers
_CLOSE = 0.5  # log-odds within which two answers split the votes evenly


def weigh(findings: Sequence[Finding], answers: Sequence[Answer], models: Models, reference: str) -> list[Evidence]:
    """All evidence of a problem, with weights; ids are e1, e2, … in order of weight."""
    found: list[_Item] = [(f.rule, f.says, WEIGHTS[f.rule], f.answer, {}) for f in findings]
    if (votes := _votes(answers, models, reference)) is not None:
        found.append(votes)
    if len(answers) > 1:
        if (slip := _slip(reference, answers[1].text)) is not None:
            says = f"{reference} and {answers[1].text} differ by a {slip}, as slips do"
            found.append(("slip", says, SLIPS[slip], answers[1].text, {}))
        types = answer_type(reference), answer_type(answers[1].text)
        if types[0] is not types[1]:
            says = f"the reference is of another type than {answers[1].text} ({types[0].value}, {types[1].value})"
            found.append(("type", says, WEIGHTS["type"], answers[1].text, {}))
        if any(_same(finding.answer, answers[1].text) for finding in findings):
            says = f"the reference's own solution gives {answers[1].text} too"
            found.append(("agreement", says, WEIGHTS["agreement"], answers[1].text, {}))
    found.sort(key=lambda item: -abs(item[2]))
    return [
        Evidence(f"e{number}", kind, says, round(weight, 3), answer, numbers)
        for number, (kind, says, weight, answer, numbers) in enumerate(found, start=1)
    ]


def score_of(evidence: Sequence[Evidence]) -> float:
    odds = math.log(PRIOR / (1 - PRIOR)) + sum(item.weight for item in evidence)
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))


def _votes(answers: Sequence[Answer], models: Models, reference: str) -> _Item | None:
    if not answers[1:]:
        if not answers[0].samples:
            return None
        rival = None
        odds = -2.0 * min(2.0, answers[0].weight)
    else:
        rival = answers[1]
        odds = VOTE_SHARE * models.log_odds(answers, rival)
    total = sum(len(answer.samples) for answer in answers)
    numbers: dict[str, float] = {"samples": total, "for_reference": len(answers[0].samples)}
    if rival is None:
        says = f"all {total} samples say {reference}"
        return "samples", says, odds, None, numbers
    numbers |= {"for_answer": len(rival.samples), "votes": round(rival.weight, 2)}
    names = len(rival.votes)
    says = (
        f"{len(rival.samples)} of {total} samples by {names} model{'s' * (names > 1)} say {rival.text},"
        f" {len(answers[0].samples) or 'none'} say{'s' * (len(answers[0].samples) == 1)} {reference}"
    )
    if rival.value is not None and answers[0].value is not None:
        odds += 2.0 * (rival.value - answers[0].value)
        numbers |= {"value": round(rival.value, 3), "reference_value": round(answers[0].value, 3)}
    return "samples", says, odds, rival.text, numbers


def _same(a: str | None, b: str) -> bool:
    return a is not None and number_of(a) is not None and number_of(a) == number_of(b)


def _slip(reference: str, other: str) -> str | None:
    """How one number could have become the other by a slip of the pen, if it could."""
    a, b = number_of(reference), number_of(other)
    if a is None or b is None or not a or not b or a == b:
        return None
    if a == -b:
        return "sign"
    ratio = a / b
    if ratio in {Fraction(10) ** n for n in (-3, -2, -1, 1, 2, 3)}:
        return "power of ten"
    x, y = (re.sub(r"[^\d]", "", text) for text in (reference, other))
    if len(x) == len(y) > 1 and sum(p != q for p, q in zip(x, y, strict=True)) == 1:
        return "one digit"
    return "factor" if ratio in (2, Fraction(1, 2)) else None


def kind_of(answers: Sequence[Answer], evidence: Sequence[Evidence]) -> SuspectKind:
    """A matter of form where the grader cannot tell the best rival from the reference; else ambiguous or a label."""
    if len(answers) > 1:
        rival = answers[1]
        if rival.doubtful:
            return SuspectKind.FORM
        votes = next((item for item in evidence if item.kind == "samples"), None)
        if votes and answers[0].weight >= 2 and rival.weight >= 2 and abs(answers[0].weight - rival.weight) <= _CLOSE:
            return SuspectKind.AMBIGUOUS
    return SuspectKind.LABEL


def sentence(reference: str, evidence: Sequence[Evidence]) -> str:
    """Why, in plain words: the two strongest observations, and what defends the reference."""
    against = [item.says for item in evidence if item.weight > 0][:2]
    defence = [item.says for item in evidence if item.weight < 0][:1]
    text = "; ".join(against) or f"nothing speaks against {reference}"
    return text[0].upper() + text[1:] + (f"; but {defence[0]}" if defence else "") + "."
