"""Math-Verify as a second opinion: in children only, killable, and every disagreement with both reasons."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from importlib.util import find_spec

import pytest

from mario.errors import MissingExtra
from mario.grade import MathVerify, cross_check, disagree

INSTALLED = find_spec("math_verify") is not None
needs_it = pytest.mark.skipif(
    not INSTALLED, reason="math-verify is not installed (pip install 'mario-math[crosscheck]'): NOT compared with it"
)

ROWS = [
    {"id": "same", "gold": "\\frac{1}{2}", "pred": "0.5"},
    {"id": "other", "gold": "7", "pred": "8"},
    {"id": "percent", "gold": "15", "pred": "15.0\\%"},
    {"id": "money", "gold": "36", "pred": "\\$36"},
    {"id": "broken"},
]


def mario(*args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mario", "grade", *args]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.skipif(INSTALLED, reason="math-verify is installed: what its absence says was NOT tested")
def test_its_absence_is_one_line_that_says_what_to_type() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'mario-math\[crosscheck\]'"):
        MathVerify()
    done = mario("1", "1", "--cross-check")
    assert done.returncode == 2
    assert done.stderr.strip().endswith("pip install 'mario-math[crosscheck]'")


@needs_it
def test_every_row_has_both_verdicts() -> None:
    results = list(cross_check(ROWS, workers=2))
    assert [r["id"] for r in results] == ["same", "other", "percent", "money", "broken"]
    assert [r["equivalent"] for r in results] == [True, False, True, True, None]
    assert [r.get("math_verify") for r in results] == [True, False, False, True, None]
    assert [r["id"] for r in results if disagree(r)] == ["percent"]
    assert "15.0" in results[2]["math_verify_reason"]


@needs_it
def test_it_runs_from_any_thread_and_leaves_our_signals_alone() -> None:
    before = signal.getsignal(signal.SIGALRM)
    found: list[bool | None] = []

    def ask() -> None:
        with MathVerify() as other:
            found.append(other.judge("x+1", "1+x").equivalent)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(60)
    assert found == [True]
    assert signal.getsignal(signal.SIGALRM) is before
    assert "math_verify" not in sys.modules


@needs_it
def test_what_it_cannot_finish_is_no_verdict_and_costs_only_itself() -> None:
    with MathVerify(seconds=0.5) as other:
        stuck = other.judge("1", "9^{9^{9^{9}}}")
        assert stuck.equivalent is not True
        assert stuck.reason
    with MathVerify() as other:
        assert other.judge("2", "2").equivalent is True


@needs_it
def test_the_command_lists_disagreements_with_both_reasons() -> None:
    done = mario("--cross-check", stdin="\n".join(map(json.dumps, ROWS)))
    assert done.returncode == 3
    assert "line 3: '15' against '15.0\\\\%'\n  mario: yes: " in done.stderr
    assert "\n  Math-Verify: no: read 15 and " in done.stderr
    assert "both yes 2, both no 1, only mario yes 1, only Math-Verify yes 0" in done.stderr
    assert len(done.stdout.splitlines()) == len(ROWS)
    assert "Math-Verify: no: " in mario("15", "15.0\\%", "--cross-check").stdout
