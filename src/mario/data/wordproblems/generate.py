"""The endless, seeded stream of word problems in three splits.

One idea: problem number i of a split is a pure function of (seed, split, i). `digits` and `steps` choose from that
stream and never change it, so an id names one problem for ever. Inside the stream digits and steps take turns,
and the templates of each (digits, steps) take turns in a seeded order: any stretch of it is balanced.

`train` and `test-shared` use the same templates; a hash of (template, operands) gives each pair to one of them,
whatever the seed, so that no two runs can leak. `test-heldout` uses templates that are never trained on.

What this module does not do: no deduplication inside a split (with one digit there are few pairs of operands).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import count as counting
from itertools import islice
from random import Random

from mario.data.wordproblems import four_steps, heldout, one_step, three_steps, two_steps
from mario.data.wordproblems.template import Draft, Template
from mario.errors import DataError, UsageError
from mario.provenance import derive_seed
from mario.types import Problem

SPLITS = ("train", "test-shared", "test-heldout")
DIGITS = (1, 2, 3, 4)
STEPS = (1, 2, 3, 4)
TRAINED = (*one_step.TEMPLATES, *two_steps.TEMPLATES, *three_steps.TEMPLATES, *four_steps.TEMPLATES)
HELDOUT = heldout.TEMPLATES
_TRIES = 1000  # one draw in four belongs to the smaller side
_TEST_SHARE = 4  # one pair of (template, operands) in so many belongs to test-shared


def generate(
    split: str, count: int, seed: int, digits: Sequence[int] = DIGITS, steps: Sequence[int] | None = None
) -> Iterator[Problem]:
    """The first `count` problems of the split's stream with these digits and steps (None: all), lazily.

    Raises:
        UsageError: an unknown split, digit or step, or nothing to choose from.
    """
    steps = STEPS if steps is None else steps
    _check("split", [split], SPLITS)
    _check("digits", digits, DIGITS)
    _check("steps", steps, STEPS)
    if count < 0:
        raise UsageError(f"word problems: count must not be negative, got {count}")
    indices = (i for i in counting() if _digits(i) in digits and _steps(i) in steps)
    return (make_problem(split, seed, index) for index in islice(indices, count))


def make_problem(split: str, seed: int, index: int) -> Problem:
    """Problem number `index` of the stream; `level` holds its digits."""
    digits, steps = _digits(index), _steps(index)
    template = _template(split, seed, index)
    rng = Random(derive_seed("wordproblems", seed, split, index))
    draft = _draft(split, template, rng, digits)
    return Problem(
        id=f"wordproblems/{split}/seed{seed}/{index:06d}",
        question=draft.question,
        answer=draft.answer,
        source="wordproblems",
        split=split,
        solution=draft.solution,
        level=str(digits),
        licence="Apache-2.0",
        tags={"template": template.name, "digits": digits, "steps": steps, "structure": template.structure},
    )


@cache
def templates_of(split: str, digits: int, steps: int) -> tuple[Template, ...]:
    """The templates that a split uses at this level."""
    templates = HELDOUT if split == "test-heldout" else TRAINED
    return tuple(t for t in templates if str(digits) in t.digits and len(t.steps) == steps)


def _digits(index: int) -> int:
    return DIGITS[index % len(DIGITS)]


def _steps(index: int) -> int:
    return STEPS[index // len(DIGITS) % len(STEPS)]


def _template(split: str, seed: int, index: int) -> Template:
    """Templates take turns: each comes once before any comes again, in an order drawn for every round."""
    digits, steps = _digits(index), _steps(index)
    pool = templates_of(split, digits, steps)
    turn, position = divmod(index // (len(DIGITS) * len(STEPS)), len(pool))
    return Random(derive_seed("wordproblems-order", seed, split, digits, steps, turn)).sample(pool, len(pool))[position]


def _draft(split: str, template: Template, rng: Random, digits: int) -> Draft:
    """Draw until the operands are of this split."""
    for _ in range(_TRIES):
        draft = template.draft(rng, digits)
        if _belongs(split, template, draft):
            return draft
    raise DataError(f"word problem template {template.name!r}: no operands of {digits} digits belong to {split}")


def _belongs(split: str, template: Template, draft: Draft) -> bool:
    if split == "test-heldout":
        return True
    is_test = derive_seed("wordproblems-side", template.name, *sorted(draft.operands)) % _TEST_SHARE == 0
    return is_test == (split == "test-shared")


def _check(what: str, given: Sequence[int | str], known: Sequence[int | str]) -> None:
    unknown = [value for value in given if value not in known]
    if unknown or not given:
        got = repr(unknown[0]) if unknown else "none"
        raise UsageError(f"word problems: {what} must be of {', '.join(map(str, known))}, got {got}")
