"""Training on a tiny real model. What must stay true:

- loss and gradients are those of the plain forward and backward, however a step is cut into micro-batches;
- a run is the plain AdamW loop over the plan, and two runs with one seed are equal;
- a run killed at any moment, then called again, ends with the same weights and the same curve;
- a finished run is not computed again, and a directory never changes its run;
- what stops a run says which step, which rows, or what to type.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mario.engine import checkpoint
from mario.errors import DataError, MarioError, StoreError, TrainingError, UsageError
from mario.provenance import file_hash
from mario.train import directory
from mario.train.batch import draw, plan_steps
from mario.train.config import SftConfig
from mario.train.encode import IGNORED, EncodedRow, encode_all
from mario.train.loop import TrainResult
from mario.train.sft import SourceSet, train_sft
from mario.types import Sampling, Source, Span, StopReason, Trajectory

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
from tiny import tiny_model  # noqa: E402

CONFIG = SftConfig(
    learning_rate=3e-3,
    epochs=3,
    tokens_per_step=400,
    max_tokens=240,
    max_row_tokens=240,
    dtype="float32",
    device="cpu",
    save_dtype="float32",
    save_seconds=3600,
)


class Lessons:
    """Sums with the interpreter or without, made anew each time they are read."""

    def __init__(self, count: int, *, code: bool = True) -> None:
        self.count = count
        self.code = code

    def __iter__(self) -> Iterator[Trajectory]:
        for i in range(self.count):
            a, b = 3 + 7 * i % 61, 5 + 11 * i % 47
            spans = [Span(f"Question: {a} apples and {b} more?\n", Source.PROMPT)]
            if self.code:
                spans.append(Span(f"print({a} + {b})</code>", Source.MODEL))
                spans.append(Span(f"\nOutput: {a + b}\n", Source.INTERPRETER))
            spans.append(Span(f"{'so it is' if i % 3 else 'It is'} {a + b}", Source.MODEL))
            name = "code" if self.code else "text"
            yield Trajectory(f"{name}-{i}", 0, name, "teacher", Sampling(), (), StopReason.ANSWERED, spans=tuple(spans))


SOURCES = [
    SourceSet("code", Lessons(20), "sha256:code"),
    SourceSet("text", Lessons(20, code=False), "sha256:text"),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base") / "tiny", spread=0.02, add_bos=True)


@pytest.fixture(scope="module")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The uninterrupted run that the others are compared with."""
    return train_sft(CONFIG, SOURCES, str(base), tmp_path_factory.mktemp("whole"))


def weights(directory: Path) -> str:
    return file_hash(directory / "model.safetensors")


def curve(directory: Path) -> list[tuple[int, float, float, int]]:
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"], line["grad_norm"], line["tokens"]) for line in lines]


def encoded(base: Path, count: int = 12) -> list[EncodedRow]:
    tokenizer = checkpoint.load_tokenizer(base)
    return list(encode_all(Lessons(count), tokenizer, max_row_tokens=240).rows)


def plain_loss(model: Any, rows: Sequence[EncodedRow]) -> Any:
    """transformers' own labels and loss, one row at a time: no padding, no selection, no micro-batch."""
    total = sum(row.n_trained for row in rows)
    losses = []
    for row in rows:
        ids, labels = torch.tensor([row.input_ids]), torch.tensor([row.labels])
        losses.append(model(input_ids=ids, labels=labels).loss * row.n_trained / total)
    return sum(losses)


def span_trainer(model: Any, rows: Sequence[EncodedRow], steps: Sequence[Any], out: Path, **options: Any) -> Any:
    from transformers import TrainingArguments

    from mario.train.trainer import SpanTrainer, StepDataset

    arguments = TrainingArguments(output_dir=str(out), use_cpu=True, report_to="none", save_strategy="no")
    return SpanTrainer(model=model, args=arguments, train_dataset=StepDataset(rows, steps), **options)


@pytest.mark.parametrize(
    "step", [((0, 1, 2, 3, 4, 5, 6, 7),), ((3,), (0, 7, 1), (2, 4), (5, 6)), tuple((i,) for i in range(8))]
)
def test_loss_and_gradients_are_those_of_the_plain_pass(base: Path, tmp_path: Path, step: Any) -> None:
    rows = encoded(base, 8)
    model = checkpoint.load_model(base, dtype="float32", device="cpu")
    expected = plain_loss(model, rows)
    expected.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    trainer = span_trainer(model, rows, [step], tmp_path)
    loss = trainer.training_step(model, trainer.train_dataset[0])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-4, atol=1e-7, msg=name)


def test_logits_are_computed_at_labelled_positions_only(base: Path) -> None:
    from mario.train.trainer import collate, labelled_logits

    rows = encoded(base, 5)
    model = checkpoint.load_model(base, dtype="float32", device="cpu")
    batch = collate(rows)
    is_labelled = batch["labels"][:, 1:] != IGNORED
    logits, hidden = labelled_logits(model, batch["input_ids"], is_labelled)
    assert logits.shape == (sum(row.n_trained for row in rows), model.config.vocab_size)
    assert hidden.shape == (*batch["input_ids"].shape, model.config.hidden_size)
    torch.testing.assert_close(logits, model(batch["input_ids"]).logits[:, :-1][is_labelled])


def test_sizes_of_products_are_rounded_up(base: Path, tmp_path: Path) -> None:
    """Else torch compiles and keeps one for every size on a CPU; losses and gradients are tested above."""
    rows = encoded(base, 5)
    model = checkpoint.load_model(base, dtype="float32", device="cpu")
    trainer = span_trainer(model, rows, [(tuple(range(5)),)], tmp_path)
    (batch,) = trainer.train_dataset[0]["micro_batches"]
    longest = max(row.n_tokens for row in rows)
    assert batch["input_ids"].shape == (5, longest + -longest % 8)
    _, outputs = trainer.compute_loss(model, batch, return_outputs=True)
    labelled = sum(row.n_trained for row in rows)
    assert longest % 8 and labelled % 32  # else this test sees nothing
    assert len(outputs["logits"]) == labelled + -labelled % 32


def test_where_few_positions_are_left_all_are_read() -> None:
    from mario.train.trainer import some_more

    chosen = torch.tensor([[False, True, False], [True, True, True]])
    assert some_more(chosen, 5).tolist() == [[True, True, False], [True, True, True]]
    assert some_more(chosen, 32).all()
    assert torch.equal(some_more(chosen, 4), chosen)
    assert not some_more(torch.zeros(2, 3, dtype=torch.bool), 32).any()  # wrong solutions alone have no label


def test_a_value_weight_needs_a_trainer_that_has_a_value_loss(base: Path, tmp_path: Path) -> None:
    model = checkpoint.load_model(base, dtype="float32", device="cpu")
    trainer = span_trainer(model, encoded(base, 2), [((0, 1),)], tmp_path, value_weight=0.5)
    with pytest.raises(NotImplementedError, match="trains no value model"):
        trainer.training_step(model, trainer.train_dataset[0])


def test_a_run_is_the_plain_loop_over_the_plan(base: Path, whole: TrainResult) -> None:
    from mario.train.trainer import rate_factor

    tokenizer = checkpoint.load_tokenizer(base)
    rows = {s.name: encode_all(s.trajectories, tokenizer, max_row_tokens=240).rows for s in SOURCES}
    order, _ = draw(rows, seed=0, passes=3, tokens_per_source=None)
    steps = plan_steps([row.n_tokens for row in order], seed=0, max_tokens=240, tokens_per_step=400)
    model = checkpoint.load_model(base, dtype="float32", device="cpu")
    optimizer = torch.optim.AdamW(model.parameters(), lr=CONFIG.learning_rate, weight_decay=0.0)
    losses = []
    for number, step in enumerate(steps):
        loss = plain_loss(model, [order[i] for batch in step for i in batch])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CONFIG.max_grad_norm)
        for group in optimizer.param_groups:
            group["lr"] = CONFIG.learning_rate * rate_factor(number, len(steps), int(0.03 * len(steps)))
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert [loss for _, loss, _, _ in curve(whole.directory)] == pytest.approx(losses, rel=1e-3)
    assert whole.steps == len(steps)
    assert losses[-1] < losses[0] - 1.5


def test_the_rate_rises_then_falls_and_never_wastes_a_step() -> None:
    from mario.train.trainer import rate_factor

    rates = [rate_factor(step, 10, 2) for step in range(10)]
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(1 / 8)
    assert [rate_factor(step, 1, 0) for step in range(2)] == [1, 0]


def test_one_seed_gives_one_model(base: Path, whole: TrainResult, tmp_path: Path) -> None:
    again = train_sft(CONFIG, SOURCES, str(base), tmp_path / "again")
    other = train_sft(replace(CONFIG, seed=1), SOURCES, str(base), tmp_path / "other")
    assert weights(again.directory) == weights(whole.directory) != weights(other.directory)
    assert curve(again.directory) == curve(whole.directory)


def test_the_directory_is_a_model_that_says_how_it_was_made(base: Path, whole: TrainResult) -> None:
    tokenizer = checkpoint.load_tokenizer(whole.directory)
    model = checkpoint.load_model(whole.directory)
    assert model.config.use_cache
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert not (whole.directory / "checkpoints").exists()
    manifest = json.loads((whole.directory / "manifest.json").read_text())
    assert manifest["inputs"] == {
        "model": checkpoint.fingerprint(base),
        "source/code": "sha256:code",
        "source/text": "sha256:text",
    }
    assert manifest["recipe"]["train"]["learning_rate"] == 3e-3
    assert manifest["seconds"] > 0
    rows = encode_all(Lessons(20), tokenizer, max_row_tokens=240).rows
    assert manifest["counts"]["sources"]["code"] == {
        "rows": 60,
        "tokens": 3 * sum(row.n_tokens for row in rows),
        "trained_tokens": 3 * sum(row.n_trained for row in rows),
        "merged_boundaries": 0,
    }
    assert curve(whole.directory)[-1][3] == whole.tokens == sum(s.tokens for s in whole.sources.values())


def test_progress_is_heard_at_every_step_and_weights_can_be_bfloat16(base: Path, tmp_path: Path) -> None:
    heard: list[Any] = []
    config = replace(CONFIG, epochs=1, dtype="bfloat16", save_dtype="bfloat16")
    result = train_sft(config, SOURCES, str(base), tmp_path, heard.append)
    assert [progress.step for progress in heard] == list(range(1, result.steps + 1))
    assert heard[-1].tokens == heard[-1].total_tokens == result.tokens
    assert heard[-1].tokens_per_second > 0
    assert str(heard[-1]).startswith(f"step {result.steps}/{result.steps}  loss {result.last_loss:.3f}  2,446/2,446")
    assert checkpoint.load_model(tmp_path, dtype="auto").dtype == torch.bfloat16
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"


def test_a_finished_run_is_only_read(base: Path, whole: TrainResult) -> None:
    before = (whole.directory / "model.safetensors").stat().st_mtime_ns
    heard: list[Any] = []
    again = train_sft(replace(CONFIG, save_seconds=1.0), SOURCES, str(base), whole.directory, heard.append)
    assert again == whole
    assert not heard
    assert (whole.directory / "model.safetensors").stat().st_mtime_ns == before


def test_a_directory_never_changes_its_run(base: Path, whole: TrainResult) -> None:
    with pytest.raises(StoreError, match=r"was made with train\.learning_rate = 0\.003, and this command says 0\.1"):
        train_sft(replace(CONFIG, learning_rate=0.1), SOURCES, str(base), whole.directory)
    with pytest.raises(StoreError, match="the content of source/text"):
        train_sft(CONFIG, [SOURCES[0], replace(SOURCES[1], content_hash="sha256:new")], str(base), whole.directory)


def test_a_run_that_could_not_begin_binds_no_directory(base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lower train\.tokens_per_source"):
        train_sft(replace(CONFIG, tokens_per_source=10**6), SOURCES, str(base), tmp_path)
    result = train_sft(replace(CONFIG, tokens_per_source=500), SOURCES, str(base), tmp_path)
    assert all(500 - 81 < source.tokens <= 500 for source in result.sources.values())


def test_a_model_that_lies_there_is_not_overwritten(base: Path, tmp_path: Path) -> None:
    there = shutil.copytree(base, tmp_path / "model")
    with pytest.raises(StoreError, match="already holds a model"):
        train_sft(CONFIG, SOURCES, str(there), there)
    assert weights(there) == weights(base)


def test_a_finished_run_without_its_model_is_damaged(base: Path, whole: TrainResult, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes((whole.directory / "manifest.json").read_bytes())
    with pytest.raises(StoreError, match="its model is gone"):
        train_sft(CONFIG, SOURCES, str(base), tmp_path)


RUN = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_train import CONFIG, SOURCES
from dataclasses import replace
from mario.train.sft import train_sft

def slow(progress):
    print(progress.step, flush=True)
    time.sleep({pause})

train_sft(replace(CONFIG, save_seconds={save_seconds}), SOURCES, {base!r}, Path({out!r}), slow)
"""


def start(base: Path, out: Path, *, save_seconds: float, pause: float) -> subprocess.Popen[str]:
    script = RUN.format(
        tests=str(Path(__file__).parent), base=str(base), out=str(out), save_seconds=save_seconds, pause=pause
    )
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_killed_run_ends_with_the_same_weights_and_curve(
    base: Path, whole: TrainResult, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    process = start(base, tmp_path, save_seconds=0.3, pause=0.1)
    assert process.stdout is not None
    wait_until(lambda: any(tmp_path.glob("checkpoints/*/complete")), process)
    saved = next(tmp_path.glob("checkpoints/*/complete")).parent
    wait_until(lambda: len(curve(tmp_path)) > int(saved.name.rpartition("-")[2]) + 1, process)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert len(curve(tmp_path)) < whole.steps

    # What a kill amid saving leaves behind: a later checkpoint without its mark, and a torn line.
    torn = tmp_path / "checkpoints" / f"checkpoint-{whole.steps - 1}"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_step": ')
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": ')

    heard: list[Any] = []
    result = train_sft(CONFIG, SOURCES, str(base), tmp_path, heard.append)
    assert capfd.readouterr() == ("", "")
    assert 0 < result.resumed_from == heard[0].step - 1 < whole.steps
    assert weights(tmp_path) == weights(whole.directory)
    assert curve(tmp_path) == curve(whole.directory)
    assert not (tmp_path / "checkpoints").exists()


def test_a_run_killed_before_its_first_checkpoint_starts_again(
    base: Path, whole: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "_LOCK_SECONDS", 0.2)
    process = start(base, tmp_path, save_seconds=3600, pause=0.2)
    wait_until(lambda: (tmp_path / "metrics.jsonl").exists() and len(curve(tmp_path)) > 1, process)
    with pytest.raises(StoreError, match="in use by another process"):
        train_sft(CONFIG, SOURCES, str(base), tmp_path)
    process.kill()
    process.communicate()
    assert train_sft(CONFIG, SOURCES, str(base), tmp_path).resumed_from == 0
    assert weights(tmp_path) == weights(whole.directory)
    assert curve(tmp_path) == curve(whole.directory)


@pytest.mark.parametrize("limit", [200_000, 500_000])  # the model's weights do not fit; the optimizer's do not
def test_a_full_disk_is_named_and_space_is_all_it_takes(
    base: Path, whole: TrainResult, tmp_path: Path, limit: int
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(StoreError, match=r"space; free some and run the same command again"):
            train_sft(replace(CONFIG, save_seconds=0), SOURCES, str(base), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    train_sft(CONFIG, SOURCES, str(base), tmp_path)
    assert weights(tmp_path) == weights(whole.directory)


def test_a_loss_that_is_not_finite_stops_the_run(base: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"^step [23]: the .* is (nan|inf) on the rows (code|text)-\d+#0"):
        train_sft(replace(CONFIG, learning_rate=1e30), SOURCES, str(base), tmp_path)
    assert json.loads((tmp_path / "manifest.json").read_text()).get("seconds") is None
    assert not (tmp_path / "model.safetensors").exists()


def test_half_a_model_never_looks_whole(
    base: Path, whole: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop while the finished model moves into its place leaves no weights there; the same command goes on."""
    moved: list[str] = []
    move = Path.replace

    def stop_before_the_last(path: Path, target: Path) -> Path:
        if path.parent.name == ".building":
            if len(list(path.parent.iterdir())) == 1:
                raise KeyboardInterrupt
            moved.append(path.name)
        return move(path, target)

    monkeypatch.setattr(Path, "replace", stop_before_the_last)
    with pytest.raises(KeyboardInterrupt):
        train_sft(CONFIG, SOURCES, str(base), tmp_path)
    monkeypatch.undo()
    assert "config.json" in moved and not list(tmp_path.glob("*.safetensors"))
    train_sft(CONFIG, SOURCES, str(base), tmp_path)
    assert weights(tmp_path) == weights(whole.directory)


def test_a_gradient_that_is_not_finite_stops_the_run_before_a_loss_is(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from mario.train.keeper import Keeper

    keeper = Keeper(tmp_path, [0, 10], lambda _: ["a#0", "b#1"], save_seconds=1, resumed=None, on_progress=None)
    step = {"loss": 1.0, "grad_norm": float("inf"), "learning_rate": 1.0}
    with pytest.raises(TrainingError, match=r"^step 1: the gradient's norm is inf on the rows a#0, b#1; look at"):
        keeper.on_log(None, SimpleNamespace(global_step=1), None, step)
    keeper.close()
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_refused_rows_are_counted_and_listed(base: Path, tmp_path: Path) -> None:
    result = train_sft(replace(CONFIG, epochs=1, max_row_tokens=76), SOURCES, str(base), tmp_path)
    listed = [json.loads(line) for line in (tmp_path / "refused.jsonl").read_text().splitlines()]
    assert 0 < len(listed) < 20
    assert result.refused == {"too_long": len(listed)}
    assert {(refusal["source"], refusal["id"].partition("-")[0]) for refusal in listed} == {("code", "code")}
    assert sum(source.rows for source in result.sources.values()) + len(listed) == 40


@pytest.mark.parametrize(
    ("config", "sources", "error", "message"),
    [
        (CONFIG, [], UsageError, "one or more sources"),
        (CONFIG, [SOURCES[0], SOURCES[0]], UsageError, r"different names, got \['code', 'code'\]"),
        (
            replace(CONFIG, max_row_tokens=5),
            SOURCES,
            DataError,
            r"no trajectory .*; 20 too_long, first code-0#0: 7\d tokens, at most 5$",
        ),
        (CONFIG, [SourceSet("none", [], "sha256:0")], DataError, "source none: .*none came"),
        (replace(CONFIG, tokens_per_source=10**6), SOURCES, DataError, "the budget asks for 1,000,000"),
    ],
)
def test_misuse_and_bad_data_are_told_apart(
    base: Path, tmp_path: Path, config: SftConfig, sources: list[SourceSet], error: type[MarioError], message: str
) -> None:
    with pytest.raises(error, match=message):
        train_sft(config, sources, str(base), tmp_path)


def test_a_tokenizer_without_an_end_token_is_refused(base: Path, tmp_path: Path) -> None:
    endless = shutil.copytree(base, tmp_path / "endless")
    settings = json.loads((endless / "tokenizer_config.json").read_text())
    del settings["eos_token"]
    (endless / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(DataError, match=r'names no end token.*set "eos_token"'):
        train_sft(CONFIG, SOURCES, str(endless), tmp_path / "out")


def test_training_prints_nothing(base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train_sft(replace(CONFIG, epochs=1), SOURCES, str(base), tmp_path)
    assert capfd.readouterr() == ("", "")


def test_settings_are_read_without_torch() -> None:
    loaded = "import sys, mario.train.sft; print(sorted({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
