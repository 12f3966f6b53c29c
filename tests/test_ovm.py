"""The multi-task value model on tiny real networks. What must stay true:

- the loss is the two means over the whole step, however it is cut, and right solutions alone teach language;
- a step of wrong solutions alone is no NaN;
- problems are balanced and held out whole, by seed, and the held-out ones are named;
- the directory loads as generator and as token classifier, without code of ours, and both are the trained network;
- a killed run ends with the same weights and curve, and one seed gives one model.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mario.engine import checkpoint
from mario.engine.rows import written
from mario.errors import DataError, UsageError
from mario.provenance import file_hash
from mario.store import ShardWriter, read_jsonl
from mario.train.config import SftConfig
from mario.train.encode import IGNORED
from mario.train.loop import TrainResult
from mario.train.ovm import MultiTask, OvmConfig, Place, choose, train_ovm
from mario.types import Sampling, Source, Span, StopReason, Trajectory
from mario.value.checkpoint import held_out_problems, read_card
from mario.value.positions import step_ends

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
from tiny import tiny_model  # noqa: E402

CONFIG = SftConfig(
    learning_rate=3e-3,
    epochs=6,
    tokens_per_step=700,
    max_tokens=400,
    max_row_tokens=240,
    dtype="float32",
    device="cpu",
    save_dtype="float32",
    save_seconds=3600,
)
OVM = OvmConfig()


def solution(problem: int, sample: int, *, correct: bool) -> Trajectory:
    """A sum; a wrong solution subtracts."""
    a, b = 30 + 7 * problem % 61, 5 + 11 * problem % 23
    sign, value = ("+", a + b) if correct else ("-", a - b)
    spans = (
        Span(f"Question: {a} apples and {b} more?\n", Source.PROMPT),
        Span(f"print({a} {sign} {b})</code>", Source.MODEL),
        Span(f"\nOutput: {value}\n", Source.INTERPRETER),
        Span(f"{'It is' if sample % 2 else 'so it is'} {value}", Source.MODEL),
    )
    tags = {"correct": correct}
    return Trajectory(
        f"sum-{problem}", sample, "code", "t", Sampling(), (), StopReason.ANSWERED, str(value), spans, tags=tags
    )


def training_set(root: Path, problems: int = 20, right: int = 2, wrong: int = 2) -> Path:
    for name, correct, count in (("kept", True, right), ("incorrect", False, wrong)):
        shards = ShardWriter(root / name)
        for problem in range(problems):
            for sample in range(count):
                shards.append(solution(problem, sample + 10 * (not correct), correct=correct))
        shards.seal()
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_set(tmp_path_factory.mktemp("data") / "sums")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base") / "tiny", spread=0.02, add_bos=True)


@pytest.fixture(scope="module")
def whole(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The uninterrupted run that the others are compared with."""
    return train_ovm(CONFIG, OVM, [data], str(base), tmp_path_factory.mktemp("whole") / "ovm")


def curve(directory: Path) -> list[tuple[Any, ...]]:
    names = ("step", "loss", "lm_loss", "value_loss", "grad_norm")
    return [tuple(line[name] for name in names) for _, line in read_jsonl(directory / "metrics.jsonl")]


def rows_of(base: Path, data: Path, ovm: OvmConfig = OVM, **changes: Any) -> list[Any]:
    plan = MultiTask([data], replace(ovm, holdout=0.0), 0).plan(
        replace(CONFIG, epochs=1, **changes), checkpoint.load_tokenizer(base), 1024
    )
    return list(plan.rows)


def with_head(base: Path, seed: int = 5) -> Any:
    from mario.train.value_loss import attach_head

    model = attach_head(checkpoint.load_model(base, dtype="float32", device="cpu"), seed)
    torch.nn.init.normal_(model.score.weight, std=0.5, generator=torch.Generator().manual_seed(seed))
    return model


def plain_loss(model: Any, rows: Sequence[Any], target: str, loss: str) -> tuple[Any, Any]:
    """Both means over all rows, one row at a time: transformers' own language loss, the value's written out."""
    language, values = [], []
    for row in rows:
        ids = torch.tensor([row.input_ids])
        output = model(input_ids=ids, labels=torch.tensor([row.labels]), output_hidden_states=True)
        if row.n_trained:
            language.append(output.loss * row.n_trained)
        hidden = output.hidden_states[-1][0]
        for place, outcome in enumerate(row.values):
            if outcome == outcome:
                logit = (hidden[place] @ model.score.weight[0] + model.score.bias[0]).double()
                chance = torch.sigmoid(logit if target == "sigmoid" else 2 * logit)
                if loss == "bce":
                    values.append(-torch.log(chance if outcome else 1 - chance))
                elif target == "sigmoid":
                    values.append((chance - outcome) ** 2)
                else:
                    values.append((torch.tanh(logit) - (1 if outcome else -1)) ** 2)
    n_trained = sum(row.n_trained for row in rows)
    return sum(language) / n_trained, sum(values) / len(values)


def ovm_trainer(model: Any, rows: Sequence[Any], steps: Sequence[Any], out: Path, **options: Any) -> Any:
    from transformers import TrainingArguments

    from mario.train.trainer import StepDataset
    from mario.train.value_loss import OvmTrainer

    settings: dict[str, Any] = {"target": "sigmoid", "loss": "mse", "value_weight": 1.0, **options}
    arguments = TrainingArguments(output_dir=str(out), use_cpu=True, report_to="none", save_strategy="no")
    return OvmTrainer(model=model, args=arguments, train_dataset=StepDataset(rows, steps), **settings)


@pytest.mark.parametrize("step", [((0, 1, 2, 3, 4, 5, 6, 7),), ((3,), (0, 7, 1), (2, 4), (5, 6))])
@pytest.mark.parametrize(("target", "loss"), [("sigmoid", "mse"), ("sigmoid", "bce"), ("tanh", "mse"), ("tanh", "bce")])
def test_the_loss_is_both_means_over_the_step_however_it_is_cut(
    base: Path, data: Path, tmp_path: Path, step: Any, target: str, loss: str
) -> None:
    rows = rows_of(base, data)[:8]
    assert {row.n_trained > 0 for row in rows} == {True, False}
    model = with_head(base)
    language, value = plain_loss(model, rows, target, loss)
    (0.5 * language + 0.25 * value).backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    trainer = ovm_trainer(model, rows, [step], tmp_path, target=target, loss=loss, lm_weight=0.5, value_weight=0.25)
    total = trainer.training_step(model, trainer.train_dataset[0])
    assert total.item() == pytest.approx(0.5 * language.item() + 0.25 * value.item(), rel=1e-5)
    assert trainer.parts["lm_loss"].item() == pytest.approx(language.item(), rel=1e-5)
    assert trainer.parts["value_loss"].item() == pytest.approx(value.item(), rel=1e-5)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-3, atol=1e-7, msg=name)


def test_wrong_solutions_alone_train_the_value_and_no_language(base: Path, data: Path, tmp_path: Path) -> None:
    rows = [row for row in rows_of(base, data) if not row.n_trained][:3]
    model = with_head(base)
    trainer = ovm_trainer(model, rows, [((0, 1), (2,))], tmp_path)
    loss = trainer.training_step(model, trainer.train_dataset[0])
    assert torch.isfinite(loss)
    assert trainer.parts["lm_loss"].item() == 0
    assert loss.item() == pytest.approx(trainer.parts["value_loss"].item())
    assert model.score.weight.grad.abs().max() > 0
    assert torch.isfinite(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0))


@pytest.mark.parametrize("positions", ["token", "step", "last"])
def test_values_stand_on_the_models_own_tokens(base: Path, data: Path, positions: Any) -> None:
    tokenizer = checkpoint.load_tokenizer(base)
    right, wrong = solution(0, 0, correct=True), solution(0, 10, correct=False)
    rows = {row.id: row for row in rows_of(base, data, OvmConfig(positions=positions))}
    for trajectory, outcome in ((right, 1.0), (wrong, 0.0)):
        row = rows[f"sum-0#{trajectory.sample_index}"]
        said = written(trajectory, tokenizer)
        found = {place for place, value in enumerate(row.values) if value == outcome}
        assert found == {place for place, value in enumerate(row.values) if value == value}
        ends = step_ends(said)
        assert len(ends) == 2 and row.input_ids[ends[1]] == tokenizer.eos_token_id
        lengths = [len(ids) for ids in said.ids]
        spoken = {*range(lengths[0], lengths[0] + lengths[1]), *range(sum(lengths[:3]), row.n_tokens)}
        assert found == {"token": spoken, "step": set(ends), "last": {ends[1]}}[positions]
        labelled = {place for place, label in enumerate(row.labels) if label != IGNORED}
        assert labelled == (spoken if outcome else set())


def test_the_interpreters_words_get_no_value_even_where_they_are_learnt(base: Path, data: Path) -> None:
    masked = {row.id: row for row in rows_of(base, data)}
    open_rows = {row.id: row for row in rows_of(base, data, train_on_output=True)}
    row, masked_row = open_rows["sum-0#0"], masked["sum-0#0"]
    assert row.n_trained > masked_row.n_trained
    assert [value == value for value in row.values] == [value == value for value in masked_row.values]


def test_steps_mix_both_kinds_though_wrong_solutions_are_longer(base: Path, tmp_path: Path) -> None:
    root = training_set(tmp_path / "long", problems=40, wrong=0)
    shards = ShardWriter(root / "incorrect")
    for problem in range(40):
        for sample in range(2):
            short = solution(problem, 10 + sample, correct=False)
            rambling = Span("and so on " * 4 + short.spans[-1].text, Source.MODEL)
            shards.append(replace(short, spans=(*short.spans[:-1], rambling)))
    shards.seal()
    plan = MultiTask([root], OVM, 0).plan(CONFIG, checkpoint.load_tokenizer(base), 1024)
    kinds = [[plan.rows[row].n_trained > 0 for batch in step for row in batch] for step in plan.steps]
    assert min(map(len, kinds)) >= 4
    share = sum(map(sum, kinds)) / sum(map(len, kinds))
    assert all(abs(sum(kind) - share * len(kind)) <= 2 for kind in kinds)


def places(root: Path, right: int, wrong: int) -> list[Place]:
    return [Place(root, True, i) for i in range(right)] + [Place(root, False, i) for i in range(wrong)]


def test_problems_are_balanced_and_held_out_whole(tmp_path: Path) -> None:
    found = {f"p{i}": places(tmp_path / f"p{i}", right=i % 7, wrong=(i * 3) % 8) for i in range(200)}
    chosen = choose(found, OVM, seed=1)
    assert len(chosen.held_out) == 20
    for i in range(200):
        taken = [place for place in chosen.solutions if place.root.name == f"p{i}"]
        right = sum(place.correct for place in taken)
        expected = (min(4, i % 7), min(4, i * 3 % 8) if i % 7 else min(1, i * 3 % 8))
        assert (right, len(taken) - right) == ((0, 0) if f"p{i}" in chosen.held_out else expected)
    assert choose(dict(reversed(found.items())), OVM, seed=1) == chosen  # order changes nothing
    assert choose(found, OVM, seed=2) != chosen
    grown = choose(found | {"q": places(tmp_path / "q", 3, 3)}, OVM, seed=1)
    assert len(set(grown.held_out) ^ set(chosen.held_out)) <= 1
    assert choose(found, replace(OVM, holdout=0.0, max_unsolved=0), seed=1).held_out == ()


def test_held_out_problems_are_named_and_not_trained_on(base: Path, data: Path, whole: TrainResult) -> None:
    held_out = held_out_problems(whole.directory)
    assert len(held_out) == 2
    plan = MultiTask([data], OVM, 0).plan(CONFIG, checkpoint.load_tokenizer(base), 1024)
    trained = {row.id.partition("#")[0] for row in plan.rows}
    assert len(trained) == 18
    assert not trained & held_out
    assert whole.sources["correct/sums"].rows == whole.sources["incorrect/sums"].rows == 6 * 2 * 18


def texts_of(tokenizer: Any, model: Any, prompts: Sequence[str]) -> list[list[int]]:
    ids = [tokenizer(prompt, return_tensors="pt").input_ids for prompt in prompts]
    return [model.generate(one, max_new_tokens=24, do_sample=False)[0].tolist() for one in ids]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", ["Llama", "Qwen2"])
def test_the_directory_generates_and_values_as_the_network_did(
    base: Path, tmp_path: Path, family: str, tied: bool
) -> None:
    import transformers

    from mario.train.value_loss import attach_head, save

    settings = json.loads((base / "config.json").read_text())
    kept = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    config = getattr(transformers, f"{family}Config")(
        **{name: settings[name] for name in (*kept, "num_key_value_heads", "eos_token_id")},
        tie_word_embeddings=tied,
        initializer_range=0.3,
    )
    torch.manual_seed(0)
    network = attach_head(getattr(transformers, f"{family}ForCausalLM")(config).eval(), 3)
    torch.nn.init.normal_(network.score.bias)
    tokenizer = checkpoint.load_tokenizer(base)
    ids = torch.tensor([tokenizer("What is 3 + 4?\nIt is 7, or so it seems.").input_ids])
    with torch.no_grad():
        output = network(ids, output_hidden_states=True)
        values = network.score(output.hidden_states[-1])[0, :, 0]
    prompts = ["One", "Is it so?", "print(4)"]
    said = texts_of(tokenizer, network, prompts)
    save(network, tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert network.get_output_embeddings().weight is network.get_input_embeddings().weight or not tied
    names = json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"]
    assert {"lm_head.weight", "score.weight", "score.bias"} < set(names)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["architectures"] == [f"{family}ForTokenClassification"]
    assert stored["id2label"] == {"0": "correct"} and stored["problem_type"] == "regression"
    classifier = checkpoint.load_model(tmp_path, dtype="float32", device="cpu", task="token-classification")
    assert type(classifier).__module__.startswith("transformers.")
    with torch.no_grad():
        torch.testing.assert_close(classifier(ids).logits[0, :, 0], values, rtol=0, atol=1e-5)
    generator = checkpoint.load_model(tmp_path, dtype="float32", device="cpu")
    with torch.no_grad():
        torch.testing.assert_close(generator(ids).logits, output.logits, rtol=0, atol=1e-5)
    assert texts_of(tokenizer, generator, prompts) == said
    assert len({tuple(row) for row in said}) == 3


def test_a_trained_directory_is_both_models(whole: TrainResult) -> None:
    card = read_card(whole.directory)
    assert (card.target, card.positions, card.temperature) == ("sigmoid", "token", None)
    assert card.data.startswith("sha256:")
    tokenizer = checkpoint.load_tokenizer(whole.directory)
    classifier = checkpoint.load_model(whole.directory, dtype="float32", task="token-classification", device="cpu")
    generator = checkpoint.load_model(whole.directory, dtype="float32", device="cpu")
    assert generator.generation_config.eos_token_id == tokenizer.eos_token_id
    assert generator.config.use_cache
    ids = torch.tensor([[1, 70, 71, 72]])
    with torch.no_grad():
        hidden = generator(ids, output_hidden_states=True).hidden_states[-1]
        values = hidden @ classifier.score.weight.T + classifier.score.bias
        torch.testing.assert_close(classifier(ids).logits, values)
    assert not any("/" in str(value) for value in json.loads((whole.directory / "config.json").read_text()).values())


def test_bfloat16_directories_load_as_both(base: Path, data: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=1, dtype="bfloat16", save_dtype="bfloat16")
    result = train_ovm(config, replace(OVM, target="tanh", positions="step"), [data], str(base), tmp_path / "ovm")
    assert read_card(result.directory).target == "tanh"
    assert checkpoint.load_model(result.directory).dtype == torch.bfloat16
    classifier = checkpoint.load_model(result.directory, task="token-classification")
    assert classifier.score.weight.dtype == torch.bfloat16
    assert classifier.score.weight.abs().max() > 0


def test_a_family_without_such_a_classifier_is_refused() -> None:
    import transformers

    from mario.train.value_loss import attach_head

    small = transformers.GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=50)
    with pytest.raises(UsageError, match=r"GPT2LMHeadModel is built otherwise.*Llama"):
        attach_head(transformers.GPT2LMHeadModel(small), 0)
    small = transformers.CohereConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=50
    )
    with pytest.raises(UsageError, match=r"CohereForCausalLM has no token classifier in transformers"):
        attach_head(transformers.CohereForCausalLM(small), 0)


def test_the_value_learns_to_tell_right_from_wrong(base: Path, data: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=12, learning_rate=6e-3)
    result = train_ovm(config, replace(OVM, positions="step", loss="bce"), [data], str(base), tmp_path / "ovm")
    tokenizer = checkpoint.load_tokenizer(result.directory)
    classifier = checkpoint.load_model(result.directory, dtype="float32", device="cpu", task="token-classification")
    logits: dict[bool, list[float]] = {True: [], False: []}
    for problem in (int(name.partition("-")[2]) for name in held_out_problems(result.directory)):
        for correct in (True, False):
            said = written(solution(problem, 0, correct=correct), tokenizer)
            with torch.no_grad():
                found = classifier(torch.tensor([said.input_ids])).logits[0, :, 0]
            logits[correct] += found[list(step_ends(said))].tolist()
    assert min(logits[True]) > 0 > max(logits[False])


def test_pinned_losses(whole: TrainResult) -> None:
    """Losses of this very run, as they were when it was written (torch 2.13, x86-64): a change of arithmetic shows."""
    lines = curve(whole.directory)
    pinned = [(1, 5.5339, 0.25127), (6, 4.5474, 0.25012), (21, 2.4095, 0.24647), (46, 1.4011, 0.24413)]
    for step, language, value in pinned:
        assert lines[step - 1][0] == step
        assert lines[step - 1][2] == pytest.approx(language, rel=2e-3)
        assert lines[step - 1][3] == pytest.approx(value, rel=5e-3)
        assert lines[step - 1][1] == pytest.approx(lines[step - 1][2] + lines[step - 1][3], rel=1e-6)


def weights(directory: Path) -> list[str]:
    return [file_hash(path) for path in sorted(directory.glob("*.safetensors"))]


def test_one_seed_gives_one_model(base: Path, data: Path, whole: TrainResult, tmp_path: Path) -> None:
    again = train_ovm(CONFIG, OVM, [data], str(base), tmp_path / "ovm")
    assert weights(again.directory) == weights(whole.directory)
    assert curve(again.directory) == curve(whole.directory)
    assert again == replace(whole, directory=again.directory, seconds=again.seconds)


RUN = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_ovm import CONFIG, OVM
from dataclasses import replace
from mario.train.ovm import train_ovm

train_ovm(replace(CONFIG, save_seconds=0.3), OVM, [Path({data!r})], {base!r}, Path({out!r}), lambda _: time.sleep(0.1))
"""


def test_a_killed_run_ends_with_the_same_weights_and_curve(
    base: Path, data: Path, whole: TrainResult, tmp_path: Path
) -> None:
    out = tmp_path / "ovm"
    script = RUN.format(tests=str(Path(__file__).parent), data=str(data), base=str(base), out=str(out))
    process = subprocess.Popen(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    )
    end = time.monotonic() + 60
    while not any(out.glob("checkpoints/*/complete")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    result = train_ovm(CONFIG, OVM, [data], str(base), out)
    assert 0 < result.resumed_from < result.steps
    assert weights(out) == weights(whole.directory)
    assert curve(out) == curve(whole.directory)
    assert held_out_problems(out) == held_out_problems(whole.directory)


def test_low_rank_adapters_leave_the_head_whole(base: Path, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    from mario.train.config import LoraConfig

    config = replace(CONFIG, epochs=2, lora=LoraConfig(rank=4))
    result = train_ovm(config, OVM, [data], str(base), tmp_path / "ovm")
    classifier = checkpoint.load_model(result.directory, dtype="float32", device="cpu", task="token-classification")
    start = with_head(base).score
    assert classifier.score.weight.shape == start.weight.shape
    assert classifier.score.bias.abs().item() > 0  # it began at zero
    generator = checkpoint.load_model(result.directory, dtype="float32", device="cpu")
    trained = generator.model.layers[0].self_attn.q_proj.weight
    before = checkpoint.load_model(base, dtype="float32", device="cpu").model.layers[0].self_attn.q_proj.weight
    assert not torch.equal(trained, before)
    losses = [line[3] for line in curve(result.directory)]
    assert all(0 < loss < 1 for loss in losses)


def test_both_kinds_are_needed(base: Path, tmp_path: Path) -> None:
    few = r"no incorrect solution to train on in .*sums \(2 problems held out\); .*sample more attempts"
    with pytest.raises(DataError, match=few):
        train_ovm(CONFIG, OVM, [training_set(tmp_path / "sums", wrong=0)], str(base), tmp_path / "ovm")
    refused = r"no correct solution .*\(2 problems held out\); 36 too_long, first sum-0#0: 7\d tokens, at most 10$"
    with pytest.raises(DataError, match=refused):
        short = replace(CONFIG, max_row_tokens=10)
        train_ovm(short, OVM, [training_set(tmp_path / "all")], str(base), tmp_path / "ovm")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value_weight": 0.0}, "value_weight must be above 0, got 0.0; mario train sft has no value loss"),
        ({"lm_weight": -1.0}, "lm_weight must be 0 or more"),
        ({"max_incorrect": 0}, "learns from both"),
        ({"holdout": 1.0}, "holdout must be at least 0 and below 1"),
        ({"max_unsolved": -1}, "max_unsolved"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        OvmConfig(**changes)


def test_settings_are_read_without_torch() -> None:
    loaded = "import sys, mario.train.ovm; print(sorted({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def mario(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mario", *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.full
def test_a_recipe_trains_values_and_solves_with_one_directory(base: Path, tmp_path: Path) -> None:
    training_set(tmp_path / "sums", problems=6)
    (tmp_path / "all.toml").write_text(
        f"""
        out = "out"
        [stages.ovm]
        verb = "train-ovm"
        data = ["sums"]
        model = "{base}"
        ovm = {{ target = "tanh", loss = "bce", positions = "last", holdout = 0.34 }}
        train = {{ tokens_per_step = 400, max_row_tokens = 240, device = "cpu" }}
        """
    )
    trained = mario("run", "all.toml", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert "correct/sums: 8 rows" in trained.stdout and "incorrect/sums: 8 rows" in trained.stdout
    assert read_card(tmp_path / "out" / "ovm").positions == "last"
    assert len(held_out_problems(tmp_path / "out" / "ovm")) == 2
    again = mario("run", "all.toml", cwd=tmp_path)
    assert again.stdout == trained.stdout
    solved = mario("solve", "1 + 1?", "--engine.model", "out/ovm", "--solve.max_new_tokens", "16", cwd=tmp_path)
    assert "the model reached solve.max_new_tokens" in solved.stderr  # it generates; so small a model has no answer


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--out", "o"], 2, "data is missing"),
        (["nowhere", "--out", "o"], 1, "nowhere does not exist; make it with: mario annotate"),
        (["sums", "--out", "o", "--ovm.targett", "tanh"], 2, "did you mean"),
        (["sums", "--out", "o", "--ovm.target", "softmax"], 2, "sigmoid"),
    ],
)
def test_misuse_is_told(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    (tmp_path / "sums").mkdir()
    done = mario("train", "ovm", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr


def test_packed_rows_learn_the_same(base: Path, data: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=1)
    padded = train_ovm(config, OVM, [data], str(base), tmp_path / "padded")
    packed = train_ovm(replace(config, packing=True), OVM, [data], str(base), tmp_path / "packed")
    assert padded.steps == packed.steps > 5
    for one, other in zip(curve(padded.directory), curve(packed.directory), strict=True):
        assert one == pytest.approx(other, rel=1e-3)
