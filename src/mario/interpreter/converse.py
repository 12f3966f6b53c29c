"""The host's half of the conversation with one kernel, without any input or output of its own.

The one idea: `converse` is a generator of what to do next (send, receive by a time, order the server), so that the
blocking and the awaitable pool run the same rules. The rules:

- a fresh nonce a snippet; bytes that come unasked, an answer to another nonce, or one too long end the kernel;
- at the wall limit an interrupt, which variables survive; after a grace the kill;
- where kernels recover, one that died goes back to the state before the snippet, and the observation says so;
- once dead, a kernel answers every snippet at once with why, and never runs again.

What this module does not do: it decides nothing about servers being restarted
(`pool`), and holds no socket (`kernel`, `aio`).
"""

from __future__ import annotations

import os
import secrets
import signal
import struct
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from mario.interpreter.limits import GRACE_SECONDS, Limits
from mario.interpreter.server import ServerLost
from mario.types import Observation, ObservationStatus

REQUEST, ANSWER = struct.Struct(">I8sc"), struct.Struct(">I8sBQ")
HELLO = b"K"
_STATUSES = (
    ObservationStatus.OK,
    ObservationStatus.ERROR,
    ObservationStatus.TIMEOUT,
    ObservationStatus.MEMORY,
    ObservationStatus.OUTPUT_LIMIT,
)
MAX_CODE = 16 << 20
FAMILY_MEMORY = -1  # the server's word, in place of a wait status


@dataclass(frozen=True, slots=True)
class Send:
    data: bytes
    deadline: float


@dataclass(frozen=True, slots=True)
class Receive:
    """Answered with bytes, b"" at the end of the stream, or None when the deadline passed (0: whatever is there)."""

    deadline: float


@dataclass(frozen=True, slots=True)
class Interrupt:
    pass


@dataclass(frozen=True, slots=True)
class End:
    """Answered with the wait status of the kernel's process."""


@dataclass(frozen=True, slots=True)
class GoBack:
    """Answered with whether the kernel, which has ended, is again what it was after so many answers, ungreeted."""

    answers: int


Action = Send | Receive | Interrupt | End | GoBack
Conversation = Generator[Action, Any, Observation]


@dataclass(slots=True)
class State:
    """What the host remembers of a kernel."""

    limits: Limits
    recovers: bool = False
    greeted: bool = False
    answers: int = 0
    death: Observation | None = field(default=None)


def converse(state: State, code: str) -> Conversation:
    """Run one snippet; drivers throw `ServerLost` in where the server fails them."""
    started = time.monotonic()
    if state.death is not None:
        return state.death
    body = code.encode("utf-8", "surrogatepass")
    if len(body) > MAX_CODE:
        return Observation(f"ValueError: a snippet of {len(body):,} bytes; at most {MAX_CODE:,} are run", _STATUSES[1])
    try:
        observation = yield from _exchange(state, body, started)
    except ServerLost as error:
        observation = mark_dead(state, ObservationStatus.LOST, f"the interpreter's server failed: {error}")
    return Observation(observation.output, observation.status, time.monotonic() - started, observation.truncated)


def _exchange(state: State, body: bytes, started: float) -> Generator[Action, Any, Observation]:
    buffer = b""
    if state.greeted:
        unasked = yield Receive(0)
        if unasked:
            yield End()
            return mark_dead(state, ObservationStatus.DIED, "it wrote to its own channel between two snippets")
    limit = started + state.limits.wall_seconds
    nonce = secrets.token_bytes(8)
    yield Send(REQUEST.pack(len(body), nonce, b"R") + body, limit)
    longest = 6 * (state.limits.output_chars + 1000)  # a lone surrogate is shown in six bytes
    interrupted = False
    while True:
        part = yield Receive(limit)
        if part is None:
            if interrupted:
                status = yield End()
                if status == FAMILY_MEMORY:
                    return (yield from _autopsy(state, status))
                why = f"TimeoutError: killed after {_seconds(state)}"
                return (yield from _die(state, ObservationStatus.TIMEOUT, why))
            yield Interrupt()
            interrupted, limit = True, time.monotonic() + GRACE_SECONDS
            continue
        if part == b"":
            return (yield from _autopsy(state, (yield End())))
        buffer += part
        if not state.greeted:
            if buffer[:1] != HELLO:
                yield End()
                return mark_dead(state, ObservationStatus.LOST, "the kernel did not start as it should")
            state.greeted, buffer = True, buffer[1:]
        if len(buffer) < ANSWER.size:
            continue
        length, answered, status, cut = ANSWER.unpack(buffer[: ANSWER.size])
        if answered != nonce or length > longest or status >= len(_STATUSES) or len(buffer) > ANSWER.size + length:
            yield End()
            return mark_dead(state, ObservationStatus.DIED, "it broke the protocol with its host")
        if len(buffer) == ANSWER.size + length:
            state.answers += 1
            return Observation(buffer[ANSWER.size :].decode("utf-8", "replace"), _STATUSES[status], 0.0, cut)


def _autopsy(state: State, status: int) -> Conversation:
    """The channel closed: tell why from how the process ended."""
    if not state.greeted:
        return mark_dead(state, ObservationStatus.LOST, "the kernel ended before it ran anything")
    if status == FAMILY_MEMORY:
        why = "MemoryError: killed, because it and its branches together needed more memory than they may have"
        return (yield from _die(state, ObservationStatus.MEMORY, why))
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGVTALRM and state.limits.cpu_seconds is not None:
        why = f"TimeoutError: killed after {state.limits.cpu_seconds:g} s of cpu"
        return (yield from _die(state, ObservationStatus.TIMEOUT, why))
    if code == -signal.SIGKILL:
        why = "it closed its channel, or the system killed it"
    elif code < 0:
        names = {s.value: s.name for s in signal.Signals}
        why = f"it crashed with {names.get(-code, f'signal {-code}')}"
    else:
        why = f"it ended its own process with exit code {code}"
    return (yield from _die(state, ObservationStatus.DIED, why))


def _seconds(state: State) -> str:
    return f"{state.limits.wall_seconds:g} s; it did not react to an interrupt"


def _die(state: State, status: ObservationStatus, why: str) -> Conversation:
    """The kernel has been killed by the snippet's own doing: go back to what it was before, or stay dead."""
    if state.recovers and (yield GoBack(state.answers)):
        state.greeted = False
        return Observation(f"{_first(status, why)}; variables are again what they were before this snippet", status)
    return mark_dead(state, status, why)


def mark_dead(state: State, status: ObservationStatus, why: str) -> Observation:
    """The observation of the snippet that died, and for ever after the one that says so."""
    later = ObservationStatus.LOST if status is ObservationStatus.LOST else ObservationStatus.DIED
    state.death = Observation(f"the interpreter is dead and ran nothing: {why}", later)
    return Observation(f"{_first(status, why)}; all variables are lost", status)


def _first(status: ObservationStatus, why: str) -> str:
    speaks = status in (ObservationStatus.TIMEOUT, ObservationStatus.MEMORY)
    return why if speaks else f"the interpreter died: {why}"
