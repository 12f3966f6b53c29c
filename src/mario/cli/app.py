"""The program `mario`: one verb a stage, one file a verb, one place where errors become exit codes.

0 done · 1 failed · 2 misuse · 3 finished with failed rows · 4 below a threshold asked for · 130 interrupted.
Results go to stdout, progress and errors to stderr. A verb is imported when it is called, so `--help` is quick.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Callable, Sequence

from mario import __version__
from mario.errors import MarioError, UsageError
from mario.recipe import unknown_key

VERBS = {
    "solve": "answer a question, reasoning in text and computing in Python",
    "data": "make or read problems",
    "augment": "make new problems from old ones",
    "annotate": "let a teacher solve problems, keep what verifies",
    "labels": "find references that may be wrong, and apply corrections",
    "review": "decide about suspects and solutions in the browser",
    "train": "fine-tune a model on trajectories",
    "self-train": "let a model learn from its own verified solutions, in rounds",
    "evaluate": "attempt a test set and judge every answer",
    "value": "score a run's attempts with a value model",
    "grade": "tell whether answers are equivalent",
    "report": "one page of results to look at",
    "push": "publish a trained model on the hub, with its card",
    "run": "run all stages of a recipe",
    "python": "run Python in the sandbox: a prompt, or one snippet",
    "doctor": "say what works on this machine",
}
EXAMPLE = 'mario solve "A box holds 24 pencils. How many pencils do 17 boxes hold?"'


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # models write what no encoding has
    try:
        code = _dispatch(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a reader that left or a full disk can still be told
        return code
    except MarioError as error:
        print(f"mario: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"\nmario: interrupted; to go on, type: mario {shlex.join(arguments)}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _drop_output()  # whoever read it has left; say nothing more
        return 1
    except OSError as error:
        if error.filename is not None:
            raise  # a file that a layer below should have named with its remedy
        _drop_output()
        print(f"mario: results cannot be written: {error.strerror}; send them elsewhere", file=sys.stderr)
        return 1


def _drop_output() -> None:
    """Let what is still buffered for stdout go nowhere, so that Python does not try it again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if argv[0] in ("-V", "--version"):
        print(f"mario {__version__}")
        return 0
    return _verb(argv[0])(argv[1:])


def _verb(name: str) -> Callable[[list[str]], int]:
    match name:
        case "solve":
            from mario.cli import solve

            return solve.run
        case "data":
            from mario.cli import data

            return data.run
        case "augment":
            from mario.cli import augment

            return augment.run
        case "annotate":
            from mario.cli import annotate

            return annotate.run
        case "labels":
            from mario.cli import labels

            return labels.run
        case "review":
            from mario.cli import review

            return review.run
        case "train":
            from mario.cli import train

            return train.run
        case "self-train":
            from mario.cli import self_train

            return self_train.run
        case "evaluate":
            from mario.cli import evaluate

            return evaluate.run
        case "value":
            from mario.cli import value

            return value.run
        case "grade":
            from mario.cli import grade

            return grade.run
        case "report":
            from mario.cli import report

            return report.run
        case "push":
            from mario.cli import push

            return push.run
        case "run":
            from mario.cli import stages

            return stages.run
        case "python":
            from mario.cli import python

            return python.run
        case "doctor":
            from mario.cli import doctor

            return doctor.run
    raise UsageError(f"{unknown_key(name, list(VERBS), 'verb')}; see: mario --help")


def _help() -> str:
    verbs = "\n".join(f"  {name:<12}{summary}" for name, summary in VERBS.items())
    return (
        f"mario {__version__}: language models that solve maths by reasoning in text and computing in Python\n\n"
        f"usage: mario VERB [ARGUMENTS] [--setting VALUE …]\n\n{verbs}\n\n"
        f"mario VERB --help lists the settings of a verb; a TOML --recipe holds the same ones.\n\nexample: {EXAMPLE}"
    )


if __name__ == "__main__":
    sys.exit(main())
