"""What an OpenAI-compatible server keeps of a request and what it drops, found out by asking it.

One idea: a field that a server ignores leaves no error, only another text, so each is tried for its effect against the
server's own greedy answer: a stop string taken from that answer must end it there, a nucleus of nothing must give it at
any temperature, a seed must repeat a draw. Some twenty short calls; it takes no model's word for anything.

What this module does not do: it changes no setting, and mends no server.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from mario.engine.faults import brief, is_too_long, passing

_TOKENS = 24  # of the text that everything is compared with
_AT_ONCE = 8
_LONGEST_WINDOW = 200_000  # tokens; a longer prompt takes too long to refuse
_PROMPT = "Count: one, two, three, four, five, six,"
_TOOL = {
    "type": "function",
    "function": {
        "name": "python",
        "description": "Run Python code.",
        "parameters": {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]},
    },
}
_INLINE = "formats inline, text and react-text"
_CHAT = "formats react and tools"


@dataclass(frozen=True, slots=True)
class Trait:
    """One thing about a server. `state` is ok, drops (it works, with what `text` says) or broken."""

    what: str
    state: Literal["ok", "drops", "broken"]
    text: str


_Finding = tuple[Literal["ok", "drops", "broken"], str]


class _Refused(Exception):
    """The server answered with an error, or with something that is no answer."""


async def check_server(
    url: str, model: str | None, *, api_key_env: str = "OPENAI_API_KEY", timeout_seconds: float = 120.0
) -> AsyncIterator[Trait]:
    """What the server at an endpoint does with each field of a request, as it is found out.

    `model` may be None where the server offers one only. The first trait that is broken is the last.

    Raises:
        EngineError: the endpoint is no address.
    """
    import openai

    from mario.engine.remote import base_url

    client = openai.AsyncOpenAI(
        base_url=base_url(url), api_key=os.environ.get(api_key_env) or "none", timeout=timeout_seconds, max_retries=0
    )
    try:
        offered = await _models(client)
        name = model or next(iter(offered), None)
        if name is None:
            yield Trait("models", "broken", f"{url} lists no models; name one with --model")
            return
        if name in offered:
            yield Trait("models", "ok", f"{name} is one of {len(offered)} offered")
        else:
            yield Trait("models", "drops", f"{name} is not listed; offered: {', '.join([*offered][:8]) or 'nothing'}")
        async for trait in _Probe(client, name, offered.get(name)).traits():
            yield trait
    finally:
        await client.close()


async def _models(client: Any) -> dict[str, int | None]:
    """Names, each with its window where the server tells it; empty where it has no list."""
    try:
        answer = await client.get("/models", cast_to=object)
        return {row["id"]: row.get("max_model_len") or row.get("context_length") for row in answer["data"]}
    except Exception:  # an error, or a body of any shape: the calls below will tell
        return {}


@dataclass
class _Probe:
    """One model of one server; `chat` says which call the traits are tried on."""

    client: Any
    model: str
    window: int | None
    chat: bool = False
    chat_length_field: str = "max_tokens"

    async def traits(self) -> AsyncIterator[Trait]:
        refusals = {}
        for chat in (True, False):  # completions last: where both work, the rest is tried on them
            self.chat = chat
            refusals[chat] = await self._refusal()
        for chat, what, formats in ((False, "completions", _INLINE), (True, "chat", _CHAT)):
            if (reason := refusals[chat]) is None:
                yield Trait(what, "ok", f"answers: {formats} can be used")
            else:
                yield Trait(what, "drops", f"refuses ({reason}): {formats} cannot be used")
        if all(refusals.values()):
            yield Trait("server", "broken", "it answers neither call")
            return
        self.chat = refusals[False] is not None
        trials = {
            "length limit": self._length_limit,
            "usage": self._usage,
            "temperature 0": self._greedy,
            "stop strings": self._stop,
            "seed": self._seed,
            "top_p": self._top_p,
            "n": self._several,
            "logprobs": self._logprobs,
            "window": self._too_long,
            "concurrency": self._at_once,
        }
        for what, trial in trials.items():
            try:
                state, text = await trial()
            except _Refused as refused:
                state, text = "drops", f"refused: {refused}"
            yield Trait(what, state, text)
        if refusals[True] is None:
            self.chat = True
            try:
                yield Trait("tools", *await self._tools())
            except _Refused as refused:
                yield Trait("tools", "drops", f"refused: {refused}; use the react format")

    @property
    def length_field(self) -> str:
        return self.chat_length_field if self.chat else "max_tokens"

    async def _refusal(self) -> str | None:
        """Why the server does not answer this kind of call; None when it does. Learns the name of the length limit."""
        try:
            await self._ask()
        except _Refused as first:
            if not self.chat or "max_completion_tokens" not in str(first):
                return str(first)
            self.chat_length_field = "max_completion_tokens"
            try:
                await self._ask()
            except _Refused as second:
                return str(second)
        return None

    async def _length_limit(self) -> _Finding:
        answer = await self._ask(tokens=5)
        used = (answer.get("usage") or {}).get("completion_tokens")
        named = f"{self.length_field} is kept"
        if used is not None and used > 5:
            return "drops", f"{self.length_field} = 5 gave {used} tokens: no cap on cost can be kept"
        if answer["choices"][0].get("finish_reason") != "length":
            return "drops", f"{named}, but not named as the finish reason: a text that was cut looks finished"
        return "ok", f"{named}, and named as the finish reason"

    async def _usage(self) -> _Finding:
        whole = (await self._ask()).get("usage") or {}
        counted = "prompt_tokens" in whole and "completion_tokens" in whole
        streamed = False
        try:
            async for chunk in await self._send(self._body(stream=True, stream_options={"include_usage": True})):
                streamed = streamed or getattr(chunk, "usage", None) is not None
        except Exception as error:  # whatever a stream can do
            return "drops", f"{'reported' if counted else 'not reported'}; streams are refused: {brief(error)}"
        if counted and streamed:
            return "ok", "reported, in streams too: what a run costs is known"
        where = "in streams" if counted else "at all"
        return "drops", f"not reported {where}: such calls stand in the ledger as unknown, at most their bound"

    async def _greedy(self) -> _Finding:
        texts = {self._text(await self._ask()) for _ in range(3)}
        if len(texts) == 1:
            return "ok", "gives the same text three times"
        return "drops", f"gives {len(texts)} different texts in three calls: greedy runs will differ a little"

    async def _stop(self) -> _Finding:
        text = self._text(await self._ask())
        inside = text.strip()
        if len(inside) < 4:
            return "drops", f"cannot be told: the model answers {text!r} only"
        at = text.index(inside) + len(inside) // 2
        stop = next(text[at:end] for end in range(at + 1, len(text) + 1) if text.find(text[at:end]) == at)
        answer = await self._ask(stop=[stop])
        got, choice = self._text(answer), answer["choices"][0]
        if got.rstrip() == text[:at].rstrip():
            if any(name in choice for name in ("stop_reason", "matched_stop")):
                return "ok", "cut off, and named: every format knows how a turn ended"
            return "drops", (
                "cut off but not named: the engine reads along without them and hangs up, which hides the cost; "
                'with format react or tools set engine.hidden_stops = "accept"'
            )
        if got != text and got.startswith(text[: at + len(stop)]) and text.startswith(got):  # to the end of a token
            return "ok", "left at the end of the text: every format knows how a turn ended"
        if got == text:
            return "drops", "ignored: the text is cut here, and what the model writes after it is paid for"
        return "drops", "cannot be told: two greedy texts differ"

    async def _seed(self) -> _Finding:
        drawn = [self._text(await self._ask(temperature=1.0, seed=seed)) for seed in (1, 1, 2, 3)]
        if drawn[0] != drawn[1]:
            return "drops", "ignored: a sample cannot be drawn again, and engine.cache is right at temperature 0 only"
        if len(set(drawn)) == 1:
            return "drops", "three seeds draw the same text at temperature 1: temperature or seed may be ignored"
        return "ok", "kept: a sample can be drawn again"

    async def _top_p(self) -> _Finding:
        greedy = self._text(await self._ask())
        drawn = [self._text(await self._ask(temperature=1.0, top_p=1e-6, seed=seed)) for seed in (1, 2)]
        if drawn == [greedy, greedy]:
            return "ok", "kept: a nucleus of nothing gives the greedy text"
        return "drops", "ignored, or greedy texts differ: leave solve.top_p at 1"

    async def _several(self) -> _Finding:
        count = len((await self._ask(n=2, temperature=1.0))["choices"])
        return "ok", "kept" if count == 2 else f"{count} choice for n = 2: never asked for here, each sample is a call"

    async def _logprobs(self) -> _Finding:
        wanted = {"logprobs": True} if self.chat else {"logprobs": 1}
        try:
            choice = (await self._ask(**wanted, extra_body={"return_token_ids": True}))["choices"][0]
        except _Refused:  # a field of vLLM's
            choice = (await self._ask(**wanted))["choices"][0]
        told = [name for name in ("logprobs", "token_ids") if choice.get(name)]
        missing = "" if "token_ids" in told else "; without token ids, training encodes the text anew"
        return "ok", f"told: {', '.join(told) or 'neither logprobs nor token ids'}{missing}"

    async def _too_long(self) -> _Finding:
        if self.window is None or self.window > _LONGEST_WINDOW:
            return "ok", "not told, so not tried: a prompt that is too long should be refused with 400"
        try:
            await self._ask(prompt="one " * (self.window + 100))
        except _Refused as refused:
            known = isinstance(refused.__cause__, Exception) and is_too_long(refused.__cause__)
            if known:
                return "ok", f"{self.window:,} tokens; a longer prompt is refused, and ends its attempt alone"
            return "drops", f"a prompt that is too long is refused in words we do not know ({refused}): it stops a run"
        return "drops", f"a prompt of more than {self.window:,} tokens is answered: it was cut without a word"

    async def _at_once(self) -> _Finding:
        began = time.monotonic()
        await self._ask()
        alone = time.monotonic() - began
        began = time.monotonic()
        await asyncio.gather(*(self._ask(seed=seed) for seed in range(_AT_ONCE)))
        together = time.monotonic() - began
        times = together / max(alone, 1e-3)
        verdict = "one after another" if times > _AT_ONCE * 0.75 else "together"
        return "ok", f"{_AT_ONCE} calls at once take {times:.1f} times as long as one ({alone:.2f} s): worked {verdict}"

    async def _tools(self) -> _Finding:
        prompt = "Use the python tool to print 12 * 34."
        free = (await self._ask(prompt=prompt, tools=[_TOOL]))["choices"][0]["message"]
        forced = None
        named = {"type": "function", "function": {"name": "python"}}
        with suppress(_Refused):
            forced = (await self._ask(prompt=prompt, tools=[_TOOL], tool_choice=named))["choices"][0]["message"]
        if free.get("tool_calls"):
            return "ok", "the model calls them: format tools can be used"
        if forced and forced.get("tool_calls"):
            return "ok", "kept, when named by tool_choice; left alone this model did not call: try, or use react"
        return "drops", "taken, but no call came back: the server may not read this model's calls; use the react format"

    async def _ask(
        self, *, prompt: str = _PROMPT, tokens: int = _TOKENS, temperature: float = 0.0, **fields: Any
    ) -> dict[str, Any]:
        """One call's body.

        Raises:
            _Refused: the server gave none.
        """
        answer = await self._send(self._body(prompt=prompt, tokens=tokens, temperature=temperature, **fields))
        body: dict[str, Any] = answer.model_dump() if hasattr(answer, "model_dump") else {}
        if not body.get("choices"):
            raise _Refused("the reply holds no choice")
        return body

    def _body(
        self, *, prompt: str = _PROMPT, tokens: int = _TOKENS, temperature: float = 0.0, **fields: Any
    ) -> dict[str, Any]:
        said = {"messages": [{"role": "user", "content": prompt}]} if self.chat else {"prompt": prompt}
        return {"model": self.model, self.length_field: tokens, "temperature": temperature, **said, **fields}

    async def _send(self, body: dict[str, Any]) -> Any:
        import openai

        calls = self.client.chat.completions if self.chat else self.client.completions
        try:
            return await calls.create(**body)
        except (openai.APIError, ValueError) as error:
            fault = passing(error, float("inf"))
            raise _Refused(f"{fault.kind}: {fault}" if fault else brief(error)) from error

    def _text(self, answer: dict[str, Any]) -> str:
        choice = answer["choices"][0]
        return (choice["message"].get("content") if self.chat else choice.get("text")) or ""
