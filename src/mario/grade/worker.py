"""The child process of a grading pool: answers chunks of pairs or of lines, and single ones for SymPy.

A request is a head (JSON: `kind`, `type`, `options`, `symbolic`) on its first line, then a body. Pairs come as JSON
`[[reference, answer], ..]` and go as a list of [status, reason, reference, answer]; lines come and go as text (see
`lines`). A chunk needs milliseconds; a symbolic request may need for ever, and the parent kills it.

What it does not do: it keeps no state between requests but caches.
"""

from __future__ import annotations

import json

from mario.grade.judge import Decide, grade
from mario.grade.kinds import AnswerType
from mario.grade.lines import graded, to_bytes
from mario.grade.options import Options
from mario.process import serve

MEMORY_MB = 1024


def handle(request: bytes) -> bytes:
    head, _, body = request.partition(b"\n")
    task = json.loads(head)
    options = Options(**task["options"])
    answer_type = AnswerType(task["type"]) if task["type"] else None
    last: Decide | None = None
    if task["symbolic"]:
        from mario.grade.symbolic import decide

        last = decide
    if not body:
        return b""
    if task["kind"] == "lines":
        return to_bytes(graded(body.splitlines(keepends=True), task["first"], options, last))
    out = []
    for reference, answer in json.loads(body):
        try:
            verdict = grade(reference, answer, answer_type=answer_type, options=options, last_resort=last)
            out.append([verdict.status, verdict.reason, verdict.reference, verdict.answer])
        except Exception as error:  # one pair must not cost the chunk; the parent reports it as undecided
            out.append(["undecided", f"{type(error).__name__}: {error}"[:300], None, None])
    return json.dumps(out).encode()


if __name__ == "__main__":
    serve(handle, memory_mb=MEMORY_MB)
