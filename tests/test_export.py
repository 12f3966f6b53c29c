"""A published data set: two renderings, six forms, a card; bytes that depend on inputs and recipe alone.

Semantics kept here:
- both renderings parse back to the steps of the trajectory they came from;
- what a form labels as the model's is exactly the model's spans;
- every number in the card was counted, and a test problem never gets in without being named.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mario.annotate import AnnotateConfig, annotate
from mario.annotate.select import SelectConfig, select
from mario.cli.app import main
from mario.data.decontaminate import DecontaminateConfig, decontaminate
from mario.data.readers import write_problems
from mario.data.wordproblems import generate
from mario.errors import DataError, UsageError
from mario.export import ExportConfig, export, forms
from mario.export.push import plan_push
from mario.export.rows import FIELDS, make_row
from mario.provenance import file_hash
from mario.store import ShardWriter, read_jsonl
from mario.transcript import Context, format_named
from mario.types import Observation, ObservationStatus, Problem, Sampling, Step, StopReason, Trajectory

pytest.importorskip("pyarrow", reason="NO PYARROW: exports were not tried; pip install 'mario-math[data]'")

PROBLEMS = [
    Problem("own/0", "A box holds 24 pencils. How many do 17 boxes hold?", "408", "own", "train", licence="MIT",
            level="1"),
    Problem("own/1", "Say \"<p>\" and \\frac{1}{2} of 10 – naïvely.", "5", "own", "train", licence="MIT",
            tags={"parent": "own/0"}),
    Problem("own/2", "What is half of nothing?", "0", "own", "train", licence="MIT"),
]  # fmt: skip


def attempt(
    problem: Problem, sample: int, answer: str, *steps: tuple[str, str, str], format: str = "inline"
) -> Trajectory:
    made = tuple(Step(thought, code, Observation(out, ObservationStatus.OK, 0.25)) for thought, code, out in steps)
    made = (*made, Step(f"So it is {answer}."))
    context = format_named(format).render(problem.question, made, answer)
    return Trajectory(problem.id, sample, format, "teacher", Sampling(0.6), made, StopReason.ANSWERED, answer,
                      context.spans, context.messages, 10, 20)  # fmt: skip


ATTEMPTS = [
    attempt(PROBLEMS[0], 0, "408", ("Multiply.", "n = 24 * 17\nprint(n)", "408")),
    attempt(
        PROBLEMS[0], 1, "408", ("First.", "a = 24 * 10", ""), ("Then.", "print(a + 24 * 7)", "408"), format="tools"
    ),
    attempt(PROBLEMS[0], 2, "409", ("Guess.", "print(24 * 17 + 1)", "409")),
    attempt(PROBLEMS[1], 0, "5", ("Half.\nOf ten.", "print(10 / 2)", "<p>\nFinal Answer: 7\n5.0")),
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return training_set(tmp_path / "set")


def training_set(root: Path) -> Path:
    write_problems(root / "problems.jsonl", PROBLEMS)
    writer = ShardWriter(root / "trajectories")
    for made in ATTEMPTS:
        writer.append(made)
    writer.seal()
    select(root, SelectConfig(workers=1))
    return root


@pytest.mark.parametrize("made", ATTEMPTS, ids=range(len(ATTEMPTS)))
def test_both_renderings_parse_back(made: Trajectory) -> None:
    problem = next(p for p in PROBLEMS if p.id == made.problem_id)
    row = make_row(problem, made)
    told = [(s.thought, s.code, s.observation.output if s.observation else None) for s in made.steps]

    def read(steps: tuple[Step, ...]) -> list[tuple[str, str | None, str | None]]:
        return [(s.thought, s.code, s.observation.output if s.observation else None) for s in steps]

    steps, answer = format_named("tools").parse(Context(messages=tuple(row["messages"])))
    assert (read(steps), answer) == (told, made.answer)
    question, steps, answer = format_named("inline").from_text(row["text"])  # type: ignore[attr-defined]
    assert (question, read(steps), answer) == (problem.question, told, made.answer)
    assert "".join(span["text"] for span in row["spans"]) == row["text"]
    assert list(row) == [name for name, _ in FIELDS]


def test_the_students_own_text_is_kept_to_the_letter() -> None:
    model = replace(ATTEMPTS[0].spans[1], text=ATTEMPTS[0].spans[1].text.replace("\n\n<code>", "\n<code>"))
    made = replace(ATTEMPTS[0], spans=(ATTEMPTS[0].spans[0], model, *ATTEMPTS[0].spans[2:]))
    assert make_row(PROBLEMS[0], made)["spans"][1]["text"] == model.text


def test_demonstrations_stay_out() -> None:
    prompt = replace(ATTEMPTS[0].spans[0], text="Question: another\n\n" + ATTEMPTS[0].spans[0].text)
    made = replace(ATTEMPTS[0], spans=(prompt, *ATTEMPTS[0].spans[1:]))
    assert "another" not in make_row(PROBLEMS[0], made)["text"]


def test_forms_say_the_same() -> None:
    row = make_row(PROBLEMS[0], ATTEMPTS[1])
    calls = [m["tool_calls"][0] for m in row["messages"] if "tool_calls" in m]
    assert calls[0]["function"]["arguments"] == {"code": "a = 24 * 10"}
    wire = [m["tool_calls"][0] for m in forms.openai(row)["messages"] if "tool_calls" in m]
    assert [json.loads(call["function"]["arguments"]) for call in wire] == [c["function"]["arguments"] for c in calls]
    assert forms.trl(row)["messages"] == row["messages"]
    segments = forms.axolotl(row)["segments"]
    assert "".join(part["text"] for part in segments) == row["text"]
    assert [part["label"] for part in segments] == [span["source"] == "model" for span in row["spans"]]
    turns = [turn["from"] for turn in forms.sharegpt(row)["conversations"]]
    assert turns == ["human", "gpt", "observation", "gpt", "observation", "gpt"]
    header, *lines = forms.trace(row)
    assert (header["type"], header["harness"], len(lines)) == ("session", "mario", len(row["messages"]))
    assert [line["message"]["role"] for line in lines] == [m["role"] for m in row["messages"]]
    assert lines[3]["message"]["toolCallId"] == lines[2]["message"]["toolCalls"][0]["id"]


def test_all_files_are_there_and_counted(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = export(ExportConfig(source, title="Own", traces=2), out)
    assert (done.rows, done.incorrect, done.problems) == (3, 1, 2)
    manifest = json.loads((out / "manifest.json").read_text())
    public = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file() and p.name != ".lock"}
    assert set(manifest["files"]) | {"manifest.json"} == public
    assert all(file_hash(out / name) == said["hash"] for name, said in manifest["files"].items())
    assert {p.name for p in (out / "forms").iterdir()} == {
        "openai.jsonl", "trl.jsonl", "sharegpt.jsonl", "dataset_info.json", "axolotl.jsonl", "verl-sft.parquet",
        "verl-rl.parquet", "traces",
    }  # fmt: skip
    assert len(list((out / "forms" / "traces").iterdir())) == 2
    assert [row["correct"] for _, row in read_jsonl(out / "data" / "incorrect.jsonl")] == [False]


def test_parquet_and_json_lines_hold_the_same_rows(source: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    export(ExportConfig(source), tmp_path / "out")
    table = parquet.read_table(tmp_path / "out" / "data" / "train.parquet").to_pylist()
    lines = [row for _, row in read_jsonl(tmp_path / "out" / "data" / "train.jsonl")]

    def full(value: Any) -> Any:
        """As Arrow gives it back: absent keys of a message are None."""
        if isinstance(value, dict):
            return {name: full(item) for name, item in value.items() if item is not None}
        return [full(item) for item in value] if isinstance(value, list) else value

    assert full(table) == full(lines)
    problems = parquet.read_table(tmp_path / "out" / "forms" / "verl-rl.parquet").to_pylist()
    assert [p["reward_model"]["ground_truth"] for p in problems] == ["408", "5", "0"]


def test_same_inputs_same_bytes(tmp_path: Path) -> None:
    """Made twice, from attempts to files, in two processes with different hash seeds and folders."""
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]); import test_export as t\n"
        "from mario.export import ExportConfig, export\n"
        "root = Path(sys.argv[1]); t.training_set(root / 'set'); export(ExportConfig(root / 'set'), root / 'out')"
    )
    for name, seed in (("first", "1"), ("second", "22")):
        subprocess.run([sys.executable, "-c", script, str(tmp_path / name), str(Path(__file__).parent)], check=True,
                       env={**os.environ, "PYTHONHASHSEED": seed})  # fmt: skip
    first, second = (
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name / "out").rglob("*") if p.is_file()}
        for name in ("first", "second")
    )
    assert {str(p).split("/", 1)[1] for p in first} == {str(p).split("/", 1)[1] for p in second}
    assert {str(p).split("/", 1)[1]: b for p, b in first.items()} == {
        str(p).split("/", 1)[1]: b for p, b in second.items()
    }


def test_the_card_is_the_hubs_and_counts(source: Path, tmp_path: Path) -> None:
    write_problems(tmp_path / "bench.jsonl", [replace(PROBLEMS[1], id="t", split="test")])
    config = DecontaminateConfig(source, (f"bench={tmp_path / 'bench.jsonl'}",), remove=("bench",))
    decontaminate(config, tmp_path / "clean")
    export(ExportConfig(tmp_path / "clean", title='Own "set": first', licence="cc-by-4.0"), tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    assert "| verify | attempts | 4 | 3 | 1 wrong |" in text
    assert "| decontaminate | attempts | 3 | 2 | 1 like bench: exact |" in text
    assert "| bench | 1 | 1 | 1 exact | removed |" in text
    assert "| own | train | MIT | 2 |" in text
    hub = pytest.importorskip("huggingface_hub")
    card = hub.DatasetCard(text, ignore_metadata_errors=False)
    assert card.data.license == "cc-by-4.0"
    assert card.data.pretty_name == 'Own "set": first'
    assert card.data.configs[0]["data_files"] == [{"split": "train", "path": "data/train.parquet"}]


def test_the_card_says_when_nothing_was_compared(source: Path, tmp_path: Path) -> None:
    export(ExportConfig(source), tmp_path / "out")
    assert "has **not** been decontaminated" in (tmp_path / "out" / "README.md").read_text()


def test_the_card_tells_of_problems_that_were_cleaned_before_any_attempt(tmp_path: Path) -> None:
    problems = list(generate("train", 6, seed=2))
    write_problems(tmp_path / "p" / "problems.jsonl", problems)
    write_problems(tmp_path / "bench" / "problems.jsonl", [replace(problems[4], id="t/0", source="own", split="test")])
    clean, taught, out = tmp_path / "clean", tmp_path / "taught", tmp_path / "out"
    decontaminate(DecontaminateConfig(tmp_path / "p", (str(tmp_path / "bench"),), remove=("own-test",)), clean)
    annotate(AnnotateConfig(clean / "problems.jsonl", limit=3), taught)
    export(ExportConfig(taught), out)
    card = (out / "README.md").read_text()
    assert "| decontaminate | problems | 6 | 5 | 1 like own-test: exact |" in card
    assert "| limit | problems | 5 | 3 | 2 beyond the limit |" in card
    assert "| own-test | 1 | 1 | 1 exact | removed |" in card and "**not**" not in card
    assert json.loads((taught / "summary.json").read_text())["drops"] == {}
    write_problems(clean / "problems.jsonl", problems)  # no longer those of the report
    annotate(AnnotateConfig(clean / "problems.jsonl"), tmp_path / "again")
    export(ExportConfig(tmp_path / "again"), out)
    assert "has **not** been decontaminated" in (out / "README.md").read_text()


def test_test_problems_do_not_get_in(tmp_path: Path) -> None:
    root = tmp_path / "set"
    problem = replace(PROBLEMS[0], split="test")
    write_problems(root / "problems.jsonl", [problem])
    writer = ShardWriter(root / "trajectories")
    writer.append(ATTEMPTS[0])
    writer.seal()
    select(root, SelectConfig(workers=1))
    with pytest.raises(DataError, match=r"of the test set own-test.*--allow own-test"):
        export(ExportConfig(root), tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert export(ExportConfig(root, allow=("own-test",)), tmp_path / "out").rows == 1


def test_nothing_to_export(tmp_path: Path) -> None:
    write_problems(tmp_path / "set" / "problems.jsonl", PROBLEMS)
    select(tmp_path / "set", SelectConfig(workers=1))
    with pytest.raises(DataError, match="keeps no rows"):
        export(ExportConfig(tmp_path / "set"), tmp_path / "out")


def test_half_characters_are_written_as_escapes(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_problems(root / "problems.jsonl", PROBLEMS[:1])
    writer = ShardWriter(root / "trajectories")
    writer.append(attempt(PROBLEMS[0], 0, "408", ("half \ud83d", "print(24 * 17)", "408")))
    writer.seal()
    select(root, SelectConfig(workers=1))
    assert export(ExportConfig(root), tmp_path / "out").rows == 1


def test_push_is_checked_without_a_network(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # whoever asked it would fail
    out = tmp_path / "out"
    assert main(["data", "export", str(source), "--out", str(out), "--push", "me/own", "--dry-run"]) == 0
    assert "dry run: nothing was uploaded" in capsys.readouterr().err
    plan = plan_push(out, "me/own")
    assert (plan.private, plan.files) == (True, len(json.loads((out / "manifest.json").read_text())["files"]) + 1)
    with pytest.raises(UsageError, match="OWNER/NAME"):
        plan_push(out, "no owner")
    (out / "data" / "train.jsonl").write_text("changed")
    with pytest.raises(DataError, match="has changed since it was exported"):
        plan_push(out, "me/own")


# --- what others make of it ----------------------------------------------------------------------------------------

# A chat template of our own in the shape of the common ones: tools in the system turn, calls as JSON, tool turns.
TEMPLATE = (
    "{% if tools %}<|im_start|>tools\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% if m.tool_calls %}{% for c in m.tool_calls %}<call>{{ c.function | tojson }}</call>{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}"
)


@pytest.mark.train
@pytest.mark.parametrize(
    "file", ["data/train.parquet", "data/train.jsonl", "forms/trl.jsonl", "forms/verl-sft.parquet"]
)
def test_datasets_loads_it_and_a_chat_template_renders_it(source: Path, tmp_path: Path, file: str) -> None:
    datasets = pytest.importorskip("datasets")
    from tiny import tiny_tokenizer

    export(ExportConfig(source), tmp_path / "out")
    kind = "parquet" if file.endswith("parquet") else "json"
    rows = datasets.load_dataset(
        kind, data_files=str(tmp_path / "out" / file), split="train", cache_dir=str(tmp_path / "c")
    )
    assert len(rows) == 3
    tokenizer = tiny_tokenizer()
    for row in rows:
        text = tokenizer.apply_chat_template(
            row["messages"], tools=row["tools"], chat_template=TEMPLATE, tokenize=False
        )
        code = row["messages"][2]["tool_calls"][0]["function"]["arguments"]["code"]
        assert json.dumps(code, ensure_ascii=False)[1:-1].replace("'", "\\u0027") in text.replace("'", "\\u0027")
        assert '"code": "\\"' not in text  # encoded once
        assert '"required": ["code"]' in text


@pytest.mark.train
@pytest.mark.full
def test_trl_trains_on_it(source: Path, tmp_path: Path) -> None:
    trl = pytest.importorskip("trl", reason="NO TRL: its trainer was not tried; pip install trl")
    datasets = pytest.importorskip("datasets")
    from tiny import tiny_model

    tiny_model(tmp_path / "model")
    export(ExportConfig(source), tmp_path / "out")
    rows = datasets.load_dataset(
        "json", data_files=str(tmp_path / "out/forms/trl.jsonl"), split="train", cache_dir=str(tmp_path / "c")
    )
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    tokenizer.chat_template = TEMPLATE.replace(
        "{{ m.content }}", "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}"
        "{% else %}{{ m.content }}{% endif %}"
    )  # fmt: skip
    trainer = trl.SFTTrainer(
        model=str(tmp_path / "model"),
        processing_class=tokenizer,
        train_dataset=rows,
        args=trl.SFTConfig(
            output_dir=str(tmp_path / "trained"),
            max_steps=1,
            per_device_train_batch_size=1,
            max_length=None,
            bf16=False,
            assistant_only_loss=True,
            report_to="none",
            use_cpu=True,
            save_strategy="no",
            gradient_checkpointing=False,
        ),
    )
    assert trainer.train().global_step == 1
