"""`mario self-train`: rounds of sampling under an adaptive budget, learning from what verified, and judging."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.places import needs_out, problems_file
from mario.cli.progress import Attempts, Line, say
from mario.provenance import to_json
from mario.selftrain import SelfTrainConfig, SelfTrainResult, self_train
from mario.selftrain.rounds import Watch
from mario.selftrain.table import page, table
from mario.solve.run import Listener
from mario.store.jsonl import whole_file


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario self-train",
        description="Let a model attempt problems, train it on what verified, and let the new model attempt what is\n"
        "still unsolved. Samples go where they promise new solutions. The output directory resumes when the same\n"
        "command is run again.",
        epilog="example: mario self-train runs/problems --engine.model runs/model --base smollm2 \\\n"
        "           --data runs/taught --test runs/test-problems --out runs/self-trained",
    )
    parser.add_argument("problems", nargs="?", type=Path, help="JSON lines of problems, or their directory")
    parser.add_argument("--out", type=Path, metavar="DIRECTORY")
    parser.add_argument("--json", action="store_true", help="the rounds as JSON on stdout")
    add_settings(parser, SelfTrainConfig, skip=("problems",), short={"solve.seed": "seed"})
    args = parser.parse(argv)
    config = resolve(SelfTrainConfig, args, problems=args.problems)
    result = self_train_with_progress(config, needs_out(args.out, "self-train"))
    print(json.dumps(to_json(result), indent=2) if args.json else table(result))
    return 3 if result.failures else 0


def self_train_with_progress(config: SelfTrainConfig, out: Path) -> SelfTrainResult:
    """Run or resume, and write `rounds.html` beside the rounds."""
    config = replace(
        config, problems=problems_file(config.problems), test=tuple(problems_file(path) for path in config.test)
    )
    with _watch() as watch:
        result = self_train(config, out, watch)
    with whole_file(out / "rounds.html") as file:
        file.write(page(result).encode())
    say(f"table and plot in {out / 'rounds.html'}")
    if result.failures:
        say(f"{result.failures} attempts failed on our side; run the same command again to retry them")
    return result


@contextmanager
def _watch() -> Iterator[Watch]:
    """One progress line at a time: a stage's line ends when the next one begins."""
    with ExitStack() as lines:

        def attempts(title: str) -> Listener:
            lines.close()
            return lines.enter_context(Attempts(title))

        def training(title: str) -> Callable[[Any], None]:
            lines.close()
            line = lines.enter_context(Line(f"train {title}"))
            return lambda progress: line.show(str(progress))

        yield Watch(attempts, training, say)
