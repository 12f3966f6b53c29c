"""The ways people run model-written Python today, behind one shape, for `benchmarks/interpreter.py`.

    kernels        ours: a fresh locked kernel for each program, forked from a warm server
    reused_pool    the design of ToRA's executor: a pebble pool whose workers import sympy and numpy once and run
                   program after program in a fresh dictionary; a program past its time costs its worker. No isolation
    subprocesses   `python -c PROGRAM`: isolation of variables, nothing else
    jupyter        a Jupyter kernel a session: start, execute, shut down

Each is a context manager that gives an `Executor`: programs in, outcomes out, in order, on `workers` workers. When it
is entered, servers and pool workers have started and imported, so that the clock of the caller starts alike for all.

The rivals run programs without a sandbox: only in a machine that may be thrown away.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

from mario.interpreter import InterpreterPool, Limits

LIMIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` is ok, error or timeout; `seconds` is one program's on its worker, with opening and closing."""

    output: str
    status: str
    seconds: float


Executor = Callable[[list[str]], list[Outcome]]
Contestant = Callable[[int], AbstractContextManager[Executor]]


@contextlib.contextmanager
def kernels(workers: int) -> Iterator[Executor]:
    with InterpreterPool(workers, Limits(wall_seconds=LIMIT_SECONDS), echo="none", tracebacks="line") as pool:
        pool.missing()

        def one(code: str) -> Outcome:
            started = time.perf_counter()
            with pool.open() as kernel:
                observation = kernel.run(code)
            return Outcome(observation.output, observation.status.value, time.perf_counter() - started)

        yield _threaded(one, workers)


@contextlib.contextmanager
def reused_pool(workers: int) -> Iterator[Executor]:
    from pebble import ProcessPool

    context = multiprocessing.get_context("spawn")  # forking a process with threads may deadlock
    with ProcessPool(workers, initializer=import_guest, context=context) as pool:

        def run(programs: list[str]) -> list[Outcome]:
            futures = [pool.schedule(execute, args=[code], timeout=LIMIT_SECONDS) for code in programs]
            outcomes = []
            for future in futures:
                try:
                    outcomes.append(Outcome(*future.result()))
                except TimeoutError:
                    outcomes.append(Outcome("", "timeout", LIMIT_SECONDS))
                except Exception as error:  # the worker died: pebble starts another
                    outcomes.append(Outcome(repr(error), "died", 0.0))
            return outcomes

        run(["import time; time.sleep(0.5)"] * workers)  # every worker has started and imported
        yield run


def import_guest() -> None:
    with contextlib.suppress(ImportError):
        import numpy  # noqa: F401
    import sympy  # noqa: F401


def execute(code: str) -> tuple[str, str, float]:
    """In a worker of the pool: run a program in a fresh dictionary; what it printed, or the last line of its error."""
    started = time.perf_counter()
    text, status = io.StringIO(), "ok"
    with contextlib.redirect_stdout(text):
        try:
            exec(code, {"__name__": "__main__"})
        except BaseException as error:  # also what calls exit(): the worker is used again
            status = "error"
            print(f"{type(error).__name__}: {error}")
    return text.getvalue(), status, time.perf_counter() - started


@contextlib.contextmanager
def subprocesses(workers: int) -> Iterator[Executor]:
    def one(code: str) -> Outcome:
        started = time.perf_counter()
        try:
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            return Outcome("", "timeout", time.perf_counter() - started)
        return Outcome(done.stdout, "error" if done.returncode else "ok", time.perf_counter() - started)

    yield _threaded(one, workers)


@contextlib.contextmanager
def jupyter(workers: int) -> Iterator[Executor]:
    from jupyter_client.manager import start_new_kernel

    def one(code: str) -> Outcome:
        started = time.perf_counter()
        manager, client = start_new_kernel(startup_timeout=60)
        try:
            output, status = _execute_in_jupyter(client, code)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
        return Outcome(output, status, time.perf_counter() - started)

    yield _threaded(one, workers)


def _execute_in_jupyter(client: object, code: str) -> tuple[str, str]:
    written: list[str] = []

    def collect(message: dict[str, dict[str, str]]) -> None:
        if message["header"]["msg_type"] == "stream":
            written.append(message["content"]["text"])

    try:
        reply = client.execute_interactive(code, timeout=LIMIT_SECONDS, output_hook=collect)  # type: ignore[attr-defined]
    except (TimeoutError, queue.Empty):
        return "".join(written), "timeout"
    return "".join(written), reply["content"]["status"]


def _threaded(one: Callable[[str], Outcome], workers: int) -> Executor:
    def run(programs: list[str]) -> list[Outcome]:
        with ThreadPoolExecutor(workers) as threads:
            return list(threads.map(one, programs))

    return run
