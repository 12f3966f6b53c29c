"""Answers of independent solutions, weighed: what do they say together about the reference?

One idea: a vote counts by how often its model agrees with the references of this data set (they are mostly right), and
two votes count twice only as far as they are independent: another model fully, another way to a solution by the same
model in part, the same program again not at all. Wrong answers meet too (misread questions), so a second model with the
same answer adds the chance that two wrong ones coincide, measured on this data set, not certainty.

For an answer c against the reference r, with accuracy a of a model and coincidence k (arXiv 1911.00068 measures label
noise from such counts; the votes are Dawid and Skene's, with one accuracy a model):

    log-odds = sum over votes for c of log(a / (1 - a)) + (votes - 1) log(1 / k)
             - sum over votes for r of (log(a / (1 - a)) + log(1 / k))

What this module does not do: read files, or look at the solution (`rules`).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from mario.grade import grade, group
from mario.labels.samples import Sample
from mario.types import VerdictStatus

_SHAPE_VOTE = 0.35  # another way by the same model; its mistakes repeat
_KEY_VOTE = 0.1  # the same way with other constants or in other words
_MOST_VOTES = 2.0  # of one model, however often it is asked
_LOWEST, _HIGHEST = 0.15, 0.97  # accuracies that are believed
_COINCIDENCE = 0.12  # prior mean of k, worth _PRIOR pairs
_PRIOR = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One class of equal answers. `votes` by model, after discounts; `doubtful` when the grader cannot tell it from
    the reference."""

    text: str
    is_reference: bool
    doubtful: bool
    samples: tuple[Sample, ...]
    votes: Mapping[str, float]

    @property
    def weight(self) -> float:
        return sum(self.votes.values())

    @property
    def value(self) -> float | None:
        values = [sample.value for sample in self.samples if sample.value is not None]
        return sum(values) / len(values) if values else None


def count_answers(reference: str, samples: Sequence[Sample]) -> list[Answer]:
    """The classes of the answers, the reference's first (also without votes), then by weight."""
    mine: list[Sample] = []
    rest: list[Sample] = []
    verdicts: dict[str, VerdictStatus] = {}
    for sample in samples:
        if sample.answer not in verdicts:
            verdicts[sample.answer] = grade(reference, sample.answer).status
        (mine if verdicts[sample.answer] is VerdictStatus.EQUIVALENT else rest).append(sample)
    found = [Answer(reference, True, False, tuple(mine), _votes(mine))]
    others = []
    for members in group([sample.answer for sample in rest]):
        these = [rest[index] for index in members]
        text = Counter(sample.answer for sample in these).most_common(1)[0][0]
        doubtful = verdicts[text] in (VerdictStatus.UNDECIDED, VerdictStatus.REFERENCE_UNPARSED)
        if verdicts[text] is not VerdictStatus.ANSWER_UNPARSED:
            others.append(Answer(text, False, doubtful, tuple(these), _votes(these)))
    return found + sorted(others, key=lambda answer: (-answer.weight, answer.text))


def _votes(samples: Sequence[Sample]) -> dict[str, float]:
    keys: dict[str, set[tuple[str, str]]] = defaultdict(set)
    shapes: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for sample in samples:
        keys[sample.model].add((sample.prompt, sample.key))
        shapes[sample.model].add((sample.prompt, sample.shape))
    return {model: _vote(len(shapes[model]), len(keys[model])) for model in sorted(keys)}


def _vote(shapes: int, keys: int) -> float:
    return min(_MOST_VOTES, 1 + _SHAPE_VOTE * (shapes - 1) + _KEY_VOTE * (keys - shapes))


@dataclass(slots=True)
class Models:
    """What is known of the models on this data set; filled by one pass over all problems, then asked in a second."""

    right: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    pairs: int = 0  # of models that both miss the reference
    met: int = 0  # of these, with the same answer

    def learn(self, answers: Iterable[Answer]) -> None:
        wrong: dict[str, set[int]] = defaultdict(set)
        for index, answer in enumerate(answers):
            for sample in answer.samples:
                self.asked[sample.model] += 1
                self.right[sample.model] += answer.is_reference
                if not answer.is_reference:
                    wrong[sample.model].add(index)
        for a, b in combinations(sorted(wrong), 2):
            self.pairs += 1
            self.met += bool(wrong[a] & wrong[b])

    def accuracy(self, model: str) -> float:
        """How often it agrees with the references, of a prior of 2 in 4."""
        rate = (self.right[model] + 2) / (self.asked[model] + 4)
        return min(_HIGHEST, max(_LOWEST, rate))

    @property
    def coincidence(self) -> float:
        return (self.met + _COINCIDENCE * _PRIOR) / (self.pairs + _PRIOR)

    def log_odds(self, answers: Sequence[Answer], rival: Answer) -> float:
        """How much the votes speak for this answer against the reference's, answers[0]."""
        bonus = -math.log(self.coincidence)
        return self._support(rival) + bonus * (rival.weight - 1) - self._support(answers[0]) - bonus * answers[0].weight

    def _support(self, answer: Answer) -> float:
        total = 0.0
        for model, votes in answer.votes.items():
            accuracy = self.accuracy(model)
            total += votes * math.log(accuracy / (1 - accuracy))
        return total
