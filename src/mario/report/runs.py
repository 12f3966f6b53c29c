"""What a report is made of, and the words, colours and links that every part of it shares.

One idea: a number on the page is a link to the attempts it was counted from (`find`).
What this module does not do: it counts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from mario.evaluate.metrics import Comparison, Estimate, Judged
from mario.types import Manifest, Problem
from mario.value.calibrate import Quality

MODES = {"code": "with interpreter", "text": "without interpreter"}
SPLITS = {
    "test-shared": "Templates seen in training, new numbers",
    "test-heldout": "Templates never trained on",
}


@dataclass(frozen=True, slots=True)
class ReportRun:
    """One evaluation, as it was stored. Runs are shown in the order given, the main one last.

    name: short and unique in the report, such as `trained-code`
    model_label: what the model is, in full: `SmolLM2-135M-Instruct (dequantised from Q4_1)`
    mode: `code` (interpreter), `text` (none), or another word, which is shown as it is
    failures: attempts our side could not finish; never counted as wrong
    manifest: what made the run; None where it is not known
    command: what to type to make it again
    estimates: rates that need more than the attempts, by column head, such as `maj@8`
    curves: rates over k samples, by strategy and then by k; `pass` is the oracle
    compared: the strategies that go by values against the majority, on the same samples
    quality: how good the values are, by value model
    values: the chance of being right at the end of every turn, by problem and sample, of the model `valued_by`
    """

    name: str
    model_label: str
    mode: str
    judged: Sequence[Judged]
    failures: int = 0
    manifest: Manifest | None = None
    command: str | None = None
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    curves: Mapping[str, Mapping[int, Estimate]] = field(default_factory=dict)
    compared: Mapping[str, Comparison] = field(default_factory=dict)
    quality: Mapping[str, Quality] = field(default_factory=dict)
    values: Mapping[tuple[str, int], Sequence[float]] = field(default_factory=dict)
    valued_by: str | None = None

    @property
    def mode_label(self) -> str:
        return MODES.get(self.mode, self.mode)

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits of its problems: shared templates first, then held out, then the rest by name."""
        known = list(SPLITS)
        found = {row.problem.split for row in self.judged}
        return tuple(sorted(found, key=lambda s: (known.index(s) if s in known else len(known), s)))

    def of_split(self, split: str | None) -> Sequence[Judged]:
        """Its attempts at problems of one split; None is all of them."""
        return self.judged if split is None else [row for row in self.judged if row.problem.split == split]


@dataclass(frozen=True, slots=True)
class Axis:
    """How hard problems are, as far as their records tell: the number of digits, else the data set's own level."""

    title: str
    field: str  # "digits" or "level"
    values: tuple[str, ...]

    def of(self, problem: Problem) -> str | None:
        return difficulty(problem, self.field)


def difficulty(problem: Problem, name: str) -> str | None:
    value = problem.tags.get("digits") if name == "digits" else problem.level
    return None if value is None else str(value)


def axis_of(runs: Sequence[ReportRun]) -> Axis | None:
    """Digits where any problem says how many it has, else levels; None where problems have neither."""
    problems = [row.problem for run in runs for row in run.judged]
    for name, title in (("digits", "Number of digits"), ("level", "Level")):
        found = {value for problem in problems if (value := difficulty(problem, name)) is not None}
        if found:
            return Axis(title, name, tuple(sorted(found, key=_natural)))
    return None


def _natural(value: str) -> tuple[int, int, str]:
    return (0, int(value), "") if value.isascii() and value.isdigit() and len(value) < 10 else (1, 0, value)


@dataclass(frozen=True, slots=True)
class Style:
    """How a run is drawn: colour says the mode, dash and symbol say the model, so neither rests on colour alone."""

    colour: str
    dash: str
    symbol: str


_DASHES = ("solid", "dot", "dash", "dashdot", "longdash")
_SYMBOLS = ("circle", "square-open", "diamond", "triangle-up-open", "cross")
_COLOURS = 8


def styles(runs: Sequence[ReportRun]) -> list[Style]:
    """One style a run. The model of the last run, the main one, gets the solid line."""
    modes = [*MODES, *dict.fromkeys(run.mode for run in runs if run.mode not in MODES)]
    models = list(dict.fromkeys(run.model_label for run in reversed(runs)))
    twins = len({(run.mode, run.model_label) for run in runs}) < len(runs)
    colours = list(range(len(runs))) if twins else [modes.index(run.mode) for run in runs]
    shapes = [models.index(run.model_label) for run in runs]
    return [
        Style(f"var(--c{c % _COLOURS})", _DASHES[s % len(_DASHES)], _SYMBOLS[s % len(_SYMBOLS)])
        for c, s in zip(colours, shapes, strict=True)
    ]


def split_label(split: str | None) -> str:
    if split is None:
        return "all"
    return f"{SPLITS[split]} ({split})" if split in SPLITS else split


def find(**filters: str | int | None) -> str:
    """A link to the attempts that pass all these filters; the page's script reads it back."""
    kept = {name: value for name, value in filters.items() if value is not None}
    return "#find?" + urlencode(kept, quote_via=quote, errors="replace")


def problem_anchor(problem_id: str) -> str:
    """A link to all attempts at one problem."""
    return "#" + quote(problem_id, safe="/", errors="replace")
