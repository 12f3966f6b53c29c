"""What a model writes as JSON is read, or refused by name; it never ends a run."""

from __future__ import annotations

import pytest

from mario.engine.chat import load_json
from mario.provenance import canonical_json


@pytest.mark.parametrize(
    "text",
    ["[" * 700 + "]" * 700, '{"a":' * 200 + "1" + "}" * 200, "1e999", "-1e999", "NaN", "Infinity", "[1, 2", ""],
    ids=["brackets", "braces", "too large", "too small", "nan", "infinity", "torn", "empty"],
)
def test_json_that_no_record_may_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        load_json(text)


@pytest.mark.parametrize("text", ["[" * 90 + "]" * 90, '{"code": "print(1e3)"}', "1e300", '"a [ b { c"'])
def test_other_json_becomes_a_record(text: str) -> None:
    assert canonical_json(load_json(text))
