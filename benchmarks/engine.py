"""The in-process engine's rate beside transformers' `generate`: same weights, prompts and machine.

    python benchmarks/engine.py --model smollm2 --batch 1 8 32 --tokens 48

Every request generates exactly `--tokens` tokens (end tokens are switched off on both sides). `generate` gets one
static batch, its best case; a last row gives the engine requests of uneven length, three batches' worth, where
a static batch would idle, and two more rows attempts of two turns, with and without the keys and values that the
engine holds from one turn to the next. Both sides are warmed up and run alternately `--repeat` times; the best run
counts. On a machine that others use too, read the CPU-seconds (of all threads): they hardly depend on its load.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import replace
from typing import Any

from mario.engine import checkpoint
from mario.provenance import code_version, hardware
from mario.types import Request, Sampling, Source, Span

ITEMS = ("apples", "pencils", "marbles", "tickets", "stamps", "bottles", "chairs", "books")


def prompt(i: int) -> str:
    item = ITEMS[i % len(ITEMS)]
    return (
        "<|im_start|>user\nSolve the problem step by step. Write each calculation on a line of its own, and the answer "
        f"on the last line.\n\nA shop has {37 + i} boxes with {12 + 3 * i} {item} each. On Monday it sells {5 + i} "
        f"boxes, and on Tuesday it receives {2 + i} boxes that hold {8 + i} {item} each. A quarter of all {item} is "
        f"then moved to another shop. How many {item} are left in the shop?<|im_end|>\n<|im_start|>assistant\n"
    )


def requests(count: int, tokens: list[int], temperature: float = 0.0, top_p: float = 1.0) -> list[Request]:
    return [
        Request(
            problem_id=str(i),
            sample_index=0,
            turn=0,
            sampling=Sampling(temperature=temperature, top_p=top_p, max_new_tokens=tokens[i % len(tokens)]),
            seed=i,
            spans=(Span(prompt(i), Source.PROMPT),),
            stop=("</code>", "Output:\n"),
        )
        for i in range(count)
    ]


class Clock:
    """Tokens by wall time and by the CPU time of all threads, since it was made."""

    def __init__(self) -> None:
        self.began = time.perf_counter(), time.process_time()

    def rates(self, tokens: int) -> tuple[float, float]:
        wall, cpu = time.perf_counter() - self.began[0], time.process_time() - self.began[1]
        return tokens / wall, tokens / cpu


async def engine_rate(engine: Any, asked: list[Request]) -> tuple[float, float]:
    clock = Clock()
    done = await asyncio.gather(*(engine.generate(request) for request in asked))
    return clock.rates(sum(c.completion_tokens for c in done))


async def two_turns_rate(engine: Any, firsts: list[Request]) -> tuple[float, float]:
    """Each request ends at its stop string, gets an output to read, and goes on: a tool-integrated attempt."""

    async def attempt(first: Request) -> int:
        one = await engine.generate(first)
        known = tuple(Span(s.text, s.source, ids) for s, ids in zip(first.spans, one.prompt_ids, strict=True))
        turn = Span(one.text + (one.stop or ""), Source.MODEL, one.token_ids)
        output = Span(f"\nOutput:\n{first.seed}\n", Source.INTERPRETER)
        two = await engine.generate(replace(first, turn=1, spans=(*known, turn, output), stop=()))
        return int(one.completion_tokens + two.completion_tokens)

    clock = Clock()
    return clock.rates(sum(await asyncio.gather(*map(attempt, firsts))))


async def stopping(engine: Any, asked: list[Request]) -> list[Request]:
    """The same requests, each with the end of its own greedy text as a stop string."""
    done = await asyncio.gather(*(engine.generate(request) for request in asked))
    return [replace(request, stop=(one.text[-8:],)) for request, one in zip(asked, done, strict=True)]


def generate_rate(model: Any, tokenizer: Any, count: int, tokens: int) -> tuple[float, float]:
    clock = Clock()
    batch = tokenizer([prompt(i) for i in range(count)], return_tensors="pt", padding=True, padding_side="left")
    output = model.generate(**batch.to(model.device), do_sample=False, max_new_tokens=tokens, min_new_tokens=tokens)
    tokenizer.batch_decode(output)
    return clock.rates(count * tokens)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=checkpoint.EMBEDDED)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--repeat", type=int, default=2)
    args = parser.parse_args()

    from mario.engine.local import LocalEngine
    from mario.engine.prefix import PrefixStore

    directory = checkpoint.resolve(args.model, print)
    tokenizer = checkpoint.load_tokenizer(directory)
    model = checkpoint.load_model(directory, dtype=args.dtype, device=args.device)
    end = model.generation_config.eos_token_id
    rows: list[dict[str, Any]] = []
    for size in args.batch:
        model.generation_config.eos_token_id = None
        eos, tokenizer.eos_token = tokenizer.eos_token, None
        engine = LocalEngine(model, tokenizer, "benchmark", batch_size=size)
        tokenizer.eos_token = eos
        model.generation_config.eos_token_id = end
        cases = {
            "mario greedy": requests(size, [args.tokens]),
            "mario sampled, top_p 0.95": requests(size, [args.tokens], 0.7, 0.95),
            "mario uneven, 3 batches": requests(3 * size, [args.tokens * k // 4 for k in (1, 7, 2, 6, 3, 5)]),
        }
        best: dict[str, tuple[float, float]] = {}

        def note(name: str, rates: tuple[float, float], best: dict[str, tuple[float, float]] = best) -> None:
            wall, cpu = best.get(name, (0.0, 0.0))
            best[name] = max(wall, rates[0]), max(cpu, rates[1])

        attempts = asyncio.run(stopping(engine, requests(size, [args.tokens])))
        generate_rate(model, tokenizer, size, 2)
        for _ in range(args.repeat):
            note("generate", generate_rate(model, tokenizer, size, args.tokens))
            for name, asked in cases.items():
                if size > 1 or name == "mario greedy":
                    note(name, asyncio.run(engine_rate(engine, asked)))
            for name, budget in (("mario two turns, nothing held", 0), ("mario two turns", 512 * 2**20)):
                engine._batch._prefixes = PrefixStore(budget)
                note(name, asyncio.run(two_turns_rate(engine, attempts)))
        asyncio.run(engine.close())
        for name, (wall, cpu) in best.items():
            row = {"engine": name, "batch": size, "tokens_per_second": round(wall, 1)}
            rows.append(row | {"tokens_per_cpu_second": round(cpu, 1)})
            print(f"{name:30s} batch {size:3d} {wall:8.1f} tokens/s {cpu:8.1f} tokens/CPU-s", flush=True)
    print(json.dumps({"rows": rows, "dtype": str(model.dtype), "hardware": hardware(), "code": code_version()}))


if __name__ == "__main__":
    main()
