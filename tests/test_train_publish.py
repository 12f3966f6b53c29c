"""A trained directory is fit to be handed on. What must stay true:

- its chat template gives the ids of our own prompt, for the inline formats and for tool calls, whatever the tokenizer
  puts before a text; and written out whole, a conversation is the inline text;
- its generation config stops where its turns end, with the tokenizer at hand;
- its card says what is known, calls unknown what is not, and has a header that the hub reads.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mario.engine import checkpoint
from mario.engine.tokens import encode_spans
from mario.estimate import wilson
from mario.store.run import read_manifest
from mario.train.publish import Result, card, dress, writes_our_prompt
from mario.train.sft import SourceSet, train_sft
from mario.transcript import format_named
from mario.types import Observation, ObservationStatus, Sampling, Step, StopReason, Trajectory

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
import tokenizers_zoo as zoo  # noqa: E402
from test_train import CONFIG  # noqa: E402
from tiny import tiny_model, tiny_tokenizer  # noqa: E402

QUESTION = "A jar holds 12 sweets. How many do 3 jars hold?\nAnswer in sweets."
OUTPUTS = ["36", "a\n<p>\nb", "\\Final Answer: 3", "Question: none", ""]


def lesson(i: int, name: str = "inline") -> Trajectory:
    seen = Observation(OUTPUTS[i % len(OUTPUTS)], ObservationStatus.OK)
    code = None if name == "text" else f"print(12 * {i})"
    steps = (Step(f"We multiply, line {i}.\nThen we look.", code, seen if code else None), Step("So it is."))
    steps = steps if code else (steps[1],)
    context = format_named(name).render(QUESTION, steps, str(12 * i))
    return Trajectory(
        f"p{i}",
        0,
        name,
        "teacher",
        Sampling(),
        steps,
        StopReason.ANSWERED,
        str(12 * i),
        context.spans,
        context.messages,
    )


class Lessons:
    def __init__(self, name: str) -> None:
        self.name = name

    def __iter__(self) -> Iterator[Trajectory]:
        return (lesson(i, self.name) for i in range(12))


def say(tokenizer: Any, messages: Any, *, ask: bool = False, **options: Any) -> str:
    text: str = tokenizer.apply_chat_template(list(messages), add_generation_prompt=ask, tokenize=False, **options)
    return text


@pytest.mark.parametrize("name", ["inline", "text"])
@pytest.mark.parametrize("add_bos", [False, True])
def test_a_conversation_is_the_inline_text(name: str, add_bos: bool) -> None:
    tokenizer = tiny_tokenizer(add_bos=add_bos)
    generation = transformers.GenerationConfig()
    assert dress(tokenizer, generation, [name])
    before = "<bos>" if add_bos else ""
    for i in range(len(OUTPUTS)):
        row = lesson(i, name)
        as_tools = format_named("tools").render(QUESTION, row.steps, row.answer).messages
        whole = before + "".join(span.text for span in row.spans)
        assert say(tokenizer, as_tools) == whole + "<eos>"
        # The model's own turns, as a server hands them back, are written as they are.
        own = [{"role": "user", "content": QUESTION}]
        for k, step in enumerate(row.steps):
            own.append({"role": "assistant", "content": row.spans[1 + 2 * k].text})
            if step.observation is not None:
                own.append({"role": "tool", "content": step.observation.output})
        assert say(tokenizer, own) == whole + "<eos>"
        for end in range(1, len(own) + 1):  # earlier text never changes, and a prompt is a prefix of what follows
            assert (whole + "<eos>").startswith(say(tokenizer, own[:end]))
            assert say(tokenizer, own[:end], ask=True) == say(tokenizer, own[:end])
    assert generation.stop_strings == ["</code>", "\nQuestion:"]


def test_the_heading_can_be_asked_for_and_the_models_part_is_marked() -> None:
    tokenizer = tiny_tokenizer()
    dress(tokenizer, transformers.GenerationConfig(), ["inline", "text"])
    user = [{"role": "user", "content": "How many?"}]
    assert say(tokenizer, user, ask=True) == "Question: How many?\n\nSolution:\n\n<p>\n"
    assert say(tokenizer, user, ask=True, code=False) == "Question: How many?\n\nSolution without code:\n\n<p>\n"
    row = lesson(1)
    found = tokenizer.apply_chat_template(
        list(format_named("tools").render(QUESTION, row.steps, row.answer).messages),
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    marked = [token for token, is_own in zip(found["input_ids"], found["assistant_masks"], strict=True) if is_own]
    assert tokenizer.decode(marked) == row.spans[1].text + row.spans[3].text + "<eos>"


def sentencepiece_like(scheme: str) -> Any:
    """A tokenizer that puts a space before a text, and a BOS token before that."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    core = Tokenizer(models.BPE(unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    core.decoder = decoders.Metaspace(prepend_scheme=scheme)
    texts = [span.text for i in range(5) for span in lesson(i).spans] + ["A box holds 24 pencils. How many do 17?"]
    core.train_from_iterator(texts * 3, trainers.BpeTrainer(special_tokens=["<unk>", "<s>", "</s>"], vocab_size=400))
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>", clean_up_tokenization_spaces=False
    )


@pytest.mark.parametrize("scheme", ["first", "always", "never"])
def test_a_space_before_the_text_is_written_too(scheme: str) -> None:
    tokenizer = sentencepiece_like(scheme)
    assert dress(tokenizer, transformers.GenerationConfig(), ["inline"])
    assert writes_our_prompt(tokenizer, "inline")


@pytest.mark.parametrize("kind", [*zoo.KINDS, pytest.param("smollm2", marks=pytest.mark.full)])
def test_tokenizers_of_real_kinds_give_our_prompt(kind: str) -> None:
    tokenizer = (
        checkpoint.load_tokenizer(checkpoint.resolve("smollm2", weights=False)) if kind == "smollm2" else zoo.zoo(kind)
    )
    assert dress(tokenizer, transformers.GenerationConfig(), ["inline"])
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": QUESTION}], return_dict=True)
    (ours,) = encode_spans(tokenizer, format_named("inline").start(QUESTION).spans)
    assert prompt["input_ids"] == list(ours)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base") / "tiny", spread=0.02, add_bos=True)


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = replace(CONFIG, epochs=1, max_tokens=600, max_row_tokens=600, tokens_per_step=1200)
    sources = [SourceSet("taught", Lessons("inline"), "sha256:taught")]
    return train_sft(config, sources, str(base), tmp_path_factory.mktemp("out") / "model").directory


def test_what_a_stranger_loads_gives_our_prompt_and_stops(trained: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(trained)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTION}], add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    (ours,) = encode_spans(checkpoint.load_tokenizer(trained), format_named("inline").start(QUESTION).spans)
    assert prompt["input_ids"][0].tolist() == list(ours)
    model = transformers.AutoModelForCausalLM.from_pretrained(trained)
    assert model.generation_config.stop_strings == ["</code>", "\nQuestion:"]
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    model.generate(**prompt, max_new_tokens=3, tokenizer=tokenizer)
    assert (trained / "chat_template.jinja").exists()


def test_generation_stops_at_the_end_that_was_taught_and_where_the_base_did(base: Path, tmp_path: Path) -> None:
    """An instruction model's config often names another end token than its tokenizer, which the rows end with."""
    there = tmp_path / "there"
    shutil.copytree(base, there)
    said = json.loads((there / "generation_config.json").read_text())
    (there / "generation_config.json").write_text(json.dumps(said | {"eos_token_id": 7}))
    config = replace(CONFIG, epochs=1, max_tokens=600, max_row_tokens=600, tokens_per_step=1200)
    sources = [SourceSet("taught", Lessons("inline"), "sha256:taught")]
    out = train_sft(config, sources, str(there), tmp_path / "out").directory
    taught = checkpoint.load_tokenizer(out).eos_token_id
    assert transformers.GenerationConfig.from_pretrained(out).eos_token_id == [7, taught]


def test_tool_rows_keep_the_template_that_wrote_them(base: Path, tmp_path: Path) -> None:
    from mario.engine import chat
    from mario.transcript.chatml import CHAT_TEMPLATE

    marks = [("<|im_start|>", 0), ("<|im_end|>", 0)]
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": [mark for mark, _ in marks]})
    tokenizer.eos_token = "<|im_end|>"
    there = tmp_path / "chatml"
    model = checkpoint.load_model(base, dtype="float32", device="cpu")
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(there)
    tokenizer.save_pretrained(there)
    config = replace(CONFIG, epochs=1, max_tokens=2000, max_row_tokens=1024)
    out = train_sft(config, [SourceSet("t", Lessons("tools"), "sha256:t")], str(there), tmp_path / "out").directory
    loaded = transformers.AutoTokenizer.from_pretrained(out)
    assert loaded.chat_template == CHAT_TEMPLATE
    tools = format_named("tools")
    messages = tools.start(QUESTION).messages
    ids = loaded.apply_chat_template(list(messages), tools=list(tools.tools), add_generation_prompt=True)["input_ids"]
    assert ids == loaded(chat.render(loaded, messages, tools.tools), add_special_tokens=False)["input_ids"]
    assert transformers.GenerationConfig.from_pretrained(out).stop_strings is None
    both = transformers.AutoTokenizer.from_pretrained(out)
    assert dress(both, transformers.GenerationConfig(), ["inline", "tools"])
    both.save_pretrained(tmp_path / "both")
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "both")
    assert say(again, messages, ask=True, tools=list(tools.tools)) == say(
        loaded, messages, ask=True, tools=list(tools.tools)
    )
    assert say(again, messages[1:], ask=True).startswith("Question: ")


def test_the_card_says_what_is_known(trained: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    text = (trained / "README.md").read_text()
    manifest = read_manifest(trained)
    header = hub.ModelCard(text).data
    assert (header.license, header.library_name, header.pipeline_tag) == ("unknown", "transformers", "text-generation")
    assert header.base_model is None  # a directory here is no name on the hub
    assert "sha256:taught" in text and manifest.inputs["model"] in text
    assert f"{manifest.counts['first_loss']:.3f}" in text
    assert "nothing is claimed" in text and "Not known" in text
    assert "does not give the exact token ids" not in text
    assert json.loads(text.split("```json\n")[1].split("\n```")[0]) == manifest.recipe
    named = card(manifest, [Result("ASDiv: test", "accuracy", wilson(30, 100), "greedy, inline")], "mit")
    header = hub.ModelCard(named).data
    assert header.license == "mit"
    assert [(row.dataset_name, row.metric_value) for row in header.eval_results] == [("ASDiv: test", 0.3)]
    assert "| ASDiv: test | accuracy | 30.0 % | 21.9 to 39.6 % | 100 | greedy, inline |" in named
    assert "nothing is claimed" not in named
    assert "what the interpreter answers was read, never learnt." in named
    ablated = replace(manifest, recipe={**manifest.recipe, "train": {"train_on_output": True}})
    assert "It learnt the interpreter's output" in card(ablated) and "never learnt" not in card(ablated)


def test_a_licence_is_handed_on(base: Path, tmp_path: Path) -> None:
    from mario.train.publish import licence_of

    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\ntags: [a]\n---\nlicense: no\n")
    assert licence_of(tmp_path, "x/y") == "apache-2.0"
    assert licence_of(base, "tiny") == "unknown"
    assert licence_of(base, checkpoint.EMBEDDED_LABEL) == "apache-2.0"


def test_push_names_results_of_this_model_only(trained: Path, base: Path, tmp_path: Path, capsys: Any) -> None:
    from mario.cli.app import main
    from mario.data.readers import write_problems
    from mario.types import Problem

    pytest.importorskip("huggingface_hub")
    problems = tmp_path / "problems.jsonl"
    write_problems(problems, [Problem(f"h{i}", f"What is {i} + 1?", str(i + 1), "sums", "test") for i in range(3)])
    for model, run in ((trained, "own"), (base, "other")):
        judged = ["--engine.model", str(model), "--solve.max_new_tokens", "4", "--out", str(tmp_path / run)]
        assert main(["evaluate", str(problems), *judged]) == 0
    to = ["--to", "someone/solver", "--dry-run"]
    assert main(["push", str(trained), *to, "--results", str(tmp_path / "own"), "--licence", "mit"]) == 0
    text = (trained / "README.md").read_text()
    assert "| sums test | accuracy | 0.0 % | 0.0 to 56.1 % | 3 | 1 sample a problem, greedy, format inline |" in text
    assert "license: mit" in text
    said = capsys.readouterr().err
    assert "push to someone/solver (private)" in said and "nothing was uploaded" in said
    assert main(["push", str(trained), *to, "--results", str(tmp_path / "other")]) == 2
    assert "name evaluations of this model" in capsys.readouterr().err
    assert main(["push", str(base), *to]) == 1  # no run of ours made it
    half = Path(shutil.copytree(trained, tmp_path / "half"))
    manifest = json.loads((half / "manifest.json").read_text())
    (half / "manifest.json").write_text(json.dumps(manifest | {"seconds": None}))
    assert main(["push", str(half), *to]) == 1
    assert "not trained to its end; run the command that trains it again" in capsys.readouterr().err
    assert main(["push", str(trained), "--to", "nameless", "--dry-run"]) == 2
    from mario.export.push import _public

    names = {path.relative_to(trained).as_posix() for path in _public(trained)}
    assert {"README.md", "model.safetensors", "chat_template.jinja", "manifest.json", "metrics.jsonl"} <= names
    assert not any(name.startswith((".", "refused")) for name in names)


def test_a_card_says_what_is_chosen_among_samples_and_what_values_are_worth(
    trained: Path, base: Path, tmp_path: Path, capsys: Any
) -> None:
    """A value model is worth what it makes of samples, its own or those of another model that it has valued."""
    from mario.cli.app import main
    from mario.data.readers import write_problems
    from mario.train.ovm import OvmConfig, train_ovm
    from mario.types import Problem
    from test_ovm import CONFIG as VALUED
    from test_ovm import training_set

    hub = pytest.importorskip("huggingface_hub")
    sums = training_set(tmp_path / "sums", problems=6)
    ovm = train_ovm(replace(VALUED, epochs=1), OvmConfig(), [sums], str(base), tmp_path / "ovm").directory
    problems = tmp_path / "problems.jsonl"
    write_problems(problems, [Problem(f"h{i}", f"What is {i} + 1?", str(i + 1), "sums", "test") for i in range(3)])
    sampled = ["--solve.samples", "2", "--solve.temperature", "1", "--solve.max_new_tokens", "4"]
    for model, run, values in ((ovm, "own", ["--value.model", str(ovm)]), (trained, "other", [])):
        command = ["evaluate", str(problems), "--engine.model", str(model), *sampled, *values]
        assert main([*command, "--out", str(tmp_path / run)]) == 0
    push = ["push", str(ovm), "--to", "someone/solver", "--dry-run", "--results"]
    assert main([*push, str(tmp_path / "other")]) == 2
    assert "name evaluations of this model, or of samples that it has valued" in capsys.readouterr().err
    assert main(["value", str(tmp_path / "other"), "--model", str(ovm), "--name", "judge"]) == 0
    assert main([*push, str(tmp_path / "own"), str(tmp_path / "other")]) == 0
    text = (ovm / "README.md").read_text()
    how = "2 samples a problem, temperature 1, format inline"
    own = [line for line in text.splitlines() if line.startswith("| sums test |") and line.endswith(f"| {how} |")]
    named = [
        "accuracy",
        "majority@2",
        "ovm@2",
        "outlier-free@2",
        "weighted@2",
        "Brier score",
    ]  # none is right: no AUROC
    assert [line.split(" | ")[1] for line in own] == named
    assert own[1].startswith("| sums test | majority@2 | 0.0 % | 0.0 to 56.1 % | 3 |")
    assert own[-1].split(" | ")[2].startswith("0.2") and "%" not in own[-1]  # squared error of a half
    foreign = [line for line in text.splitlines() if "samples by model [" in line]
    assert [line.split(" | ")[1] for line in foreign] == named[2:]
    metrics = [row.metric_name for row in hub.ModelCard(text).data.eval_results]
    assert metrics == named[:5] + named[2:5]  # shares of problems solved; a header names no unit
