"""Problems with published samples, and wrong references made of right ones: what the benchmarks of labels share.

Published outputs of other people's models are the samples; what their files say of right and wrong is not read.
Problems that our patches name are left out: they are suspects already, for good reason.

What this module does not do: fit (`labels_fit`), or rank (`labels`).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mario.data.patches import patch_for
from mario.data.readers import read_gsm8k, read_math
from mario.grade import grade
from mario.labels.plausible import number_of
from mario.labels.samples import Sample, SampleFields
from mario.labels.samples import Samples as Store
from mario.labels.shipped import shipped_patches
from mario.types import Problem, VerdictStatus

SETS = ("gsm8k", "math500")
Samples = Mapping[str, list[Sample]]

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


def spoil_some(problems: Sequence[Problem], among: Sequence[Problem], rng: random.Random) -> dict[str, Problem]:
    """The share `NOISE` of some problems by id, with wrong references."""
    return {p.id: spoil(p, among, rng) for p in rng.sample(problems, max(1, round(NOISE * len(problems))))}
