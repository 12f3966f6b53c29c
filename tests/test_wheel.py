"""The wheel, installed in a clean environment away from the checkout, does what the checkout does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]


class Server(BaseHTTPRequestHandler):
    """A completions server whose model multiplies 17 by 24 with code, then reads what came out."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "Output: " in body["prompt"]:
            text = "It is 408.\n</p>\n\nFinal Answer: $408$"
        else:
            text = "Multiply.\n</p>\n\n<code>\n```python\nprint(17 * 24)\n```\n</code>"
        if body.get("stream"):
            chunk = {"id": "x", "object": "text_completion", "created": 0, "model": "m"}
            chunk["choices"] = [{"text": text, "index": 0, "finish_reason": "stop"}]
            data = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
            kind = "text/event-stream"
        else:
            choice = {"text": text, "index": 0, "finish_reason": "stop", "logprobs": None}
            data = json.dumps({"id": "x", "object": "text_completion", "created": 0, "model": "m", "choices": [choice]})
            kind = "application/json"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data.encode())

    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment with the wheel and its dependencies; skips where packages cannot be had."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT], check=True, capture_output=True
    )
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=True)
    constraints = ROOT / "constraints" / "known-good.txt"
    done = subprocess.run(
        [folder / "env" / "bin" / "pip", "install", "--quiet", "-c", constraints, wheel], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


def run(installed: Path, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OPENAI_API_KEY": "none"}
    return subprocess.run(
        [str(installed / "env" / "bin" / command[0]), *command[1:]],
        cwd=installed, env=environment, input=stdin, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


def test_the_core_needs_no_torch(installed: Path) -> None:
    done = run(
        installed, "python", "-c", "import importlib.util as u; print(u.find_spec('torch'), u.find_spec('numpy'))"
    )
    assert done.stdout.split() == ["None", "None"]


def test_help_and_grade(installed: Path) -> None:
    assert "usage: mario VERB" in run(installed, "mario", "--help").stdout
    done = run(installed, "mario", "grade", r"\frac{1}{2}", "0.5")
    assert done.returncode == 0, done.stderr
    assert "equivalent" in done.stdout
    pairs = '{"id": 1, "gold": "7", "pred": "7.0"}\n{"id": 2, "gold": "7", "pred": "8"}\n'
    rows = run(installed, "python", "-m", "mario", "grade", stdin=pairs).stdout.splitlines()
    assert [json.loads(row)["equivalent"] for row in rows] == [True, False]


def test_solve_with_a_server(installed: Path, endpoint: str) -> None:
    flags = ["--engine.endpoint", endpoint, "--engine.model", "m"]
    done = run(installed, "mario", "solve", "How much is 17 * 24?", *flags)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "408"
    assert "Output: 408" in done.stderr


def test_local_models_say_what_to_install(installed: Path) -> None:
    done = run(installed, "mario", "solve", "How much is 17 * 24?", "--engine.model", "smollm2")
    assert done.returncode == 2
    assert "pip install 'mario-math[train]'" in done.stderr


def test_data_to_report(installed: Path, endpoint: str) -> None:
    assert run(installed, "mario", "data", "wordproblems", "--count", "6", "--out", "p").returncode == 0
    assert json.loads(run(installed, "mario", "annotate", "p", "--out", "a", "--json").stdout)["kept"] == 6
    flags = ["--engine.endpoint", endpoint, "--engine.model", "m"]
    assert run(installed, "mario", "evaluate", "p", "--out", "e", *flags).returncode == 0
    assert run(installed, "mario", "report", "e", "--out", "r.html").returncode == 0
    page = (installed / "r.html").read_text()
    assert "katex" in page and "Plotly" in page


def test_our_recipes_are_inside(installed: Path) -> None:
    done = run(installed, "mario", "run", "demo", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "report" in done.stderr
