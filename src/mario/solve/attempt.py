"""Engine, interpreter and output directory brought together: the rim that `annotate` and `evaluate` share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mario.engine.protocol import Engine
from mario.errors import DataError, UsageError
from mario.interpreter import AsyncInterpreterPool, Limits
from mario.interpreter.protocol import AsyncInterpreter, AsyncKernel
from mario.provenance import content_hash, make_manifest
from mario.solve.rollout import SolveConfig
from mario.solve.run import Listener, Progress, Waves, solve_into
from mario.store import RunStore
from mario.transcript import Demonstration
from mario.types import Problem

# Settings that change how fast a run goes, never what it gives: a resumed run may change them.
# A server may have moved; its model's name is what counts.
PACE = frozenset(
    {"concurrency", "workers", "preload", "batch_size", "timeout_seconds", "max_retries", "endpoint", "api_key_env"}
    | {"max_cost", "max_total_tokens", "price", "cache"}
)


@dataclass(frozen=True, slots=True)
class InterpreterConfig:
    """The sandbox that runs model-written code.

    workers: fork servers; one a core is enough
    wall_seconds: wall time of one snippet
    memory_mb: memory of one kernel, on top of the imported guest packages
    output_chars: longest observation; the middle of a longer one is cut
    echo: how the value of a last expression is shown
    hash_seed: order of sets and dictionaries of strings in the guest
    preload: packages imported once, ahead of the kernels; others are imported when a snippet asks for them
    unsafe: run without isolation where the system offers none
    """

    workers: int = 2
    wall_seconds: float = 10.0
    memory_mb: int = 512
    output_chars: int = 2000
    echo: Literal["repr", "str", "mario", "none"] = "repr"
    hash_seed: int = 0
    preload: tuple[str, ...] = ("sympy", "numpy")
    unsafe: bool = False

    def __post_init__(self) -> None:
        for name in ("workers", "wall_seconds", "memory_mb", "output_chars"):
            if not getattr(self, name) > 0:
                raise UsageError(f"interpreter.{name} must be a positive number, got {getattr(self, name)}")

    def key(self) -> str:
        """Names what changes an observation, for the journal."""
        return content_hash({k: v for k, v in _fields(self).items() if k not in PACE})


def _fields(config: InterpreterConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__slots__}


def count_problems(problems: Iterable[Problem], where: str) -> int:
    """A first pass over problems, so that every row is sound before anything is paid for; returns how many.

    Raises:
        DataError: an id occurs twice; attempts are stored under it.
    """
    seen: set[str] = set()
    for problem in problems:
        if problem.id in seen:
            raise DataError(f"problem id {problem.id!r} occurs twice in {where}; give each problem an id of its own")
        seen.add(problem.id)
    return len(seen)


class Sandbox(AsyncInterpreter):
    """The interpreter pool of a run, started when the first kernel is wanted: a run without code starts none."""

    def __init__(self, config: InterpreterConfig) -> None:
        self._config = config
        self._pool: AsyncInterpreterPool | None = None
        self._starting = asyncio.Lock()

    async def open(self) -> AsyncKernel:
        async with self._starting:
            if self._pool is None:
                config = self._config
                pool = AsyncInterpreterPool(
                    workers=config.workers,
                    limits=Limits(
                        wall_seconds=config.wall_seconds,
                        memory_mb=config.memory_mb,
                        output_chars=config.output_chars,
                    ),
                    hash_seed=config.hash_seed,
                    echo=config.echo,
                    preload=config.preload,
                    unsafe=config.unsafe,
                )
                await pool.__aenter__()
                self._pool = pool
        return await self._pool.open()

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.__aexit__(None, None, None)


def attempt(
    out: Path,
    kind: str,
    problems: Iterable[Problem],
    engine: Engine,
    solve: SolveConfig,
    interpreter: InterpreterConfig,
    *,
    recipe: Mapping[str, Any],
    inputs: Mapping[str, str],
    demonstrations: Sequence[Demonstration] = (),
    total: int | None = None,
    waves: Waves | None = None,
    on_progress: Listener = lambda *_: None,
) -> Progress:
    """Attempt every problem into `out`, or what is still missing there; returns what there is now.

    See `solve_into` for what Ctrl-C, a spent budget and `waves` do.

    Raises:
        EngineError, InterpreterError, StoreError: a lasting fault of ours; what is finished is stored.
    """
    manifest = make_manifest(kind, recipe, inputs={**inputs, "engine": engine.name}, seeds={"run": solve.seed})

    async def run() -> Progress:
        sandbox = Sandbox(interpreter)
        try:
            return await solve_into(
                store,
                problems,
                engine,
                sandbox,
                solve,
                demonstrations=demonstrations,
                interpreter_key=interpreter.key(),
                total=total,
                waves=waves,
                on_progress=on_progress,
            )
        finally:
            await sandbox.close()
            await engine.close()

    with RunStore(out, manifest, PACE) as store:
        return asyncio.run(run())
