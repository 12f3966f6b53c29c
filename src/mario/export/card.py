"""The card: what the data set holds, how each row got there, and what it must not be mistaken for.

Everything is computed from the set; nothing is claimed that was not counted. The header is the hub's YAML, written by
hand so that its bytes do not depend on a library.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mario.data.trainingset import TrainingSet
from mario.export.config import ExportConfig
from mario.export.rows import FIELDS
from mario.store.jsonl import whole_file

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_HUB_LICENCES = {"MIT": "mit", "Apache-2.0": "apache-2.0", "CC BY 4.0": "cc-by-4.0", "CC BY-SA 4.0": "cc-by-sa-4.0"}
_FORM_NOTES = {
    "openai": "`forms/openai.jsonl`: chat fine-tuning with tool calls, arguments as a JSON string",
    "trl": "`forms/trl.jsonl`: `messages` and `tools` for TRL's SFTTrainer, arguments as an object",
    "sharegpt": "`forms/sharegpt.jsonl`: the inline text as turns, outputs as observations; `forms/dataset_info.json` "
    "names it for LLaMA-Factory",
    "axolotl": "`forms/axolotl.jsonl`: `type: input_output`, the inline text with its exact mask",
    "verl": "`forms/verl-sft.parquet` (multi-turn rows) and `forms/verl-rl.parquet` (every problem with its reference "
    "answer, solved or not)",
    "traces": "`forms/traces/`: the first attempts as sessions for the hub's trace viewer",
}


@dataclass(slots=True)
class Sources:
    """What is counted while rows pass."""

    rows: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # source, split, licence
    calls: Counter[int] = field(default_factory=Counter)
    support: Counter[int] = field(default_factory=Counter)
    problems: int = 0
    shapes: int = 0
    _problem: str | None = None
    _shapes: set[str] = field(default_factory=set)

    def add(self, row: Mapping[str, Any]) -> None:
        """Rows of one problem come together."""
        self.rows[row["source"], row["split"], row["licence"] or ""] += 1
        self.calls[row["n_calls"]] += 1
        self.support[row["support"] or 3] += 1
        if row["problem_id"] != self._problem:
            self.problems += 1
            self._problem, self._shapes = row["problem_id"], set()
        if row["shape"] not in self._shapes:
            self._shapes.add(row["shape"])
            self.shapes += 1


def write_card(path: Path, config: ExportConfig, made: TrainingSet, sources: Sources) -> None:
    text = "\n".join([*_header(config, made, sources), *_body(config, made, sources)]) + "\n"
    with whole_file(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def _header(config: ExportConfig, made: TrainingSet, sources: Sources) -> Iterator[str]:
    yield "---"
    yield f"pretty_name: {json.dumps(config.title, ensure_ascii=False)}"
    yield f"license: {_licence(config, sources)}"
    yield "language: [en]"
    yield "task_categories: [text-generation]"
    yield "tags: [math, reasoning, tool-use, code-interpreter, agent-traces]"
    yield f"size_categories: [{next((name for most, name in _SIZES if made.kept < most), '1M<n<10M')}]"
    yield "configs:"
    yield "- config_name: default"
    yield "  data_files: [{split: train, path: data/train.parquet}]"
    if made.incorrect:
        yield "- config_name: incorrect"
        yield "  data_files: [{split: train, path: data/incorrect.parquet}]"
    yield "---"


def _licence(config: ExportConfig, sources: Sources) -> str:
    if config.licence:
        return config.licence
    found = {licence for _, _, licence in sources.rows}
    return _HUB_LICENCES.get(found.pop(), "other") if len(found) == 1 else "other"


def _body(config: ExportConfig, made: TrainingSet, sources: Sources) -> Iterator[str]:
    yield f"# {config.title}\n"
    if config.description:
        yield f"{config.description}\n"
    yield (
        f"{made.kept:,} verified solutions of {sources.problems:,} mathematics problems: text, Python, and the output "
        "that a sandboxed interpreter gave, in turns. Counted problem by problem they have "
        f"{sources.shapes:,} different program shapes. Each is there twice: as native tool calls (`messages`, `tools`) "
        "and as the paper's inline text (`text`, `spans`).\n"
    )
    yield '```python\nfrom datasets import load_dataset\n\nrows = load_dataset(PATH_OR_NAME, split="train")\n```\n'
    yield "## From problem to row\n"
    yield "Every filter with its reasons; the numbers add up, and `drops.jsonl` names each row that was left out.\n"
    yield from _table(
        ("filter", "unit", "came", "went on", "dropped"),
        [(step.name, step.unit, f"{step.taken:,}", f"{step.kept:,}", _reasons(step.dropped)) for step in made.filters],
    )
    yield f"{_support(sources)}\n"
    if made.incorrect:
        yield (
            f"`data/incorrect.*` holds {made.incorrect:,} attempts with a wrong answer or none (`correct` is false), "
            "meant for training a value model together with the rows above. Do not fine-tune on them.\n"
        )
    yield "## Teacher\n"
    yield from _table(
        ("model", "format", "temperature", "top-p", "max. new tokens", "attempts"),
        [
            (
                t["model"],
                t["format"],
                f"{t['temperature']:g}",
                f"{t['top_p']:g}",
                t["max_new_tokens"],
                f"{t['attempts']:,}",
            )
            for t in made.teachers
        ],
    )
    if made.notes:
        yield "Of the rows chosen: " + "; ".join(f"{count:,}: {note}" for note, count in made.notes.items()) + ".\n"
    yield f"Cost: {_cost(made.cost)}\n"
    if made.prompt:
        yield "The first prompt, as sent:\n"
        yield f"````text\n{made.prompt.rstrip()}\n````\n"
    yield "## Benchmarks it was compared with\n"
    yield from _compared(made)
    yield "## Sources and licences\n"
    yield from _table(
        ("source", "split", "licence", "rows"),
        [(*key[:2], key[2] or "not stated", f"{count:,}") for key, count in sorted(sources.rows.items())],
    )
    yield (
        "Questions and reference answers come from these sources and stay under their licences; what a model wrote is "
        "also under its maker's terms.\n"
    )
    yield "## Columns\n"
    yield from _table(("column", "what it holds"), [(f"`{name}`", held) for name, held in FIELDS])
    if config.forms:
        yield "## Forms\n"
        yield "\n".join(f"- {_FORM_NOTES[name]}" for name in config.forms) + "\n"
    yield "## What it is not\n"
    yield (
        "A right answer does not make a right solution: reasons were read by nobody unless it is said above, and a "
        "reference answer can itself be wrong. `manifest.json` has the recipe, the hash of every input and of every "
        "file here; the same inputs and recipe give the same bytes."
    )


def _reasons(dropped: Mapping[str, int]) -> str:
    return "; ".join(f"{count:,} {reason}" for reason, count in dropped.items()) or "none"


def _support(sources: Sources) -> str:
    names = {1: "an output holds the answer", 2: "every snippet ran", 3: "neither, or no code at all"}
    return (
        "Support of the answer: "
        + ", ".join(f"{sources.support[level]:,} {name}" for level, name in names.items() if sources.support[level])
        + f". Snippets a solution: {', '.join(f'{n}: {count:,}' for n, count in sorted(sources.calls.items()))}."
    )


def _compared(made: TrainingSet) -> Iterator[str]:
    if not made.compared:
        yield "None: this set has **not** been decontaminated.\n"
        return
    yield (
        "Rules: the same question; the same but for numbers; a shared run of 13 words; near-duplicate (Jaccard index "
        "of 5-word runs at least 0.6, numbers masked); reworded with the same numbers. Thresholds are in the recipe.\n"
    )
    yield from _table(
        ("benchmark", "questions", "training problems like one", "by rule", "done"),
        [
            (
                b["name"],
                f"{b['questions']:,}",
                f"{b['matching_problems']:,}",
                _reasons(b["by_rule"]),
                b["action"],
            )
            for b in made.compared
        ],
    )


def _cost(cost: Mapping[str, Any]) -> str:
    if not cost:
        return "none; no paid endpoint was called."
    shown = [
        f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int) else f"{name.replace('_', ' ')} {value}"
        for name, value in cost.items()
        if isinstance(value, int | float | str)
    ]
    return ", ".join(shown) + "."


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Iterator[str]:
    def line(cells: tuple[Any, ...]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    yield line(head)
    yield line(("---",) * len(head))
    yield from map(line, rows)
    yield ""
