"""Attacks in a setting: starts `arena_host.py` there and puts cases to it.

What this file does not do: it makes no setting and judges nothing; the host does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from arena_host import REFUSED

HERE = Path(__file__).parent
NATURAL = "root" if os.getuid() == 0 else "user"
SETTINGS = ("root", "user", "root-contained", "user-contained", f"{NATURAL}-recovering")


class Refused(Exception):
    """The setting cannot be made here."""


class Arena:
    def __init__(self, setting: str) -> None:
        if setting.startswith("root") and os.getuid() != 0:
            raise Refused("needs root")
        self.recovers = setting.endswith("-recovering")
        command = [sys.executable, str(HERE / "arena_host.py"), setting]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
        self.tier: str = self._answer()

    def ask(self, do: str, **what: Any) -> list[str]:
        """Complaints about one case."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **what}) + "\n")
        self._process.stdin.flush()
        complaints: list[str] = self._answer()
        return complaints

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line and self._process.wait() == REFUSED:
            raise Refused("no mount namespace to make this Python readable for others in")
        assert line, f"the host of the attacks ended with {self._process.wait()}"
        return json.loads(line)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        code = self._process.wait(30)
        self._process.stdout.close()
        assert code == 0
