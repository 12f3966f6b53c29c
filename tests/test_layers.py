"""One direction of dependencies: a module imports lower layers only, packages of one layer never each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import mario

ROOT = Path(mario.__file__).parent
LAYERS = [
    {"types", "errors", "estimate", "provenance", "recipe"},
    {"process", "transcript", "store", "page"},
    {"grade", "interpreter", "engine", "data"},
    {"value"},
    {"solve", "train"},
    {"annotate", "augment", "evaluate", "labels"},
    {"report", "selftrain", "export", "review"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# Inside layer 0 the order is fixed too: records first, then errors, then what uses them.
LAYER_ZERO = ["types", "errors", "estimate", "provenance", "recipe"]


def imports(path: Path) -> set[str]:
    """Top-level parts of `mario` that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "mario" else [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("mario.")}
    return found - {"__version__"}


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return [path for path in ROOT.rglob("*.py") if part_of(path) not in ("__init__", "__main__")]


def test_every_part_has_a_layer() -> None:
    assert {part_of(path) for path in modules()} <= set(LEVEL)


def test_imports_point_down() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {target}"
        for path in modules()
        for target in imports(path)
        if (own := part_of(path)) != target
        and LEVEL[target] >= LEVEL[own]
        and not (own in LAYER_ZERO and target in LAYER_ZERO and LAYER_ZERO.index(target) < LAYER_ZERO.index(own))
    ]
    assert wrong == []


def test_no_module_imports_in_a_circle() -> None:
    names = {".".join(("mario", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
             for path in ROOT.rglob("*.py")}  # fmt: skip
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        targets: set[str] = set()
        for node in ast.parse(path.read_text()).body:  # imports inside functions may not run at import time
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    targets.add(whole if whole in names else node.module)
        graph[name] = {t for t in targets if t in names and t != name}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for target in graph[name]:
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_no_drawer_modules() -> None:
    drawers = {"utils", "util", "common", "misc", "helpers", "manager", "core"}
    assert [path for path in modules() if path.stem in drawers] == []


def test_the_command_line_starts_without_heavy_imports() -> None:
    script = """
import sys
import mario.cli.app, mario.cli.data, mario.cli.inspect, mario.cli.augment, mario.cli.annotate
import mario.cli.train_sft, mario.cli.evaluate, mario.cli.solve, mario.cli.self_train
import mario.cli.report, mario.cli.stages, mario.cli.grade, mario.cli.doctor, mario.cli.review
print([name for name in ("torch", "transformers", "sympy", "openai", "numpy", "datasets") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
