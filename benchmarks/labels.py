"""How well does the finder rank wrong references? Known errors of GSM8K, and errors that we inject.

    python benchmarks/labels.py known  --data DIR
    python benchmarks/labels.py inject --data DIR [--seeds 20] [--weights folds] [--figure SVG]
    python benchmarks/labels.py judge  --data DIR [--seeds 12]

`inject` changes 2 % of the references of GSM8K test and MATH-500 in one of four ways (a digit; a factor of 2 or 10; the
answer of another problem; a sign, where there is one to drop), hides the reference solutions, and asks what share of
the R changed ones is among the R first (R-precision). Published outputs of other people's models are the samples; what
their files say of right and wrong is not read. Problems that our patches name are left out: they are suspects already,
for good reason.

`--weights` says whose coefficients judge (`labels_fit.py`): `folds`, fitted on other problems (the default); `other`,
on the other data set alone; `shipped`, those of the package, which have seen these problems with other changes.

Beside it stands an oracle that is told which samples are right. Where one is, it finds the changed reference for sure;
where none is, nothing that the samples say can help it. `judge` asks how good somebody would have to be who tells right
samples from wrong ones: a simulated judge of a given area under the curve is heard beside the evidence.

DIR is laid out as the readers expect: gsm8k/, math/, outputs/, programs/.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from labels_noise import SETS, Samples, load, samples_of, spoil_some

from mario.data.patches import PatchAction, problem_hash
from mario.data.readers import read_gsm8k
from mario.labels.find import learn_models, weigh_problem
from mario.labels.fitted import Fitted, shipped
from mario.labels.samples import Sample, answer_key
from mario.labels.shipped import shipped_patches
from mario.labels.votes import count_answers
from mario.page.chart import Series, line_chart
from mario.types import Problem

LEAST = 100  # problems of one number of models, for a figure of their own
JUDGES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.99)  # areas under the curve
Weights = Callable[[str], Fitted]  # of a problem's id


def ranking(
    problems: Sequence[Problem], samples: Samples, weights: Weights, *, solutions: bool
) -> list[tuple[float, str]]:
    """Score and id of every problem, the most suspect first; equal scores in an order that knows nothing."""
    models = learn_models(problems, lambda key: samples.get(key, []))
    copies = Counter(answer_key(problem.answer) for problem in problems)
    scored = []
    for problem in problems:
        seen = problem if solutions else replace(problem, solution=None)
        others = copies[answer_key(problem.answer)] - 1
        found = weigh_problem(seen, samples.get(problem.id, []), others, models, weights(problem.id))
        scored.append((found.suspect.score, problem.id))
    order = {problem.id: random.Random(problem.id).random() for problem in problems}
    return sorted(scored, key=lambda item: (-item[0], order[item[1]]))


def hits(
    problems: Sequence[Problem], changed: Mapping[str, Problem], samples: Samples, weights: Weights, *, solutions: bool
) -> tuple[float, list[tuple[float, str]]]:
    """R-precision where `changed` take the place of their originals, and the ranking itself."""
    ranked = ranking([changed.get(p.id, p) for p in problems], samples, weights, solutions=solutions)
    return sum(key in changed for _, key in ranked[: len(changed)]) / len(changed), ranked


@dataclass(frozen=True)
class Prepared:
    """A set of problems, and what is needed to find those of its references that will be changed."""

    name: str
    problems: Sequence[Problem]
    usable: Sequence[Problem]  # with an answer to change
    samples: Samples
    weights: Weights
    voices: Mapping[str, tuple[int, bool]]  # by problem: see `voices`


def prepared(data: Path, how: str) -> Iterator[Prepared]:
    from labels_fit import evidence_models  # it needs NumPy and SciPy

    sets = {name: load(data, name) for name in SETS}
    drawn = {name: samples_of(data, name, problems) for name, problems in sets.items()}
    choose = evidence_models(sets, drawn, how)
    for name, problems in sets.items():
        usable = [p for p in problems if p.answer]
        weights = partial(choose, name)
        yield Prepared(name, problems, usable, drawn[name], weights, voices(usable, drawn[name]))


def inject(data: Path, seeds: int, how: str, figure: Path | None) -> None:
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    curve: dict[int, list[float]] = defaultdict(list)
    for one in prepared(data, how):
        name, usable, samples, weights, strata = one.name, one.usable, one.samples, one.weights, one.voices
        precision: dict[str, list[float]] = defaultdict(list)
        for seed in range(seeds):
            rng = random.Random(f"{name} {seed}")
            changed = spoil_some(usable, usable, rng)
            share, ranked = hits(one.problems, changed, samples, weights, solutions=False)
            precision["solutions hidden"].append(share)
            for score, key in ranked:
                bins[min(9, int(score * 10))].append((score, key in changed))
            share, _ = hits(one.problems, changed, samples, weights, solutions=True)
            precision["solutions visible"].append(share)
            right = sum(bool(strata[key][1]) for key in changed) / len(changed)
            precision["hidden, an oracle of right samples"].append(right)
            for models in sorted({number for number, _ in strata.values()}):
                some = [p for p in usable if strata[p.id][0] == models]
                if len(some) >= LEAST:
                    changed = spoil_some(some, usable, rng)
                    share, _ = hits(some, changed, samples, weights, solutions=False)
                    known = statistics.mean(strata[p.id][1] for p in some)
                    precision[f"hidden, {len(some)} with {models} models, some right on {known:.2f}"].append(share)
            if name == "gsm8k":  # where there are many samples: fewer and fewer of them
                rich = [p for p in one.problems if strata[p.id][0] >= 4]
                changed = spoil_some(rich, usable, rng)
                shuffled = {p.id: rng.sample(one_each(samples[p.id]), strata[p.id][0]) for p in rich}
                for k in range(5):
                    some_of = {key: found[:k] for key, found in shuffled.items()}
                    curve[k].append(hits(rich, changed, some_of, weights, solutions=False)[0])
        for what, values in precision.items():
            print(f"{name}, {what}: R-precision {interval(values)}", flush=True)
    for k, values in sorted(curve.items()):
        print(f"gsm8k, {k} of at least 4 models: R-precision {interval(values)}")
    print("calibration, solutions hidden (score: mean score, share wrong, n)")
    for number, found in sorted(bins.items()):
        mean = statistics.mean(score for score, _ in found)
        print(f"  {number / 10:.1f}: {mean:.3f} {statistics.mean(wrong for _, wrong in found):.3f} {len(found)}")
    if figure is not None:
        points = [(float(k), statistics.mean(values)) for k, values in sorted(curve.items())]
        title = "Injected wrong references found, by samples a problem"
        series = [Series("GSM8K test, problems with four models or more, 2 % changed", points, marks=True)]
        figure.parent.mkdir(parents=True, exist_ok=True)
        figure.write_text(str(line_chart(title, "samples a problem", "R-precision", series)) + "\n", encoding="utf-8")


def judge(data: Path, seeds: int, how: str) -> None:
    """R-precision, had somebody told us with a given area under the curve which problems' rival answers are right.

    What the judge says is a Gaussian log-likelihood ratio, independent of all that the finder sees; the area is
    Phi(d / sqrt 2) for ratios of mean +-d^2/2 and deviation d.
    """
    for one in prepared(data, how):
        precision: dict[float, list[float]] = defaultdict(list)
        for seed in range(seeds):
            rng = random.Random(f"{one.name} {seed}")
            changed = spoil_some(one.usable, one.usable, rng)
            _, ranked = hits(one.problems, changed, one.samples, one.weights, solutions=False)
            for area in JUDGES:
                d = statistics.NormalDist().inv_cdf(area) * math.sqrt(2)
                heard = []
                for score, key in ranked:
                    models, some_right = one.voices.get(key, (0, False))
                    says = d * d / 2 * (1 if key in changed and some_right else -1)
                    says += d * random.Random(f"{one.name} {seed} {key}").gauss()
                    sure = min(max(score, 1e-9), 1 - 1e-9)
                    heard.append((math.log(sure / (1 - sure)) + (says if models else 0.0), key))
                first = sorted(heard, reverse=True)[: len(changed)]
                precision[area].append(sum(key in changed for _, key in first) / len(changed))
        for area, values in precision.items():
            print(f"{one.name}, a judge of area {area}: R-precision {interval(values)}", flush=True)


def voices(problems: Sequence[Problem], samples: Samples) -> dict[str, tuple[int, bool]]:
    """How many models answered each problem, and whether one of them agrees with the published reference."""
    found = {}
    for problem in problems:
        answers = count_answers(problem.answer, samples.get(problem.id, []))
        found[problem.id] = (len({model for answer in answers for model in answer.votes}), bool(answers[0].votes))
    return found


def one_each(samples: Sequence[Sample]) -> list[Sample]:
    """The first sample of each model."""
    return list({sample.model: sample for sample in reversed(samples)}.values())


def interval(values: Sequence[float]) -> str:
    """Mean and 95 % of the mean over seeds (normal approximation)."""
    mean = statistics.mean(values)
    half = 1.96 * statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"{mean:.3f} [{mean - half:.3f}, {mean + half:.3f}], {len(values)} seeds"


def known(data: Path) -> None:
    listed = [json.loads(line) for line in (data / "gsm8k/known_label_errors.jsonl").read_text().splitlines()]
    verdicts = {row["id"]: row["verdict"] for row in listed}
    ours = {h for h, patch in shipped_patches().items() if patch.action is PatchAction.REPLACE}
    weights = shipped()
    for split in ("test", "train"):
        problems = list(read_gsm8k(data / f"gsm8k/{split}.jsonl.gz", split=split))
        samples = samples_of(data, "gsm8k", problems) if split == "test" else {}
        for solutions in (False, True) if split == "test" else (True,):
            ranked = ranking(problems, samples, lambda _: weights, solutions=solutions)
            ranks = {key: rank for rank, (_, key) in enumerate(ranked, 1)}
            new = {p.id for p in problems if problem_hash(p) in ours and p.id not in verdicts}
            print(f"gsm8k {split}, {len(problems)} problems, solutions {'visible' if solutions else 'hidden'}")
            groups: dict[str, list[str]] = {"proved by us": sorted(new)}
            for key, verdict in verdicts.items():
                if key in ranks:
                    groups.setdefault(verdict, []).append(key)
            for group, keys in groups.items():
                counts = Counter(limit for key in keys for limit in (50, 200) if ranks[key] <= limit)
                places = ", ".join(
                    f"{key.rpartition('-')[2]}: {ranks[key]}" for key in sorted(keys, key=ranks.__getitem__)
                )
                print(f"  {group}: n {len(keys)}, in 50 {counts[50]}, in 200 {counts[200]} ({places})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("known", "inject", "judge"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--weights", choices=("folds", "other", "shipped"), default="folds")
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    if args.what == "known":
        known(args.data)
    elif args.what == "judge":
        judge(args.data, args.seeds, args.weights)
    else:
        inject(args.data, args.seeds, args.weights, args.figure)


if __name__ == "__main__":
    main()
