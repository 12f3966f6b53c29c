"""How well does the finder rank wrong references? Known errors of GSM8K, and errors that we inject.

    python benchmarks/labels.py known  --data DIR
    python benchmarks/labels.py inject --data DIR [--seeds 20] [--weights folds] [--figure SVG]

`inject` changes 2 % of the references of GSM8K test and MATH-500 in one of four ways (a digit; a factor of 2 or 10; the
answer of another problem; a sign, where there is one to drop), hides the reference solutions, and asks what share of
the R changed ones is among the R first (R-precision). Published outputs of other people's models are the samples; what
their files say of right and wrong is not read. Problems that our patches name are left out: they are suspects already,
for good reason.

`--weights` says whose coefficients judge (`labels_fit.py`): `folds`, fitted on other problems (the default); `other`,
on the other data set alone; `shipped`, those of the package, which have seen these problems with other changes.

Beside it stands an oracle that is told which samples are right. Where one is, it finds the changed reference for sure;
where none is, nothing that the samples say can help it.

DIR is laid out as the readers expect: gsm8k/, math/, outputs/, programs/.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from mario.data.patches import PatchAction, patch_for, problem_hash
from mario.data.readers import read_gsm8k, read_math
from mario.grade import grade
from mario.labels.find import learn_models, weigh_problem
from mario.labels.fitted import Fitted, shipped
from mario.labels.plausible import number_of
from mario.labels.samples import Sample, SampleFields, answer_key
from mario.labels.samples import Samples as Store
from mario.labels.shipped import shipped_patches
from mario.labels.votes import count_answers
from mario.page.chart import Series, line_chart
from mario.types import Problem, VerdictStatus

NOISE = 0.02
LEAST = 100  # problems of one number of models, for a figure of their own
TORA = "tora-code-34b-v1.0=outputs/tora-code-34b-v1.0.gsm8k.jsonl.gz"
RHO = "rho-math-7b-interpreter-v0.1=outputs/rho-math-7b-interpreter-v0.1.math500.jsonl.gz"
PROGRAMS = "programs/programs.jsonl.gz"


def load(data: Path, name: str) -> list[Problem]:
    if name == "gsm8k":
        problems = read_gsm8k(data / "gsm8k/test.jsonl.gz", split="test")
    else:
        chosen = set(json.loads((data / "math/math500_ids.json").read_text()))
        problems = (p for p in read_math(data / "math/test.jsonl.gz", split="test") if p.id in chosen)
    patches = shipped_patches()
    return [problem for problem in problems if patch_for(problem, patches) is None]


def samples_of(data: Path, name: str, problems: Sequence[Problem]) -> dict[str, list[Sample]]:
    with TemporaryDirectory() as folder, Store(Path(folder)) as samples:
        samples.add_problems(problems)
        for source in (TORA if name == "gsm8k" else RHO, PROGRAMS):
            model, _, path = source.rpartition("=")
            samples.add_source(f"{model}={data / path}" if model else str(data / path), SampleFields())
        samples.close_index()
        return dict(samples.by_problem())


def spoil(problem: Problem, others: Sequence[Problem], rng: random.Random) -> Problem:
    """The problem with a reference that the grader finds different."""
    for _ in range(50):
        answer = _spoilt(problem.answer, rng.choice(others).answer, rng)
        if answer is not None and grade(problem.answer, answer).status is VerdictStatus.DIFFERENT:
            return replace(problem, answer=answer)
    raise SystemExit(f"no wrong answer was found for {problem.id}")


def _spoilt(answer: str, neighbour: str, rng: random.Random) -> str | None:
    value, plain = number_of(answer), answer.replace(",", "")
    ways = ["neighbour"]
    if value is not None and re.fullmatch(r"-?\d+(\.\d+)?", plain):
        ways += ["digit", "factor"]
    if answer.startswith("-"):
        ways.append("sign")
    match rng.choice(ways):
        case "digit":
            at = rng.choice([i for i, c in enumerate(plain) if c.isdigit()])
            return plain[:at] + rng.choice("123456789") + plain[at + 1 :]
        case "factor":
            new = (value or 0) * rng.choice((2, 10))
            return str(new.numerator) if new.denominator == 1 else None
        case "sign":
            return answer[1:]
    return neighbour


Samples = Mapping[str, list[Sample]]
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


def inject(data: Path, seeds: int, how: str, figure: Path | None) -> None:
    from labels_fit import evidence_models  # it needs NumPy and SciPy

    sets = {name: load(data, name) for name in ("gsm8k", "math500")}
    drawn = {name: samples_of(data, name, problems) for name, problems in sets.items()}
    choose = evidence_models(sets, drawn, how)
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    curve: dict[int, list[float]] = defaultdict(list)
    for name, problems in sets.items():
        samples, weights = drawn[name], partial(choose, name)
        usable = [p for p in problems if p.answer]
        strata = voices(usable, samples)
        precision: dict[str, list[float]] = defaultdict(list)
        for seed in range(seeds):
            rng = random.Random(f"{name} {seed}")
            changed = {p.id: spoil(p, usable, rng) for p in rng.sample(usable, round(NOISE * len(problems)))}
            share, ranked = hits(problems, changed, samples, weights, solutions=False)
            precision["solutions hidden"].append(share)
            for score, key in ranked:
                bins[min(9, int(score * 10))].append((score, key in changed))
            share, _ = hits(problems, changed, samples, weights, solutions=True)
            precision["solutions visible"].append(share)
            right = sum(bool(strata[key][1]) for key in changed) / len(changed)
            precision["hidden, an oracle of right samples"].append(right)
            for models in sorted({number for number, _ in strata.values()}):
                some = [p for p in usable if strata[p.id][0] == models]
                if len(some) >= LEAST:
                    changed = {p.id: spoil(p, usable, rng) for p in rng.sample(some, round(NOISE * len(some)))}
                    share, _ = hits(some, changed, samples, weights, solutions=False)
                    known = statistics.mean(strata[p.id][1] for p in some)
                    precision[f"hidden, {len(some)} with {models} models, some right on {known:.2f}"].append(share)
            if name == "gsm8k":  # where there are many samples: fewer and fewer of them
                rich = [p for p in problems if strata[p.id][0] >= 4]
                changed = {p.id: spoil(p, usable, rng) for p in rng.sample(rich, max(1, round(NOISE * len(rich))))}
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
    parser.add_argument("what", choices=("known", "inject"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--weights", choices=("folds", "other", "shipped"), default="folds")
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    if args.what == "known":
        known(args.data)
    else:
        inject(args.data, args.seeds, args.weights, args.figure)


if __name__ == "__main__":
    main()
