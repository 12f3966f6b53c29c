"""Any OpenAI-compatible server: text completions for spans, chat completions for messages.

One idea: trust a server with as little as possible. The text is cut at its first stop string here, whether the server
cut it, left the string in or never heard of `stop`; usage may be missing; `n`, `logprobs` and stream options are not
used. Some servers remove the stop string without saying which one fired, or whether it was the model's end token: the
first such reply makes this engine stream and cut by itself from then on, as only that tells the two apart.

Retries: the SDK repeats what never got an answer (429 with its Retry-After, 5xx, no connection); a reply that breaks
off or is not JSON is repeated here. What this module does not do: it starts no server and knows no vendor's extras.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from mario.engine.protocol import TextListener, first_stop, partial_stop
from mario.engine.wire import BrokenReply, Reply, to_wire
from mario.errors import EngineError, EngineUnavailable, MarioError
from mario.types import Completion, FinishReason, Request

_MAX_STOPS = 4  # the most that OpenAI's own servers take
_SEED_BITS = 31  # the least that servers take
_BACKOFF_SECONDS, _BACKOFF_MAX = 0.5, 8.0
_TOO_LONG = re.compile(r"context.?(length|window|size)|maximum context|too long|max_model_len|exceeds? .*tokens", re.I)


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
        max_retries: int = 5,
    ) -> None:
        self._model = model
        self._url = _base_url(endpoint)
        self._key_name = api_key_env
        self._timeout = timeout_seconds
        self._retries = max_retries
        self._slots = asyncio.Semaphore(concurrency)
        self._connected: Any = None
        self._length_field = "max_tokens"
        self._names_stops = False  # seen to leave the stop string in the text, or to name the one that fired
        self._cuts_alone = False  # the server hides them: stream without `stop`, and hang up at the first

    @property
    def name(self) -> str:
        return f"{self._model} at {self._url}"

    async def generate(self, request: Request, on_text: TextListener | None = None) -> Completion:
        """See `protocol.Engine.generate`.

        A reply that broke off is asked for again; the listener then hears only what goes beyond what it has heard.
        """
        teller = _Teller(on_text, request.stop)
        began = time.monotonic()
        async with self._slots:
            for attempt in range(self._retries + 1):
                try:
                    completion = await self._ask(request, teller)
                    return replace(completion, seconds=time.monotonic() - began)
                except BrokenReply as error:
                    if attempt == self._retries:
                        raise EngineUnavailable(
                            f"{self._url} broke off its reply {attempt + 1} times ({error}); see the server's log"
                        ) from error
                    await asyncio.sleep(min(_BACKOFF_SECONDS * 2**attempt, _BACKOFF_MAX))
        raise AssertionError("the loop returns or raises")

    async def close(self) -> None:
        if self._connected is not None:
            await self._connected.close()

    async def _ask(self, request: Request, teller: _Teller) -> Completion:
        reply = Reply(request.stop)
        cuts_alone = self._cuts_alone  # may change while this request is on its way
        body = self._body(request, with_stop=not cuts_alone)
        try:
            if teller.listener is not None or cuts_alone:
                async with aclosing(self._stream(body, reply)) as texts:
                    async for text in texts:
                        reply.text += text
                        teller.hear(reply.text)
                        if first_stop(reply.text, request.stop):
                            break  # leaving the stream hangs up: the server need not go on
            else:
                reply.read(await self._create(body, stream=False))
        except _ContextFull:
            return Completion(text="", finish=FinishReason.CONTEXT)
        if reply.hides_its_stop and not (self._names_stops or cuts_alone):
            self._cuts_alone = True
            return await self._ask(request, teller)
        self._names_stops = self._names_stops or reply.named_stop
        completion = reply.completion()
        teller.finish(completion.text)
        return completion

    async def _stream(self, body: dict[str, Any], reply: Reply) -> AsyncGenerator[str, None]:
        stream = await self._create(body, stream=True)
        try:
            async for chunk in stream:
                for text in reply.read_chunk(chunk):
                    yield text
        except MarioError:
            raise
        except Exception as error:  # the SDK's, its HTTP library's (which one depends on its version), or JSON's
            raise BrokenReply(_brief(error)) from error
        finally:
            await stream.close()
        if reply.finish is None:
            raise BrokenReply("the stream ended without a finish reason")

    async def _create(self, body: dict[str, Any], *, stream: bool) -> Any:
        """One call of the SDK, its errors translated."""
        import openai

        if self._connected is None:
            self._connected = openai.AsyncOpenAI(
                base_url=self._url,
                api_key=os.environ.get(self._key_name) or "none",  # local servers need none, the SDK insists
                timeout=self._timeout,
                max_retries=self._retries,
            )
        calls = self._connected.chat.completions if "messages" in body else self._connected.completions
        try:
            return await calls.create(**body, stream=stream)
        except openai.BadRequestError as error:
            if "max_tokens" in body and "max_completion_tokens" in error.message:
                self._length_field = "max_completion_tokens"  # OpenAI's newer models know only this one
                body[self._length_field] = body.pop("max_tokens")
                return await self._create(body, stream=stream)
            if error.code == "context_length_exceeded" or _TOO_LONG.search(error.message):
                raise _ContextFull from error
            raise EngineError(f"{self._url} refuses the request: {_brief(error)}") from error
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise EngineError(
                f"{self._url} refuses the key ({error.status_code}); "
                f"put the right one in the environment: export {self._key_name}=…"
            ) from error
        except openai.NotFoundError as error:
            raise EngineError(await self._not_found(error)) from error
        except (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError) as error:
            raise self._unavailable(error) from error
        except openai.APIStatusError as error:
            raise EngineError(f"{self._url} refuses the request ({error.status_code}): {_brief(error)}") from error
        except (openai.APIError, ValueError) as error:  # the body is not what was announced
            raise BrokenReply(_brief(error)) from error

    def _body(self, request: Request, *, with_stop: bool) -> dict[str, Any]:
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self._model,
            self._length_field: sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "seed": request.seed % 2**_SEED_BITS,
        }
        if sampling.top_p < 1:
            body["top_p"] = sampling.top_p
        if request.stop and with_stop:
            body["stop"] = list(request.stop[:_MAX_STOPS])
        if not request.messages:
            return body | {"prompt": "".join(span.text for span in request.spans)}
        body["messages"] = [to_wire(message) for message in request.messages]
        return body | ({"tools": list(request.tools)} if request.tools else {})

    def _unavailable(self, error: Any) -> EngineUnavailable:
        import openai

        tries = f"after {self._retries + 1} tries"
        if isinstance(error, openai.APITimeoutError):
            return EngineUnavailable(
                f"{self._url} did not answer within {self._timeout:g} s, {tries}; raise timeout_seconds"
            )
        if isinstance(error, openai.APIConnectionError):
            cause = _brief(error.__cause__ or error)
            return EngineUnavailable(
                f"no server answers at {self._url} ({cause}), {tries}; start it, or correct the endpoint"
            )
        return EngineUnavailable(f"{self._url} answered {error.status_code} {tries}: {_brief(error)}")

    async def _not_found(self, error: Any) -> str:
        """Tell a wrong model from a wrong address by asking which models there are."""
        import openai

        try:
            offered = [model.id async for model in self._connected.models.list()]
        except (openai.OpenAIError, AttributeError, TypeError, ValueError):
            return f"{self._url} answers 404 ({_brief(error)}); the endpoint usually ends in /v1"
        if self._model in offered:
            return f"{self._url} has no such call ({_brief(error)}); it serves {self._model} in another way"
        return f"{self._url} has no model {self._model!r}; it offers: {', '.join(offered[:8]) or 'none'}"


class _ContextFull(Exception):
    """The prompt does not fit the model's window: an outcome, not a fault."""


@dataclass
class _Teller:
    """Passes text on to a listener: never twice, and never what may turn out to be a stop string."""

    listener: TextListener | None
    stops: tuple[str, ...]
    said: int = 0

    def hear(self, text: str) -> None:
        found = first_stop(text, self.stops)
        self._say(text, found[0] if found else len(text) - partial_stop(text, self.stops))

    def finish(self, text: str) -> None:
        self._say(text, len(text))

    def _say(self, text: str, until: int) -> None:
        if self.listener is not None and until > self.said:
            self.listener(text[self.said : until])
            self.said = until


def _base_url(endpoint: str) -> str:
    """The address the SDK appends its paths to; a bare host gets the usual /v1, a full path loses its last part."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EngineError(f"endpoint must be an address such as http://localhost:8000/v1, got {endpoint!r}")
    path = re.sub(r"(/chat)?/completions$", "", parts.path.rstrip("/"))
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def _brief(error: BaseException) -> str:
    """One line of an error; for a refusal what the server said, of which the SDK keeps only some shapes."""
    body = getattr(error, "body", None)
    said = body.get("message") or body.get("detail") if isinstance(body, dict) else None
    text = str(said or error or type(error).__name__).strip()
    return " ".join(text.split())[:300]
