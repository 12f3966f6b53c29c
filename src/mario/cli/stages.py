"""`mario run RECIPE`: all stages of one experiment, from one TOML file.

A stage is a table `[stages.NAME]` with a `verb` and that verb's settings; a text that opens with `@` names another
stage's output. Every stage writes into OUT/NAME and resumes or is skipped by its own means, so the same
command goes on after any interruption. The recipe, with the flags that changed it, is written beside the outputs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mario.cli.arguments import Parser
from mario.cli.places import recipe_file
from mario.cli.progress import duration, say
from mario.errors import UsageError
from mario.recipe import build, read_toml, set_path, toml_value, unknown_key
from mario.store import write_json

if TYPE_CHECKING:
    from mario.train.loop import TrainResult

STAGE_VERBS = (
    "data",
    "augment",
    "annotate",
    "decontaminate",
    "export",
    "train",
    "train-lm",
    "train-ovm",
    "self-train",
    "evaluate",
    "value",
    "report",
)


@dataclass(frozen=True, slots=True)
class Experiment:
    """The whole file.

    out: directory of all outputs
    """

    out: Path
    stages: Mapping[str, Any] = field(default_factory=dict)


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario run",
        description="Run all stages of a recipe; run it again to resume.",
        epilog="Settings of a stage are flags too: --stages.NAME.setting VALUE\n\nexample: mario run recipes/demo.toml",
    )
    parser.add_argument("recipe", help="TOML file with [stages.NAME] tables, or the name of one of ours, such as demo")
    parser.add_argument("--out", metavar="DIRECTORY", help="instead of the recipe's own")
    parser.add_argument("--dry-run", action="store_true", help="check every stage and print the plan; run nothing")
    args, rest = parser.parse_known_args(argv)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            "mario run is one process, and several were started; train alone in several: mario train (docs/training.md)"
        )
    recipe = recipe_file(args.recipe)
    tables = read_toml(recipe)
    if args.out:
        tables["out"] = args.out
    for path, text in _overrides(rest):
        _, name, *_ = path.split(".")
        if name not in (tables.get("stages") or {}):
            raise UsageError(f"recipe {recipe}: {unknown_key(name, list(tables.get('stages') or {}), 'stage')}")
        set_path(tables, path, toml_value(text))
    experiment = build(Experiment, tables, f"recipe {recipe}")
    if not experiment.stages:
        raise UsageError(f'recipe {args.recipe}: no stages; write a table such as [stages.problems] with verb = "data"')
    plan: list[Stage] = []
    for name, table in experiment.stages.items():
        plan.append(_stage(name, table, experiment, recipe, [stage.name for stage in plan]))
    if args.dry_run:
        for stage in plan:
            say(f"{stage.name}: {stage.verb} -> {stage.out}")
        return 0
    write_json(experiment.out / "recipe.json", tables)
    began = time.monotonic()
    failed = 0
    for index, stage in enumerate(plan, start=1):
        say(f"\n[{index}/{len(plan)}] {stage.name} ({stage.verb}) · {duration(time.monotonic() - began)} so far")
        failed += stage.go()
    say(f"\ndone in {duration(time.monotonic() - began)}; outputs in {experiment.out}")
    return 3 if failed else 0


def _overrides(rest: list[str]) -> list[tuple[str, str]]:
    """`--stages.NAME.setting value` pairs."""
    pairs = list(zip(rest[::2], rest[1::2], strict=False))
    if len(rest) % 2 or not all(flag.startswith("--stages.") for flag, _ in pairs):
        odd = next((flag for flag in rest[::2] if not flag.startswith("--stages.")), rest[-1])
        raise UsageError(f"unexpected {odd!r}; settings of a stage are flags such as --stages.NAME.limit 10")
    return [(flag.removeprefix("--"), text) for flag, text in pairs]


@dataclass(frozen=True, slots=True)
class Stage:
    """One checked stage: its settings are a recipe of its verb."""

    name: str
    verb: str
    config: Any
    out: Path

    def go(self) -> int:
        """Do the work; returns how many attempts failed on our side."""
        match self.verb:
            case "data":
                from mario.cli.data import make_problems

                print(f"{make_problems(self.config, self.out)} problems")
            case "augment":
                from mario.cli.augment import augment_with_progress
                from mario.cli.augment import table as augment_table

                made = augment_with_progress(self.config, self.out)
                print(augment_table(made))
                return made.failures
            case "annotate":
                from mario.cli.annotate import annotate_with_progress, table

                result = annotate_with_progress(self.config, self.out)
                print(table(result))
                return result.failures
            case "decontaminate":
                from mario.cli.decontaminate import decontaminated
                from mario.cli.decontaminate import table as decontamination_table

                print(decontamination_table(decontaminated(self.config, self.out)))
            case "export":
                from mario.cli.export import table as export_table
                from mario.export import export

                print(export_table(export(self.config, self.out)))
            case "train" | "train-lm" | "train-ovm":
                from mario.cli.train_run import table as trained_table

                print(trained_table(_train(self.verb, self.config, self.out)))
            case "self-train":
                from mario.cli.self_train import self_train_with_progress
                from mario.selftrain.table import table as rounds_table

                trained = self_train_with_progress(self.config, self.out)
                print(rounds_table(trained))
                return trained.failures
            case "evaluate":
                from mario.cli.evaluate import evaluate_with_progress
                from mario.cli.evaluate import table as summary_table

                summary = evaluate_with_progress(self.config, self.out)
                print(summary_table(summary))
                return summary.failures
            case "value":
                from mario.cli.value import table as value_table
                from mario.cli.value import value_with_progress

                print(value_table(value_with_progress(self.config)))
            case "report":
                from mario.cli.report import make_report

                print(make_report(self.config, self.out))
                say(f"report in {self.out}")
        return 0


def _train(verb: str, config: Any, out: Path) -> TrainResult:
    match verb:
        case "train-lm":
            from mario.cli.train_lm import train_with_progress as train_lm

            return train_lm(config, out)
        case "train-ovm":
            from mario.cli.train_ovm import train_with_progress as train_ovm

            return train_ovm(config, out)
        case _:
            from mario.cli.train_sft import train_with_progress as train_sft

            return train_sft(config, out)


def _stage(name: str, table: Any, experiment: Experiment, recipe: Path, above: list[str]) -> Stage:
    where = f"recipe {recipe}, stage {name}"
    if not isinstance(table, Mapping) or "verb" not in table:
        raise UsageError(f'{where}: no verb; write verb = "…", one of {", ".join(STAGE_VERBS)}')
    verb = str(table["verb"])
    settings = {key: _linked(value, experiment, above, where) for key, value in table.items() if key != "verb"}
    out = experiment.out / (f"{name}.html" if verb == "report" else name)
    return Stage(name, verb, build(_config_class(verb, where), settings, where), out)


def _config_class(verb: str, where: str) -> type:
    match verb:
        case "data":
            from mario.data.collect import DataConfig

            return DataConfig
        case "augment":
            from mario.augment import AugmentConfig

            return AugmentConfig
        case "annotate":
            from mario.annotate import AnnotateConfig

            return AnnotateConfig
        case "decontaminate":
            from mario.data.decontaminate import DecontaminateConfig

            return DecontaminateConfig
        case "export":
            from mario.export import ExportConfig

            return ExportConfig
        case "train":
            from mario.cli.train_sft import TrainRecipe

            return TrainRecipe
        case "train-lm":
            from mario.cli.train_lm import LmRecipe

            return LmRecipe
        case "train-ovm":
            from mario.cli.train_ovm import OvmRecipe

            return OvmRecipe
        case "self-train":
            from mario.selftrain import SelfTrainConfig

            return SelfTrainConfig
        case "evaluate":
            from mario.evaluate import EvaluateConfig

            return EvaluateConfig
        case "value":
            from mario.cli.value import ValueRecipe

            return ValueRecipe
        case "report":
            from mario.cli.report import ReportConfig

            return ReportConfig
    raise UsageError(f"{where}: {unknown_key(verb, STAGE_VERBS, 'verb')}")


def _linked(value: Any, experiment: Experiment, above: list[str], where: str) -> Any:
    """The value with every `@stage` replaced by that stage's output."""
    if isinstance(value, str) and value.startswith("@"):
        if value[1:] not in experiment.stages:
            raise UsageError(f"{where}: {unknown_key(value[1:], list(experiment.stages), 'stage')}")
        if value[1:] not in above:
            raise UsageError(f"{where}: {value} stands below it; put a stage after those that it names")
        return str(experiment.out / value[1:])
    if isinstance(value, Mapping):
        return {key: _linked(item, experiment, above, where) for key, item in value.items()}
    if isinstance(value, list):
        return [_linked(item, experiment, above, where) for item in value]
    return value
