"""Directories to review: small word problems of our own, as the finder or a training run would leave them."""

from __future__ import annotations

import sys
from pathlib import Path

from mario.data.patches import problem_hash
from mario.data.readers import write_problems
from mario.labels.suspects import Best, Competing, Evidence, Suspect, SuspectKind
from mario.store import ShardWriter
from mario.store.jsonl import write_jsonl
from mario.types import Observation, ObservationStatus, Problem, Sampling, Step, StopReason, Trajectory

HOSTILE = (
    '<script>window.pwned = 1</script><img src=x onerror="window.pwned = 1"> $\\frac{1$'
    " $\\href{javascript:alert(1)}{x}$ \\[\\def\\a{\\a\\a}\\a\\] {{ 7 * 7 }}"
    ' <button data-key="1" hx-post="/decide/0" hx-trigger="load">x</button>'
    " </div></main></body>\x00 \ud800 "
)


def question(number: int) -> Problem:
    boxes, more = 12 + number, 3 + number % 5
    every, half = boxes * more, boxes * more // 2
    return Problem(
        id=f"shelf/{number}",
        question=f"A shelf holds {boxes} boxes of ${more}$ pencils each. Half of the boxes are sold. How many"
        " pencils stay on the shelf?",
        answer=str(boxes * more),  # forgets that half are sold: wrong on purpose
        source="shelf",
        split="test",
        solution=f"There are {boxes} * {more} = <<{boxes}*{more}={every}>>{every} pencils.\n"
        f"Half is {every} / 2 = <<{every}/2={half + number % 2}>>{half} pencils.",
    )


def right_answer(number: int) -> str:
    return f"{(12 + number) * (3 + number % 5) / 2:g}"


def program(number: int, sample: int, answer: str, *, halves: bool) -> Trajectory:
    code = f"boxes, each = {12 + number}, {3 + number % 5}\nkept = boxes{' / 2' if halves else ''}\nprint(kept * each)"
    check = "assert kept > 0\nprint('kept', kept)"
    return Trajectory(
        problem_id=f"shelf/{number}",
        sample_index=sample,
        format="inline",
        model=f"model-{sample % 2}",
        sampling=Sampling(),
        steps=(
            Step("Multiply the boxes that stay by the pencils in each.", code, _output(answer)),
            Step("Check that some are kept.", check, _output(f"kept {answer}")),
            Step("So this many stay."),
        ),
        stop_reason=StopReason.ANSWERED,
        answer=answer,
        tags={"value": 0.9 if halves else 0.2},
    )


def _output(text: str) -> Observation:
    return Observation(text, ObservationStatus.OK, 0.01)


def suspect(rank: int, problem: Problem, right: str) -> Suspect:
    return Suspect(
        problem_id=problem.id,
        problem_hash=problem_hash(problem),
        rank=rank,
        score=1 / (1 + rank / 10),
        kind=SuspectKind.LABEL,
        reference=problem.answer,
        sentence=f"2 of 3 different programs by 2 models say {right}, not {problem.answer}.",
        suggestion=right,
        evidence=(
            Evidence("e1", "samples", f"2 of 3 different programs say {right}.", 1.7, answer=right),
            Evidence("e2", "last_line", "The reference's own last line ends in another number.", 2.4),
            Evidence("e3", "bounds", "The answer is no larger than the number of pencils.", -0.3),
        ),
        answers=(
            Competing(right, False, 5, 2, 2, 1, 1.7, 0.9, (Best(0, "model-0"), Best(1, "model-1"))),
            Competing(problem.answer, True, 2, 1, 1, 1, 0.6, 0.2, (Best(2, "model-0"),)),
        ),
        samples=7,
    )


def suspects_directory(root: Path, count: int, *, hostile: bool = False) -> Path:
    """What `mario labels find` leaves; with `hostile`, the first problem is an attack of a megabyte."""
    problems = [question(number) for number in range(count)]
    if hostile:
        bad = HOSTILE + "<script>window.pwned = 1</script> $x$ " * 28_000
        problems[0] = Problem("shelf/0", bad, HOSTILE, "shelf", "test", solution=bad)
    suspects = [suspect(rank, problem, right_answer(rank - 1)) for rank, problem in enumerate(problems, start=1)]
    programs = [
        program(number, sample, right_answer(number) if sample < 2 else question(number).answer, halves=sample < 2)
        for number in range(count)
        for sample in range(3)
    ]
    write_jsonl(root / "problems.jsonl", problems)  # keeps lone surrogates, as models write them
    write_jsonl(root / "suspects.jsonl", suspects)
    write_jsonl(root / "trajectories.jsonl", programs)
    return root


def training_directory(root: Path, count: int) -> Path:
    """What `mario annotate` leaves, as far as reviewing needs it."""
    write_problems(root / "problems.jsonl", [question(number) for number in range(count)])
    shards = ShardWriter(root / "kept", rows_per_shard=4)
    for number in range(count):
        shards.append(program(number, 0, right_answer(number), halves=True))
    shards.seal()
    return root


if __name__ == "__main__":
    suspects_directory(Path(sys.argv[1]), int(sys.argv[2]), hostile="hostile" in sys.argv)
