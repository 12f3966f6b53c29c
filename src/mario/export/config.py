"""The settings of a published data set, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mario.errors import UsageError

Form = Literal["openai", "trl", "sharegpt", "axolotl", "verl", "traces"]
FORMS: tuple[Form, ...] = ("openai", "trl", "sharegpt", "axolotl", "verl", "traces")


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """A data set to publish.

    source: directory of a training set, made by mario annotate, self-train or data decontaminate
    title: name of the data set in its card
    description: a sentence or two for the card
    licence: of the whole, as the hub spells it (mit, cc-by-4.0); none takes the sources' own when they agree
    forms: beside Parquet and JSON lines: openai, trl, sharegpt, axolotl, verl, traces
    traces: attempts shown as sessions in the hub's viewer, one file each
    allow: test sets, as SOURCE-SPLIT, whose problems may be published as training rows
    """

    source: Path
    title: str = "Tool-integrated solutions"
    description: str = ""
    licence: str | None = None
    forms: tuple[Form, ...] = FORMS
    traces: int = 100
    allow: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.traces < 0:
            raise UsageError(f"traces must not be negative, got {self.traces}")
