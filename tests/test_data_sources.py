"""Sources: the same rows give the same problems whatever they lie in; `mario data inspect` misses none of them."""

from __future__ import annotations

import gzip
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mario.cli.app import main
from mario.cli.inspect import guess_source, read_reference
from mario.data.readers import Fields, read_gsm8k, read_mapped, write_problems
from mario.data.rows import read_rows
from mario.data.survey import Reading, survey
from mario.data.wordproblems import generate
from mario.errors import DataError, MissingExtra
from mario.types import Problem

ROWS = [
    {"question": f"What is {n} + {n}?", "answer": f"{n}+{n}=<<{n}+{n}={2 * n}>>{2 * n}\n#### {2 * n}"}
    for n in range(1, 9)
]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def parquet(path: Path, rows: list[dict[str, Any]], group: int = 3) -> Path:
    table = pytest.importorskip("pyarrow").Table.from_pylist(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    pytest.importorskip("pyarrow.parquet").write_table(table, path, row_group_size=group)
    return path


def csv_file(path: Path, rows: list[dict[str, Any]]) -> Path:
    import csv

    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)
    return path


CONTAINERS: dict[str, Callable[[Path], Path | str]] = {
    "gzip": lambda folder: jsonl(folder / "a.jsonl.gz", ROWS),
    "parquet": lambda folder: parquet(folder / "a.parquet", ROWS),
    "csv": lambda folder: csv_file(folder / "a.csv", ROWS),
    "tsv": lambda folder: csv_file(folder / "a.tsv", ROWS),
    "shards": lambda folder: shards(folder / "a"),
    "hub": lambda folder: f"hub:{hub(folder / 'a')}",
}


def shards(folder: Path) -> Path:
    """As the hub stores a data set: one configuration, two splits, shards in their order."""
    parquet(folder / "main" / "train-00000-of-00002.parquet", ROWS[:5])
    parquet(folder / "main" / "train-00001-of-00002.parquet", ROWS[5:])
    parquet(folder / "main" / "test-00000-of-00001.parquet", ROWS[:1])
    return folder


def hub(folder: Path) -> Path:
    pytest.importorskip("datasets")
    shards(folder)
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    path: main/train-*\n"
        "  - split: test\n    path: main/test-*\n---\n"
    )
    return folder


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_container_makes_no_difference(tmp_path: Path, container: str) -> None:
    expected = list(read_gsm8k(jsonl(tmp_path / "plain.jsonl", ROWS), split="train"))
    assert list(read_gsm8k(CONTAINERS[container](tmp_path), split="train")) == expected
    assert len(expected) == 8


def test_the_other_split_of_a_folder_and_of_the_hub(tmp_path: Path) -> None:
    assert len(list(read_gsm8k(shards(tmp_path / "s"), split="test"))) == 1
    assert len(list(read_gsm8k(f"hub:{hub(tmp_path / 'h')}", split="test"))) == 1
    fields = Fields(solution="answer")
    mapped = list(read_mapped(f"hub:{tmp_path / 'h'}#main", source="x", split="test", fields=fields))
    assert [problem.id for problem in mapped] == ["x/test/0"]


def test_nested_fields_licences_and_numbers(tmp_path: Path) -> None:
    row = {"prompt": [{"content": "1/4?"}], "label": {"value": 0.25}, "meta": {"level": 3}, "license": "CC-BY-4.0"}
    fields = Fields(question="prompt.0.content", answer="label.value", level="meta.level", tags=("meta",))
    expected = Problem(
        "m/train/0", "1/4?", "0.25", "m", "train", level="3", licence="CC-BY-4.0", tags={"meta": {"level": 3}}
    )
    for path in (jsonl(tmp_path / "a.jsonl", [row]), parquet(tmp_path / "a.parquet", [row])):
        assert list(read_mapped(path, source="m", split="train", licence="MIT", fields=fields)) == [expected]
    plain = jsonl(tmp_path / "b.jsonl", [{"question": "q", "answer": "1"}])
    assert next(read_mapped(plain, source="m", split="train", licence="MIT")).licence == "MIT"


def test_dates_in_tables_are_written_out(tmp_path: Path) -> None:
    import datetime

    row = {"question": "q", "answer": "1", "made": datetime.date(2026, 1, 31), "x": float("nan")}
    path = parquet(tmp_path / "a.parquet", [row])
    (found,) = read_mapped(path, source="m", split="s", fields=Fields(tags=("made",), level="x"))
    assert (found.tags, found.level) == ({"made": "2026-01-31"}, None)
    write_problems(tmp_path / "p.jsonl", [found])


def test_parquet_is_read_by_row_groups(tmp_path: Path) -> None:
    rows = [{"question": f"{n} " + os.urandom(500).hex(), "answer": "1"} for n in range(8000)]
    path = parquet(tmp_path / "a.parquet", rows, group=500)
    del rows
    next(read_rows(path, ""))  # imports
    tracemalloc.start()
    assert sum(1 for _ in read_rows(path, "")) == 8000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < path.stat().st_size / 3


def test_parquet_without_its_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path / "a.parquet", ROWS)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"mario-math\[data\]"):
        next(read_rows(path, ""))


def test_the_manifest_names_what_was_read(tmp_path: Path) -> None:
    found = []
    for source in (jsonl(tmp_path / "a.jsonl", ROWS), shards(tmp_path / "s")):
        assert main(["data", "gsm8k", str(source), "--out", str(tmp_path / "out")]) == 0
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
        assert manifest["counts"] == {"problems": 8}
        found.append(manifest["inputs"][source.name])
    (tmp_path / "s" / "more").write_text("x")
    assert main(["data", "gsm8k", str(tmp_path / "s"), "--out", str(tmp_path / "out")]) == 0
    found.append(json.loads((tmp_path / "out" / "manifest.json").read_text())["inputs"]["s"])
    assert len(set(found)) == 3


# --- inspect


def problems() -> list[Problem]:
    rows = [
        Problem(f"p/{n}", f"Question {n % 4}?", answer, "mine", "train", level=str(n % 2), licence="CC0")
        for n, answer in enumerate(["1", "\\frac{1}{2}", "x+1", "(1, 2)", "\\frac{1}{", ""])
    ]
    return [*rows, Problem("q/0", "Another?", "7", "other", "test", solution="It is 7.")]


def test_a_survey_counts_everything_once() -> None:
    found = survey(problems, read_reference, samples=2)
    assert found.problems == 7
    assert found.counts["source"] == {"mine": 6, "other": 1}
    assert found.counts["level"] == {"0": 3, "1": 3, "(none)": 1}
    assert sum(found.counts["answer"].values()) == 7
    assert found.duplicates == 2
    assert found.same_question == (("p/0", "p/4"), ("p/1", "p/5"))
    assert [row.id for row in found.unread] == ["p/4", "p/5"]
    assert found.lengths["solution"].problems == 1
    assert (found.lengths["answer"].shortest, found.lengths["answer"].longest) == (1, 11)
    assert len(found.samples) == 2
    again = survey(lambda: reversed(problems()), read_reference, samples=2)
    assert again.samples == found.samples  # chosen by id, whatever the order


def test_a_survey_does_not_grow_with_the_texts() -> None:
    def many() -> Iterator[Problem]:
        for n in range(20_000):
            yield Problem(f"p/{n}", f"{n} " + "x" * 2000, "1", "mine", "train")

    tracemalloc.start()
    found = survey(many, lambda _: Reading("Real"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.problems == 20_000 and found.duplicates == 0
    assert peak < 4_000_000  # the questions are 40 MB


def test_inspect_knows_what_a_file_holds(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    gsm = jsonl(tmp_path / "g.jsonl", ROWS)
    math = jsonl(
        tmp_path / "m.jsonl", [{"problem": "p", "solution": "\\boxed{1}", "level": "Level 1", "type": "Algebra"}]
    )
    rows = jsonl(tmp_path / "r.jsonl", [{"question": "q", "answer": "1"}])
    own = tmp_path / "own" / "problems.jsonl"
    write_problems(own, generate("train", 10, 0, (1, 2), (1,)))
    kinds = [guess_source(str(path)) for path in (gsm, math, rows, own)]
    assert kinds == ["gsm8k", "math", "jsonl", "problems"]
    assert main(["data", "inspect", str(tmp_path / "own")]) == 0
    told = capfd.readouterr().out
    assert told.startswith("problems 10\n")
    assert "not read    0 references" in told
    assert main(["data", "inspect", "gsm8k", str(gsm), "--limit", "3", "--json", "--samples", "0"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["problems"], found["counts"]["answer"], found["counts"]["licence"]) == (3, {"Real": 3}, {"MIT": 3})
    assert main(["data", "inspect", str(math), "--split", "test"]) == 0
    assert "Algebra 1" in capfd.readouterr().out


def test_a_survey_stops_at_a_broken_line(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", ROWS)
    path.write_bytes(path.read_bytes() + b"{")
    with pytest.raises(DataError, match="line 9: not JSON"):
        survey(lambda: read_gsm8k(path, split="train"), read_reference)


@pytest.mark.realdata
def test_the_references_of_real_math_and_gsm8k_are_read(capfd: pytest.CaptureFixture[str]) -> None:
    if "MARIO_DATA" not in os.environ:
        pytest.skip("MARIO_DATA names no folder with the real data sets: GSM8K and MATH were NOT surveyed")
    root = Path(os.environ["MARIO_DATA"])
    assert main(["data", "inspect", str(root / "math" / "train.jsonl.gz"), "--json"]) == 0
    math = json.loads(capfd.readouterr().out)
    assert math["problems"] == 7500
    assert [row["id"] for row in math["unread"]] == ["train/number_theory/7115.json", "train/number_theory/7117.json"]
    assert main(["data", "inspect", str(root / "gsm8k" / "train.jsonl.gz"), "--json"]) == 0
    gsm8k = json.loads(capfd.readouterr().out)
    assert (gsm8k["problems"], gsm8k["duplicates"], gsm8k["counts"]["answer"]) == (7473, 0, {"Real": 7473})
    assert "unread" not in gsm8k
