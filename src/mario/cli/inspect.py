"""`mario data inspect`: what a source holds, and every reference answer that the grader cannot read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import get_args, get_type_hints

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.places import PROBLEMS
from mario.cli.progress import Line
from mario.data.collect import DataConfig, collect
from mario.data.rows import HUB_PREFIX, read_rows
from mario.data.survey import Reading, Survey, survey
from mario.errors import UsageError
from mario.provenance import to_json
from mario.recipe import unknown_key
from mario.types import Problem

SHOWN = 12  # values of a field, the most frequent
QUESTION_CHARS = 300  # of a sample


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario data inspect",
        description="Count the problems of a source, show some, and list every reference that the grader cannot read.\n"
        "A path alone is enough: GSM8K, MATH and our own files are known by their fields.",
        epilog="example: mario data inspect train.jsonl\n"
        "         mario data inspect parquet test.parquet --fields.question prompt --fields.answer answer.value",
    )
    parser.add_argument("source", nargs="?", help="a path; or what it holds (as for `mario data`), and then the path")
    parser.add_argument("path", nargs="?", help="file or directory to read, or hub:owner/name")
    parser.add_argument("--json", action="store_true", help="everything as JSON on stdout")
    parser.add_argument("--samples", type=int, default=3, help="how many problems to show [3]")
    add_settings(parser, DataConfig, skip=("source", "path"))
    args = parser.parse(argv)
    if args.samples < 0:
        raise UsageError(f"--samples must be 0 or more, got {args.samples}")
    source, path = _understood(args.source, args.path, vars(args).get("flag:split", "train"))
    config = resolve(DataConfig, args, source=source, path=path)
    with Line("inspect") as line:
        found = survey(lambda: _shown(collect(config), line), read_reference, samples=args.samples)
    print(json.dumps(to_json(found), ensure_ascii=False, indent=2) if args.json else text(found))
    return 0


def read_reference(answer: str) -> Reading:
    """What the grader makes of a reference answer."""
    from mario.grade import answer_type, canonical, grade
    from mario.types import VerdictStatus

    verdict = grade(answer, "0")
    if verdict.status is VerdictStatus.REFERENCE_UNPARSED:
        return Reading("(not read)", verdict.reason.removeprefix("the reference cannot be read: "))
    if canonical(answer) is None:
        return Reading("(not read)", "it reads as something that makes no sense")
    return Reading(answer_type(answer).value)


def guess_source(path: str, split: str = "train") -> str:
    """What a file holds, by the fields of its first row: problems of ours, MATH, GSM8K, or any rows."""
    row = next(islice(read_rows(path, split), 1))
    if {"id", "question", "answer", "source", "split"} <= set(row.record):
        return "problems"
    if {"problem", "solution", "level", "type"} <= set(row.record):
        return "math"
    if "question" in row.record and "####" in str(row.record.get("answer")):
        return "gsm8k"
    return "jsonl"


def _understood(source: str | None, path: str | None, split: str) -> tuple[str | None, str | None]:
    """Source and path from the two words of the command line; one word alone may be the path."""
    known = get_args(get_type_hints(DataConfig)["source"])
    if source is None or path is not None or source in known:
        return source, path
    if not (source.startswith(HUB_PREFIX) or Path(source).exists() or {"/", "."} & set(source)):
        raise UsageError(f"{unknown_key(source, known, 'source')}; or name a file")
    if (Path(source) / PROBLEMS).is_file():
        source = str(Path(source) / PROBLEMS)
    return guess_source(source, split), source


def _shown(problems: Iterator[Problem], line: Line) -> Iterator[Problem]:
    for count, problem in enumerate(problems, start=1):
        line.show(f"{count} problems")
        yield problem


def text(found: Survey) -> str:
    """The survey for people."""
    lines = [f"problems {found.problems}"]
    for name, counts in found.counts.items():
        shown = [f"{value} {count}" for value, count in islice(counts.items(), SHOWN)]
        if len(counts) > SHOWN:
            shown.append(f"and {len(counts) - SHOWN} more")
        lines.append(f"{'answer type' if name == 'answer' else name:<12}{' · '.join(shown)}")
    for name, sizes in found.lengths.items():
        lines.append(
            f"{name:<12}{sizes.problems} of {found.problems}, characters: {sizes.shortest} to {sizes.longest},"
            f" median {sizes.median}, mean {sizes.total / sizes.problems:.0f}"
        )
    lines.append(f"{'duplicates':<12}{found.duplicates} problems repeat a question (case and spaces aside)")
    lines += ["  " + " = ".join(ids) for ids in found.same_question]
    lines.append(f"{'not read':<12}{len(found.unread)} references that the grader cannot read")
    lines += [f"  {row.id}: {row.answer!r}: {row.reason}" for row in found.unread]
    for problem in found.samples:
        question = " ".join(problem.question.split())
        cut = question if len(question) <= QUESTION_CHARS else question[: QUESTION_CHARS - 1] + "…"
        lines.append(f"\n{problem.id}\n  {cut}\n  answer: {problem.answer}")
    return "\n".join(lines)
