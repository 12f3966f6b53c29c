"""From evidence to a score: log-odds that add up, and the sentence that says why.

One idea: the score is the logistic of a prior and of weights, one an observation. What the question and the samples
show is weighed by fitted coefficients (`fitted`); several observations of one sort are told as one piece of evidence.
What the rules see has weights that were counted on the training sets or set by hand, from reading what they list there
(docs/labels.md). `benchmarks/labels.py` shows how scores and frequencies agree.

What this module does not do: find anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mario.labels import relate
from mario.labels.fitted import Fitted
from mario.labels.plausible import Features, answer_kind, number_of
from mario.labels.rules import Finding
from mario.labels.suspects import Evidence, SuspectKind
from mario.labels.votes import Answer

PRIOR = 0.02  # of a reference being wrong, before anything is seen; published audits find 1 to 2 in 100
WEIGHTS = {
    "boxed": 7.0,
    "chain": 5.9,
    "formula": 5.0,
    "formula_holds": -5.0,
    "last_line": 4.9,
    "inverted": 3.5,
    "boxes": 3.0,
    "misread": 1.8,
    "dropped": 1.8,
    "arithmetic": 1.6,
    "clock": 2.5,
    "integrality": 2.5,
    "bounds": 2.5,
    "origin": 0.7,
    "slip_in_text": -4.5,
    "agreement": 1.5,
}
_VALUE = 2.0  # log-odds for a difference of one between the outcome values of two answers
_CLOSE = 0.5  # votes within which two answers are even
_LEAST = 0.05  # log-odds that are worth a sentence of their own
_Item = tuple[str, str, float, str | None, dict[str, float]]  # kind, says, weight, answer, numbers


def weigh(
    findings: Sequence[Finding], answers: Sequence[Answer], seen: Features, fitted: Fitted, *, confirmed: bool = False
) -> list[Evidence]:
    """All evidence of a problem, with weights; ids are e1, e2, … in order of weight.

    `answers` begins with the reference's; `seen` is what `relate.observe` saw. `confirmed`: the reference's own
    solution ends in it, so nobody changed it by a slip. What speaks of such slips then says nothing; votes still do.
    """
    found: list[_Item] = [(f.rule, f.says, WEIGHTS[f.rule], f.answer, {}) for f in findings]
    rival = answers[1] if len(answers) > 1 else None
    if rival is not None and any(_same(finding.answer, rival.text) for finding in findings):
        says = f"the reference's own solution gives {rival.text} too"
        found.append(("agreement", says, WEIGHTS["agreement"], rival.text, {}))
    found += _fitted_items(answers, seen, fitted, {} if confirmed else relate.SORTS)
    found.sort(key=lambda item: -abs(item[2]))
    return [
        Evidence(f"e{number}", kind, says, round(weight, 3), answer, numbers)
        for number, (kind, says, weight, answer, numbers) in enumerate(found, start=1)
    ]


def score_of(evidence: Iterable[Evidence]) -> float:
    odds = _logit(PRIOR) + sum(item.weight for item in evidence)
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))


def _logit(chance: float) -> float:
    return math.log(chance / (1 - chance))


def _fitted_items(
    answers: Sequence[Answer], seen: Features, fitted: Fitted, sorts: Mapping[str, Sequence[str]]
) -> Iterator[_Item]:
    """Sums of fitted weights by sort; what is too little for a sentence goes with the votes."""
    reference, rival = answers[0].text, answers[1].text if len(answers) > 1 else None
    rest = fitted.start - _logit(PRIOR) + _sum(relate.VOTES, seen, fitted)
    for kind, names in sorts.items():
        weight = _sum(names, seen, fitted)
        if abs(weight) < _LEAST:
            rest += weight
            continue
        says = _says(kind, reference, rival or "", weight, seen)
        numbers = {name: round(seen[name], 3) for name in names if seen.get(name)}
        yield kind, says, weight, rival if kind in ("rival", "difference") and weight > 0 else None, numbers
    if any(answer.samples for answer in answers):
        yield _votes(answers, rest)
    elif abs(rest) >= _LEAST:
        yield "unseen", "no other solution is at hand", rest, None, {}


def _sum(names: Sequence[str], seen: Features, fitted: Fitted) -> float:
    return math.fsum(fitted.weights.get(name, 0.0) * seen.get(name, 0.0) for name in names)


def _says(kind: str, reference: str, rival: str, weight: float, seen: Features) -> str:
    match kind:
        case "question" if weight > 0:
            return f"{reference} ({answer_kind(reference)}) is an unlikely answer to such a question"
        case "question":
            return f"{reference} ({answer_kind(reference)}) is a likely answer to such a question"
        case "rival" if weight > 0:
            return f"{rival} ({answer_kind(rival)}) is a likely answer to such a question"
        case "rival":
            return f"{rival} ({answer_kind(rival)}) is an unlikely answer to such a question"
        case "copy" if seen.get("copy"):
            return f"another problem of the file has the answer {reference} too"
        case "copy":
            return f"no other problem of the file has the answer {reference}"
    told = [text for name, text in _DIFFERENCES.items() if seen.get(name)]
    how = f"differ by {told[0]}" if told else "differ"
    return f"{reference} and {rival} {how}, as {'slips of the pen' if weight > 0 else 'other wrong solutions'} do"


_DIFFERENCES = {
    "sign": "a sign",
    "power of ten": "a power of ten",
    "factor of two": "a factor of two",
    "one digit": "one digit",
    "only digit": "one digit",
    "strange letter": "a letter that nobody else uses",
    "one number": "a number of the question",
    "one operation": "an operation on the question's numbers",
    "small factor": "a small factor",
    "other kind": "their kind",
    "near": "a fifth at most",
    "far": "orders of magnitude",
}


def _votes(answers: Sequence[Answer], odds: float) -> _Item:
    """How many say what; with the fitted weight, and with outcome values where a value model has seen both answers."""
    reference, rivals = answers[0], answers[1:]
    total = sum(len(answer.samples) for answer in answers)
    numbers: dict[str, float] = {"samples": total, "for_reference": len(reference.samples)}
    if not rivals:
        return "samples", f"all {total} samples say {reference.text}", odds, None, numbers
    rival = rivals[0]
    numbers |= {"for_answer": len(rival.samples), "votes": round(rival.weight, 2)}
    names = len(rival.votes)
    says = (
        f"{len(rival.samples)} of {total} samples by {names} model{'s' * (names > 1)} say {rival.text},"
        f" {len(reference.samples) or 'none'} say{'s' * (len(reference.samples) == 1)} {reference.text}"
    )
    if rival.value is not None and reference.value is not None:
        odds += _VALUE * (rival.value - reference.value)
        numbers |= {"value": round(rival.value, 3), "reference_value": round(reference.value, 3)}
    return "samples", says, odds, rival.text, numbers


def _same(a: str | None, b: str) -> bool:
    return a is not None and number_of(a) is not None and number_of(a) == number_of(b)


def kind_of(answers: Sequence[Answer]) -> SuspectKind:
    """A matter of form where the grader cannot tell the best rival from the reference; else ambiguous or a label."""
    if len(answers) > 1:
        rival = answers[1]
        if rival.doubtful:
            return SuspectKind.FORM
        if answers[0].weight >= 2 and rival.weight >= 2 and abs(answers[0].weight - rival.weight) <= _CLOSE:
            return SuspectKind.AMBIGUOUS
    return SuspectKind.LABEL


def sentence(reference: str, evidence: Sequence[Evidence]) -> str:
    """Why, in plain words: the two strongest observations, and what defends the reference."""
    against = [item.says for item in evidence if item.weight > 0][:2]
    defence = [item.says for item in evidence if item.weight < 0][:1]
    text = "; ".join(against) or f"nothing speaks against {reference}"
    return text[0].upper() + text[1:] + (f"; but {defence[0]}" if defence else "") + "."
