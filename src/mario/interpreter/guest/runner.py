"""The loop of one kernel, after the walls are up: read a snippet, run it, answer.

A request is a header (length, a nonce, a kind) and the code; an answer a header (length, the nonce, a status, how many
characters were cut) and the text. The host believes no more of it than that.

The one idea: the functions this loop needs are bound before the first snippet, because snippets patch modules; and
the interrupt that ends a snippet at its wall limit is armed only while the snippet, its echo or its error text runs.

What it does not do: it cannot stop a snippet from forging the answer to itself. The host's fresh nonce keeps it from
answering for a later one, and the dead-kernel rule from doing so silently.
"""

from __future__ import annotations

import builtins
import gc
import io
import linecache
import random
import signal
import struct
import sys
import types
import warnings
from _signal import SIG_DFL, SIG_SETMASK, pthread_sigmask  # type: ignore[import-not-found]
from _signal import signal as handle
from posix import _exit, read, write
from typing import Any

from .branching import CHANNEL, branch, leave_snapshot
from .echo import execute, format_error
from .output import FLOOD, Capture, Flood, Stream
from .private import BUILTINS

__builtins__ = BUILTINS  # type: ignore[assignment]  # see there

REQUEST = struct.Struct(">I8sc")  # length, nonce, kind
ANSWER = struct.Struct(">I8sBQ")  # length, nonce, status, characters cut
RUN, SEED, BRANCH = b"R", b"S", b"B"
OK, ERROR, TIMEOUT, MEMORY, OUTPUT_LIMIT = range(5)
HELLO = b"K"  # the walls are up; a kernel that ends before it never ran a snippet

_pack, _unpack, _setitimer = ANSWER.pack, REQUEST.unpack, signal.setitimer
_modules, _builtins_update = sys.modules, vars(builtins).update

_REHEARSED = ("import math\nx = [n * 2 for n in range(3)]\nprint(f'{sum(x)} {math.pi:.2f}')\nlen(x)", "1 / 0")
_REHEARSALS = 12  # a function is specialised when it has been called eight times


class TimeLimit(KeyboardInterrupt):
    """Raised in a snippet at its time limit; not an Exception, so that few snippets catch it."""


class Kernel:
    def __init__(
        self,
        output_chars: int,
        echo: str,
        tracebacks: str,
        wall: float,
        cpu: float | None,
        grace: float,
    ) -> None:
        self._output_chars, self._echo, self._tracebacks = output_chars, echo, tracebacks
        self._wall, self._cpu, self._grace = wall, cpu, grace
        self._recover = False
        self._armed = False
        self._why = ""
        self._count = 0
        self._out, self._err = Stream("<stdout>"), Stream("<stderr>")
        self._module = types.ModuleType("__main__")
        self._module.__dict__["__builtins__"] = builtins
        self._builtins = dict(vars(builtins))
        self._handlers: dict[int, Any] = {
            signal.SIGINT: self._interrupt,
            signal.SIGPROF: self._interrupt,
            signal.SIGVTALRM: SIG_DFL,
        }

    def serve(self, *, recover: bool) -> None:
        """Answer until the host closes the channel."""
        self._recover = recover
        write(CHANNEL, HELLO)
        self._leave_snapshot()
        while True:
            length, nonce, kind = _unpack(_read_exactly(REQUEST.size))
            if kind == BRANCH:
                pid = branch()
                _write_all(HELLO if pid == 0 else _pack(0, nonce, OK if pid > 0 else ERROR, 0))
                if pid > 0:
                    continue  # nothing has changed
            elif kind == SEED:
                _seed(int(_read_exactly(length)))
            else:
                status, text, cut = self._run(_read_exactly(length))
                payload = text.encode("utf-8", "backslashreplace")
                _write_all(_pack(len(payload), nonce, status, cut) + payload)
            self._leave_snapshot()

    def _leave_snapshot(self) -> None:
        """Where kernels recover: fork a copy of the state between two snippets. Returns in it, too, if it is needed."""
        if self._recover:
            while leave_snapshot(self._count):
                write(CHANNEL, HELLO)

    def _interrupt(self, signum: int, _frame: object) -> None:
        if self._armed:
            self._armed = False
            self._why = "cpu" if signum == signal.SIGPROF else "wall"
            raise TimeLimit

    def _run(self, body: bytes) -> tuple[int, str, int]:
        capture = self._prepare()
        status, self._why = ERROR, ""
        try:
            try:
                self._armed = True
                if self._cpu is not None:
                    _setitimer(signal.ITIMER_PROF, self._cpu)
                    _setitimer(signal.ITIMER_VIRTUAL, self._cpu + self._grace)  # its default action ends a loop in C
                status = self._attempt(body.decode("utf-8", "surrogatepass"), capture)
            finally:
                self._armed = False
                _setitimer(signal.ITIMER_REAL, 0)  # a snippet's own alarm must not go off in this loop
                if self._cpu is not None:
                    _setitimer(signal.ITIMER_PROF, 0)
                    _setitimer(signal.ITIMER_VIRTUAL, 0)
        except TimeLimit:
            status = TIMEOUT
        except MemoryError:
            status = MEMORY
        self._armed = False
        if capture.flooded:
            status = OUTPUT_LIMIT
        elif self._why and status == ERROR:  # an error raised by whoever caught the interrupt is still its doing
            status = TIMEOUT
        return status, *self._finish(capture, status)

    def _prepare(self) -> Capture:
        """Undo what earlier snippets did to the things this loop leans on."""
        if self._count:  # 150 references counted anew would copy as many pages of a fresh kernel
            _builtins_update(self._builtins)
        for number, handler in self._handlers.items():
            handle(number, handler)
        pthread_sigmask(SIG_SETMASK, ())
        sys.settrace(None)
        sys.setprofile(None)
        capture = Capture(self._output_chars)
        self._out.capture = self._err.capture = capture
        sys.stdout, sys.stderr, sys.stdin = self._out, self._err, io.StringIO()  # exit() closes stdin
        sys.__stdout__, sys.__stderr__ = self._out, self._err  # type: ignore[misc, assignment]
        _modules["__main__"] = self._module
        warnings.showwarning = _ignore_warning
        self._count += 1
        return capture

    def _attempt(self, code: str, capture: Capture) -> int:
        try:
            execute(code, f"<snippet {self._count}>", self._module.__dict__, self._echo, capture.add)
        except Flood:
            return OUTPUT_LIMIT
        except TimeLimit:
            return TIMEOUT
        except MemoryError:
            return MEMORY
        except SystemExit as error:
            if error.code is None or error.code == 0:
                return OK
            self._tell(capture, error)
            return ERROR
        except BaseException as error:
            self._tell(capture, error)
            return ERROR
        return OK

    def _tell(self, capture: Capture, error: BaseException) -> None:
        _append(capture, format_error(error, self._tracebacks))

    def _finish(self, capture: Capture, status: int) -> tuple[str, int]:
        if status == TIMEOUT:
            limit = f"{self._cpu:g} s of cpu time" if self._why == "cpu" else f"{self._wall:g} s"
            _append(capture, f"TimeoutError: the snippet was stopped after {limit}; variables are kept\n")
        if status == OUTPUT_LIMIT:
            _append(capture, f"OutputLimit: the snippet was stopped after writing {FLOOD:,} characters\n")
        if status == MEMORY:
            gc.collect()
            _append(capture, "MemoryError: the snippet needed more memory than it may have; variables are kept\n")
        text, cut = capture.text()
        return text.rstrip("\n"), cut


def rehearse(output_chars: int, echo: str, tracebacks: str) -> None:
    """Run a few snippets of ours in the server, and leave no trace but in Python's own caches.

    What is looked up and specialised here need not be in each kernel, where every such note copies a page.
    """
    names = ("stdout", "stderr", "stdin", "__stdout__", "__stderr__")
    streams = {name: getattr(sys, name) for name in names}
    main, showwarning = _modules["__main__"], warnings.showwarning
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGPROF, signal.SIGVTALRM)}
    sources = dict(linecache.cache)
    kernel = Kernel(output_chars, echo, tracebacks, 1.0, None, 1.0)
    for _ in range(_REHEARSALS):
        for snippet in _REHEARSED:
            kernel._run(snippet.encode())
        random.seed()  # as its hook does after each fork
    linecache.cache.clear()
    linecache.cache.update(sources)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    _modules["__main__"], warnings.showwarning = main, showwarning
    for name, stream in streams.items():
        setattr(sys, name, stream)


def _append(capture: Capture, text: str) -> None:
    if capture.total and not capture.ends_line:
        text = "\n" + text
    try:  # noqa: SIM105  contextlib has the snippet's builtins
        capture.add(text)
    except Flood:
        pass


def _ignore_warning(*_arguments: Any, **_options: Any) -> None:
    """Warnings are no part of an observation; a snippet that records or raises them still can."""


def _seed(value: int) -> None:
    random.seed(value)
    numpy = _modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(value % 2**32)


def _read_exactly(size: int) -> bytes:
    parts = []
    while size:
        part = read(CHANNEL, min(size, 1 << 20))
        if not part:
            _exit(0)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _write_all(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[write(CHANNEL, view) :]
