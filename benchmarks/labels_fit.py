"""Fit the coefficients that the finder of wrong references ships: src/mario/labels/fitted.json.

    python benchmarks/labels_fit.py --data DIR [--out src/mario/labels/fitted.json]

Three logistic regressions, each on the noise of `labels_noise`:

1. kinds     words of a question -> kind of its answer. GSM8K train and MATH train.
2. answers   a question and a number -> published answer, or changed one. The same problems, with the first model fitted
             without them (three folds).
3. evidence  votes, how reference and rival differ, the second model's view of both -> reference right or changed.
             GSM8K test and MATH-500, the only problems with published samples, each also with fewer samples.

What `benchmarks/labels.py inject` prints is cross-fitted where the third is concerned: see `evidence_models`. Needs
NumPy and SciPy, which MARIO itself does not.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from labels_noise import NOISE, SETS, Samples, load, samples_of, spoil
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize

from mario.data.readers import read_gsm8k, read_math
from mario.labels.fitted import Fitted, shipped
from mario.labels.plausible import AnswerModel, Features, answer_kind, question_words
from mario.labels.relate import observe
from mario.labels.samples import answer_key
from mario.labels.votes import Models, count_answers
from mario.provenance import to_json
from mario.types import Problem

Array = NDArray[np.float64]
FOLDS = 3
WORDS = 450  # that say most about the kind
LEAST_SEEN = 12  # problems with a word
SMALLEST = 0.2  # weight of a word that is kept
VARIANTS = 2  # changed answers a problem, for the second model
CHANGES = 6  # for the third
PENALTY = 30.0  # of the third: a Gaussian prior of the standardised weights
PARTS = 5  # folds of the third


def fit_kinds(problems: Sequence[Problem], penalty: float = 3.0) -> AnswerModel:
    """Softmax regression of the answer's kind on the question's words, with a Gaussian prior; small weights dropped."""
    kinds = sorted({answer_kind(problem.answer) for problem in problems})
    texts = [question_words(problem.question) for problem in problems]
    seen = Counter(word for words in texts for word in words)
    vocabulary = sorted(word for word, count in seen.items() if count >= LEAST_SEEN)
    x = _bags(texts, vocabulary)
    y = np.zeros((len(problems), len(kinds)))
    y[np.arange(len(problems)), [kinds.index(answer_kind(problem.answer)) for problem in problems]] = 1
    shares = (y.sum(0) + 1) / (len(problems) + len(kinds))
    counts = x.T @ y + 0.5 * shares
    information = (counts * np.log(counts / counts.sum(1, keepdims=True) / shares)).sum(1)
    chosen = np.sort(np.argsort(-information, kind="stable")[:WORDS])
    x = x[:, chosen]
    size = len(chosen), len(kinds)

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(size)
        logits = x @ weights + np.log(shares)
        logits -= logits.max(1, keepdims=True)
        chances = np.exp(logits)
        chances /= chances.sum(1, keepdims=True)
        value = -np.log(chances[y > 0]).sum() + penalty / 2 * (weights**2).sum()
        return value, np.asarray(x.T @ (chances - y) + penalty * weights).ravel()

    found = minimize(loss, np.zeros(size[0] * size[1]), jac=True, method="L-BFGS-B", options={"maxiter": 80})
    words = {}
    for row, index in zip(found.x.reshape(size), chosen, strict=True):
        kept = {kind: round(float(w), 2) for kind, w in zip(kinds, row, strict=True) if abs(w) >= SMALLEST}
        if kept:
            words[vocabulary[index]] = kept
    return AnswerModel({k: round(float(np.log(s)), 3) for k, s in zip(kinds, shares, strict=True)}, words)


def _bags(texts: Sequence[set[str]], vocabulary: Sequence[str]) -> sparse.csr_matrix:
    place = {word: number for number, word in enumerate(vocabulary)}
    rows, columns = [], []
    for row, words in enumerate(texts):
        for word in words & place.keys():
            rows.append(row)
            columns.append(place[word])
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(texts), len(vocabulary)))


def logistic(
    rows: Sequence[Mapping[str, float]], wrong: Sequence[bool], weights: Sequence[float], penalty: float
) -> tuple[float, dict[str, float]]:
    """Start and weights by name; the Gaussian prior is on weights of standardised features."""
    names = sorted({name for row in rows for name in row})
    x = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    y, w = np.array(wrong, float), np.array(weights) / np.mean(weights)
    middle, scale = x.mean(0), x.std(0) + 1e-9
    z = np.c_[np.ones(len(x)), (x - middle) / scale]
    prior = np.diag([0.0] + [penalty] * len(names))
    beta = np.zeros(z.shape[1])
    for _ in range(100):
        chance = 1 / (1 + np.exp(-np.clip(z @ beta, -30, 30)))
        step = np.linalg.solve(
            (z * (w * chance * (1 - chance))[:, None]).T @ z + prior, z.T @ (w * (chance - y)) + prior @ beta
        )
        beta -= step
        if np.abs(step).max() < 1e-8:
            break
    slopes = beta[1:] / scale
    return float(beta[0] - slopes @ middle), dict(zip(names, slopes.tolist(), strict=True))


def fit_answers(problems: Sequence[Problem]) -> tuple[AnswerModel, float]:
    """The second model on lifts of a first that has not seen the problem; and the area under its curve, out of fold."""
    problems = list(problems)
    random.Random(0).shuffle(problems)
    rows: list[dict[str, float]] = []
    wrong: list[bool] = []
    fold: list[int] = []
    for number in range(FOLDS):
        kinds = fit_kinds([p for i, p in enumerate(problems) if i % FOLDS != number])
        held = problems[number::FOLDS]
        same = {source: [p for p in held if p.source == source] for source in {p.source for p in held}}
        for problem in held:
            rng = random.Random(f"answers {problem.id}")
            for changed in (problem, *(spoil(problem, same[problem.source], rng) for _ in range(VARIANTS))):
                rows.append(kinds.features(problem.question, changed.answer))
                wrong.append(changed is not problem)
                fold.append(number)
    weights = [1 / VARIANTS if one else 1.0 for one in wrong]
    part = [i for i, f in enumerate(fold) if f]
    start, slopes = logistic([rows[i] for i in part], [wrong[i] for i in part], [weights[i] for i in part], 5.0)
    rest = [i for i, f in enumerate(fold) if not f]
    scores = [start + sum(slopes.get(k, 0.0) * v for k, v in rows[i].items()) for i in rest]
    area = area_under(
        [s for s, i in zip(scores, rest, strict=True) if wrong[i]],
        [s for s, i in zip(scores, rest, strict=True) if not wrong[i]],
    )
    start, slopes = logistic(rows, wrong, weights, 5.0)
    kinds = fit_kinds(problems)
    return AnswerModel(kinds.kinds, kinds.words, round(start, 4), {k: round(v, 4) for k, v in slopes.items()}), area


def area_under(wrong: Sequence[float], right: Sequence[float]) -> float:
    """Chance that a changed answer scores above a published one."""
    order = np.searchsorted(np.sort(right), wrong, side="left") + np.searchsorted(np.sort(right), wrong, side="right")
    return float(order.mean() / 2 / len(right))


@dataclass(frozen=True, slots=True)
class Case:
    """A problem as the finder may meet it, `wrong` where its reference was changed, with what is to be seen of it."""

    problem_id: str
    wrong: bool
    weight: float
    seen: Features


def cases_of(problems: Sequence[Problem], samples: Samples, plausible: AnswerModel) -> list[Case]:
    """Every problem as published and changed, with all its samples, with some, and with none."""
    models = Models()
    for problem in problems:
        models.learn(count_answers(problem.answer, samples.get(problem.id, [])))
    copies = Counter(answer_key(problem.answer) for problem in problems)
    usable = [problem for problem in problems if problem.answer]
    cases = []
    for problem in usable:
        rng = random.Random(f"evidence {problem.id}")
        changed = [spoil(problem, usable, rng) for _ in range(CHANGES)]
        found = samples.get(problem.id, [])
        for chosen, share in ((found, 1.0), (rng.sample(found, rng.randint(0, len(found))), 0.3), ([], 0.15)):
            for number, one in enumerate([problem, *changed]):
                answers = models.order(count_answers(one.answer, chosen))
                others = copies[answer_key(one.answer)] - (not number)
                seen = observe(one, answers, others, models, plausible)
                weight = share * (NOISE / CHANGES if number else 1 - NOISE)
                cases.append(Case(problem.id, number > 0, weight, seen))
    return cases


def fit_evidence(cases: Sequence[Case]) -> tuple[float, dict[str, float]]:
    return logistic([c.seen for c in cases], [c.wrong for c in cases], [c.weight for c in cases], PENALTY)


def evidence_models(
    sets: Mapping[str, Sequence[Problem]], samples: Mapping[str, Samples], how: str
) -> Callable[[str, str], Fitted]:
    """Coefficients for a problem (name of its data set, id) by `how`, as `benchmarks/labels.py` says."""
    whole = shipped()
    if how == "shipped":
        return lambda _name, _id: whole
    cases = {name: cases_of(problems, samples[name], whole.answers) for name, problems in sets.items()}

    def fitted(name: str, fold: int | None) -> Fitted:
        part = [case for other, found in cases.items() if other != name for case in found]
        if fold is not None:
            part += [case for case in cases[name] if fold_of(case.problem_id) != fold]
        return Fitted({}, whole.answers, *fit_evidence(part))

    folds = range(PARTS) if how == "folds" else [None]
    made = {(name, fold): fitted(name, fold) for name in sets for fold in folds}
    return lambda name, problem_id: made[name, fold_of(problem_id) if how == "folds" else None]


def fold_of(problem_id: str) -> int:
    return random.Random(f"fold {problem_id}").randrange(PARTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("src/mario/labels/fitted.json"))
    parser.add_argument("--answers", action="store_true", help="fit the first two models afresh, not only the third")
    args = parser.parse_args()
    if args.answers:
        published = [*read_gsm8k(args.data / "gsm8k/train.jsonl.gz", split="train")]
        published += [p for p in read_math(args.data / "math/train.jsonl.gz", split="train") if p.answer]
        plausible, area = fit_answers(published)
        print(f"answers: area under the curve, out of fold: {area:.3f}; {len(plausible.words)} words")
    else:
        plausible = shipped().answers
    cases = []
    for name in SETS:
        problems = load(args.data, name)
        cases += cases_of(problems, samples_of(args.data, name, problems), plausible)
    start, weights = fit_evidence(cases)
    made = {
        "by": "benchmarks/labels_fit.py",
        "answers": "GSM8K train and MATH train (MIT), published references against changed ones",
        "evidence": "GSM8K test and MATH-500, published outputs as samples, published references against changed ones",
    }
    found = Fitted(made, plausible, round(start, 4), {k: round(v, 4) for k, v in sorted(weights.items())})
    args.out.write_text(json.dumps(to_json(found), ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    for key, value in found.weights.items():
        print(f"{key:<24}{value:8.3f}")


if __name__ == "__main__":
    main()
