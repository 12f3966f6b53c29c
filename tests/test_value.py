"""Values of stored attempts: the same whichever way they are asked for, bound to what they are values of, resumable.

- A row's values do not depend on the rows beside it, and are those of transformers' own class one row at a time.
- The rows valued are the rows trained: ids and places agree with the training code's.
- A run that is scored again, after a kill anywhere, ends with the bytes of an uninterrupted one.
- Values of other attempts, or by another model under the same name, are refused.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario.engine import EngineConfig, build_engine
from mario.engine.checkpoint import load_tokenizer
from mario.engine.rows import Written, written
from mario.errors import DataError, EngineError, StoreError, UsageError
from mario.provenance import make_manifest, to_json
from mario.store import ShardWriter, write_json
from mario.store.jsonl import write_jsonl
from mario.transcript import format_named
from mario.types import (
    Observation,
    ObservationStatus,
    Problem,
    Request,
    Sampling,
    Source,
    Span,
    Step,
    StopReason,
    Trajectory,
    Value,
)
from mario.value import OvmCard, ValueConfig, ValueModel, read_card, read_values, score_run, write_card
from mario.value.model import LocalScorer, Row, batches
from mario.value.positions import step_ends
from mario.value.score import Progress, _chunks
from mario.value.shared import may_share, trees, visible
from ovm_fixtures import tiny_ovm
from tiny import EOS, tiny_model

MODEL, PROMPT, SAID = Source.MODEL, Source.PROMPT, Source.INTERPRETER


@pytest.fixture(scope="module")
def ovm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_ovm(tmp_path_factory.mktemp("models") / "judge")


def attempt(problem: int, sample: int, snippets: int, answer: str | None) -> Trajectory:
    step = Step("We compute.", f"print({sample})", Observation(f"{sample}", ObservationStatus.OK))
    steps = (*(step,) * snippets, Step("So there it is."))
    context = format_named("inline").render(f"What is number {problem}?", steps, answer)
    reason = StopReason.ANSWERED if answer is not None else StopReason.NO_ACTION
    return Trajectory(
        f"p{problem}",
        sample,
        "inline",
        "m",
        Sampling(),
        steps,
        reason,
        answer,
        spans=context.spans,
        completion_tokens=20,
    )


def attempts(problems: int = 6, samples: int = 4) -> Iterator[Trajectory]:
    """Every third attempt is right: the answer to problem p is p."""
    for p in range(problems):
        for k in range(samples):
            right = (p + k) % 3 == 0
            yield attempt(p, k, k % 3, None if k == 3 and p == 1 else str(p) if right else str(p + 1 + k))


def stored(root: Path, rows: Sequence[Trajectory], *, split: str = "dev") -> Path:
    """What an annotation leaves of its attempts, in shards of ten."""
    writer = ShardWriter(root / "trajectories", rows_per_shard=10)
    for row in rows:
        writer.append(row)
    writer.seal()
    write_json(root / "manifest.json", make_manifest("annotate", {}))
    names = dict.fromkeys(row.problem_id for row in rows)
    write_jsonl(root / "problems.jsonl", [Problem(n, f"What is number {n}?", n[1:], "ours", split) for n in names])
    return root


def model_of(directory: Path, **options: Any) -> ValueModel:
    return ValueModel(ValueConfig(model=str(directory), dtype="float32", **options))


# ---- values that a generator gives of its own turns


def written_by(directory: Path, *, attempts: int = 12, dtype: str = "float32") -> list[Trajectory]:
    """Attempts of two turns by the tiny network itself, more at once than its engine has rows."""
    engine = build_engine(EngineConfig(model=str(directory), dtype=dtype, batch_size=5))  # type: ignore[arg-type]

    async def one(i: int) -> Trajectory:
        spans: tuple[Span, ...] = (Span(f"What is number {i // 3}?", PROMPT),)
        values = []
        for turn in range(2):
            sampling = Sampling(temperature=1.0, max_new_tokens=10 + 3 * i)
            made = await engine.generate(
                Request(f"p{i // 3}", i % 3, turn, sampling, 100 * i + turn, spans, stop=("e",))
            )
            assert made.prompt_ids is not None
            read = zip(spans, made.prompt_ids, strict=True)
            spans = tuple(replace(span, token_ids=ids) for span, ids in read)
            spans = (*spans, Span(made.text + (made.stop or ""), MODEL, made.token_ids))
            spans = (*spans, Span(f"\nOutput: {i}\n", SAID)) if not turn else spans
            values.append(made.value)
        found = tuple(value for value in values if value is not None)
        return replace(
            attempt(i // 3, i % 3, 1, None),
            spans=spans,
            model=engine.name,
            values=found if len(found) == len(values) else (),
        )

    async def all_of_them() -> list[Trajectory]:
        try:
            return list(await asyncio.gather(*(one(i) for i in range(attempts))))
        finally:
            await engine.close()

    return asyncio.run(all_of_them())


def test_a_generator_with_a_value_head_says_what_scoring_would(ovm: Path, tmp_path: Path) -> None:
    rows = written_by(ovm)
    assert sum(len(row.values) == 2 for row in rows) > len(rows) / 2
    run = stored(tmp_path / "run", rows)
    told = model_of(ovm, name="told")
    asked = score_run(run, told)
    silent = stored(tmp_path / "silent", [replace(row, values=()) for row in rows])
    read = score_run(silent, model_of(ovm, name="told"))
    assert asked.done == read.done == len(rows)
    assert asked.tokens < read.tokens / 2
    (ours,), (theirs,) = read_values(run), read_values(silent)
    assert ours.logits.keys() == theirs.logits.keys()
    for row in rows:
        key = row.problem_id, row.sample_index
        assert ours.logits[key] == pytest.approx(theirs.logits[key], abs=3e-5)
        assert not row.values or ours.logits[key] == row.values


def test_values_of_another_model_or_format_or_of_other_ids_are_not_taken(ovm: Path, tmp_path: Path) -> None:
    rows = [row for row in written_by(ovm) if row.values]
    assert score_run(stored(tmp_path / "same", rows), model_of(ovm)).tokens == 0
    elsewhere = tmp_path / "under another name"
    shutil.copytree(ovm, elsewhere)
    assert score_run(stored(tmp_path / "moved", rows), model_of(elsewhere, name="x")).tokens == 0
    other = tiny_ovm(tmp_path / "other", seed=5)
    assert score_run(stored(tmp_path / "others", rows), model_of(other)).tokens > 0
    coarse = ValueModel(ValueConfig(model=str(ovm), dtype="bfloat16"))
    assert score_run(stored(tmp_path / "coarse", rows), coarse).tokens > 0
    told = rows[0]
    changes: dict[str, dict[str, Any]] = {
        "an answer whose end token was not written": {"stop_reason": StopReason.ANSWERED, "answer": "1"},
        "a turn that never came": {"spans": told.spans[:-1]},
        "ids that are not known": {"spans": (*told.spans[:-1], replace(told.spans[-1], token_ids=None))},
        "too few": {"values": told.values[:1]},
    }
    for name, change in changes.items():
        if name.startswith("an answer") and told.spans[-1].token_ids[-1:] == (EOS,):  # type: ignore[index]
            continue
        assert score_run(stored(tmp_path / name, [replace(told, **change)]), model_of(ovm)).tokens > 0, name


def test_in_bfloat16_a_generator_values_as_precisely_as_scoring(ovm: Path) -> None:
    rows = [row for row in written_by(ovm, dtype="bfloat16") if row.values]
    scorer = LocalScorer.load(ovm, dtype="bfloat16")
    for row in rows:
        found = model_of(ovm).row(row)
        assert row.values == pytest.approx(scorer.score([found])[0], abs=0.5)
        assert any(value != float(f"{value:.2g}") for value in row.values)  # not rounded to bfloat16's three digits


def test_a_generator_without_a_value_head_gives_no_values(tmp_path: Path) -> None:
    assert not any(row.values for row in written_by(tiny_model(tmp_path / "plain"), attempts=2))


# ---- the network


def test_values_are_those_of_the_stock_class_and_depend_on_no_neighbour(ovm: Path) -> None:
    import torch
    from transformers import AutoModelForTokenClassification

    stock = AutoModelForTokenClassification.from_pretrained(ovm, dtype=torch.float32).eval()
    draw = random.Random(3)
    rows = [
        Row(ids, tuple(sorted(draw.sample(range(len(ids)), 3))))
        for ids in (tuple(draw.randrange(3, 250) for _ in range(draw.randrange(3, 90))) for _ in range(20))
    ]
    alone = []
    with torch.inference_mode():
        for row in rows:
            logits = stock(input_ids=torch.tensor([row.input_ids])).logits[0, :, 0]
            alone.append([float(logits[place]) for place in row.places])
    for batch_tokens in (1, 200, 10_000):
        scorer = LocalScorer.load(ovm, dtype="float32", batch_tokens=batch_tokens)
        for found, wanted in zip(scorer.score(rows), alone, strict=True):
            assert found == pytest.approx(wanted, abs=1e-4)


def test_rows_that_begin_alike_are_read_once_and_valued_as_if_alone(ovm: Path) -> None:
    draw = random.Random(4)
    prompts = [tuple(draw.randrange(3, 250) for _ in range(30)) for _ in range(4)]
    rows = []
    for prompt in prompts:
        for _ in range(6):
            ids = prompt + tuple(draw.randrange(3, 6) for _ in range(draw.randrange(1, 25)))
            rows.append(Row(ids, (len(ids) // 2, len(ids) - 1)))
        rows.append(rows[-1])  # the same sample twice
    draw.shuffle(rows)  # a run stores attempts in the order in which they end
    scorer = LocalScorer.load(ovm, dtype="float32", batch_tokens=300)
    seen: list[int] = []
    scorer._model.register_forward_pre_hook(
        lambda _, __, given: seen.append(given["input_ids"].numel()), with_kwargs=True
    )
    together = scorer.score(rows)
    assert sum(seen) < sum(len(row.input_ids) for row in rows) / 2
    for row, found in zip(rows, together, strict=True):
        assert found == pytest.approx(scorer.score([row])[0], abs=1e-4)


tokens = st.lists(st.integers(0, 2), min_size=1, max_size=12)


@given(st.lists(tokens, max_size=12), st.booleans())
def test_a_tree_holds_every_row_and_every_beginning_once(rows: list[list[int]], share: bool) -> None:
    grown = trees(rows, share=share)
    paths = [(tree, path) for tree in grown for path in tree.rows]
    assert [[tree.ids[node] for node in path] for tree, path in paths] == rows
    for tree, path in paths:
        assert [tree.depths[node] for node in path] == list(range(len(path)))
        assert [tree.parents[node] for node in path] == [-1, *path[:-1]]
        seen = visible(tree, len(tree.ids) + 2)
        assert [place for place, is_seen in enumerate(seen[path[-1]].tolist()) if is_seen] == path
        assert seen[-1].sum() == 1
    for tree in grown:
        beginnings = {
            tuple(row[: n + 1]) for row in ([tree.ids[i] for i in p] for p in tree.rows) for n in range(len(row))
        }
        assert len(tree.ids) == len(beginnings)
    assert share or len(grown) == len(rows)


def test_windowed_attention_is_not_given_a_tree() -> None:
    from transformers import LlamaConfig, MistralConfig, Qwen2Config

    def config(kind: Any, **given: Any) -> Any:
        made = kind(**given)
        made._attn_implementation = "sdpa"
        return made

    assert may_share(config(LlamaConfig))
    assert may_share(config(Qwen2Config, use_sliding_window=False))
    assert not may_share(config(MistralConfig, sliding_window=4096))
    assert may_share(config(MistralConfig, sliding_window=None))
    assert not may_share(LlamaConfig(attn_implementation="flash_attention_2"))


def test_in_bfloat16_values_are_not_rounded_to_it(ovm: Path) -> None:
    import torch

    rows = [Row(tuple(range(5, 5 + n)), tuple(range(n))) for n in range(20, 60)]
    values = torch.tensor([v for found in LocalScorer.load(ovm, dtype="bfloat16").score(rows) for v in found])
    assert (values.bfloat16() != values).float().mean() > 0.9


@given(st.lists(st.integers(1, 100), max_size=40), st.integers(1, 300))
def test_batches_hold_every_row_once_and_keep_to_the_bound(lengths: list[int], bound: int) -> None:
    found = list(batches(lengths, bound))
    assert sorted(i for batch in found for i in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= bound


def test_what_has_no_value_head_is_refused(tmp_path: Path) -> None:
    plain = tiny_model(tmp_path / "plain")
    with pytest.raises(EngineError, match="LlamaForCausalLM, which has no value head"):
        model_of(plain)
    with pytest.raises(UsageError, match="no value model named"):
        ValueModel(ValueConfig())


def test_the_same_directory_still_generates(ovm: Path) -> None:
    import torch

    from mario.engine import checkpoint

    whole = checkpoint.load_model(ovm, dtype="float32", device="cpu")
    ids = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        assert torch.equal(whole(ids).logits.argmax(-1), whole(ids).logits.argmax(-1))
        assert whole.lm_head.weight.shape == whole.model.embed_tokens.weight.shape


# ---- places


def row_of(*spans: tuple[Source, int], end: bool = False) -> Written:
    ids = tuple(tuple(range(n)) for _, n in spans)
    return Written(tuple(Span("x" * n, source) for source, n in spans), ids, (2,) if end else ())


@pytest.mark.parametrize(
    ("row", "places"),
    [
        (row_of((PROMPT, 3), (MODEL, 2)), (4,)),
        (row_of((PROMPT, 3), (MODEL, 2), end=True), (5,)),
        (row_of((PROMPT, 3), (MODEL, 2), (SAID, 4), (MODEL, 1), end=True), (4, 10)),
        (row_of((PROMPT, 3), (MODEL, 2), (MODEL, 2)), (6,)),  # one turn in two pieces
        (row_of((PROMPT, 3), (MODEL, 2), (PROMPT, 1), (SAID, 2), (PROMPT, 1), (MODEL, 3), (PROMPT, 1)), (4, 11)),
        (row_of((PROMPT, 3), (MODEL, 2), (SAID, 4)), (4, 8)),  # the window was full
        (row_of((PROMPT, 3)), (2,)),
    ],
)
def test_places_by_hand(row: Written, places: tuple[int, ...]) -> None:
    assert step_ends(row) == places


def test_there_is_a_value_for_every_turn_and_the_last_is_the_end_token(ovm: Path) -> None:
    tokenizer = load_tokenizer(ovm)
    for trajectory in attempts():
        row = written(trajectory, tokenizer)
        places = step_ends(row)
        assert len(places) == len(trajectory.steps)
        assert places[-1] == len(row.input_ids) - 1
        assert (row.input_ids[-1] == tokenizer.eos_token_id) == (trajectory.answer is not None)
        for place in places[:-1]:
            assert tokenizer.decode(row.input_ids[: place + 1]).endswith("</code>")


def test_rows_are_those_of_training(ovm: Path) -> None:
    from mario.train.encode import EncodedRow, encode

    model = model_of(ovm)
    for trajectory in attempts():
        trained = encode(trajectory, model.tokenizer, max_row_tokens=10_000)
        assert isinstance(trained, EncodedRow)
        row = model.row(trajectory)
        assert row.input_ids == trained.input_ids
        labelled = [i for i, label in enumerate(trained.labels) if label >= 0]
        ends = [i for i in labelled if i + 1 not in labelled]
        assert list(row.places) == ends


def test_ids_of_another_tokenizer_are_not_taken_for_ours(ovm: Path) -> None:
    trajectory = attempt(1, 0, 1, "1")
    foreign = replace(
        trajectory, spans=tuple(replace(span, token_ids=(7,) * len(span.text)) for span in trajectory.spans)
    )
    model = model_of(ovm)
    assert model.row(foreign) == model.row(trajectory)
    own = written(trajectory, model.tokenizer)
    kept = replace(
        trajectory, spans=tuple(replace(s, token_ids=ids) for s, ids in zip(trajectory.spans, own.ids, strict=True))
    )
    assert model.row(kept).input_ids == own.input_ids


# ---- a run


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("0*"))}


def test_every_attempt_gets_its_values_and_a_second_call_asks_nothing(ovm: Path, tmp_path: Path) -> None:
    rows = list(attempts())
    run = stored(tmp_path / "run", rows)
    seen: list[tuple[int, int]] = []
    progress = score_run(run, model_of(ovm), lambda p: seen.append((p.done, p.total)))
    assert (progress.done, progress.total, progress.resumed, progress.unvalued) == (24, 24, 0, 0)
    assert seen[-1] == (24, 24)
    assert seen == sorted(seen)
    (valued,) = read_values(run)
    assert valued.name == "judge"
    assert list(valued.logits) == [(t.problem_id, t.sample_index) for t in rows]
    alone = model_of(ovm)
    for row in rows:
        (wanted,) = alone.values([row], Progress(1))
        assert valued.logits[row.problem_id, row.sample_index] == pytest.approx(wanted.logits, abs=1e-4)
    again = model_of(ovm)
    assert score_run(run, again).resumed == 24
    assert again._scorer is None  # no weights were loaded


def test_a_run_killed_anywhere_ends_with_the_same_bytes(ovm: Path, tmp_path: Path) -> None:
    rows = list(attempts())
    whole = stored(tmp_path / "whole", rows)
    score_run(whole, model_of(ovm, batch_tokens=40))
    wanted = files_of(whole / "values" / "judge")
    for stop in (0, 1, 2, 3):
        run = stored(tmp_path / f"run{stop}", rows)
        calls = iter(range(stop))

        def kill(_: Progress, calls: Iterator[int] = calls) -> None:
            if next(calls, None) is None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            score_run(run, model_of(ovm, batch_tokens=40), kill)
        newest = max((run / "values" / "judge").glob("0*.jsonl"))
        if not newest.with_suffix(".seal.json").exists():
            lines = newest.read_bytes().splitlines(keepends=True)
            newest.write_bytes(b"".join(lines[:-1]) + lines[-1][:9])  # and the disk lost the end of what was written
        assert score_run(run, model_of(ovm, batch_tokens=40)).done == len(rows)
        assert files_of(run / "values" / "judge") == wanted


def test_attempts_are_read_a_chunk_at_a_time() -> None:
    pulled: list[Trajectory] = []

    def source() -> Iterator[Trajectory]:
        for row in attempts(50):
            pulled.append(row)
            yield row

    sizes = []
    for chunk in _chunks(source(), 900):
        assert len(pulled) == sum(sizes) + len(chunk)
        sizes.append(len(chunk))
    assert sum(sizes) == 200
    assert max(sizes) < 12


def test_a_run_that_grew_is_scored_where_it_grew(ovm: Path, tmp_path: Path) -> None:
    rows = list(attempts())
    run = stored(tmp_path / "run", rows[:10])
    score_run(run, model_of(ovm))
    before = files_of(run / "values" / "judge")
    writer = ShardWriter(run / "trajectories")
    for row in rows[10:]:
        writer.append(row)
    writer.seal()
    heard: list[str] = []
    assert read_values(run, heard.append) == []
    assert "run mario value on it again" in heard[0]
    assert score_run(run, model_of(ovm)).resumed == 10
    assert before.items() <= files_of(run / "values" / "judge").items()
    assert len(read_values(run)[0].logits) == len(rows)


def test_values_of_other_attempts_or_another_model_are_refused(ovm: Path, tmp_path: Path) -> None:
    rows = list(attempts())
    run = stored(tmp_path / "run", rows)
    score_run(run, model_of(ovm))
    other = tiny_ovm(tmp_path / "judge", seed=1)
    with pytest.raises(StoreError, match=r"inputs\.model.*another name: --value\.name"):
        score_run(run, model_of(other))
    score_run(run, model_of(other, name="second"))
    assert [valued.name for valued in read_values(run)] == ["judge", "second"]
    shard = run / "trajectories" / "00000.jsonl"
    shard.write_bytes(shard.read_bytes().replace(b"number 0", b"number 9"))
    with pytest.raises(StoreError, match="has changed since it was sealed"):
        score_run(run, model_of(ovm, name="third"))
    stored(tmp_path / "other", rows[::-1])
    (run / "trajectories" / "00000.seal.json").write_bytes(
        (tmp_path / "other" / "trajectories" / "00000.seal.json").read_bytes()
    )
    with pytest.raises(StoreError, match="values other attempts"):
        score_run(run, model_of(ovm))


def test_a_run_that_is_not_finished_says_so(ovm: Path, tmp_path: Path) -> None:
    run = stored(tmp_path / "run", list(attempts()))
    (run / "trajectories" / "00001.seal.json").unlink()
    with pytest.raises(StoreError, match="is not sealed"):
        score_run(run, model_of(ovm))
    assert read_values(run) == []
    assert read_values(tmp_path / "nothing") == []
    with pytest.raises(StoreError, match="holds no attempts; name the --out of mario evaluate or mario annotate"):
        score_run(tmp_path, model_of(ovm))


def test_an_attempt_longer_than_the_window_has_no_value_and_is_counted(tmp_path: Path) -> None:
    small = tiny_ovm(tmp_path / "small", window=256)
    rows = [attempt(0, 0, 0, "0"), attempt(0, 1, 9, "0")]
    run = stored(tmp_path / "run", rows)
    assert score_run(run, model_of(small)).unvalued == 1
    assert list(read_values(run)[0].logits) == [("p0", 0)]
    only = stored(tmp_path / "only", rows[1:])
    with pytest.raises(DataError, match="no attempt fits the window of small, 256 tokens"):
        score_run(only, model_of(small))


# ---- the card


def test_a_tanh_head_and_a_sigmoid_head_mean_the_same_chance() -> None:
    import math

    for x in (-2.0, -0.3, 0.0, 1.7):
        chance = 1 / (1 + math.exp(-OvmCard(target="tanh").log_odds(x)))
        assert chance == pytest.approx((math.tanh(x) + 1) / 2)
        assert OvmCard().log_odds(x) == x
    assert OvmCard(temperature=2.0, bias=-1.0).log_odds(3.0) == pytest.approx(0.5)


def test_a_card_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"no ovm\.json: it is not a value model"):
        read_card(tmp_path)
    (tmp_path / "ovm.json").write_text('{"target": "softmax"}')
    with pytest.raises(DataError, match="is not a value model's card"):
        read_card(tmp_path)
    write_card(tmp_path, OvmCard("tanh", "step", temperature=1.5))
    assert read_card(tmp_path) == OvmCard("tanh", "step", temperature=1.5)


def test_a_value_is_a_record() -> None:
    assert to_json(Value("p", 1, (0.5,))) == {"problem_id": "p", "sample_index": 1, "logits": [0.5]}
