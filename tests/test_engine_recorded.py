"""What was recorded answers again, to the byte; anything else is named."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from mario.engine.recorded import RecordedEngine, Recorder, request_key
from mario.errors import DataError, EngineError
from mario.types import Completion, FinishReason, Request, Sampling, Source, Span

REQUEST = Request("sums/7", 2, 1, Sampling(0.5), 11, (Span("1 + 2 =", Source.PROMPT, (3, 4)),), stop=("\n",))
COMPLETION = Completion(" 3", FinishReason.STOP, "\n", token_ids=(5,), prompt_ids=((3, 4),), prompt_tokens=2)
CALLS = Completion(
    "", FinishReason.STOP, tool_calls=({"function": {"name": "python", "arguments": {"code": "\ud800"}}},)
)


def test_a_recorded_run_repeats_itself(tmp_path: Path) -> None:
    chat = replace(REQUEST, spans=(), messages=({"role": "user", "content": "é\ud800"},))
    source = RecordedEngine({request_key(REQUEST): COMPLETION, request_key(chat): CALLS}, "teacher")

    async def main() -> None:
        recorder = Recorder(source, tmp_path / "run.jsonl")
        for request in (REQUEST, chat):
            await recorder.generate(request)
        await recorder.close()
        replay = RecordedEngine.load(tmp_path / "run.jsonl", recorder.name)
        heard: list[str] = []
        assert replay.name == "teacher"
        assert await replay.generate(REQUEST, heard.append) == COMPLETION
        assert await replay.generate(chat, heard.append) == CALLS
        assert heard == [" 3"]

    asyncio.run(main())


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 12},
        {"stop": ()},
        {"turn": 2},
        {"sampling": Sampling(0.6)},
        {"spans": (Span("1 + 2 =", Source.PROMPT),)},
    ],
)
def test_any_other_request_is_named(change: dict[str, object]) -> None:
    engine = RecordedEngine({request_key(REQUEST): COMPLETION})
    other = replace(REQUEST, **change)
    with pytest.raises(EngineError, match=f"problem sums/7, sample 2, turn {other.turn}"):
        asyncio.run(engine.generate(other))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not JSON"),
        ('{"request": {}}', "Request"),
        ('{"completion": {}}', "'request'"),
        ("[]", "expected a JSON object"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(f"\n{line}\n")
    with pytest.raises(DataError) as caught:
        RecordedEngine.load(path)
    assert f"{path}, line 2" in str(caught.value) and says in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        RecordedEngine.load(tmp_path / "absent.jsonl")
