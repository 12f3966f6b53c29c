"""A training set as other people's files: Parquet and JSON lines, the forms of trainers, a card, a manifest.

    rows.py    one attempt in both renderings: tool messages, and the paper's text with its authors
    forms.py   the same row as OpenAI, TRL, ShareGPT, axolotl, verl and hub traces want it
    files.py   writers whose bytes depend on the rows alone
    card.py    README.md: what the set holds, and every count on the way to it
    run.py     a directory in, a directory out
    push.py    onto the hub

What this package does not do: choose rows (`annotate.select`) or compare them with benchmarks (`data.decontaminate`).
"""

from mario.export.config import FORMS, ExportConfig
from mario.export.run import Exported, export

__all__ = ["FORMS", "ExportConfig", "Exported", "export"]
