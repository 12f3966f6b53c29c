"""A teacher behind an endpoint that fails: a real HTTP server, a process of its own, that keeps its own account.

    python tests/chaos_server.py problems.jsonl --log calls.jsonl --stall 20

It solves the generated word problems it is given, in the inline format, over two or three turns that read the
interpreter's output; a tenth of its answers are wrong. Text depends on the request alone. A share of the calls is
spoilt, by (seed, problem, turn, how often it was asked): turned away with 429 and Retry-After, answered with 500, reset
(before or in the middle of the body), left in silence for `--stall` seconds and then answered, cut to half its JSON,
or without choices.

Its account is unkind: it bills every call whose text it made, also those that never arrived, and half of those it
answered with 500. `GET /account` gives the totals; the log has a line for each call.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

KINDS = ("429", "500", "reset", "stall", "half", "empty")
SUM = re.compile(r"<<([^=<>]+)=[^<>]*>>")


@dataclass
class Call:
    """One call as the server saw it; times are seconds on its own clock."""

    problem: str
    turn: int
    nth: int  # how often this very call had come before
    fault: str | None
    arrived: float
    left: float = 0.0
    whole: bool = False  # the answer was written to its end, and was one
    gone: bool = False  # the client hung up first
    prompt_tokens: int = 0  # billed
    completion_tokens: int = 0
    retry_after: float = 0.0


@dataclass
class Endpoint:
    """`service` seconds a call takes, from and to."""

    problems: dict[str, dict[str, Any]]  # by question
    log: Path
    seed: int = 0
    faults: float = 0.3
    kinds: tuple[str, ...] = KINDS
    service: tuple[float, float] = (0.02, 0.08)
    stall: float = 20.0
    retry_after: float = 1.0
    asked: Counter[tuple[str, int]] = field(default_factory=Counter)
    account: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1")
                length = re.search(r"(?im)^content-length: *(\d+)", head)
                body = await reader.readexactly(int(length.group(1)) if length else 0)
                if head.startswith("GET /account"):
                    writer.write(
                        response(200, {**self.account, "running": self.account["arrived"] - self.account["left"]})
                    )
                    await writer.drain()
                elif not await self._answer(json.loads(body), reader, writer):
                    break
        writer.close()

    async def _answer(self, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one call, or not; False when the connection is done with."""
        question, outputs = read_prompt(body["prompt"])
        problem = self.problems[question]
        key = (problem["id"], len(outputs))
        self.asked[key] += 1
        call = Call(*key, nth=self.asked[key] - 1, fault=None, arrived=time.monotonic() - self.began)
        self.account["arrived"] += 1
        chance = Chance(self.seed, *key, call.nth)
        if chance.draw("fault") < self.faults:
            call.fault = self.kinds[int(chance.draw("kind") * len(self.kinds))]
        keep = True
        try:
            keep = await self._spoil_or_speak(call, chance, body, problem, outputs, reader, writer)
        except ConnectionError:
            call.gone, keep = True, False
        finally:
            call.left = time.monotonic() - self.began
            self._write(call)
        return keep

    async def _spoil_or_speak(
        self, call: Call, chance: Chance, body: dict[str, Any], problem: dict[str, Any], outputs: list[str],
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
    ) -> bool:  # fmt: skip
        if call.fault == "429":
            call.retry_after = self.retry_after
            writer.write(response(429, {"error": {"message": "too fast"}}, f"retry-after: {self.retry_after:g}\r\n"))
            await writer.drain()
            return True
        low, high = self.service
        await self._work(low + (high - low) * chance.draw("service"), reader, call)
        if call.fault == "stall" and not call.gone:
            await self._work(self.stall, reader, call)
        text = teach(problem, outputs)
        usage = {"prompt_tokens": tokens(body["prompt"]), "completion_tokens": tokens(text)}
        if call.fault == "500":
            if chance.draw("billed") < 0.5:
                self._bill(call, usage)
            writer.write(response(500, {"error": {"message": "a fault inside"}}))
            await writer.drain()
            return True
        self._bill(call, usage)
        stop = next((stop for stop in body.get("stop", ()) if text.endswith(stop)), None)
        choice = {"index": 0, "text": text, "finish_reason": "stop", "stop_reason": stop}
        reply = {"id": "1", "object": "text_completion", "model": body["model"], "choices": [choice], "usage": usage}
        if call.gone:
            return False
        if call.fault == "empty":
            writer.write(response(200, {**reply, "choices": []}))
        elif call.fault == "half":
            whole = json.dumps(reply)
            writer.write(response(200, whole[: len(whole) // 2]))
        elif call.fault == "reset":
            if chance.draw("early") < 0.5:
                raw = response(200, reply)
                writer.write(raw[: len(raw) - 40])
                await writer.drain()
            writer.transport.abort()
            return False
        else:
            writer.write(response(200, reply))
            await writer.drain()
            call.whole = True
            return True
        await writer.drain()
        return True

    async def _work(self, seconds: float, reader: asyncio.StreamReader, call: Call) -> None:
        """Take time, and notice a client that hangs up: the next byte of a waiting client is the end of file."""
        hung_up = asyncio.ensure_future(reader.read(1))
        done, _ = await asyncio.wait({hung_up}, timeout=seconds)
        if done:
            call.gone = True
        else:
            hung_up.cancel()
            with suppress(asyncio.CancelledError):
                await hung_up

    def _bill(self, call: Call, usage: dict[str, int]) -> None:
        call.prompt_tokens, call.completion_tokens = usage["prompt_tokens"], usage["completion_tokens"]

    def _write(self, call: Call) -> None:
        self.account["left"] += 1
        self.account["whole"] += call.whole
        self.account["prompt_tokens"] += call.prompt_tokens
        self.account["completion_tokens"] += call.completion_tokens
        self.account[f"fault {call.fault}"] += 1
        with self.log.open("a") as file:
            file.write(json.dumps(asdict(call)) + "\n")


class Chance:
    """Draws in [0, 1) that depend on their names alone."""

    def __init__(self, *names: Any) -> None:
        self._names = names

    def draw(self, name: str) -> float:
        digest = hashlib.sha256(repr((*self._names, name)).encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64


def read_prompt(prompt: str) -> tuple[str, list[str]]:
    """The question, and the outputs of the interpreter so far."""
    question, _, rest = prompt.rpartition("Question: ")[2].partition("\n\nSolution:")
    return question, re.findall(r"\nOutput: (.*?)\n\n<p>", rest, re.DOTALL)


def teach(problem: dict[str, Any], outputs: list[str]) -> str:
    """The next turn: the sums as a program, for some problems its check in the same kernel, then what was printed."""
    chance = Chance(problem["id"])
    turns = 2 if chance.draw("turns") < 0.4 else 1
    if not outputs:
        lines = [f"r{i} = {sum_.strip()}" for i, sum_ in enumerate(SUM.findall(problem["solution"]))]
        last = f"r{len(lines) - 1}"
        shown = f"round({last}) if {last} == round({last}) else {last}"
        return turn("I work it out.", "\n".join([*lines, f"result = {shown}", "print(result)"]))
    if len(outputs) < turns:
        return turn("I look at it again.", "assert result == result\nprint(result)")
    answer = outputs[-1].strip()
    if chance.draw("wrong") < 0.1:
        answer += "1"
    return f"The answer is {answer}.\n</p>\n\nFinal Answer: ${answer}$"


def turn(thought: str, code: str) -> str:
    return f"{thought}\n</p>\n\n<code>\n```python\n{code}\n```\n</code>"


def tokens(text: str) -> int:
    """This teacher's tokenizer: four bytes a token."""
    return len(text.encode()) // 4 + 1


def response(status: int, body: dict[str, Any] | str, headers: str = "") -> bytes:
    text = (body if isinstance(body, str) else json.dumps(body)).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n{headers}\r\n"
    return head.encode() + text


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problems", type=Path)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=float, default=0.3)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--service", default="0.02,0.08", metavar="FROM,TO")
    parser.add_argument("--stall", type=float, default=20.0)
    parser.add_argument("--retry-after", type=float, default=1.0)
    args = parser.parse_args()
    rows = [json.loads(line) for line in args.problems.open()]
    low, high = map(float, args.service.split(","))
    endpoint = Endpoint(
        {row["question"]: row for row in rows}, args.log, args.seed, args.faults, tuple(args.kinds.split(",")),
        (low, high), args.stall, args.retry_after,
    )  # fmt: skip
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", args.port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
    sys.exit(0)
