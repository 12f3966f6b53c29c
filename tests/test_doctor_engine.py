"""`mario doctor --engine URL` against a server that keeps everything, and against one that drops each thing alone.

The server's model is a small rule: the next word depends on the last one, on the temperature, the nucleus and the seed.
So what is found out here is what the server does with a field, not what it says it does.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from mario.engine.check import Trait, check_server

WINDOW = 300


class Server:
    """`drops` names what it does wrong."""

    def __init__(self) -> None:
        self.drops: set[str] = set()

    async def models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "rule", "object": "model", "max_model_len": WINDOW}]})

    async def speak(self, http: Request) -> Response:
        body = await http.json()
        chat = "messages" in body
        if ("chat" if chat else "completions") in self.drops:
            return JSONResponse({"error": {"message": "no such call"}}, status_code=404)
        if chat and "max_tokens" in body and "new length" in self.drops:
            message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return JSONResponse({"error": {"message": message}}, status_code=400)
        if "return_token_ids" in body and "strict" in self.drops:
            return JSONResponse({"detail": "Unexpected fields in the request"}, status_code=422)
        prompt = body["messages"][-1]["content"] if chat else body["prompt"]
        if len(prompt.split()) > WINDOW:
            if "window words" in self.drops:
                return JSONResponse({"error": {"message": "too many words"}}, status_code=400)
            if "window" not in self.drops:
                return JSONResponse({"error": {"message": "maximum context length is 300"}}, status_code=400)
        choices = [self._choice(body, chat, index) for index in range(1 if "n" in self.drops else body.get("n", 1))]
        used = {"prompt_tokens": len(prompt.split()), "completion_tokens": 5 if body.get("max_tokens") == 5 else 24}
        if "length" in self.drops:
            used["completion_tokens"] = 24
        usage = {} if "usage" in self.drops else {"usage": {**used, "total_tokens": 9}}
        kind = "chat.completion" if chat else "text_completion"
        if body.get("stream"):

            async def chunks() -> Any:
                last = {"id": "1", "choices": [], **({} if "stream usage" in self.drops else usage)}
                yield f"data: {json.dumps(last)}\n\n"
                yield "data: [DONE]\n\n"

            return StreamingResponse(chunks(), media_type="text/event-stream")
        return JSONResponse({"id": "1", "object": kind, "choices": choices, **usage})

    def _choice(self, body: dict[str, Any], chat: bool, index: int) -> dict[str, Any]:
        limit = body.get("max_tokens", body.get("max_completion_tokens"))
        if "length" in self.drops:
            limit = 24
        cool = body["temperature"] == 0 or (body.get("top_p", 1) < 0.01 and "top_p" not in self.drops)
        seed = time.monotonic_ns() if "seed" in self.drops else body.get("seed")
        if "seed always" in self.drops:
            seed = 0
        draw = (
            None
            if cool and "greedy" not in self.drops
            else (seed if "greedy" not in self.drops else time.monotonic_ns())
        )
        words = [hashlib.sha256(repr((draw, index if draw else 0, i)).encode()).hexdigest()[:4] for i in range(limit)]
        text, extra, finish = " " + " ".join(words), {}, "length"
        left = {"stop left", "stop token"} & self.drops
        for stop in body.get("stop") or ():
            at = text.find(stop)
            if at >= 0 and "stop" not in self.drops:
                text, finish = text[: at + len(stop) if left else at], "stop"
                extra = {} if left or "stop hidden" in self.drops else {"stop_reason": stop}
                if "stop token" in self.drops:  # the whole token is left in which the stop string ends
                    text = " " + " ".join(words[: len(text.split())])
        if "finish" in self.drops:
            finish = "stop"
        if body.get("logprobs"):
            extra["logprobs"] = {"tokens": ["a"]}
        if body.get("return_token_ids") and "token ids" not in self.drops:
            extra["token_ids"] = [1, 2]
        if not chat:
            return {"index": index, "text": text, "finish_reason": finish, **extra}
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if (
            body.get("tools")
            and "tools" not in self.drops
            and ("free tools" not in self.drops or "tool_choice" in body)
        ):
            call = {"id": "c", "type": "function", "function": {"name": "python", "arguments": "{}"}}
            message["tool_calls"] = [call]
        return {"index": index, "message": message, "finish_reason": finish, **extra}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, Server]]:
    ours = Server()
    routes = [
        Route("/v1/models", ours.models),
        Route("/v1/completions", ours.speak, methods=["POST"]),
        Route("/v1/chat/completions", ours.speak, methods=["POST"]),
    ]
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", ours
    server.should_exit = True
    thread.join()


def examine(url: str, model: str | None = None) -> dict[str, Trait]:
    async def main() -> list[Trait]:
        return [trait async for trait in check_server(url, model)]

    return {trait.what: trait for trait in asyncio.run(main())}


def test_a_server_that_keeps_everything_is_told_so(running: tuple[str, Server]) -> None:
    running[1].drops = set()
    found = examine(running[0])
    assert {trait.state for trait in found.values()} == {"ok"}, found
    assert list(found) == [
        "models", "completions", "chat", "length limit", "usage", "temperature 0", "stop strings", "seed", "top_p", "n",
        "logprobs", "window", "concurrency", "tools",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("drop", "what", "says"),
    [
        ("completions", "completions", "formats inline, text and react-text cannot be used"),
        ("chat", "chat", "formats react and tools cannot be used"),
        ("length", "length limit", "no cap on cost can be kept"),
        ("finish", "length limit", "looks finished"),
        ("usage", "usage", "not reported at all"),
        ("stream usage", "usage", "not reported in streams"),
        ("greedy", "temperature 0", "3 different texts"),
        ("stop", "stop strings", "ignored"),
        ("stop hidden", "stop strings", "engine.hidden_stops"),
        ("seed", "seed", "ignored"),
        ("seed always", "seed", "three seeds draw the same text"),
        ("top_p", "top_p", "leave solve.top_p at 1"),
        ("window", "window", "cut without a word"),
        ("window words", "window", "words we do not know"),
        ("tools", "tools", "use the react format"),
    ],
)
def test_what_a_server_drops_is_named(running: tuple[str, Server], drop: str, what: str, says: str) -> None:
    running[1].drops = {drop}
    found = examine(running[0])
    assert (found[what].state, says in found[what].text) == ("drops", True), found[what]
    wrong = {trait.what for trait in found.values() if trait.state != "ok"}
    if drop != "greedy":  # with no text to compare with, little else can be told
        assert wrong == {what}


@pytest.mark.parametrize(
    ("keeps", "what", "says"),
    [
        ("stop left", "stop strings", "left at the end"),
        ("stop token", "stop strings", "left at the end"),
        ("strict", "logprobs", "told: logprobs"),
        ("free tools", "tools", "named by tool_choice"),
        ("n", "n", "1 choice for n = 2"),
        ("token ids", "logprobs", "encodes the text anew"),
        ("new length", "chat", "answers"),
    ],
)
def test_what_is_done_in_another_way_is_told(running: tuple[str, Server], keeps: str, what: str, says: str) -> None:
    running[1].drops = {keeps}
    found = examine(running[0])
    assert (found[what].state, says in found[what].text) == ("ok", True), found[what]


def test_a_server_that_answers_nothing_is_broken(running: tuple[str, Server]) -> None:
    running[1].drops = {"completions", "chat"}
    assert examine(running[0])["server"].state == "broken"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    nobody = examine(f"http://127.0.0.1:{port}", "rule")
    assert nobody["server"].state == "broken" and "unreachable" in nobody["chat"].text
    assert examine(f"http://127.0.0.1:{port}")["models"].state == "broken"


def test_a_model_that_is_not_offered_is_said_so(running: tuple[str, Server]) -> None:
    running[1].drops = set()
    assert examine(running[0], "another")["models"].state == "drops"
