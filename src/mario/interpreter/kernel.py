"""A kernel for blocking callers: drives the conversation with poll, recv and send.

What this module does not do: it knows none of the rules (`converse`) and makes no processes (`server`).
"""

from __future__ import annotations

import select
import socket
import threading
import time
import weakref
from types import TracebackType
from typing import Any, Self

from mario.errors import InterpreterError
from mario.interpreter.branch import branch
from mario.interpreter.converse import Action, End, GoBack, Interrupt, Receive, Send, State, converse
from mario.interpreter.server import Place, ServerLost
from mario.types import Observation


class Kernel:
    """One live interpreter state. Threads may share it: their snippets run one after the other."""

    def __init__(self, state: State, place: Place) -> None:
        self._lock = threading.Lock()
        self._state = state
        self._place = place
        self._release = weakref.finalize(self, place.release)
        self._poll = _poll_for_input(place.channel)

    @property
    def alive(self) -> bool:
        """Whether another snippet would run, as far as the host has been told."""
        return self._release.alive and self._state.death is None

    def run(self, code: str, *, interruptible: bool = False) -> Observation:
        """Run one snippet; whatever it does is in the observation.

        interruptible: Ctrl-C here stops the snippet as its time limit would, and not the kernel.
        """
        with self._lock:
            if not self._release.alive:
                raise InterpreterError("interpreter: this kernel was closed; open another")
            steps = converse(self._state, code)
            try:
                action = next(steps)
                while True:
                    try:
                        answer = self._perform(action)
                    except ServerLost as lost:
                        action = steps.throw(lost)
                        continue
                    except KeyboardInterrupt:
                        if not interruptible or not isinstance(action, Receive):
                            raise
                        answer = None  # as if its time were up
                    action = steps.send(answer)
            except StopIteration as done:
                observation: Observation = done.value
                return observation
            except BaseException:  # Ctrl-C in the host: the answer to come would be taken for the next snippet's
                self._release()
                raise

    def _perform(self, action: Action) -> Any:
        match action:
            case Receive(deadline):
                return self._receive(deadline)
            case Send(data, deadline):
                return self._send(data, deadline)
            case Interrupt():
                return self._place.server.interrupt(self._place.number)
            case End():
                return self._place.server.end(self._place.number)
            case GoBack(age):
                is_back = self._place.go_back(age)
                self._poll = _poll_for_input(self._place.channel)
                return is_back

    def _receive(self, deadline: float) -> bytes | None:
        if deadline:
            left = deadline - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                return None
        try:
            return self._place.channel.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _send(self, data: bytes, deadline: float) -> None:
        """What the kernel does not take in time is not sent; waiting for its answer then times out."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._place.channel.send(rest, socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._place.channel, select.POLLOUT)
                if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    return
            except OSError:
                return

    def branch(self, seed: int | None = None) -> Kernel:
        """A live copy: both go on from the same variables, and end apart. Files are shared, not copied.

        `random` goes on the same in both; with a `seed`, the branch draws other numbers. A dead kernel's is dead.

        Raises:
            InterpreterError: kernels cannot branch here, or 32 of this family are alive.
        """
        with self._lock:
            if not self._release.alive:
                raise InterpreterError("interpreter: this kernel was closed; open another")
            return Kernel(*branch(self._state, self._place, seed))

    def close(self) -> None:
        """End the kernel's process; may be called twice."""
        with self._lock:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _poll_for_input(channel: socket.socket) -> select.poll:
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    return poll
