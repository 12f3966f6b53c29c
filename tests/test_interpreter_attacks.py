"""Snippets that try to get out, to hurt their neighbours or to fool the host: as root, as a user, and in a container.

Locked for every case, in each setting: nothing escaped, the answer came in bounded time and size, a neighbour opened
before goes on with its state, the next kernel works, no process is left, what the host put out as bait is untouched,
and nothing was raised in the host. The settings are real ones (`arena_host.py`); where one cannot be made, it is
skipped with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import attacks_python
import attacks_walls
import benign
import scenarios
from arena import NATURAL, SETTINGS, Arena, Refused

SETTING = [pytest.param(s, marks=() if s == NATURAL else pytest.mark.full) for s in SETTINGS]


def cases(*suites: dict[str, dict[str, str]]) -> list[object]:
    return [
        pytest.param(code, id=f"{category}: {name}")
        for suite in suites
        for category, programs in suite.items()
        for name, code in programs.items()
    ]


@pytest.fixture(scope="module", params=SETTING)
def arena(request: pytest.FixtureRequest) -> Iterator[Arena]:
    try:
        arena = Arena(request.param)
    except Refused as reason:
        pytest.skip(f"setting {request.param}: {reason}")
    if "contained" in request.param:
        assert arena.tier == "no-namespaces"
    elif request.param.startswith("root"):  # a machine may refuse users their namespaces
        assert arena.tier == "full"
    yield arena
    arena.close()


@pytest.mark.parametrize("code", cases(attacks_walls.CASES, attacks_python.CASES))
def test_nothing_gets_out(code: str, arena: Arena) -> None:
    assert arena.ask("attack", snippets=(attacks_walls.PRELUDE + code).split("\n# then\n")) == []


@pytest.mark.full
@pytest.mark.parametrize("code", cases(attacks_walls.SLOW))
def test_nothing_slow_gets_out(code: str, arena: Arena) -> None:
    assert arena.ask("attack", snippets=(attacks_walls.PRELUDE + code).split("\n# then\n")) == []


@pytest.mark.parametrize("name", scenarios.NAMES)
def test_scenarios(name: str, arena: Arena) -> None:
    if arena.recovers and name in scenarios.OF_THE_DEAD:
        pytest.skip("a kernel that recovers does not stay dead")
    assert arena.ask("scenario", name=name) == []


@pytest.mark.parametrize(("code", "expected"), benign.PROGRAMS.values(), ids=benign.PROGRAMS)
def test_benign_programs_run(code: str, expected: str, arena: Arena) -> None:
    assert arena.ask("benign", snippets=code.split("\n# then\n"), expected=expected) == []
