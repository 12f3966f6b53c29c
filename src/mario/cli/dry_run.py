"""`--dry-run`: what a command would attempt and what that may cost, and the first prompt; nothing is called."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

from mario.cli.places import problems_file
from mario.cli.progress import dollars, short
from mario.data.readers import read_problems
from mario.engine import EngineConfig
from mario.engine.prices import Price, check_budget, price_of
from mario.solve import SolveConfig
from mario.transcript import Context, Demonstration, format_named

# What a forecast assumes before the first call. Measured runs replace it: a run forecasts anew after its pilot.
CHARACTERS_A_TOKEN = 4  # of English and code, roughly, by the tokenizers of large models
TURNS, TURN_TOKENS, OUTPUT_TOKENS = 2.5, 120, 20  # calls an attempt, tokens a completion, tokens an output


def show_plan(
    files: tuple[Path, ...],
    limit: int | None,
    engine: EngineConfig | None,
    solve: SolveConfig,
    demonstrations: tuple[Demonstration, ...] = (),
) -> None:
    """Count the problems (so every row is read and checked), forecast the cost, and print the first prompt.

    `engine` is None for the calculator teacher, which calls none.
    """
    if engine is not None:
        check_budget(engine)
    format = format_named(solve.format)
    first, count, characters = None, 0, 0
    for file in files:
        for problem in islice(read_problems(problems_file(file)), limit):
            context = format.start(problem.question, demonstrations)
            first = first or (problem.id, context)
            count += 1
            characters += len(_text(context)) + sum(len(json.dumps(tool)) for tool in format.tools)
    plan = f"{solve.samples} samples each" + (" (the first one greedy)" if solve.greedy_first else "")
    who = engine.model if engine is not None else "the calculator teacher"
    print(f"{count} problems, {plan}: {count * solve.samples} attempts by {who}, format {solve.format}")
    if first is None:
        return
    if engine is not None and engine.endpoint is not None:
        attempts = count * solve.samples
        print(_forecast(attempts, characters / count / CHARACTERS_A_TOKEN, solve, price_of(engine)))
        if engine.max_cost is not None:
            print(f"cap: {dollars(engine.max_cost)}, kept by putting aside what a call can cost before it is sent")
    print(f"first prompt ({first[0]}):\n")
    print(_text(first[1]) if first[1].spans else json.dumps(list(first[1].messages), indent=2, ensure_ascii=False))


def _text(context: Context) -> str:
    return "".join(span.text for span in context.spans) or "".join(str(m["content"]) for m in context.messages)


def _forecast(attempts: int, prompt_tokens: float, solve: SolveConfig, price: Price | None) -> str:
    """A guess with its assumptions, and what cannot be passed."""
    most_turns = solve.max_steps + 1 if format_named(solve.format).name != "text" else 1
    turns = min(TURNS, most_turns)
    # Each turn reads the prompt and all turns before it.
    read = turns * prompt_tokens + turns * (turns - 1) / 2 * (TURN_TOKENS + OUTPUT_TOKENS)
    total_read, written = attempts * read, attempts * turns * min(TURN_TOKENS, solve.max_new_tokens)
    lines = [
        f"requests: some {attempts * turns:,.0f}, at most {attempts * most_turns:,}",
        f"forecast: {short(total_read)} prompt and {short(written)} completion tokens",
        f"  assumed: {turns:g} turns an attempt, {TURN_TOKENS} new tokens a turn, {OUTPUT_TOKENS} an output, "
        f"{CHARACTERS_A_TOKEN} characters a token (a prompt of {prompt_tokens:,.0f}), no retries, no cached input;",
        "  the run forecasts anew, from what it measured, after 2 % of the problems",
    ]
    if price is None:
        lines.append("cost: no price is known for this model; set engine.price.input and engine.price.output")
    else:
        rates = f"${price.input:g} and ${price.output:g} a million tokens in and out, by {price.source}"
        lines.append(f"cost: {dollars(price.cost(round(total_read), round(written)))} ({rates})")
    return "\n".join(lines)
