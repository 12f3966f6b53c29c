"""The GPU study: it runs where only torch, transformers, peft and accelerate are, in parts, and its figures add up.

The bare machine is a real one: an environment whose folder of packages holds links to those four and what they require,
and to nothing else, so that neither imports nor version queries find more.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from mario.store import ShardWriter
from mario.transcript import format_named
from mario.types import Observation, ObservationStatus, Sampling, Step, StopReason, Trajectory
from tiny import tiny_model

GPU = Path(__file__).parents[1] / "benchmarks" / "gpu"
sys.path.insert(0, str(GPU))

BARE = ("torch", "transformers", "peft", "accelerate")


def requirements(*names: str) -> set[str]:
    """Installed distributions that these need, extras apart, by normalised name."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system or Python
        if name not in found:
            found.add(name)
            wanted = (line for line in distribution.requires or () if not re.search(r";.*\bextra\b", line))
            todo += [re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in wanted]
    return found


def link(names: set[str], folder: Path) -> None:
    """Links to the top folders and files of these distributions."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or () if not file.parts[0].startswith("..")}:
            target = Path(str(distribution.locate_file(top)))
            if top != "__pycache__" and target.exists() and not (folder / top).exists():
                (folder / top).symlink_to(target)


def bare_python(root: Path) -> Path:
    """The Python of a machine that has nothing of ours and little of others."""
    venv.create(root, symlinks=True, with_pip=False)
    link(requirements(*BARE), root / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages")
    return root / "bin" / "python"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare_python(tmp_path_factory.mktemp("bare"))


def science(python: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL"))}
    command = [str(python), str(GPU / "science.py"), *map(str, arguments)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """What travels: a tiny random model, three small data sets of our own, the grader's one package."""
    pytest.importorskip("flint")
    root = tmp_path_factory.mktemp("brought")
    tiny_model(root / "model", window=2048)
    link({"python-flint"}, root / "packages")
    for name, noun, count in (("gsm8k/train", "box", 16), ("bench/mawps", "case", 2), ("bench/asdiv", "jar", 2)):
        path = root / "data" / f"{name}.jsonl.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(path, "wt", encoding="utf-8") as file:
            for i in range(2, count + 2):
                text = f"{i} boxes hold {i}*7=<<{i}*7={i * 7}>>{i * 7} pens.\n#### {i * 7}"
                answer = text if "gsm8k" in name else str(i * 7)
                file.write(
                    json.dumps({"question": f"A {noun} holds 7 pens. How many do {i} hold?", "answer": answer}) + "\n"
                )
    write_solved(root / "solved")
    paths = ["--model", root / "model", "--data", root / "data", "--packages", root / "packages"]
    # a random model solves nothing, and there must be right solutions to learn from
    solved = json.dumps([str(root / "solved")])
    return [*paths, "--scale", "tiny", "--stages.ovm.data", solved, "--stages.sft-self.data", solved]


def write_solved(root: Path) -> None:
    """A training set of right and wrong sums."""
    for folder, added in (("kept", 0), ("incorrect", 1)):
        shards = ShardWriter(root / folder)
        for a in range(6):
            output = str(a + 7 + added)
            steps = (Step("", f"print({a} + {7 + added})", Observation(output, ObservationStatus.OK)), Step(""))
            spans = format_named("inline").render(f"{a} + 7?", steps, output).spans
            shards.append(
                Trajectory(
                    f"sum-{a}", added, "inline", "t", Sampling(), steps, StopReason.ANSWERED, output, spans=spans
                )
            )
        shards.seal()


@pytest.mark.full
@pytest.mark.timeout(600)
def test_the_study_on_a_bare_machine_in_parts(bare: Path, brought: list[object], tmp_path: Path) -> None:
    arguments = [*brought, "--out", tmp_path / "out", "--results", tmp_path / "results"]
    part = science(bare, *arguments, "--minutes", 0.15)
    assert part.returncode == 0 and "run the same command again" in part.stdout, part.stdout + part.stderr
    whole = science(bare, *arguments)
    assert whole.returncode == 0 and whole.stdout.rstrip().endswith("done"), whole.stdout + whole.stderr
    stages = tomllib.loads((GPU.parents[1] / "recipes" / "mario-smollm2.toml").read_text(encoding="utf-8"))["stages"]
    results = json.loads((tmp_path / "results" / "results.json").read_text())
    assert set(results) == set(stages)
    table = (tmp_path / "results" / "table.md").read_text()
    assert "named before the second study" in table and "SFT, with interpreter" in table
    environment = (tmp_path / "results" / "environment.txt").read_text()
    assert re.search(r"^torch \d", environment, re.M) and "sandbox" in environment and "gguf" not in environment


def test_a_machine_without_the_grader_is_told_what_to_bring(bare: Path, tmp_path: Path) -> None:
    made = science(bare, "--model", tmp_path, "--data", tmp_path, "--out", tmp_path / "out")
    assert made.returncode == 2
    assert "MISSING flint" in made.stdout and "--packages" in made.stdout


def test_every_size_names_a_verb_or_stage_and_a_setting_that_exist() -> None:
    from science import RECIPE, SCALES, overrides

    from mario.cli.stages import _config_class
    from mario.recipe import build

    stages = tomllib.loads(RECIPE.read_text(encoding="utf-8"))["stages"]
    verbs = {table["verb"] for table in stages.values()}
    for scale, sizes in SCALES.items():
        assert set(sizes) <= set(stages) | verbs | {"train-ovm"}, scale
        args = argparse.Namespace(scale=scale, data=Path("data"), model=Path("model"), seed=1)
        for name, setting, value in overrides(stages, args):
            kind = _config_class(stages[name]["verb"], name)
            table = {key: item for key, item in stages[name].items() if key != "verb"}
            head, _, rest = setting.partition(".")
            if rest:
                table.setdefault(head, {})[rest] = value
            else:
                table[head] = value
            build(kind, table, name)


def test_holm() -> None:
    from science_table import holm

    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []
