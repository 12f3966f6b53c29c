"""Training steps on one GPU: tokens a second, share of the hardware's arithmetic, memory, and whether the loss falls.

    python benchmarks/gpu/train.py --results results.json          one GPU, under 8 minutes
    python benchmarks/gpu/train.py --size cpu                      the same code on a small model, in tests

Models are Llama-style with random weights (no download), the rows are real: solutions of generated word problems, in
the ids of SmolLM2's tokenizer, in rows.jsonl beside this file (--make-rows DIR writes it from a training set). The
trainer is the product's own (`train.loop.make_trainer`), fed with steps as `mario train` would feed it. The first steps
of each case warm up and are dropped.

exact     a small model in float32 and in bfloat16, step by step: how far the losses drift apart
1B        every weight learns: fine-tuning padded and packed, generator and value model, and TRL's SFTTrainer with its
          defaults on the same rows (where trl and datasets are there; else it says so)
7B        adapters, then every weight, where the forecast of memory says that it fits

Arithmetic counted for the share: 6 operations a weight and token (4 where the weight is frozen), the head only where a
token is trained; nothing for attention and for activations computed twice. So the share is a lower bound.

Needs torch, transformers, peft and accelerate; the rest of the repository travels along, uninstalled if need be.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.util
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if importlib.util.find_spec("mario") is None:
    sys.path.insert(0, str(HERE.parents[1] / "src"))

import torch  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM, TrainerCallback  # noqa: E402

from mario.provenance import code_version, hardware  # noqa: E402
from mario.train.batch import arrange  # noqa: E402
from mario.train.config import LoraConfig, SftConfig  # noqa: E402
from mario.train.encode import IGNORED, EncodedRow  # noqa: E402
from mario.train.estimate import shape_of  # noqa: E402
from mario.train.loop import Plan, Task, computes_in_bfloat16, make_trainer, prepared  # noqa: E402

ROWS = HERE / "rows.jsonl"
VOCABULARY = 49_152  # SmolLM2's
# Operations a second in bfloat16 without sparsity, by the makers' data sheets.
PEAKS = {"B200": 2.25e15, "H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "4090": 165e12}
PACKAGES = ("torch", "transformers", "accelerate", "peft", "trl", "datasets", "numpy")


def llama(hidden: int, inner: int, layers: int, heads: int, keys: int) -> dict[str, int]:
    return {
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
    }


@dataclass(frozen=True)
class Scale:
    """What a size of the benchmark runs. Tokens are of a micro-batch and of a step; seconds bound one case."""

    models: Mapping[str, Mapping[str, int]]
    tokens: int
    step: int
    steps: int
    warm: int
    seconds: float
    trl_rows: int


SCALES = {
    "gpu": Scale(
        {"1B": llama(2048, 8192, 16, 32, 8), "7B": llama(4096, 11_008, 32, 32, 32)},
        tokens=8192,
        step=16_384,
        steps=24,
        warm=4,
        seconds=40.0,
        trl_rows=8,
    ),
    "cpu": Scale({"1B": llama(64, 128, 2, 4, 2)}, tokens=600, step=600, steps=4, warm=1, seconds=20.0, trl_rows=2),
}


def read_rows() -> list[EncodedRow]:
    """The rows beside this file; `runs` are the lengths of stretches not trained and trained, in turn."""
    rows: list[EncodedRow] = []
    for line in ROWS.read_text(encoding="utf-8").splitlines():
        ids, runs = (json.loads(line)[name] for name in ("ids", "runs"))
        labels: list[int] = []
        for i, length in enumerate(runs):
            start = len(labels)
            labels += ids[start : start + length] if i % 2 else [IGNORED] * length
        trained = sum(label != IGNORED for label in labels[1:])
        rows.append(EncodedRow(f"row-{len(rows)}", tuple(ids), tuple(labels), trained))
    return rows


def make_rows(folder: Path, count: int) -> None:
    """Write the rows of a training set, by the embedded model's tokenizer."""
    from mario.engine import checkpoint
    from mario.train.encode import encode_all
    from mario.train.sources import kept_rows

    tokenizer = checkpoint.load_tokenizer(checkpoint.resolve(checkpoint.EMBEDDED))
    lines = []
    for row in encode_all(kept_rows(folder).trajectories, tokenizer, max_row_tokens=1024).rows[:count]:
        runs = [0]
        for label in row.labels:
            if (label != IGNORED) != bool((len(runs) - 1) % 2):
                runs.append(0)
            runs[-1] += 1
        lines.append(json.dumps({"ids": row.input_ids, "runs": runs}, separators=(",", ":")))
    ROWS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} rows in {ROWS}")


class FineTuning(Task):
    """Our rows as `mario train sft` would plan them."""

    kind = "sft"
    recipe: Mapping[str, Any] = {}
    inputs: Mapping[str, str] = {}

    def __init__(self, rows: Sequence[EncodedRow], steps: int) -> None:
        self.rows = list(rows)
        self.steps = steps

    def plan(self, config: SftConfig, tokenizer: Any, window: int) -> Plan:
        passes = 1 + self.steps * config.tokens_per_step // sum(row.n_tokens for row in self.rows)
        order, steps, counts = arrange({"rows": self.rows}, replace(config, epochs=passes))
        return Plan(order, steps[: self.steps], counts, ())


class Valuing(FineTuning):
    """Both tasks at once: every other solution counts as wrong, so its language is not learnt and its value is 0."""

    kind = "ovm"
    full = ("score",)

    def __init__(self, rows: Sequence[EncodedRow], steps: int) -> None:
        super().__init__([_valued(row, i % 2 == 0) for i, row in enumerate(rows)], steps)

    def prepare(self, network: Any) -> Any:
        from mario.train.value_loss import attach_head

        return attach_head(network, 0)

    def trainer(self, **arguments: Any) -> Any:
        from mario.train.value_loss import OvmTrainer

        return OvmTrainer(target="sigmoid", loss="bce", lm_weight=1.0, value_weight=0.1, **arguments)


def _valued(row: EncodedRow, correct: bool) -> EncodedRow:
    values = tuple(float("nan") if label == IGNORED else float(correct) for label in row.labels)
    if correct:
        return replace(row, values=values)
    return replace(row, labels=(IGNORED,) * row.n_tokens, n_trained=0, values=values)


class Watch(TrainerCallback):  # type: ignore[misc]
    """When every step ended and what its loss was; ends a case that has used its time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.began = time.monotonic()
        self.ends: list[float] = []
        self.losses: list[float] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.began = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.monotonic())
        if self.ends[-1] - self.began > self.seconds:
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any], **_: Any) -> None:
        if "loss" in logs:
            self.losses.append(float(logs["loss"]))


def model_of(shape: Mapping[str, int], dtype: torch.dtype, device: str) -> Any:
    tied = shape["num_hidden_layers"] < 32
    config = LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=2048, tie_word_embeddings=tied, **shape)
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)


def operations(network: Any, tokens: int, trained: int) -> float:
    """Of forward and backward, as the text at the top says."""
    head = VOCABULARY * network.config.hidden_size
    total = learning = 0
    for name, parameter in network.named_parameters():
        if parameter.dim() == 2 and "embed" not in name and "lm_head" not in name:
            total += parameter.numel()
            learning += parameter.numel() * parameter.requires_grad
    factor = 6 if network.get_output_embeddings().weight.requires_grad else 4
    return float((4 * total + 2 * learning) * tokens + factor * head * trained)


def run_case(
    shape: Mapping[str, int], config: SftConfig, task: FineTuning, scale: Scale, device: str
) -> dict[str, Any]:
    """Build, forecast, train some steps, and say what they took."""
    plan = task.plan(config, None, 2048)
    bfloat16, adapters = computes_in_bfloat16(config, device), config.lora.rank is not None
    frozen = torch.bfloat16 if bfloat16 and adapters else torch.float32
    network = prepared(task, config, model_of(shape, frozen, device))
    memory = shape_of(network, config, plan).memory(
        bfloat16=bfloat16, adapters=adapters, twice=config.gradient_checkpointing
    )
    result: dict[str, Any] = {"forecast_gb": round(memory.total / 1e9, 2)}
    if device == "cuda" and memory.total > 0.95 * torch.cuda.get_device_properties(0).total_memory:
        return result | {"skipped": "by the forecast it does not fit this GPU"}
    watch = train_steps(task, config, network, plan, device, scale.seconds)
    done = plan.steps[scale.warm : len(watch.ends)]
    rows = [plan.rows[i] for step in done for batch in step for i in batch]
    tokens, labelled = sum(row.n_tokens for row in rows), sum(row.n_trained for row in rows)
    return result | measured(watch, scale, tokens, operations(network, tokens, labelled))


def train_steps(task: FineTuning, config: SftConfig, network: Any, plan: Plan, device: str, seconds: float) -> Watch:
    """Train by the product's trainer; says when each step ended and its loss."""
    watch = Watch(seconds)
    with tempfile.TemporaryDirectory() as out:
        trainer = make_trainer(task, config, network, device, plan, watch, Path(out))
        _forget_peak()
        trainer.train()
    return watch


def run_trl(shape: Mapping[str, int], rows: Sequence[EncodedRow], scale: Scale, device: str) -> dict[str, Any]:
    """TRL's SFTTrainer as it comes, with our ids and labels; its step is one batch of rows."""
    if not all(importlib.util.find_spec(name) for name in ("trl", "datasets")):
        return {"skipped": "trl or datasets is not installed here"}
    from datasets import Dataset
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from trl.trainer.sft_config import SFTConfig as TrlConfig
    from trl.trainer.sft_trainer import SFTTrainer

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1}, unk_token="<pad>")),
        pad_token="<pad>",
        eos_token="<eos>",
    )
    network = model_of(shape, torch.float32, device)
    watch = Watch(scale.seconds)
    seen: list[tuple[int, int]] = []

    class Counting(SFTTrainer):
        def training_step(self, model: Any, inputs: Any, *rest: Any, **more: Any) -> Any:
            mask = inputs.get("attention_mask")
            tokens = int(mask.sum()) if mask is not None else inputs["input_ids"].numel()
            seen.append((tokens, int((inputs["labels"] != IGNORED).sum())))
            return super().training_step(model, inputs, *rest, **more)  # type: ignore[no-untyped-call]

    with tempfile.TemporaryDirectory() as out:
        arguments = TrlConfig(
            output_dir=out,
            max_steps=scale.steps,
            per_device_train_batch_size=scale.trl_rows,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=device == "cpu",
        )
        examples = [{"input_ids": list(row.input_ids), "labels": list(row.labels)} for row in rows]
        with contextlib.redirect_stdout(sys.stderr):
            trainer = Counting(
                model=network,
                args=arguments,
                train_dataset=Dataset.from_list(examples * 4),
                processing_class=tokenizer,
                callbacks=[watch],
            )
            _forget_peak()
            trainer.train()
    done = seen[scale.warm : len(watch.ends)]
    tokens, trained = (sum(each[i] for each in done) for i in (0, 1))
    return measured(watch, scale, tokens, operations(network, tokens, trained))


def measured(watch: Watch, scale: Scale, tokens: int, arithmetic: float) -> dict[str, Any]:
    if len(watch.ends) <= scale.warm:
        return {"skipped": f"only {len(watch.ends)} steps in {scale.seconds:g} s"}
    seconds = watch.ends[-1] - watch.ends[scale.warm - 1]
    last = watch.losses[-3:]
    found: dict[str, Any] = {
        "steps": len(watch.ends),
        "tokens_per_second": round(tokens / seconds, 1),
        "seconds_per_step": round(seconds / (len(watch.ends) - scale.warm), 3),
        "first_loss": round(watch.losses[0], 4),
        "last_loss": round(sum(last) / len(last), 4),
        "falls": sum(last) / len(last) < watch.losses[0],
    }
    if torch.cuda.is_available():
        peak = next((value for key, value in PEAKS.items() if key in torch.cuda.get_device_name()), None)
        found["share_of_peak"] = round(arithmetic / seconds / peak, 4) if peak else None
        found["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return found


def exactness(rows: Sequence[EncodedRow], device: str, steps: int = 12) -> dict[str, Any]:
    """The same steps of a small model in float32 and in bfloat16."""
    curves = []
    for dtype in ("float32", "bfloat16"):
        config = SftConfig(
            learning_rate=1e-3, tokens_per_step=800, max_tokens=800, max_row_tokens=512, dtype=dtype, device=device
        )
        task = FineTuning(rows, steps)
        network = model_of(llama(128, 256, 3, 4, 2), torch.float32, device)
        curves.append(train_steps(task, config, network, task.plan(config, None, 2048), device, 60.0).losses)
    drift = max(abs(half - full) / full for full, half in zip(*curves, strict=True))
    return {
        "steps": steps,
        "largest_relative_difference": round(drift, 6),
        "first_loss": round(curves[0][0], 4),
        "last_loss": round(curves[0][-1], 4),
        "falls": curves[0][-1] < curves[0][0],
    }


Case = tuple[str, Callable[[], dict[str, Any]]]  # a name, and what runs it


def cases(rows: Sequence[EncodedRow], scale: Scale, device: str) -> Iterator[Case]:
    """In order of importance."""
    plain = SftConfig(
        max_row_tokens=512,
        learning_rate=1e-4,
        tokens_per_step=scale.step,
        max_tokens=scale.tokens,
        device=device,
        warmup_fraction=0.1,
    )
    adapters = replace(plain, lora=LoraConfig(rank=16))
    whole = replace(plain, gradient_checkpointing=True, learning_rate=2e-5)

    def ours(size: str, name: str, config: SftConfig, kind: type[FineTuning] = FineTuning) -> Iterator[Case]:
        if size in scale.models:
            task = kind(rows, scale.steps)
            yield f"{size}, {name}", partial(run_case, scale.models[size], config, task, scale, device)

    yield "exact", partial(exactness, rows, device)
    yield from ours("1B", "fine-tuning", plain)
    yield from ours("1B", "fine-tuning, packed", replace(plain, packing=True))
    yield from ours("1B", "generator and value model", plain, Valuing)
    yield "1B, TRL's SFTTrainer as it comes", partial(run_trl, scale.models["1B"], rows, scale, device)
    yield from ours("1B", "adapters", adapters)
    yield from ours("7B", "adapters", adapters)
    yield from ours("7B", "generator and value model, adapters", adapters, Valuing)
    yield from ours("7B", "fine-tuning", whole)


def _forget_peak() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=list(SCALES), default="gpu")
    parser.add_argument("--only", help="run only cases whose name holds this text")
    parser.add_argument("--minutes", type=float, default=7.5, help="begin no case after so long")
    parser.add_argument("--results", type=Path, help="write the results here as JSON")
    parser.add_argument("--make-rows", type=Path, metavar="DIR", help="write rows.jsonl from a training set and stop")
    args = parser.parse_args(argv)
    if args.make_rows:
        make_rows(args.make_rows, 96)
        return 0
    if args.size == "gpu" and not torch.cuda.is_available():
        print("no GPU here; --size cpu runs the same code on a small model", file=sys.stderr)
        return 2
    device = "cuda" if args.size == "gpu" else "cpu"
    began = time.monotonic()
    machine = torch.cuda.get_device_name() if device == "cuda" else hardware().get("processor", "CPU")
    print(f"on {machine}; {', '.join(f'{name} {number}' for name, number in versions().items())}", flush=True)
    results: list[dict[str, Any]] = []
    failed = False
    for name, run in cases(read_rows(), SCALES[args.size], device):
        if args.only and args.only not in name:
            continue
        found: dict[str, Any] = {"skipped": "no time was left"}
        if time.monotonic() - began < 60 * args.minutes:
            try:
                found = run()
            except torch.cuda.OutOfMemoryError as error:
                found, failed = {"failed": f"memory is out: {error}"[:200]}, True
        results.append({"case": name} | found)
        print(json.dumps(results[-1], ensure_ascii=False), flush=True)
        _forget_peak()
    report = {
        "machine": machine,
        "hardware": hardware(),
        "versions": versions(),
        "code": code_version(),
        "size": args.size,
        "seconds": round(time.monotonic() - began, 1),
        "results": results,
    }
    if args.results:
        args.results.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if failed or not all(result.get("falls", True) for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
