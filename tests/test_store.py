"""Whatever moment a writer is killed at, what was durable is there, whole, and nothing else."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario.errors import DataError, StoreError
from mario.provenance import canonical_json, content_hash, derive_seed, from_json, make_manifest, to_json
from mario.store import AppendLog, Journal, RunStore, ShardWriter, read_jsonl, scan_shards, verify_shards
from mario.store.jsonl import write_jsonl
from mario.store.run import read_manifest
from mario.types import Failure, Observation, ObservationStatus, Sampling, Source, Span, Step, StopReason, Trajectory

text = st.text(st.characters())
trajectories = st.builds(
    Trajectory,
    problem_id=text,
    sample_index=st.integers(0, 9),
    format=st.just("inline"),
    model=text,
    sampling=st.builds(Sampling, temperature=st.floats(0, 2), seed=st.integers(0, 2**63)),
    steps=st.lists(
        st.builds(
            Step,
            text,
            st.none() | text,
            st.none() | st.builds(Observation, text, st.sampled_from(ObservationStatus), st.floats(0, 9)),
        )
    ).map(tuple),
    stop_reason=st.sampled_from(StopReason),
    answer=st.none() | text,
    spans=st.lists(
        st.builds(Span, text, st.sampled_from(Source), st.none() | st.lists(st.integers(0, 9)).map(tuple))
    ).map(tuple),
    tags=st.dictionaries(text, st.integers() | text),
)


def trajectory(name: str, index: int = 0) -> Trajectory:
    return Trajectory(name, index, "inline", "m", Sampling(), (Step("t"),), StopReason.ANSWERED, "1")


@given(trajectories)
def test_records_survive_json(record: Trajectory) -> None:
    assert from_json(Trajectory, json.loads(json.dumps(to_json(record)))) == record


@given(st.dictionaries(text, st.integers() | text))
def test_hashes_ignore_key_order(value: dict[str, object]) -> None:
    backwards = dict(reversed(list(value.items())))
    assert canonical_json(value) == canonical_json(backwards)
    assert content_hash(value) == content_hash(backwards)
    assert content_hash(value).startswith("sha256:")


def test_seeds_depend_on_every_part_and_on_nothing_else() -> None:
    assert derive_seed(1, "a", 0) == derive_seed(1, "a", 0)
    assert len({derive_seed(1, "a", 0), derive_seed(1, "a", 1), derive_seed(1, "b", 0), derive_seed(2, "a", 0)}) == 4
    assert 0 <= derive_seed("x") < 2**63


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"thought": "a", "cod": "b"}, "unknown field 'cod'"),
        ({"thought": 3}, r"Step\.thought: expected str, got 3"),
        ({"thought": "a", "observation": {"output": "", "status": "fine"}}, "none of"),
        ({}, "thought"),
    ],
)
def test_broken_records_name_the_field(value: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        from_json(Step, value)


@settings(max_examples=50)
@given(st.lists(st.dictionaries(text, text), min_size=1, max_size=5), st.data())
def test_a_log_cut_at_any_byte_keeps_exactly_its_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("log") / "a.jsonl"
    lines = [json.dumps(row).encode() + b"\n" for row in rows]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    log = AppendLog(path)
    kept = whole[:cut].count(b"\n")
    log.append(b'{"new": 1}\n')
    log.commit()
    log.close()
    assert [row for _, row in read_jsonl(path)] == [*rows[:kept], {"new": 1}]


def test_journal_answers_again_after_reopening(tmp_path: Path) -> None:
    async def write() -> None:
        journal = Journal(tmp_path / "j.jsonl")
        await asyncio.gather(*(journal.put(f"k{i}", {"n": i}, problem="p") for i in range(200)))
        journal.close()

    asyncio.run(write())
    journal = Journal(tmp_path / "j.jsonl")
    assert len(journal) == 200
    assert journal.get("k7") == {"n": 7}
    assert journal.get("nothing") is None
    journal.close()


def test_journal_groups_its_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (syncs.append(fd), real(fd)))

    async def write() -> None:
        journal = Journal(tmp_path / "j.jsonl")
        await asyncio.gather(*(journal.put(f"k{i}", i) for i in range(1000)))
        journal.close()

    asyncio.run(write())
    assert 1 <= len(syncs) <= 20


def test_durable_answers_survive_kill_9(tmp_path: Path) -> None:
    script = """
import asyncio, sys
from pathlib import Path
from mario.store import Journal
async def main():
    journal = Journal(Path(sys.argv[1]))
    i = 0
    while True:
        await journal.put(f"k{i}", "x" * 1000)
        print(i, flush=True)
        i += 1
asyncio.run(main())
"""
    path = tmp_path / "j.jsonl"
    child = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    told = 0
    for line in child.stdout:
        told = int(line)
        if told >= 20:
            child.send_signal(signal.SIGKILL)
            break
    child.wait()
    child.stdout.close()
    journal = Journal(path)
    assert all(journal.get(f"k{i}") == "x" * 1000 for i in range(told + 1))
    journal.close()


def test_a_foreign_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"a": 1}\n')
    with pytest.raises(StoreError, match="line 1 is no journal record"):
        Journal(path)


def test_shards_count_when_sealed(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path / "t", rows_per_shard=2)
    for i in range(3):
        writer.append(trajectory(str(i)))
    writer.close()
    with pytest.raises(StoreError, match="not sealed"):
        list(scan_shards(tmp_path / "t", Trajectory))
    again = ShardWriter(tmp_path / "t", rows_per_shard=2)
    again.append(trajectory("3"))
    again.append(trajectory("4"))
    again.seal()
    assert [t.problem_id for t in scan_shards(tmp_path / "t", Trajectory)] == list("01234")
    assert verify_shards(tmp_path / "t").startswith("sha256:")
    (tmp_path / "t" / "00000.jsonl").write_text("{}\n")
    with pytest.raises(StoreError, match="has changed since"):
        verify_shards(tmp_path / "t")
    with pytest.raises(StoreError, match=r"row 1: .*missing"):
        list(scan_shards(tmp_path / "t", Trajectory))


def test_missing_sets_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="run the stage that makes it"):
        list(scan_shards(tmp_path / "none", Trajectory))


def test_a_run_resumes_under_its_recipe_only(tmp_path: Path) -> None:
    first = make_manifest("evaluate", {"solve": {"samples": 1}})
    with RunStore(tmp_path / "run", first) as run:
        run.add(trajectory("a"))
        run.write_failures([Failure("b", 0, "server gone")])
    with RunStore(tmp_path / "run", make_manifest("evaluate", {"solve": {"samples": 1}})) as run:
        assert run.done == {("a", 0)}
        run.add(trajectory("b"))
        run.finish({"answered": 2}, 1.5)
    assert [t.problem_id for t in scan_shards(tmp_path / "run" / "trajectories", Trajectory)] == ["a", "b"]
    assert read_manifest(tmp_path / "run").counts == {"answered": 2}
    with pytest.raises(StoreError, match=r"recipe\.solve\.samples = 1, and this command says 4"):
        RunStore(tmp_path / "run", make_manifest("evaluate", {"solve": {"samples": 4}}))


def test_two_writers_are_refused(tmp_path: Path) -> None:
    manifest = make_manifest("evaluate", {})
    with RunStore(tmp_path, manifest), pytest.raises(StoreError, match="in use by another process"):
        RunStore(tmp_path, manifest)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": \n', "line 2: not JSON"),
        (b"[1]\n", r"line 1: expected a JSON object, got \[1\]"),
        (b'{"a": "\xff"}\n', "line 1: not UTF-8"),
        (b'{"a": ' + b"[" * 100_000 + b"\n", "line 1: not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}\n", "line 1: not JSON"),
        (b'{"a": NaN}\n', "line 1: not JSON"),
    ],
)
def test_broken_lines_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(read_jsonl(path))


def test_missing_file_and_damaged_gzip_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file; check the path"):
        list(read_jsonl(tmp_path / "no.jsonl"))
    with pytest.raises(DataError, match="is a directory"):
        list(read_jsonl(tmp_path))
    (tmp_path / "a.jsonl.gz").write_bytes(b"plain")
    with pytest.raises(DataError, match="gzip"):
        list(read_jsonl(tmp_path / "a.jsonl.gz"))


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    def rows() -> Iterator[dict[str, int]]:
        yield {"a": 1}
        raise KeyboardInterrupt

    write_jsonl(tmp_path / "a.jsonl", [{"a": 0}])
    with pytest.raises(KeyboardInterrupt):
        write_jsonl(tmp_path / "a.jsonl", rows())
    assert [row for _, row in read_jsonl(tmp_path / "a.jsonl")] == [{"a": 0}]
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_has_not_are_null_everywhere(tmp_path: Path, number: float) -> None:
    # A server's JSON may say 1e999, and Python reads it as infinity: no record may fall over it.
    assert content_hash({"x": number}) == content_hash({"x": None})
    write_jsonl(tmp_path / "a.jsonl", [{"x": [number]}])
    assert [row for _, row in read_jsonl(tmp_path / "a.jsonl")] == [{"x": [None]}]


def test_a_full_disk_is_named_with_its_remedy() -> None:
    log = AppendLog(Path("/dev/full")) if Path("/dev/full").exists() else pytest.skip("no /dev/full here")
    with pytest.raises(StoreError, match=r"no space left.*run the same command again"):
        log.append(b"x\n")
        log.commit()
