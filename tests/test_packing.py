"""Rows packed into one sequence learn as they do alone. What must stay true:

- loss and gradients of packed rows are those of each row by itself, in several families and with short windows;
- a network in which rows would see each other is refused before the first step;
- a plan for packing holds every row once, in order, within its bound;
- a row is never padded; a whole sequence is rounded up, and what is added teaches nothing and is not counted;
- a packed run ends, resumes and is written like any other, and nothing of it stays in the model's configuration.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario.errors import TrainingError
from mario.train.batch import PACK_MULTIPLE, plan_steps
from mario.train.encode import IGNORED, EncodedRow

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

LENGTHS = (5, 17, 2, 9, 30, 1, 12)
SMALL: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# The attention each is left with: cut by row, or transformers' own for packed rows.
FAMILIES = [
    ("Llama", {}, "mario_rows_apart"),
    ("Qwen2", {}, "mario_rows_apart"),
    ("Qwen3", {}, "mario_rows_apart"),
    ("Mistral", {"sliding_window": 64}, "mario_rows_apart"),
    ("Mistral", {"sliding_window": 6}, "sdpa"),
    ("Gemma3Text", {"sliding_window": 6}, "sdpa"),
    ("Gemma2", {"sliding_window": 6}, "eager"),  # it bounds its attention scores
]


def family(name: str, **options: Any) -> Any:
    import transformers

    config = getattr(transformers, f"{name}Config")(**{**SMALL, **options})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return transformers.AutoModelForCausalLM.from_config(config)


def rows(lengths: tuple[int, ...] = LENGTHS) -> list[EncodedRow]:
    """Rows whose labels begin with the first token, as a row has that begins with the model's own text."""
    made = []
    for index, length in enumerate(lengths):
        ids = tuple(3 + (7 * index + 5 * position) % 60 for position in range(length))
        labels = tuple(IGNORED if position % 5 == 3 else token for position, token in enumerate(ids))
        made.append(EncodedRow(f"r{index}", ids, labels, sum(label != IGNORED for label in labels[1:])))
    return made


def plain(model: Any, made: list[EncodedRow]) -> tuple[float, dict[str, Any]]:
    """transformers' own labels and loss, one row at a time."""
    total = sum(row.n_trained for row in made)
    whole = 0.0
    for row in made:
        if not row.n_trained:
            continue
        ids, labels = torch.tensor([row.input_ids]), torch.tensor([row.labels])
        loss = model(input_ids=ids, labels=labels).loss * row.n_trained / total
        loss.backward()
        whole += loss.item()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return whole, gradients


def packed(model: Any, made: list[EncodedRow], step: Any, out: Path) -> Any:
    from transformers import TrainingArguments

    from mario.train.packing import attention_for
    from mario.train.trainer import SpanTrainer, StepDataset

    arguments = TrainingArguments(output_dir=str(out), use_cpu=True, report_to="none", save_strategy="no")
    dataset = StepDataset(made, [step], packing=True)
    attention = attention_for(model, made)
    trainer = SpanTrainer(model=model, args=arguments, train_dataset=dataset, attention=attention)
    return trainer.training_step(model, dataset[0])


@pytest.mark.parametrize(("name", "options", "attention"), FAMILIES)
def test_loss_and_gradients_are_those_of_each_row_alone(
    name: str, options: dict[str, Any], attention: str, tmp_path: Path
) -> None:
    from mario.train.packing import attention_for

    made, model = rows(), family(name, **options)
    expected, gradients = plain(model, made)
    own = model.config._attn_implementation
    assert attention_for(model, made) == attention
    loss = packed(model, made, ((0, 1, 2, 3), (4, 5, 6)), tmp_path)
    assert model.config._attn_implementation == own  # for whoever generates with it between two steps
    assert model.training
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    for parameter_name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[parameter_name], rtol=1e-4, atol=1e-7, msg=parameter_name)


def test_rows_that_see_each_other_have_another_loss() -> None:
    """The test above can fail: the same sequence with positions that run on is another thing."""
    from mario.train.packing import pack

    made, model = rows(), family("Llama")
    expected, _ = plain(model, made)
    batch = pack(made)
    del batch["position_ids"], batch["row_lengths"]
    loss = model(input_ids=batch["input_ids"], labels=batch["labels"]).loss
    assert abs(loss.item() - expected) > 1e-4


def test_activations_computed_twice_keep_rows_apart(tmp_path: Path) -> None:
    made, model = rows(), family("Llama")
    expected, gradients = plain(model, made)
    model.gradient_checkpointing_enable()
    assert packed(model, made, (tuple(range(7)),), tmp_path).item() == pytest.approx(expected, rel=1e-6)
    name = "model.layers.0.self_attn.k_proj.weight"
    torch.testing.assert_close(model.get_parameter(name).grad, gradients[name], rtol=1e-4, atol=1e-7)


def test_a_network_with_a_running_state_is_refused() -> None:
    from transformers import AutoModelForCausalLM, MambaConfig

    from mario.train.packing import attention_for

    model = AutoModelForCausalLM.from_config(MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2))
    with pytest.raises(TrainingError, match=r"see each other in MambaForCausalLM: .* train without train\.packing"):
        attention_for(model, rows())


def test_a_packed_batch_pads_nothing_and_a_rows_first_token_has_no_label() -> None:
    from mario.train.packing import pack

    first = EncodedRow("a", (5, 6, 7), (5, 6, 7), 2, values=(float("nan"), 1.0, 0.0))
    batch = pack([first, EncodedRow("b", (8, 9), (8, 9), 1)])
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9]]
    assert batch["labels"].tolist() == [[IGNORED, 6, 7, IGNORED, 9]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    assert batch["row_lengths"] == [3, 2]
    assert batch["values"].isnan().tolist() == [[True, False, False, True, True]]


def test_a_trained_packs_length_is_rounded_up_by_a_row_that_teaches_nothing() -> None:
    """So that torch does not compile and keep a product for every length; no row or step is counted otherwise."""
    from mario.train.packing import pack
    from mario.train.trainer import StepDataset

    made = rows()
    made[2] = replace(made[2], values=(float("nan"), 1.0))
    (batch,) = StepDataset(made, [(tuple(range(7)),)], packing=True)[0]["micro_batches"]
    alone = pack(made)
    real = sum(LENGTHS)
    missing = -real % PACK_MULTIPLE
    assert missing and batch["input_ids"].shape == (1, real + missing)
    for name in ("input_ids", "labels", "position_ids"):
        assert torch.equal(batch[name][:, :real], alone[name]), name
    assert (batch["labels"][:, real:] == IGNORED).all()
    assert batch["position_ids"][0, real:].tolist() == list(range(missing))
    assert batch["values"].shape == batch["labels"].shape and batch["values"][:, real:].isnan().all()
    assert batch["row_lengths"] == [*alone["row_lengths"], missing]
    assert batch["row_ids"] == alone["row_ids"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 100), min_size=1, max_size=80), st.one_of(st.none(), st.integers(1, 9)))
def test_a_plan_for_packing_keeps_order_and_bounds(lengths: list[int], rows_per_step: int | None) -> None:
    steps = plan_steps(lengths, seed=0, max_tokens=120, tokens_per_step=200, rows_per_step=rows_per_step, packing=True)
    assert [i for step in steps for batch in step for i in batch] == list(range(len(lengths)))
    sizes = [(len(batch), sum(lengths[i] for i in batch)) for step in steps for batch in step]
    assert all(tokens + -tokens % PACK_MULTIPLE <= 120 or rows == 1 for rows, tokens in sizes)


def test_a_packed_run_is_a_run_like_any_other(tmp_path: Path) -> None:
    """Same model, same rows: only order and rounding differ from a padded run, and one seed gives one model."""
    from mario.engine import checkpoint
    from mario.provenance import file_hash
    from mario.train.sft import SourceSet, train_sft
    from tiny import tiny_model
    from tiny_lessons import CONFIG, lessons, merges

    base = tiny_model(tmp_path / "base", spread=0.02, add_bos=True, merges=merges())
    source = SourceSet("lessons", list(lessons(120)), "sha256:lessons")
    config = replace(CONFIG, packing=True, tokens_per_step=900, max_tokens=500)
    result = train_sft(config, [source], str(base), tmp_path / "packed")
    again = train_sft(config, [source], str(base), tmp_path / "again")
    assert file_hash(result.directory / "model.safetensors") == file_hash(again.directory / "model.safetensors")
    padded = train_sft(replace(config, packing=False), [source], str(base), tmp_path / "padded")
    assert result.tokens == padded.tokens
    assert result.last_loss == pytest.approx(padded.last_loss, abs=0.5)
    assert result.last_loss < result.first_loss - 1
    assert "rows_apart" not in (result.directory / "config.json").read_text()
    assert checkpoint.load_model(result.directory).config._attn_implementation == "sdpa"
    assert json.loads((result.directory / "manifest.json").read_text())["recipe"]["train"]["packing"] is True
