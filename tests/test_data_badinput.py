"""Bad input as the command line shows it: one line that names the file, the place and the remedy; exit 1 or 2.

Files are really bad, permissions really missing (in a child that is not root), the disk really full (a size limit of
the system on the child's files). Nothing half-written may stay behind.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mario.cli.app import main

ROW = {"id": "r/0", "question": "Ann has 3 pens and buys 4. How many?", "answer": "7"}
OWN = ROW | {"source": "mine", "split": "train"}
GSM = {"question": "Ann has 3 pens and buys 4. How many?", "answer": "3+4=<<3+4=7>>7\n#### 7"}


def mario(*arguments: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mario", *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, **options
    )


Here = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """The same command in this process, in `tmp_path`: quick, and an exception that escapes fails the test."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = main(arguments)
        heard = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, heard.out, heard.err)

    return run


def lines(*rows: Any) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def fault(done: subprocess.CompletedProcess[str], *parts: str, code: int = 1) -> None:
    """Whether it failed as it should: one line with these parts, nothing on stdout."""
    told = [line for line in done.stderr.splitlines() if not line.startswith("inspect: ")]
    assert len(told) == 1, done.stderr
    assert told[0].startswith("mario: ")
    for part in parts:
        assert part in told[0]
    assert done.returncode == code
    assert done.stdout == ""


def parquet(**columns: list[Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        table = pytest.importorskip("pyarrow").table(columns)
        pytest.importorskip("pyarrow.parquet").write_table(table, path)

    return write


def cut(size: float, write: Callable[[Path], None]) -> Callable[[Path], None]:
    """The same file with only this share of its bytes."""

    def write_cut(path: Path) -> None:
        write(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * size)])

    return write_cut


PACKED = gzip.compress(lines(*(ROW | {"id": os.urandom(20).hex()} for _ in range(300))))
QUESTIONS = {"question": ["1+1?", "2+2?"], "answer": ["2", "4"]}
# source, file name, content, further arguments, what the message must hold
CASES: dict[str, tuple[str, str, bytes | Callable[[Path], None] | None, list[str], list[str]]] = {
    "missing file": ("gsm8k", "no.jsonl", None, [], ["no.jsonl: no such file", "check the path"]),
    "empty": ("jsonl", "a.jsonl", b"", [], ["a.jsonl: the file is empty", "download"]),
    "only a mark": ("jsonl", "a.jsonl", b"\xef\xbb\xbf", [], ["a.jsonl", "line 1", "not JSON"]),
    "missing field": ("jsonl", "a.jsonl", lines(ROW, {"answer": "1"}), [], ["a.jsonl, line 2", "'question'", "map"]),
    "missing answer": ("jsonl", "a.jsonl", lines({"question": "q"}), [], ["line 1", "no field 'answer'", "map"]),
    "null answer": ("jsonl", "a.jsonl", lines(ROW | {"answer": None}), [], ["line 1", "'answer'", "got null"]),
    "wrong type": ("jsonl", "a.jsonl", lines(ROW, ROW | {"question": 5}), [], ["line 2", "must be a text, got 5"]),
    "true is no answer": ("jsonl", "a.jsonl", lines(ROW | {"answer": True}), [], ["line 1", "got true"]),
    "nested": ("jsonl", "a.jsonl", lines(ROW | {"question": {"text": "q"}}), [], ["line 1", '{"text": "q"}']),
    "not gsm8k": ("gsm8k", "a.jsonl", lines(GSM, ROW), [], ["line 2", "#### x", "field map"]),
    "not math": ("math", "a.jsonl", lines(GSM), [], ["line 1", "no field 'solution'", "field map"]),
    "not ours": ("problems", "a.jsonl", lines(OWN, ROW), [], ["line 2", "not a problem of ours", "field map"]),
    "latin-1": ("jsonl", "a.jsonl", lines(ROW) + '{"q": "é"}'.encode("latin-1"), [], ["line 2", "0xe9", "iconv"]),
    "utf-16": ("jsonl", "a.jsonl", json.dumps(ROW).encode("utf-16"), [], ["line 1", "not UTF-8", "iconv"]),
    "not a number": ("jsonl", "a.jsonl", b'{"question": "q", "answer": NaN}', [], ["line 1", "NaN"]),
    "a list": ("jsonl", "a.jsonl", b'[{"question": "q"}]', [], ["line 1", "expected a JSON object"]),
    "pretty printed": ("jsonl", "a.jsonl", json.dumps(ROW, indent=2).encode(), [], ["line 1", "not JSON"]),
    "twice the same id": ("jsonl", "a.jsonl", lines(ROW, ROW), [], ["line 2", "'r/0' occurs twice", "fields.id none"]),
    "cut gzip": ("jsonl", "a.jsonl.gz", PACKED[: len(PACKED) // 2], [], ["a.jsonl.gz, after line", "download it"]),
    "no gzip": ("jsonl", "a.jsonl.gz", lines(ROW), [], ["damaged", "must not be named .gz"]),
    "no such tag": ("jsonl", "a.jsonl", lines(ROW), ["--fields.tags", "unit"], ["line 1", "'unit'", "field map"]),
    "no such nested": ("jsonl", "a.jsonl", lines(ROW), ["--fields.question", "q.text"], ["line 1", "'q.text'"]),
    "no parquet": ("jsonl", "a.parquet", lines(ROW), [], ["a.parquet", "not a whole Parquet file", "download"]),
    "cut parquet": ("jsonl", "a.parquet", cut(0.7, parquet(**QUESTIONS)), [], ["a.parquet", "not a whole Parquet"]),
    "empty parquet": ("parquet", "a", parquet(question=[], answer=[]), [], ["a: the Parquet file holds no row"]),
    "parquet field": ("parquet", "a", parquet(prompt=["q"]), [], ["a, row 1", "no field 'answer', found prompt"]),
    "parquet nan": ("parquet", "a", parquet(question=["q", "q"], answer=[1.0, float("nan")]), [], ["row 2", "NaN"]),
    "parquet bytes": ("parquet", "a", parquet(**QUESTIONS, b=[b"1", b"2"]), ["--fields.tags", "b"], ["row 1", "bytes"]),
    "csv columns": ("csv", "a.csv", b"question,answer\nq,1,2\n", [], ["line 2", "2 columns, found 3", "quote"]),
    "csv short": ("csv", "a.csv", b"question,answer\nq,1\nq\n", [], ["line 3", "expected 2 columns, found 1"]),
    "csv quotes": ("csv", "a.csv", b'question,answer\n"q,1\n', [], ["a.csv", "not CSV"]),
    "csv latin-1": ("csv", "a.csv", "question,answer\né,1\n".encode("latin-1"), [], ["not UTF-8", "0xe9", "iconv"]),
    "csv header only": ("csv", "a.csv", b"question,answer\n", [], ["no row below a header line"]),
    "csv cut gzip": ("csv", "a.csv.gz", gzip.compress(b"question,answer\nq,1\n")[:-9], [], ["gzip", "download it"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_bad_file_is_named_with_place_and_remedy(tmp_path: Path, here: Here, case: str) -> None:
    source, name, content, arguments, parts = CASES[case]
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        content(tmp_path / name)
    before = sorted(tmp_path.iterdir())
    fault(here("data", source, name, *arguments, "--out", "out"), *parts)
    left = [path for path in tmp_path.rglob("*") if path not in before and path.name != "out"]
    assert left == []


def test_marks_and_line_ends_of_other_systems_do_no_harm(tmp_path: Path, here: Here) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + lines(ROW).replace(b"\n", b"\r\n") + b"\r\n")
    (tmp_path / "a.csv").write_bytes(
        b'\xef\xbb\xbfid,question,answer\r\nr/0,"Ann has 3 pens and buys 4. How many?",7\r\n'
    )
    found = [json.loads(here("data", kind, f"a.{kind}", "--name", "a").stdout) for kind in ("jsonl", "csv")]
    assert found[0] == found[1] == ROW | {"source": "a", "split": "train"}


def test_a_reference_that_is_no_answer_is_listed_not_lost(tmp_path: Path, here: Here) -> None:
    (tmp_path / "a.jsonl").write_bytes(
        lines(OWN, OWN | {"id": "bad", "answer": "\\frac{1}{"}, OWN | {"id": "none", "answer": ""})
    )
    done = here("data", "inspect", "a.jsonl", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert [row["id"] for row in found["unread"]] == ["bad", "none"]
    assert all(row["reason"] for row in found["unread"])


def test_a_directory_without_data(tmp_path: Path, here: Here) -> None:
    (tmp_path / "d").mkdir()
    fault(here("data", "math", "d"), "d: no .json file in this directory", "name the split's directory")
    fault(here("data", "jsonl", "d"), "d: no .json file")
    fault(here("data", "inspect", "d"), "d: no .json file")


def test_misuse_of_inspect(here: Here) -> None:
    fault(here("data", "inspect", "gsm9k"), "did you mean 'gsm8k'", code=2)
    fault(here("data", "inspect", "no.jsonl"), "no.jsonl: no such file")
    fault(here("data", "inspect", "--samples", "-1"), "--samples must be 0 or more", code=2)
    fault(here("data", "inspect", "gsm8k"), "needs path", code=2)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="mario-bad-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        for path in folder.rglob("*"):
            path.chmod(0o755)


def as_nobody(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command by a user who owns nothing; rights are dropped once Python has read its own files."""
    script = (
        "import os, sys; from mario.cli import app, data; from mario.provenance import make_manifest\n"
        "make_manifest('data', {})\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "sys.exit(app.main(sys.argv[1:]))"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120
    )


def test_no_permission(open_folder: Path) -> None:
    secret, shut = open_folder / "secret.jsonl", open_folder / "shut"
    secret.write_bytes(lines(ROW))
    (open_folder / "open.jsonl").write_bytes(lines(ROW))
    shut.mkdir()
    secret.chmod(0)
    shut.chmod(0o500)
    for out in ([], ["--out", "/tmp/never"]):
        done = as_nobody("data", "jsonl", str(secret), *out, cwd=open_folder)
        fault(done, "secret.jsonl: cannot be read (Permission denied)", "check its permissions")
    done = as_nobody("data", "jsonl", "open.jsonl", "--out", str(shut / "out"), cwd=open_folder)
    fault(done, "may not be written", "name another directory with --out")


def test_a_full_disk(tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    (tmp_path / "a.jsonl").write_bytes(lines(*(ROW | {"id": f"r/{i}"} for i in range(1000))))
    done = mario("data", "jsonl", "a.jsonl", "--out", "out", cwd=tmp_path, preexec_fn=small_files)
    fault(done, "no space left to write out/problems.jsonl", "free some")
    assert list((tmp_path / "out").iterdir()) == []
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(
            [sys.executable, "-m", "mario", "data", "jsonl", "a.jsonl"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert told.returncode == 1
    assert told.stderr.splitlines() == [
        "mario: results cannot be written: No space left on device; send them elsewhere"
    ]


def test_augment_on_a_full_disk_and_goes_on_afterwards(tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    arguments = ("augment", "made", "--out", "out")
    assert mario("data", "wordproblems", "--count", "80", "--out", "made", cwd=tmp_path).returncode == 0
    done = mario(*arguments, cwd=tmp_path, preexec_fn=small_files)
    assert done.returncode == 1
    assert "no space left to write out/problems.jsonl" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert mario(*arguments, cwd=tmp_path).returncode == 0
    assert (tmp_path / "out" / "problems.jsonl").stat().st_size > 20_000
