"""How fast and how right is the grader, beside Math-Verify where that is installed?

    python benchmarks/grade.py PAIRS.jsonl [--outputs DIR] [--throughput 200000]

PAIRS.jsonl holds rows with `gold`, `pred`, `label`, `category`. Both graders run in this process on the same pairs, one
after the other, warm; hostile pairs (category `adversarial`) are timed apart and for ours alone, because they stop the
other for minutes. `--outputs` compares verdicts on files of model outputs (`gold`, `pred`, `truth`) and lists every
disagreement. The figures of the last recorded run, with its machine, stand in docs/grading.md.

What it does not do: it downloads nothing. `pip install 'math-verify[antlr4_13_2]'` in an environment of its own, with
this package, gives the comparison.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mario.grade import grade, grade_all, is_equivalent

Grader = Callable[[str, str], bool]


def math_verify() -> Grader | None:
    """Math-Verify as its users call it: both answers as LaTeX between dollars, gold first."""
    try:
        from math_verify import parse, verify
    except ImportError:
        return None

    def judge(gold: str, pred: str) -> bool:
        return bool(verify(parse(f"${gold}$"), parse(f"${pred}$")))

    return judge


def timed(judge: Grader, pairs: list[dict[str, Any]]) -> tuple[list[bool], list[float]]:
    for row in pairs[:20]:
        judge(row["gold"], row["pred"])
    verdicts, seconds = [], []
    for row in pairs:
        start = time.perf_counter()
        try:
            verdict = judge(row["gold"], row["pred"])
        except Exception:  # a grader that raises gives no point
            verdict = False
        seconds.append(time.perf_counter() - start)
        verdicts.append(verdict)
    return verdicts, seconds


def line(name: str, pairs: list[dict[str, Any]], verdicts: list[bool], seconds: list[float]) -> str:
    ordered = sorted(seconds)
    right = sum(v == row["label"] for v, row in zip(verdicts, pairs, strict=True))
    accepted = sum(v and not row["label"] for v, row in zip(verdicts, pairs, strict=True))
    return (
        f"{name:12} {right / len(pairs):9.4f} {accepted:5d} {len(pairs) - right - accepted:5d}"
        f" {statistics.median(ordered) * 1e3:11.3f} {ordered[int(len(ordered) * 0.99)] * 1e3:9.2f}"
        f" {ordered[-1] * 1e3:9.1f} {len(pairs) / sum(ordered):9.0f}"
    )


def speed(pairs: list[dict[str, Any]], other: Grader | None) -> None:
    fair = [row for row in pairs if row["category"] != "adversarial"]
    hostile = [row for row in pairs if row["category"] == "adversarial"]
    print(f"{len(fair)} pairs\n{'grader':12} {'accuracy':>9} {'FP':>5} {'FN':>5} {'median ms':>11} {'p99':>9}", end="")
    print(f" {'max':>9} {'pairs/s':>9}")
    ours, our_seconds = timed(is_equivalent, fair)
    print(line("mario", fair, ours, our_seconds))
    if other is None:
        print("math-verify  is not installed here: no comparison")
    else:
        theirs, their_seconds = timed(other, fair)
        print(line("math-verify", fair, theirs, their_seconds))
        a, b = sorted(our_seconds), sorted(their_seconds)
        print(
            f"ratios       median 1/{statistics.median(b) / statistics.median(a):.0f}, "
            f"p99 1/{b[int(len(b) * 0.99)] / a[int(len(a) * 0.99)]:.0f}, pairs/s {sum(b) / sum(a):.0f} times"
        )
    verdicts, seconds = timed(is_equivalent, hostile)
    if hostile:
        print(f"hostile      {len(hostile)} pairs, slowest {max(seconds) * 1e3:.1f} ms", end="")
        print(f", wrong {sum(v != row['label'] for v, row in zip(verdicts, hostile, strict=True))}")


def throughput(pairs: list[dict[str, Any]], count: int) -> None:
    """Distinct pairs, so that no cache helps: each carries its own number."""
    base = [row for row in pairs if row["category"] != "adversarial"]

    def stream() -> Any:
        for i in range(count):
            row = base[i % len(base)]
            yield f"({row['gold']}, {i})", f"({row['pred']}, {i})"

    alone = None
    for workers in (1, 2):
        start = time.perf_counter()
        graded = sum(1 for _ in grade_all(stream(), workers=workers, symbolic_seconds=0))
        rate = graded / (time.perf_counter() - start)
        alone = alone or rate
        print(f"{workers} worker(s): {graded} pairs, {rate:.0f} pairs/s, efficiency {rate / alone / workers:.2f}")


def outputs(folder: Path, other: Grader | None) -> None:
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [row for row in map(json.loads, lines) if row["truth"] is not None]
        pairs = [
            {"gold": r["gold"], "pred": r["pred"] or r["pred_stored"] or "", "label": r["truth"], "category": ""}
            for r in rows
        ]
        print(f"\n{path.name}: {len(pairs)} rows")
        ours, seconds = timed(is_equivalent, pairs)
        print(line("mario", pairs, ours, seconds))
        if other is None:
            continue
        theirs, seconds = timed(other, pairs)
        print(line("math-verify", pairs, theirs, seconds))
        for row, mine, its in zip(pairs, ours, theirs, strict=True):
            if mine != its:
                why = grade(row["gold"], row["pred"]).reason
                print(
                    f"  truth {row['label']}: mario {mine} ({why}), math-verify {its}: {row['gold']!r} {row['pred']!r}"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--outputs", type=Path)
    parser.add_argument("--throughput", type=int, default=0)
    args = parser.parse_args()
    pairs = [json.loads(row) for row in args.pairs.read_text(encoding="utf-8").splitlines()]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}")
    other = math_verify()
    speed(pairs, other)
    if args.throughput:
        throughput(pairs, args.throughput)
    if args.outputs:
        outputs(args.outputs, other)


if __name__ == "__main__":
    main()
