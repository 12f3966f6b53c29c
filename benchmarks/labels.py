"""How well does the finder rank wrong references? Known errors of GSM8K, and errors that we inject.

    python benchmarks/labels.py known  --data DIR
    python benchmarks/labels.py inject --data DIR [--seeds 10] [--figure docs/figures/labels-samples.svg]

`inject` changes 2 % of the references of GSM8K test and MATH-500 in one of four ways (a digit; a factor of 2 or 10; the
answer of another problem; a sign, where there is one to drop), hides the reference solutions, and asks what share of
the R changed ones is among the R first (R-precision). Published outputs of other people's models are the samples; what
their files say of right and wrong is not read. Problems that our patches name are left out: they are suspects already,
for good reason. `calibration` compares scores with frequencies on the same draws.

DIR is laid out as the readers expect: gsm8k/, math/, outputs/, programs/.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mario.data.patches import PatchAction, patch_for, problem_hash
from mario.data.readers import read_gsm8k, read_math
from mario.grade import grade
from mario.labels.find import weigh_problem
from mario.labels.rules import number_of
from mario.labels.samples import Sample, SampleFields, Samples
from mario.labels.shipped import shipped_patches
from mario.labels.votes import Models, count_answers
from mario.page.chart import Series, line_chart
from mario.types import Problem, VerdictStatus

NOISE = 0.02
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
    with TemporaryDirectory() as folder, Samples(Path(folder)) as samples:
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


def ranking(
    problems: Sequence[Problem], samples: dict[str, list[Sample]], *, solutions: bool
) -> list[tuple[float, str]]:
    """Score and id of every problem, the most suspect first; equal scores in an order that knows nothing."""
    models = Models()
    for problem in problems:
        models.learn(count_answers(problem.answer, samples.get(problem.id, [])))
    scored = []
    for problem in problems:
        seen = problem if solutions else replace(problem, solution=None)
        suspect = weigh_problem(seen, samples.get(problem.id, []), models).suspect
        scored.append((suspect.score, problem.id))
    order = {problem.id: random.Random(problem.id).random() for problem in problems}
    return sorted(scored, key=lambda item: (-item[0], order[item[1]]))


def inject(data: Path, seeds: int, figure: Path | None) -> None:
    precision: dict[tuple[str, str], list[float]] = defaultdict(list)
    curve: dict[tuple[str, int], list[float]] = defaultdict(list)
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for name in ("gsm8k", "math500"):
        problems = load(data, name)
        samples = samples_of(data, name, problems)
        for seed in range(seeds):
            rng = random.Random(f"{name} {seed}")
            usable = [p for p in problems if p.answer]
            spoilt = {p.id: spoil(p, usable, rng) for p in rng.sample(usable, round(NOISE * len(problems)))}
            noisy = [spoilt.get(p.id, p) for p in problems]
            for solutions in (False, True):
                ranked = ranking(noisy, samples, solutions=solutions)
                hits = sum(key in spoilt for _, key in ranked[: len(spoilt)])
                precision[name, "visible" if solutions else "hidden"].append(hits / len(spoilt))
                if not solutions:
                    for score, key in ranked:
                        bins[min(9, int(score * 10))].append((score, key in spoilt))
            # Where there are many samples: the same measure on problems that have at least four.
            if name == "gsm8k":
                rich = [p for p in problems if len(samples.get(p.id, [])) >= 4]
                changed = {p.id: spoil(p, usable, rng) for p in rng.sample(rich, max(1, round(NOISE * len(rich))))}
                shuffled = {p.id: rng.sample(samples[p.id], len(samples[p.id])) for p in rich}
                for k in range(5):
                    some = {key: found[:k] for key, found in shuffled.items()}
                    ranked = ranking([changed.get(p.id, p) for p in rich], some, solutions=False)
                    share = sum(key in changed for _, key in ranked[: len(changed)]) / len(changed)
                    curve["gsm8k", k].append(share)
    for (name, solutions), values in precision.items():
        print(f"{name}, solutions {solutions}: R-precision {interval(values)}")
    for (name, k), values in sorted(curve.items()):
        print(f"{name}, {k} samples each: R-precision {interval(values)}")
    print("calibration (score: mean score, share wrong, n)")
    for number, found in sorted(bins.items()):
        mean = statistics.mean(score for score, _ in found)
        print(f"  {number / 10:.1f}: {mean:.3f} {statistics.mean(wrong for _, wrong in found):.3f} {len(found)}")
    if figure is not None:
        points = [(float(k), statistics.mean(values)) for (_, k), values in sorted(curve.items())]
        title = "Injected wrong references found, by samples a problem"
        series = [Series("GSM8K test, problems with four samples or more, 2 % changed", points, marks=True)]
        figure.parent.mkdir(parents=True, exist_ok=True)
        figure.write_text(str(line_chart(title, "samples a problem", "R-precision", series)) + "\n", encoding="utf-8")


def interval(values: Sequence[float]) -> str:
    """Mean and 95 % of the mean over seeds (normal approximation)."""
    mean = statistics.mean(values)
    half = 1.96 * statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"{mean:.3f} [{mean - half:.3f}, {mean + half:.3f}], {len(values)} seeds"


def known(data: Path) -> None:
    listed = [json.loads(line) for line in (data / "gsm8k/known_label_errors.jsonl").read_text().splitlines()]
    verdicts = {row["id"]: row["verdict"] for row in listed}
    ours = {h for h, patch in shipped_patches().items() if patch.action is PatchAction.REPLACE}
    for split in ("test", "train"):
        problems = list(read_gsm8k(data / f"gsm8k/{split}.jsonl.gz", split=split))
        samples = samples_of(data, "gsm8k", problems) if split == "test" else {}
        for solutions in (False, True) if split == "test" else (True,):
            ranks = {key: rank for rank, (_, key) in enumerate(ranking(problems, samples, solutions=solutions), 1)}
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
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    if args.what == "known":
        known(args.data)
    else:
        inject(args.data, args.seeds, args.figure)


if __name__ == "__main__":
    main()
