"""`mario grade`: one pair from the command line, or JSON lines of pairs from a file or stdin, streamed in order."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.progress import say
from mario.errors import DataError, UsageError
from mario.grade.options import Options
from mario.store.jsonl import storing


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario grade",
        description="Tell whether answers are equivalent to their references, and why.\n"
        "Two arguments are one pair; one is a file of JSON lines, none or - is stdin. Rows hold gold (or reference)\n"
        "and pred (or answer), or a whole solution (or output); each gives one line of JSON, in order.",
        epilog="example: mario grade '\\frac{1}{2}' 0.5\n         mario grade pairs.jsonl --out verdicts.jsonl",
    )
    parser.add_argument("pair", nargs="*", metavar="REFERENCE ANSWER | FILE", help="a pair, or a file of JSON lines")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write verdicts there instead of to stdout")
    parser.add_argument("--json", action="store_true", help="also for a single pair, print JSON")
    parser.add_argument("--workers", type=int, default=1, help="processes to grade with [1]")
    parser.add_argument("--fail-under", type=float, metavar="SHARE", help="exit 4 when fewer are equivalent (0 to 1)")
    add_settings(parser, Options)
    args = parser.parse(argv)
    options = resolve(Options, args)
    if args.workers < 1:
        raise UsageError(f"--workers must be at least 1, got {args.workers}")
    if len(args.pair) > 2:
        raise UsageError(f"expected REFERENCE ANSWER or one FILE, got {len(args.pair)} arguments; quote each answer")
    if len(args.pair) == 2:
        return _one(args.pair[0], args.pair[1], options, as_json=args.json, fail_under=args.fail_under)
    source_file = Path(args.pair[0]) if args.pair else None
    if args.out and source_file and source_file.exists() and args.out.exists() and args.out.samefile(source_file):
        raise UsageError(f"--out is the file that is read, {args.out}, and would be lost; name another")
    with (
        _opened(args.pair[0] if args.pair else "-") as source,
        _output(args.out) as sink,
        storing(args.out) if args.out else nullcontext(),
    ):
        counts = _all(source, sink, options, args.workers)
    return _conclude(counts, args.fail_under)


def _one(reference: str, answer: str, options: Options, *, as_json: bool, fail_under: float | None) -> int:
    from mario.grade import grade
    from mario.provenance import to_json

    verdict = grade(reference, answer, options=options)
    if as_json:
        print(json.dumps({"equivalent": verdict.equivalent, **to_json(verdict)}, ensure_ascii=False))
    else:
        print(f"{verdict.status.value}: {verdict.reason}")
    return 4 if fail_under is not None and float(verdict.equivalent) < fail_under else 0


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


def _all(source: IO[bytes], sink: IO[str], options: Options, workers: int) -> Counter[str]:
    """Grade every line; returns how many there were of each status."""
    from mario.grade import grade_rows
    from mario.grade.rows import ERROR

    counts: Counter[str] = Counter()
    for number, result in enumerate(grade_rows(_rows(source), workers=workers, options=options), start=1):
        counts[result["status"]] += 1
        if result["status"] == ERROR:
            say(f"row {number}: {result['reason']}")
        sink.write(json.dumps(result, ensure_ascii=False) + "\n")
    return counts


def _rows(source: IO[bytes]) -> Iterator[object]:
    """A row a line, blank ones left out; what is not JSON goes on as text, for the grader to name as broken."""
    for line in source:
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            yield line.decode("utf-8", "replace").strip()[:60]


def _conclude(counts: Counter[str], fail_under: float | None) -> int:
    from mario.grade.rows import ERROR

    total = sum(counts.values())
    for status, count in counts.most_common():
        say(f"{status:<20}{count:>9}  {100 * count / total:6.2f} %")
    if counts[ERROR]:
        return 3
    if fail_under is not None and total and counts["equivalent"] / total < fail_under:
        return 4
    return 0
