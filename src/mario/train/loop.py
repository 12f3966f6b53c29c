"""The one training run: rows and a model's name in, a model directory that explains itself out.

    out/config.json, model.safetensors, tokenizer…, generation_config.json   a normal Hugging Face directory
    out/README.md        the model card
    out/adapter/         the adapter alone, where there is one; the model has it merged
    out/manifest.json    recipe, input hashes, token counts per source; its `seconds` say that the run is done
    out/metrics.jsonl    a line for each optimizer step
    out/refused.jsonl    the rows that were not trained on, with the reason
    out/trained_on.txt   fingerprints of the questions that were (`data.overlap`)
    out/checkpoints/     what resuming needs; removed when done

One idea: rerunning the same call is how a run resumes. It goes on from the last whole checkpoint to the weights an
uninterrupted run would have had (bit for bit on a CPU in float32), and a finished run is only read.

What is trained, and on what, is a `Task`: fine-tuning (`sft`) is one. This module does not print, imports torch only
when training begins. Several processes may share the steps (`processes`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mario.data.overlap import write_trained
from mario.engine import checkpoint
from mario.errors import DataError, MissingExtra, UsageError
from mario.provenance import derive_seed, from_json, make_manifest, to_json
from mario.store.jsonl import whole_file, write_json, write_jsonl
from mario.store.run import read_manifest
from mario.train.batch import SourceCount, Step
from mario.train.config import SftConfig
from mario.train.directory import adopt, check_space, claim, quiet, translated
from mario.train.encode import EncodedRow
from mario.train.heldout import HeldOut, Tried, try_held_out
from mario.train.processes import connect, is_first, loading_device, own_device, sharing, together, whole
from mario.train.publish import card, dress, licence_of
from mario.train.track import Tracker
from mario.types import Manifest

if TYPE_CHECKING:
    from mario.train.keeper import Listener


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a run made. `seconds` is training time over all its sessions; `resumed_from` the step this one began at."""

    directory: Path
    steps: int
    first_loss: float
    last_loss: float
    sources: Mapping[str, SourceCount]
    refused: Mapping[str, int]
    seconds: float
    resumed_from: int = 0

    @property
    def tokens(self) -> int:
        return sum(source.tokens for source in self.sources.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is decided before the first step.

    `refusals` are the lines of `refused.jsonl`; each has a `reason`. `formats` are those of the rows, which decide what
    prompt the model is handed on with.
    """

    rows: Sequence[EncodedRow]
    steps: Sequence[Step]
    sources: Mapping[str, SourceCount]
    refusals: Sequence[Mapping[str, str]]
    formats: Sequence[str] = ()

    def tokens_at_step(self) -> list[int]:
        tokens = (sum(self.rows[i].n_tokens for batch in step for i in batch) for step in self.steps)
        return list(accumulate(tokens, initial=0))

    def row_ids(self, step: int) -> list[str]:
        return [self.rows[i].id for batch in self.steps[step] for i in batch]

    def refused(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for refusal in self.refusals:
            counts[refusal["reason"]] = counts.get(refusal["reason"], 0) + 1
        return counts


class Task(ABC):
    """What one kind of training adds to the loop.

    kind: of the manifest; recipe: its settings but for `model` and `train`; inputs: content hash of each source
    full: names of modules that are trained whole where the rest gets adapters (LoRA), such as a new head
    folders: of rows, each beside its `problems.jsonl`; the model's directory carries fingerprints of what they answer
    """

    kind: str
    recipe: Mapping[str, Any]
    inputs: Mapping[str, str]
    full: Sequence[str] = ()
    folders: Sequence[Path] = ()

    @abstractmethod
    def plan(self, config: SftConfig, tokenizer: Any, window: int) -> Plan:
        """The rows and steps; `window` is the most positions the model was built for."""

    def prepare(self, network: Any) -> Any:
        """The network as it trains; the same object where the task adds nothing to it."""
        return network

    def trainer(self, **arguments: Any) -> Any:
        """A `SpanTrainer`, or a subclass, made with these arguments."""
        from mario.train.trainer import SpanTrainer

        return SpanTrainer(**arguments)

    def write(self, network: Any, directory: Path) -> None:
        """Write the trained weights and config into an empty directory; the tokenizer is written beside them."""
        network.save_pretrained(directory)


def train(
    task: Task,
    config: SftConfig,
    model: str,
    out: Path,
    on_progress: Listener | None = None,
    report: Callable[[str], None] = lambda _: None,
    held_out: HeldOut | None = None,
) -> TrainResult:
    """Train `model` (a directory, a hub id, or the embedded model's name) at `task` into `out`.

    `on_progress` hears of every optimizer step, `report` of what takes long before the first.

    Raises:
        DataError: a source has nothing to train on, or too little for the token budget.
        StoreError: `out` holds another run, is in use, or has no space.
        TrainingError: the loss is not finite, or memory is out; names the step. Or see `processes.connect`.
        UsageError: something is held out, and the weights are shared out.
        MissingExtra: a library that a setting asks for is not installed.
    """
    if config.track != "none" and importlib.util.find_spec(config.track) is None:
        raise MissingExtra(config.track, "track")
    if held_out and sharing():
        raise UsageError(
            f"nothing held out can be tried while {sharing()} shares the weights out; leave heldout.problems and "
            "heldout.rows out, and evaluate the trained directory"
        )
    connect(config.device)
    if not is_first():
        report = _silent
    directory = checkpoint.resolve(model, report)
    manifest = make_manifest(
        task.kind,
        {"model": checkpoint.describe(model), "train": to_json(config), **task.recipe},
        inputs={"model": checkpoint.fingerprint(directory), **task.inputs},
        seeds={"train": config.seed},
    )
    with claim(out) if is_first() else contextlib.nullcontext():
        manifest = adopt(manifest, out)
        together()  # every process has seen the directory as it was
        if manifest.seconds is None:
            manifest = _train(task, config, directory, out, manifest, on_progress, report, held_out)
        if is_first():
            shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return _result(out, manifest)


def _silent(_: str) -> None: ...


def _train(
    task: Task,
    config: SftConfig,
    directory: Path,
    out: Path,
    manifest: Manifest,
    on_progress: Listener | None,
    report: Callable[[str], None],
    held_out: HeldOut | None,
) -> Manifest:
    """Run or resume, write the model, and complete the manifest last of all."""
    tokenizer = checkpoint.load_tokenizer(directory)
    if tokenizer.eos_token_id is None:
        raise DataError(
            f"model directory {directory}: the tokenizer names no end token, so no answer could be taught to end; "
            'set "eos_token" in its tokenizer_config.json'
        )
    report("reading the rows")
    plan = task.plan(config, tokenizer, window_of(directory))
    if is_first():
        write_jsonl(out / "refused.jsonl", plan.refusals)
    report("loading the model")
    device = own_device(checkpoint.pick_device(config.device))
    network = load(task, config, directory, device)
    if is_first():
        check_space(network, out)
        write_json(out / "manifest.json", manifest)  # from here on the directory is this run's

    from mario.train.keeper import Keeper, last_checkpoint

    resumed = last_checkpoint(out)  # only a whole one counts, so every process finds the same
    together()

    rows = held_out.rows(tokenizer, config, window_of(directory)) if held_out else ()

    def judge(step: int) -> Tried:
        due = held_out and held_out.is_due(step, len(plan.steps))
        return try_held_out(held_out, rows, trainer, tokenizer, config.max_tokens) if held_out and due else Tried()

    keeper = Keeper(
        out,
        plan.tokens_at_step(),
        plan.row_ids,
        save_seconds=config.save_seconds,
        resumed=resumed,
        on_progress=on_progress,
        judge=judge,
        tracker=Tracker(config.track, out, manifest) if config.track != "none" and is_first() else None,
    )
    with contextlib.closing(keeper), translated(out), quiet():
        trainer = make_trainer(task, config, network, device, plan, keeper, out)
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
        network = whole(trainer, lambda: load(task, config, directory, device))
        together()
        if not is_first():
            together()  # until the first process has written the model
            return read_manifest(out)
        exact_prompt = dress(tokenizer, network.generation_config, plan.formats)
        _save(task, network, tokenizer, config, manifest, out)
        write_trained(out, task.folders, directory)
    counts = {
        "sources": to_json(dict(plan.sources)),
        "refused": plan.refused(),
        "steps": len(plan.steps),
        "first_loss": keeper.losses[0],
        "last_loss": keeper.losses[-1],
        "resumed_from": keeper.first_step,
        **keeper.tried(),
        **({"heldout_inputs": dict(held_out.inputs)} if held_out and held_out.inputs else {}),
        "formats": list(plan.formats),
        "exact_prompt": exact_prompt,
        "licence": licence_of(directory, manifest.recipe["model"]),
    }
    manifest = replace(manifest, counts=counts, seconds=round(keeper.seconds, 3))
    with whole_file(out / "README.md") as file:
        file.write(card(manifest).encode("utf-8", "backslashreplace"))
    write_json(out / "manifest.json", manifest)
    together()
    return manifest


def load(task: Task, config: SftConfig, directory: Path, device: str) -> Any:
    """The network as it trains: what learns is float32, what is frozen under adapters in the arithmetic's format."""
    frozen: checkpoint.Dtype = (
        "bfloat16" if config.lora.rank is not None and computes_in_bfloat16(config, device) else "float32"
    )
    return prepared(task, config, checkpoint.load_model(directory, dtype=frozen, device=loading_device(device)))


def prepared(task: Task, config: SftConfig, network: Any) -> Any:
    """What the task and the settings add to a loaded network: a head, activations computed twice, adapters."""
    from mario.train.adapt import checkpoint_activations, with_adapters

    with quiet():
        network = task.prepare(network)
        if config.gradient_checkpointing:
            checkpoint_activations(network)
        if config.lora.rank is not None:
            network = with_adapters(network, config.lora, full=task.full, seed=derive_seed(config.seed, "adapters"))
    return network


def make_trainer(task: Task, config: SftConfig, network: Any, device: str, plan: Plan, keeper: Any, out: Path) -> Any:
    """transformers' trainer over the plan; `keeper` is the callback that hears of every step."""
    from transformers import PrinterCallback, TrainingArguments

    from mario.train.keeper import CHECKPOINTS
    from mario.train.packing import attention_for
    from mario.train.trainer import StepDataset

    arguments = TrainingArguments(
        output_dir=str(out / CHECKPOINTS),
        per_device_train_batch_size=1,  # an item is a whole step
        remove_unused_columns=False,
        train_sampling_strategy="sequential",  # the plan's order
        num_train_epochs=1,  # the plan holds every pass
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        optim="adamw_torch_fused",
        bf16=computes_in_bfloat16(config, device),
        use_cpu=device == "cpu",
        seed=config.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,  # a loss that is not finite stops the run
        save_strategy="no",  # the keeper asks for checkpoints, by time
        report_to="none",  # the keeper tells a dashboard
        log_level="error",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # several visible GPUs would otherwise split every micro-batch
    trainer = task.trainer(
        model=network,
        args=arguments,
        train_dataset=StepDataset(plan.rows, plan.steps, packing=config.packing),
        callbacks=[keeper],
        warmup_steps=int(config.warmup_fraction * len(plan.steps)),
        attention=attention_for(network, plan.rows) if config.packing else None,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def computes_in_bfloat16(config: SftConfig, device: str) -> bool:
    return device != "mps" and checkpoint.pick_dtype(config.dtype, device) == "bfloat16"


def _save(task: Task, network: Any, tokenizer: Any, config: SftConfig, manifest: Manifest, out: Path) -> None:
    """Write the directory beside its place and move the weights last, so that half a model never looks whole."""
    import torch

    from mario.train.adapt import ADAPTER, merged, save_adapter

    building = out / ".building"
    shutil.rmtree(building, ignore_errors=True)
    shutil.rmtree(out / ADAPTER, ignore_errors=True)
    if config.lora.rank is not None:
        save_adapter(network, building / ADAPTER, manifest.recipe["model"])
        network = merged(network, getattr(torch, config.save_dtype))
    network.config.use_cache = True  # the trainer turns it off
    network.generation_config.eos_token_id = _end_tokens(network.generation_config.eos_token_id, tokenizer)
    task.write(network.to(getattr(torch, config.save_dtype)), building)
    tokenizer.save_pretrained(building)
    for path in building.glob("*.safetensors"):  # written for their owner only; a model is read as its config is
        path.chmod((building / "config.json").stat().st_mode)
    for path in sorted(building.iterdir(), key=lambda path: path.suffix == ".safetensors"):
        path.replace(out / path.name)
    building.rmdir()


def _end_tokens(known: int | list[int] | None, tokenizer: Any) -> int | list[int]:
    """Generation must stop at the token that training taught as the end."""
    ends = [known] if isinstance(known, int) else list(known or ())
    taught: int = tokenizer.eos_token_id
    ends += [] if taught in ends else [taught]
    return ends if len(ends) > 1 else taught


def window_of(directory: Path) -> int:
    """The most positions this model was built for."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    return int(config.get("max_position_embeddings") or 2**31)


def _result(out: Path, manifest: Manifest) -> TrainResult:
    counts = manifest.counts
    return TrainResult(
        directory=out,
        steps=counts["steps"],
        first_loss=counts["first_loss"],
        last_loss=counts["last_loss"],
        sources={name: from_json(SourceCount, count) for name, count in counts["sources"].items()},
        refused=counts["refused"],
        seconds=manifest.seconds or 0.0,
        resumed_from=counts["resumed_from"],
    )
