"""A value model behind HTTP: the same values as in process, ids on the wire, and faults that say what to do.

The server here is a small one over a real network, on loopback, with the shape of vLLM's `/pooling`; a real vLLM server
stands in test_ovm_vllm.py.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mario.errors import EngineError, EngineUnavailable
from mario.value import ValueConfig, ValueModel, read_values, score_run
from mario.value.model import LocalScorer, Row
from mario.value.remote import RemoteScorer
from ovm_fixtures import tiny_ovm
from test_value import attempts, model_of, stored


class Pooling(ThreadingHTTPServer):
    """`asked` are the bodies that came; `faults` are answered, one a request, before any value."""

    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scorer = LocalScorer.load(directory, dtype="float32", device="cpu")
        self.asked: list[dict[str, Any]] = []
        self.faults: list[tuple[int, Any]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Pooling

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append({"path": self.path, **body})
            status, reply = self.server.faults.pop(0) if self.server.faults else (200, self.values(body))
        data = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def values(self, body: dict[str, Any]) -> dict[str, Any]:
        ids = tuple(body["input"])
        (found,) = self.server.scorer.score([Row(ids, tuple(range(len(ids))))])
        return {"object": "list", "data": [{"index": 0, "object": "pooling", "data": [[x] for x in found]}]}

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def ovm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_ovm(tmp_path_factory.mktemp("models") / "judge")


@pytest.fixture
def server(ovm: Path) -> Iterator[Pooling]:
    pooling = Pooling(ovm)
    thread = threading.Thread(target=pooling.serve_forever, daemon=True)
    thread.start()
    yield pooling
    pooling.shutdown()
    pooling.server_close()
    thread.join()


def test_a_run_gets_the_same_values_over_http(ovm: Path, server: Pooling, tmp_path: Path) -> None:
    run = stored(tmp_path / "run", list(attempts()))
    score_run(run, model_of(ovm, name="here"))
    there = ValueModel(ValueConfig(model=str(ovm), name="there", endpoint=server.url, served="ovm"))
    score_run(run, there)
    assert there.window == 1024
    there.close()
    here, remote = read_values(run)
    assert here.logits.keys() == remote.logits.keys()
    for key, logits in here.logits.items():
        assert remote.logits[key] == pytest.approx(logits, abs=1e-4)
    assert json.loads((run / "values" / "there" / "manifest.json").read_text())["recipe"] == {"dtype": "server"}
    assert len(server.asked) == len(here.logits)
    for body in server.asked:
        assert (body["path"], body["model"], body["task"]) == ("/pooling", "ovm", "token_classify")
        assert body["use_activation"] is False
        assert all(isinstance(token, int) for token in body["input"])


def test_a_passing_fault_is_tried_again_and_order_is_kept(server: Pooling) -> None:
    server.faults = [(503, {"error": "busy"}), (500, {"error": "oops"})]
    scorer = RemoteScorer("ovm", server.url, concurrency=3)
    rows = [Row(tuple(range(5, 5 + n)), (n - 1,)) for n in range(3, 9)]
    for row, found in zip(rows, scorer.score(rows), strict=True):
        assert found == pytest.approx(server.scorer.score([row])[0], abs=1e-4)
    assert len(server.asked) == len(rows) + 2
    scorer.close()


@pytest.mark.parametrize(
    ("status", "reply", "words"),
    [
        (400, {"error": {"message": "Try switching the model's pooling_task"}}, "refuses the request: .*pooling_task"),
        (404, {"error": {"message": "no such model"}}, "must serve the directory of the value model"),
        (200, {"data": [{"data": [[0.5]]}]}, "gave 1 values for 3 tokens; its pooling task must be token_classify"),
        (200, {"data": "text"}, "answers something else than a number a token"),
    ],
)
def test_a_lasting_fault_says_what_is_wrong(server: Pooling, status: int, reply: Any, words: str) -> None:
    server.faults = [(status, reply)]
    scorer = RemoteScorer("ovm", server.url, max_retries=0)
    with pytest.raises(EngineError, match=words):
        scorer.score([Row((5, 6, 7), (2,))])
    scorer.close()


def test_a_server_that_is_not_there_is_named() -> None:
    scorer = RemoteScorer("ovm", "http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(EngineUnavailable, match=r"http://127\.0\.0\.1:9/pooling cannot be reached"):
        scorer.score([Row((5, 6, 7), (2,))])
    scorer.close()
