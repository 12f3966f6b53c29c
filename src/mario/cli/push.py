"""`mario push`: a trained directory onto the hub, with the results that its card shall show.

A verb of its own, and no flag of training: results come from evaluations that are made after training, training
resumes when its command is run again, and publishing should happen when somebody says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mario.cli.arguments import Parser
from mario.cli.export import plan_text
from mario.cli.progress import say
from mario.data.readers import read_problems
from mario.engine.checkpoint import fingerprint
from mario.errors import StoreError, UsageError
from mario.estimate import Estimate
from mario.export.push import check_name, plan_model_push, push
from mario.provenance import from_json
from mario.solve.vote import VALUED
from mario.store.jsonl import whole_file
from mario.store.run import read_manifest
from mario.train.publish import Result, card
from mario.types import Manifest
from mario.value.score import VALUES


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario push",
        description="Check a trained directory and upload it; the repository is created private unless --public is\n"
        "given. With --results or --licence its model card is written anew first; without, it stays as it is.",
        epilog="example: mario push runs/model --to OWNER/NAME --results runs/judged --licence apache-2.0 --dry-run",
    )
    parser.add_argument("model", type=Path, help="directory that mario train wrote")
    parser.add_argument("--to", required=True, metavar="OWNER/NAME", help="repository of the hub")
    parser.add_argument(
        "--results",
        nargs="+",
        type=Path,
        default=[],
        metavar="RUN",
        help="directories of mario evaluate, of this model or valued by it",
    )
    parser.add_argument("--licence", help="as the hub spells it (apache-2.0); without it what the base's card says")
    parser.add_argument("--public", action="store_true", help="create the repository public; without it, private")
    parser.add_argument("--dry-run", action="store_true", help="write the card, check everything, upload nothing")
    args = parser.parse(argv)
    check_name(args.to)
    manifest = read_manifest(args.model)
    if manifest.kind not in ("sft", "ovm", "lm"):
        raise UsageError(
            f"{args.model} holds no trained model (it is of kind {manifest.kind}); name one of mario train"
        )
    results = [row for run in args.results for row in results_of(run, args.model)]
    if manifest.seconds is not None and (results or args.licence):
        with whole_file(args.model / "README.md") as file:
            file.write(card(manifest, results, args.licence).encode("utf-8", "backslashreplace"))
    plan = plan_model_push(args.model, args.to, private=not args.public)
    say(plan_text(plan))
    if args.dry_run:
        say("dry run: nothing was uploaded")
    else:
        say(f"pushed to {push(args.model, plan)}")
    return 0


def results_of(run: Path, model: Path) -> Iterator[Result]:
    """The rows of a card that an evaluation gives: one a split, what is chosen among samples, what values are worth.

    A value model's card also names evaluations of other models whose samples it has valued.

    Raises:
        UsageError: it is of another model. StoreError: it is no evaluation, or not finished.
    """
    manifest = read_manifest(run)
    if manifest.kind != "evaluate" or not (run / "summary.json").exists():
        raise StoreError(f"{run} is no finished evaluation; name a directory that mario evaluate wrote")
    engine, known = manifest.inputs["engine"], fingerprint(model)
    mark = known.removeprefix("sha256:")[:12]
    is_own = not engine.endswith("]") or f"[{mark}, " in engine
    values = next((name for name, valued_by in _value_models(run) if valued_by == known), None)
    if not is_own and values is None:
        raise UsageError(
            f"{run} judged {engine}, and {model} is [{mark}]; name evaluations of this model, or of samples that it "
            "has valued"
        )
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    sources: dict[str, set[str]] = {}
    for problem in read_problems(run / "problems.jsonl"):
        sources.setdefault(problem.split, set()).add(problem.source)
    names = {split: f"{', '.join(sorted(sources.get(split, ())))} {split}".strip() for split in summary["by_split"]}
    settings = _settings(manifest, engine, summary)
    if is_own:
        for split, rate in summary["by_split"].items():
            yield Result(names[split], "accuracy", from_json(Estimate, rate), settings)
    else:
        settings = f"samples by {engine}: {settings}"
    yield from _of_samples(summary.get("choosing", {}), ", ".join(names.values()), settings, values, is_own=is_own)


def _value_models(run: Path) -> Iterator[tuple[str, str]]:
    """The names of a run's values, each with the fingerprint of the model that gave them."""
    for path in sorted((run / VALUES).glob("*/manifest.json")):
        yield path.parent.name, read_manifest(path.parent).inputs["model"]


def _of_samples(
    choosing: Mapping[str, Any], problems: str, settings: str, values: str | None, *, is_own: bool
) -> Iterator[Result]:
    """Strategies with all samples of a problem, and how good the values are that the model named `values` gave."""
    qualities, rates = choosing.get("values", {}), choosing.get("rates", {})
    by = "" if len(qualities) == 1 else f" by {values}"
    wanted = {"majority": "majority"} if is_own else {}
    wanted |= {name: f"{name}{by}" for name in VALUED} if values in qualities else {}
    for name, stored in wanted.items():
        for k in sorted(rates.get(stored, {}), key=int)[-1:]:
            yield Result(problems, f"{name}@{k}", from_json(Estimate, rates[stored][k]), settings)
    for measure, key in (("AUROC", "auroc"), ("Brier score", "brier")) if values in qualities else ():
        found = qualities[values][key]
        if found["value"] is not None:  # nothing right, or nothing wrong: no ranking
            yield Result(problems, measure, from_json(Estimate, found), settings, is_share=False)


def _settings(manifest: Manifest, engine: str, summary: dict[str, object]) -> str:
    solve = manifest.recipe["solve"]
    samples = solve["samples"]
    drawn = f"temperature {solve['temperature']:g}" if solve["temperature"] else "greedy"
    parts = [f"{samples} sample{'s' * (samples > 1)} a problem, {drawn}, format {solve['format']}"]
    if manifest.recipe.get("shots"):
        parts.append(f"{manifest.recipe['shots']} shots")
    if not engine.endswith("]"):
        parts.append(f"served as {engine}")
    if summary.get("trained_on"):
        parts.append(f"{summary['trained_on']} of the problems were trained on")
    return "; ".join(parts)
