"""The protocol's document: its table of costs is what its own block computes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[1] / "docs" / "protocol.md"


def test_costs_are_computed_not_typed() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert block
    names: dict[str, Any] = {}
    exec(block[1], names)  # our own document
    small, large = names["stages"](7e9), names["stages"](34e9)
    together = [name for name in small if not name.startswith("1 ")]
    small["2 to 4 together"] = sum(small[name] for name in together)
    large["2 to 4 together"] = sum(large[name] for name in together)
    for name, hours in small.items():
        cells = (hours, hours * names["PRICE"], large[name], large[name] * names["PRICE"])
        row = "| {} | {:.1f} | {:.0f} | {:.1f} | {:.0f} |".format(name, *cells)
        assert row in text, row
