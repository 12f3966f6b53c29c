"""Attacks in a setting: starts `arena_host.py` there and puts cases to it.

What this file does not do: it makes no setting and judges nothing; the host does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SETTINGS = ("root", "user", "root-contained", "user-contained")
NATURAL = "root" if os.getuid() == 0 else "user"
PACKAGES = ("numpy*", "scipy*", "sympy*", "mpmath*")


class Refused(Exception):
    """The setting cannot be made here."""


class Arena:
    def __init__(self, setting: str) -> None:
        if setting.startswith("root") and os.getuid() != 0:
            raise Refused("needs root")
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        python, script, environment = sys.executable, HERE / "arena_host.py", dict(os.environ)
        if setting.startswith("user") and os.getuid() == 0 and not _anybody_can_run(python):
            self._copy = tempfile.TemporaryDirectory(prefix="mario-python-", ignore_cleanup_errors=True)
            python, script = _copy_python(Path(self._copy.name))
            environment = {"PATH": "/usr/bin:/bin"}
        self._process = subprocess.Popen(
            [python, str(script), setting],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd="/",
        )
        self.tier = self._answer()

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
        assert line, f"the host of the attacks ended with {self._process.wait()}"
        return json.loads(line)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        code = self._process.wait(30)
        self._process.stdout.close()
        if self._copy is not None:
            self._copy.cleanup()
        assert code == 0


def _anybody_can_run(python: str) -> bool:
    code = "import os; os.setgroups([]); os.setresgid(54321, 54321, 54321); os.setresuid(54321, 54321, 54321); "
    code += (
        f"os.execv({python!r}, [{python!r}, '-c', 'import mario.interpreter, sys; open({str(HERE / 'arena.py')!r})'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, cwd="/", env={})
    return done.returncode == 0


def _copy_python(folder: Path) -> tuple[str, Path]:
    """This Python, where anybody can read it: hard links where the disk allows."""
    folder.chmod(0o755)
    base = Path(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = folder / "lib" / version
    ignored = shutil.ignore_patterns("test", "tests", "site-packages", "config-*", "idlelib")
    shutil.copytree(base / "lib" / version, library, ignore=ignored, copy_function=_link)
    for shared in (base / "lib").glob("libpython*"):
        _link(str(shared), str(folder / "lib" / shared.name))
    (folder / "bin").mkdir()
    python = folder / "bin" / version
    _link(str(Path(sys.executable).resolve()), str(python))
    packages = library / "site-packages"
    packages.mkdir()
    ignored = shutil.ignore_patterns("tests")
    import numpy

    for pattern in PACKAGES:
        for found in Path(numpy.__file__).parents[1].glob(pattern):
            if found.is_dir():
                shutil.copytree(found, packages / found.name, ignore=ignored, copy_function=_link)
    import mario

    shutil.copytree(Path(mario.__file__).parent, packages / "mario", copy_function=_link)
    for name in ("arena_host.py", "scenarios.py"):
        shutil.copy(HERE / name, folder / name)
        (folder / name).chmod(0o644)
    return str(python), folder / "arena_host.py"


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=True)
    except OSError:
        shutil.copy2(source, target)
