"""How selection, decontamination and export grow with the number of trajectories: time and resident memory.

    python benchmarks/scale.py 10000 30000 100000 [--out FOLDER]

Trajectories are made up but shaped like real ones: eight attempts a problem in the order of a shuffled deck, two
snippets each, some 3 kB a row, six in ten right, one in three a copy of another with other names. Problems are our
word problems with filler, some 45 words, compared with 1,319 others from held-out templates. Each stage is a process of
its own; memory is the resident set of that process and all its children together, read ten times a second.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from mario.data.readers import write_problems
from mario.data.wordproblems import generate
from mario.provenance import to_json
from mario.store import ShardWriter
from mario.transcript import format_named
from mario.types import Observation, ObservationStatus, Problem, Sampling, Step, StopReason, Trajectory

ATTEMPTS = 8
_SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]
_SELECT = """
import sys; from pathlib import Path
from mario.annotate.select import SelectConfig, select
print(select(Path(sys.argv[1]), SelectConfig()).kept, "kept")
"""


def _word(rng: random.Random) -> str:
    return "".join(rng.choices(_SYLLABLES, k=3))


def problems(count: int, split: str, seed: int) -> Iterator[Problem]:
    rng = random.Random(seed)
    for problem in generate(split, count, seed):
        filler = " ".join(_word(rng) for _ in range(24))
        yield Problem(problem.id, f"{filler.capitalize()}. {problem.question}", problem.answer, "made", problem.split,
                      solution=problem.solution, licence="none")  # fmt: skip


def attempt(problem: Problem, sample: int) -> Trajectory:
    rng = random.Random(f"{problem.id}/{sample}")
    value = problem.answer if rng.random() < 0.6 else f"{problem.answer}{rng.randint(1, 9)}"
    name = _word(rng)
    scale = rng.randint(2, 9) if sample % 3 else 2
    thought = " ".join(_word(rng) for _ in range(60))
    first = "\n".join(
        [f"{name} = {scale}  # {_word(rng)}", f"total_{name} = 0", f"for i in range({name}):"]
        + [f"    total_{name} += {name} * {n} + i" for n in range(1 + sample % 4)]
        + [f"print(total_{name})"]
    )
    second = f"answer_{name} = total_{name} - total_{name} + {value}\nprint('the result is', answer_{name})"
    steps = (
        Step(thought, first, Observation(str(rng.randint(10, 9999)), ObservationStatus.OK, 0.01)),
        Step(thought[:200], second, Observation(f"the result is {value}", ObservationStatus.OK, 0.01)),
        Step(f"So the answer is {value}."),
    )
    context = format_named("inline").render(problem.question, steps, value)
    return Trajectory(problem.id, sample, "inline", "made-up", Sampling(0.7), steps, StopReason.ANSWERED, value,
                      context.spans, (), 300, 400)  # fmt: skip


def lay_out(folder: Path, count: int) -> int:
    """Problems and sealed attempts; returns the bytes of the attempts."""
    made = list(problems(-(-count // ATTEMPTS), "train", 1))
    write_problems(folder / "problems.jsonl", made)
    order = list(range(count))
    random.Random(2).shuffle(order)
    writer = ShardWriter(folder / "trajectories")
    for place in order:
        writer.append(attempt(made[place // ATTEMPTS], place % ATTEMPTS))
    writer.seal()
    return sum(path.stat().st_size for path in (folder / "trajectories").glob("[0-9]*.jsonl"))


def tree_rss(root: int) -> int:
    """Resident bytes of a process and its descendants."""
    children: dict[int, list[int]] = {}
    pages: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            pages[int(entry.name)] = int(fields[21])
    total, waiting = 0, [root]
    while waiting:
        process = waiting.pop()
        total += pages.get(process, 0)
        waiting += children.get(process, [])
    return total * os.sysconf("SC_PAGE_SIZE")


def measure(command: list[str]) -> tuple[float, int]:
    """Wall seconds and peak resident bytes of a command."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak, over = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.1):
            peak = max(peak, tree_rss(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, errors = process.communicate()
    seconds = time.monotonic() - began
    over.set()
    watcher.join()
    if process.returncode:
        sys.exit(f"{command}: {errors.decode()}")
    return seconds, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="*", type=int, default=[10_000, 30_000, 100_000])
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--made", action="store_true", help="the attempts of an earlier call stand in --out; only measure"
    )
    args = parser.parse_args()
    root = args.out or Path(tempfile.mkdtemp())
    bench = root / "bench.jsonl"
    write_problems(bench, problems(1319, "test-heldout", 3))
    print("| trajectories | MB | verify and select | decontaminate | export | all | per 1,000 | peak resident |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for count in args.counts:
        folder = root / str(count)
        if not args.made:
            lay_out(folder, count)
        size = sum(path.stat().st_size for path in (folder / "trajectories").glob("[0-9]*.jsonl"))
        python, mario = sys.executable, [sys.executable, "-m", "mario", "data"]
        results = [
            measure([python, "-c", _SELECT, str(folder)]),
            measure([*mario, "decontaminate", str(folder), "--against", f"bench={bench}", "--remove", "bench",
                     "--out", str(folder / "clean")]),
            measure([*mario, "export", str(folder / "clean"), "--out", str(folder / "published")]),
        ]  # fmt: skip
        total, peak = sum(seconds for seconds, _ in results), max(bytes_ for _, bytes_ in results)
        cells = " | ".join(f"{seconds:.1f} s" for seconds, _ in results)
        print(
            f"| {count:,} | {size / 1e6:.0f} | {cells} | {total:.1f} s | {1000 * total / count:.2f} s "
            f"| {peak / 2**20:.0f} MiB |",
            flush=True,
        )
        made = json.loads((folder / "published" / "manifest.json").read_text())
        print(json.dumps({"filters": to_json(made["filters"])}), file=sys.stderr)


if __name__ == "__main__":
    main()
