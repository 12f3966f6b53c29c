"""The ledger: what was promised is never passed, what was spent is never forgotten, and when to come back."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario.engine import EngineConfig, build_engine
from mario.engine.config import PriceConfig
from mario.engine.ledger import Ledger, read_spend
from mario.engine.pace import BACKOFF_MAX, BACKOFF_SECONDS, Gate, backoff, retry_after
from mario.engine.prices import Price, check_budget, price_of
from mario.engine.spend import Tokens
from mario.errors import BudgetReached, DataError, StoreError, UsageError

PRICE = Price(input=1.0, output=4.0, cached_input=0.5)
URL = "http://127.0.0.1:9/v1"


def test_a_cost_is_counted_by_kind_of_token() -> None:
    assert PRICE.cost(1_000_000, 0) == 1.0
    assert PRICE.cost(1_000_000, 500_000, cached_tokens=400_000) == pytest.approx(0.6 + 0.2 + 2.0)
    assert Price(1.0, 4.0).cost(10, 0, cached_tokens=10) == Price(1.0, 4.0).cost(10, 0)


def test_a_price_is_the_recipes_or_the_vendors_or_unknown() -> None:
    known = price_of(EngineConfig(model="gpt-4o-mini", endpoint="https://api.openai.com/v1"))
    assert known is not None and (known.input, known.output) == (0.15, 0.6) and "2025-06-03" in known.source
    assert price_of(EngineConfig(model="gpt-4o-mini", endpoint=URL)) is None, "another server has another price"
    mine = EngineConfig(model="gpt-4o-mini", endpoint=URL, price=PriceConfig(input=3, output=5))
    assert price_of(mine) == Price(3, 5)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"input": 1.0}, "price.output is not"),
        ({"output": 1.0}, "price.input is not"),
        ({"cached_input": 1.0}, "price.input is not"),
        ({"input": -1.0, "output": 1.0}, "0 or more"),
    ],
)
def test_half_a_price_is_refused(given: dict[str, float], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        PriceConfig(**given)


def test_a_cap_on_dollars_needs_a_price() -> None:
    with pytest.raises(UsageError, match=r"set engine\.price\.input"):
        check_budget(EngineConfig(model="mystery", endpoint=URL, max_cost=5))
    with pytest.raises(UsageError, match=r"set engine\.price\.input"):
        build_engine(EngineConfig(model="mystery", endpoint=URL, max_cost=5))
    check_budget(EngineConfig(model="mystery", endpoint=URL, max_total_tokens=5))
    with pytest.raises(UsageError, match="max_cost must be above 0"):
        EngineConfig(max_cost=0)


def spend(ledger: Ledger, bound: Tokens, used: Tokens | None) -> None:
    async def main() -> None:
        call = await ledger.reserve(bound, problem="p", sample=0, turn=0)
        if used is None:
            ledger.lose(call, "reset")
        else:
            ledger.confirm(call, used)

    asyncio.run(main())


def test_confirmed_and_unknown_are_kept_apart_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "run" / "ledger.jsonl"
    ledger = Ledger(path, price=PRICE)

    async def main() -> None:
        for used in (Tokens(100, 10, 50), Tokens(200, 20)):
            ledger.confirm(await ledger.reserve(Tokens(1000, 500), problem="p", sample=0, turn=0), used)
        ledger.lose(await ledger.reserve(Tokens(1000, 500)), "reset")
        ledger.free(await ledger.reserve(Tokens(1000, 500)), "429")
        ledger.confirm(await ledger.reserve(Tokens(1000, 500)), Tokens(7, 0), "empty")
        await ledger.reserve(Tokens(2000, 100))
        now = ledger.snapshot()
        assert (now.in_flight, now.reserved_tokens) == (1, Tokens(2000, 100))

    asyncio.run(main())
    ledger.close()
    found = read_spend(path, PRICE)
    assert found == ledger.snapshot()
    assert (found.calls, found.unknown_calls, found.in_flight) == (6, 2, 0)
    assert found.confirmed_tokens == Tokens(307, 30, 50)
    assert found.unknown_tokens == Tokens(3000, 600), "a call that was under way at the end may have cost its bound"
    assert found.faults == {"reset": 1, "429": 1, "empty": 1, "abandoned": 1}
    assert found.confirmed == pytest.approx((257 * 1 + 50 * 0.5 + 30 * 4) / 1e6)
    assert json.loads(path.read_text().splitlines()[0]) == {
        "call": 1, "problem": "p", "sample": 0, "turn": 0, "prompt": 1000, "completion": 500
    }  # fmt: skip


def test_a_next_run_goes_on_from_there(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    first = Ledger(path, max_total_tokens=1000)
    spend(first, Tokens(300, 200), Tokens(300, 100))
    spend(first, Tokens(300, 200), None)
    first.close()
    second = Ledger(path, max_total_tokens=1000)
    assert second.snapshot().confirmed_tokens + second.snapshot().unknown_tokens == Tokens(600, 300)
    spend(second, Tokens(50, 50), Tokens(50, 50))
    with pytest.raises(BudgetReached, match="there are 0 left"):
        spend(second, Tokens(1, 0), Tokens(0, 0))
    second.close()
    assert [json.loads(line)["call"] for line in path.read_text().splitlines()] == [1, 1, 2, 2, 3, 3]


def test_what_was_under_way_at_a_kill_is_unknown(tmp_path: Path) -> None:
    """A real process, a real kill: the lines were durable before the calls were sent."""
    program = f"""
import asyncio, os, signal
from pathlib import Path
from mario.engine.ledger import Ledger
from mario.engine.spend import Tokens

async def main():
    ledger = Ledger(Path({str(tmp_path / "ledger.jsonl")!r}))
    calls = await asyncio.gather(*(ledger.reserve(Tokens(10, 5)) for _ in range(20)))
    for call in calls[:7]:
        ledger.confirm(call, Tokens(3, 2))
    await ledger.reserve(Tokens(10, 5))  # durable only after the lines before it
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    child = subprocess.run([sys.executable, "-c", program], env={**os.environ}, check=False)
    assert child.returncode == -signal.SIGKILL
    with (tmp_path / "ledger.jsonl").open("ab") as file:
        file.write(b'{"call": 22, "pro')  # and a line torn by the kill
    ledger = Ledger(tmp_path / "ledger.jsonl")
    found = ledger.snapshot()
    assert (found.calls, found.unknown_calls, found.confirmed_tokens) == (21, 14, Tokens(21, 14))
    assert found.unknown_tokens == Tokens(140, 70)
    ledger.close()


def test_a_ledger_belongs_to_one_process(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with pytest.raises(StoreError, match="in use"):
        Ledger(tmp_path / "ledger.jsonl")
    ledger.close()
    Ledger(tmp_path / "ledger.jsonl").close()


@pytest.mark.parametrize(("line", "error"), [('{"call": 1}', StoreError), ("no json", DataError)])
def test_what_is_no_ledger_is_named_with_its_line(tmp_path: Path, line: str, error: type[Exception]) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"call": 1, "prompt": 1, "completion": 1}\n' + line + "\n")
    with pytest.raises(error, match="line 2"):
        Ledger(path)


def test_a_full_disk_stops_the_run_before_more_is_sent(tmp_path: Path) -> None:
    """A real process that may write files of a few hundred bytes only."""
    program = f"""
import asyncio, resource, signal
from pathlib import Path
from mario.engine.ledger import Ledger
from mario.engine.spend import Tokens
from mario.errors import StoreError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))

async def main():
    ledger = Ledger(Path({str(tmp_path / "ledger.jsonl")!r}))
    for sent in range(20):
        try:
            ledger.lose(await ledger.reserve(Tokens(10, 5), problem="p"), "reset")
        except StoreError as error:
            print(sent, ledger.snapshot().in_flight, error)
    ledger.close()

asyncio.run(main())
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    refused = said.splitlines()
    assert refused and all(line.split()[1] == "0" and "no space left" in line for line in refused)
    first = int(refused[0].split()[0])
    assert [int(line.split()[0]) for line in refused] == list(range(first, 20)), "nothing is sent after that"
    assert read_spend(tmp_path / "ledger.jsonl").calls in (first, first + 1)


@given(
    st.lists(
        st.tuples(st.integers(1, 50), st.integers(1, 50), st.floats(0, 1), st.sampled_from(["used", "lost", "free"])),
        max_size=40,
    ),
    st.integers(1, 1500),
    st.integers(1, 8),
)
def test_whatever_comes_back_the_cap_holds(
    calls: list[tuple[int, int, float, str]], cap: int, concurrency: int
) -> None:
    """Law: confirmed + unknown + reserved <= cap at every moment, and a stop leaves nothing that still fits."""
    ledger = Ledger(max_total_tokens=cap)
    source = iter(calls)
    refused: list[int] = []

    async def worker() -> None:
        for prompt, completion, share, outcome in source:
            bound = Tokens(prompt, completion)
            try:
                call = await ledger.reserve(bound)
            except BudgetReached:
                refused.append(bound.total)
                continue
            check()
            await asyncio.sleep(0)
            if outcome == "used":
                ledger.confirm(call, Tokens(int(prompt * share), int(completion * share)))
            elif outcome == "lost":
                ledger.lose(call, "reset")
            else:
                ledger.free(call, "429")
            check()

    def check() -> None:
        now = ledger.snapshot()
        assert (now.confirmed_tokens + now.unknown_tokens + now.reserved_tokens).total <= cap

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(worker())

    asyncio.run(main())
    now = ledger.snapshot()
    assert now.in_flight == 0 and now.calls + len(refused) == len(calls)


def test_a_call_waits_for_what_others_may_give_back() -> None:
    ledger = Ledger(price=PRICE, max_cost=0.001)  # a thousand prompt tokens
    order: list[str] = []

    async def first() -> None:
        call = await ledger.reserve(Tokens(900, 0))
        await asyncio.sleep(0.05)
        order.append("first is done")
        ledger.confirm(call, Tokens(100, 0))

    async def second() -> None:
        await asyncio.sleep(0.01)
        ledger.confirm(await ledger.reserve(Tokens(900, 0)), Tokens(900, 0))
        order.append("second is done")

    async def main() -> None:
        await asyncio.gather(first(), second())
        with pytest.raises(BudgetReached, match=r"engine\.max_cost = \$0\.00 \$0\.0010 is spent|raise it and run"):
            await ledger.reserve(Tokens(1, 0))

    asyncio.run(main())
    assert order == ["first is done", "second is done"]


NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 11:59:00 GMT"}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "later"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_backoff_doubles_to_a_bound_and_is_spread() -> None:
    draw = random.Random(1)
    for tries in range(1, 60):
        longest = min(BACKOFF_SECONDS * 2 ** (tries - 1), BACKOFF_MAX)
        waits = [backoff(tries, draw) for _ in range(50)]
        assert longest / 2 <= min(waits) < max(waits) <= longest and len(set(waits)) == 50


def test_the_gate_closes_after_refusals_in_a_row_and_opens_for_each_at_another_moment() -> None:
    async def main() -> None:
        gate = Gate(random.Random(1))
        for _ in range(5):  # refusals among answers
            gate.refused(10)
            gate.refused(10)
            gate.answered()
        began = time.monotonic()
        await gate.passed()
        assert time.monotonic() - began < 0.1
        for _ in range(3):
            gate.refused(0.4)
        moments = await asyncio.gather(*(passed(gate) for _ in range(20)))
        assert min(moments) - began >= 0.4
        assert max(moments) - min(moments) > 0.04, "they come apart"
        await gate.passed()

    async def passed(gate: Gate) -> float:
        await gate.passed()
        return time.monotonic()

    asyncio.run(main())
