"""Killable child processes: started by exec, spoken to in frames over a private socket, dead when we say so.

    child = Child(python_worker("mario.grade.worker"))      # a Python module of ours, with an empty environment
    answer = child.ask(b"request", timeout=5.0)             # bytes to bytes
    child.close()                                           # or `with Child(...) as child:`

and in the child, `mario/grade/worker.py`:

    if __name__ == "__main__":
        serve(handle, memory_mb=1024)                       # handle: bytes -> bytes, called once a request

The one idea: work that may hang, crash or swallow memory runs where SIGKILL can end it, and the caller learns
which of two things happened.

    ChildTimedOut   no answer in time; the child has been killed
    ChildDied       the child ended, or broke the protocol; the message tells how and shows its last words on stderr

After either, the child is dead for ever and every `ask` raises `ChildDied`: start a new one. Both are `MarioError`.

- A `Child` may be shared by threads; its questions queue up, and the time of each runs from its own turn.
- Starting takes what Python takes to start and to import your module; `ask` queues behind that, inside its timeout.
  A pool that wants them apart asks something trivial first, with a generous timeout.
- The child sees the environment it is given and nothing else, leads a session of its own (Ctrl-C does not reach it),
  inherits no descriptor but its channel, and ends when its parent ends, even by SIGKILL, even inside a loop in C.
- `handle` must not raise: translate its faults into bytes. If it does, the child ends and the traceback is reported.

What this package does not do: no pools, no retries, no pickle, no sandbox (`mario.interpreter` builds that on top).
Layer 1: imports nothing but `mario.errors`.
"""

from mario.process.child import Child, ChildDied, ChildTimedOut, python_worker
from mario.process.frames import MAX_FRAME
from mario.process.worker import serve

__all__ = ["MAX_FRAME", "Child", "ChildDied", "ChildTimedOut", "python_worker", "serve"]
