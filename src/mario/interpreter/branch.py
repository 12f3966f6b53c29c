"""Branching a kernel: a live copy of its process, so that both go on from the same variables.

The one idea: the server lets the kernel fork once (guest/branching.py); the copy greets the host on a channel of its
own, which the host handed to the kernel for it. A kernel that does not follow is killed.

What this module does not do: it copies no files; a kernel and its branches share their scratch folder.
"""

from __future__ import annotations

import os
import secrets
import socket

from mario.interpreter.converse import ANSWER, HELLO, REQUEST, State, mark_dead
from mario.interpreter.server import Place, ServerLost
from mario.types import ObservationStatus

BRANCH_SECONDS = 10.0


def branch(state: State, place: Place, seed: int | None) -> tuple[State, Place]:
    """Fork the kernel at `place`; a dead one gives a dead branch. With a seed, the branch draws other random numbers.

    Raises:
        InterpreterError: kernels cannot branch here, or this one has too many live branches.
    """
    if state.death is None and not state.greeted:
        try:
            _expect(place.channel, HELLO)
            state.greeted = True
        except OSError:
            _end(state, place)
    if state.death is None:
        try:
            new_place, descriptors = place.server.branch(place.number)
        except ServerLost as error:
            mark_dead(state, ObservationStatus.LOST, f"the interpreter's server failed: {error}")
        else:
            new = State(state.limits, state.recovers, greeted=True, answers=state.answers)
            try:
                _hand_over(place.channel, descriptors)
                _expect(new_place.channel, HELLO)
                if seed is not None:
                    body = str(seed).encode()
                    new_place.channel.sendall(REQUEST.pack(len(body), bytes(8), b"S") + body)
            except OSError:
                _end(state, place)
                new.death = state.death
            return new, new_place
    return State(state.limits, state.recovers, death=state.death), place.server.nowhere()


def _hand_over(channel: socket.socket, descriptors: list[int]) -> None:
    nonce = secrets.token_bytes(8)
    try:
        channel.sendall(REQUEST.pack(1, nonce, b"B"))
        socket.send_fds(channel, [b"B"], descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    _expect(channel, ANSWER.pack(0, nonce, 0, 0))


def _expect(channel: socket.socket, wanted: bytes) -> None:
    """Read exactly this, or raise OSError."""
    channel.settimeout(BRANCH_SECONDS)
    try:
        data = b""
        while len(data) < len(wanted):
            part = channel.recv(len(wanted) - len(data))
            if not part:
                break
            data += part
    finally:
        channel.settimeout(None)
    if data != wanted:
        raise ConnectionError("not what was expected")


def _end(state: State, place: Place) -> None:
    try:
        place.server.end(place.number)
    except ServerLost as error:
        mark_dead(state, ObservationStatus.LOST, f"the interpreter's server failed: {error}")
    else:
        mark_dead(state, ObservationStatus.DIED, "it did not branch when it was told to")
