"""The remote engine against a real server on loopback that answers well, badly, or not at all."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from mario.engine import EngineConfig, build_engine
from mario.engine.ledger import Ledger, ledger_of
from mario.engine.remote import RemoteEngine
from mario.engine.spend import Spend, Tokens
from mario.errors import BudgetReached, EngineError, EngineUnavailable
from mario.types import Completion, FinishReason, Request, Sampling, Source, Span

TEXT = "Add them.\n<code>\nprint(1 + 2)\n</code>\nOutput:\n3\n"
CUT = TEXT[: TEXT.index("\n</code>")]
STOPS = ("\n</code>", "</code>", "\nQuestion:")
SPANS = (Span("One", Source.PROMPT), Span("Two", Source.MODEL))
ASKED = Request("p", 0, 0, Sampling(max_new_tokens=50), 2**62 + 5, SPANS, stop=STOPS)
CHAT = replace(ASKED, spans=(), stop=(), messages=({"role": "user", "content": "1 + 2?"},))


@dataclass
class Server:
    """A model server whose next replies can be spoilt; it keeps what it was asked.

    `stops`: "cut" removes the stop string silently, "named" removes it and names it, "left" leaves it in, "ignored"
    never heard of stop strings.
    """

    text: str = TEXT
    finish: str = "stop"
    stops: str = "left"
    usage: bool = True
    chat: dict[str, Any] = field(default_factory=lambda: {"content": "Three."})
    faults: list[Any] = field(default_factory=list)  # one for each coming call; None for a good answer
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    delay_seconds: float = 0.0
    hung_up: bool = False

    async def completions(self, http: HttpRequest) -> Response:
        body = await self._hear(http)
        if (fault := self._fault()) is not None:
            return fault if isinstance(fault, Response) else await fault(body)
        await self._compute()
        text, extra = self._cut(body.get("stop") or [])
        if body["stream"]:
            return StreamingResponse(self._stream(text, extra), media_type="text/event-stream")
        choice = {"index": 0, "text": text, "finish_reason": self.finish, **extra}
        return JSONResponse({"id": "1", "object": "text_completion", "choices": [choice], **self._usage()})

    async def chat_completions(self, http: HttpRequest) -> Response:
        body = await self._hear(http)
        if (fault := self._fault()) is not None:
            return fault if isinstance(fault, Response) else await fault(body)
        message = {"role": "assistant", **self.chat}
        finish = "tool_calls" if self.chat.get("tool_calls") else "stop"
        if not body["stream"]:
            choice = {"index": 0, "message": message, "finish_reason": finish}
            return JSONResponse({"id": "1", "object": "chat.completion", "choices": [choice], **self._usage()})

        async def chunks() -> AsyncIterator[str]:
            for letter in self.chat.get("content") or "":
                yield sse({"choices": [{"index": 0, "delta": {"content": letter}}]})
            for i, call in enumerate(self.chat.get("tool_calls") or ()):
                function, half = call["function"], len(call["function"]["arguments"]) // 2
                first = {**call, "index": i, "function": {**function, "arguments": function["arguments"][:half]}}
                rest = {"index": i, "function": {"arguments": function["arguments"][half:]}}
                for part in (first, rest):
                    yield sse({"choices": [{"index": 0, "delta": {"tool_calls": [part]}}]})
            yield sse({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
            yield "data: [DONE]\n\n"

        return StreamingResponse(chunks(), media_type="text/event-stream")

    async def _hear(self, http: HttpRequest) -> dict[str, Any]:
        body = await http.json()
        self.asked.append(body)
        self.headers.append(http.headers)
        unknown = set(body) - {"model", "prompt", "messages", "tools", "max_tokens", "max_completion_tokens",
                               "temperature", "top_p", "seed", "stop", "stream", "stream_options"}  # fmt: skip
        assert not unknown, f"sent {unknown}"
        return body

    def _fault(self) -> Any:
        return self.faults.pop(0) if self.faults else None

    async def _compute(self) -> None:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(self.delay_seconds)
        self.running -= 1

    def _cut(self, stops: list[str]) -> tuple[str, dict[str, Any]]:
        named = {"stop_reason": None} if self.stops == "named" else {}
        found = min(((self.text.find(s), -len(s), s) for s in stops if s in self.text), default=None)
        if found is None or self.stops == "ignored":
            return self.text, named
        at, _, stop = found
        if self.stops == "left":
            return self.text[: at + len(stop)], {}
        return self.text[:at], {"stop_reason": stop} if named else {}

    async def _stream(self, text: str, extra: dict[str, Any]) -> AsyncIterator[str]:
        try:
            for start in range(0, len(text), 3):
                yield sse({"choices": [{"index": 0, "text": text[start : start + 3], "finish_reason": None}]})
                await asyncio.sleep(0)
            yield sse({"choices": [{"index": 0, "text": "", "finish_reason": self.finish, **extra}], **self._usage()})
            yield "data: [DONE]\n\n"
        except asyncio.CancelledError:
            self.hung_up = True
            raise

    def _usage(self) -> dict[str, Any]:
        return {"usage": {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}} if self.usage else {}


def sse(chunk: dict[str, Any]) -> str:
    return "data: " + json.dumps({"id": "1", "object": "text_completion", **chunk}) + "\n\n"


def failing(status: int, message: str = "spoilt", **headers: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status_code=status, headers=headers)


async def half_json(_: dict[str, Any]) -> Response:
    return Response('{"id": "1", "choices": [{"te', media_type="application/json")


async def reset(_: dict[str, Any]) -> Response:
    raise RuntimeError("the connection is dropped before any answer")


async def broken_stream(_: dict[str, Any]) -> Response:
    async def chunks() -> AsyncIterator[str]:
        yield sse({"choices": [{"index": 0, "text": TEXT[:6], "finish_reason": None}]})
        raise ConnectionError("the connection is dropped in the middle")

    return StreamingResponse(chunks(), media_type="text/event-stream")


async def silent_stream(_: dict[str, Any]) -> Response:
    async def chunks() -> AsyncIterator[str]:
        yield sse({"choices": [{"index": 0, "text": TEXT[:6], "finish_reason": None}]})
        yield "data: [DONE]\n\n"

    return StreamingResponse(chunks(), media_type="text/event-stream")


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, Callable[[Server], None]]]:
    """A server thread, its address, and how to set who answers."""
    current: list[Server] = [Server()]

    async def completions(http: HttpRequest) -> Response:
        return await current[0].completions(http)

    async def chat_completions(http: HttpRequest) -> Response:
        return await current[0].chat_completions(http)

    async def models(_: HttpRequest) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "tiny", "object": "model"}]})

    async def page(_: HttpRequest) -> Response:
        return PlainTextResponse("<html>hello")

    app = Starlette(
        routes=[
            Route("/v1/completions", completions, methods=["POST"]),
            Route("/v1/chat/completions", chat_completions, methods=["POST"]),
            Route("/v1/models", models),
            Route("/page/v1/completions", page, methods=["POST"]),
        ]
    )
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", lambda new: current.__setitem__(0, new)
    server.should_exit = True
    thread.join()


@pytest.fixture
def server(running: tuple[str, Callable[[Server], None]]) -> Server:
    fresh = Server()
    running[1](fresh)
    return fresh


@pytest.fixture
def address(running: tuple[str, Callable[[Server], None]]) -> str:
    return running[0]


def ask(address: str, *requests: Request, heard: list[str] | None = None, **settings: Any) -> list[Any]:
    """What an engine answers to requests, one after the other; an error is the answer that ends them."""

    async def main() -> list[Any]:
        engine = RemoteEngine("tiny", address, **{"max_retries": 2, **settings})
        answers: list[Any] = []
        try:
            for request in requests:
                answers.append(await engine.generate(request, heard.append if heard is not None else None))
        except EngineError as error:
            answers.append(error)
        finally:
            await engine.close()
        return answers

    return asyncio.run(main())


def test_what_is_sent(address: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    sampled = replace(ASKED, sampling=Sampling(0.7, 0.9, 20))
    ask(address, ASKED, sampled, api_key_env="MY_KEY")
    assert server.asked[0] == {
        "model": "tiny", "prompt": "OneTwo", "max_tokens": 50, "temperature": 0.0, "seed": 5, "stop": list(STOPS),
        "stream": False,
    }  # fmt: skip
    assert (server.asked[1]["temperature"], server.asked[1]["top_p"]) == (0.7, 0.9)
    assert server.headers[0]["authorization"] == "Bearer secret"


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("stops", ["left", "named", "cut", "ignored"])
def test_text_is_cut_alike_however_the_server_stops(address: str, server: Server, stops: str, streams: bool) -> None:
    server.stops = stops
    heard: list[str] | None = [] if streams else None
    for answer in ask(address, ASKED, ASKED, heard=heard):
        assert (answer.text, answer.stop, answer.finish) == (CUT, "\n</code>", FinishReason.STOP)
    if heard is not None:
        assert "".join(heard) == CUT + CUT


def test_a_server_that_hides_its_stops_is_found_out_once(address: str, server: Server) -> None:
    server.stops = "cut"
    ask(address, ASKED, ASKED, ASKED)
    assert [("stop" in body, body["stream"]) for body in server.asked] == [(True, False)] + 3 * [(False, True)]


def test_requests_already_on_their_way_when_that_is_found_out_get_their_stop_too(address: str, server: Server) -> None:
    server.stops, server.delay_seconds = "cut", 0.05

    async def main() -> None:
        engine = RemoteEngine("tiny", address)
        try:
            answers = await asyncio.gather(*(engine.generate(ASKED) for _ in range(8)))
        finally:
            await engine.close()
        assert {(a.text, a.stop) for a in answers} == {(CUT, "\n</code>")}

    asyncio.run(main())


@pytest.mark.parametrize("stops", ["left", "named", "cut", "ignored"])
def test_a_text_that_ends_by_itself_has_no_stop(address: str, server: Server, stops: str) -> None:
    server.stops, server.text = stops, "The answer is 3."
    (answer,) = ask(address, ASKED)
    assert (answer.text, answer.stop, answer.finish) == ("The answer is 3.", None, FinishReason.STOP)


def test_a_stream_is_left_at_the_stop(address: str, server: Server) -> None:
    server.stops, server.text = "ignored", TEXT + "x" * 3_000_000
    ask(address, ASKED, heard=[])
    deadline = time.monotonic() + 10
    while not server.hung_up and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.hung_up


def test_length_usage_and_time_are_reported(address: str, server: Server) -> None:
    server.finish, server.text = "length", "and so on"
    answers = ask(address, ASKED)
    server.usage = False
    answers += ask(address, ASKED)
    assert [a.finish for a in answers] == [FinishReason.LENGTH] * 2
    assert [(a.prompt_tokens, a.completion_tokens) for a in answers] == [(7, 9), (None, None)]
    assert answers[0].seconds > 0


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("fault", [failing(500), failing(429, **{"retry-after": "0.05"}), half_json, reset])
def test_a_passing_fault_is_tried_again(address: str, server: Server, fault: Any, streams: bool) -> None:
    if fault is half_json and streams:
        fault = broken_stream
    server.faults = [fault]
    heard: list[str] | None = [] if streams else None
    (answer,) = ask(address, ASKED, heard=heard)
    assert (answer.text, len(server.asked)) == (CUT, 2)
    assert heard is None or "".join(heard) == CUT, "a listener hears nothing twice"


def test_retry_after_is_honoured(address: str, server: Server) -> None:
    server.faults = [failing(429, **{"retry-after": "1.5"})]
    began = time.monotonic()
    ask(address, ASKED)
    assert time.monotonic() - began >= 1.5  # the SDK's own first pause is half a second


@pytest.mark.parametrize(
    ("fault", "streams", "says"),
    [
        (failing(503, "overloaded"), False, "503"),
        (half_json, False, "broke off"),
        (broken_stream, True, "broke off"),
        (silent_stream, True, "without a finish reason"),
    ],
)  # fmt: skip
def test_a_lasting_fault_of_a_server_is_a_failure_after_all_tries(
    address: str, server: Server, fault: Any, streams: bool, says: str
) -> None:
    server.faults = [fault] * 9
    (error,) = ask(address, ASKED, heard=[] if streams else None, max_retries=1)
    assert isinstance(error, EngineUnavailable) and says in str(error) and address in str(error)
    assert len(server.asked) == 2


def test_an_unreachable_server_is_named_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (error,) = ask(f"http://127.0.0.1:{port}", ASKED, max_retries=0)
    assert isinstance(error, EngineUnavailable)
    assert f"no server answers at http://127.0.0.1:{port}/v1" in str(error) and "start it" in str(error)


def test_a_silent_server_times_out(address: str, server: Server) -> None:
    server.delay_seconds = 5
    (error,) = ask(address, ASKED, timeout_seconds=0.2, max_retries=0)
    assert isinstance(error, EngineUnavailable) and "timeout_seconds" in str(error)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (failing(401), "export OPENAI_API_KEY="),
        (failing(404, "model not found"), "no such call"),
        (failing(400, "top_k is unknown"), "top_k is unknown"),
        (failing(422, "Unexpected fields"), "422"),
    ],
)
def test_a_refusal_is_lasting_and_not_repeated(address: str, server: Server, fault: Any, says: str) -> None:
    server.faults = [fault]
    (error,) = ask(address, ASKED)
    assert isinstance(error, EngineError) and not isinstance(error, EngineUnavailable)
    assert says in str(error) and "\n" not in str(error) and len(server.asked) == 1


def test_a_wrong_model_is_told_which_there_are(address: str, server: Server) -> None:
    server.faults = [failing(404, "no such model")]

    async def main() -> None:
        engine = RemoteEngine("huge", address)
        try:
            with pytest.raises(EngineError, match="no model 'huge'; it offers: tiny"):
                await engine.generate(ASKED)
        finally:
            await engine.close()

    asyncio.run(main())


def test_a_page_that_is_no_api_is_said_so(address: str) -> None:
    (error,) = ask(address + "/page/v1", ASKED)
    assert isinstance(error, EngineError) and "not as an OpenAI-compatible server" in str(error)


def test_a_prompt_that_is_too_long_is_an_outcome(address: str, server: Server) -> None:
    server.faults = [failing(400, "This model's maximum context length is 4096 tokens, you asked for 9000")]
    (answer,) = ask(address, ASKED)
    assert (answer.finish, answer.text) == (FinishReason.CONTEXT, "")


def test_the_newer_name_of_the_length_limit_is_learnt(address: str, server: Server) -> None:
    server.faults = [failing(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")]
    ask(address, CHAT, CHAT)
    assert ["max_tokens" in body for body in server.asked] == [True, False, False]


@pytest.mark.parametrize("streams", [False, True])
def test_tool_calls_are_objects_in_records_and_text_on_the_wire(address: str, server: Server, streams: bool) -> None:
    code = {"code": "print('é')\n"}
    call = {"id": "c1", "type": "function", "function": {"name": "python", "arguments": json.dumps(code)}}
    server.chat = {"content": "Let me see.", "tool_calls": [call, {**call, "id": "c2"}]}
    heard: list[str] | None = [] if streams else None
    (answer,) = ask(address, CHAT, heard=heard)
    assert answer.text == "Let me see." and answer.finish is FinishReason.STOP
    assert [(c["id"], c["function"]["arguments"]) for c in answer.tool_calls] == [("c1", code), ("c2", code)]
    turn = {"role": "assistant", "content": answer.text, "tool_calls": list(answer.tool_calls)}
    ask(address, replace(CHAT, messages=(*CHAT.messages, turn), tools=({"type": "function"},)))
    sent = server.asked[-1]["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(sent) == code
    assert answer.tool_calls[0]["function"]["arguments"] == code, "the record is not changed by sending it"


@pytest.mark.parametrize("arguments", ['{"code": "x', "[1]", '{"code": NaN}', '{"a":' * 5000])
def test_arguments_that_are_no_object_stay_text(address: str, server: Server, arguments: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "python", "arguments": arguments}}
    server.chat = {"content": None, "tool_calls": [call]}
    (answer,) = ask(address, CHAT)
    assert (answer.text, answer.tool_calls[0]["function"]["arguments"]) == ("", arguments)


def test_requests_in_flight_are_bounded(address: str, server: Server) -> None:
    server.delay_seconds = 0.05

    async def main() -> list[Completion]:
        engine = RemoteEngine("tiny", address, concurrency=3)
        try:
            return await asyncio.gather(*(engine.generate(ASKED) for _ in range(12)))
        finally:
            await engine.close()

    assert len(asyncio.run(main())) == 12
    assert server.most_running == 3


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://host:8000", "http://host:8000/v1"),
        ("http://host:8000/v1/", "http://host:8000/v1"),
        ("https://host/api/v3", "https://host/api/v3"),
        ("https://host/v1/chat/completions", "https://host/v1"),
    ],
)
def test_addresses(given: str, used: str) -> None:
    assert RemoteEngine("tiny", given)._url == used


@pytest.mark.parametrize("given", ["localhost:8000", "8000", "ftp://host/v1", ""])
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(EngineError, match="endpoint must be an address"):
        RemoteEngine("tiny", given)


async def empty(_: dict[str, Any]) -> Response:
    return JSONResponse({"id": "1", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 0}})


async def silence(_: dict[str, Any]) -> Response:
    await asyncio.sleep(1)
    return Response()


USED = Tokens(7, 9)


@pytest.mark.parametrize(
    ("fault", "kind", "confirmed", "unknown_calls"),
    [
        (failing(429, **{"retry-after-ms": "10"}), "429", USED, 0),
        (failing(503, **{"retry-after-ms": "10"}), "503", USED, 0),
        (failing(529, **{"retry-after-ms": "10"}), "529", USED, 0),
        (failing(500, **{"retry-after-ms": "10"}), "500", USED, 1),
        (failing(502, **{"retry-after-ms": "10"}), "502", USED, 1),
        (half_json, "broken", USED, 1),
        (silence, "timeout", USED, 1),
        (empty, "empty", Tokens(14, 9), 0),
    ],
)
def test_each_fault_is_counted_and_paid_for_as_it_must_be(
    address: str, server: Server, fault: Any, kind: str, confirmed: Tokens, unknown_calls: int
) -> None:
    server.faults = [fault]
    ledger = Ledger()
    ask(address, ASKED, ledger=ledger, timeout_seconds=0.5)
    found = ledger.snapshot()
    assert (found.calls, found.in_flight, found.faults) == (2, 0, {kind: 1})
    assert (found.confirmed_tokens, found.unknown_calls) == (confirmed, unknown_calls)
    if unknown_calls:
        assert found.unknown_tokens.completion == ASKED.sampling.max_new_tokens
        assert found.unknown_tokens.prompt >= len("OneTwo")


def test_an_address_where_nobody_listens_costs_nothing() -> None:
    ledger = Ledger()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ask(f"http://127.0.0.1:{port}", ASKED, max_retries=50, ledger=ledger)
    assert ledger.snapshot().faults == {"unreachable": 3}, "given up early where nothing ever answered"
    assert ledger.snapshot().unknown_calls == 0


def test_a_server_that_reports_no_usage_leaves_its_calls_unknown(address: str, server: Server) -> None:
    server.usage = False
    ledger = Ledger()
    ask(address, ASKED, ledger=ledger)
    assert (ledger.snapshot().unknown_calls, ledger.snapshot().faults) == (1, {"no usage": 1})


def test_a_stream_asks_for_its_usage_and_counts_it(address: str, server: Server) -> None:
    server.text, server.finish = "and so on", "length"
    ledger = Ledger()
    ask(address, ASKED, heard=[], ledger=ledger)
    assert server.asked[0]["stream_options"] == {"include_usage": True}
    assert ledger.snapshot().confirmed_tokens == USED


def test_hanging_up_hides_what_a_call_cost(address: str, server: Server) -> None:
    server.stops, server.text = "ignored", TEXT + "x" * 3_000_000
    ledger = Ledger()
    ask(address, ASKED, heard=[], ledger=ledger)
    assert ledger.snapshot().faults == {"hung up": 1} and ledger.snapshot().unknown_calls == 1


def test_hidden_stops_can_be_accepted(address: str, server: Server) -> None:
    server.stops = "cut"
    ledger = Ledger()
    answers = ask(address, ASKED, ASKED, hidden_stops="accept", ledger=ledger)
    assert [(a.text, a.stop, a.finish) for a in answers] == [(CUT, None, FinishReason.STOP)] * 2
    assert ["stop" in body and not body["stream"] for body in server.asked] == [True, True]
    assert ledger.snapshot().confirmed_tokens == USED + USED


def test_a_request_is_not_sent_when_it_could_pass_the_cap(address: str, server: Server) -> None:
    answers = ask(address, ASKED, ASKED, ledger=Ledger(max_total_tokens=80))
    assert isinstance(answers[1], BudgetReached) and "max_total_tokens" in str(answers[1])
    assert len(server.asked) == 1


@pytest.mark.usefixtures("server")
def test_a_server_that_takes_more_than_was_asked_ends_a_capped_run(address: str) -> None:
    greedy = replace(ASKED, sampling=Sampling(max_new_tokens=8))  # the server counts 9
    (answer,) = ask(address, greedy, ledger=Ledger(max_total_tokens=1000))
    assert isinstance(answer, EngineError) and "no cap can be kept" in str(answer)
    (answer,) = ask(address, greedy, ledger=Ledger())
    assert isinstance(answer, Completion)


@pytest.mark.parametrize(
    "details", [{"prompt_tokens_details": {"cached_tokens": 5}}, {"prompt_cache_hit_tokens": 5}, {"cached": None}]
)
def test_cached_tokens_are_read_where_they_are_told(address: str, server: Server, details: dict[str, Any]) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16, **details}
    choice = {"index": 0, "text": "x", "finish_reason": "length"}
    server.faults = [JSONResponse({"id": "1", "object": "text_completion", "choices": [choice], "usage": usage})]
    ledger = Ledger()
    ask(address, ASKED, ledger=ledger)
    assert ledger.snapshot().confirmed_tokens == Tokens(7, 9, 0 if "cached" in details else 5)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("Unsupported value: 'temperature' does not support 0.6. Only the default is supported", "temperature"),
        ("Unsupported parameter: 'stop' is not supported with this model.", "stop"),
        ("[{'loc': ['body', 'seed'], 'msg': 'Extra inputs are not permitted'}]", "seed"),
    ],
)  # fmt: skip
def test_a_field_that_is_refused_is_left_out_from_then_on_and_said_so(
    address: str, server: Server, message: str, field: str
) -> None:
    server.faults = [failing(400, message)]
    said: list[str] = []
    answers = ask(address, ASKED, ASKED, report=said.append)
    assert [answer.text for answer in answers] == [CUT, CUT]
    assert [field in body for body in server.asked] == [True, False, False]
    assert said == [f"tiny takes no {field!r}; it is sent without from now on"]


def test_an_account_without_credit_stops_the_run(address: str, server: Server) -> None:
    error = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    server.faults = [JSONResponse(error, status_code=429)]
    (answer,) = ask(address, ASKED)
    assert type(answer) is EngineError and "no credit" in str(answer) and len(server.asked) == 1


def test_a_server_that_asks_for_an_hour_stops_the_run(address: str, server: Server) -> None:
    server.faults = [failing(429, "daily limit", **{"retry-after": "3600"})]
    (answer,) = ask(address, ASKED)
    assert type(answer) is EngineError and "asks to wait 3600 s" in str(answer) and len(server.asked) == 1


def test_one_refusal_does_not_hold_the_others(address: str, server: Server) -> None:
    server.faults = [failing(429, **{"retry-after": "0.6"})]

    async def main() -> list[float]:
        engine = RemoteEngine("tiny", address, concurrency=1)
        began = time.monotonic()

        async def one() -> float:
            await engine.generate(ASKED)
            return time.monotonic() - began

        try:
            return await asyncio.gather(*(one() for _ in range(4)))
        finally:
            await engine.close()

    moments = asyncio.run(main())
    assert moments[0] >= 0.6 and max(moments[1:]) < 0.5, "a request that waits holds no place"


def test_refusals_in_a_row_hold_all(address: str, server: Server) -> None:
    """A server that takes five requests a second, and says so: without a gate they would come back together."""
    server.faults = [failing(429, **{"retry-after": "0.5"}) for _ in range(8)]

    async def main() -> None:
        engine = RemoteEngine("tiny", address, concurrency=8, max_retries=3)
        first = [asyncio.create_task(engine.generate(ASKED)) for _ in range(8)]
        while len(server.asked) < 8:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        late = asyncio.create_task(engine.generate(ASKED))
        await asyncio.sleep(0.2)
        assert len(server.asked) == 8, "a new request waits too"
        await asyncio.gather(*first, late)
        await engine.close()

    asyncio.run(main())
    assert len(server.asked) == 17


def test_runs_share_a_cache_of_what_was_sent(address: str, server: Server, tmp_path: Path) -> None:
    config = EngineConfig(model="tiny", endpoint=address, cache=tmp_path / "cache")

    def session(*requests: Request) -> Spend:
        async def main() -> Spend:
            engine = build_engine(config)
            for request in requests:
                heard: list[str] = []
                answer = await engine.generate(request, heard.append)
                assert (answer.text, "".join(heard)) == (CUT, CUT)
            ledger = ledger_of(engine)
            assert ledger is not None
            await engine.close()
            return ledger.snapshot()

        return asyncio.run(main())

    assert (session(ASKED).cache_hits, len(server.asked)) == (0, 1)
    elsewhere = replace(ASKED, problem_id="another", sample_index=3, spans=(Span("OneTwo", Source.PROMPT),))
    found = session(ASKED, elsewhere)
    assert (found.cache_hits, found.calls, len(server.asked)) == (2, 0, 1)
    session(
        replace(ASKED, seed=1),
        replace(ASKED, sampling=Sampling(0.5, max_new_tokens=50)),
        replace(ASKED, stop=STOPS[:2]),
    )
    assert len(server.asked) == 4, "another seed, sampling or stop string is another request"
