"""The command as people and scripts meet it: exit codes, one-line errors with a remedy, the road from end to end."""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mario.cli.app import VERBS

RECIPES = sorted((Path(__file__).resolve().parents[1] / "recipes").glob("*.toml"))
PROBLEM = {"id": "a", "question": "What is 2 + 3?", "answer": "5", "source": "tests", "split": "test"}
SOLVED = [
    {"question": "Tim has 4 pens and buys 3. How many has he?", "answer": "He has 4+3=<<4+3=7>>7 pens.\n#### 7"},
    {"question": "A row has 6 seats. How many have 5 rows?", "answer": "They have 6*5=<<6*5=30>>30 seats.\n#### 30"},
    {"question": "Ann is 9. How old is she?", "answer": "It says so.\n#### 9"},
]


def mario(*arguments: str, cwd: Path | None = None, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mario", *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **env},
        timeout=150,
    )


def lines(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_is_quick_and_ends_with_an_example(verb: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = mario(*([verb, "--help"] if verb else ["--help"]))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert "example: mario" in done.stdout
    assert done.stderr == ""
    # Processor time, so that a busy machine does not fail it; on an idle one this is the wall time.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime <= 0.5


def test_version_and_no_arguments() -> None:
    assert mario("--version").stdout.startswith("mario 0.")
    assert "usage: mario VERB" in mario().stdout


def test_data_writes_json_lines_to_stdout() -> None:
    done = mario("data", "wordproblems", "--count", "3", "--split", "test-heldout")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert len(rows) == 3
    assert {row["split"] for row in rows} == {"test-heldout"}


MISUSE = [
    (["evalute"], 2, "did you mean 'evaluate'"),
    (["data", "--cuont", "3"], 2, "did you mean 'count'"),
    (["data", "--count", "many"], 2, "count must be an integer, got \"many\""),
    (["data", "nonsense"], 2, "source must be one of"),
    (["data", "gsm8k"], 2, "needs path"),
    (["data", "gsm8k", "missing.jsonl"], 1, "missing.jsonl: no such file"),
    (["annotate", "missing", "--out", "o"], 1, "does not exist; make it with: mario data"),
    (["annotate"], 2, "problems is missing; name it after the verb, without a flag"),
    (["evaluate", "problems.jsonl"], 2, "no --out given"),
    (["evaluate", "problems.jsonl", "--out", "o", "--solve.samples", "4"], 2, "would draw the same answer 4 times"),
    (["evaluate", "problems.jsonl", "--out", "o", "--shots", "2"], 2, "needs examples"),
    (["evaluate", "--recipe", "no.toml", "--out", "o"], 2, "recipe no.toml does not exist"),
    (["evaluate", "--recipe", "typo.toml", "--out", "o"], 2, "did you mean 'solve.samples'"),
    (["evaluate", "--recipe", "broken.toml", "--out", "o"], 2, "is not TOML"),
    (["run", "stages.toml"], 2, "stage b: unknown stage 'taugt'; did you mean 'taught'"),
    (["run", "empty.toml"], 2, "no stages"),
    (["run", "stages.toml", "--stages.tuaght.count", "3"], 2, "unknown stage 'tuaght'; did you mean 'taught'"),
    (["run", "stages.toml", "--stages.taught.verb.x", "3"], 2, "verb is 'data', not a table"),
    (["evaluate", "--recipe", "flat.toml", "--engine.model", "m", "--out", "o"], 2, "engine is 3, not a table"),
    (["evaluate", "problems.jsonl", "--limit", "-1", "--out", "o"], 2, "limit must be a positive integer, got -1"),
    (["annotate", "problems.jsonl", "--limit", "0", "--out", "o"], 2, "limit must be a positive integer, got 0"),
    (["evaluate", "problems.jsonl", "--shots", "-1", "--out", "o"], 2, "shots must be 0 or more, got -1"),
    (["annotate", "problems.jsonl", "--interpreter.workers", "0", "--out", "o"], 2, "workers must be a positive"),
    (["annotate", "problems.jsonl", "--interpreter.wall_seconds", "-1", "--out", "o"], 2, "wall_seconds must be"),
    (["annotate", "twice.jsonl", "--out", "o"], 1, "problem id 'a' occurs twice"),
    (["annotate", "/dev/null", "--out", "o"], 1, "/dev/null is not a regular file"),
    (["annotate", "problems.jsonl", "--out", "problems.jsonl"], 1, "name another --out"),
    (["grade", "."], 1, ". is a directory"),
    (["grade", "pairs.jsonl", "--out", "pairs.jsonl"], 2, "--out is the file that is read"),
    (["solve", "1+1?"], 2, "make demo"),
    (["solve", "\udcff", "--engine.endpoint", "http://127.0.0.1:9/v1"], 2, "the question is not UTF-8"),
    (["solve", " "], 2, "the question is empty"),
    (["report", "problems.jsonl"], 1, "problems.jsonl is a file; name the output directory of a run"),
    (["run", "order.toml"], 2, "stage b: @a stands below it; put a stage after those that it names"),
    (["report", "nowhere"], 1, "has no manifest.json"),
    (["train", "sft", "nowhere", "--out", "o"], 1, "nowhere does not exist; make it with: mario annotate"),
    (["train", "sft", ".", "--out", "o"], 1, ". has no kept rows (no folder kept); make them with: mario annotate"),
    (["train", "sft", "--out", "o"], 2, "data is missing; name it after the verb, without a flag"),
    (["value", "--model", "m"], 2, "run is missing; name it after the verb, without a flag"),
]  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    lines(folder / "problems.jsonl", [PROBLEM])
    (folder / "typo.toml").write_text('problems = ["problems.jsonl"]\nsolve.sampels = 3\n')
    (folder / "broken.toml").write_text("solve = = 3\n")
    (folder / "order.toml").write_text(
        'out = "o"\n[stages.b]\nverb = "annotate"\nproblems = "@a"\n[stages.a]\nverb = "data"\n'
    )
    (folder / "flat.toml").write_text('problems = ["problems.jsonl"]\nengine = 3\n')
    lines(folder / "twice.jsonl", [PROBLEM, PROBLEM])
    lines(folder / "pairs.jsonl", [{"gold": "1", "pred": "1"}])
    (folder / "empty.toml").write_text('out = "o"\n')
    (folder / "stages.toml").write_text(
        'out = "o"\n[stages.taught]\nverb = "data"\n[stages.b]\nverb = "annotate"\nproblems = "@taugt"\n'
    )
    return folder


@pytest.mark.parametrize(("arguments", "code", "message"), MISUSE, ids=lambda value: str(value)[:40])
def test_misuse_is_one_line_with_its_remedy(bench: Path, arguments: list[str], code: int, message: str) -> None:
    done = mario(*arguments, cwd=bench)
    assert message in done.stderr
    assert done.returncode == code
    assert done.stderr.startswith("mario: ")
    assert done.stderr.count("\n") == 1
    assert not (bench / "o").exists()
    assert (bench / "pairs.jsonl").stat().st_size > 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": "a", "question": "x", "answer": "1", "source": "s", "split": "t"}\n{"id": \n', "line 2"),
        ('{"id": "a", "question": "x", "source": "s", "split": "t"}\n', "answer"),
        ('{"id": "a", "question": 3, "answer": "1", "source": "s", "split": "t"}\n', "question"),
        ("", "empty"),
    ],
    ids=["broken line", "missing field", "wrong type", "empty file"],
)
def test_broken_problem_files_are_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "p.jsonl").write_text(content)
    done = mario("annotate", "p.jsonl", "--out", "o", cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert "p.jsonl" in done.stderr
    assert "Traceback" not in done.stderr


def test_gsm8k_to_a_verified_training_set(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "train.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in SOLVED)
    assert mario("data", "gsm8k", "train.jsonl.gz", "--split", "train", "--out", "p", cwd=tmp_path).returncode == 0
    done = mario("annotate", "p", "--out", "taught", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert (counts["problems"], counts["attempts"], counts["kept"]) == (3, 2, 2)
    assert sum(counts["drops"].values()) == 1
    kept = [json.loads(line) for line in (tmp_path / "taught" / "kept" / "00000.jsonl").read_text().splitlines()]
    assert [row["answer"] for row in kept] == ["7", "30"]
    assert kept[0]["steps"][0]["observation"]["output"] == "7"
    again = mario("annotate", "p", "--out", "taught", "--json", cwd=tmp_path)
    assert json.loads(again.stdout) == counts
    other = mario("annotate", "p", "--out", "taught", "--solve.format", "text", cwd=tmp_path)
    assert other.returncode == 1
    assert "was made with recipe.solve.format = 'inline'" in other.stderr


def test_every_format_of_the_calculator_teacher_verifies(tmp_path: Path) -> None:
    mario("data", "wordproblems", "--count", "12", "--out", "p", cwd=tmp_path)
    for format in ("inline", "text", "tools"):
        done = mario("annotate", "p", "--out", format, "--solve.format", format, "--json", cwd=tmp_path)
        assert json.loads(done.stdout)["kept"] == 12, done.stderr


def test_the_calculator_teacher_writes_several_programs_a_problem(tmp_path: Path) -> None:
    mario("data", "wordproblems", "--count", "12", "--out", "p", cwd=tmp_path)
    several = ["--solve.samples", "8", "--solve.temperature", "1", "--select.max_correct", "8"]
    for format in ("inline", "react", "tools"):
        out = ["--solve.format", format, "--calculator.thoughts", "false", "--out", format]
        done = mario("annotate", "p", *several, *out, "--json", cwd=tmp_path)
        assert json.loads(done.stdout)["kept"] == 96, done.stderr
        kept = (tmp_path / format / "kept" / "00000.jsonl").read_text().splitlines()
        assert not any(step["thought"] for row in kept for step in json.loads(row)["steps"])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--solve.samples", "9"], "8 different programs a problem, got solve.samples = 9; set solve.samples = 8"),
        (["--solve.samples", "2", "--solve.format", "text"], "one text a problem, got solve.samples = 2"),
        (["--calculator.thoughts", "false", "--solve.format", "text"], "leave out calculator.thoughts = false"),
    ],
)
def test_the_calculator_teacher_refuses_what_it_cannot_write(tmp_path: Path, flags: list[str], said: str) -> None:
    lines(tmp_path / "p.jsonl", [PROBLEM])
    done = mario("annotate", "p.jsonl", "--solve.temperature", "1", *flags, "--out", "o", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_a_plan(recipe: Path, tmp_path: Path) -> None:
    done = mario("run", str(recipe), "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == recipe.read_text().count("\n[stages.")
    assert list(tmp_path.iterdir()) == []


def test_no_space_is_named_and_a_rerun_goes_on(tmp_path: Path) -> None:
    mario("data", "wordproblems", "--count", "60", "--out", "p", cwd=tmp_path)
    command = [sys.executable, "-m", "mario", "annotate", "p", "--out", "o"]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, preexec_fn=limit, timeout=100)
    assert done.returncode == 1
    assert "no space left" in done.stderr.splitlines()[-1]
    assert "run the same command again" in done.stderr
    again = mario("annotate", "p", "--out", "o", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["kept"] == 60


def test_an_unreachable_server_is_one_line_and_no_wrong_answer(tmp_path: Path) -> None:
    lines(tmp_path / "p.jsonl", [PROBLEM])
    flags = ["--engine.endpoint", "http://127.0.0.1:9/v1", "--engine.model", "m", "--engine.max_retries", "0"]
    done = mario("evaluate", "p.jsonl", "--out", "o", *flags, cwd=tmp_path, OPENAI_API_KEY="none")
    assert done.returncode == 1
    assert "http://127.0.0.1:9/v1" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "o" / "trajectories").glob("*.seal.json"))


def test_grade_a_pair_with_its_reason() -> None:
    done = mario("grade", r"\frac{1}{2}", "0.5")
    assert done.stdout.startswith("equivalent: ")
    assert done.returncode == 0
    done = mario("grade", "7", "8", "--fail-under", "1")
    assert done.stdout.startswith("different: ")
    assert done.returncode == 4


def test_grade_reads_json_lines_and_names_the_broken_ones() -> None:
    broken = ["not json", '{"gold": "1"}']
    good = ['{"id": "a", "gold": "7", "pred": "7.0"}', '{"id": "c", "reference": "7", "solution": "So #### 8"}']
    rows = f"{good[0]}\n{broken[0]}\n{good[1]}\n{broken[1]}\n"
    done = mario("grade", stdin=rows)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["equivalent"] for row in found] == [True, None, False, None]
    assert [row["id"] for row in found] == ["a", 2, "c", 4]
    assert done.returncode == 3
    assert "line 2: not JSON" in done.stderr and "line 4: no answer" in done.stderr
    assert mario("grade", "-", stdin=good[0]).returncode == 0


def test_grade_counts_by_type_and_status_and_any_number_of_workers_says_the_same(tmp_path: Path) -> None:
    pairs = [("7", "7.0"), ("(1, 2)", "(2, 1)"), ("\\sqrt{", "1"), ("x+1", "\\sqrt{"), ("\\frac14", "\\int_0^1 x^3 dx")]
    rows = [json.dumps({"id": n, "gold": g, "pred": p}) for n, (g, p) in enumerate(pairs * 100)]
    (tmp_path / "rows").write_text("\n".join([*rows[:7], "", "[", *rows[7:]]))
    done = mario("grade", "rows", "--out", "one", cwd=tmp_path)
    table = [line.split() for line in done.stderr.splitlines()]
    assert table[0] == ["line", "9:", "not", "JSON:", "'['"]
    assert table[1][:3] == ["type", "rows", "answer_unparsed"]
    assert ["all", "501", "100", "100", "200", "100", "1"] in table
    assert ["Vector", "100", "0", "100", "0", "0", "0"] in table
    assert table[-1] == ["equivalent", "200", "of", "501,", "39.92", "%"]
    two = mario("grade", "rows", "--out", "two", "--workers", "2", cwd=tmp_path)
    assert two.stderr == done.stderr
    assert (tmp_path / "two").read_text() == (tmp_path / "one").read_text()
    assert [json.loads(line)["id"] for line in (tmp_path / "one").read_text().splitlines()][6:9] == [6, 9, 7]


def test_grade_answers_each_line_of_a_pipe_before_the_next_is_written() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "mario", "grade"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin and process.stdout
        for answer, expected in (("5.0", True), ("6", False)):
            process.stdin.write(json.dumps({"gold": "5", "pred": answer}) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["equivalent"] is expected
        process.stdin.close()
        assert process.wait(60) == 0


def test_grade_reads_on_past_nesting_without_end_and_blank_lines(tmp_path: Path) -> None:
    pair = '{"gold": "1", "pred": "1"}'
    (tmp_path / "rows").write_text(f"{'[' * 100_000}\n{pair}\n")
    done = mario("grade", "rows", cwd=tmp_path)
    assert [json.loads(line)["equivalent"] for line in done.stdout.splitlines()] == [None, True]
    assert done.returncode == 3
    done = mario("grade", stdin=f"\n{pair}\n\n")
    assert [json.loads(line)["equivalent"] for line in done.stdout.splitlines()] == [True]
    assert done.returncode == 0


def test_grade_reads_a_pipe_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = subprocess.Popen(["sh", "-c", 'echo \'{"gold": "1", "pred": "1"}\' > pipe'], cwd=tmp_path)
    done = mario("grade", "pipe", cwd=tmp_path)
    writer.kill()
    writer.wait()
    assert done.returncode == 0, done.stderr


def test_grade_with_one_argument_wants_a_file() -> None:
    done = mario("grade", "7")
    assert done.returncode == 1
    assert "no such file; one pair needs two arguments" in done.stderr


def test_doctor_goes_on_past_a_broken_endpoint() -> None:
    done = mario("doctor", "--endpoint", "nowhere", "--json")
    findings = {row["what"]: row for row in json.loads(done.stdout)}
    assert "sandbox" in findings
    assert findings["server"]["state"] == "broken"
    assert done.returncode == 1


def test_doctor_names_the_sandbox() -> None:
    done = mario("doctor", "--json")
    findings = {row["what"]: row for row in json.loads(done.stdout)}
    assert findings["sandbox"]["state"] == "ok", findings["sandbox"]
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("data wordproblems --count 20000 | head -n 1", 1, ""),
        ("grade pairs | head -n 1", 1, ""),
        (
            "data wordproblems --count 3 > /dev/full",
            1,
            "mario: results cannot be written: No space left on device; send them elsewhere",
        ),
        ("grade 1 1 > /dev/full", 1, "mario: results cannot be written: No space left on device; send them elsewhere"),
        ("--help > /dev/full", 1, "mario: results cannot be written: No space left on device; send them elsewhere"),
    ],
)
def test_a_reader_that_leaves_or_a_full_disk_is_no_traceback(
    tmp_path: Path, command: str, code: int, said: str
) -> None:
    (tmp_path / "pairs").write_text('{"gold": "1", "pred": "1"}\n' * 2000)
    verb, _, rest = command.partition(" | ")
    script = f"{sys.executable} -m mario {verb}; echo $? >&2" + (f"; }} | {rest}" if rest else "")
    done = subprocess.run(
        ["sh", "-c", f"{{ {script}" if rest else script], cwd=tmp_path, capture_output=True, text=True, timeout=100
    )
    *errors, last = done.stderr.splitlines()
    assert last == str(code)
    assert [line for line in errors if not line.startswith("equivalent ")] == ([said] if said else [])


def test_what_a_terminal_cannot_show_is_escaped() -> None:
    done = mario("grade", "½", "é", "--json", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "\\xe9" in done.stdout


def test_a_recipe_names_problems_by_their_directory_too(tmp_path: Path) -> None:
    mario("data", "wordproblems", "--count", "2", "--out", "some.problems", cwd=tmp_path)
    (tmp_path / "a.toml").write_text('problems = "some.problems"\n')
    (tmp_path / "b.toml").write_text('out = "o"\n[stages.a]\nverb = "annotate"\nproblems = "some.problems"\n')
    for command in (["annotate", "--recipe", "a.toml", "--out", "a"], ["run", "b.toml"]):
        done = mario(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "kept            2" in done.stdout


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    mario("data", "wordproblems", "--count", "1500", "--out", "p", cwd=tmp_path)
    command = [sys.executable, "-m", "mario", "annotate", "p", "--out", "o"]
    child = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    stored = tmp_path / "o" / "trajectories" / "00000.jsonl"
    while not (stored.exists() and stored.stat().st_size) and child.poll() is None:
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does: the sandbox's processes hear it too
    _, said = child.communicate(timeout=100)
    assert child.returncode == 130, said
    assert said.splitlines()[-1] == "mario: interrupted; to go on, type: mario annotate p --out o"
    assert "Traceback" not in said
    again = mario("annotate", "p", "--out", "o", "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["kept"] == 1500
    assert "from before" in again.stderr


def test_a_dry_run_shows_the_first_prompt_and_attempts_nothing(tmp_path: Path) -> None:
    lines(tmp_path / "p.jsonl", [PROBLEM])
    for verb in ("annotate", "evaluate"):
        done = mario(verb, "p.jsonl", "--dry-run", "--seed", "3", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "1 problems, 1 samples each: 1 attempts" in done.stdout
        assert "Question: What is 2 + 3?\n\nSolution:\n\n<p>\n" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["p.jsonl"]


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse words its help differently elsewhere")
def test_the_page_of_the_command_line_is_current() -> None:
    script = Path(__file__).resolve().parents[1] / "scripts" / "cli_docs.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("settings", [["--stages.a.limit", "none"], []])
def test_none_unsets_in_a_recipe_and_by_a_flag(tmp_path: Path, settings: list[str]) -> None:
    limit = "2" if settings else '"none"'
    recipe = tmp_path / "run.toml"
    recipe.write_text(f'out = "o"\n[stages.a]\nverb = "data"\nsource = "wordproblems"\ncount = 3\nlimit = {limit}\n')
    done = mario("run", str(recipe), "--out", str(tmp_path / "o"), *settings)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "o" / "a" / "problems.jsonl").read_text().splitlines()) == 3
