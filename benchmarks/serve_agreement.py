"""Does a real OpenAI-compatible server give, through mario, the same greedy text as the model in this process?

    python benchmarks/serve_agreement.py MODEL_DIRECTORY --serve-python VENV/bin/python --count 50

Starts `transformers serve` on loopback with the same weights in float32, lets both answer the same word problems in the
inline format (greedy, live interpreter), and compares every attempt's text. Where two texts differ, the model says
how far apart its two best tokens were at the first difference: a gap of rounding size is a tie, anything else is a bug.
The server's environment wants: pip install 'transformers[serving]'.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from itertools import pairwise
from pathlib import Path

TIE = 1e-3  # of a logit, in float32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--serve-python", type=Path, required=True)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--out", type=Path, default=None, help="keep the runs here")
    args = parser.parse_args()
    model = str(args.model.resolve())
    out = args.out or Path(tempfile.mkdtemp(prefix="serve-agreement-"))
    mario(
        "data",
        "wordproblems",
        "--split",
        "test-shared",
        "--count",
        str(args.count),
        "--steps",
        "1,2",
        "--out",
        out / "p",
    )
    common = [
        "evaluate",
        out / "p",
        "--solve.max_new_tokens",
        "160",
        "--solve.concurrency",
        "8",
        "--engine.model",
        model,
    ]
    mario(*common, "--engine.dtype", "float32", "--out", out / "local")
    port = free_port()
    flags = ["--dtype", "float32", "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        [args.serve_python.parent / "transformers", "serve", model, *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server)
        mario(*common, "--engine.endpoint", f"http://127.0.0.1:{port}/v1", "--out", out / "served")
    finally:
        server.terminate()
        server.wait()
    report(out, model)


def mario(*arguments: object) -> None:
    command = [sys.executable, "-m", "mario", *map(str, arguments)]
    subprocess.run(command, check=True, env={**os.environ, "OPENAI_API_KEY": "none"}, stdout=sys.stderr)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if server.poll() is not None:
            sys.exit(f"the server ended with {server.returncode}")
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    sys.exit("the server did not come up in five minutes")


def report(out: Path, model: str) -> None:
    local, served = trajectories(out / "local"), trajectories(out / "served")
    assert local.keys() == served.keys(), "the two runs did not finish the same problems"
    different = {name: (local[name], served[name]) for name in local if local[name] != served[name]}
    print(f"{len(local) - len(different)} of {len(local)} attempts have the same text")
    for name, (ours, theirs) in different.items():
        gap, where = first_gap(model, ours, theirs)
        verdict = "a tie" if gap <= TIE else "NOT a tie"
        print(f"{name}: {verdict}: the two best tokens are {gap:.2e} apart at {where!r}")


def trajectories(run: Path) -> dict[str, str]:
    rows = [json.loads(line) for path in sorted((run / "trajectories").glob("[0-9]*.jsonl")) for line in path.open()]
    return {row["problem_id"]: "".join(span["text"] for span in row["spans"]) for row in rows}


def first_gap(model: str, ours: str, theirs: str) -> tuple[float, str]:
    """How far apart the two best logits are where the texts part, and the text just before."""
    import torch

    from mario.engine.checkpoint import load_model, load_tokenizer

    length = next(
        (n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
    )
    shared = ours[:length]
    tokenizer, network = load_tokenizer(Path(model)), load_model(Path(model), dtype="float32")
    ids = tokenizer(ours)["input_ids"]
    ends = [len(tokenizer.decode(ids[:n])) for n in range(len(ids) + 1)]
    at = next(n for n, (_, after) in enumerate(pairwise(ends)) if after > len(shared))
    with torch.inference_mode():
        best = network(torch.tensor([ids[:at]])).logits[0, -1].float().topk(2).values
    return float(best[0] - best[1]), shared[-40:]


if __name__ == "__main__":
    main()
