"""Which rows form which optimizer step, decided once, before the first step, from the seed alone.

The idea: a training run is a plain list of steps, each a list of micro-batches, each a list of row numbers.
Resuming is then "skip the first n", and two runs with one seed do the same work in the same order.

Lengths are grouped so that little is spent on padding: rows are shuffled, taken a window at a time, sorted by
length within it, cut into steps of about equal size, and the steps of a window are shuffled. Rows that will be packed
need none of this.

What this module does not do: no tensors (`trainer.collate`), no tokenising (`encode`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mario.errors import DataError
from mario.provenance import derive_seed
from mario.train.config import SftConfig
from mario.train.encode import EncodedRow

MicroBatch = tuple[int, ...]  # positions in the list of rows
Step = tuple[MicroBatch, ...]
WINDOW_STEPS = 8  # over so many steps rows may move to meet rows of their length
# torch compiles a CPU's bfloat16 product for every new size and keeps it, 7 MB a micro-batch whatever the layers. So
# sizes are rounded up: the width of padded rows, which each of them pays for, and the length of a packed sequence.
WIDTH_MULTIPLE = 8
PACK_MULTIPLE = 32


@dataclass(frozen=True, slots=True)
class SourceCount:
    """What a run takes from one source; a row drawn in two passes counts twice.

    `merged_boundaries`: see `encode.merged_boundaries`.
    """

    rows: int
    tokens: int
    trained_tokens: int
    merged_boundaries: int = 0

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.tokens:,} tokens, {self.trained_tokens:,} of them trained"


def arrange(
    sources: Mapping[str, Sequence[EncodedRow]], config: SftConfig, *, evenly: bool = False
) -> tuple[list[EncodedRow], list[Step], dict[str, SourceCount]]:
    """The rows of a run in training order, its steps, and what each source gave: `draw` and `plan_steps` as set.

    With `evenly` every step has its share of every source; rows then do not move to meet rows of their length.

    Raises:
        DataError: see `draw`.
    """
    order, counts = draw(
        sources,
        seed=config.seed,
        passes=config.epochs,
        tokens_per_source=config.tokens_per_source,
        evenly=evenly,
    )
    steps = plan_steps(
        [row.n_tokens for row in order],
        seed=config.seed,
        max_tokens=config.max_tokens,
        tokens_per_step=config.tokens_per_step,
        rows_per_step=config.rows_per_step,
        window_steps=1 if evenly else WINDOW_STEPS,
        packing=config.packing,
    )
    return order, steps, counts


def draw(
    sources: Mapping[str, Sequence[EncodedRow]],
    *,
    seed: int,
    passes: int,
    tokens_per_source: int | None,
    evenly: bool = False,
) -> tuple[list[EncodedRow], dict[str, SourceCount]]:
    """The rows of a run in training order, and what each source gave.

    Without a budget each source gives all its rows `passes` times. With `tokens_per_source` each gives, in seeded
    order, rows up to the one that would pass the budget, so that sources compare at equal cost. Rows of all sources
    are mixed within each share of 1/`passes` of the run: by a shuffle, or `evenly`: then any stretch of rows holds
    its share of each source, give or take two rows where there are two sources.

    Raises:
        DataError: a source has no rows, or too few tokens for the budget.
    """
    taken = {name: _take(name, rows, seed, passes, tokens_per_source) for name, rows in sources.items()}
    order: list[EncodedRow] = []
    for turn in range(passes):
        shares = [_share(rows, turn, passes) for rows in taken.values()]
        order += _mixed(shares, random.Random(derive_seed(seed, "mix", turn)), evenly)
    return order, {name: count(rows) for name, rows in taken.items()}


def _mixed(sources: Sequence[Sequence[EncodedRow]], draws: random.Random, evenly: bool) -> list[EncodedRow]:
    if not evenly:
        mixed = [row for rows in sources for row in rows]
        draws.shuffle(mixed)
        return mixed
    # a source's rows lie one in each of as many equal stretches of the way, anywhere within it
    placed = [((i + draws.random()) / len(rows), row) for rows in sources for i, row in enumerate(rows)]
    return [row for _, row in sorted(placed, key=lambda pair: pair[0])]


def rounded(tokens: int, multiple: int) -> int:
    return tokens + -tokens % multiple


def computed_tokens(lengths: Sequence[int], *, packing: bool) -> int:
    """The tokens of a micro-batch of rows of these lengths, with their padding."""
    if packing:
        return rounded(sum(lengths), PACK_MULTIPLE)
    return len(lengths) * rounded(max(lengths), WIDTH_MULTIPLE)


def count(rows: Sequence[EncodedRow]) -> SourceCount:
    return SourceCount(
        rows=len(rows),
        tokens=sum(row.n_tokens for row in rows),
        trained_tokens=sum(row.n_trained for row in rows),
        merged_boundaries=sum(row.n_merged for row in rows),
    )


def _take(name: str, rows: Sequence[EncodedRow], seed: int, passes: int, budget: int | None) -> list[EncodedRow]:
    taken: list[EncodedRow] = []
    tokens = 0
    for turn in range(passes):
        shuffled = list(rows)
        random.Random(derive_seed(seed, "draw", name, turn)).shuffle(shuffled)
        for row in shuffled:
            if budget is not None and tokens + row.n_tokens > budget:
                if not taken:
                    raise DataError(f"source {name}: its first row has {row.n_tokens} tokens, the budget is {budget}")
                return taken
            taken.append(row)
            tokens += row.n_tokens
    if not taken:
        raise DataError(f"source {name}: no row to train on")
    if budget is not None and tokens < budget:
        raise DataError(
            f"source {name}: {tokens:,} tokens in {passes} passes, the budget asks for {budget:,}; "
            "raise train.epochs, lower train.tokens_per_source, or give more trajectories"
        )
    return taken


def _share(rows: Sequence[EncodedRow], turn: int, passes: int) -> Sequence[EncodedRow]:
    return rows[len(rows) * turn // passes : len(rows) * (turn + 1) // passes]


def plan_steps(
    lengths: Sequence[int],
    *,
    seed: int,
    max_tokens: int,
    tokens_per_step: int,
    rows_per_step: int | None = None,
    window_steps: int = WINDOW_STEPS,
    packing: bool = False,
) -> list[Step]:
    """Steps of about `rows_per_step` rows where given, else of about `tokens_per_step` tokens.

    `lengths` are the tokens of each row in training order, `max_tokens` bounds a micro-batch with its padding, and
    `window_steps` says over how many steps rows may move to meet rows of their length (1: none). With `packing`
    rows need none of that, and keep their order.
    """
    size = rows_per_step or tokens_per_step
    weights = [1] * len(lengths) if rows_per_step else list(lengths)
    if packing:
        groups = _cut(range(len(lengths)), weights, size)
    else:
        groups = []
        for number, window in enumerate(_cut(range(len(lengths)), weights, size * window_steps)):
            alike = _cut(sorted(window, key=lambda row: (lengths[row], row)), weights, size)
            random.Random(derive_seed(seed, "window", number)).shuffle(alike)
            groups += alike
    return [tuple(_micro_batches(group, lengths, max_tokens, packing=packing)) for group in groups]


def _cut(rows: Sequence[int], weights: Sequence[int], size: int) -> list[list[int]]:
    """Consecutive groups of nearly equal weight, as many as make each about `size`: no sliver is left at the end."""
    total = sum(weights[row] for row in rows)
    n_groups = max(1, round(total / size))
    groups: list[list[int]] = [[] for _ in range(n_groups)]
    before = 0
    for row in rows:
        middle = before + weights[row] / 2
        groups[min(n_groups - 1, int(middle * n_groups / total))].append(row)
        before += weights[row]
    return [group for group in groups if group]


def _micro_batches(
    rows: Sequence[int], lengths: Sequence[int], max_tokens: int, *, packing: bool
) -> Iterator[MicroBatch]:
    """A row that alone is more than `max_tokens`, by what its length is rounded up, is a batch of its own."""
    batch: list[int] = []
    for row in rows:
        if batch and computed_tokens([lengths[i] for i in (*batch, row)], packing=packing) > max_tokens:
            yield tuple(batch)
            batch = []
        batch.append(row)
    if batch:
        yield tuple(batch)
