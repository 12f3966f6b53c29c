"""A model in this process, through transformers, with continuous batching.

One idea: one worker thread owns the model and the running batch (`batch`); `generate` hands it a job and waits. Each
turn of the thread takes in what has arrived, decodes one token for every row, and lets finished rows go, so no request
waits for another to end. Greedy text does not depend on the batch except where two logits are equal to within rounding;
sampled text depends on it no more than that, as each request draws from its own generator.

A model with a value head values each reply at its last token. That token has been drawn, not read: the row stays for
one more step, in which it is.

Only `Request.sampling` decides how tokens are drawn: penalties and temperatures in a model's generation config are
not applied. What it does not do: it keeps no keys and values from one request to the next.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from mario.engine import chat, checkpoint
from mario.engine.batch import Batch
from mario.engine.head import ValueHead
from mario.engine.protocol import TextListener, partial_stop
from mario.engine.sampling import draw
from mario.engine.tokens import TextStream, encode_spans
from mario.errors import EngineError, MarioError
from mario.types import Completion, FinishReason, Request

_LINGER_SECONDS = 0.002  # an idle engine waits this long after a request for others that were sent with it


class LocalEngine:
    """`protocol.Engine` over a loaded model and its tokenizer; `label` is what tables call it."""

    def __init__(
        self, model: Any, tokenizer: Any, label: str, *, batch_size: int = 32, head: ValueHead | None = None
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._label = label
        self._batch_size = batch_size
        self._head = head
        self._window: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self._vocabulary: int = model.get_input_embeddings().weight.shape[0]
        self._end_tokens = _end_tokens(model, tokenizer)
        self._batch = Batch(model)
        self._arrived: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._running: list[_Job] = []
        self._thread: threading.Thread | None = None
        self._ended: str | None = None  # why no request is taken any more
        self._lock = threading.Lock()  # between asking whether the engine has ended and handing it a job

    @classmethod
    def load(
        cls,
        model: str,
        *,
        dtype: checkpoint.Dtype = "auto",
        device: str = "auto",
        batch_size: int = 32,
        report: checkpoint.Report = lambda _: None,
    ) -> LocalEngine:
        """Find, check and load a model; its name carries a fingerprint of its files and its number format."""
        directory: Path = checkpoint.resolve(model, report)
        tokenizer = checkpoint.load_tokenizer(directory)
        loaded = checkpoint.load_model(directory, dtype=dtype, device=device)
        kind = str(loaded.dtype).removeprefix("torch.")
        head = ValueHead.of(directory, loaded)
        return cls(loaded, tokenizer, checkpoint.label(model, directory, kind), batch_size=batch_size, head=head)

    @property
    def name(self) -> str:
        return self._label

    async def generate(self, request: Request, on_text: TextListener | None = None) -> Completion:
        """See `protocol.Engine.generate`. Cancelling the call gives its row back at the next token."""
        job = _Job(request, asyncio.get_running_loop(), streams=on_text is not None)
        with self._lock:
            if self._ended:
                raise EngineError(self._ended)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="mario-engine", daemon=True)
                self._thread.start()
            self._arrived.put(job)
        try:
            while isinstance(item := await job.outbox.get(), str):
                if on_text is not None:
                    on_text(item)
        finally:
            job.abandoned = True
        if isinstance(item, Completion):
            return item
        if isinstance(item, MarioError):
            raise item
        hint = "; lower batch_size" if "memory" in str(item).lower() else ""
        raise EngineError(f"{self._label} failed while generating: {checkpoint.first_line(item)}{hint}") from item

    async def close(self) -> None:
        """Stop the thread and wait for it; requests still running end with an `EngineError`."""
        with self._lock:
            self._ended = self._ended or "the engine is closed; build another"
            thread, self._thread = self._thread, None
            self._arrived.put(None)
        if thread is not None:
            await asyncio.to_thread(thread.join)
        if self._head is not None:
            self._head.close()

    def _work(self) -> None:
        error: BaseException = EngineError("the engine was closed while this request ran")
        try:
            with torch.inference_mode():
                while self._admit():
                    self._advance()
        except BaseException as caught:  # every waiter must hear of it, whatever it is
            error = caught
        with self._lock:
            self._ended = self._ended or f"{self._label} failed earlier: {checkpoint.first_line(error)}"
            while not self._arrived.empty():
                if job := self._arrived.get():
                    self._running.append(job)
        for job in self._running:
            job.send(error)
        self._running.clear()

    def _admit(self) -> bool:
        """Take in what has arrived, as far as the batch has room; False when the engine is to close."""
        jobs: list[_Job] = []
        if self._ended:
            return False
        while len(self._running) + len(jobs) < self._batch_size:
            idle = not self._running and not jobs
            try:
                job = self._arrived.get(block=idle)
            except queue.Empty:
                break
            if idle:
                time.sleep(_LINGER_SECONDS)
            if job is None:
                self._running += jobs
                return False
            if not job.abandoned and self._prepare(job):
                jobs.append(job)
        if jobs:
            # In the list before the model runs, so that an error there reaches them too.
            self._running += jobs
            logits = self._batch.join([job.prompt for job in jobs])
            self._take(logits, jobs)
        return True

    def _advance(self) -> None:
        if self._running:
            logits = self._batch.step([job.last for job in self._running])
            self._value([row for row, job in enumerate(self._running) if job.reply is not None])
            self._take(logits, self._running)

    def _value(self, rows: list[int]) -> None:
        """Send the replies that were waiting for their value."""
        if self._head is None or not rows:
            return
        for row, value in zip(rows, self._head.values(rows), strict=True):
            job = self._running[row]
            if job.reply is not None:
                job.end(replace(job.reply, value=value))

    def _take(self, logits: Any, jobs: list[_Job]) -> None:
        """Give each job its next token and let go of the jobs that are done."""
        tokens = draw(logits, [job.request.sampling for job in jobs], [job.generator for job in jobs])
        for job, token in zip(jobs, tokens, strict=True):
            if not job.done:
                self._extend(job, token)
        for row in reversed(range(len(self._running))):
            job = self._running[row]
            if job.done or job.abandoned:
                # After a stop string the next turn is likely to begin with all of this.
                self._batch.leave(row, (*job.prompt, *job.stream.ids) if job.done and job.stream.stop else None)
                self._running[row] = self._running[-1]
                self._running.pop()

    def _prepare(self, job: _Job) -> bool:
        """Make a job ready for its row; False when it ended here, without one."""
        try:
            self._read_prompt(job)
        except Exception as error:  # this request's own fault: the others go on
            job.send(error)
            return False
        if job.limit < 1:
            full = self._window is not None and len(job.prompt) >= self._window
            self._complete(job, FinishReason.CONTEXT if full else FinishReason.LENGTH)
            return False
        return True

    def _read_prompt(self, job: _Job) -> None:
        request = job.request
        if request.messages:
            job.prompt_text = chat.render(self._tokenizer, request.messages, request.tools)
            job.prompt_ids = (tuple(self._tokenizer(job.prompt_text, add_special_tokens=False)["input_ids"]),)
        else:
            job.prompt_ids = encode_spans(self._tokenizer, request.spans)
        job.prompt = tuple(token for ids in job.prompt_ids for token in ids)
        if not job.prompt:
            raise EngineError(f"{request.problem_id}: the prompt is empty; an engine needs at least one token")
        if not 0 <= min(job.prompt) <= max(job.prompt) < self._vocabulary:
            raise EngineError(
                f"{request.problem_id}: the prompt holds token id {max(job.prompt)}, but {self._label} has ids below "
                f"{self._vocabulary}; its spans were made by another model"
            )
        room = self._window - len(job.prompt) if self._window else request.sampling.max_new_tokens
        job.limit = min(request.sampling.max_new_tokens, room)
        job.stream = TextStream(self._tokenizer, job.prompt, request.stop, keep_special=bool(request.tools))
        job.generator.manual_seed(request.seed)

    def _extend(self, job: _Job, token: int) -> None:
        job.last = token
        if token in self._end_tokens:
            job.stream.finish()
            self._complete(job, FinishReason.STOP, () if job.stream.stop else (token,))
        elif job.stream.push(token) or (len(job.stream.ids) >= job.limit and job.stream.finish()):
            self._complete(job, FinishReason.STOP)
        elif len(job.stream.ids) >= job.limit:
            self._complete(job, FinishReason.LENGTH)
        elif job.streams and not job.request.tools:  # with tools the text is known when the reply is parsed
            job.say(job.stream.text[: len(job.stream.text) - partial_stop(job.stream.text, job.request.stop)])

    def _complete(self, job: _Job, finish: FinishReason, end: tuple[int, ...] = ()) -> None:
        text = job.stream.text
        calls: tuple[Mapping[str, Any], ...] = ()
        token_ids = (*job.stream.token_ids(), *end)
        if job.request.tools:
            text, calls = chat.parse(self._tokenizer, text, job.prompt_text, job.request.tools)
        if job.streams:
            job.say(text)
        completion = Completion(
            text=text,
            finish=finish,
            stop=job.stream.stop,
            tool_calls=calls,
            token_ids=token_ids,
            prompt_ids=job.prompt_ids,
            prompt_tokens=len(job.prompt),
            completion_tokens=len(job.stream.ids) + len(end),
            seconds=time.monotonic() - job.began,
        )
        # Where the stop string ends inside a token the reply's ids are not those that were drawn.
        if self._head is not None and token_ids and token_ids == (*job.stream.ids, *end):
            job.reply = completion
        else:
            job.end(completion)


@dataclass(eq=False)
class _Job:
    """One request on its way through the worker thread; `outbox` carries text, then a completion or an error."""

    request: Request
    loop: asyncio.AbstractEventLoop
    streams: bool
    outbox: asyncio.Queue[str | Completion | BaseException] = field(default_factory=asyncio.Queue)
    began: float = field(default_factory=time.monotonic)
    generator: Any = field(default_factory=torch.Generator)
    prompt_text: str = ""
    prompt_ids: tuple[tuple[int, ...], ...] = ()
    prompt: tuple[int, ...] = ()
    stream: TextStream = field(init=False)
    limit: int = 0  # tokens it may generate
    last: int = 0  # the token drawn last
    reply: Completion | None = None  # whole, but for its value
    said: int = 0  # characters its listener has heard
    done: bool = False
    abandoned: bool = False  # set by the waiter, read by the thread

    def say(self, text: str) -> None:
        if len(text) > self.said:
            self.send(text[self.said :])
            self.said = len(text)

    def end(self, completion: Completion) -> None:
        self.done = True
        self.send(completion)

    def send(self, item: str | Completion | BaseException) -> None:
        try:
            self.loop.call_soon_threadsafe(self.outbox.put_nowait, item)
        except RuntimeError:  # the waiter's event loop is closed: nobody listens any more
            self.abandoned = True


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends a reply, by the generation config (one or several) and by the tokenizer."""
    configured = model.generation_config.eos_token_id
    several = configured if isinstance(configured, list | tuple) else [configured]
    return frozenset(token for token in (*several, tokenizer.eos_token_id) if token is not None)
