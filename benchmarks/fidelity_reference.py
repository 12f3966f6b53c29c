"""Plain Python as a notebook: what sandboxed kernels are compared with. One process a session, no sandbox.

    echo '{"cells": ["x = 2", "x + 1"], "echo": true}' | python fidelity_reference.py

Reads one session as JSON from stdin, prints one line of JSON a cell: what it wrote, and whether it raised. Written
apart from the kernels and by other means, so that it is a second opinion: `compile(…, "single")` and `sys.displayhook`
for the echo, `StringIO` for what is written, `traceback` for errors. It shares no code with the package.

The programs are not trusted: run it only in a machine that may be thrown away.
"""

from __future__ import annotations

import ast
import io
import json
import os
import resource
import sys
import traceback
import types

CPU_SECONDS = 12  # with the imports; the kernels, which have imported before, get 10
MEMORY_BYTES = 4 << 30  # for the machine's sake; the kernels' own limit is far below


def main() -> None:
    session = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.stdin = io.StringIO()
    for cell in session["cells"]:
        written = io.StringIO()
        sys.stdout = sys.stderr = written
        error = run(cell, module.__dict__, session["echo"])
        text = written.getvalue()
        if error:
            text += ("\n" if text and not text.endswith("\n") else "") + error
        print(json.dumps({"output": text, "failed": bool(error)}), file=answers, flush=True)


def run(cell: str, namespace: dict[str, object], echo: bool) -> str:
    """Run one cell; the last line of its traceback, without the module of the error's class, if it raised."""
    try:
        body = ast.parse(cell).body
        if echo and body and isinstance(body[-1], ast.Expr):
            sys.displayhook = sys.__displayhook__
            exec(compile(ast.Module(body[:-1], []), "<cell>", "exec", dont_inherit=True), namespace)
            exec(compile(ast.Interactive(body[-1:]), "<cell>", "single", dont_inherit=True), namespace)
        else:
            exec(compile(cell, "<cell>", "exec", dont_inherit=True), namespace)
    except SystemExit as error:
        return f"SystemExit: {error}" if error.code else ""
    except BaseException as error:
        *_, last = traceback.TracebackException.from_exception(error).format_exception_only()
        return last.removeprefix(f"{type(error).__module__}.")
    return ""


if __name__ == "__main__":
    main()
