"""Runs of `mario annotate` against the chaos server, and the audit of what both sides wrote down."""

from __future__ import annotations

import heapq
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos_server import Call
from mario.engine.ledger import read_spend
from mario.engine.prices import Price
from mario.engine.spend import Spend, Tokens

PRICE = Price(input=2.0, output=8.0)
SERVER = Path(__file__).with_name("chaos_server.py")


def make_problems(folder: Path, count: int) -> Path:
    """Generated word problems, no question twice: the server tells problems apart by their text."""
    command = [sys.executable, "-m", "mario", "data", "wordproblems", "--steps", "1,2,3", "--out", str(folder)]
    subprocess.run([*command, "--count", str(count + count // 10)], check=True, capture_output=True)
    rows = {json.loads(line)["question"]: line for line in (folder / "problems.jsonl").open()}
    path = folder / "distinct.jsonl"
    path.write_text("".join(list(rows.values())[:count]))
    return path


@dataclass
class Server:
    url: str
    log: Path

    def account(self) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.url}/account", timeout=30) as reply:
            found: dict[str, int] = json.load(reply)
        return found

    def calls(self) -> list[Call]:
        """Every call that has left the server, in that order."""
        return [Call(**json.loads(line)) for line in self.log.open()] if self.log.exists() else []

    def settle(self) -> list[Call]:
        """The calls, once none is under way: the server notices that a killed client has hung up."""
        while (account := self.account()).get("arrived", 0) != account.get("left", 0):
            time.sleep(0.01)
        return self.calls()


@contextmanager
def serving(problems: Path, log: Path, **settings: Any) -> Iterator[Server]:
    flags = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, str(SERVER), str(problems), "--log", str(log), *flags]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield Server(f"http://127.0.0.1:{int(child.stdout.readline())}", log)
    finally:
        child.kill()
        child.wait()


def command(
    problems: Path, server: Server, out: Path, *, slots: int, attempts: int, timeout_seconds: float, **engine: Any
) -> list[str]:
    """`slots` calls and `attempts` attempts at once."""
    settings = {
        "model": "teacher",
        "endpoint": server.url,
        "concurrency": slots,
        "timeout_seconds": timeout_seconds,
        "max_retries": 20,
        "price.input": PRICE.input,
        "price.output": PRICE.output,
        **engine,
    }
    flags = [part for name, value in settings.items() for part in (f"--engine.{name}", str(value))]
    return [
        sys.executable, "-m", "mario", "annotate", str(problems), "--teacher", "engine", "--out", str(out),
        "--solve.concurrency", str(attempts), "--solve.max_new_tokens", "200", *flags,
    ]  # fmt: skip


def start(arguments: Sequence[str], said: Path) -> subprocess.Popen[bytes]:
    with said.open("ab") as file:
        return subprocess.Popen(list(arguments), stdout=file, stderr=subprocess.STDOUT, start_new_session=True)


def kill(child: subprocess.Popen[bytes]) -> None:
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()


@dataclass(frozen=True)
class Audit:
    """The server's own account beside the ledger's."""

    billed: Tokens
    spend: Spend
    arrived: Tokens  # billed, and the count reached the client whole

    @property
    def holds(self) -> bool:
        low, high = self.spend.confirmed_tokens, self.spend.confirmed_tokens + self.spend.unknown_tokens
        return (
            low.prompt <= self.billed.prompt <= high.prompt
            and low.completion <= self.billed.completion <= high.completion
        )

    def lines(self) -> str:
        known, unknown = self.spend.confirmed_tokens, self.spend.unknown_tokens
        rows = {
            "ledger, confirmed": known,
            "server, of answers that arrived": self.arrived,
            "server, all it bills": self.billed,
            "ledger, confirmed + unknown": known + unknown,
        }
        return "\n".join(
            f"{name:<32} {tokens.prompt:>9,} + {tokens.completion:>9,} tokens  "
            f"${PRICE.cost(tokens.prompt, tokens.completion):.4f}"
            for name, tokens in rows.items()
        )


def audit(out: Path, calls: Sequence[Call]) -> Audit:
    billed, arrived = Tokens(), Tokens()
    for call in calls:
        cost = Tokens(call.prompt_tokens, call.completion_tokens)
        billed += cost
        if call.whole or (call.fault == "empty" and not call.gone):
            arrived += cost
    return Audit(billed, read_spend(out / "ledger.jsonl", PRICE), arrived)


def attempts(out: Path) -> dict[str, tuple[str, str | None]]:
    """Text and answer of every stored attempt, by problem."""
    rows = [json.loads(line) for path in sorted((out / "trajectories").glob("[0-9]*.jsonl")) for line in path.open()]
    found = {row["problem_id"]: ("".join(span["text"] for span in row["spans"]), row.get("answer")) for row in rows}
    assert len(found) == len(rows), "an attempt is stored twice"
    return found


def kept(out: Path) -> set[str]:
    return {json.loads(line)["problem_id"] for path in (out / "kept").glob("[0-9]*.jsonl") for line in path.open()}


def durable(out: Path) -> set[tuple[str, int]]:
    """(problem, turn) of every completion whose journal line is whole."""
    path = out / "journal.jsonl"
    if not path.exists():
        return set()
    rows = [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return {(row["problem"], row["turn"]) for row in rows if row["kind"] == "completion"}


@dataclass(frozen=True)
class Bound:
    """What no client can beat, given what the server did to its calls and how many it may have open.

    `slots`: the time the server held calls open, spread evenly over the calls allowed at once. `chain`: the longest
    problem, whose calls come one after another, with the waits the server asked for in between. `ideal`: a client
    without any work of its own and without back-off that takes the problems in the same order; no bound for one that
    could see stalls coming, but what one that cannot would need.
    """

    slots: float
    chain: float
    ideal: float

    @property
    def lower(self) -> float:
        return max(self.slots, self.chain)


def bound(calls: Sequence[Call], slots: int, attempts: int) -> Bound:
    chains: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for call in sorted(calls, key=lambda call: call.arrived):
        chains[call.problem].append((call.left - call.arrived, call.retry_after))
    return Bound(
        slots=sum(hold for chain in chains.values() for hold, _ in chain) / slots,
        chain=max(sum(hold + wait for hold, wait in chain) for chain in chains.values()),
        ideal=_ideal(list(chains.values()), slots, attempts),
    )


def _ideal(chains: list[list[tuple[float, float]]], slots: int, attempts: int) -> float:
    """Plays the chains through: an attempt queues for a slot, holds it, waits as asked, and queues again."""
    ready = [(0.0, index, 0) for index in range(min(attempts, len(chains)))]  # (from when, chain, which call)
    heapq.heapify(ready)
    free = [0.0] * slots
    following, end = len(ready), 0.0
    while ready:
        moment, index, step = heapq.heappop(ready)
        hold, wait = chains[index][step]
        left = max(moment, heapq.heappop(free)) + hold
        heapq.heappush(free, left)
        end = max(end, left)
        if step + 1 < len(chains[index]):
            heapq.heappush(ready, (left + wait, index, step + 1))
        elif following < len(chains):
            heapq.heappush(ready, (left, following, 0))
            following += 1
    return end
