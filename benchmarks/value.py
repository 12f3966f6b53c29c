"""What do values cost beside sampling? One run: samples of word problems, then their values, on this machine.

    python benchmarks/value.py --model runs/model --problems 16 --samples 8

Two ways: the attempts are read again (whatever wrote them), or the generator has a value head itself and values what it
writes. All times are of whole calls, model loading included, and the bar is 1.15 x sampling without values. The value
model is the same network with a head drawn at random (`--ovm` names a real one): what it says means nothing, what it
costs is the same. Sampling with and without values is done in turn `--repeat` times; the medians count.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

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
    parser.add_argument(
        "--ovm", type=Path, help="a directory that generates and values; by default --model with a head"
    )
    parser.add_argument("--problems", type=int, default=16)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--max-new-tokens", type=int, default=256)
    parser.add_argument("--batch-tokens", type=int, nargs="+", default=[4096])
    parser.add_argument("--repeat", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_problems(root / "problems.jsonl", generate("test-shared", args.problems, seed=1))
        ovm = args.ovm or with_head(resolve(args.model), root / "ovm")
        plain = without_head(ovm, root / "generator")
        print(json.dumps({"hardware": hardware(), "model": str(args.ovm or args.model)}))
        alone, valuing = [], []
        for turn in range(args.repeat):
            alone.append(sample(args, root, plain, f"alone-{turn}"))
            run, seconds = root / f"valuing-{turn}", sample(args, root, ovm, f"valuing-{turn}")
            valuing.append(seconds + score(run, ovm, args.batch_tokens[0]))
        sampling = statistics.median(alone)
        print(f"sampling: {sampling:.1f} s without values")
        for size in args.batch_tokens:
            report(f"read again, {size} tokens a batch", sampling + score(root / "alone-0", ovm, size), sampling)
        report("valued by the generator", statistics.median(valuing), sampling)


def sample(args: argparse.Namespace, root: Path, model: Path, name: str) -> float:
    """Seconds to attempt the problems with a model, into a folder of that name."""
    config = EvaluateConfig(
        problems=(root / "problems.jsonl",),
        engine=EngineConfig(model=str(model)),
        solve=SolveConfig(samples=args.samples, temperature=args.temperature, max_new_tokens=args.max_new_tokens),
    )
    began = time.monotonic()
    summary = evaluate(config, root / name)
    seconds = time.monotonic() - began
    tokens = sum(row.trajectory.completion_tokens for row in read_results(root / name).judged)
    print(f"{name}: {seconds:.1f} s, {summary.attempts} attempts, {tokens} tokens, pass@1 {summary.accuracy.value:.3f}")
    return seconds


def score(run: Path, ovm: Path, batch_tokens: int) -> float:
    """Seconds to give every attempt of a run its values."""
    began = time.monotonic()
    progress = score_run(
        run, ValueModel(ValueConfig(model=str(ovm), name=f"of-{batch_tokens}", batch_tokens=batch_tokens))
    )
    seconds = time.monotonic() - began
    print(
        f"values of {run.name}: {seconds:.1f} s ({progress.seconds:.1f} s in the model), {progress.tokens} tokens read"
    )
    return seconds


def report(way: str, seconds: float, sampling: float) -> None:
    ratio = seconds / sampling
    print(f"{way}: sampling with values = {ratio:.3f} x sampling, bar {BAR} {'met' if ratio <= BAR else 'MISSED'}")


def with_head(model: Path, out: Path) -> Path:
    """The model's directory as one that generates and values, with a head that means nothing."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, out)
    weights: dict[str, torch.Tensor] = {}
    for path in sorted(out.glob("*.safetensors*")):
        weights |= load_file(path) if path.suffix == ".safetensors" else {}
        path.unlink()
    hidden = json.loads((out / "config.json").read_text())["hidden_size"]
    weights |= {"score.weight": torch.randn(1, hidden) * 0.02, "score.bias": torch.zeros(1)}
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    _become(out, "TokenClassification", num_labels=1, id2label={"0": "correct"}, label2id={"correct": 0})
    write_card(out, OvmCard())
    return out


def without_head(ovm: Path, out: Path) -> Path:
    """The same network as a generator only."""
    shutil.copytree(ovm, out)
    _become(out, "CausalLM")
    return out


def _become(directory: Path, task: str, **settings: Any) -> None:
    path = directory / "config.json"
    config = json.loads(path.read_text())
    family = re.sub("For.*", "", config["architectures"][0])
    path.write_text(json.dumps(config | {"architectures": [f"{family}For{task}"]} | settings))


if __name__ == "__main__":
    main()
