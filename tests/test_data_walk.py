"""docs/data.md is true: its commands run, and print what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip(
    "pyarrow", reason="NO PYARROW: the walk of docs/data.md was not taken; pip install 'mario-math[data]'"
)
pytest.importorskip("datasketch", reason="NO DATASKETCH: the walk was not taken; pip install 'mario-math[data]'")

PAGE = Path(__file__).parents[1] / "docs" / "data.md"
BLOCK = re.compile(r"```sh\n(?P<command>.*?)```\n(?:\n```(?:text|json)\n(?P<shown>.*?)```\n)?", re.DOTALL)


def test_the_walk(tmp_path: Path) -> None:
    blocks = list(BLOCK.finditer(PAGE.read_text(encoding="utf-8")))
    assert len(blocks) > 8
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for block in blocks:
        done = subprocess.run(["bash", "-e", "-c", block["command"]], cwd=tmp_path, capture_output=True, text=True,
                              env={**os.environ, "PATH": path})  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout == (block["shown"] or ""), block["command"]
