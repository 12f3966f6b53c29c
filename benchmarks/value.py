"""What does scoring cost beside sampling? One run: samples of word problems, then their values, on this machine.

    python benchmarks/value.py --model runs/model --problems 16 --samples 8

Both times are of whole calls, model loading included, and the bar is sampling + scoring <= 1.15 x sampling. The value
model is the same network with a head drawn at random (`--ovm` names a real one): what it says means nothing, what it
costs is the same.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from mario.data.readers import write_problems
from mario.data.wordproblems.generate import generate
from mario.engine import EngineConfig
from mario.engine.checkpoint import resolve
from mario.evaluate import EvaluateConfig, evaluate
from mario.evaluate.results import read_results
from mario.provenance import hardware
from mario.solve import SolveConfig
from mario.value import OvmCard, ValueConfig, ValueModel, score_run, write_card

BAR = 1.15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2", help="directory or name of a causal model")
    parser.add_argument("--ovm", type=Path, help="a value model; by default --model with a random head")
    parser.add_argument("--problems", type=int, default=16)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--max-new-tokens", type=int, default=256)
    parser.add_argument("--batch-tokens", type=int, nargs="+", default=[4096])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_problems(root / "problems.jsonl", generate("test-shared", args.problems, seed=1))
        config = EvaluateConfig(
            problems=(root / "problems.jsonl",),
            engine=EngineConfig(model=args.model),
            solve=SolveConfig(samples=args.samples, temperature=args.temperature, max_new_tokens=args.max_new_tokens),
        )
        began = time.monotonic()
        summary = evaluate(config, root / "run")
        sampling = time.monotonic() - began
        tokens = sum(row.trajectory.completion_tokens for row in read_results(root / "run").judged)
        print(json.dumps({"hardware": hardware(), "model": args.model, "attempts": summary.attempts}))
        print(f"sampling: {sampling:.1f} s, {tokens} tokens generated, pass@1 {summary.accuracy.value:.3f}")
        ovm = args.ovm or random_head(resolve(args.model), root / "ovm")
        for size in args.batch_tokens:
            began = time.monotonic()
            model = ValueModel(ValueConfig(model=str(ovm), name=f"of-{size}", batch_tokens=size))
            progress = score_run(root / "run", model)
            scoring = time.monotonic() - began
            ratio = (sampling + scoring) / sampling
            print(
                f"scoring, {size} tokens a batch: {scoring:.1f} s ({progress.seconds:.1f} s in the model), "
                f"{progress.tokens} tokens read; sampling + scoring = {ratio:.3f} x sampling, "
                f"bar {BAR} {'met' if ratio <= BAR else 'MISSED'}"
            )


def random_head(model: Path, out: Path) -> Path:
    """The model's directory as a value model whose head means nothing."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    network = AutoModelForTokenClassification.from_pretrained(model, num_labels=1)
    torch.nn.init.normal_(network.score.weight, std=0.02)
    network.save_pretrained(out)
    AutoTokenizer.from_pretrained(model).save_pretrained(out)
    write_card(out, OvmCard())
    return out


if __name__ == "__main__":
    main()
