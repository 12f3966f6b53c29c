"""The tables of the protocol study, from the outputs of its recipe: rates with intervals, and paired tests.

    python benchmarks/gpu/science_table.py runs/mario-smollm2 [--figure docs/figures/choosing.svg]

One idea: a problem is the unit. Rates are of problems, with 95 % intervals and (n); differences are of the same
problems, by exact McNemar tests, two-sided. The comparisons that were named before a study share Holm's correction;
one that cannot be made is left out, and then the correction is by the number of those that can.

What it does not do: it grades nothing and chooses nothing itself; verdicts are read, choices are `mario.evaluate`'s.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mario.estimate import Estimate
from mario.evaluate import read_results
from mario.evaluate.choices import Rule, Samples, curves, outcomes, sampled
from mario.evaluate.metrics import Comparison, Judged, accuracy, by_problem, compare_outcomes, pass_at
from mario.grade import group
from mario.page.chart import Series, line_chart
from mario.solve.vote import STRATEGIES, VALUED, VoteConfig
from mario.types import Problem
from mario.value import read_values

ARMS = {
    "base-text": "as it came, 2 examples, without interpreter",
    "base-code": "as it came, 2 examples, with interpreter",
    "greedy-text": "SFT, text-only",
    "greedy-code": "SFT, with interpreter",
    "greedy-unmasked": "SFT, with interpreter, its output trained on",
    "greedy-ovm": "multi-task OVM as generator, with interpreter",
    "greedy-self": "SFT, with interpreter, one round of self-training",
}
SAMPLES = "samples-code"
OWN_SAMPLES = "samples-ovm"
GROUPS: Mapping[str, Callable[[Problem], bool]] = {
    "trained templates": lambda problem: problem.split == "test-shared",
    "held-out templates": lambda problem: problem.split == "test-heldout",
    "MAWPS": lambda problem: problem.source == "mawps",
    "ASDiv": lambda problem: problem.source == "asdiv",
}
GENERATED = ("trained templates", "held-out templates")
PUBLIC = ("MAWPS", "ASDiv")
ALL = (*GENERATED, *PUBLIC)
PARTS = (*((name,) for name in ALL), GENERATED, PUBLIC, ALL)
HEAD = (*ALL, "generated", "MAWPS + ASDiv", "all")
KS = (1, 2, 4, 8)

Outcomes = Mapping[str, bool]  # right or wrong, by problem


@dataclass(frozen=True, slots=True)
class Pairing:
    """A comparison, first minus second, on the problems of these groups."""

    name: str
    first: str
    second: str
    groups: Sequence[str]


FIRST = (
    Pairing("1. generated: with interpreter − text-only", "greedy-code", "greedy-text", GENERATED),
    Pairing("2. MAWPS + ASDiv: with interpreter − text-only", "greedy-code", "greedy-text", PUBLIC),
    Pairing("3. all: mask on − mask off", "greedy-code", "greedy-unmasked", ALL),
    Pairing("4. all: OVM@8 − maj@8", "ovm", "majority", ALL),
    Pairing("5. all: outlier-free OVM@8 − OVM@8", "outlier-free", "ovm", ALL),
)
SECOND = (
    Pairing("1. all: OVM@8 − maj@8", "ovm", "majority", ALL),
    Pairing("2. all: outlier-free OVM@8 − maj@8", "outlier-free", "majority", ALL),
    Pairing("3. all: OVM@8 − OVM@8 by the first study's values", "ovm", "ovm by ovm-first", ALL),
    Pairing("4. all: multi-task OVM, greedy − SFT, greedy", "greedy-ovm", "greedy-code", ALL),
    Pairing("5. all: self-trained, greedy − SFT, greedy", "greedy-self", "greedy-code", ALL),
)
OTHERS = (Pairing("all: weighted vote@8 − maj@8", "weighted", "majority", ALL),)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="output directory of the recipe")
    parser.add_argument("--figure", type=Path, help="where to draw accuracy by number of samples (SVG)")
    args = parser.parse_args(argv)
    root: Path = args.root
    arms = {name: judged for name in ARMS if (judged := attempts(root / name))}
    if arms:
        show(["greedy", *HEAD], ([ARMS[name], *map(rate, rates(judged))] for name, judged in arms.items()))
    problems = {row.problem.id: row.problem for judged in arms.values() for row in judged}
    found: dict[str, Outcomes] = {
        name: {key: rows[0].correct for key, rows in by_problem(judged).items()} for name, judged in arms.items()
    }
    if judged := attempts(root / SAMPLES):
        problems |= {row.problem.id: row.problem for row in judged}
        samples, values = valued_samples(root / SAMPLES, judged)
        rules = choices(values[0] if values else None)  # the study's own value model comes first by name
        show(["chosen from the SFT model's samples", *HEAD], selection(judged, samples, rules))
        if args.figure:
            args.figure.write_text(drawn(judged, samples, rules), encoding="utf-8")
        rules |= {f"{name} by {other}": Rule(VoteConfig(name), other) for other in values[1:] for name in VALUED}
        found |= {name: outcomes(samples, rule) for name, rule in rules.items()}
    if judged := attempts(root / OWN_SAMPLES):
        samples, values = valued_samples(root / OWN_SAMPLES, judged)
        rules = choices(values[0] if values else None)
        show(["chosen from the multi-task model's own samples", *HEAD], selection(judged, samples, rules))
    show_tests("named before the first study", FIRST, found, problems)
    show_tests("named before the second study", SECOND, found, problems)
    show_tests("others", OTHERS, found, problems)
    return 0


def attempts(root: Path) -> Sequence[Judged]:
    """What an evaluation judged; nothing where it is not done."""
    return read_results(root).judged if (root / "summary.json").exists() else ()


def valued_samples(root: Path, judged: Sequence[Judged]) -> tuple[list[Samples], list[str]]:
    """The samples of each problem with their values, and the names of the value models."""
    values = {valued.name: valued.log_odds for valued in read_values(root)}
    return list(sampled(judged, group, values)), list(values)


def choices(model: str | None) -> dict[str, Rule]:
    """Every strategy that looks at more than one sample; by value only where a value model has scored them."""
    return {
        name: Rule(VoteConfig(name), model if name in VALUED else None)
        for name in STRATEGIES
        if name != "first" and (model or name not in VALUED)
    }


def within(problem: Problem, groups: Sequence[str]) -> bool:
    return any(GROUPS[name](problem) for name in groups)


def rates(judged: Sequence[Judged]) -> list[Estimate]:
    return [accuracy([row for row in judged if within(row.problem, part)]) for part in PARTS]


def selection(judged: Sequence[Judged], samples: Sequence[Samples], rules: Mapping[str, Rule]) -> Iterator[list[str]]:
    """A row for each strategy and k; before them the mean sample, after them what no choice can pass."""
    yield ["mean of the samples", *map(rate, rates(judged))]
    inside = [{row.problem.id for row in judged if within(row.problem, part)} for part in PARTS]
    ks = [k for k in KS if 1 < k <= max(len(one.correct) for one in samples)]
    parts = [curves([one for one in samples if one.problem_id in ids], rules, ks) for ids in inside]
    for name in rules:
        for k in ks:
            yield [f"{name}@{k}", *(rate(part[name][k]) for part in parts)]
    for k in ks:
        cells = (pass_at([row for row in judged if row.problem.id in ids], k) for ids in inside)
        yield [f"pass@{k}, the ceiling", *map(rate, cells)]


def drawn(judged: Sequence[Judged], samples: Sequence[Samples], rules: Mapping[str, Rule]) -> str:
    """Accuracy over all problems by the number of samples that a rule may choose from, below what no rule can pass."""
    ks = range(1, max(len(one.correct) for one in samples) + 1)
    series = [
        Series(name, [(k, 100 * found.value) for k, found in by_k.items()])
        for name, by_k in curves(samples, rules, ks).items()
    ]
    ceiling = Series("if one always chose right", [(k, 100 * pass_at(judged, k).value) for k in ks], dashed=True)
    return line_chart(f"Choosing among samples, {len(samples)} problems", "samples", "correct, %", [*series, ceiling])


def show_tests(
    title: str, tests: Sequence[Pairing], found: Mapping[str, Outcomes], problems: Mapping[str, Problem]
) -> None:
    made = [(test, compared(test, found, problems)) for test in tests if {test.first, test.second} <= set(found)]
    corrected = holm([comparison.p_value for _, comparison in made])
    head = [title, "n", "difference, points", "only first", "only second", "p", f"p by Holm over {len(made)}"]
    if made:
        show(head, (pairing_row(test, each, p) for (test, each), p in zip(made, corrected, strict=True)))


def compared(test: Pairing, found: Mapping[str, Outcomes], problems: Mapping[str, Problem]) -> Comparison:
    first, second = found[test.first], found[test.second]
    return compare_outcomes(
        [(first[key], second[key]) for key in first if key in second and within(problems[key], test.groups)]
    )


def pairing_row(test: Pairing, made: Comparison, p: float) -> list[str]:
    value, low, high = (100 * x for x in (made.difference.value, made.difference.low, made.difference.high))
    cells = (f"{made.n}", f"{value:+.1f} [{low:+.1f}, {high:+.1f}]", f"{made.only_first}", f"{made.only_second}")
    return [test.name, *cells, f"{made.p_value:.2g}", f"{p:.2g}"]


def holm(values: Sequence[float]) -> list[float]:
    """p-values after Holm's step-down correction, in the order given."""
    corrected = [1.0] * len(values)
    worst = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=lambda index: values[index])):
        worst = max(worst, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = worst
    return corrected


def rate(found: Estimate) -> str:
    return f"{100 * found.value:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}] ({found.n})" if found.n else "-"


def show(head: Sequence[str], rows: Iterator[list[str]]) -> None:
    """Markdown."""
    print("| " + " | ".join(head) + " |")
    print("| --- |" + " ---: |" * (len(head) - 1))
    for cells in rows:
        print("| " + " | ".join(cells) + " |")
    print()


if __name__ == "__main__":
    sys.exit(main())
