"""Mutated answers against the grader, for as long as asked: nothing raises, hangs, grows or breaks a law.

    python benchmarks/fuzz_grade.py --seconds 600 --seed 1

Answers are spliced, cut, doubled, wrapped and rewritten: real ones from the folder that MARIO_DATA names (labelled
pairs, MATH answers, published outputs), where there is one, and written ones in any case. A case is two mutated
answers; checked are that

- `grade`, `canonical`, `answer_type`, `extract` and `group` return, within a second of CPU time each;
- `is_equivalent` is what `grade` says, and does not depend on the order of its arguments (but for `[a, b]` against a
  set, as docs/grading.md says);
- an answer is itself, and its canonical text; the canonical text of a canonical text is itself;
- classes do not depend on order;
- the process does not grow after its first minute (caches are full by then).

Every failure is printed as a line of JSON with its two answers; exit 1 when there is one. What this does not do: it
knows no right verdict; that is for labelled pairs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mario.grade import answer_type, canonical, extract, grade, group, is_equivalent
from mario.grade.read import readings
from mario.grade.tree import Sequence, Unparsed, walk

LIMIT_SECONDS = 1.0  # CPU time of one call
HANG_SECONDS = 60.0  # wall time of one case on a busy machine; past it the process ends with the case on stderr
GROWTH_MB = 64
SHOWN = 40  # failures printed

WRITTEN = r"""
42 | -17 | 1,048,576 | 3.1416 | 0.\overline{27} | 2.5\times10^{-3} | 1e-12 | 6.02e23 | 25\% | \$1{,}299.50 | 45^\circ
\frac{5}{6} | -\dfrac{13}{4} | 2\frac{1}{3} | 7/11 | Fraction(22, 7) | Rational(3, 8) | \sqrt{50} | \sqrt[3]{-27}
5*sqrt(2) | (1+\sqrt5)/2 | \binom{9}{4} | 7! | \lfloor 3.7\rfloor | abs(x - 3) | 12\text{ cm}^2 | 60 miles per hour
x^2-5x+6 | (x-2)*(x-3) | \frac{x+1}{x-1} | e^{2x}\sin 3x | log(8, 2) | \ln\frac{a}{b} | 2i - 3 | 1/2 + sqrt(3)*I/2
(3, -4) | \left(\frac12, 0\right) | [2, 5) | (-\infty, 3] | (-oo, -1) U (4, oo) | Interval.open(0, 2)
Union(Interval(1, 2), Interval(5, 6)) | \{1, 2, 3\} | {3, 1, 2} | [1, 2, 3] | 1, 2, and 3 | 3 \pm 2\sqrt{7}
x = 4 | y = 3x - 2 | x > -2 | 1 < t \le 9 | x=1, y=2 | {x: 1, y: 2} | \{x \mid x < 1\} | x \in [0, 1] | f(x) = x^2
\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix} | Matrix([[1], [0]]) | [[1, 0], [0, 1]] | array([1., 2.]) | \vec{v}
\text{yes} | (B) | C. a square | 3:45 p.m. | \text{east} | no solution | 1011_2 | 2A_{16} | 5:8 | \emptyset
\sum_{k=1}^{10} k^2 | \int_0^1 x\,dx | \lim_{x\to 0} x | \arctan 2 | \mathbb{R}\setminus\{2\} | \langle 1,2\rangle
"""
PIECES = r"""
\frac \dfrac{ \sqrt \sqrt[3]{ \text{ } { ( ) [ ] \{ \} , ; . : | ^ ^{ _ _{ + - * / ** // % ! = < > <= \le \pm \cup
\infty \pi \left( \right) \begin{pmatrix} \end{pmatrix} \\ & \boxed{ $ $$ \( \) \cdot \times \, \! \ ' " e i x E I oo
nan None True and or cm degrees percent sqrt( log sin( sum( Matrix([[ Interval( Eq( {x: 0 1 2 10 007 1e9 .5 3. 1_2
9^9^9 ² ½ √ − × ≤ ∞ π °
"""
PIECE = (*PIECES.split(), " ", "\n", "\t", "\x00")
WRAPS = ("({})", "{{{}}}", "[{}]", "\\frac{{{}}}{{2}}", "-{}", "${}$", "\\boxed{{{}}}")
JOINS = (", ", " and ", " + ", "=", "<", " \\cup ", "/", "^", " ", "*")


def seeds(folder: Path | None) -> list[str]:
    found = [text.strip() for line in WRITTEN.strip().splitlines() for text in line.split(" | ")]
    if folder is None:
        return found
    for path, fields in (
        ("grader/pairs.jsonl", ("gold", "pred")),
        ("math/train.jsonl.gz", ("answer",)),
        ("math/test.jsonl.gz", ("answer",)),
        *((f"outputs/{p.name}", ("pred", "output")) for p in sorted((folder / "outputs").glob("*.jsonl.gz"))),
    ):
        with (gzip.open if path.endswith("gz") else open)(folder / path, "rt", encoding="utf-8") as lines:
            found += [row[field] for row in map(json.loads, lines) for field in fields if row.get(field)]
    return found


def mutated(text: str, other: str, draw: random.Random) -> str:
    for _ in range(draw.choice((0, 1, 1, 2, 3, 5))):
        i, j = sorted((draw.randint(0, len(text)), draw.randint(0, len(text))))
        match draw.randrange(11):
            case 0:
                text = text[:i] + text[i + 1 :]
            case 1:
                text = text[:i] + text[j:]
            case 2:
                text = text[:i] + draw.choice(PIECE) + text[i:]
            case 3:
                text = text[:i] + text[i:j] * draw.choice((2, 2, 3, 20)) + text[j:]
            case 4:
                text = text[:i] + other[draw.randint(0, len(other)) :]
            case 5:
                text = draw.choice(WRAPS).format(text)
            case 6:
                text += draw.choice(JOINS) + other
            case 7:
                text = "".join(str(draw.randrange(10)) if c.isdigit() and draw.random() < 0.3 else c for c in text)
            case 8:
                text = text[:i] + text[i:j][::-1] + text[j:]
            case 9:
                text = text.replace("\\", draw.choice(("", "\\\\", "\\")))
            case _:
                text = text[:i] + chr(draw.choice((draw.randrange(32, 127), draw.randrange(0x110000)))) + text[i:]
    return text[:6_000]


def follows_sides(a: str, b: str) -> bool:
    """The one documented case where it matters which side is the reference: [a, b] against a set."""
    kinds: set[str] = set()
    for text in (a, b):
        for node in readings(text):
            kinds |= {part.kind for part in walk(node) if isinstance(part, Sequence)}
    return {"[]", "{}"} <= kinds


def laws(a: str, b: str, draw: random.Random) -> Iterator[str]:
    """Names of the laws that a case breaks."""
    forth, back = timed(grade, a, b), timed(grade, b, a)
    if is_equivalent(a, b) != forth.equivalent:
        yield "is_equivalent is not grade"
    if forth.equivalent != back.equivalent and not follows_sides(a, b):
        yield "not symmetric"
    for text in (a, b):
        timed(answer_type, text)
        timed(extract, text)
        if text.strip() and not is_equivalent(text, text):
            yield f"not itself: {text!r}"
        canon = timed(canonical, text)
        if canon is None:
            continue
        if canonical(canon) != canon:
            yield f"canonical of canonical: {text!r}"
        if not (is_equivalent(text, canon) and is_equivalent(canon, text)) and not undecided(text, canon):
            yield f"not its canonical text: {text!r}"
    answers = [a, b, a + " ", canonical(b), mutated(a, b, draw)]
    order = draw.sample(range(len(answers)), len(answers))
    straight = {frozenset(c) for c in timed(group, answers)}
    shuffled = {frozenset(order[i] for i in c) for c in group([answers[i] for i in order])}
    if straight != shuffled:
        yield "classes follow order"


def undecided(a: str, b: str) -> bool:
    return "undecided" in (grade(a, b).status, grade(b, a).status)


class TooSlow(Exception):
    """A call took more than its second."""


def timed(call: Callable[..., Any], *args: object) -> Any:
    start = time.process_time()
    result = call(*args)
    if (seconds := time.process_time() - start) > LIMIT_SECONDS:
        raise TooSlow(f"{call.__name__} took {seconds:.1f} s")
    return result


class Watch(threading.Thread):
    """Ends the process when a case does not end, with the case on stderr."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.case = ("", "")
        self.since = time.monotonic()

    def run(self) -> None:
        while True:
            time.sleep(1)
            if time.monotonic() - self.since > HANG_SECONDS:
                print(json.dumps({"law": "hangs", "case": self.case}), file=sys.stderr, flush=True)
                os._exit(1)

    def begin(self, a: str, b: str) -> None:
        self.case, self.since = (a, b), time.monotonic()


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    folder = os.environ.get("MARIO_DATA")
    corpus = seeds(Path(folder) if folder else None)
    print(f"{len(corpus)} answers to start from, seed {args.seed}", "" if folder else "(MARIO_DATA is not set)")
    draw = random.Random(args.seed)
    watch = Watch()
    watch.start()
    failures: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    cases, slowest, warm = 0, (0.0, ["", ""]), 0.0
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < args.seconds:
        if not warm and passed > min(60.0, args.seconds / 4):
            warm = peak_mb()
        first, second = draw.choice(corpus), draw.choice(corpus)
        a = mutated(first, second, draw)
        b = mutated(first if draw.random() < 0.7 else second, a, draw)
        watch.begin(a, b)
        start = time.process_time()
        try:
            broken = list(laws(a, b, draw))
            statuses[grade(a, b).status] += 1
        except Unparsed:
            broken = ["Unparsed escapes"]
        except TooSlow as slow:
            broken = [str(slow).split(" took")[0] + " too slow"]
        except Exception as error:
            broken = [f"raises {type(error).__name__}: {error}"]
        slowest = max(slowest, (time.process_time() - start, [a, b]))
        cases += 1
        for law in broken:
            failures[law.split(":")[0]] += 1
            if failures.total() <= SHOWN:
                print(json.dumps({"law": law, "case": [a, b]}), flush=True)
    growth = peak_mb() - warm
    if growth > GROWTH_MB:
        failures["grows"] += 1
    print(f"{cases} cases in {passed:.0f} s; {dict(statuses.most_common())}")
    print(f"slowest case (all calls) {slowest[0] * 1e3:.0f} ms of CPU: {json.dumps(slowest[1])}")
    print(f"peak memory {peak_mb():.0f} MB, {growth:.1f} of it after warm-up")
    print(f"failures: {dict(failures) or 'none'}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
