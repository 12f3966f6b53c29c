"""The report to look at: counts by benchmark and rule, then every pair side by side, shared words marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from mario.data.decontaminate.benchmark import Method
from mario.data.decontaminate.config import Decontamination
from mario.page import document, render
from mario.store.jsonl import whole_file

_PACKAGE = "mario.data.decontaminate"


def write_page(path: Path, made: Decontamination, pairs: Sequence[Mapping[str, Any]]) -> None:
    body = render(_PACKAGE, "page.html.j2", made=made, rules=[rule.value for rule in Method], shown=len(pairs))
    text = document(
        "Training problems against benchmarks",
        body,
        styles=[(files(_PACKAGE) / "page.css").read_text("utf-8")],
        scripts=[(files(_PACKAGE) / "page.js").read_text("utf-8")],
        data={"pairs": [dict(pair) for pair in pairs]},
    )
    with whole_file(path) as file:
        file.write(text.encode())
