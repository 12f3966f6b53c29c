"""Supervised fine-tuning: trajectories and a model's name in, a model directory that explains itself out.

    out/config.json, model.safetensors, tokenizer…, generation_config.json   a normal Hugging Face directory
    out/manifest.json    recipe, input hashes, token counts per source; its `seconds` say that the run is done
    out/metrics.jsonl    a line for each optimizer step
    out/refused.jsonl    the trajectories that were not trained on, with the reason
    out/checkpoints/     what resuming needs; removed when done

One idea: rerunning the same call is how a run resumes. It goes on from the last whole checkpoint to the weights an
uninterrupted run would have had (bit for bit on a CPU in float32), and a finished run is only read. Several sources
train one model; a format without code is a source like any other.

What this module does not do: it imports torch only when training begins, prints nothing, and runs on one device.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mario.engine import checkpoint
from mario.errors import DataError, TrainingError, UsageError
from mario.provenance import from_json, make_manifest, to_json
from mario.store.jsonl import write_json, write_jsonl
from mario.train.batch import SourceCount, Step, draw, plan_steps
from mario.train.config import SftConfig
from mario.train.directory import adopt, check_space, claim, quiet, translated
from mario.train.encode import EncodedRow, encode_all
from mario.types import Manifest, Trajectory

if TYPE_CHECKING:
    from mario.train.keeper import Keeper, Listener


@dataclass(frozen=True, slots=True)
class SourceSet:
    """A named set of trajectories and the hash that stands for it in the manifest; read once a run."""

    name: str
    trajectories: Iterable[Trajectory]
    content_hash: str


@dataclass(frozen=True, slots=True)
class SftResult:
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
class _Plan:
    """Everything that is decided before the first step."""

    rows: Sequence[EncodedRow]
    steps: Sequence[Step]
    sources: Mapping[str, SourceCount]
    refused: Mapping[str, int]

    def tokens_at_step(self) -> list[int]:
        tokens = (sum(self.rows[i].n_tokens for batch in step for i in batch) for step in self.steps)
        return list(accumulate(tokens, initial=0))

    def row_ids(self, step: int) -> list[str]:
        return [self.rows[i].id for batch in self.steps[step] for i in batch]


def train_sft(
    config: SftConfig,
    sources: Sequence[SourceSet],
    model: str,
    out: Path,
    on_progress: Listener | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> SftResult:
    """Fine-tune `model` (a directory, a hub id, or the embedded model's name) on all sources into `out`.

    `on_progress` hears of every optimizer step, `report` of what takes long before the first.

    Raises:
        UsageError: two sources share a name, or there are none.
        DataError: a source has nothing to train on, or too little for the token budget.
        StoreError: `out` holds another run, is in use, or has no space.
        TrainingError: the loss is not finite, or memory is out; names the step.
    """
    names = [source.name for source in sources]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"training needs one or more sources of different names, got {names}")
    directory = checkpoint.resolve(model, report)
    manifest = make_manifest(
        "sft",
        {"model": checkpoint.describe(model), "train": to_json(config)},
        inputs={"model": checkpoint.fingerprint(directory), **{f"source/{s.name}": s.content_hash for s in sources}},
        seeds={"train": config.seed},
    )
    with claim(out):
        manifest = adopt(manifest, out)
        if manifest.seconds is None:
            manifest = _train(config, sources, directory, out, manifest, on_progress, report)
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return _result(out, manifest)


def _train(
    config: SftConfig,
    sources: Sequence[SourceSet],
    directory: Path,
    out: Path,
    manifest: Manifest,
    on_progress: Listener | None,
    report: Callable[[str], None],
) -> Manifest:
    """Run or resume, write the model, and complete the manifest last of all."""
    tokenizer = checkpoint.load_tokenizer(directory)
    if tokenizer.eos_token_id is None:
        raise DataError(
            f"model directory {directory}: the tokenizer names no end token, so no answer could be taught to end; "
            'set "eos_token" in its tokenizer_config.json'
        )
    report("reading the trajectories")
    plan = _plan(config, sources, tokenizer, _window(directory), out)
    report("loading the model")
    device = checkpoint.pick_device(config.device)
    network = checkpoint.load_model(directory, dtype="float32", device=device)
    check_space(network, out)
    write_json(out / "manifest.json", manifest)  # from here on the directory is this run's

    from mario.train.keeper import Keeper, last_checkpoint

    resumed = last_checkpoint(out)
    keeper = Keeper(
        out,
        plan.tokens_at_step(),
        plan.row_ids,
        save_seconds=config.save_seconds,
        resumed=resumed,
        on_progress=on_progress,
    )
    with contextlib.closing(keeper), translated(out), quiet():
        trainer = _trainer(config, network, device, plan, keeper, out)
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
        _save(trainer.model, tokenizer, config, out)
    counts = {
        "sources": to_json(dict(plan.sources)),
        "refused": dict(plan.refused),
        "steps": len(plan.steps),
        "first_loss": keeper.losses[0],
        "last_loss": keeper.losses[-1],
        "resumed_from": keeper.first_step,
    }
    manifest = replace(manifest, counts=counts, seconds=round(keeper.seconds, 3))
    write_json(out / "manifest.json", manifest)
    return manifest


def _plan(config: SftConfig, sources: Sequence[SourceSet], tokenizer: Any, window: int, out: Path) -> _Plan:
    rows: dict[str, Sequence[EncodedRow]] = {}
    refused: list[dict[str, str]] = []
    limit = min(config.max_row_tokens, window)
    for source in sources:
        encoded = encode_all(
            source.trajectories, tokenizer, max_row_tokens=limit, train_on_output=config.train_on_output
        )
        rows[source.name] = encoded.rows
        refused += [{"source": source.name, **to_json(refusal)} for refusal in encoded.refusals]
        if not encoded.rows:
            why = dict(Counter(refusal.reason.value for refusal in encoded.refusals))
            raise DataError(f"source {source.name}: no trajectory to train on; refused by reason: {why or 'none came'}")
    write_jsonl(out / "refused.jsonl", refused)
    order, counts = draw(rows, seed=config.seed, passes=config.epochs, tokens_per_source=config.tokens_per_source)
    steps = plan_steps(
        [row.n_tokens for row in order],
        seed=config.seed,
        max_tokens=config.max_tokens,
        tokens_per_step=config.tokens_per_step,
        rows_per_step=config.rows_per_step,
    )
    return _Plan(order, steps, counts, dict(Counter(refusal["reason"] for refusal in refused)))


def _trainer(config: SftConfig, network: Any, device: str, plan: _Plan, keeper: Keeper, out: Path) -> Any:
    from transformers import PrinterCallback, TrainingArguments

    from mario.train.keeper import CHECKPOINTS
    from mario.train.trainer import SpanTrainer, StepDataset

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
        bf16=_computes_in_bfloat16(config, device),
        use_cpu=device == "cpu",
        seed=config.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,  # a loss that is not finite stops the run
        save_strategy="no",  # the keeper asks for checkpoints, by time
        report_to="none",
        log_level="error",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    if arguments.world_size > 1:
        raise TrainingError(
            f"{arguments.world_size} processes were launched, but training runs on one device; launch one"
        )
    arguments._n_gpu = min(1, arguments.n_gpu)  # several visible GPUs would otherwise split every micro-batch
    trainer = SpanTrainer(
        model=network,
        args=arguments,
        train_dataset=StepDataset(plan.rows, plan.steps),
        callbacks=[keeper],
        warmup_steps=int(config.warmup_fraction * len(plan.steps)),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _computes_in_bfloat16(config: SftConfig, device: str) -> bool:
    return device != "mps" and checkpoint.pick_dtype(config.dtype, device) == "bfloat16"


def _save(network: Any, tokenizer: Any, config: SftConfig, out: Path) -> None:
    """Write the directory beside its place and move the weights last, so that half a model never looks whole."""
    import torch

    building = out / ".building"
    shutil.rmtree(building, ignore_errors=True)
    network.config.use_cache = True  # the trainer turns it off
    network.generation_config.eos_token_id = _end_tokens(network.generation_config.eos_token_id, tokenizer)
    network.to(getattr(torch, config.save_dtype)).save_pretrained(building)
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


def _window(directory: Path) -> int:
    """The most positions this model was built for."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    return int(config.get("max_position_embeddings") or 2**31)


def _result(out: Path, manifest: Manifest) -> SftResult:
    counts = manifest.counts
    return SftResult(
        directory=out,
        steps=counts["steps"],
        first_loss=counts["first_loss"],
        last_loss=counts["last_loss"],
        sources={name: from_json(SourceCount, count) for name, count in counts["sources"].items()},
        refused=counts["refused"],
        seconds=manifest.seconds or 0.0,
        resumed_from=counts["resumed_from"],
    )
