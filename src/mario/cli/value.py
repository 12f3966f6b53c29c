"""`mario value`: what a value model says of the attempts that a run has stored, and how far it can be trusted."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.progress import Line, duration, say, short
from mario.data.readers import read_problems
from mario.estimate import Estimate
from mario.provenance import to_json
from mario.store.run import read_manifest
from mario.value import ValueConfig, ValueModel, read_values, score_run
from mario.value.calibrate import Quality, quality
from mario.value.fitting import Calibrated, calibrate_run, learnt_from, outcomes
from mario.value.score import Progress


@dataclass(frozen=True, slots=True)
class ValueRecipe:
    """Valuing the attempts of a run.

    run: output directory of mario evaluate or mario annotate
    calibrate: fit the temperature on this run, and store it with the model; never on a test set
    bias: with calibrate, fit a bias too (Platt): for a model trained on another share of right attempts
    seed: of the split into problems to fit on and problems to check on
    """

    run: Path
    calibrate: bool = False
    bias: bool = False
    seed: int = 0
    value: ValueConfig = field(default_factory=ValueConfig)


@dataclass(frozen=True, slots=True)
class ValueResult:
    """What scoring a run gave; `learnt` of its `problems` the model was trained on."""

    name: str
    attempts: int
    unvalued: int
    quality: Quality
    problems: int
    learnt: int
    calibrated: Calibrated | None = None


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario value",
        description="Score the attempts that a run has stored, and say how far the values can be trusted. What is\n"
        "scored is not scored again. Values lie beside the attempts, in RUN/values/NAME.",
        epilog="example: mario value runs/evaluated --model runs/ovm",
    )
    parser.add_argument("run", nargs="?", type=Path, help="output directory of mario evaluate or mario annotate")
    parser.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    add_settings(parser, ValueRecipe, skip=("run",), short={"value.model": "model", "value.name": "name"})
    args = parser.parse(argv)
    result = value_with_progress(resolve(ValueRecipe, args, run=args.run))
    print(json.dumps(to_json(result), indent=2) if args.json else table(result))
    return 0


def value_with_progress(config: ValueRecipe) -> ValueResult:
    model = ValueModel(config.value, say)
    try:
        with Line(f"{config.run.name} by {model.name}") as line:
            progress = score_run(config.run, model, values_on(line))
    finally:
        model.close()
    calibrated = None
    if config.calibrate:
        calibrated = calibrate_run(config.run, model, with_bias=config.bias, seed=config.seed)
    values = read_values(config.run)
    if read_manifest(config.run).kind == "evaluate" and (config.run / "summary.json").exists():
        _refresh(config.run)
    mine = next(valued for valued in values if valued.name == model.name)
    problems = {problem.id: problem for problem in read_problems(config.run / "problems.jsonl")}
    return ValueResult(
        name=model.name,
        attempts=progress.done,
        unvalued=progress.done - len(mine.logits),
        quality=quality(outcomes(config.run, mine, problems)),
        problems=len(problems),
        learnt=len(learnt_from(model, problems.values())),
        calibrated=calibrated,
    )


def _refresh(root: Path) -> None:
    """An evaluation's summary says what its values are worth as soon as they are there."""
    from mario.evaluate.results import read_results
    from mario.evaluate.summary import refresh

    results = read_results(root)
    refresh(root, results.judged, results.values)


def values_on(line: Line) -> Callable[[Progress], None]:
    """Shows the progress of scoring on a status line, from now on."""
    began = time.monotonic()

    def tell(progress: Progress) -> None:
        text = values_line(progress, time.monotonic() - began)
        line.show(f"values: {text}", force=progress.done == progress.total)

    return tell


def values_line(progress: Progress, seconds: float) -> str:
    fresh = progress.done - progress.resumed
    parts = [f"{progress.done}/{progress.total} attempts"]
    if progress.resumed:
        parts.append(f"{progress.resumed} from before")
    if progress.unvalued:
        parts.append(f"{progress.unvalued} too long to value")
    if fresh and seconds > 0:
        parts += [f"{fresh / seconds:.1f}/s", f"{short(progress.tokens / seconds)} tokens/s"]
        if progress.total > progress.done:
            parts.append(f"{duration((progress.total - progress.done) * seconds / fresh)} left")
    parts.append(duration(seconds))
    return " · ".join(parts)


def table(result: ValueResult) -> str:
    lines = [f"{result.name}: {result.attempts} attempts" + _unvalued(result)]
    lines += _figures(result.quality)
    if result.learnt:
        lines.append(
            f"  {result.name} learnt from {result.learnt} of the {result.problems} problems, and figures over these "
            "flatter it; --calibrate leaves them out"
        )
    if result.calibrated is not None:
        found = result.calibrated
        bias = f", bias {found.card.bias:+.3f}" if found.card.bias is not None else ""
        left = f" ({found.left_out} left out: the model learnt them)" if found.left_out else ""
        lines += [
            "",
            f"calibrated: temperature {found.card.temperature:.3f}{bias}, fitted on {found.fitted_on} problems{left};",
            f"on {found.before.right.n} others   before   after",
        ]
        for name, of in _CALIBRATED.items():
            lines.append(f"  {name:<14} {of(found.before):8.4f} {of(found.after):8.4f}")
    return "\n".join(lines)


_CALIBRATED: dict[str, Callable[[Quality], float]] = {
    "log loss": lambda q: q.log_loss,
    "Brier score": lambda q: q.brier.value,
    "error (ECE)": lambda q: q.error,
    "AUROC": lambda q: q.auroc.value,
}


def _unvalued(result: ValueResult) -> str:
    return f", {result.unvalued} of them too long to value" if result.unvalued else ""


def _figures(found: Quality) -> list[str]:
    rows = [
        ("right", _shown(found.right)),
        ("AUROC", _shown(found.auroc)),
        ("AUROC within a problem", _shown(found.within)),
        ("Brier score", _shown(found.brier)),
        ("log loss", f"{found.log_loss:.4f}" if found.samples else "–"),
        ("calibration error (ECE)", f"{found.error:.4f}"),
    ]
    return [f"  {name:<24} {text}" for name, text in rows]


def _shown(rate: Estimate) -> str:
    if math.isnan(rate.value):
        return "–"
    return f"{rate.value:.4f}  [{rate.low:.4f}, {rate.high:.4f}]  n = {rate.n} problems"
