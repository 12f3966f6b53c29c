"""Does the in-process engine's memory stay bounded? Many attempts of two turns through one engine, and what it holds.

    python benchmarks/engine_memory.py --model runs/sft --attempts 2000 --batch 256

Prompts are word problems in the inline format, eight samples of each; the output between the turns is made up. The
resident memory of the process is printed as attempts end. A fine-tuned model stops where a program ends.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from mario.data.wordproblems.generate import generate
from mario.engine import EngineConfig, build_engine
from mario.engine.protocol import Engine
from mario.provenance import hardware
from mario.transcript import format_named
from mario.types import Observation, ObservationStatus, Request, Sampling

SAMPLES = 8


def resident() -> tuple[float, float]:
    """GB of this process now, and at most so far."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now, most = (int(status[name].split()[0]) / 1e6 for name in ("VmRSS", "VmHWM"))
    return now, most


async def run(engine: Engine, args: argparse.Namespace) -> None:
    problems = list(generate("train", -(-args.attempts // SAMPLES), seed=7))
    form = format_named("inline")
    room = asyncio.Semaphore(args.batch * 5 // 4)
    done = tokens = 0
    began = time.monotonic()

    async def attempt(i: int) -> None:
        nonlocal done, tokens
        problem = problems[i // SAMPLES]
        async with room:
            context = form.start(problem.question)
            for turn in range(2):
                sampling = Sampling(1.0, 1.0, args.max_new_tokens)
                request = Request(problem.id, i, turn, sampling, 10 * i + turn, context.spans, stop=form.stop)
                made = await engine.generate(request)
                tokens += made.completion_tokens or 0
                context = form.add_completion(context, made)
                context = form.add_observation(context, Observation(str(i), ObservationStatus.OK))
        done += 1
        if done % args.every == 0 or done == args.attempts:
            now, most = resident()
            rate = tokens / (time.monotonic() - began)
            print(f"{done} attempts: {now:.2f} GB, at most {most:.2f}; {tokens} tokens, {rate:.0f}/s", flush=True)

    print(f"model loaded: {resident()[0]:.2f} GB")
    await asyncio.gather(*map(attempt, range(args.attempts)))
    await engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--attempts", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--max-new-tokens", type=int, default=96)
    parser.add_argument("--every", type=int, default=200)
    args = parser.parse_args()
    print({"hardware": hardware(), **vars(args)})
    asyncio.run(run(build_engine(EngineConfig(model=args.model, batch_size=args.batch)), args))


if __name__ == "__main__":
    main()
