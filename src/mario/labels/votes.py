"""Answers of independent solutions, counted: who says what, and how much each voice is worth.

One idea: a model's accuracy is how often it agrees with the references of this data set (they are mostly right), and
two votes count twice only as far as they are independent: another model fully, another way to a solution by the same
model in part, the same program again not at all; a model that gives several answers shares its vote among them. The
support of an answer is the log-odds of its voters' accuracies, as in Dawid and Skene's model with one accuracy a model.

What this module does not do: read files, look at the solution (`rules`), or weigh (`score`).
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mario.grade import grade, group
from mario.labels.plausible import number_of
from mario.labels.samples import Sample
from mario.types import VerdictStatus

_SHAPE_VOTE = 0.35  # another way by the same model; its mistakes repeat
_KEY_VOTE = 0.1  # the same way with other constants or in other words
_MOST_VOTES = 2.0  # of one model, however often it is asked
_LOWEST, _HIGHEST = 0.15, 0.97  # accuracies that are believed
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


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
    plain = number_of(reference) is not None
    read = [(sample, text) for sample in samples if (text := _read(sample.answer) if plain else sample.answer)]
    asked = Counter(sample.model for sample, _ in read)
    mine: list[Sample] = []
    rest: list[tuple[Sample, str]] = []
    verdicts: dict[str, VerdictStatus] = {}
    for sample, text in read:
        if text not in verdicts:
            verdicts[text] = grade(reference, text).status
        if verdicts[text] is VerdictStatus.EQUIVALENT:
            mine.append(sample)
        else:
            rest.append((sample, text))
    found = [Answer(reference, True, False, tuple(mine), _votes(mine, asked))]
    others = []
    for members in group([text for _, text in rest]):
        these = [rest[index][0] for index in members]
        text = Counter(rest[index][1] for index in members).most_common(1)[0][0]
        doubtful = verdicts[text] in (VerdictStatus.UNDECIDED, VerdictStatus.REFERENCE_UNPARSED)
        if verdicts[text] is not VerdictStatus.ANSWER_UNPARSED:
            others.append(Answer(text, False, doubtful, tuple(these), _votes(these, asked)))
    return found + sorted(others, key=lambda answer: (-answer.weight, answer.text))


def _read(answer: str) -> str | None:
    """What a program says where one number is asked for: of several values that it shows, the last."""
    text = answer.strip()
    if text in ("True", "False", "None"):
        return None
    if text[:1] in ("(", "[", "{") and text[-1:] in (")", "]", "}"):
        numbers = _NUMBER.findall(text)
        return numbers[-1] if numbers else None
    return text


def _votes(samples: Sequence[Sample], asked: Mapping[str, int]) -> dict[str, float]:
    """By model: more for more ways to the answer, less where the model has other answers too."""
    by_model: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_model[sample.model].append(sample)
    votes = {}
    for model, given in sorted(by_model.items()):
        # An answer without a program is that of a program that was not recorded, and so no way of its own.
        programs = [sample for sample in given if sample.has_program] or given[:1]
        keys = {(sample.prompt, sample.key) for sample in programs}
        shapes = {(sample.prompt, sample.shape) for sample in programs}
        votes[model] = _vote(len(shapes), len(keys)) * len(given) / asked[model]
    return votes


def _vote(shapes: int, keys: int) -> float:
    return min(_MOST_VOTES, 1 + _SHAPE_VOTE * (shapes - 1) + _KEY_VOTE * (keys - shapes))


@dataclass(slots=True)
class Models:
    """What is known of the models on this data set; filled by one pass over all problems, then asked in a second."""

    right: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)

    def learn(self, answers: Iterable[Answer]) -> None:
        for answer in answers:
            for sample in answer.samples:
                self.asked[sample.model] += 1
                self.right[sample.model] += answer.is_reference

    def accuracy(self, model: str) -> float:
        """How often it agrees with the references, of a prior of 2 in 4."""
        rate = (self.right[model] + 2) / (self.asked[model] + 4)
        return min(_HIGHEST, max(_LOWEST, rate))

    def order(self, answers: Sequence[Answer]) -> list[Answer]:
        """The reference's, then the others by votes and by who gave them."""
        return [*answers[:1], *sorted(answers[1:], key=lambda answer: -answer.weight - self.support(answer))]

    def support(self, answer: Answer) -> float:
        """Log-odds of being right, added up over the votes."""
        total = 0.0
        for model, votes in answer.votes.items():
            accuracy = self.accuracy(model)
            total += votes * math.log(accuracy / (1 - accuracy))
        return total
