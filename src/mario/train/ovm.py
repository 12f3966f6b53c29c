"""The multi-task outcome value model: one network that writes solutions and says which will turn out right.

It learns the language of correct solutions, and from correct and incorrect ones the chance that what stands so far
ends in a right answer (`value_loss`). Both kinds come from one training set: `kept/` and `incorrect/`.

One idea: problems, not rows, are what is balanced and what is held out. Every problem gives a few solutions of each
kind, drawn by seed, and a share of the problems is kept out of training whole, by name, for calibration.

The run itself is `loop`; what it writes is `value.checkpoint`'s directory. Imports torch only when training begins.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mario.engine.rows import written
from mario.errors import DataError, UsageError
from mario.provenance import content_hash, derive_seed, to_json
from mario.store import scan_shards, verify_shards, write_json
from mario.store.jsonl import write_jsonl
from mario.train.batch import arrange
from mario.train.config import SftConfig
from mario.train.encode import IGNORED, EncodedRow, Refusal, encode, refusals_told
from mario.train.loop import Plan, Task, TrainResult, train
from mario.train.sources import kept_hash
from mario.types import Trajectory
from mario.value.checkpoint import CARD, HELD_OUT, OvmCard, Positions, Target
from mario.value.positions import places

if TYPE_CHECKING:
    from mario.train.keeper import Listener

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class OvmConfig:
    """What the value head learns, where, and from which solutions; docs/ovm.md has the formulas and their sources.

    target: sigmoid (right 1, wrong 0) or tanh (right 1, wrong -1)
    loss: mse of sigmoid or tanh, or bce: cross entropy
    positions: where it learns: every token by the model, the end of every step, or the last token of the solution
    value_weight: of the value loss
    lm_weight: of the language loss on right solutions; 0 trains a value model that need not write
    max_correct: right solutions of one problem, at most
    max_incorrect: wrong solutions of one problem, at most
    max_unsolved: wrong solutions of a problem without a right one, at most
    holdout: share of the problems kept out of training, for calibration
    """

    target: Target = "sigmoid"
    loss: Literal["mse", "bce"] = "mse"
    positions: Positions = "token"
    value_weight: float = 1.0
    lm_weight: float = 1.0
    max_correct: int = 4
    max_incorrect: int = 4
    max_unsolved: int = 1
    holdout: float = 0.1

    def __post_init__(self) -> None:
        if not self.value_weight > 0:
            raise UsageError(
                f"value_weight must be above 0, got {self.value_weight}; mario train sft has no value loss"
            )
        if not self.lm_weight >= 0:
            raise UsageError(f"lm_weight must be 0 or more, got {self.lm_weight}")
        for name in ("max_correct", "max_incorrect"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be 1 or more, got {getattr(self, name)}: a value model learns from both")
        if self.max_unsolved < 0:
            raise UsageError(f"max_unsolved must be 0 or more, got {self.max_unsolved}")
        if not 0 <= self.holdout < 1:
            raise UsageError(f"holdout must be at least 0 and below 1, got {self.holdout}")


def train_ovm(
    config: SftConfig,
    ovm: OvmConfig,
    sets: Sequence[Path],
    model: str,
    out: Path,
    on_progress: Listener | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> TrainResult:
    """Train `model` as generator and value model on training sets; see `loop.train`.

    Raises:
        UsageError: two sets share a name, there are none, or the model's family has no such value model.
        StoreError: a set holds no sealed rows, or they have changed.
        DataError, StoreError, TrainingError: see `loop.train`.
    """
    return train(MultiTask(sets, ovm, config.seed), config, model, out, on_progress, report)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a solution lies: a row of a training set's `kept` or `incorrect` solutions."""

    root: Path
    correct: bool
    number: int

    @property
    def source(self) -> str:
        return f"{'correct' if self.correct else 'incorrect'}/{self.root.name}"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The solutions to train on, and the problems held out for calibration."""

    solutions: frozenset[Place]
    held_out: tuple[str, ...]


def choose(found: Mapping[str, Sequence[Place]], config: OvmConfig, seed: int) -> Chosen:
    """A few solutions of each kind of every problem, and whole problems held out, both by seed.

    A draw depends on the problem's id and its own solutions only. A problem that was never missed gives its right
    ones; one that was never solved gives at most `max_unsolved` wrong ones.
    """
    order = sorted(found, key=lambda problem: derive_seed(seed, "holdout", problem))
    n_held_out = round(config.holdout * len(order))
    chosen: set[Place] = set()
    for problem in order[n_held_out:]:
        right = [place for place in found[problem] if place.correct]
        wrong = [place for place in found[problem] if not place.correct]
        most_wrong = config.max_incorrect if right else min(config.max_incorrect, config.max_unsolved)
        for places_of_kind, most in ((right, config.max_correct), (wrong, most_wrong)):
            draw_one = random.Random(derive_seed(seed, "choose", problem))
            chosen.update(draw_one.sample(places_of_kind, min(most, len(places_of_kind))))
    return Chosen(frozenset(chosen), tuple(sorted(order[:n_held_out])))


class MultiTask(Task):
    """Trains both; `seed` is of the choice of solutions and of the value head's first weights."""

    kind = "ovm"
    full = ("score",)

    def __init__(self, sets: Sequence[Path], ovm: OvmConfig, seed: int) -> None:
        names = [root.name for root in sets]
        if not names or len(set(names)) < len(names):
            raise UsageError(f"training needs one or more training sets of different names, got {names}")
        self.sets = tuple(sets)
        self.folders = tuple(root / kind for root in sets for kind in ("kept", "incorrect"))
        self.ovm = ovm
        self.seed = seed
        self.recipe = {"ovm": to_json(ovm)}
        self.inputs = {f"correct/{root.name}": kept_hash(root) for root in sets}
        self.inputs |= {
            f"incorrect/{root.name}": verify_shards(root / "incorrect") for root in sets if _has_wrong(root)
        }
        self.chosen = Chosen(frozenset(), ())

    def _solutions(self) -> Iterator[tuple[Place, Trajectory]]:
        for root in self.sets:
            for correct, folder in ((True, root / "kept"), (False, root / "incorrect")):
                if correct or _has_wrong(root):
                    for number, trajectory in enumerate(scan_shards(folder, Trajectory)):
                        yield Place(root, correct, number), trajectory

    def plan(self, config: SftConfig, tokenizer: Any, window: int) -> Plan:
        found: dict[str, list[Place]] = {}
        for place, trajectory in self._solutions():
            found.setdefault(trajectory.problem_id, []).append(place)
        self.chosen = choose(found, self.ovm, self.seed)
        rows: dict[str, list[EncodedRow]] = {}
        refused: dict[str, list[Refusal]] = {}
        formats: dict[str, None] = {}
        limit = min(config.max_row_tokens, window)
        for place, trajectory in self._solutions():
            if place not in self.chosen.solutions:
                continue
            formats[trajectory.format] = None
            row = encode(trajectory, tokenizer, max_row_tokens=limit, train_on_output=config.train_on_output)
            if isinstance(row, Refusal):
                refused.setdefault(place.source, []).append(row)
            else:
                rows.setdefault(place.source, []).append(self._valued(row, trajectory, tokenizer, place.correct))
        for kind in ("correct", "incorrect"):
            if not any(name.startswith(f"{kind}/") for name in rows):
                of_kind = (row for name, found in refused.items() if name.startswith(f"{kind}/") for row in found)
                more = "a value model learns from both; sample more attempts at each problem, at a temperature above 0"
                raise DataError(
                    f"no {kind} solution to train on in {', '.join(map(str, self.sets))} "
                    f"({len(self.chosen.held_out)} problems held out); {refusals_told(of_kind) or more}"
                )
        # Rows that meet by length meet by kind, as the longest are wrong ones that came to no end; and where chance
        # puts few rows of a kind into a step, the values of all problems follow it up and down.
        order, steps, counts = arrange(rows, config, evenly=True)
        refusals = [{"source": name, **to_json(row)} for name, found in refused.items() for row in found]
        return Plan(order, steps, counts, refusals, tuple(formats))

    def _valued(self, row: EncodedRow, trajectory: Trajectory, tokenizer: Any, correct: bool) -> EncodedRow:
        """The row with the outcome at the positions that learn it; the language of a wrong solution is not learnt."""
        values = [NAN] * row.n_tokens
        for place in places(written(trajectory, tokenizer), self.ovm.positions):
            values[place] = float(correct)
        if correct:
            return replace(row, values=tuple(values))
        return replace(row, labels=(IGNORED,) * row.n_tokens, n_trained=0, values=tuple(values))

    def prepare(self, network: Any) -> Any:
        from mario.train.value_loss import attach_head

        return attach_head(network, derive_seed(self.seed, "score"))

    def trainer(self, **arguments: Any) -> Any:
        from mario.train.value_loss import OvmTrainer

        return OvmTrainer(
            target=self.ovm.target,
            loss=self.ovm.loss,
            lm_weight=self.ovm.lm_weight,
            value_weight=self.ovm.value_weight,
            **arguments,
        )

    def write(self, network: Any, directory: Path) -> None:
        from mario.train.value_loss import save

        save(network, directory)
        card = OvmCard(self.ovm.target, self.ovm.positions, data=content_hash(dict(self.inputs)))
        write_json(directory / CARD, card)
        write_jsonl(directory / HELD_OUT, [{"problem_id": problem} for problem in self.chosen.held_out])


def _has_wrong(root: Path) -> bool:
    return any((root / "incorrect").glob("[0-9]*.jsonl"))
