"""`mario python`: Python in the sandbox, as a prompt or for one snippet; what a model would read is what you see.

What this module does not do: it runs nothing in this process; the prompt is in `cli/repl.py`.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.progress import say
from mario.errors import DataError, InterpreterError, UsageError

if TYPE_CHECKING:
    from mario.interpreter import InterpreterPool


@dataclass(frozen=True, slots=True)
class PythonConfig:
    """The sandbox of one sitting.

    wall_seconds: wall time of one snippet
    cpu_seconds: processor time of one snippet, which a busy machine does not change
    memory_mb: memory of the kernel, on top of the preloaded packages
    output_chars: longest output; the middle of a longer one is cut
    echo: how the value of a last expression is shown; mario labels prints as in the paper
    tracebacks: the snippet's own lines and the message, or the message alone
    preload: packages imported ahead; a single snippet has those of them that it names
    python: interpreter that runs the code; none is the one that runs this command
    hash_seed: order of sets and dictionaries of strings; none is random
    seed: start of random, and of numpy.random where numpy is preloaded; none is random
    unsafe: run without isolation where the system offers none
    """

    wall_seconds: float = 10.0
    cpu_seconds: float | None = None
    memory_mb: int = 512
    output_chars: int = 8000
    echo: Literal["repr", "str", "mario", "none"] = "repr"
    tracebacks: Literal["short", "line"] = "short"
    preload: tuple[str, ...] = ("sympy", "numpy")
    python: str | None = None
    hash_seed: int | None = 0
    seed: int | None = None
    unsafe: bool = False

    def __post_init__(self) -> None:
        for name in ("wall_seconds", "cpu_seconds", "memory_mb", "output_chars"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{name} must be a positive number, got {value}")
        if self.hash_seed is not None and not 0 <= self.hash_seed < 2**32:
            raise UsageError(f"hash_seed must be from 0 to {2**32 - 1}, or none, got {self.hash_seed}")


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario python",
        description="Run Python in the sandbox. Without FILE at a terminal it is a prompt: variables live on, Ctrl-C\n"
        "stops a snippet, :undo goes back one, :help lists the rest. With FILE, or - for stdin, it is one snippet,\n"
        "run as a notebook cell: its last expression is shown. Exit 0 when it ran to its end; 1 when it raised, was\n"
        "stopped at a limit or ended its kernel, with that status on stderr; 2 for misuse.",
        epilog="example: mario python -v script.py --wall-seconds 60\n"
        "         echo 'sum(range(101))' | mario python - --json",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="a file to run as one snippet, or - for stdin")
    parser.add_argument("--json", action="store_true", help="one snippet's observation as JSON on stdout")
    parser.add_argument("-v", "--verbose", action="store_true", help="say which walls stand, on stderr")
    add_settings(parser, PythonConfig)
    args = parser.parse(argv)
    config = resolve(PythonConfig, args)
    if args.file is None and sys.stdin.isatty():
        if args.json:
            raise UsageError("--json is for one snippet; name a FILE, or - for stdin")
        from mario.cli.repl import converse

        with open_pool(config, config.preload) as pool:
            return converse(
                pool,
                python=config.python,
                wall_seconds=config.wall_seconds,
                memory_mb=config.memory_mb,
                seed=config.seed,
            )
    return _one_snippet(_read(args.file or "-"), config, as_json=args.json, verbose=args.verbose)


def _one_snippet(code: str, config: PythonConfig, *, as_json: bool, verbose: bool) -> int:
    from mario.provenance import to_json
    from mario.types import ObservationStatus

    named = tuple(package for package in config.preload if re.search(rf"\b{re.escape(package)}\b", code))
    with open_pool(config, named) as pool:
        if verbose:
            say(f"sandbox: {pool.tier}")
        with pool.open(config.seed) as kernel:
            observation = kernel.run(code)
    if observation.status is ObservationStatus.LOST:
        raise InterpreterError(f"interpreter: {observation.output}; run it again")
    if as_json:
        print(json.dumps(to_json(observation), ensure_ascii=False))
    elif observation.output:
        print(observation.output)
    if observation.status is ObservationStatus.OK:
        return 0
    if not as_json:
        say(f"mario python: {observation.status.value}")
    return 1


def open_pool(config: PythonConfig, preload: tuple[str, ...]) -> InterpreterPool:
    """One fork server, as configured; its imports go on while the caller does."""
    from mario.interpreter import InterpreterPool, Limits

    return InterpreterPool(
        1,
        Limits(config.wall_seconds, config.memory_mb, config.output_chars, config.cpu_seconds),
        hash_seed=config.hash_seed,
        echo=config.echo,
        preload=preload,
        python=_program(config.python),
        unsafe=config.unsafe,
        tracebacks=config.tracebacks,
    )


def _program(python: str | None) -> str | None:
    """The interpreter's full path: the fork server is started in another directory, without a PATH."""
    if python is None:
        return None
    found = shutil.which(python)
    if found is None:
        raise UsageError(f"python must be an interpreter, got {python!r}; name a program, or a path to one")
    return str(Path(found).absolute())


def _read(name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}; name a file of Python, or - for stdin") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not UTF-8, at byte {error.start}; save it as UTF-8") from error
