"""Runs for the tests of pages and reports: made up, but of real records and of believable shape."""

from __future__ import annotations

import random

from mario.evaluate.metrics import Judged
from mario.report import ReportRun
from mario.types import (
    Manifest,
    Observation,
    ObservationStatus,
    Problem,
    Sampling,
    Source,
    Span,
    Step,
    StopReason,
    Trajectory,
    Verdict,
    VerdictStatus,
)

TRAINED = "SmolLM2-135M-Instruct (dequantised from Q4_1), fine-tuned on word problems"
BASE = "SmolLM2-135M-Instruct (dequantised from Q4_1)"
# chance of a right answer by number of digits, shared templates then held out
SKILL = {
    (TRAINED, "code"): ((1.0, 0.99, 0.98, 0.97), (0.93, 0.9, 0.88, 0.84)),
    (TRAINED, "text"): ((0.75, 0.12, 0.02, 0.0), (0.6, 0.08, 0.01, 0.0)),
    (BASE, "code"): ((0.08, 0.05, 0.03, 0.02), (0.08, 0.05, 0.03, 0.02)),
    (BASE, "text"): ((0.16, 0.05, 0.01, 0.0), (0.16, 0.05, 0.01, 0.0)),
}


def problem(index: int) -> Problem:
    rng = random.Random(index)
    digits, split = 1 + index % 4, ("test-shared", "test-heldout")[index // 4 % 2]
    low = 10 ** (digits - 1)
    a, b, c = (rng.randrange(max(2, low), 10 * low) for _ in range(3))
    return Problem(
        id=f"wordproblems/{split}/seed0/{index:06d}",
        question=f"A mill grinds {a} sacks of rye each day for {b} days, then sells {c} of them at $3 a sack and "
        "keeps the rest. How many sacks were ground in all?",
        answer=str(a * b),
        source="wordproblems",
        split=split,
        level=str(digits),
        tags={"digits": digits, "operands": [a, b]},
    )


def solved(problem: Problem, model: str, mode: str, sample: int = 0, max_new_tokens: int = 256) -> Judged:
    """One made-up attempt, by the model's skill."""
    rng = random.Random(f"{problem.id} {model} {mode} {sample}")
    a, b = problem.tags["operands"]
    digits = problem.tags["digits"]
    right = rng.random() < SKILL[model, mode][problem.split == "test-heldout"][digits - 1]
    stop, steps, answer = StopReason.ANSWERED, (), None
    if not right and model == BASE and rng.random() < 0.6:
        stop = rng.choice(
            [StopReason.TOKEN_LIMIT, StopReason.NO_ACTION, StopReason.TOKEN_LIMIT, StopReason.UNCLOSED_CODE]
        )
        steps = (Step("The mill grinds sacks each day. " * rng.randrange(1, 9)),)
    elif mode == "code":
        line = "print(sacks_a_day * days)" if right else "print(sacks_a_day + x)"
        code = f"sacks_a_day = {a}\ndays = {b}\n# the rye sold does not matter\n{line}"
        shown = (
            Observation(f"{a * b}\n", ObservationStatus.OK, 0.012)
            if right
            else Observation("NameError: name 'x' is not defined\n", ObservationStatus.ERROR, 0.009)
        )
        answer = str(a * b) if right else str(a + b)
        last = Step(
            f"The mill ground \\( {a} \\times {b} = {answer} \\) sacks, so the answer is $\\boxed{{{answer}}}$."
        )
        steps = (Step("Each day it grinds the same number, so I multiply.", code, shown), last)
    else:
        answer = str(a * b if right else a * b + rng.choice([-9, 1, 10, 100, 7]))
        steps = (Step(f"In {b} days the mill grinds ${a} \\times {b} = {answer}$ sacks."),)
    status = VerdictStatus.EQUIVALENT if right else VerdictStatus.DIFFERENT if answer else VerdictStatus.ANSWER_UNPARSED
    reason = (
        "equal integers" if right else f"{answer} is not {problem.answer}" if answer else f"no answer: {stop.value}"
    )
    trajectory = Trajectory(
        problem_id=problem.id,
        sample_index=sample,
        format=mode,
        model=model,
        sampling=Sampling(max_new_tokens=max_new_tokens),
        steps=steps,
        stop_reason=stop,
        answer=answer,
        prompt_tokens=80,
        completion_tokens=max_new_tokens
        if stop is StopReason.TOKEN_LIMIT
        else rng.randrange(40, 70) + 60 * (mode == "code"),
    )
    return Judged(problem, trajectory, Verdict(status, reason, problem.answer, answer))


def manifest(seconds: float = 61.0) -> Manifest:
    return Manifest(
        kind="evaluate",
        recipe={"solve": {"samples": 1, "max_steps": 8}, "problems": "test.jsonl"},
        inputs={"problems": "sha256:" + "ab" * 32},
        seeds={"solve": 0},
        code={"version": "0.1.0", "commit": "0123456789abcdef0123", "dirty": False},
        packages={"mario-math": "0.1.0", "sympy": "1.14.0"},
        hardware={"system": "Linux 6.1", "machine": "x86_64", "python": "3.11.2", "cores": 2, "memory_mib": 24576},
        started="2026-01-02T03:04:05+00:00",
        seconds=seconds,
    )


def run(name: str, model: str, mode: str, n: int = 150, failures: int = 0) -> ReportRun:
    judged = [solved(problem(index), model, mode) for index in range(n)]
    return ReportRun(name, model, mode, judged, failures, manifest(), command=f"mario evaluate --solve.format {mode}")


def four_runs(n: int = 150) -> list[ReportRun]:
    return [
        run("base-text", BASE, "text", min(n, 60)),
        run("base-code", BASE, "code", min(n, 60), failures=1),
        run("trained-text", TRAINED, "text", n),
        run("trained-code", TRAINED, "code", n),
    ]


HOSTILE = (
    "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
    "</script></textarea></title><!--<script> $\\href{javascript:alert(1)}{x}$ $\\frac{1$ \\[\\def\\x{\\x\\x}\\x\\] "
    "{{ 7*7 }} \ud800 \u2028 \x00 %{x} </details>"
)


def hostile_run() -> ReportRun:
    """Every text a model or a data set can choose, chosen badly; one output of a megabyte."""
    bad = Problem(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, level=HOSTILE, subject=HOSTILE)
    steps = (
        Step(HOSTILE, "print('</script>')\n" + HOSTILE, Observation("<b>x" * 250_000, ObservationStatus.OK)),
        Step("\\(" * 400_000, HOSTILE, Observation(HOSTILE, ObservationStatus.ERROR)),
    )
    attempts = [
        Trajectory(HOSTILE, 0, "code", "m", Sampling(), steps, StopReason.ANSWERED, HOSTILE, completion_tokens=9),
        Trajectory(HOSTILE, 1, "code", "m", Sampling(), (), StopReason.NO_ACTION, spans=(Span(HOSTILE, Source.MODEL),)),
    ]
    verdict = Verdict(VerdictStatus.UNDECIDED, HOSTILE, HOSTILE, HOSTILE)
    return ReportRun(HOSTILE, HOSTILE, HOSTILE, [Judged(bad, t, verdict) for t in attempts], command=HOSTILE)
