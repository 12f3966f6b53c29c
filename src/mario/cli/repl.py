"""The prompt of `mario python`: lines are gathered here, and run in a kernel that is not trusted.

The one idea: before each snippet the kernel is branched, and the copy kept. `:undo` goes on from the copy, and so does
a prompt whose kernel was killed or ended itself: no mistake costs more than one snippet.

Lines are compiled here only to see whether more must follow, and never run: the guest parses them again.

What this module does not do: it offers no completion, because names live in the guest.
"""

from __future__ import annotations

import codeop
import contextlib
import platform
import re
import warnings
from collections.abc import Callable, Iterator

from mario import __version__
from mario.cli.progress import say
from mario.errors import InterpreterError
from mario.interpreter import InterpreterPool, Kernel
from mario.types import Observation, ObservationStatus

SLOW_SECONDS = 1.0  # from here on a snippet's time is told
UNDO_STEPS = 8  # each is a process that sleeps, and holds the memory that changed since
HISTORY_LINES = 5000
_CPU_LIMIT = re.compile(
    r"\ATimeoutError: killed after .* s of cpu|^TimeoutError: .* s of cpu time; variables are kept\Z", re.M
)
_LEAVE = frozenset({":quit", "exit", "quit", "exit()", "quit()"})
_HELP = """\
:undo    forget the last snippet: variables are as they were before it
:reset   a fresh kernel
:help    this
:quit    leave, as does Ctrl-D
Ctrl-C   stops a running snippet, variables are kept; at the prompt, clears what was typed
A block ends with an empty line. The limits are flags: mario python --help"""


def converse(
    pool: InterpreterPool, *, python: str | None, wall_seconds: float, memory_mb: int, seed: int | None
) -> int:
    """Prompt, run and show until Ctrl-D; returns the exit code."""
    guest = python or f"Python {platform.python_version()}"
    limits = f"{wall_seconds:g} s a snippet, {memory_mb} MB"
    say(f"mario {__version__} · {guest} in the sandbox, walls: {pool.tier} · {limits} · :help")
    with _history(), Session(lambda: pool.open(seed), wall_seconds) as session:
        while True:
            try:
                code = read_snippet(input)
            except EOFError:
                print()
                return 0
            except KeyboardInterrupt:
                print("\nKeyboardInterrupt")
                continue
            match code.strip():
                case "":
                    continue
                case ":help":
                    say(_HELP)
                case ":undo":
                    say("undone" if session.undo() else f"nothing to undo; at most {UNDO_STEPS} snippets are kept")
                case ":reset":
                    session.reset()
                    say("a fresh kernel")
                case word if word in _LEAVE:
                    return 0
                case word if word.startswith(":"):
                    say(f"unknown command {word.split()[0]!r}; :help lists them")
                case _:
                    session.run(code)


def read_snippet(read_line: Callable[[str], str]) -> str:
    """Lines until they make a whole statement, as Python's own prompt decides it.

    Raises:
        EOFError: Ctrl-D.
    """
    code = read_line(">>> ")
    if code.lstrip().startswith(":"):
        return code
    while needs_more(code):
        code += "\n" + read_line("... ")
    return code


def needs_more(code: str) -> bool:
    """Whether Python's prompt would ask for another line; what is wrong is whole, the guest will say why."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return codeop.compile_command(code) is None
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
            return False


class Session:
    """A kernel and, in `_before`, copies of it from before each of the last snippets; the latest is last."""

    def __init__(self, fresh: Callable[[], Kernel], wall_seconds: float) -> None:
        self._fresh = fresh
        self._wall_seconds = wall_seconds
        self._kernel = fresh()
        self._before: list[Kernel] = []

    def run(self, code: str) -> None:
        """Run a snippet and show what it wrote; a kernel that dies of it is replaced."""
        with contextlib.suppress(InterpreterError):  # no branching here: then there is nothing to go back to
            self._before.append(self._kernel.branch())
        if len(self._before) > UNDO_STEPS:
            self._before.pop(0).close()
        try:
            observation = self._kernel.run(code, interruptible=True)
        except KeyboardInterrupt:  # in the moment of an order to the server, which it may not have survived
            observation = Observation("the interpreter was interrupted with its snippet", ObservationStatus.DIED)
            self._kernel.close()
        show(observation, self._wall_seconds)
        if not self._kernel.alive:
            self._revive()

    def _revive(self) -> None:
        if self.undo() and self._kernel.alive:
            say("variables are as they were before this snippet")
        else:
            self.reset()
            say("a fresh kernel: all variables are lost")

    def undo(self) -> bool:
        """Go on from before the last snippet; False when there is no copy."""
        if not self._before:
            return False
        self._kernel.close()
        self._kernel = self._before.pop()
        return True

    def reset(self) -> None:
        self.close()
        self._kernel = self._fresh()

    def close(self) -> None:
        for kernel in (self._kernel, *self._before):
            kernel.close()
        self._before.clear()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def show(observation: Observation, wall_seconds: float) -> None:
    """The output; below it, the status if it is not ok, and the time if it was long."""
    lines, notes = observation.output.split("\n"), []
    if is_ctrl_c(observation, wall_seconds):
        lines[-1] = "KeyboardInterrupt"
        print()  # the terminal wrote ^C on a line of its own
    elif observation.status is not ObservationStatus.OK:
        notes.append(observation.status.value)
    if observation.output:
        print("\n".join(lines))
    if observation.seconds >= SLOW_SECONDS:
        notes.append(f"{observation.seconds:.1f} s")
    if notes:
        say(f"[{', '.join(notes)}]")


def is_ctrl_c(observation: Observation, wall_seconds: float) -> bool:
    """Whether a snippet was stopped by hand: that follows the rules of the wall limit, but before its time."""
    timeout = observation.status is ObservationStatus.TIMEOUT
    return timeout and observation.seconds < wall_seconds and not _CPU_LIMIT.search(observation.output)


@contextlib.contextmanager
def _history() -> Iterator[None]:
    """Line editing, and what was typed in earlier sittings, where this Python has readline."""
    try:
        import readline
    except ImportError:
        yield
        return
    import platformdirs

    file = platformdirs.user_state_path("mario") / "python_history"
    with contextlib.suppress(OSError):
        readline.read_history_file(file)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            readline.set_history_length(HISTORY_LINES)
            readline.write_history_file(file)
