"""One optimizer step by the product, by the bare loop, and by TRL's SFTTrainer: same model, rows and machine.

    python benchmarks/train.py --data runs/taught --turns 8

`--data` is an output directory of `mario annotate`. Every contender is a whole training loop in a thread of its own,
and each takes one optimizer step when its turn comes, in turn: a neighbour who uses the machine slows all of them
alike. A step's time holds everything a loop does between two steps (batches, forward, backward, clipping, AdamW,
schedule, log). What counts is seconds per 1,000 real tokens, padding left out; the first turn warms up and is dropped.

bare              our default batches and our loss; forward, backward and fused AdamW, nothing else
ours              `mario train sft` as it comes: batches of rows of like length
ours, shuffled    the same, each step one batch of rows in random order: what padding costs without care
ours, packed      `train.packing`
TRL, ready rows   SFTTrainer given our ids and labels, without gradient checkpointing
TRL, packed       the same with packing=True (its strategy bfd), one sequence a step
TRL, as it comes  SFTTrainer given prompt and completion as text, all its defaults (gradient checkpointing among them)

TRL's own learn from the interpreter's output in the last row, which is how such data are mostly fed. All compute in
bfloat16 where the processor has it, over float32 weights; weights and optimizer's state are shared within a family.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mario.engine import checkpoint
from mario.provenance import code_version, hardware
from mario.train.batch import WIDTH_MULTIPLE, Step, computed_tokens, plan_steps
from mario.train.encode import IGNORED, EncodedRow, encode_all
from mario.train.sources import kept_rows
from mario.types import Source, Trajectory


class Contender(threading.Thread):
    """A loop that calls `step_ended` after each step with its real and computed tokens, and waits for its turn."""

    def __init__(self, name: str, loop: Callable[[Contender], None]) -> None:
        super().__init__(name=name, daemon=True)
        self.loop = loop
        self.go = threading.Semaphore(0)
        self.done = threading.Semaphore(0)
        self.leaving = False
        self.failure: BaseException | None = None
        self.tokens: list[tuple[int, int]] = []
        self.seconds: list[float] = []

    def run(self) -> None:
        import torch

        torch.set_num_threads(THREADS)
        self.go.acquire()
        try:
            self.loop(self)
        except BaseException as error:
            self.failure = error
        self.done.release()

    def step_ended(self, real: int, computed: int) -> bool:
        """Hand over; returns whether another step is wanted."""
        self.tokens.append((real, computed))
        self.done.release()
        self.go.acquire()
        return not self.leaving

    def take_turn(self) -> None:
        began = time.perf_counter()
        self.go.release()
        self.done.acquire()
        self.seconds.append(time.perf_counter() - began)
        if self.failure is not None:
            raise self.failure

    def leave(self) -> None:
        self.leaving = True
        self.go.release()
        self.join(timeout=60)

    def cost(self, turn: int) -> float:
        """Seconds per 1,000 real tokens."""
        return 1000 * self.seconds[turn] / self.tokens[turn][0]


THREADS = 2


def bare(
    model: Any, optimizer: Any, rows: Sequence[EncodedRow], steps: Sequence[Step], bf16: bool
) -> Callable[[Contender], None]:
    def loop(me: Contender) -> None:
        import torch

        from mario.train.trainer import collate, labelled_logits

        model.train()
        for step in steps:
            for batch in step:
                inputs = collate([rows[i] for i in batch], multiple=WIDTH_MULTIPLE)
                targets = inputs["labels"][:, 1:]
                is_labelled = targets != IGNORED
                with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                    logits, _ = labelled_logits(model, inputs["input_ids"], is_labelled)
                    loss = torch.nn.functional.cross_entropy(logits.float(), targets[is_labelled])
                loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if not me.step_ended(*size(rows, step)):
                return

    return loop


def ours(
    model: Any, optimizer: Any, rows: Sequence[EncodedRow], steps: Sequence[Step], bf16: bool, *, packing: bool = False
) -> Callable[[Contender], None]:
    def loop(me: Contender) -> None:
        from transformers import PrinterCallback, TrainingArguments

        from mario.train.packing import attention_for
        from mario.train.trainer import SpanTrainer, StepDataset

        arguments = TrainingArguments(
            output_dir=tempfile.mkdtemp(),
            per_device_train_batch_size=1,
            remove_unused_columns=False,
            train_sampling_strategy="sequential",
            num_train_epochs=1,
            bf16=bf16,
            use_cpu=True,
            logging_steps=1,
            logging_nan_inf_filter=False,
            save_strategy="no",
            report_to="none",
            log_level="error",
            disable_tqdm=True,
        )
        dataset = StepDataset(rows, steps, packing=packing)
        sizes = iter([size(rows, step, packing=packing) for step in steps])
        trainer = SpanTrainer(
            model=model,
            args=arguments,
            train_dataset=dataset,
            optimizers=(optimizer, None),
            callbacks=[turns(me, lambda: next(sizes))],
            attention=attention_for(model, rows) if packing else None,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()

    return loop


def trl(
    model: Any, optimizer: Any, tokenizer: Any, examples: Sequence[dict[str, Any]], **settings: Any
) -> Callable[[Contender], None]:
    def loop(me: Contender) -> None:
        from datasets import Dataset
        from transformers import PrinterCallback
        from trl.trainer.sft_config import SFTConfig
        from trl.trainer.sft_trainer import SFTTrainer

        arguments = SFTConfig(
            output_dir=tempfile.mkdtemp(),
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **settings,
        )
        twice = arguments.gradient_checkpointing
        seen: list[tuple[int, int]] = []

        class Counting(SFTTrainer):
            def training_step(self, model: Any, inputs: Any, *rest: Any, **more: Any) -> Any:
                mask = inputs.get("attention_mask")
                computed = inputs["input_ids"].numel()
                seen.append((computed if mask is None else int(mask.sum()), computed))
                return super().training_step(model, inputs, *rest, **more)  # type: ignore[no-untyped-call]

        trainer = Counting(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_list(list(examples)),
            processing_class=tokenizer,
            optimizers=(optimizer, None),
            callbacks=[turns(me, lambda: seen[-1], on_turn=lambda: checkpointing(model, twice))],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()

    return loop


def turns(me: Contender, tokens: Callable[[], tuple[int, int]], on_turn: Callable[[], None] = lambda: None) -> Any:
    """A callback that hands over after each step; `on_turn` sets a shared model to this contender's ways."""
    from transformers import TrainerCallback

    class Turns(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = not me.step_ended(*tokens())
            on_turn()

    return Turns()


def checkpointing(model: Any, on: bool) -> None:
    (model.gradient_checkpointing_enable if on else model.gradient_checkpointing_disable)()


def size(rows: Sequence[EncodedRow], step: Step, *, packing: bool = False) -> tuple[int, int]:
    """Real tokens of a step, and those computed with padding."""
    lengths = [[rows[i].n_tokens for i in batch] for batch in step]
    return sum(map(sum, lengths)), sum(computed_tokens(batch, packing=packing) for batch in lengths)


def as_text(trajectory: Trajectory) -> dict[str, str]:
    """Prompt and completion: what comes after the question, output too."""
    cut = next(i for i, span in enumerate(trajectory.spans) if span.source is not Source.PROMPT)
    texts = [span.text for span in trajectory.spans]
    return {"prompt": "".join(texts[:cut]), "completion": "".join(texts[cut:])}


def interval(values: Sequence[float], draws: int = 4000) -> tuple[float, float, float]:
    """Median and its 95 % bootstrap interval."""
    drawn = random.Random(0)
    medians = sorted(statistics.median(drawn.choices(values, k=len(values))) for _ in range(draws))
    return statistics.median(values), medians[int(0.025 * draws)], medians[int(0.975 * draws)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="output directory of mario annotate")
    parser.add_argument("--model", default=checkpoint.EMBEDDED)
    parser.add_argument("--turns", type=int, default=8, help="steps of each contender; one more warms up")
    parser.add_argument("--tokens", type=int, default=1200, help="real tokens of a step, about")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="contenders to run; bare always does")
    args = parser.parse_args()

    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    torch.set_num_threads(THREADS)
    directory = checkpoint.resolve(args.model, print)
    tokenizer = checkpoint.load_tokenizer(directory)
    trajectories = list(kept_rows(args.data).trajectories)
    random.Random(0).shuffle(trajectories)
    rows = list(encode_all(trajectories, tokenizer, max_row_tokens=1024).rows)
    bf16 = checkpoint.pick_dtype("auto", "cpu") == "bfloat16"
    lengths = [row.n_tokens for row in rows]
    n_rows = max(1, round(args.tokens * len(rows) / sum(lengths)))
    plan: dict[str, Any] = {"seed": 0, "max_tokens": max(1600, 2 * args.tokens), "tokens_per_step": args.tokens}
    grouped = plan_steps(lengths, **plan)
    packed = plan_steps(lengths, **plan, packing=True)
    shuffled = [tuple(range(i, i + n_rows)) for i in range(0, len(rows) - n_rows, n_rows)]
    one_batch = [(batch,) for batch in shuffled]

    model = checkpoint.load_model(directory, dtype="float32", device="cpu")
    theirs = checkpoint.load_model(directory, dtype="float32", device="cpu")
    shared = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    their = torch.optim.AdamW(theirs.parameters(), lr=1e-5, fused=True)
    ready = [{"input_ids": list(row.input_ids), "labels": list(row.labels)} for row in rows]
    batch: dict[str, Any] = {"per_device_train_batch_size": n_rows, "bf16": bf16}
    loops = {
        "bare": bare(model, shared, rows, grouped, bf16),
        "ours": ours(model, shared, rows, grouped, bf16),
        "ours, shuffled": ours(model, shared, rows, one_batch, bf16),
        "ours, packed": ours(model, shared, rows, packed, bf16, packing=True),
        "TRL, ready rows": trl(theirs, their, tokenizer, ready, **batch, gradient_checkpointing=False),
        "TRL, packed": trl(
            theirs,
            their,
            tokenizer,
            ready,
            **{**batch, "per_device_train_batch_size": 1},
            gradient_checkpointing=False,
            packing=True,
            max_length=args.tokens,
        ),
        "TRL, as it comes": trl(theirs, their, tokenizer, [as_text(one) for one in trajectories], **batch),
    }
    contenders = [
        Contender(name, loop) for name, loop in loops.items() if not args.only or name in ("bare", *args.only)
    ]
    for contender in contenders:
        contender.start()
    for turn in range(args.turns + 1):
        # Bare and ours share their batches' shapes: who comes second finds memory and kernels ready.
        for contender in reversed(contenders) if turn % 2 else contenders:
            contender.take_turn()
        print(f"turn {turn}: " + "  ".join(f"{c.name} {c.cost(turn):.2f}" for c in contenders), flush=True)
    for contender in contenders:
        contender.leave()
    report(contenders, args.turns)
    print(json.dumps({"rows": len(rows), "tokens": sum(lengths), **code_version(), **hardware()}))


def report(contenders: Sequence[Contender], count: int) -> None:
    """Each contender's own rate, and its cost over the bare loop's, turn by turn."""
    first = contenders[0]
    print("\n| | s per 1,000 real tokens | of the bare loop's | real / computed tokens |\n| --- | ---: | ---: | ---: |")
    for one in contenders:
        own = interval([one.cost(turn) for turn in range(1, count + 1)])
        share = interval([one.cost(turn) / first.cost(turn) for turn in range(1, count + 1)])
        real, computed = map(sum, zip(*one.tokens[1 : count + 1], strict=True))
        print(
            f"| {one.name} | {own[0]:.2f} [{own[1]:.2f}, {own[2]:.2f}] "
            f"| {share[0]:.3f} [{share[1]:.3f}, {share[2]:.3f}] | {real / computed:.3f} |"
        )
    by_name = {one.name: one for one in contenders}
    for name in ("ours", "ours, shuffled"):
        if name in by_name and "ours, packed" in by_name:
            padded, packed = by_name[name], by_name["ours, packed"]
            gains = [padded.cost(turn) / packed.cost(turn) for turn in range(1, count + 1)]
            real, computed = map(sum, zip(*padded.tokens[1 : count + 1], strict=True))
            gain = interval(gains)
            print(
                f"\npacking over {name}: {gain[0]:.3f}x [{gain[1]:.3f}, {gain[2]:.3f}]; padding allows "
                f"{computed / real:.3f}x, of which {gain[0] * real / computed:.2f}"
            )


if __name__ == "__main__":
    main()
