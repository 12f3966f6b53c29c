"""`mario python`: one snippet as scripts use it, and the prompt as a person at a terminal meets it.

Real processes only. Locked: what the sandbox answers goes to stdout and anything about it to stderr; the exit code
tells whether the snippet ran to its end; a block ends with an empty line; Ctrl-C stops a snippet and leaves its
variables; a snippet that ends the kernel costs itself only; nothing typed is run outside the sandbox.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mario.cli.repl import needs_more
from mario.interpreter import probe

if not any(finding.works for finding in probe()):
    pytest.skip("no sandbox can be built on this machine", allow_module_level=True)


def mario_python(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mario", "python", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)


def test_a_snippet_from_stdin_or_a_file_shows_what_a_notebook_cell_would(tmp_path: Path) -> None:
    done = mario_python("-", stdin="x = 2**70\nprint('so')\nx % 97")
    assert (done.stdout, done.stderr, done.returncode) == (f"so\n{2**70 % 97}\n", "", 0)
    file = tmp_path / "program.py"
    file.write_text("import os\nprint(os.listdir('.'))\n")
    done = mario_python(str(file), "-v")
    assert done.stdout == "[]\n"  # its own empty folder, not ours
    assert re.fullmatch(r"sandbox: (full|no-namespaces)\n", done.stderr)
    assert mario_python(stdin="1 + 1").stdout == "2\n"  # a pipe needs no dash


@pytest.mark.parametrize(
    ("code", "flags", "status", "says"),
    [
        ("1/0", [], "error", "ZeroDivisionError: division by zero"),
        ("def f(:", [], "error", "SyntaxError"),
        ("while True: pass", ["--wall-seconds", "0.3"], "timeout", "stopped after 0.3 s"),
        ("while True: pass", ["--cpu-seconds", "0.2"], "timeout", "0.2 s of cpu time"),
        ("b'x' * (300 << 20)", ["--memory-mb", "100"], "memory", "MemoryError"),
        ("import os; os._exit(3)", [], "died", "exit code 3"),
    ],
)
def test_a_snippet_that_fails_says_how_and_exits_with_1(code: str, flags: list[str], status: str, says: str) -> None:
    done = mario_python("-", *flags, stdin=code)
    assert done.returncode == 1
    assert says in done.stdout
    assert done.stderr == f"mario python: {status}\n"


def test_json_is_one_observation_whatever_the_snippet_did() -> None:
    done = mario_python("-", "--json", "--output-chars", "10", stdin="print('1234567890' * 3)")
    assert done.returncode == 0
    observation = json.loads(done.stdout)
    assert observation.keys() == {"output", "status", "seconds", "truncated"}
    assert (observation["status"], observation["truncated"]) == ("ok", 21)
    done = mario_python("-", "--json", stdin="print('\\ud800 \\x00'); 1/0")
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["status"] == "error"


def test_settings_are_those_of_the_sandbox() -> None:
    assert mario_python("-", "--echo", "none", stdin="5").stdout == ""
    assert mario_python("-", "--echo", "mario", stdin="a = 2\nprint(a)\nprint(a + 1)").stdout == "a: 2\na + 1: 3\n"
    assert mario_python("-", "--tracebacks", "line", stdin="1/0").stdout == "ZeroDivisionError: division by zero\n"
    assert mario_python("-", "--python", sys.executable, stdin="1").stdout == "1\n"
    drawn = [mario_python("-", "--seed", "5", stdin="import random; random.random()").stdout for _ in range(2)]
    assert drawn[0] == drawn[1] != ""


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["missing.py"], 1, "missing.py cannot be read: No such file or directory"),
        (["-", "--wall-seconds", "0"], 2, "wall_seconds must be a positive number, got 0"),
        (["-", "--echo", "loud"], 2, "echo must be one of repr, str, mario, none"),
        (["-", "--python", "no-such-python"], 2, "python must be an interpreter, got 'no-such-python'"),
        (["-", "--hash-seed", "-1"], 2, "hash_seed must be from 0"),
        (["one.py", "two.py"], 2, "unexpected argument"),
    ],
)
def test_misuse_is_one_line_that_says_what_to_do(arguments: list[str], code: int, says: str) -> None:
    done = mario_python(*arguments, stdin="1")
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    assert "latin.py is not UTF-8, at byte 5" in mario_python(str(tmp_path / "latin.py")).stderr


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("x = 1", False),
        ("def f(n):", True),
        ("def f(n):\n    return n", True),
        ("def f(n):\n    return n\n", False),
        ("print(1,", True),
        ('"""text', True),
        ("x = (", True),
        ("1 +", False),
        ("\\", True),
        ("@decorated", True),
        ("if x:\n    1\nelse:", True),
        ("'\\d'", False),
        ("(" * 5000, False),
        ("\x00", False),
        ("-" * 100_000 + "1", False),
    ],
)
def test_more_is_asked_for_where_pythons_prompt_would(code: str, more: bool) -> None:
    assert needs_more(code) is more


class Terminal:
    """A person at a terminal: types lines and reads what appears."""

    def __init__(self, *flags: str, home: Path) -> None:
        self._text = ""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ.update(XDG_STATE_HOME=str(home), TERM="dumb", HOME=str(home))
            os.execv(sys.executable, [sys.executable, "-m", "mario", "python", *flags])
        self.wait_for(">>> ")

    def wait_for(self, text: str, seconds: float = 30) -> str:
        """Everything that appeared up to `text`, which comes within some seconds."""
        end = time.monotonic() + seconds
        while text not in self._text:
            assert time.monotonic() < end, f"{text!r} did not come; there is {self._text!r}"
            os.set_blocking(self._fd, False)
            try:
                self._text += os.read(self._fd, 65536).decode()
            except BlockingIOError:
                time.sleep(0.01)
            except OSError as error:  # the process has gone
                raise AssertionError(f"it ended; there is {self._text!r}") from error
        before, _, self._text = self._text.partition(text)
        return before.replace("\r\n", "\n")

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def ask(self, *lines: str) -> str:
        """Type lines and read up to the next prompt; without what was typed, which the terminal repeats."""
        for line in lines[:-1]:
            self.type(line + "\n")
            self.wait_for("... ")
        self.type(lines[-1] + "\n")
        return self.wait_for(">>> ").partition("\n")[2].strip()

    def exit_code(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        os.close(self._fd)
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal("--preload", "", "--wall-seconds", "20", home=tmp_path)
    yield terminal
    terminal.close()


def test_the_prompt_keeps_variables_takes_blocks_and_ends_with_ctrl_d(terminal: Terminal, tmp_path: Path) -> None:
    assert terminal.ask("x = 6") == ""
    assert terminal.ask("x * 7") == "42"
    assert terminal.ask("def double(n):", "    return 2 * n", "") == ""
    assert terminal.ask("double(x)") == "12"
    assert terminal.ask("1/0").splitlines() == [
        "Traceback (most recent call last):",
        "  line 1",
        "    1/0",
        "ZeroDivisionError: division by zero",
        "[error]",
    ]
    assert terminal.ask("import time; time.sleep(1.1)") == "[1.1 s]"
    assert terminal.ask("") == ""
    terminal.type("\x04")
    assert terminal.exit_code() == 0
    assert "double(x)" in (tmp_path / "mario" / "python_history").read_text()


def test_ctrl_c_stops_a_snippet_and_its_variables_live(terminal: Terminal) -> None:
    terminal.ask("x = 6")
    terminal.type("while True: x += 1\n")
    terminal.wait_for("... ")
    terminal.type("\n")
    time.sleep(0.5)
    terminal.type("\x03")
    assert terminal.wait_for(">>> ", 10).strip().splitlines()[-1] == "KeyboardInterrupt"
    assert terminal.ask("x > 6") == "True"
    terminal.type("half a li\x03")
    assert "KeyboardInterrupt" in terminal.wait_for(">>> ")
    assert terminal.ask("x > 6") == "True"


def test_what_kills_the_kernel_costs_its_own_snippet_only(terminal: Terminal) -> None:
    terminal.ask("x = 6")
    said = terminal.ask("x = 7; import os; os._exit(4)")
    assert "exit code 4" in said
    assert "[died]" in said
    assert said.endswith("variables are as they were before this snippet")
    assert terminal.ask("x") == "6"
    terminal.type("from itertools import repeat; from collections import deque; deque(repeat(x), 0)\n")
    time.sleep(0.5)
    terminal.type("\x03")  # a loop in C hears no interrupt: it is killed, half a second later
    assert "KeyboardInterrupt" in terminal.wait_for(">>> ", 10)
    assert terminal.ask("x") == "6"


def test_undo_reset_help_and_leaving_by_name(terminal: Terminal) -> None:
    terminal.ask("x = 6")
    terminal.ask("x = 7")
    assert terminal.ask(":undo") == "undone"
    assert terminal.ask("x") == "6"
    assert terminal.ask(":reset") == "a fresh kernel"
    assert terminal.ask("'x' in dir()") == "False"
    assert terminal.ask(":undo") == "undone"
    assert terminal.ask(":undo").startswith("nothing to undo")
    assert ":undo" in terminal.ask(":help")
    assert terminal.ask(":halp") == "unknown command ':halp'; :help lists them"
    terminal.type("exit()\n")
    assert terminal.exit_code() == 0


def test_a_wall_limit_is_told_apart_from_ctrl_c(tmp_path: Path) -> None:
    terminal = Terminal("--preload", "", "--wall-seconds", "0.5", home=tmp_path)
    try:
        said = terminal.ask("import time; time.sleep(9)")
        assert said.splitlines() == [
            "TimeoutError: the snippet was stopped after 0.5 s; variables are kept",
            "[timeout]",
        ]
    finally:
        terminal.close()
