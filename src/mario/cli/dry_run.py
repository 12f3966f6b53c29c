"""`--dry-run`: what a command would attempt, and the first prompt it would send; nothing is called."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

from mario.cli.places import problems_file
from mario.data.readers import read_problems
from mario.solve import SolveConfig
from mario.transcript import Demonstration, format_named


def show_plan(
    files: tuple[Path, ...],
    limit: int | None,
    who: str,
    solve: SolveConfig,
    demonstrations: tuple[Demonstration, ...] = (),
) -> None:
    """Count the problems (so every row is read and checked) and print the first prompt."""
    problems = [problem for file in files for problem in islice(read_problems(problems_file(file)), limit)]
    attempts = len(problems) * solve.samples
    print(
        f"{len(problems)} problems, {solve.samples} samples each: {attempts} attempts by {who}, format {solve.format}"
    )
    if not problems:
        return
    format = format_named(solve.format)
    context = format.start(problems[0].question, demonstrations)
    print(f"first prompt ({problems[0].id}):\n")
    print(
        "".join(span.text for span in context.spans) or json.dumps(list(context.messages), indent=2, ensure_ascii=False)
    )
