"""`mario grade`: one pair from the command line, or JSON lines of pairs from a file or stdin, streamed in order."""

from __future__ import annotations

import json
import os
import stat
import sys
from argparse import Namespace
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.progress import say
from mario.errors import DataError, UsageError
from mario.grade.options import Options
from mario.store.jsonl import storing

Counts = Counter[tuple[str, str]]  # rows by status and type; what is broken has no type


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario grade",
        description="Tell whether answers are equivalent to their references, and why.\n"
        "Two arguments are one pair; one is a file of JSON lines, none or - is stdin. Rows hold gold (or reference)\n"
        "and pred (or answer), or a whole solution (or output); each gives one line of JSON, in order. Counts by\n"
        "type and status, and the numbers of broken lines, go to stderr.",
        epilog="example: mario grade '\\frac{1}{2}' 0.5\n         mario grade pairs.jsonl --out verdicts.jsonl",
    )
    parser.add_argument("pair", nargs="*", metavar="REFERENCE ANSWER | FILE", help="a pair, or a file of JSON lines")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write verdicts there instead of to stdout")
    parser.add_argument("--json", action="store_true", help="also for a single pair, print JSON")
    parser.add_argument("--workers", type=int, default=1, help="processes to grade with [1]")
    parser.add_argument("--cross-check", action="store_true", help="list where Math-Verify disagrees, with its reason")
    parser.add_argument("--fail-under", type=float, metavar="SHARE", help="exit 4 when fewer are equivalent (0 to 1)")
    add_settings(parser, Options)
    args = parser.parse(argv)
    options = resolve(Options, args)
    if args.workers < 1:
        raise UsageError(f"--workers must be at least 1, got {args.workers}")
    if len(args.pair) > 2:
        raise UsageError(f"expected REFERENCE ANSWER or one FILE, got {len(args.pair)} arguments; quote each answer")
    if len(args.pair) == 2:
        return _one(args.pair[0], args.pair[1], options, args)
    source_file = Path(args.pair[0]) if args.pair else None
    if args.out and source_file and source_file.exists() and args.out.exists() and args.out.samefile(source_file):
        raise UsageError(f"--out is the file that is read, {args.out}, and would be lost; name another")
    with (
        _opened(args.pair[0] if args.pair else "-") as source,
        _output(args.out) as sink,
        storing(args.out) if args.out else nullcontext(),
    ):
        if args.cross_check:
            counts = _compared(source, sink, options, args.workers)
        else:
            counts = _all(source, sink, options, args.workers)
    return _conclude(counts, args.fail_under)


def _one(reference: str, answer: str, options: Options, args: Namespace) -> int:
    from mario.grade import MathVerify, grade
    from mario.provenance import to_json

    verdict = grade(reference, answer, options=options)
    opinion = None
    if args.cross_check:
        with MathVerify() as other:
            opinion = other.judge(reference, answer)
    if args.json:
        result = {"equivalent": verdict.equivalent, **to_json(verdict)}
        if opinion is not None:
            result |= {"math_verify": opinion.equivalent, "math_verify_reason": opinion.reason}
        print(json.dumps(result, ensure_ascii=False))
    else:
        print(f"{verdict.status.value}: {verdict.reason}")
        if opinion is not None:
            print(f"Math-Verify: {_word(opinion.equivalent)}: {opinion.reason}")
    return 4 if args.fail_under is not None and float(verdict.equivalent) < args.fail_under else 0


def _opened(name: str) -> Any:
    if name == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(name).open("rb")
    except FileNotFoundError as error:
        raise DataError(f"{name}: no such file; one pair needs two arguments: mario grade REFERENCE ANSWER") from error
    except IsADirectoryError as error:
        raise DataError(f"{name} is a directory; name a file of JSON lines") from error
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}; check its permissions") from error


def _output(out: Path | None) -> Any:
    if out is None:
        return nullcontext(sys.stdout)
    with storing(out):
        return out.open("w", encoding="utf-8", errors="backslashreplace")


def _all(source: IO[bytes], sink: IO[str], options: Options, workers: int) -> Counts:
    """Grade every line; returns how many there were of each status and type."""
    from mario.grade import grade_lines

    counts: Counts = Counter()
    live = not stat.S_ISREG(os.fstat(source.fileno()).st_mode)  # someone may wait for each verdict
    for batch in grade_lines(source, workers=workers, options=options):
        counts.update(batch.counts)
        for number, reason in batch.broken:
            say(f"line {number}: {reason}")
        sink.writelines(f"{text}\n" for text in batch.texts)
        if live:
            sink.flush()
    return counts


def _compared(source: IO[bytes], sink: IO[str], options: Options, workers: int) -> Counts:
    """As `_all`, with Math-Verify's verdict in each line, and every disagreement on stderr."""
    from mario.grade import cross_check, disagree
    from mario.grade.lines import parsed
    from mario.grade.rows import ERROR, pair_of

    counts: Counts = Counter()
    table: Counter[tuple[bool, bool]] = Counter()
    numbers: deque[tuple[int, object]] = deque()

    def rows() -> Iterator[object]:
        for number, line in enumerate(source, start=1):
            if line.strip():
                row = parsed(line)
                numbers.append((number, row))
                yield {"id": number, **row} if isinstance(row, dict) else row

    for result in cross_check(rows(), workers=workers, options=options):
        number, row = numbers.popleft()
        counts[result["status"], result["type"] or ""] += 1
        if result["status"] == ERROR:
            result["id"] = row.get("id", number) if isinstance(row, dict) else number
            say(f"line {number}: {result['reason']}")
        else:
            table[result["equivalent"], bool(result["math_verify"])] += 1
        if disagree(result):
            reference, answer = pair_of(row)
            say(f"line {number}: {reference!r} against {answer!r}")
            say(f"  mario: {_word(result['equivalent'])}: {result['reason']}")
            say(f"  Math-Verify: {_word(result['math_verify'])}: {result['math_verify_reason']}")
        sink.write(json.dumps(result, ensure_ascii=False) + "\n")
    only = f"only mario yes {table[True, False]}, only Math-Verify yes {table[False, True]}"
    say(f"both yes {table[True, True]}, both no {table[False, False]}, {only}")
    return counts


def _word(equivalent: bool | None) -> str:
    return {True: "yes", False: "no", None: "no verdict"}[equivalent]


def _conclude(counts: Counts, fail_under: float | None) -> int:
    from mario.grade.rows import ERROR

    statuses = sorted({status for status, _ in counts}, key=lambda status: (status == ERROR, status))
    kinds = sorted({kind for _, kind in counts})
    total = sum(counts.values())
    equivalent = sum(n for (status, _), n in counts.items() if status == "equivalent")
    if total:
        say(f"{'type':<11}{'rows':>9}" + "".join(f"{status:>20}" for status in statuses))
    for kind in [*kinds, "all"] if total else []:
        of_kind = [sum(counts[s, k] for k in kinds if kind in (k, "all")) for s in statuses]
        say(f"{kind or '-':<11}{sum(of_kind):>9}" + "".join(f"{n:>20}" for n in of_kind))
    if total:
        say(f"equivalent {equivalent} of {total}, {100 * equivalent / total:.2f} %")
    if any(status == ERROR for status, _ in counts):
        return 3
    if fail_under is not None and total and equivalent / total < fail_under:
        return 4
    return 0
