"""JSON lines of rows in, JSON lines of verdicts out, as `mario grade` streams them; rows are those of `rows`.

The one idea: with workers, the children read the JSON, grade, and write the JSON, and this process only carries text.
Parsing a million rows here would keep one core busy and the others waiting.

What it does not do: no files. A line that is no JSON is a broken row under its own number, and the rest is graded.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mario.grade.children import Children, in_order, task
from mario.grade.judge import DEFAULT, Decide
from mario.grade.options import Options
from mario.grade.rows import ERROR, UNDECIDED, graded_row
from mario.process import ChildDied, ChildTimedOut

CHUNK_LINES = 200  # 20 ms of work, so that a frame's cost is small beside it
CHUNK_BYTES = 4 << 20
LINE_BYTES = 16 << 20  # a longer line is no row of ours, and would not fit into a frame
CHUNK_SECONDS = 60.0  # a back stop; the pure part is bounded by operation counts


@dataclass(slots=True)
class Graded:
    """Verdicts of some lines.

    texts: a JSON line for each row, in order. counts: rows by (status, type). broken: line number and what is wrong.
    undecided: places in `texts` that SymPy may settle, each with the place of its line in the chunk.
    """

    texts: list[str] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: list[tuple[int, str]] = field(default_factory=list)
    undecided: list[tuple[int, int]] = field(default_factory=list)


def graded(lines: list[bytes], first: int, options: Options, last_resort: Decide | None = None) -> Graded:
    """Verdicts of lines, numbered from `first`; blank ones are left out."""
    out = Graded()
    for place, line in enumerate(lines):
        if not line.strip():
            continue
        number = first + place
        result = graded_row(parsed(line), number, options, last_resort)
        if result["status"] == ERROR:
            out.broken.append((number, result["reason"]))
        elif result["status"] == UNDECIDED:
            out.undecided.append((len(out.texts), place))
        out.counts[result["status"], result["type"] or ""] += 1
        out.texts.append(json.dumps(result, ensure_ascii=False))
    return out


def parsed(line: bytes) -> object:
    """A row; what is not JSON goes on as bytes, for `rows` to name as broken."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line


def to_bytes(batch: Graded) -> bytes:
    head = [[[*key, n] for key, n in batch.counts.items()], batch.broken, batch.undecided]
    return "\n".join([json.dumps(head), *batch.texts]).encode("utf-8", "surrogatepass")


def from_bytes(reply: bytes) -> Graded:
    head, *texts = reply.decode("utf-8", "surrogatepass").split("\n")
    counts, broken, undecided = json.loads(head)
    return Graded(texts, Counter({(s, t): n for s, t, n in counts}), [(n, why) for n, why in broken], undecided)


def grade_lines(
    lines: Iterable[bytes], *, workers: int = 1, options: Options = DEFAULT, symbolic_seconds: float = 5.0
) -> Iterator[Graded]:
    """Verdicts of JSON lines, some at a time and in order; memory does not grow with their number.

    With one worker a line's verdict comes before the next line is read; with more, a few chunks are read ahead.
    """
    children = Children()

    def pure(chunk: tuple[int, list[bytes]]) -> Graded:
        first, body = chunk
        if workers <= 1:
            return graded(body, first, options)
        try:
            return _asked(children, body, first, options, symbolic=False, seconds=CHUNK_SECONDS)
        except (ChildDied, ChildTimedOut) as error:
            if len(body) == 1:
                return _lost(body[0], first, f"the grading process ended: {error}"[:300])
            half = len(body) // 2
            return _joined(pure((first, body[:half])), pure((first + half, body[half:])), half)

    def settled(chunk: tuple[int, list[bytes]]) -> Graded:
        batch = pure(chunk)
        first, body = chunk
        if symbolic_seconds <= 0:
            return batch
        for text_place, place in batch.undecided:
            line = body[place]
            old = json.loads(batch.texts[text_place])
            try:
                new = _asked(children, [line], first + place, options, symbolic=True, seconds=symbolic_seconds)
            except ChildTimedOut:
                new = _lost(line, first + place, f"{old['reason']}; SymPy found nothing in {symbolic_seconds:g} s", old)
            except ChildDied:
                new = _lost(line, first + place, f"{old['reason']}; SymPy ran out of memory", old)
            batch.texts[text_place] = new.texts[0]
            batch.counts[old["status"], old["type"]] -= 1
            batch.counts += new.counts
        return batch

    try:
        if workers <= 1:
            for chunk in _chunks(lines, 1):
                yield settled(chunk)
        else:
            yield from in_order(settled, _chunks(lines, CHUNK_LINES), workers)
    finally:
        children.close()


def _chunks(lines: Iterable[bytes], count: int) -> Iterator[tuple[int, list[bytes]]]:
    """Lines in chunks, each with the number of its first line; none holds more than the bytes of a frame."""
    body: list[bytes] = []
    size = 0
    number = 0
    for number, line in enumerate(lines, start=1):
        line = line.rstrip(b"\n")
        if len(line) > LINE_BYTES:
            line = b"(a line of %d bytes) " % len(line) + line[:40]
        if body and (len(body) == count or size + len(line) > CHUNK_BYTES):
            yield number - len(body), body
            body, size = [], 0
        body.append(line)
        size += len(line)
        if count == 1:  # a line read is a line graded, however slowly they come
            yield number, body
            body, size = [], 0
    if body:
        yield number + 1 - len(body), body


def _asked(
    children: Children, body: list[bytes], first: int, options: Options, *, symbolic: bool, seconds: float
) -> Graded:
    head = task(options, symbolic=symbolic, kind="lines", first=first)
    return from_bytes(children.ask(head, b"\n".join(body), seconds))


def _lost(line: bytes, number: int, reason: str, known: dict[str, Any] | None = None) -> Graded:
    """The verdict on a line whose process is gone."""
    row = parsed(line)
    named = row.get("id", number) if isinstance(row, dict) else number
    blank = {"id": named, "equivalent": False, "type": "Others", "reference": None, "answer": None}
    result = {**(known or blank), "status": UNDECIDED, "reason": reason}
    return Graded([json.dumps(result, ensure_ascii=False)], Counter({(UNDECIDED, result["type"]): 1}))


def _joined(left: Graded, right: Graded, places: int) -> Graded:
    texts = len(left.texts)
    moved = [(text_place + texts, place + places) for text_place, place in right.undecided]
    return Graded(
        left.texts + right.texts, left.counts + right.counts, left.broken + right.broken, left.undecided + moved
    )
