"""Rows are what solving sees, for tokenizers of every kind. What must stay true:

- decoded in its place, each span's ids are its text; all of a row's ids are all of its text, nothing added;
- everything that the model wrote is trained, and its end; nothing of prompt or interpreter is, to the last token;
- ids that generation saw are the ids that are trained;
- a conversation gets the special tokens that its chat template writes, and no others;
- boundaries that the tokenizer would have merged are counted.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario.annotate.calculator import CalculatorConfig, CalculatorTeacher
from mario.data.calculator import SHAPES, Conversion, convert
from mario.data.readers import read_gsm8k
from mario.engine.protocol import TextListener
from mario.provenance import from_json, to_json
from mario.solve import Schedule, SolveConfig
from mario.solve.rollout import Execute, Finished, start
from mario.train.encode import IGNORED, EncodedRow, Reason, Refusal, encode
from mario.transcript import format_named
from mario.types import (
    Completion,
    Observation,
    ObservationStatus,
    Request,
    Sampling,
    Source,
    Span,
    StopReason,
    Trajectory,
)

pytestmark = pytest.mark.train
tiny = pytest.importorskip("tiny", reason="needs tokenizers", exc_type=ImportError)
zoo = pytest.importorskip("tokenizers_zoo", reason="needs tokenizers", exc_type=ImportError)
pytest.importorskip("transformers")

TOOLS_WITH_BOS = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.fixture(scope="module", params=zoo.KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return zoo.zoo(request.param)


def trajectory(*spans: Span, stop: StopReason = StopReason.ANSWERED) -> Trajectory:
    return Trajectory("p", 0, "inline", "teacher", Sampling(), (), stop, spans=spans)


def solution() -> Trajectory:
    return trajectory(
        Span("Question: 17 boxes of 24?\n\nSolution:\n\n<p>\n", Source.PROMPT),
        Span("First  multiply.\n</p>\n\n<code>\n```python\nprint(17 * 24)\n```\n</code>", Source.MODEL),
        Span("\nOutput: 408\n\n<p>\n", Source.INTERPRETER),
        Span(" The answer is 408.\n</p>\n\nFinal Answer: $408$", Source.MODEL),
    )


def pieces(tokenizer: Any, row: EncodedRow) -> list[tuple[bool, str]]:
    """The row's text in runs of trained and untrained tokens, each decoded in its place."""
    found: list[tuple[bool, str]] = []
    before = ""
    for end in range(1, len(row.input_ids) + 1):
        is_trained = row.labels[end - 1] != IGNORED
        if end < len(row.input_ids) and (row.labels[end] != IGNORED) == is_trained:
            continue
        text = tokenizer.decode(row.input_ids[:end], skip_special_tokens=False)
        found.append((is_trained, text[len(before) :]))
        before = text
    return found


def assert_exact(tokenizer: Any, found: Trajectory, row: EncodedRow | Refusal) -> None:
    """The law of the first two lines above, for a row that ends with an answer."""
    assert isinstance(row, EncodedRow), row
    expected: list[tuple[bool, str]] = []
    for span in found.spans:
        is_model = span.source is Source.MODEL
        if expected and expected[-1][0] == is_model:
            expected[-1] = (is_model, expected[-1][1] + span.text)
        else:
            expected.append((is_model, span.text))
    bos = tokenizer.decode(tokenizer("")["input_ids"])
    expected[0] = (expected[0][0], bos + expected[0][1])
    expected[-1] = (expected[-1][0], expected[-1][1] + tokenizer.eos_token)
    made = pieces(tokenizer, row)
    if bos and made[0][1].startswith(f"{bos} "):  # the space that such a tokenizer puts before a text
        made[0] = (made[0][0], bos + made[0][1][len(bos) + 1 :])
    assert made == expected
    assert all(label in (IGNORED, token) for label, token in zip(row.labels, row.input_ids, strict=True))


def test_each_span_reads_back_in_its_place(tokenizer: Any) -> None:
    assert_exact(tokenizer, solution(), encode(solution(), tokenizer, max_row_tokens=500))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(zoo.KINDS),
    st.lists(
        st.tuples(st.text("ab1 \n<>.$_", min_size=1, max_size=9), st.sampled_from(list(Source))), min_size=1, max_size=6
    ),
)
def test_no_text_of_any_kind_crosses_a_boundary(kind: str, drawn: list[tuple[str, Source]]) -> None:
    tokenizer = ZOO.setdefault(kind, zoo.zoo(kind))
    made = trajectory(
        Span("Question: a", Source.PROMPT), *(Span(text, source) for text, source in drawn), Span("b", Source.MODEL)
    )
    assert_exact(tokenizer, made, encode(made, tokenizer, max_row_tokens=500))


ZOO: dict[str, Any] = {}


def test_a_text_that_a_tokenizer_cannot_write_is_refused_and_named() -> None:
    unigram = zoo.zoo("unigram-never")  # no bytes to fall back on: an unknown character is lost
    found = encode(trajectory(Span("q", Source.PROMPT), Span("αβγ", Source.MODEL)), unigram, max_row_tokens=50)
    assert isinstance(found, Refusal)
    assert (found.id, found.reason) == ("p#0", Reason.NOT_REVERSIBLE)
    assert "αβγ" in found.detail


def test_ids_of_generation_that_begin_with_a_space_are_kept() -> None:
    llama2 = zoo.zoo("sentencepiece-always")
    ids = tuple(llama2(" The answer", add_special_tokens=False)["input_ids"])
    assert llama2.decode(ids) == "The answer"  # alone, the decoder drops it
    row = encode(
        trajectory(Span("Output: 4", Source.PROMPT), Span(" The answer", Source.MODEL, ids)), llama2, max_row_tokens=50
    )
    assert isinstance(row, EncodedRow)
    assert row.labels[-len(ids) - 1 : -1] == ids


@pytest.mark.parametrize("kind", ["byte-level", "sentencepiece-first"])
def test_a_conversation_is_written_by_its_template_alone(kind: str) -> None:
    tokenizer = zoo.zoo(kind, chat_template=TOOLS_WITH_BOS)
    messages = ({"role": "user", "content": "17 boxes?"}, {"role": "assistant", "content": "408"})
    chat = replace(trajectory(), format="text", messages=messages)
    row = encode(chat, tokenizer, max_row_tokens=100)
    assert isinstance(row, EncodedRow)
    prompt = tokenizer.apply_chat_template(messages[:1], add_generation_prompt=True, tokenize=False)
    assert row.input_ids[: -row.n_trained] == tuple(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    assert list(row.input_ids).count(tokenizer.bos_token_id) == 1
    assert pieces(tokenizer, row)[-1] == (True, "408</s>")


def test_boundaries_that_would_merge_are_counted() -> None:
    llama3 = zoo.zoo("byte-level")
    spans = solution().spans
    assert "</code>\n" not in [llama3.decode([token]) for token in llama3("<code>x</code>\nO")["input_ids"]]
    assert llama3.decode(llama3("x>\nO")["input_ids"][-2:]) == ">\nO"  # the end of a line goes with what is before it
    row = encode(solution(), llama3, max_row_tokens=500)
    assert isinstance(row, EncodedRow)
    assert row.n_merged == 1  # "</code>" | "\nOutput"
    apart = encode(
        trajectory(*spans[:2], replace(spans[2], text="Output: 408\n"), spans[3]), llama3, max_row_tokens=500
    )
    assert isinstance(apart, EncodedRow)
    assert apart.n_merged == 0


# --- real trajectories ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def converted() -> list[Trajectory]:
    """GSM8K's training set as the calculator teacher writes it, the programs' shapes in turn.

    The product's own rollout, teacher and format; that each program prints this output is tested elsewhere.
    """
    root = Path(os.environ.get("MARIO_DATA", ""))
    if "MARIO_DATA" not in os.environ or not root.is_dir():
        pytest.skip("MARIO_DATA names no folder with the real data sets: the masks of GSM8K were NOT tested")
    inline, config = format_named("inline"), SolveConfig()
    teacher = CalculatorTeacher(inline, CalculatorConfig(), SHAPES)
    problems = read_gsm8k(root / "gsm8k" / "train.jsonl.gz", split="train")
    found: list[Trajectory] = []
    for problem in teacher.offer(problems, lambda *_: None):
        made = convert(problem)
        assert isinstance(made, Conversion)
        rollout = start(problem, len(found) % SHAPES, "teacher", config, inline)
        while not isinstance(action := rollout.next(), Finished):
            if isinstance(action, Execute):
                rollout = rollout.observed(Observation(made.output, ObservationStatus.OK))
            else:
                rollout = rollout.completed(asyncio.run(teacher.generate(action.request)))
        found.append(action.trajectory)
    return found


@pytest.mark.full
@pytest.mark.realdata
@pytest.mark.parametrize("kind", [*zoo.KINDS, "smollm2"])
def test_every_converted_solution_is_masked_exactly(converted: list[Trajectory], kind: str) -> None:
    if kind == "smollm2":
        from mario.engine import checkpoint

        tokenizer = checkpoint.load_tokenizer(checkpoint.resolve("smollm2"))
    else:
        tokenizer = zoo.zoo(kind, ["".join(span.text for span in row.spans) for row in converted[::10]] + zoo.TEXT)
    assert len(converted) > 7000
    merged, refused = 0, Counter[Reason]()
    for row in converted:
        made = encode(row, tokenizer, max_row_tokens=4096)
        if isinstance(made, Refusal):
            refused[made.reason] += 1
        else:
            merged += made.n_merged
            assert_exact(tokenizer, row, made)
    print(f"{kind}: {len(converted)} rows, {merged} boundaries would merge, refused {dict(refused)}")
    assert set(refused) <= ({Reason.NOT_REVERSIBLE} if kind == "unigram-never" else set())  # it has no bytes
    assert refused.total() < 0.1 * len(converted)


class Watched:
    """A real engine; it keeps what its model read and wrote at the last turn of each attempt."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.name = engine.name
        self.seen: dict[tuple[str, int], tuple[int, ...]] = {}

    async def generate(self, request: Request, on_text: TextListener | None = None) -> Completion:
        made: Completion = await self._engine.generate(request, on_text)
        assert made.prompt_ids is not None
        assert made.token_ids is not None
        read = tuple(token for ids in made.prompt_ids for token in ids)
        self.seen[request.problem_id, request.sample_index] = (*read, *made.token_ids)
        return made

    async def close(self) -> None:
        await self._engine.close()


@pytest.mark.full
def test_a_thousand_sampled_rows_are_what_generation_saw(tmp_path: Path) -> None:
    """A model that writes programs, a real interpreter, and records as they are stored."""
    from mario.engine import checkpoint
    from mario.engine.local import LocalEngine
    from mario.interpreter import AsyncInterpreterPool
    from tiny_lessons import problems, taught

    directory = taught(tmp_path).directory
    tokenizer = checkpoint.load_tokenizer(directory)
    engine = Watched(LocalEngine(checkpoint.load_model(directory), tokenizer, "tiny", batch_size=64))
    config = SolveConfig(samples=70, temperature=1.0, max_new_tokens=60, max_steps=3, concurrency=64)
    done: list[Trajectory] = []

    async def sample() -> None:
        async with AsyncInterpreterPool(2) as pool:
            attempts = (
                start(problem, index, "tiny", config, format_named("inline"))
                for problem in problems(16)
                for index in range(config.samples)
            )
            await Schedule(engine, pool).run_all(attempts, 64, lambda _, trajectory: done.append(trajectory))

    asyncio.run(sample())
    trained = several = anew = 0
    for made in done:
        stored = from_json(Trajectory, json.loads(json.dumps(to_json(made))))
        row = encode(stored, tokenizer, max_row_tokens=1024)
        assert isinstance(row, EncodedRow), row
        seen = engine.seen[made.problem_id, made.sample_index]
        end = () if made.stop_reason is not StopReason.ANSWERED or seen[-1] == tokenizer.eos_token_id else (tiny.EOS,)
        assert row.input_ids == (*seen, *end)
        by_model = [span.token_ids for span in stored.spans if span.source is Source.MODEL]
        assert [label for label in row.labels if label != IGNORED] == [i for ids in by_model for i in ids or ()] + [
            *end
        ]
        trained += row.n_trained
        several += len(stored.steps) > 1
        anew += (
            encode(
                replace(stored, spans=tuple(replace(s, token_ids=None) for s in stored.spans)),
                tokenizer,
                max_row_tokens=1024,
            )
            != row
        )
    print(f"{len(done)} sampled rows, {trained} trained tokens, {several} with output, {anew} would be others as text")
    assert len(done) >= 1000
    assert several > 200  # turns after an interpreter's output
    assert anew > 50  # rows whose text alone would give other ids: keeping them is what this test is about
