"""What a branch costs, beside a bare fork of the same process and beside replaying its history. Prints JSON.

    python benchmarks/branch.py [--count 100]

All three start from a kernel that has run six sympy snippets, and end when the copy has said its first byte:

branch      `kernel.branch()`, from the call in the host until the copy has greeted it: messages between host, server
            and kernel, the question put to the server, the fork, Python's work after it
bare fork   `os.fork()` in such a kernel, until the child's one byte has come through a pipe: no host, no server, no
            question. In tier `none`, where a snippet may fork; the process is forked from the same kind of server and
            has run the same snippets. `bare_fork_and_wait` goes on until the child has ended and was waited for
replay      a new kernel that runs the six snippets again

Rounds of the three take turns, so that load falls on all alike; the ratios are of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from typing import Any

from interpreter import HISTORY

from mario.interpreter import InterpreterPool, Kernel, Tier
from mario.provenance import code_version, hardware

BARE = """
import os as _os, time as _time
def _bare():
    near, far = _os.pipe()
    started = _time.perf_counter()
    pid = _os.fork()
    if pid == 0:
        _os.write(far, b"x")
        _os._exit(0)
    _os.read(near, 1)
    spoke = _time.perf_counter()
    _os.waitpid(pid, 0)
    waited = _time.perf_counter()
    _os.close(near); _os.close(far)
    return (spoke - started) * 1000, (waited - started) * 1000
"""


def measure(count: int) -> dict[str, Any]:
    branch, bare, waited, replay = [], [], [], []
    with (
        InterpreterPool(workers=1, preload=("sympy", "numpy")) as walled,
        InterpreterPool(workers=1, preload=("sympy", "numpy"), tier=Tier.NONE, unsafe=True) as open_air,
    ):
        kernel, twin = prepared(walled), prepared(open_air)
        twin.run(BARE)
        for number in range(count):
            started = time.perf_counter()
            copy = kernel.branch()
            branch.append((time.perf_counter() - started) * 1000)
            copy.close()
            spoke, whole = json.loads(twin.run("print(list(_bare()))").output)
            bare.append(spoke)
            waited.append(whole)
            if number % 20 == 0:
                started = time.perf_counter()
                prepared(walled).close()
                replay.append((time.perf_counter() - started) * 1000)
    medians = {
        "branch_ms": statistics.median(branch),
        "bare_fork_ms": statistics.median(bare),
        "bare_fork_and_wait_ms": statistics.median(waited),
        "replay_ms": statistics.median(replay),
    }
    return {
        "count": count,
        **{name: round(value, 3) for name, value in medians.items()},
        "branch_to_bare_fork": round(medians["branch_ms"] / medians["bare_fork_ms"], 2),
        "replay_to_branch": round(medians["replay_ms"] / medians["branch_ms"], 1),
    }


def prepared(pool: InterpreterPool) -> Kernel:
    kernel = pool.open()
    for code in HISTORY:
        kernel.run(code)
    return kernel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    arguments = parser.parse_args()
    about = {"hardware": hardware(), "code": code_version(), "load_before": os.getloadavg()}
    print(json.dumps({**about, **measure(arguments.count)}, indent=2))


if __name__ == "__main__":
    main()
