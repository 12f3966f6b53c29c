"""Readers: original fields in, `Problem`s out, lazily; whatever is wrong with a file is one clear `DataError`."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mario.data.patches import Patch, PatchAction, problem_hash, read_patches
from mario.data.readers import Fields, find_boxed, read_gsm8k, read_mapped, read_math, read_problems, write_problems
from mario.errors import DataError, MissingExtra, StoreError
from mario.types import Problem

GSM8K_ROW = {"question": "Ann has 3 pens and buys 4. How many?", "answer": "She has 3+4=<<3+4=7>>7 pens.\n#### 7"}
MATH_ROW = {
    "problem": "Simplify $\\frac{2}{4}$.",
    "level": "Level 3",
    "type": "Algebra",
    "solution": "We get $\\boxed{\\frac{1}{2}}$.",
}


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_gsm8k_rows_become_problems(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", GSM8K_ROW, GSM8K_ROW | {"id": "own-9", "answer": "#### 1,200"})
    first, second = read_gsm8k(path, split="train")
    assert first == Problem(
        id="gsm8k/train/0",
        question=GSM8K_ROW["question"],
        answer="7",
        source="gsm8k",
        split="train",
        solution="She has 3+4=<<3+4=7>>7 pens.",
        licence="MIT",
    )
    assert (second.id, second.answer, second.solution) == ("own-9", "1,200", "")


def test_gzip_a_byte_order_mark_and_blank_lines_make_no_difference(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.jsonl", GSM8K_ROW, GSM8K_ROW)
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + plain.read_bytes().replace(b"\n", b"\r\n\n")))
    assert list(read_gsm8k(packed, split="x")) == list(read_gsm8k(plain, split="x"))


def test_math_rows_take_the_last_box_and_keep_all(tmp_path: Path) -> None:
    two = MATH_ROW | {"solution": "\\boxed{ 3 } or \\boxed{\\{4\\}}", "level": "Level ?"}
    none = MATH_ROW | {"solution": "It is A."}
    first, second, third = read_math(write(tmp_path / "m.jsonl", MATH_ROW, two, none), split="test")
    assert (first.id, first.answer, first.level, first.subject) == ("math/test/0", "\\frac{1}{2}", "3", "Algebra")
    assert (second.answer, second.level, second.tags) == ("\\{4\\}", None, {"boxed": ["3", "\\{4\\}"]})
    assert (third.answer, third.tags) == ("", {"defect": "no boxed answer"})


@pytest.mark.parametrize(
    ("solution", "boxed"),
    [
        (r"\boxed{5}", ["5"]),
        (r"\boxed 5.", ["5"]),
        (r"\boxed \pi", [r"\pi"]),
        (r"\fbox{B}", ["B"]),
        (r"\boxed{\text{a \{ b}}", [r"\text{a \{ b}"]),
        (r"\boxed{x^{2}+{1}} and \boxed{}", ["x^{2}+{1}"]),
        (r"\boxedsomething{5}", []),
        (r"\boxed{open", []),
        ("", []),
    ],
)
def test_boxes(solution: str, boxed: list[str]) -> None:
    assert find_boxed(solution) == boxed


def test_the_directory_form_of_math_is_read_in_natural_order(tmp_path: Path) -> None:
    for name in ("algebra/10.json", "algebra/2.json", "geometry/1.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(MATH_ROW))
    ids = [problem.id for problem in read_math(tmp_path, split="train")]
    assert ids == ["math/train/algebra/2", "math/train/algebra/10", "math/train/geometry/1"]


def test_any_json_lines_by_a_field_map(tmp_path: Path) -> None:
    path = write(
        tmp_path / "q.jsonl", {"q": "1+1?", "a": 2, "n": 17, "unit": "apples"}, {"q": "?", "a": "x", "unit": None}
    )
    fields = Fields(question="q", answer="a", id="n", solution=None, tags=("unit",))
    first, second = read_mapped(path, source="mine", split="dev", licence="CC0", fields=fields)
    assert (first.id, first.question, first.answer, first.tags) == ("17", "1+1?", "2", {"unit": "apples"})
    assert (second.id, second.licence, second.source, second.split) == ("mine/dev/1", "CC0", "mine", "dev")


@pytest.mark.parametrize("name", ["p.jsonl", "p.jsonl.gz"])
def test_our_own_format_round_trips_and_is_the_same_bytes_each_time(tmp_path: Path, name: str) -> None:
    problems = [
        Problem("a/1", "q “quoted” \u2028", "1", "a", "train", solution="s", level="2", subject="x", tags={"k": [1]}),
        Problem("a/2", "q", "", "a", "test"),
    ]
    assert write_problems(tmp_path / name, iter(problems)) == 2
    before = (tmp_path / name).read_bytes()
    assert list(read_problems(tmp_path / name)) == problems
    write_problems(tmp_path / name, problems)
    assert (tmp_path / name).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    write_problems(path, [Problem("a", "q", "1", "s", "x")])
    before = path.read_bytes()

    def broken() -> Iterator[Problem]:
        yield Problem("b", "q", "1", "s", "x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_problems(path, broken())
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_every_reader_applies_patches(tmp_path: Path) -> None:
    own = Problem("gsm8k/t/0", GSM8K_ROW["question"], "7", "gsm8k", "t")
    patch = Patch("gsm8k/t/0", problem_hash(own), "7", PatchAction.REPLACE, "typo", "2026-01-01", new_answer="8")
    patches = {patch.problem_id: patch}
    (problem,) = read_gsm8k(write(tmp_path / "a", GSM8K_ROW), split="t", patches=patches)
    assert problem.answer == "8"
    write_problems(tmp_path / "b", [own])
    assert [p.answer for p in read_problems(tmp_path / "b", patches=patches)] == ["8"]
    row = {"question": own.question, "answer": "7"}
    assert [p.answer for p in read_mapped(write(tmp_path / "c", row), source="gsm8k", split="t", patches=patches)] == [
        "8"
    ]
    math = write(tmp_path / "d", MATH_ROW | {"id": "m/0"})
    (found,) = read_math(math, split="t")
    removed = {"m/0": Patch("m/0", problem_hash(found), found.answer, PatchAction.REMOVE, "r", "2026-01-01")}
    assert list(read_math(math, split="t", patches=removed)) == []


def test_reading_is_lazy_and_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl"
    row = json.dumps(GSM8K_ROW | {"pad": "x" * 500}) + "\n"
    with path.open("w") as file:
        for _ in range(20_000):
            file.write(row)
        file.write("broken\n")
    first = list(itertools.islice(read_gsm8k(path, split="t"), 3))
    assert len(first) == 3  # the broken last line was not reached
    tracemalloc.start()
    count = sum(1 for _ in itertools.islice(read_gsm8k(path, split="t"), 20_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 20_000 * 200  # a hash an id, to see ids that occur twice; the rows themselves are gone


GOOD_LINE = json.dumps(GSM8K_ROW).encode() + b"\n"
BAD_FILES: dict[str, tuple[bytes | None, list[str]]] = {
    "missing": (None, ["no such file", "check the path"]),
    "empty": (b"", ["empty", "one JSON object a line"]),
    "only blank lines": (b"\n \n", ["empty"]),
    "broken line": (GOOD_LINE + b'{"a": \n', ["line 2", "not JSON", "correct"]),
    "not an object": (b"[1]\n", ["line 1", "expected a JSON object", "[1]"]),
    "deep": (b"[" * 100_000 + b"\n", ["line 1", "not JSON"]),
    "huge integer": (b'{"n": ' + b"9" * 5000 + b"}", ["line 1", "not JSON"]),
    "not a number": (b'{"n": NaN}', ["line 1", "not JSON", "NaN"]),
    "latin-1": ('{"q": "café"}'.encode("latin-1"), ["line 1", "not UTF-8", "0xe9", "iconv"]),
    "wrong field": (b'{"problem": "x"}', ["line 1", "'answer'", "found problem", "field map"]),
    "not a text": (b'{"question": 5, "answer": "#### 1"}', ["line 1", "'question'", "must be a text", "5"]),
    "half a character": (b'{"question": "\\ud800", "answer": "#### 1"}', ["line 1", "'question'", "surrogate"]),
    "no answer mark": (b'{"question": "q", "answer": "seven"}', ["line 1", "'answer'", "#### x"]),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_say_what_is_wrong_where_and_what_to_do(tmp_path: Path, case: str) -> None:
    content, expected = BAD_FILES[case]
    path = tmp_path / "bad.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_gsm8k(path, split="train"))
    message = str(caught.value)
    assert str(path) in message
    for part in expected:
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[10:],
        lambda data: data[: len(data) // 2],
        lambda data: data[:40] + b"\x00\xff" * 30 + data[100:],
        lambda data: data[:-6] + b"\x00\x00" + data[-4:],
    ],
    ids=["not gzip", "cut off", "overwritten", "wrong checksum"],
)
def test_a_damaged_gzip_file_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    rows = "".join(json.dumps(GSM8K_ROW | {"id": os.urandom(30).hex()}) + "\n" for _ in range(300))
    path = tmp_path / "bad.jsonl.gz"
    path.write_bytes(damage(gzip.compress(rows.encode())))
    with pytest.raises(DataError, match=r"bad\.jsonl\.gz, after line \d+: the gzip file is damaged"):
        list(read_gsm8k(path, split="train"))


def test_more_bad_input(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \.json file in this directory"):
        list(read_math(tmp_path, split="train"))
    (tmp_path / "1.json").write_text("{")
    with pytest.raises(DataError, match=r"1\.json: not JSON"):
        list(read_math(tmp_path, split="train"))
    with pytest.raises(DataError, match="is a directory"):
        read_patches(tmp_path)
    with pytest.raises(DataError, match=r"line 1: not a problem of ours: .*unknown field 'nonsense'"):
        list(read_problems(write(tmp_path / "p.jsonl", {"nonsense": 1})))
    with pytest.raises(DataError, match="no field 'unit' for the tags"):
        list(read_mapped(write(tmp_path / "t.jsonl", {"question": "q", "answer": "1"}), source="s", split="t",
                        fields=Fields(tags=("unit",))))  # fmt: skip
    with pytest.raises(DataError, match="no field 'answer'"):
        list(read_mapped(write(tmp_path / "u.jsonl", {"question": "q"}), source="s", split="t"))
    with pytest.raises(StoreError, match="cannot be written"):
        write_problems(tmp_path / "1.json" / "x.jsonl", [])


def test_the_hub_without_its_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"mario-math\[hf\]"):
        next(read_gsm8k("hub:openai/gsm8k", split="train"))


def test_the_library_of_the_hub_reads_lazily_and_gives_the_same_problems(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "data").mkdir()
    file = write(tmp_path / "data" / "train.jsonl", GSM8K_ROW, GSM8K_ROW | {"question": "Another?"})
    (tmp_path / "README.md").write_text("---\nconfigs:\n- config_name: main\n  data_files: data/*.jsonl\n---\n")
    assert list(read_gsm8k(f"hub:{tmp_path}", split="train")) == list(read_gsm8k(file, split="train"))


def test_a_hub_that_cannot_be_reached_is_a_data_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True, raising=False)
    with pytest.raises(DataError, match=r"hub:nobody/nothing: cannot be read .* give its path"):
        next(read_math("hub:nobody/nothing", split="train"))


@pytest.mark.realdata
def test_real_gsm8k_and_math_are_read_whole() -> None:
    root = Path(os.environ.get("MARIO_DATA", ""))
    if "MARIO_DATA" not in os.environ or not root.is_dir():
        pytest.skip("MARIO_DATA names no folder with the real data sets: GSM8K and MATH were NOT read")
    gsm8k = list(read_gsm8k(root / "gsm8k" / "train.jsonl.gz", split="train"))
    assert len({problem.id for problem in gsm8k}) == 7473
    assert all(problem.answer and problem.solution for problem in gsm8k)
    math = list(read_math(root / "math" / "train.jsonl.gz", split="train"))
    assert len({problem.id for problem in math}) == 7500
    assert sum("defect" in problem.tags for problem in math) == 2
    assert sum("boxed" in problem.tags for problem in math) == 114
    assert sum(problem.level is None for problem in math) == 2
