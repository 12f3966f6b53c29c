"""What does the adaptive budget save? Kept rows against samples, for fixed plans of 1 to 16 samples and for the policy.

    python benchmarks/budget.py --figures docs/figures
    python benchmarks/budget.py --store RUN --samples benchmarks/budget_samples.jsonl     (makes stored outcomes)

Two sources of outcomes. *Stored*: real samples of a small fine-tuned model on graded word problems, as they fell (the
program of every attempt that may be kept, else none); no model is needed to replay them. *Simulated*: pass rates from
Beta distributions, programs from a Chinese restaurant, so that varieties from "always the same program" to "always
another" are seen. A row is a distinct correct program of a problem, at most 4 a problem.

The policy may not see an outcome before it has asked for it. Against a fixed plan of k samples a problem, its cost is
the samples after which it holds as many rows. How little that can be depends on the pool: beside each simulation stands
the least that any rule could expect, one that knows how pass rates and programs are drawn included.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

from mario.annotate.budget import BudgetConfig, Pool, Tally, waves
from mario.annotate.verify import verify
from mario.data.readers import read_problems
from mario.page.chart import Series, line_chart
from mario.store import scan_shards
from mario.store.jsonl import read_jsonl, write_jsonl
from mario.transcript.shape import program_key
from mario.types import Trajectory

Outcomes = Mapping[str, Sequence[str | None]]
TARGET = 4
SHAPES = ((0.2, 0.8), (0.5, 0.5), (1.0, 1.0), (0.5, 2.0), (2.0, 2.0))
ALWAYS_NEW = 1e12  # a variety at which no correct program comes twice: every correct sample is a row
VARIETIES = (0.3, 3.0, 30.0, ALWAYS_NEW)
HERE = Path(__file__).parent


def stored(run: Path) -> Iterator[dict[str, object]]:
    """One line a problem: its id, steps, digits, and the number of each sample's program (null for none)."""
    problems = {problem.id: problem for problem in read_problems(run / "problems.jsonl")}
    keys: dict[str, dict[int, str | None]] = {name: {} for name in problems}
    for trajectory in scan_shards(run / "trajectories", Trajectory):
        kept = verify(problems[trajectory.problem_id], trajectory).drop is None
        keys[trajectory.problem_id][trajectory.sample_index] = program_key(trajectory) if kept else None
    for name, found in keys.items():
        row = [found[index] for index in range(len(found))]
        order = list(dict.fromkeys(key for key in row if key))
        tags = problems[name].tags
        programs = [None if key is None else order.index(key) for key in row]
        yield {"problem": name, "steps": tags["steps"], "digits": tags["digits"], "programs": programs}


def simulated(shape: tuple[float, float], variety: float, *, problems: int, depth: int, seed: int) -> Outcomes:
    draw = Random(f"{seed} {shape} {variety}")
    made: dict[str, list[str | None]] = {}
    for number in range(problems):
        rate, correct, row = draw.betavariate(*shape), list[str](), list[str | None]()
        for _ in range(depth):
            if draw.random() < rate:
                new = draw.random() < variety / (variety + len(correct))
                correct.append(str(len(correct)) if new else draw.choice(correct))
                row.append(correct[-1])
            else:
                row.append(None)
        made[str(number)] = row
    return made


def rows_of(outcomes: Outcomes, k: int) -> int:
    """What a fixed plan of k samples a problem keeps."""
    return sum(min(TARGET, len({program for program in row[:k] if program})) for row in outcomes.values())


def adaptive(
    outcomes: Outcomes, config: BudgetConfig, groups: Mapping[str, str] | None = None
) -> list[tuple[int, int]]:
    """(samples, rows) after every sample that brought a row, and after the last."""
    found: dict[str, set[str]] = {name: set() for name in outcomes}
    curve, samples, rows = [(0, 0)], 0, 0
    policy = waves(outcomes, config, groups=groups)
    wave = next(policy, None)
    while wave:
        told = {one: outcomes[one.problem_id][one.sample_index] for one in wave}
        for one, program in told.items():
            samples += 1
            programs = found[one.problem_id]
            if program and program not in programs and len(programs) < TARGET:
                programs.add(program)
                rows += 1
                curve.append((samples, rows))
        try:
            wave = policy.send(told)
        except StopIteration:
            break
    return [*curve, (samples, rows)]


class Known(NamedTuple):
    """What a rule may know of a kind of problem before it has seen one.

    passing(n, c): chance that the next sample passes when c of n did; new(c, d): that it is then a new program, when
    the c were d programs. `share` of the pool's problems are of this kind.
    """

    passing: Callable[[int, int], float]
    new: Callable[[int, int], float]
    share: float = 1.0


def drawn(shape: tuple[float, float], variety: float) -> Known:
    """What `simulated` draws by."""
    alpha, beta = shape
    return Known(lambda n, c: (alpha + c) / (alpha + beta + n), lambda c, _: variety / (variety + c))


def learnt(outcomes: Outcomes, groups: Mapping[str, str]) -> list[Known]:
    """How a stored pool's pass rates and programs are spread, each group's apart, as all of its samples tell.

    Programs are taken to come as in a Chinese restaurant, as the policy does. A pupil of few, equally likely programs
    brings new ones sooner than that, and then `least` of this is no bound: see `surely`.
    """
    tallies = []
    for name, row in outcomes.items():
        programs = [program for program in row if program]
        tallies.append(Tally(name, len(row), len(programs), Counter(programs), group=groups.get(name, "")))
    pool, sizes = Pool.of(tallies), Counter(tally.group for tally in tallies)
    return [Known(partial(pool.passing, group), pool.new, size / len(tallies)) for group, size in sorted(sizes.items())]


def least(kinds: Sequence[Known], k: int, depth: int) -> float:
    """The least share of a fixed plan's samples, k a problem, with which any rule can expect that plan's rows.

    The rule may know the kinds, decide after every sample and take up to `depth` of a problem; it must learn the
    problems themselves. They are independent, so by duality the least expected number of samples is the most, over a
    price of a row, of price x rows - the best profit on one problem that is stopped at will; and the best profit is a
    finite recursion. A proof, but for rounding, about expected rows and samples.
    """
    rows = sum(kind.share * _one_problem(kind, k, None) for kind in kinds)

    def bound(price: float) -> float:
        return price * rows - sum(kind.share * _one_problem(kind, depth, price) for kind in kinds)

    low, high = 1.0, 1e4
    for _ in range(60):  # golden section: the bound is concave in the price
        left, right = high - 0.618 * (high - low), low + 0.618 * (high - low)
        low, high = (left, high) if bound(left) < bound(right) else (low, right)
    return bound(low) / k


def surely(outcomes: Outcomes) -> int:
    """Samples of a rule that misses no row and cannot see ahead: up to a problem's last wanted program, or all."""
    total = 0
    for row in outcomes.values():
        firsts = sorted({program: index for index, program in reversed(list(enumerate(row))) if program}.values())
        total += firsts[TARGET - 1] + 1 if len(firsts) >= TARGET else len(row)
    return total


def _one_problem(kind: Known, depth: int, price: float | None) -> float:
    """Expected profit on one problem, a row sold at `price` and a sample bought at 1, stopped when that is best.

    Without a price: the expected rows of `depth` samples.
    """
    later = [[0.0] * (TARGET + 1) for _ in range(depth + 2)]  # by correct samples, distinct programs
    for n in reversed(range(depth)):
        now = [[0.0] * (TARGET + 1) for _ in range(depth + 2)]
        for c in range(n + 1):
            p = kind.passing(n, c)
            for d in range(min(c, 1), min(c, TARGET - 1) + 1):
                new = kind.new(c, d)
                won = new * ((price or 1.0) + later[c + 1][d + 1]) + (1 - new) * later[c + 1][d]
                value = p * won + (1 - p) * later[c][d]
                now[c][d] = value if price is None else max(0.0, value - 1)
        later = now
    return later[0][0]


def samples_for(curve: Sequence[tuple[int, int]], rows: int) -> float:
    return next((samples for samples, found in curve if found >= rows), math.nan)


def compare(outcomes: Outcomes, depth: int, ks: Sequence[int]) -> list[str]:
    """For each k: the policy's samples as a share of the fixed plan's, for the same rows."""
    curve = adaptive(outcomes, BudgetConfig(max_samples=depth, min_gain=0))
    return [f"{100 * samples_for(curve, rows_of(outcomes, k)) / (k * len(outcomes)):.0f} %" for k in ks]


def stopping(outcomes: Outcomes, depth: int, groups: Mapping[str, str] | None = None) -> str:
    """Where the policy stops by itself, in shares of the samples and rows of the fixed plan of 16."""
    samples, rows = adaptive(outcomes, BudgetConfig(max_samples=depth), groups)[-1]
    return f"{100 * rows / rows_of(outcomes, 16):.1f} % of the rows, {100 * samples / (16 * len(outcomes)):.0f} %"


def show_stored(path: Path, figures: Path | None) -> None:
    lines = [line for _, line in read_jsonl(path)]
    everything = {line["problem"]: [None if p is None else str(p) for p in line["programs"]] for line in lines}
    depth = min(len(row) for row in everything.values())
    rates = [sum(program is not None for program in row) for row in everything.values()]
    print(f"stored: {len(everything)} problems, {depth} samples each; never solved {rates.count(0)}, ", end="")
    print(f"sometimes {sum(0 < rate < depth for rate in rates)}, always {rates.count(depth)}; ", end="")
    varied = [len({p for p in row if p}) for row in everything.values() if any(row)]
    print(f"programs a solved problem {sum(varied) / max(1, len(varied)):.2f}")
    groups = {line["problem"]: str(line["steps"]) for line in lines}
    exhaustive = BudgetConfig(max_samples=depth, min_gain=0)
    plain, grouped = adaptive(everything, exhaustive), adaptive(everything, exhaustive, groups)
    print("in brackets: the least that any rule can expect that knows this pool's spread of pass rates and varieties,")
    print("if programs come as in a Chinese restaurant")
    print("\n| k | rows | samples: fixed | adaptive | adaptive, steps known |\n| ---: | ---: | ---: | ---: | ---: |")
    kinds = (learnt(everything, {}), learnt(everything, groups))
    for k in range(1, depth + 1):
        rows, used = rows_of(everything, k), k * len(everything)
        needs = [samples_for(curve, rows) for curve in (plain, grouped)]
        bounds = [least(kind, k, depth) for kind in kinds]
        cells = [f"{100 * need / used:.0f} % ({100 * low:.0f})" for need, low in zip(needs, bounds, strict=True)]
        print(f"| {k} | {rows} | {used:,} | {' | '.join(cells)} |", flush=True)
    sure = surely(everything)
    share = 100 * sure / (depth * len(everything))
    print(f"\nno rule that sees nothing ahead is sure of all rows with less than {sure:,} samples ({share:.1f} %)")
    print("stops by itself at", stopping(everything, depth), "of the samples; steps known:", end=" ")
    print(stopping(everything, depth, groups))
    if figures:
        fixed = [(float(k * len(everything)), float(rows_of(everything, k))) for k in range(depth + 1)]
        series = [
            Series("fixed plan of 1 to 16 samples a problem", fixed, marks=True),
            Series("adaptive", plain),
            Series("adaptive, the number of steps known", grouped, dashed=True),
        ]
        title = f"Rows kept of {len(everything)} word problems (stored samples)"
        write(
            figures / f"{path.stem.replace('_', '-')}.svg",
            line_chart(title, "samples", "distinct correct programs", series),
        )


def show_simulated(figures: Path | None, problems: int, seed: int) -> None:
    print(f"\nsimulated: {problems} problems; samples of the policy, as a share of the fixed plan's, for the same rows")
    print("in brackets: the least that any rule can expect\n")
    print("| Beta | variety | k = 4 | k = 8 | k = 16 | k = 16, up to 64 of one problem | stops by itself |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for shape in SHAPES:
        for variety in VARIETIES:
            deep = simulated(shape, variety, problems=problems, depth=64, seed=seed)
            flat = {name: row[:16] for name, row in deep.items()}
            found = [*compare(flat, 16, (4, 8, 16)), *compare(deep, 64, (16,))]
            best = [least([drawn(shape, variety)], k, depth) for k, depth in ((4, 16), (8, 16), (16, 16), (16, 64))]
            cells = [f"{one} ({100 * bound:.0f})" for one, bound in zip(found, best, strict=True)]
            name = "always new" if variety == ALWAYS_NEW else f"{variety:g}"
            print(f"| {shape[0]:g}, {shape[1]:g} | {name} | {' | '.join(cells)} | {stopping(flat, 16)} |", flush=True)
            if figures and (shape, variety) == ((0.5, 0.5), 3.0):
                fixed = [(float(k * problems), float(rows_of(deep, k))) for k in range(17)]
                curves = [
                    Series("fixed plan of 1 to 16 samples a problem", fixed, marks=True),
                    Series("adaptive, at most 16", adaptive(flat, BudgetConfig(max_samples=16, min_gain=0))),
                    Series("adaptive, at most 64", _until(deep, 16 * problems), dashed=True),
                ]
                title = f"Rows kept of {problems} simulated problems, Beta(½, ½), variety 3"
                write(
                    figures / "budget-simulated.svg", line_chart(title, "samples", "distinct correct programs", curves)
                )


def _until(outcomes: Outcomes, total: int) -> list[tuple[int, int]]:
    return adaptive(outcomes, BudgetConfig(max_samples=64, min_gain=0, total=total))


def write(path: Path, svg: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="directory of attempts to make the stored outcomes of, and stop")
    parser.add_argument("--samples", type=Path, default=HERE / "budget_samples.jsonl", help="the stored outcomes")
    parser.add_argument("--figures", type=Path, help="directory for the figures")
    parser.add_argument("--problems", type=int, default=512, help="of each simulation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--skip", choices=["stored", "simulated"], action="append", default=[])
    args = parser.parse_args()
    if args.store:
        print(json.dumps({"problems": write_jsonl(args.samples, stored(args.store))}))
        return
    if "stored" not in args.skip:
        show_stored(args.samples, args.figures)
    if "simulated" not in args.skip:
        show_simulated(args.figures, args.problems, args.seed)


if __name__ == "__main__":
    main()
