"""Any OpenAI-compatible server: text completions for spans, chat completions for messages.

One idea: trust a server with as little as possible. The text is cut at its first stop string here, whether the server
cut it, left the string in or never heard of `stop`; usage may be missing; a field that a server refuses is left out
from then on. Some servers remove the stop string without saying which one fired, or whether it was the model's end
token: the first such reply makes this engine stream and cut by itself from then on, as only that tells the two apart
(or not, by `hidden_stops`: hanging up hides what the call cost).

Every try is a call of its own in the ledger, so all retries are made here and none by the SDK. What this module does
not do: it starts no server and knows no vendor's extras.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from itertools import count
from typing import Any, Literal
from urllib.parse import urlsplit

from mario.engine.faults import ContextFull, Fault, Unsupported, brief, is_too_long, passing, refused_field
from mario.engine.ledger import Ledger
from mario.engine.pace import Gate, backoff
from mario.engine.protocol import TextListener, first_stop
from mario.engine.spend import Tokens
from mario.engine.wire import Reply, Teller, to_wire
from mario.errors import EngineError, EngineUnavailable, MarioError
from mario.types import Completion, FinishReason, Request

_MAX_STOPS = 4  # the most that OpenAI's own servers take
_SEED_BITS = 31  # the least that servers take
_LONGEST_WAIT = 300.0  # a server that asks for more is out of service for this run
_TRIES_UNHEARD = 3  # of an address that never answered anything
# What a server may add to the text it was sent: special tokens, and in chat the template's words, a default system
# message, instructions for tools. The longest we know (tools in Llama 3.1, Qwen 2.5, gpt-oss) stay under 500 tokens.
_ADDED_TOKENS, _ADDED_TOKENS_CHAT = 16, 1024


class RemoteEngine:
    """`protocol.Engine` over one model of one server. Belongs to one event loop."""

    def __init__(
        self,
        model: str,
        endpoint: str,
        *,
        api_key_env: str = "OPENAI_API_KEY",
        concurrency: int = 64,
        timeout_seconds: float = 600.0,
        max_retries: int = 10,
        hidden_stops: Literal["stream", "accept"] = "stream",
        ledger: Ledger | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.ledger = ledger or Ledger()
        self._model = model
        self._url = base_url(endpoint)
        self._key_name = api_key_env
        self._timeout = timeout_seconds
        self._retries = max_retries
        self._may_stream = hidden_stops == "stream"
        self._report = report
        self._slots = asyncio.Semaphore(concurrency)
        self._random = random.Random()  # of pauses only: no text depends on it
        self._gate = Gate(self._random)
        self._connected: Any = None
        self._heard = False  # whether the server ever answered, if with a refusal
        self._length_field = "max_tokens"
        self._refused_fields: set[str] = set()
        self._names_stops = False  # seen to leave the stop string in the text, or to name the one that fired
        self._cuts_alone = False  # the server hides them: stream without `stop`, and hang up at the first

    @property
    def name(self) -> str:
        return self._model

    async def generate(self, request: Request, on_text: TextListener | None = None) -> Completion:
        """See `protocol.Engine.generate`.

        A try that failed in passing is made again; the listener then hears only what goes beyond what it has heard.

        Raises:
            BudgetReached: the next call could pass a cap.
        """
        teller = Teller(on_text, request.stop)
        began = time.monotonic()
        for tries in count(1):
            await self._gate.passed()
            try:
                async with self._slots:
                    completion = await self._ask(request, teller)
            except Fault as fault:
                await asyncio.sleep(self._pause(fault, tries))
            else:
                self._gate.answered()
                return replace(completion, seconds=time.monotonic() - began)
        raise AssertionError("the loop returns or raises")

    async def close(self) -> None:
        self.ledger.close()
        if self._connected is not None:
            await self._connected.close()

    def _pause(self, fault: Fault, tries: int) -> float:
        """Seconds to wait before the next try.

        Raises:
            EngineUnavailable: that was the last one.
            EngineError: the server asks for more patience than a run has.
        """
        if fault.wait is not None and fault.wait > _LONGEST_WAIT:
            raise EngineError(
                f"{self._url} answers {fault.kind} and asks to wait {fault.wait:.0f} s ({fault}); "
                "run the same command again after that"
            ) from fault
        self._heard = self._heard or fault.kind != "unreachable"
        if tries > (self._retries if self._heard else min(self._retries, _TRIES_UNHEARD - 1)):
            raise EngineUnavailable(self._gave_up(fault, tries)) from fault
        seconds = backoff(tries, self._random)
        if fault.wait is not None:
            seconds = fault.wait + self._random.uniform(0, min(fault.wait, 1) / 10)
        if fault.overloaded:
            self._gate.refused(seconds)
        else:
            self._gate.answered()
        return seconds

    def _gave_up(self, fault: Fault, tries: int) -> str:
        after = f"after {tries} tries"
        match fault.kind:
            case "timeout":
                return f"{self._url} did not answer within {self._timeout:g} s, {after}; raise engine.timeout_seconds"
            case "unreachable":
                return f"no server answers at {self._url} ({fault}), {after}; start it, or correct the endpoint"
            case "reset" | "broken" | "empty":
                return f"{self._url} broke off its reply {tries} times ({fault}); see the server's log"
        return f"{self._url} answered {fault.kind} {after}: {fault}"

    async def _ask(self, request: Request, teller: Teller) -> Completion:
        """One try, which may take several calls while the server is being learnt."""
        reply = Reply(request.stop)
        cuts_alone = self._cuts_alone or "stop" in self._refused_fields  # may change while this is on its way
        body = self._body(request, with_stop=not cuts_alone, stream=teller.listener is not None or cuts_alone)
        try:
            await self._call(body, reply, request, teller)
        except ContextFull:
            return Completion(text="", finish=FinishReason.CONTEXT)
        except Unsupported as refused:
            if refused.name not in self._refused_fields:
                self._refused_fields.add(refused.name)
                self._report(f"{self._model} takes no {refused.name!r}; it is sent without from now on")
            return await self._ask(request, teller)
        if self._may_stream and reply.hides_its_stop and not (self._names_stops or cuts_alone):
            self._cuts_alone = True
            return await self._ask(request, teller)
        self._names_stops = self._names_stops or reply.named_stop
        completion = reply.completion()
        teller.finish(completion.text)
        return completion

    async def _call(self, body: dict[str, Any], reply: Reply, request: Request, teller: Teller) -> None:
        """One call with its place in the ledger."""
        bound = Tokens(_prompt_bound(body), request.sampling.max_new_tokens)
        note = {"problem": request.problem_id, "sample": request.sample_index, "turn": request.turn}
        call = await self.ledger.reserve(bound, **note)
        trouble = "abandoned"  # cancelled, unless it turns out otherwise
        free = False
        try:
            if body["stream"]:
                async with aclosing(self._stream(body, reply)) as texts:
                    async for text in texts:
                        reply.text += text
                        teller.hear(reply.text)
                        if first_stop(reply.text, request.stop):
                            trouble = "hung up"
                            break  # leaving the stream hangs up: the server need not go on
            else:
                reply.read(await self._create(body))
            trouble = "no usage" if trouble == "abandoned" else trouble
        except Fault as fault:
            trouble, free = fault.kind, fault.free
            raise
        except (ContextFull, Unsupported, EngineError):
            trouble, free = "refused", True
            raise
        finally:
            used = reply.used
            if used is not None:
                whole = trouble in ("no usage", "hung up")
                self.ledger.confirm(call, used, None if whole else trouble)
            elif free:
                self.ledger.free(call, trouble)
            else:
                self.ledger.lose(call, trouble)
        if reply.used is not None:
            self._check_bound(bound, reply.used)

    def _check_bound(self, bound: Tokens, used: Tokens) -> None:
        """A server that takes more than was asked for would pass any cap."""
        if self.ledger.capped and (used.prompt > bound.prompt or used.completion > bound.completion):
            raise EngineError(
                f"{self._url} counts {used.prompt} + {used.completion} tokens for a call of at most {bound.prompt} + "
                f"{bound.completion}, so no cap can be kept; remove engine.max_cost and engine.max_total_tokens"
            )

    async def _stream(self, body: dict[str, Any], reply: Reply) -> AsyncGenerator[str, None]:
        stream = await self._create(body)
        try:
            async for chunk in stream:
                for text in reply.read_chunk(chunk):
                    yield text
        except MarioError:
            raise
        except Exception as error:  # the SDK's, its HTTP library's (which one depends on its version), or JSON's
            timed_out = "Timeout" in type(error).__name__
            raise Fault("timeout" if timed_out else "broken", brief(error)) from error
        finally:
            await stream.close()
        if reply.finish is None:
            raise Fault("broken", "the stream ended without a finish reason")

    async def _create(self, body: dict[str, Any]) -> Any:
        """One call of the SDK, its errors translated."""
        import openai

        if self._connected is None:
            self._connected = openai.AsyncOpenAI(
                base_url=self._url,
                api_key=os.environ.get(self._key_name) or "none",  # local servers need none, the SDK insists
                timeout=self._timeout,
                max_retries=0,
            )
        calls = self._connected.chat.completions if "messages" in body else self._connected.completions
        try:
            answer = await calls.create(**body)
        except (openai.APIError, ValueError) as error:
            fault = passing(error, self._timeout)
            if fault is not None:
                raise fault from error
            self._heard = True
            raise await self._lasting(error, body) from error
        self._heard = True
        return answer

    async def _lasting(self, error: Any, body: dict[str, Any]) -> Exception:
        """What a refusal means that no repetition will change."""
        match error.status_code:
            case 400 | 422 if {"max_tokens", "messages"} <= set(body) and "max_completion_tokens" in error.message:
                self._length_field = "max_completion_tokens"  # OpenAI's newer models know only this one
                return Unsupported("max_tokens")
            case 400 | 413 if is_too_long(error):
                return ContextFull()
            case 400 | 422 if name := refused_field(error, body):
                return Unsupported(name)
            case 401 | 403:
                return EngineError(
                    f"{self._url} refuses the key ({error.status_code}); "
                    f"put the right one in the environment: export {self._key_name}=…"
                )
            case 404:
                return EngineError(await self._not_found(error))
            case 429:
                return EngineError(f"{self._url} says that the account has no credit left: {brief(error)}")
        return EngineError(f"{self._url} refuses the request ({error.status_code}): {brief(error)}")

    def _body(self, request: Request, *, with_stop: bool, stream: bool) -> dict[str, Any]:
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self._model,
            (self._length_field if request.messages else "max_tokens"): sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "seed": request.seed % 2**_SEED_BITS,
            "stream": stream,
        }
        if sampling.top_p < 1:
            body["top_p"] = sampling.top_p
        if request.stop and with_stop:
            body["stop"] = list(request.stop[:_MAX_STOPS])
        if stream:
            body["stream_options"] = {"include_usage": True}
        body = {name: value for name, value in body.items() if name not in self._refused_fields}
        if not request.messages:
            return body | {"prompt": "".join(span.text for span in request.spans)}
        body["messages"] = [to_wire(message) for message in request.messages]
        return body | ({"tools": list(request.tools)} if request.tools else {})

    async def _not_found(self, error: Any) -> str:
        """Tell a wrong model from a wrong address by asking which models there are."""
        import openai

        try:
            offered = [model.id async for model in self._connected.models.list()]
        except (openai.OpenAIError, AttributeError, TypeError, ValueError):
            return f"{self._url} answers 404 ({brief(error)}); the endpoint usually ends in /v1"
        if self._model in offered:
            return f"{self._url} has no such call ({brief(error)}); it serves {self._model} in another way"
        return f"{self._url} has no model {self._model!r}; it offers: {', '.join(offered[:8]) or 'none'}"


def base_url(endpoint: str) -> str:
    """The address the SDK appends its paths to; a bare host gets the usual /v1, a full path loses its last part."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EngineError(f"endpoint must be an address such as http://localhost:8000/v1, got {endpoint!r}")
    path = re.sub(r"(/chat)?/completions$", "", parts.path.rstrip("/"))
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def _prompt_bound(body: dict[str, Any]) -> int:
    """More tokens than a prompt can have: a token stands for one byte at least, and servers add only so much."""
    if "prompt" in body:
        return len(body["prompt"].encode("utf-8", "surrogatepass")) + _ADDED_TOKENS
    sent = json.dumps([body["messages"], body.get("tools")], ensure_ascii=False)
    return len(sent.encode("utf-8", "surrogatepass")) + _ADDED_TOKENS_CHAT
