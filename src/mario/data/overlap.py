"""Was a model trained on what it is to be tested on? Its directory carries a fingerprint of every question it learnt.

    MODEL/trained_on.txt    one fingerprint a line, sorted; a model trained on from another carries on that one's lines

One idea: a fingerprint is the hash of a question's words, numbers and operators (the rule `exact` of decontamination),
so the check takes seconds, needs no training set, and publishes no question.

What this module does not do: find questions that are merely alike; `mario data decontaminate` does, before training.
A model made elsewhere carries no fingerprints and is not checked.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from mario.data.decontaminate.words import read
from mario.data.readers import read_problems
from mario.errors import DataError
from mario.store import read_jsonl
from mario.store.jsonl import whole_file
from mario.types import Problem

NAME = "trained_on.txt"
_SHOWN = 3  # problems of a set that the error names


def fingerprint(question: str) -> str:
    words = " ".join(read(question).exact)
    return hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def questions_of(folder: Path) -> set[str]:
    """Fingerprints of the questions that a folder of rows (`kept`, `incorrect`) answers.

    The questions stand in the `problems.jsonl` beside it; rows without one leave no fingerprint.
    """
    problems = folder.parent / "problems.jsonl"
    if not problems.exists():
        return set()
    answered = {str(row["problem_id"]) for shard in sorted(folder.glob("[0-9]*.jsonl")) for _, row in read_jsonl(shard)}
    return {fingerprint(problem.question) for problem in read_problems(problems) if problem.id in answered}


def write_trained(model: Path, folders: Iterable[Path], base: Path) -> None:
    """Write what `model` learnt from these folders of rows, and what its base had learnt."""
    found = set(read_trained(base)).union(*map(questions_of, folders))
    if found:
        with whole_file(model / NAME) as file:
            file.writelines(f"{one}\n".encode("ascii") for one in sorted(found))


def trained_on(model: Path, problems: Iterable[Problem], allowed: Collection[str] = ()) -> int:
    """How many of these problems the model was trained on; see `count_known`."""
    known = read_trained(model)
    return count_known(f"{model} was trained on", known, problems, allowed) if known else 0


def count_known(who: str, known: Collection[str], problems: Iterable[Problem], allowed: Collection[str] = ()) -> int:
    """How many of these problems have a known fingerprint, if all of these are of sets named in `allowed`.

    A set's name is SOURCE-SPLIT; `who` opens the message.

    Raises:
        DataError: some are of other sets.
    """
    count = 0
    found: dict[str, list[str]] = {}
    sizes: Counter[str] = Counter()
    for problem in problems:
        name = f"{problem.source}-{problem.split}"
        sizes[name] += 1
        if fingerprint(problem.question) in known:
            count += 1
            if name not in allowed:
                found.setdefault(name, []).append(problem.id)
    if found:
        said = [f"{len(ids)} of the {sizes[name]} problems of {name} ({_some(ids)})" for name, ids in found.items()]
        raise DataError(
            f"{who} {'; '.join(said)}; judge on others, or take those out of the training problems with mario data "
            f"decontaminate; to judge on them all the same, add --allow_overlap {','.join(found)}"
        )
    return count


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def read_trained(model: Path) -> frozenset[str]:
    """Fingerprints of the questions that a model learnt; none for a model made elsewhere."""
    try:
        return frozenset((model / NAME).read_text(encoding="ascii").split())
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError) as error:
        raise DataError(f"{model / NAME} cannot be read ({error}); restore it from where the model was made") from error
