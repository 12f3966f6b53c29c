"""The in-process engine: what a request gets does not depend on what else is running.

Laws: greedy text is the same alone, in a batch, and when joining a running batch, and is transformers' own; a sampled
text is its seed's; a transcript that grows gives what it would give if it were read anew. Then the edges: limits, stop
strings, cancelling, closing, errors.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

import torch

from mario.engine import EngineConfig, build_engine, checkpoint
from mario.engine.batch import Batch
from mario.engine.chat import parse
from mario.engine.local import LocalEngine
from mario.engine.sampling import draw
from mario.errors import EngineError
from mario.types import Completion, FinishReason, Request, Sampling, Source, Span
from tiny import EOS, PAD, tiny_model, tiny_tokenizer

pytestmark = pytest.mark.train
WINDOW = 512


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small lose more to handing work between threads than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"), window=WINDOW)


@pytest.fixture(scope="module")
def loaded(directory: Path) -> tuple[Any, Any]:
    return checkpoint.load_model(directory, dtype="float32", device="cpu"), checkpoint.load_tokenizer(directory)


@pytest.fixture
def engine(loaded: tuple[Any, Any]) -> Iterator[LocalEngine]:
    engine = LocalEngine(*loaded, "tiny", batch_size=4)
    yield engine
    asyncio.run(engine.close())


def request(prompt: str | tuple[Span, ...], tokens: int = 40, *, seed: int = 0, **settings: Any) -> Request:
    stop = settings.pop("stop", ())
    spans = (Span(prompt, Source.PROMPT),) if isinstance(prompt, str) else prompt
    return Request("p", 0, 0, Sampling(max_new_tokens=tokens, **settings), seed, spans, stop=stop)


def prompts(count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices("abcdef 0123\n", k=rng.randint(1, 80))) for _ in range(count)]


def reference(model: Any, ids: list[int], tokens: int) -> list[int]:
    output = model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids)),
        do_sample=False,
        max_new_tokens=tokens,
        pad_token_id=PAD,
    )
    found: list[int] = output[0, len(ids) :].tolist()
    return found


def prompt_ids(completion: Completion) -> list[int]:
    assert completion.prompt_ids is not None
    return [token for ids in completion.prompt_ids for token in ids]


async def all_of(engine: Any, requests: list[Request]) -> list[Completion]:
    return await asyncio.gather(*(engine.generate(one) for one in requests))


def test_greedy_text_is_transformers_own_alone_in_a_batch_and_joining(loaded, engine) -> None:
    model, _ = loaded
    rng = random.Random(1)
    asked = [request(prompt, rng.randint(1, 70)) for prompt in prompts(10)]  # four at a time: the rest joins later
    together = asyncio.run(all_of(engine, asked))
    for one, completion in zip(asked, together, strict=True):
        alone = asyncio.run(engine.generate(one))
        tokens = reference(model, prompt_ids(completion), one.sampling.max_new_tokens)
        assert list(completion.token_ids) == list(alone.token_ids) == tokens
        assert completion.text == alone.text
        assert completion.finish == (FinishReason.STOP if tokens[-1] == EOS else FinishReason.LENGTH)


def test_a_growing_transcript_gives_what_reading_it_anew_would(loaded, engine) -> None:
    model, _ = loaded
    rng = random.Random(2)
    turns = 0

    async def attempt(question: str) -> None:
        nonlocal turns
        spans = (Span("These lines open every prompt alike, and are long enough to share. " + question, Source.PROMPT),)
        for _ in range(4):
            completion = await engine.generate(request(spans, rng.randint(4, 40), stop=("a", "z", "q", "7", "H")))
            ids = prompt_ids(completion)
            tokens = reference(model, ids, completion.completion_tokens)
            assert list(completion.token_ids) == tokens[: len(completion.token_ids)]
            turns += completion.stop is not None
            known = tuple(Span(s.text, s.source, i) for s, i in zip(spans, completion.prompt_ids, strict=True))
            turn = Span(completion.text + (completion.stop or ""), Source.MODEL, completion.token_ids)
            spans = (*known, turn, Span(f"\nOutput:\n{rng.randint(0, 10**9)}\n", Source.INTERPRETER))

    async def main() -> None:
        await asyncio.gather(*(attempt(question) for question in prompts(8, seed=3)))

    asyncio.run(main())
    assert turns >= 8, "too few turns ended at a stop string: nothing was continued from a held prefix"


@pytest.mark.parametrize("family", ["Qwen2", "Mistral", "Gemma3Text"])
def test_other_families_and_windowed_attention_agree_with_transformers(family: str, loaded) -> None:
    import transformers

    shared = {"vocab_size": 259, "pad_token_id": PAD, "bos_token_id": 1, "eos_token_id": EOS, "initializer_range": 0.4}
    shared |= {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "head_dim": 8}
    shared |= {"num_attention_heads": 4, "num_key_value_heads": 2}
    special = {"Mistral": {"sliding_window": 16}, "Gemma3Text": {"sliding_window": 16}, "Qwen2": {}}[family]
    torch.manual_seed(0)
    name = "Gemma3ForCausalLM" if family == "Gemma3Text" else f"{family}ForCausalLM"
    model = getattr(transformers, name)(getattr(transformers, f"{family}Config")(**shared, **special)).eval()
    engine = LocalEngine(model, loaded[1], family, batch_size=3)

    async def main() -> list[Completion]:
        try:
            return await all_of(engine, [request(prompt, 24) for prompt in prompts(5, seed=4)])
        finally:
            await engine.close()

    for completion in asyncio.run(main()):
        assert list(completion.token_ids) == reference(model, prompt_ids(completion), 24)


def test_a_sampled_text_is_its_seeds(engine) -> None:
    asked = [request(prompt, 30, seed=i, temperature=0.8, top_p=0.9) for i, prompt in enumerate(prompts(9))]
    together = asyncio.run(all_of(engine, asked))
    backwards = asyncio.run(all_of(engine, asked[::-1]))[::-1]
    assert [c.token_ids for c in together] == [c.token_ids for c in backwards]
    other = asyncio.run(all_of(engine, [request(prompt, 30, seed=99, temperature=0.8) for prompt in prompts(9)]))
    assert [c.token_ids for c in other] != [c.token_ids for c in together]


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.6)])
def test_draws_have_the_distribution_they_should(temperature: float, top_p: float) -> None:
    logits = torch.tensor([0.3, 2.0, -1.0, 1.5, 0.0])
    expected = (logits / temperature).softmax(0)
    if top_p < 1:  # by hand: 0.50 + 0.30 reach 0.6, so two tokens remain
        expected = torch.where(torch.tensor([False, True, False, True, False]), expected, 0.0)
        expected /= expected.sum()
    rows = 4000
    generators = [torch.Generator().manual_seed(i) for i in range(rows)]
    drawn = draw(logits.expand(rows, -1), [Sampling(temperature, top_p)] * rows, generators)
    found = torch.bincount(torch.tensor(drawn), minlength=5) / rows
    assert (found - expected).abs().max() < 0.03  # four standard errors


def test_a_flat_distribution_has_a_nucleus_larger_than_what_is_sorted_first() -> None:
    drawn = draw(
        torch.zeros(300, 5000), [Sampling(1.0, 0.9)] * 300, [torch.Generator().manual_seed(i) for i in range(300)]
    )
    assert len(set(drawn)) > 250


def test_text_is_cut_before_the_first_stop_string_and_streamed_no_further(engine) -> None:
    prompt = "tell me"
    whole = asyncio.run(engine.generate(request(prompt, 60)))
    # A character between plain ones: a random model also writes bytes that are no text.
    at, stop = next(
        (i, c)
        for i, c in enumerate(whole.text)
        if i > 9 and c not in whole.text[:i] and whole.text[i - 1 : i + 1].isascii()
    )
    heard: list[str] = []
    cut = asyncio.run(engine.generate(request(prompt, 60, stop=("never", stop)), heard.append))
    assert (cut.text, cut.stop, cut.finish) == (whole.text[:at], stop, FinishReason.STOP)
    assert "".join(heard) == cut.text
    assert len(heard) > 1
    assert cut.token_ids == whole.token_ids[: len(cut.token_ids)]
    assert cut.prompt_tokens == len(prompt)


def test_limits_have_their_own_reasons(engine, loaded) -> None:
    full = asyncio.run(engine.generate(request("x" * WINDOW)))
    assert (full.finish, full.text, full.completion_tokens) == (FinishReason.CONTEXT, "", 0)
    model, tokenizer = loaded
    for letter in "abcdefgh":
        prompt = letter * (WINDOW - 5)
        tokens = reference(model, tokenizer(prompt)["input_ids"], 5)
        if EOS not in tokens:
            completion = asyncio.run(engine.generate(request(prompt, 40)))
            assert (completion.finish, list(completion.token_ids)) == (FinishReason.LENGTH, tokens)
            return
    pytest.fail("every prompt met the end token before the window was full")


def test_a_cancelled_request_gives_its_row_back(engine) -> None:
    async def main() -> None:
        endless = [asyncio.create_task(engine.generate(request(p, 400))) for p in prompts(4, seed=6)]
        await asyncio.sleep(0.05)
        for task in endless:
            task.cancel()
        completion = await asyncio.wait_for(engine.generate(request("next", 5)), 20)
        assert completion.completion_tokens >= 1
        while engine._running:  # the thread lets go of the row just after it has answered
            await asyncio.sleep(0.01)
        assert engine._batch.starts == []

    asyncio.run(main())


def test_a_listener_that_raises_ends_its_own_request_only(engine) -> None:
    def deaf(_: str) -> None:
        raise ValueError("deaf")

    async def main() -> None:
        one = asyncio.create_task(engine.generate(request("one", 50), deaf))
        two = asyncio.create_task(engine.generate(request("two", 50)))
        with pytest.raises(ValueError, match="deaf"):
            await one
        assert (await two).completion_tokens >= 1

    asyncio.run(main())


def test_an_error_in_the_thread_reaches_every_waiter_and_later_callers(loaded) -> None:
    model, tokenizer = loaded
    engine = LocalEngine(model, tokenizer, "tiny", batch_size=2)
    calls = 0

    class Breaking(Batch):
        def step(self, tokens: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise RuntimeError("the device is lost")
            return super().step(tokens)

    engine._batch = Breaking(model)

    async def main() -> None:
        results = await asyncio.gather(
            *(engine.generate(request(prompt, 200)) for prompt in prompts(6)), return_exceptions=True
        )
        assert all(isinstance(r, EngineError) and "the device is lost" in str(r) for r in results)
        with pytest.raises(EngineError, match="the device is lost"):
            await engine.generate(request("later"))
        await engine.close()

    asyncio.run(main())


def test_closing_ends_the_thread_and_tells_who_waits(loaded) -> None:
    async def main() -> None:
        engine = LocalEngine(*loaded, "tiny", batch_size=2)
        waiting = [asyncio.create_task(engine.generate(request(prompt, 400))) for prompt in prompts(5)]
        await asyncio.sleep(0.05)
        thread = engine._thread
        await engine.close()
        assert thread is not None and not thread.is_alive()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert any(isinstance(r, EngineError) and "closed" in str(r) for r in results)
        assert all(isinstance(r, (Completion, EngineError)) for r in results)
        with pytest.raises(EngineError, match="closed"):
            await engine.generate(request("later"))
        await engine.close()

    asyncio.run(main())


def test_a_prompt_that_cannot_be_read_is_refused_alone(engine) -> None:
    async def main() -> None:
        foreign = (Span("a", Source.MODEL, (9999,)),)
        asked = [request(""), request(foreign), request("a", 3)]
        empty, other, fine = await asyncio.gather(*map(engine.generate, asked), return_exceptions=True)
        assert isinstance(empty, EngineError) and "prompt is empty" in str(empty)
        assert isinstance(other, EngineError) and "another model" in str(other)
        assert isinstance(fine, Completion)

    asyncio.run(main())


def test_padding_leaves_with_the_row_that_needed_it_and_buffers_stay_bounded(loaded) -> None:
    batch = Batch(loaded[0])
    with torch.inference_mode():
        batch.join([tuple(range(3, 103)), tuple(range(50, 60))])
        assert batch.end - batch.start == 100
        batch.leave(0)
        assert batch.end - batch.start == 10
        for i in range(1500):  # rows come and go for long: the live part stays short, so must the buffers
            batch.step([5] * len(batch.starts))
            if i % 7 == 0:
                batch.leave(0)
                batch.join([tuple(range(3 + i % 50, 20 + i % 50))])
    assert batch._columns <= 512


def test_held_prefixes_are_loaded_few_at_a_time_and_prompts_of_like_length_together(loaded, monkeypatch) -> None:
    batch = Batch(loaded[0])
    monkeypatch.setattr("mario.engine.batch._PREFILL_TOKENS", {"cpu": (60, 10)})
    long, short = tuple(range(3, 203)), tuple(range(50, 60))
    groups: list[int] = []  # columns held
    compute = Batch._compute

    def watched(self: Batch, prompts: Any, held: Any) -> Any:
        olds = [found[0] if found else 0 for found in held]
        news = [len(ids) - old for ids, old in zip(prompts, olds, strict=True)]
        groups.append(max(olds) * len(olds))
        assert max(news) * len(news) - sum(news) <= 10
        return compute(self, prompts, held)

    with torch.inference_mode():
        batch.join([long])
        batch.leave(0, long)
        monkeypatch.setattr(Batch, "_compute", watched)
        grown = [(*long, 5, i) for i in range(3, 10)]
        logits = batch.join([*grown[:4], short, *grown[4:]])
        alone = torch.cat([Batch(loaded[0]).join([ids]) for ids in (*grown[:4], short, *grown[4:])])
    assert all(held <= 240 for held in groups)  # of seven prefixes of 200 columns
    assert torch.allclose(logits, alone, atol=1e-4)


def test_what_a_row_draws_is_its_own_however_many_are_drawn_together() -> None:
    logits = torch.randn(70, 40, generator=torch.Generator().manual_seed(1))
    samplings = [Sampling(temperature=(0.0, 0.8, 1.2)[i % 3], top_p=(1.0, 0.9)[i % 2]) for i in range(70)]
    together = draw(logits, samplings, [torch.Generator().manual_seed(i) for i in range(70)])
    alone = [draw(logits[i : i + 1], samplings[i : i + 1], [torch.Generator().manual_seed(i)])[0] for i in range(70)]
    assert together == alone
    assert together[::3] == logits[::3].argmax(-1).tolist()


def test_one_engine_serves_several_event_loops(engine) -> None:
    first = asyncio.run(engine.generate(request("again", 10)))
    second = asyncio.run(engine.generate(request("again", 10)))
    assert first.token_ids == second.token_ids


CHAT = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
    "{% if tools %}{{ tools | tojson }} answer with <tool_call>{\"name\": …, \"arguments\": …}</tool_call>\n{% endif %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)  # fmt: skip
TOOL = {"type": "function", "function": {"name": "python", "description": "", "parameters": {"type": "object"}}}


def test_chat_is_rendered_by_the_tokenizer_or_refused(tmp_path: Path, engine) -> None:
    messages = ({"role": "user", "content": "hello"},)
    with pytest.raises(EngineError, match="no chat template"):
        asyncio.run(engine.generate(Request("p", 0, 0, Sampling(), 0, messages=messages)))
    chatty = build_engine(EngineConfig(model=str(tiny_model(tmp_path, chat_template=CHAT)), dtype="float32"))
    plain = "{% for m in messages %}{{ m.content }}{% endfor %}"
    toolless = build_engine(EngineConfig(model=str(tiny_model(tmp_path / "p", chat_template=plain)), dtype="float32"))

    async def main() -> None:
        asked = Request("p", 0, 0, Sampling(max_new_tokens=10), 0, messages=messages, tools=(TOOL,))
        by_chat = await chatty.generate(asked)
        prompt = chatty._tokenizer.apply_chat_template(
            list(messages), tools=[TOOL], add_generation_prompt=True, tokenize=False
        )
        by_text = await chatty.generate(request(prompt, 10))
        assert by_chat.token_ids == by_text.token_ids
        with pytest.raises(EngineError, match="how tool calls are written"):
            await toolless.generate(asked)
        await chatty.close()
        await toolless.close()

    asyncio.run(main())


def test_tagged_tool_calls_are_read_and_broken_ones_stay_text() -> None:
    tokenizer = tiny_tokenizer(chat_template=CHAT)
    reply = 'Let me compute.\n<tool_call>\n{"name": "python", "arguments": {"code": "print(2)"}}\n</tool_call>'
    text, calls = parse(tokenizer, reply, "", (TOOL,))
    assert text == "Let me compute."
    assert calls[0]["function"] == {"name": "python", "arguments": {"code": "print(2)"}}
    for broken in (
        '<tool_call>{"name": "python", "arguments": NaN}</tool_call>',
        "<tool_call>{" + '"a":{' * 5000 + "}</tool_call>",
        '<tool_call>{"name": "python", </tool_call>',
        '<tool_call>{"code": 1}</tool_call>',
        "no call",
    ):
        assert parse(tokenizer, broken, "", (TOOL,)) == (broken, ())


def test_two_models_have_two_names(tmp_path: Path) -> None:
    names = set()
    for seed in (0, 1):
        directory = tiny_model(tmp_path / str(seed) / "model", seed=seed)
        for dtype in ("float32", "bfloat16"):
            names.add(LocalEngine.load(str(directory), dtype=dtype).name)
    assert len(names) == 4
    assert all(name.startswith("model [") for name in names), "where a model lies is no part of its name"
