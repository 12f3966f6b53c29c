"""The parent's side of a child process: start by exec, ask, kill.

What this module does not do: it never forks the caller (threads, CUDA and secrets stay here; `subprocess` uses
vfork and exec), and never retries.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Self

from mario.errors import MarioError
from mario.process.frames import FrameBroken, FrameTimeout, receive_frame, send_frame

CHANNEL_VARIABLE = "MARIO_PROCESS_CHANNEL"  # "channel,lifeline": the child's two descriptors
LAST_WORDS = 2000  # characters of stderr shown when a child dies


class ChildTimedOut(MarioError):
    """The child gave no answer in time and was killed."""


class ChildDied(MarioError):
    """The child ended before it answered, or broke the protocol and was killed."""


def python_worker(module: str, python: str | None = None) -> list[str]:
    """The command that runs `module` as a script, isolated from PYTHON* variables and the working directory.

    Our own import path goes with it, so that a module found here is found there.
    """
    path = [os.path.abspath(entry) for entry in sys.path if entry]  # noqa: PTH100  the child's directory is another
    code = f"import runpy, sys; sys.path[:] = {path!r}; runpy.run_module({module!r}, None, '__main__')"
    return [python or sys.executable, "-I", "-c", code]


class Child:
    """One child process. `argv` is executed with `env` (default: empty) in `cwd` (default: the root directory).

    Raises:
        ChildDied: the program could not be started.
    """

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str = "/") -> None:
        self._lock = threading.RLock()  # kill() comes from inside ask() too
        self._name = os.path.basename(argv[0])  # noqa: PTH119  a word for messages, not a path to open
        with contextlib.ExitStack() as ours_on_failure, contextlib.ExitStack() as theirs:
            channel, far_channel = socket.socketpair()
            ours_on_failure.callback(channel.close)
            theirs.callback(far_channel.close)
            far_lifeline, lifeline = os.pipe()
            ours_on_failure.callback(os.close, lifeline)
            theirs.callback(os.close, far_lifeline)
            self._stderr = _file_without_name()
            ours_on_failure.callback(self._stderr.close)
            # Not 0 to 2, which this process may have closed: the child's standard streams go there.
            fds = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3) for end in (far_channel, far_lifeline)]
            for descriptor in fds:
                theirs.callback(os.close, descriptor)
            try:
                self._process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._stderr,
                    env={**(env or {}), CHANNEL_VARIABLE: f"{fds[0]},{fds[1]}"},
                    cwd=cwd,
                    pass_fds=fds,
                    start_new_session=True,
                )
            except OSError as error:
                raise ChildDied(f"{argv[0]} could not be started: {error.strerror}") from error
            ours_on_failure.pop_all()
        self.channel = channel
        self._finalizer = weakref.finalize(
            self, _destroy, self._process, channel, lifeline, self._stderr, self._lock, os.getpid()
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._finalizer.alive and self._process.poll() is None

    def ask(self, payload: bytes, timeout: float) -> bytes:
        """Send one request and wait at most `timeout` seconds for its answer.

        Raises:
            ChildTimedOut: no answer in time; the child is dead now.
            ChildDied: the child was dead, ended before its answer, or broke the protocol; it is dead now.
        """
        with self._lock:
            if not self._finalizer.alive:
                raise ChildDied(f"{self._name}: the child was closed or killed before; start a new one")
            deadline = time.monotonic() + timeout
            answered = False
            try:
                send_frame(self.channel, payload, deadline)
                answer = receive_frame(self.channel, deadline)
                answered = True
                return answer
            except FrameTimeout:
                raise ChildTimedOut(f"{self._name} (process {self.pid}) gave no answer in {timeout:g} s") from None
            except FrameBroken as error:
                raise ChildDied(self.obituary(str(error))) from None
            finally:  # also on KeyboardInterrupt: a child with a question open cannot be asked the next
                if not answered:
                    self.kill()

    def obituary(self, reason: str) -> str:
        """How the child ended, with the end of its stderr; waits a moment for one that is just ending."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)
        code = self._process.poll()
        if code is None:
            how = reason
        elif code < 0:
            how = f"{reason}; killed by {_signal_name(-code)}"
        else:
            how = f"{reason}; exit code {code}"
        try:
            size = self._stderr.seek(0, os.SEEK_END)
            self._stderr.seek(max(0, size - LAST_WORDS))
            words = self._stderr.read(LAST_WORDS).decode("utf-8", "replace").strip()
        except (OSError, ValueError):  # closed by kill()
            words = ""
        return f"{self._name} (process {self.pid}): {how}" + (f"; its last words:\n{words}" if words else "")

    def kill(self) -> None:
        """End the child and its process group at once, reap it, free every descriptor. May be called twice."""
        self._finalizer()

    close = kill

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()


def _destroy(
    process: subprocess.Popen[bytes],
    channel: socket.socket,
    lifeline: int,
    stderr: IO[bytes],
    lock: threading.RLock,
    owner: int,
) -> None:
    if os.getpid() == owner:  # a fork of the owner holds copies of the descriptors but not the child
        if process.poll() is None:  # not reaped, so neither the pid nor its group can be another's
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with lock:  # a thread waiting in ask() has seen the stream end and let go: its descriptors are not pulled away
        channel.close()
        os.close(lifeline)
        stderr.close()


def _file_without_name() -> IO[bytes]:
    """For what the child says on stderr; in memory where no folder takes temporary files."""
    try:
        return tempfile.TemporaryFile()
    except FileNotFoundError:
        return os.fdopen(os.memfd_create("stderr"), "w+b")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
