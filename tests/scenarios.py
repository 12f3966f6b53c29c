"""Attacks that need more than one kernel, or a host that does something: run by `arena_host.py`, in its pool."""

from __future__ import annotations

import time

from mario.errors import InterpreterError
from mario.interpreter import InterpreterPool
from mario.types import ObservationStatus as Status

FORK = "import ctypes; ctypes.PyDLL(None).syscall(ctypes.c_long(56), ctypes.c_long(0x8000 | 17), 0, 0, 0, 0)"


def scratch_files_are_private(pool: InterpreterPool) -> None:
    with pool.open() as one, pool.open() as two:
        where = one.run("import os; open('mine', 'w').write('x'); os.path.abspath('mine')").output.strip("'")
        for attack in ("open({!r}).read()", "open({!r}, 'w').close()", "import os; os.unlink({!r})"):
            two.run(attack.format(where))  # where both see their own folder by one name, this is its own
            assert one.run("open('mine').read()").output == "'x'"
        assert two.run(f"open({where!r}).read()").status is Status.ERROR


def kernels_share_no_state(pool: InterpreterPool) -> None:
    with pool.open() as one, pool.open() as two:
        one.run("import sys, builtins, math, os; sys.leak = builtins.leak = math.leak = 1; os.environ['LEAK'] = '1'")
        assert two.run(
            "import math, os; [hasattr(sys, 'leak') for sys in (math, os)], 'LEAK' in os.environ"
        ).output == ("([False, False], False)")
        assert two.run("leak").status is Status.ERROR


def an_answer_forged_for_the_snippet_itself_does_not_outlive_it(pool: InterpreterPool) -> None:
    """A snippet that finds its nonce can answer for itself; its true answer then comes unasked and ends the kernel."""
    code = (
        "import os, struct, sys\n"
        "frame = sys._getframe()\n"
        "while 'nonce' not in frame.f_locals: frame = frame.f_back\n"
        "os.write(3, struct.pack('>I8sBQ', 5, frame.f_locals['nonce'], 0, 0) + b'false')\n"
    )
    with pool.open() as kernel:
        first = kernel.run(code)
        assert (first.output, first.status) in [("false", Status.OK)] or first.status is Status.DIED
        assert kernel.run("1").status is Status.DIED
        assert kernel.run("1").status is Status.DIED


def a_dead_kernel_stays_dead(pool: InterpreterPool) -> None:
    with pool.open() as kernel:
        assert kernel.run("import os; os._exit(0)").status is Status.DIED
        for _ in range(3):
            observation = kernel.run("1")
            assert observation.status is Status.DIED
            assert "dead" in observation.output


def branches_of_hostile_kernels_are_bounded(pool: InterpreterPool) -> None:
    """Every fork runs hooks that fork; afterwards no process may be left."""
    with pool.open() as kernel:
        kernel.run(f"def fork():\n    {FORK}\nimport os; os.register_at_fork(before=fork, after_in_child=fork)")
        for _ in range(40):
            try:
                branch = kernel.branch()
            except InterpreterError:
                break
            branch.run(FORK)
            branch.close()


def a_stolen_branch_grants_nothing_later(pool: InterpreterPool) -> None:
    """A kernel that sits between its runner and the host takes the order to branch, and greets for the branch without
    forking. The leave to fork must lapse with the branch."""
    thief = (
        "import os, socket, struct, threading\n"
        "real, (near, far) = socket.socket(fileno=os.dup(3)), socket.socketpair()\n"
        "os.dup2(far.fileno(), 3)\n"
        "def answers():\n"
        "    while True: os.write(real.fileno(), near.recv(1 << 16))\n"
        "def orders():\n"
        "    while True:\n"
        "        head = real.recv(13)\n"
        "        if head[12:] == b'B':\n"
        "            data, fds, _, _ = socket.recv_fds(real, 1, 1)\n"
        "            os.write(real.fileno(), struct.pack('>I8sBQ', 0, head[4:12], 0, 0))\n"
        "            os.write(fds[0], b'K')\n"
        "        else: os.write(near.fileno(), head + real.recv(1 << 16))\n"
        "for f in (answers, orders): threading.Thread(target=f, daemon=True).start()\n"
    )
    with pool.open() as kernel:
        kernel.run(thief)
        assert kernel.run("6 * 7").output == "42"
        kernel.branch().close()
        time.sleep(0.05)
        assert kernel.run("import ctypes; [" + FORK.split("; ")[1] + " for _ in range(3)]").status is not Status.LOST


def refused_forks_do_not_stop_the_server(pool: InterpreterPool) -> None:
    import threading

    with pool.open() as kernel:
        spam = "def f():\n    while True: " + FORK.split("; ")[1]
        code = (
            f"import ctypes\n{spam}\nts = [threading.Thread(target=f) for _ in range(16)]\nfor t in ts: t.start()\nf()"
        )
        thread = threading.Thread(target=kernel.run, args=(code,))
        thread.start()
        time.sleep(0.1)
        slowest = 0.0
        for _ in range(10):
            started = time.monotonic()
            with pool.open() as other:
                assert other.run("1 + 1").output == "2"
            slowest = max(slowest, time.monotonic() - started)
        thread.join()
        assert slowest < 1.0, slowest


def deep_folders_do_not_hurt_who_removes_them(pool: InterpreterPool) -> None:
    """Below the bound on files, but deeper than a recursion may go."""
    with pool.open() as kernel:
        kernel.run("import os\ntry:\n    for _ in range(600): os.mkdir('d'); os.chdir('d')\nexcept OSError: pass")


OF_THE_DEAD = ("a_dead_kernel_stays_dead",)
NAMES = tuple(name for name, value in dict(globals()).items() if getattr(value, "__module__", "") == __name__)
