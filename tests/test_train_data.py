"""Spans to labels, and rows to steps. What must stay true:

- the decoded trained tokens are the model's spans and the end token, exactly; nothing of prompt or interpreter;
- ids that generation saw are kept, and extended by the end token once;
- a row that cannot be trained on whole is refused with id and reason;
- a plan holds every row once, within its token bounds, and depends on the seed alone;
- with a budget every source gives as many tokens as fit, and a source that cannot is an error.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario.errors import DataError, UsageError
from mario.train.batch import draw, plan_steps
from mario.train.config import SftConfig
from mario.train.encode import IGNORED, EncodedRow, Reason, Refusal, encode, encode_all
from mario.types import Sampling, Source, Span, StopReason, Trajectory

pytestmark = pytest.mark.train
tiny = pytest.importorskip("tiny", reason="needs tokenizers", exc_type=ImportError)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny.tiny_tokenizer(add_bos=True, merges=(("a", "b"), ("1", "2"), ("Ċ", "Ċ")))


def trajectory(*spans: Span, stop: StopReason = StopReason.ANSWERED, index: int = 0) -> Trajectory:
    return Trajectory("p", index, "inline", "teacher", Sampling(), (), stop, spans=spans)


def decoded(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False))


spans = st.lists(
    st.builds(Span, st.text("ab12\n é<>", min_size=1, max_size=12), st.sampled_from(list(Source))),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(spans)
def test_trained_tokens_are_the_models_spans_and_nothing_else(spans: list[Span]) -> None:
    tokenizer = tiny.tiny_tokenizer(add_bos=True, merges=(("a", "b"), ("1", "2"), ("Ċ", "Ċ")))
    row = encode(trajectory(*spans), tokenizer, max_row_tokens=1000)
    by_model = "".join(span.text for span in spans if span.source is Source.MODEL)
    if not by_model:
        assert isinstance(row, Refusal)
        assert row.reason is Reason.NOTHING_TRAINED
        return
    assert isinstance(row, EncodedRow)
    ended = spans[-1].source is Source.MODEL
    trained = [label for label in row.labels if label != IGNORED]
    opening = "<bos>" if spans[0].source is Source.MODEL else ""  # the first span brings the special tokens
    assert decoded(tokenizer, trained) == opening + by_model + ("<eos>" if ended else "")
    assert decoded(tokenizer, list(row.input_ids)) == (
        "<bos>" + "".join(span.text for span in spans) + ("<eos>" if ended else "")
    )
    assert row.n_trained == len(trained) - (row.labels[0] != IGNORED)
    assert len(row.labels) == len(row.input_ids)


def test_a_boundary_splits_what_the_tokenizer_would_merge(tokenizer: Any) -> None:
    row = encode(
        trajectory(Span("a", Source.PROMPT), Span("b1", Source.MODEL), Span("2", Source.INTERPRETER)),
        tokenizer,
        max_row_tokens=100,
    )
    assert isinstance(row, EncodedRow)
    assert [decoded(tokenizer, [i]) for i in row.input_ids] == ["<bos>", "a", "b", "1", "2"]
    assert [label != IGNORED for label in row.labels] == [False, False, True, True, False]


def test_output_is_trained_only_when_the_ablation_asks(tokenizer: Any) -> None:
    work = trajectory(Span("q", Source.PROMPT), Span("m", Source.MODEL), Span("out", Source.INTERPRETER))
    plain = encode(work, tokenizer, max_row_tokens=100)
    ablation = encode(work, tokenizer, max_row_tokens=100, train_on_output=True)
    assert isinstance(plain, EncodedRow)
    assert isinstance(ablation, EncodedRow)
    assert (plain.n_trained, ablation.n_trained) == (1, 4)
    assert plain.input_ids == ablation.input_ids


def test_ids_of_generation_are_kept_and_ended_once(tokenizer: Any) -> None:
    unmerged = tuple(tokenizer.encode(c, add_special_tokens=False)[0] for c in "ab")  # not how the tokenizer would
    prompt = Span("q", Source.PROMPT)
    cut = encode(trajectory(prompt, Span("ab", Source.MODEL, unmerged)), tokenizer, max_row_tokens=100)
    ended = encode(trajectory(prompt, Span("ab", Source.MODEL, (*unmerged, tiny.EOS))), tokenizer, max_row_tokens=100)
    assert isinstance(cut, EncodedRow)
    assert cut == ended
    assert cut.input_ids[-3:] == (*unmerged, tiny.EOS)
    assert cut.labels[-1] == tiny.EOS


@pytest.mark.parametrize("stop", [StopReason.TOKEN_LIMIT, StopReason.STEP_LIMIT])
def test_no_end_token_without_an_answer(tokenizer: Any, stop: StopReason) -> None:
    row = encode(
        trajectory(Span("q", Source.PROMPT), Span("m", Source.MODEL), stop=stop), tokenizer, max_row_tokens=100
    )
    assert isinstance(row, EncodedRow)
    assert tiny.EOS not in row.input_ids


def test_refusals_name_row_and_reason(tokenizer: Any) -> None:
    prompt, model = Span("q", Source.PROMPT), Span("m" * 30, Source.MODEL)
    foreign = Span("m", Source.MODEL, tuple(tokenizer.encode("xyz", add_special_tokens=False)))
    found = encode_all(
        [
            trajectory(index=0),
            trajectory(Span("", Source.MODEL), index=1),
            trajectory(prompt, Span("o", Source.INTERPRETER), index=2),
            trajectory(prompt, model, index=3),
            trajectory(prompt, foreign, index=4),
            trajectory(prompt, Span("m", Source.MODEL), index=5),
        ],
        tokenizer,
        max_row_tokens=32,
    )
    assert [row.id for row in found.rows] == ["p#5"]
    assert {refusal.id: refusal.reason for refusal in found.refusals} == {
        "p#0": Reason.NO_SPANS,
        "p#1": Reason.NO_SPANS,
        "p#2": Reason.NOTHING_TRAINED,
        "p#3": Reason.TOO_LONG,
        "p#4": Reason.NOT_REVERSIBLE,
    }
    assert "33 tokens, at most 32" in {refusal.detail for refusal in found.refusals}
    assert encode(trajectory(prompt, model), tokenizer, max_row_tokens=33) != found.refusals[3]


def test_a_tokenizer_that_loses_text_refuses(tokenizer: Any) -> None:
    from tokenizers import normalizers

    lossy = tiny.tiny_tokenizer()
    lossy.backend_tokenizer.normalizer = normalizers.Lowercase()
    spans = (Span("q", Source.PROMPT), Span("Answer", Source.MODEL))
    refusal = encode(trajectory(*spans), lossy, max_row_tokens=100)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.NOT_REVERSIBLE
    assert isinstance(encode(trajectory(*spans), tokenizer, max_row_tokens=100), EncodedRow)


def rows_of(lengths: list[int], name: str = "r") -> list[EncodedRow]:
    return [EncodedRow(f"{name}{i}", (7,) * n, (IGNORED,) + (7,) * (n - 1), n - 1) for i, n in enumerate(lengths)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(2, 100), min_size=1, max_size=80),
    st.integers(0, 3),
    st.one_of(st.none(), st.integers(1, 9)),
)
def test_a_plan_holds_every_row_once_within_bounds(lengths: list[int], seed: int, rows_per_step: int | None) -> None:
    options = {"seed": seed, "max_tokens": 120, "tokens_per_step": 200, "rows_per_step": rows_per_step}
    steps = plan_steps(lengths, **options)  # type: ignore[arg-type]
    assert sorted(i for step in steps for batch in step for i in batch) == list(range(len(lengths)))
    assert all(len(batch) * max(lengths[i] for i in batch) <= 120 for step in steps for batch in step)
    assert steps == plan_steps(lengths, **options)  # type: ignore[arg-type]
    if rows_per_step:
        sizes = [sum(map(len, step)) for step in steps]
        assert len(steps) == pytest.approx(len(lengths) / rows_per_step, abs=1 + len(lengths) / rows_per_step / 8)
        assert max(sizes) <= 2 * rows_per_step


def test_steps_hold_about_the_tokens_asked_for_and_little_padding() -> None:
    lengths = [60 + (37 * i) % 180 for i in range(800)]
    steps = plan_steps(lengths, seed=0, max_tokens=1600, tokens_per_step=1200)
    sizes = [sum(lengths[i] for batch in step for i in batch) for step in steps]
    padded = sum(len(batch) * max(lengths[i] for i in batch) for step in steps for batch in step)
    assert min(sizes) > 900
    assert max(sizes) < 1500
    assert padded < 1.1 * sum(lengths)
    assert steps != plan_steps(lengths, seed=1, max_tokens=1600, tokens_per_step=1200)


def test_each_pass_holds_every_row_and_another_order() -> None:
    sources = {"code": rows_of([10] * 20, "c"), "text": rows_of([12] * 10, "t")}
    order, counts = draw(sources, seed=0, passes=3, tokens_per_source=None)
    ids = [row.id for row in order]
    passes = [ids[i * 30 : (i + 1) * 30] for i in range(3)]
    assert all(set(one) == {row.id for rows in sources.values() for row in rows} for one in passes)
    assert passes[0] != passes[1] != passes[2]
    assert (counts["code"].rows, counts["code"].tokens, counts["code"].trained_tokens) == (60, 600, 540)
    assert counts["text"].tokens == 360


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 3), st.integers(0, 9))
def test_evenly_mixed_sources_share_every_stretch(few: int, many: int, passes: int, seed: int) -> None:
    sources = {"few": rows_of([5] * few, "few"), "many": rows_of([5] * many, "many")}
    order, _ = draw(sources, seed=seed, passes=passes, tokens_per_source=None, evenly=True)
    turns = [order[i : i + few + many] for i in range(0, len(order), few + many)]
    assert len(turns) == passes
    for turn in turns:
        assert sorted(row.id for row in turn) == sorted(row.id for rows in sources.values() for row in rows)
        ours = [row.id.startswith("few") for row in turn]
        for start in range(len(turn)):
            for end in range(start + 1, len(turn) + 1):
                assert abs(sum(ours[start:end]) - (end - start) * few / (few + many)) <= 2


def test_sources_get_equal_tokens_under_a_budget() -> None:
    sources = {"code": rows_of([50, 70, 90] * 40, "c"), "text": rows_of([20, 30] * 40, "t")}
    order, counts = draw(sources, seed=3, passes=2, tokens_per_source=3000)
    assert all(3000 - 90 < count.tokens <= 3000 for count in counts.values())
    assert sum(row.n_tokens for row in order) == sum(count.tokens for count in counts.values())
    assert [row.id for row in order] == [row.id for row in draw(sources, seed=3, passes=2, tokens_per_source=3000)[0]]
    assert [row.id for row in order] != [row.id for row in draw(sources, seed=4, passes=2, tokens_per_source=3000)[0]]


def test_a_source_that_cannot_fill_the_budget_is_an_error() -> None:
    sources = {"code": rows_of([50] * 100), "text": rows_of([20] * 10)}
    with pytest.raises(DataError, match=r"source text: 400 tokens in 2 passes, the budget asks for 3,000"):
        draw(sources, seed=0, passes=2, tokens_per_source=3000)
    with pytest.raises(DataError, match="first row has 50 tokens, the budget is 30"):
        draw(sources, seed=0, passes=1, tokens_per_source=30)
    assert draw({"text": rows_of([20] * 10)}, seed=0, passes=2, tokens_per_source=400)[1]["text"].tokens == 400


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be above 0, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
        ({"rows_per_step": -1}, "rows_per_step must be above 0"),
        ({"save_seconds": -1.0}, "save_seconds must be 0 or more"),
        ({"warmup_fraction": 1.0}, "warmup_fraction must be"),
        ({"max_row_tokens": 2000}, "max_row_tokens is 2000 and max_tokens 1600"),
    ],
)
def test_impossible_settings_are_misuse(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SftConfig(**settings)
