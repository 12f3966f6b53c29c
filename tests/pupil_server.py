"""A pupil behind an OpenAI-compatible endpoint: a real HTTP server that solves some word problems some of the time.

What it writes depends on the prompt and the seed alone. A problem's chance of a right program falls with its steps,
and a right program is written in one of several ways, so that samples repeat each other as a model's do.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from mario.types import Problem

_SUM = re.compile(r"<<([^=<>]+)=[^<>]*>>")
_CHANCES = {1: 0.95, 2: 0.6, 3: 0.2, 4: 0.0}


class Pupil:
    """Counts the calls it answers; `sleep` seconds each take."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self._problems = {problem.question: problem for problem in problems}
        self.calls = 0

    def turn(self, prompt: str, seed: int) -> str:
        question, _, rest = prompt.rpartition("Question: ")[2].partition("\n\nSolution:")
        if output := re.search(r"\nOutput: (.*?)\n", rest):
            return f"So it is.\n</p>\n\nFinal Answer: ${output[1]}$"
        problem = self._problems[question]
        draw = Random(f"{question} {seed}")
        code = "print(1 + 1)"
        if draw.random() < _CHANCES[problem.tags["steps"]]:
            lines = [f"r{i} = {text}" for i, text in enumerate(_SUM.findall(problem.solution or ""))]
            last = f"r{len(lines) - 1}"
            lines += draw.choice([[], ["done = True"], ["tried = 1"], ["a = 1", "b = 2"]])
            code = "\n".join([*lines, f"print(round({last}) if {last} == round({last}) else {last})"])
        return f"I try.\n</p>\n\n<code>\n```python\n{code}\n```\n</code>"


@contextmanager
def serving(pupil: Pupil) -> Iterator[str]:
    """The endpoint's address, while it is up."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            text = pupil.turn(body["prompt"], body["seed"])
            pupil.calls += 1
            stop = "</code>" if text.endswith("</code>") else None
            choice = {"index": 0, "text": text, "finish_reason": "stop", "stop_reason": stop}
            usage = {"prompt_tokens": len(body["prompt"]) // 4, "completion_tokens": len(text) // 4}
            reply = {"id": "1", "object": "text_completion", "model": "pupil", "choices": [choice], "usage": usage}
            data = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
