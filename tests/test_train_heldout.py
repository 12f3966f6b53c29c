"""Problems solved while training, and rows whose loss is measured. What must stay true:

- they leave no trace in training: weights and losses are those of a run without them, with dropout too;
- the loss on held-out rows is that of the written model, the mean over all their trained tokens;
- what is held out is not what is learnt;
- the results stand in the line of their step, with n and interval, and in the manifest; a resumed run keeps them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mario.cli.train_heldout import HeldOutConfig, held_out
from mario.data.readers import read_problems, write_problems
from mario.engine import checkpoint
from mario.errors import DataError, StoreError, UsageError
from mario.estimate import wilson
from mario.provenance import content_hash, to_json
from mario.store import ShardWriter
from mario.train.config import LoraConfig
from mario.train.heldout import HeldOut
from mario.train.sft import SourceSet, train_sft
from mario.transcript import format_named
from mario.types import Observation, ObservationStatus, Problem, Sampling, Step, StopReason, Trajectory

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")
pytest.importorskip("peft")
from test_train import CONFIG, Lessons, curve, plain_loss, weights  # noqa: E402
from tiny import tiny_model  # noqa: E402


class OneLesson:
    """The same solution again and again: even a tiny model learns it by heart."""

    def __iter__(self) -> Iterator[Trajectory]:
        steps = (Step("A", "print(7)", Observation("7", ObservationStatus.OK)), Step("B"))
        spans = format_named("inline").render("q?", steps, "7").spans
        for i in range(160):
            yield Trajectory(f"p{i}", 0, "inline", "t", Sampling(), steps, StopReason.ANSWERED, "7", spans)


SOURCES = [SourceSet("one", OneLesson(), "sha256:one")]
LEARN = replace(CONFIG, epochs=2, learning_rate=2e-2, tokens_per_step=900, max_tokens=900, max_row_tokens=300)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base") / "tiny", spread=0.05)


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    write_problems(path, [Problem(f"h{i}", "q?", "7" if i else "8", "own", "dev") for i in range(3)])
    return path


@pytest.mark.parametrize("packing", [False, True])
def test_a_model_that_learns_solves_with_the_interpreter(
    base: Path, problems: Path, tmp_path: Path, packing: bool
) -> None:
    said: list[str] = []
    trial = held_out(HeldOutConfig(problems, every_steps=20, max_new_tokens=60), [], said.append)
    heard: list[Any] = []
    config = replace(LEARN, packing=packing, epochs=5)
    result = train_sft(config, SOURCES, str(base), tmp_path / "out", heard.append, held_out=trial)
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    tried = {line["step"]: line["heldout"] for line in lines if "heldout" in line}
    assert sorted(tried) == [*range(20, result.steps, 20), result.steps]
    assert all(found["n"] == 3 for found in tried.values())
    last = tried[result.steps]
    assert last["value"] == pytest.approx(2 / 3)  # by heart: one reference is another on purpose
    assert 0 < last["low"] < last["value"] < last["high"] < 1
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["counts"]["heldout"] == last
    (said_of,) = manifest["counts"]["heldout_inputs"].items()
    assert said_of == (
        "problems/problems.jsonl",
        content_hash([to_json(problem) for problem in read_problems(problems)]),
    )
    assert f"| held out | problems/problems.jsonl `{said_of[1]}` |" in (tmp_path / "out" / "README.md").read_text()
    assert str(heard[-1]).endswith("held out 67 % of 3")
    assert "| held-out problems solved at the end | 67 % of 3 (95 %: " in (tmp_path / "out" / "README.md").read_text()
    assert said == []


def solve_by_chance(network: Any, tokenizer: Any) -> Any:
    assert not network.training and tokenizer.eos_token_id is not None
    torch.rand(100)  # whatever is drawn here is none of training's business
    return wilson(1, 2)


def test_solving_leaves_no_trace_in_training(base: Path, tmp_path: Path) -> None:
    config = replace(LEARN, epochs=1, lora=LoraConfig(rank=2, dropout=0.2))
    plain = train_sft(config, SOURCES, str(base), tmp_path / "plain")
    trial = HeldOut(solve_by_chance, 3, Lessons(4))
    tried = train_sft(config, SOURCES, str(base), tmp_path / "tried", held_out=trial)
    assert weights(plain.directory) == weights(tried.directory)
    assert curve(plain.directory) == curve(tried.directory)
    assert not any("heldout" in line for line in (plain.directory / "metrics.jsonl").read_text().splitlines())


@pytest.mark.parametrize("packing", [False, True])
def test_the_loss_on_held_out_rows_is_the_written_models(base: Path, tmp_path: Path, packing: bool) -> None:
    config = replace(LEARN, epochs=1, packing=packing, lora=LoraConfig(rank=2, dropout=0.2))
    heard: list[Any] = []
    trial = HeldOut(None, 4, Lessons(9))
    result = train_sft(config, SOURCES, str(base), tmp_path, heard.append, held_out=trial)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    measured = {line["step"]: line["heldout_loss"] for line in lines if "heldout_loss" in line}
    assert sorted(measured) == [*range(4, result.steps, 4), result.steps]
    model = checkpoint.load_model(tmp_path, dtype="float32", device="cpu")
    expected = plain_loss(model, trial.rows(checkpoint.load_tokenizer(base), config, 1024)).item()
    assert measured[result.steps] == pytest.approx(expected, rel=1e-4)
    assert len(set(measured.values())) == len(measured)
    assert not any("heldout" in line for line in lines)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["counts"]["heldout_loss"] == measured[result.steps]
    assert f"| loss on held-out rows at the end | {expected:.3f} |" in (tmp_path / "README.md").read_text()
    assert str(heard[-1]).endswith(f"held-out loss {expected:.3f}")


def test_held_out_rows_that_are_learnt_or_cannot_be_read_are_refused(
    base: Path, problems: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shards = ShardWriter(own / "kept")
    for trajectory in Lessons(3):
        shards.append(replace(trajectory, problem_id=f"h{trajectory.problem_id.rpartition('-')[2]}"))
    shards.seal()
    (own / "problems.jsonl").write_bytes(problems.read_bytes())
    trial = held_out(HeldOutConfig(rows=own, limit_rows=2), [], print)
    assert trial is not None and trial.solve is None
    assert list(trial.inputs) == ["rows/own"]
    assert len(trial.rows(checkpoint.load_tokenizer(base), LEARN, 1024)) == 2
    with pytest.raises(DataError, match=r"heldout\.rows: no row .*2 too_long, first h0#0: "):
        trial.rows(checkpoint.load_tokenizer(base), LEARN, 20)
    with pytest.raises(DataError, match=r"answered in the data to train on; name others as heldout\.rows"):
        held_out(HeldOutConfig(rows=own), [own / "kept"], print)
    with pytest.raises(StoreError, match="does not exist; make it with: mario annotate"):
        held_out(HeldOutConfig(rows=tmp_path / "absent"), [], print)


def test_a_stopped_run_keeps_what_was_tried(base: Path, tmp_path: Path) -> None:
    config = replace(LEARN, epochs=1, save_seconds=0)

    class Stop(Exception):
        pass

    def stop(progress: Any) -> None:
        if progress.step == 5:
            raise Stop

    with pytest.raises(Stop):
        train_sft(config, SOURCES, str(base), tmp_path, stop, held_out=HeldOut(solve_by_chance, 2, Lessons(4)))
    heard: list[Any] = []
    train_sft(config, SOURCES, str(base), tmp_path, heard.append, held_out=HeldOut(solve_by_chance))
    assert heard[0].solved == wilson(1, 2) and 0 < heard[0].held_out_loss < 10
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "heldout" in line] == [2, 4, lines[-1]["step"]]


def test_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    assert held_out(HeldOutConfig(), [], print) is None
    with pytest.raises(UsageError, match=r"heldout\.every_steps must be a positive integer, got 0"):
        HeldOutConfig(every_steps=0)
    empty = tmp_path / "problems.jsonl"
    empty.write_text("")
    with pytest.raises(DataError, match="the file is empty"):
        held_out(HeldOutConfig(empty), [], print)


def test_a_problem_that_is_learnt_is_not_held_out(tmp_path: Path, problems: Path) -> None:
    rows = tmp_path / "taught" / "kept"
    rows.mkdir(parents=True)
    (rows / "00000.jsonl").write_text('{"problem_id": "h1"}\n')
    (tmp_path / "taught" / "problems.jsonl").write_bytes(problems.read_bytes())
    with pytest.raises(DataError, match=r"3 of the 3 problems of .*, h0 first; name others"):
        held_out(HeldOutConfig(problems), [rows], print)


def test_the_curve_is_a_figure_of_the_metrics(tmp_path: Path) -> None:
    from mario.report.training import curve_table, read_metrics, running_mean, training_figure

    assert read_metrics(tmp_path) == []
    rate = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 10}
    lines = [{"step": i, "loss": 4.0 - i / 20, "tokens": 100 * i} for i in range(1, 61)]
    lines[29]["heldout"] = rate
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    figure = training_figure(read_metrics(tmp_path))
    loss, mean, solved = figure["data"]
    assert loss["x"][:2] == [100, 200] and loss["y"][0] == pytest.approx(3.95)
    assert mean["y"] == running_mean(loss["y"]) and mean["y"][2] == pytest.approx(sum(loss["y"][:3]) / 3)
    assert (solved["x"], solved["y"], solved["error_y"]["array"]) == ([3000], [50], [25])
    assert len(training_figure(lines[:29])["data"]) == 2
    lines[9]["heldout_loss"] = 3.25
    held = training_figure(lines)["data"][2]
    assert (held["name"], held["x"], held["y"]) == ("held-out loss", [1000], [3.25])
    table = curve_table(lines)
    assert table.header[3] == "held-out loss"
    assert [(row[0], row[3]) for row in table.texts() if row[3] != "–"] == [("10", "3.250")]
    json.dumps(figure)
