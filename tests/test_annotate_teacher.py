"""A teacher behind a server: the published plan, money, Ctrl-C and resumption, counted on both sides of the wire."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mario.annotate import AnnotateConfig, annotate
from mario.cli.progress import attempts_line, forecast_line
from mario.engine import EngineConfig
from mario.engine.config import PriceConfig
from mario.engine.prices import Price
from mario.engine.spend import Spend, Tokens
from mario.errors import BudgetReached
from mario.solve import Forecast, Pilot, Progress, SolveConfig
from mario.store import read_jsonl, scan_shards
from mario.types import ObservationStatus, Problem, Sampling, StopReason, Trajectory

USAGE = {"prompt_tokens": 700, "completion_tokens": 40, "total_tokens": 740}


def react(body: dict[str, Any]) -> dict[str, Any]:
    """A teacher that can multiply, and answers wrongly at one temperature draw in three."""
    last = body["messages"][-1]["content"]
    if last.startswith("Observation: "):
        return {"content": f"Thought: That is it.\nFinal Answer: ${last.removeprefix('Observation: ')}$"}
    a, b = re.findall(r"How much is (\d+) \* (\d+)\?$", last)[0]
    slip = " + 1" if body["temperature"] and body["seed"] % 3 == 0 else ""
    code = f"Action: python_interpreter\nAction Input:\n```python\nprint({a} * {b}{slip})\n```"
    return {"content": f"Thought: I multiply.\n{code}"}


@dataclass
class Teacher:
    """A real server on loopback; `write` makes a message of a request."""

    write: Callable[[dict[str, Any]], dict[str, Any]] = react
    seconds: float = 0.0
    asked: list[dict[str, Any]] = field(default_factory=list)
    answered: int = 0
    port: int = 0

    async def chat(self, http: HttpRequest) -> Response:
        body = await http.json()
        self.asked.append(body)
        await asyncio.sleep(self.seconds)
        message = {"role": "assistant", **self.write(body)}
        finish = "tool_calls" if message.get("tool_calls") else "stop"
        self.answered += 1
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return JSONResponse({"id": "1", "object": "chat.completion", "choices": [choice], "usage": USAGE})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@pytest.fixture
def serve() -> Iterator[Callable[..., Teacher]]:
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(**settings: Any) -> Teacher:
        teacher = Teacher(**settings)
        app = Starlette(routes=[Route("/v1/chat/completions", teacher.chat, methods=["POST"])])
        listening = socket.create_server(("127.0.0.1", 0))
        teacher.port = listening.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        running.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        return teacher

    yield start
    for server, thread in running:
        server.should_exit = server.force_exit = True  # answers that nobody waits for any more are dropped
        thread.join()


def write_problems(path: Path, count: int) -> Path:
    rows = [
        {"id": f"q{i}", "question": f"How much is {i + 2} * {i + 3}?", "answer": str((i + 2) * (i + 3))}
        | {"source": "tests", "split": "train"}
        for i in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def config(problems: Path, teacher: Teacher, **solve: Any) -> AnnotateConfig:
    engine = EngineConfig("teacher", teacher.url, hidden_stops="accept", max_retries=1)
    return AnnotateConfig(problems, "engine", engine=engine, solve=SolveConfig(**{"format": "react", **solve}))


def seed_of(body: dict[str, Any]) -> tuple[str, int]:
    return body["messages"][0]["content"][-40:], body["seed"]


def test_the_published_plan_one_greedy_attempt_and_two_at_a_temperature(tmp_path: Path, serve: Any) -> None:
    teacher = serve()
    problems = write_problems(tmp_path / "p.jsonl", 20)
    plan = config(problems, teacher, samples=3, greedy_first=True, temperature=0.6, max_steps=5)
    result = annotate(plan, tmp_path / "out")
    assert result.attempts == 60 and result.failures == 0
    assert len(teacher.asked) == 120  # code, then answer
    first_turns = [body for body in teacher.asked if len(body["messages"]) == 1]
    assert Counter(body["temperature"] for body in first_turns) == {0.0: 20, 0.6: 40}
    assert len({seed_of(body) for body in teacher.asked}) == 120  # every draw has a seed of its own
    stored = list(scan_shards(tmp_path / "out" / "trajectories", Trajectory))
    assert {(t.sample_index, t.sampling.temperature) for t in stored} == {(0, 0.0), (1, 0.6), (2, 0.6)}
    right = [t for t in stored if t.answer == str((int(t.problem_id[1:]) + 2) * (int(t.problem_id[1:]) + 3))]
    assert 20 <= len(right) < 60  # some slipped
    assert result.drops["wrong"] == 60 - len(right)
    assert result.kept + sum(result.drops.values()) == 60
    kept = list(scan_shards(tmp_path / "out" / "kept", Trajectory))
    assert len(kept) == result.kept and {t.format for t in kept} == {"inline"}
    assert result.cost is not None and result.cost["calls"] == 120
    assert result.cost["prompt_tokens"] == 120 * 700 and result.cost["unknown_calls"] == 0


def test_a_teacher_may_run_five_snippets_and_no_more(tmp_path: Path, serve: Any) -> None:
    code = "Thought: On.\nAction: python_interpreter\nAction Input:\n```python\nprint(1)\n```"
    teacher = serve(write=lambda _: {"content": code})
    result = annotate(config(write_problems(tmp_path / "p.jsonl", 1), teacher, max_steps=5), tmp_path / "out")
    assert result.drops == {"no answer: step_limit": 1}
    (stored,) = scan_shards(tmp_path / "out" / "trajectories", Trajectory)
    assert sum(step.observation is not None for step in stored.steps) == 5
    assert len(teacher.asked) == 6


def test_a_run_goes_on_at_another_port_and_asks_nothing_twice(tmp_path: Path, serve: Any) -> None:
    problems, out = write_problems(tmp_path / "p.jsonl", 30), tmp_path / "out"

    def dies(body: dict[str, Any]) -> dict[str, Any]:
        if len(first.asked) > 25:
            raise RuntimeError("the server is ill")  # 500 from here on
        return react(body)

    first = serve(write=dies)
    annotate(config(problems, first, concurrency=4), out)
    durable = sum(row["kind"] == "completion" for _, row in read_jsonl(out / "journal.jsonl"))
    assert durable == first.answered == 25
    second = serve()
    result = annotate(config(problems, second, concurrency=4), out)
    assert (result.attempts, result.failures, result.kept) == (30, 0, 30)
    assert len(second.asked) == 60 - durable
    # What is finished needs no server at all.
    nowhere = config(problems, Teacher(port=1))
    assert annotate(nowhere, out) == result
    assert not {seed_of(b) for b in second.asked} & {seed_of(b) for b in first.asked[:25]}


def test_another_model_is_another_run(tmp_path: Path, serve: Any) -> None:
    teacher = serve()
    problems = write_problems(tmp_path / "p.jsonl", 2)
    annotate(config(problems, teacher), tmp_path / "out")
    done = mario("annotate", "p.jsonl", "--teacher", "engine", "--engine.endpoint", teacher.url, "--engine.model", "x",
                 "--engine.hidden_stops", "accept", "--engine.max_retries", "1", "--solve.format", "react",
                 "--out", "out", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 1
    assert "made with recipe.engine.model = 'teacher', and this command says 'x'" in done.stderr or (
        "made with inputs.engine" in done.stderr
    )


def test_a_spent_budget_keeps_what_was_bought_and_a_higher_one_goes_on(tmp_path: Path, serve: Any) -> None:
    teacher, out = serve(), tmp_path / "out"
    write_problems(tmp_path / "p.jsonl", 40)
    command = ["annotate", "p.jsonl", "--teacher", "engine", "--engine.endpoint", teacher.url, "--engine.model", "t",
               "--engine.hidden_stops", "accept", "--engine.price.input", "1", "--engine.price.output", "10",
               "--solve.format", "react", "--solve.concurrency", "3", "--out", "out", "--json"]  # fmt: skip
    # A call costs 700 * $1/M + 40 * $10/M = $0.0011.
    done = mario(*command, "--engine.max_cost", "0.05", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "engine.max_cost = $0.05" in done.stderr and "Traceback" not in done.stderr
    bought = len(teacher.asked)
    assert bought > 10 and 0.0011 * bought <= 0.05
    summary = json.loads((out / "summary.json").read_text())
    assert summary["kept"] == summary["attempts"] > 5
    assert summary["cost"]["calls"] == bought and summary["cost"]["dollars"] == pytest.approx(0.0011 * bought)
    again = mario(*command, "--engine.max_cost", "1", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["kept"] == 40
    assert len(teacher.asked) == 80


def mario(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mario", *arguments], cwd=cwd, capture_output=True, text=True, timeout=100, check=False
    )


def struck(cwd: Path, teacher: Teacher, *, after: int, times: int) -> tuple[subprocess.Popen[str], str, float]:
    """A run that gets Ctrl-C when the teacher has answered `after` requests, and again half a second later."""
    command = [sys.executable, "-m", "mario", "annotate", "p.jsonl", "--teacher", "engine", "--engine.model", "t"]
    command += ["--engine.endpoint", teacher.url, "--engine.hidden_stops", "accept", "--solve.format", "react"]
    command += ["--solve.concurrency", "8", "--out", "out"]
    child = subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while teacher.answered < after and child.poll() is None:
        time.sleep(0.01)
    began = time.monotonic()
    for strike in range(times):
        time.sleep(0.5 * bool(strike))
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does
    _, said = child.communicate(timeout=60)
    return child, said, time.monotonic() - began


def test_one_ctrl_c_finishes_what_is_in_flight_and_begins_nothing(tmp_path: Path, serve: Any) -> None:
    teacher = serve(seconds=0.3)
    write_problems(tmp_path / "p.jsonl", 60)
    child, said, _ = struck(tmp_path, teacher, after=20, times=1)
    assert child.returncode == 130, said
    assert said.splitlines()[-1].startswith("mario: interrupted; to go on, type: mario annotate p.jsonl --teacher")
    assert "stopping: " in said and "Traceback" not in said
    asked = len(teacher.asked)
    assert asked == teacher.answered and asked < 100
    journal = [row for _, row in read_jsonl(tmp_path / "out" / "journal.jsonl") if row["kind"] == "completion"]
    assert len(journal) == asked  # every answer is durable
    stored = list(scan_shards(tmp_path / "out" / "trajectories", Trajectory, sealed=False))
    assert len(stored) * 2 == asked  # and every attempt that had begun is whole
    teacher.seconds = 0.0
    line = said.splitlines()[-1].partition("type: mario ")[2]
    assert mario(*line.split(), cwd=tmp_path).returncode == 0
    assert len(teacher.asked) == 120  # 60 problems of two turns: nothing was asked twice


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path, serve: Any) -> None:
    teacher = serve(seconds=0.0)
    write_problems(tmp_path / "p.jsonl", 200)

    def slow_later(body: dict[str, Any]) -> dict[str, Any]:
        teacher.seconds = 30.0 if teacher.answered > 20 else 0.0
        return react(body)

    teacher.write = slow_later
    child, said, seconds = struck(tmp_path, teacher, after=21, times=2)
    assert child.returncode == 130, said
    assert seconds < 10
    assert "interrupted; to go on" in said.splitlines()[-1] and "Traceback" not in said


def test_hundreds_of_attempts_are_in_flight_at_once_each_with_its_kernel(tmp_path: Path, serve: Any) -> None:
    teacher = serve(seconds=0.2)
    problems = write_problems(tmp_path / "p.jsonl", 200)
    most = 0

    def watch(progress: Progress, _: Trajectory | None) -> None:
        nonlocal most
        most = max(most, progress.in_flight)

    made = AnnotateConfig(
        problems,
        "engine",
        engine=EngineConfig("teacher", teacher.url, hidden_stops="accept", concurrency=200),
        solve=SolveConfig(format="react", concurrency=200),
    )
    result = annotate(made, tmp_path / "out", watch)
    assert result.kept == 200 and most > 150


# Native tool calls


def calls(*arguments: str, content: str | None = None) -> dict[str, Any]:
    made = [
        {"id": f"c{i}", "type": "function", "function": {"name": "python", "arguments": text}}
        for i, text in enumerate(arguments)
    ]
    return {"content": content, "tool_calls": made}


def test_native_tool_calls_are_run_live(tmp_path: Path, serve: Any) -> None:
    def write(body: dict[str, Any]) -> dict[str, Any]:
        assert body["tools"][0]["function"]["name"] == "python"
        last = body["messages"][-1]
        if last["role"] == "tool":
            before = body["messages"][-2]
            assert isinstance(before["tool_calls"][0]["function"]["arguments"], str)  # text on the wire
            assert last["tool_call_id"] == before["tool_calls"][0]["id"]
            assert len(before["tool_calls"]) == 1  # each call has its answer: servers insist
            return {"content": f"So.\nFinal Answer: ${last['content']}$"}
        a, b = re.findall(r"(\d+) \* (\d+)", last["content"])[0]
        first = json.dumps({"code": f"print({a} * {b})"})
        return calls(first, json.dumps({"code": "print('never run')"}), content="I multiply.")

    teacher = serve(write=write)
    result = annotate(config(write_problems(tmp_path / "p.jsonl", 5), teacher, format="tools"), tmp_path / "out")
    assert (result.kept, result.failures, len(teacher.asked)) == (5, 0, 10)
    for stored in scan_shards(tmp_path / "out" / "trajectories", Trajectory):
        assert [message["role"] for message in stored.messages] == ["system", "user", "assistant", "tool", "assistant"]
        assert isinstance(stored.messages[2]["tool_calls"][0]["function"]["arguments"], dict)  # an object in records
        assert stored.steps[0].thought == "I multiply."
        assert stored.steps[0].observation is not None
        assert stored.steps[0].observation.status is ObservationStatus.OK


@pytest.mark.parametrize("arguments", ["print(6 * 7)", '{"code": 3}', '{"program": "1"}', '{"code": "x', "[]", ""])
def test_a_malformed_call_is_the_models_mistake(tmp_path: Path, serve: Any, arguments: str) -> None:
    teacher = serve(write=lambda _: calls(arguments))
    result = annotate(config(write_problems(tmp_path / "p.jsonl", 2), teacher, format="tools"), tmp_path / "out")
    assert result.drops == {"no answer: no_action": 2}
    assert result.failures == 0 and len(teacher.asked) == 2


# Forecasts


def ended(problem: Problem, sample: int, tokens: int) -> Trajectory:
    return Trajectory(problem.id, sample, "react", "m", Sampling(), (), StopReason.NO_ACTION,
                      prompt_tokens=10 * tokens, completion_tokens=tokens)  # fmt: skip


def test_the_pilot_foresees_a_sorted_set() -> None:
    """Later problems are ten times as long: the first 2 % would say a fifth of the truth."""
    tokens = {f"q{i}": 100 + (900 * i) // 5000 for i in range(5000)}
    problems = [Problem(name, "?", "1", "tests", "train") for name in tokens]
    pilot = Pilot(lambda: problems, len(problems), samples=3)
    order, forecasts = [], []
    for problem in pilot:
        order.append(problem.id)
        for sample in range(3):
            forecasts.append(pilot.add(ended(problem, sample, tokens[problem.id]), 0))
    assert sorted(order) == sorted(tokens)  # each once
    (found,) = [each for each in forecasts if each is not None]
    assert 70 <= found.pilot <= 130
    assert forecasts.index(found) < 3 * found.pilot + 4
    truth = 3 * sum(tokens.values())
    assert abs(found.completion_tokens - truth) / truth < 0.15
    assert abs(found.completion_tokens - truth) / truth <= found.spread < 0.2
    assert found.prompt_tokens == pytest.approx(10 * found.completion_tokens, abs=10)


def test_the_pilots_interval_holds_the_truth_as_often_as_it_says() -> None:
    held = 0
    for trial in range(200):
        problems = [Problem(f"t{trial}/{i}", "?", "1", "tests", "train") for i in range(2000)]
        tokens = {problem.id: 50 + (hash((trial, i)) % 400) ** 2 // 100 for i, problem in enumerate(problems)}
        pilot = Pilot(lambda problems=problems: problems, 2000, samples=1)  # type: ignore[misc]
        found = next(f for p in pilot if (f := pilot.add(ended(p, 0, tokens[p.id]), 0)))
        held += abs(found.completion_tokens / sum(tokens.values()) - 1) <= found.spread
    assert held >= 180


def test_small_sets_and_servers_without_usage_are_not_forecast() -> None:
    few = [Problem(f"q{i}", "?", "1", "tests", "train") for i in range(50)]
    pilot = Pilot(lambda: few, 50, samples=1)
    assert [p.id for p in pilot] == [p.id for p in few]
    assert all(pilot.add(ended(p, 0, 5), 0) is None for p in few)
    many = [Problem(f"q{i}", "?", "1", "tests", "train") for i in range(500)]
    silent = Pilot(lambda: many, 500, samples=1)
    assert all(silent.add(ended(p, 0, 0), 0) is None for p in silent)


def test_a_run_says_its_forecast_live(tmp_path: Path, serve: Any) -> None:
    teacher = serve()
    write_problems(tmp_path / "p.jsonl", 150)
    done = mario("annotate", "p.jsonl", "--teacher", "engine", "--engine.endpoint", teacher.url, "--engine.model", "t",
                 "--engine.hidden_stops", "accept", "--engine.price.input", "1", "--engine.price.output", "10",
                 "--solve.format", "react", "--solve.concurrency", "4", "--out", "out", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = re.search(
        r"forecast after (\d+) of 150 problems: (\S+) prompt and (\S+) completion tokens .*; \$(\S+) wi", done.stderr
    )
    assert found is not None, done.stderr
    assert float(found.group(4)) == pytest.approx(300 * 0.0011, rel=0.01)
    assert "100 % of 150 problems solved" in done.stderr and "tokens/s" in done.stderr
    assert "cost: 300 calls, 210k prompt and 12k completion tokens, $0.3300" in done.stdout


def test_the_line_of_progress() -> None:
    spend = Spend(calls=900, faults={"429": 31, "reset": 4}, confirmed_tokens=Tokens(1_000_000, 100_000),
                  unknown_tokens=Tokens(10_000, 1000), price=Price(1.0, 10.0), max_cost=50.0)  # fmt: skip
    progress = Progress(total=1000, done=100, answered=90, completion_tokens=5000, failed=2, spend=spend)
    progress.tried, progress.solved = {str(i) for i in range(50)}, {str(i) for i in range(40)}
    assert attempts_line(progress, 10.0) == (
        "100/1000 attempts · 90 % answered · 80 % of 50 problems solved · 2 FAILED · 10.0/s · 500 tokens/s · "
        "$2.00 (and up to $0.0200 unknown) of ~$20.10, cap $50.00 · retried: 429 ×31, reset ×4 · 1:30 left · 10 s"
    )
    progress.draining, progress.in_flight = True, 7
    assert attempts_line(progress, 10.0).startswith("stopping: 7 in flight finish, Ctrl-C again stops now · ")
    assert forecast_line(Forecast(20, 1000, 2_000_000, 300_000, 0.064), None) == (
        "forecast after 20 of 1000 problems: 2.0M prompt and 300k completion tokens in all, ± 6 %"
    )


# Plans and recipes

RECIPES = sorted((Path(__file__).resolve().parents[1] / "recipes").glob("*teacher*.toml"))


def test_a_dry_run_shows_the_prompt_the_requests_and_the_cost(tmp_path: Path) -> None:
    write_problems(tmp_path / "p.jsonl", 50)
    done = mario("annotate", "p.jsonl", "--teacher", "engine", "--engine.endpoint", "http://127.0.0.1:1/v1",
                 "--engine.model", "t", "--engine.price.input", "2", "--engine.price.output", "8",
                 "--solve.format", "react", "--solve.samples", "3", "--solve.greedy_first", "true",
                 "--solve.temperature", "0.6", "--solve.max_steps", "5", "--dry-run", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "50 problems, 3 samples each (the first one greedy): 150 attempts by t, format react" in done.stdout
    assert "requests: some 375, at most 900" in done.stdout
    assert re.search(r"cost: \$\d+\.\d+ \(\$2 and \$8 a million tokens", done.stdout)
    assert "How much is 2 * 3?" in done.stdout and "assumed: 2.5 turns an attempt" in done.stdout
    assert not (tmp_path / "out").exists()
    capless = mario("annotate", "p.jsonl", "--teacher", "engine", "--engine.endpoint", "http://127.0.0.1:1/v1",
                    "--engine.model", "t", "--engine.max_cost", "5", "--dry-run", cwd=tmp_path)  # fmt: skip
    assert capless.returncode == 2 and "set engine.price.input" in capless.stderr


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_teacher_recipe_is_a_plan_that_can_be_shown(recipe: Path, tmp_path: Path) -> None:
    tables = tomllib.loads(recipe.read_text())
    assert recipe.read_text().startswith(f"# mario run recipes/{recipe.name}")
    done = mario("run", str(recipe), "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    settings = tables["stages"]["taught"]
    write_problems(tmp_path / "p.jsonl", 5)
    flags = [part for name, value in _flat(settings) for part in (f"--{name}", str(value))]
    shown = mario("annotate", "p.jsonl", *flags, "--dry-run", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "5 problems, 3 samples each (the first one greedy): 15 attempts" in shown.stdout
    assert "How much is 2 * 3?" in shown.stdout


def _flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif prefix or key not in ("verb", "problems"):
            yield prefix + key, str(value).lower() if isinstance(value, bool) else value


def test_recipes_are_there() -> None:
    assert [path.stem for path in RECIPES] == ["gsm8k-teacher-vllm", "gsm8k-teacher", "math-teacher"]


def test_a_budget_that_holds_no_call_at_all_is_said_before_anything(tmp_path: Path, serve: Any) -> None:
    teacher = serve()
    problems = write_problems(tmp_path / "p.jsonl", 3)
    engine = EngineConfig("t", teacher.url, hidden_stops="accept", price=PriceConfig(1.0, None, 10.0), max_cost=1e-6)
    made = AnnotateConfig(problems, "engine", engine=engine, solve=SolveConfig(format="react"))
    with pytest.raises(BudgetReached, match="may cost"):
        annotate(made, tmp_path / "out")
    assert not teacher.asked
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["attempts"] == 0


# Real models behind a real server

USER_WAITS = 240  # seconds until a server that loads a model must be up


@dataclass
class Served:
    url: str
    log: Path

    def posts(self) -> Counter[str]:
        """What the server itself says that it answered: path and status."""
        return Counter(re.findall(r'"POST (\S+) HTTP/1.1" (\d+)', self.log.read_text()))


@pytest.fixture
def transformers_serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    pytest.importorskip("fastapi", reason="NO REAL SERVER TESTED: pip install 'mario-math[serving]'")
    running: list[subprocess.Popen[bytes]] = []

    def start(model: Path, *flags: str) -> Served:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        log = tmp_path / "server.log"
        command = [Path(sys.executable).parent / "transformers", "serve", model, "--device", "cpu", *flags]
        command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "info"]
        with log.open("wb") as sink:
            running.append(subprocess.Popen(command, stdout=sink, stderr=sink))
        until = time.monotonic() + USER_WAITS
        while "Application startup complete" not in log.read_text():
            assert running[-1].poll() is None and time.monotonic() < until, log.read_text()[-2000:]
            time.sleep(0.2)
        return Served(f"http://127.0.0.1:{port}/v1", log)

    yield start
    for server in running:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def small_model() -> Path:
    pytest.importorskip("transformers", reason="NO REAL MODEL TESTED: pip install 'mario-math[train]'")
    from mario.engine import checkpoint

    return checkpoint.resolve("smollm2")


def check_counts(out: Path, result: Any, served: Served, path: str, plan: int) -> None:
    """Every attempt is kept, chosen against, dropped or failed; every answer is in journal, ledger and server's log."""
    assert result.attempts + result.failures == plan
    assert result.kept + sum(result.drops.values()) == result.attempts
    journal = [row for _, row in read_jsonl(out / "journal.jsonl")]
    completions = [row for row in journal if row["kind"] == "completion"]
    assert len({row["key"] for row in journal}) == len(journal)
    assert served.posts() == {(path, "200"): len(completions)}
    assert result.cost["calls"] == len(completions) and result.cost["unknown_calls"] == 0
    stored = list(scan_shards(out / "trajectories", Trajectory))
    assert len(stored) == result.attempts == len({(t.problem_id, t.sample_index) for t in stored})
    assert sum(t.completion_tokens for t in stored) == result.cost["completion_tokens"]
    turns = sum(sum(m["role"] == "assistant" for m in t.messages) for t in stored)
    assert turns == len(completions)
    snippets = sum(step.observation is not None for t in stored for step in t.steps)
    assert snippets == sum(row["kind"] == "observation" for row in journal)


@pytest.mark.full
@pytest.mark.train
@pytest.mark.realdata
@pytest.mark.timeout(900)
def test_a_real_model_annotates_real_problems_in_the_react_form(
    tmp_path: Path, small_model: Path, transformers_serve: Any
) -> None:
    """Quality may be poor (135 million parameters, untuned, few tokens); every count must be right."""
    data = os.environ.get("MARIO_DATA")
    if not data:
        pytest.skip("NO REAL PROBLEMS TESTED: set MARIO_DATA to a folder that holds gsm8k/train.jsonl.gz")
    problems = tmp_path / "p"
    made = mario(
        "data", "gsm8k", f"{data}/gsm8k/train.jsonl.gz", "--limit", "100", "--out", str(problems), cwd=tmp_path
    )
    assert made.returncode == 0, made.stderr
    served = transformers_serve(small_model, "--dtype", "bfloat16")
    engine = EngineConfig(str(small_model), served.url, hidden_stops="accept", concurrency=16)
    solve = SolveConfig(format="react", max_new_tokens=24, max_steps=1, concurrency=200)
    out = tmp_path / "out"
    result = annotate(AnnotateConfig(problems / "problems.jsonl", "engine", engine=engine, solve=solve), out)
    assert result.attempts == 100
    check_counts(out, result, served, "/v1/chat/completions", 100)


@pytest.mark.full
@pytest.mark.train
@pytest.mark.timeout(900)
def test_a_model_tuned_on_our_tool_calls_makes_them_through_a_server(
    tmp_path: Path, small_model: Path, transformers_serve: Any
) -> None:
    """The trainer's tokenizer says how calls are written, so `transformers serve` hands them over as such."""
    for command in (
        ["data", "wordproblems", "--count", "100", "--steps", "1", "--out", "p"],
        ["annotate", "p", "--teacher", "calculator", "--solve.format", "tools", "--out", "taught"],
        ["train", "sft", "taught", "--model", str(small_model), "--train.epochs", "1", "--train.learning_rate", "1e-3",
         "--train.tokens_per_step", "1000", "--out", "model"],
        ["data", "wordproblems", "--split", "test-shared", "--count", "20", "--steps", "1", "--out", "new"],
    ):  # fmt: skip
        done = subprocess.run([sys.executable, "-m", "mario", *command], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    model = tmp_path / "model"
    assert "response_template" in (model / "tokenizer_config.json").read_text()
    served = transformers_serve(model, "--dtype", "float32")
    engine = EngineConfig(str(model), served.url, concurrency=4)
    solve = SolveConfig(format="tools", max_new_tokens=128, max_steps=3)
    out = tmp_path / "out"
    result = annotate(AnnotateConfig(tmp_path / "new" / "problems.jsonl", "engine", engine=engine, solve=solve), out)
    check_counts(out, result, served, "/v1/chat/completions", 20)
    stored = list(scan_shards(out / "trajectories", Trajectory))
    live = [t for t in stored if any(message.get("tool_calls") for message in t.messages)]
    ran = [t for t in live if t.steps[0].observation and t.steps[0].observation.status is ObservationStatus.OK]
    assert len(live) >= 15 and len(ran) >= 10  # as tool_calls, not as text; and run in the sandbox between turns
    assert not any("<tool_call>" in str(message.get("content")) for t in ran for message in t.messages)
    assert result.kept >= 1
