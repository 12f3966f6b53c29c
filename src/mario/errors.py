"""Every error we raise on purpose, in one tree.

    MarioError                 exit code 1
    ├── UsageError             2: the command, a recipe or a flag is wrong
    ├── DataError              1: a file does not hold what it should; names file, line and field
    ├── StoreError             1: an output directory is damaged or made by another recipe
    ├── EngineError            1: an engine could not be built or reached
    │   ├── EngineUnavailable  1: a passing fault of a server, after all retries
    │   └── BudgetReached      3: the next call could pass the cap; what is done is stored
    ├── InterpreterError       1: the sandbox could not be started
    ├── TrainingError          1: training cannot go on
    └── MissingExtra           2: an optional dependency is not installed

A message says what came, what was expected, where, and what to type. A model's mistakes never raise: they are
`Observation`s and `StopReason`s. Foreign errors are translated where they enter, with their cause kept.
"""

from __future__ import annotations


class MarioError(Exception):
    """Root of our errors; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(MarioError):
    exit_code = 2


class DataError(MarioError):
    pass


class StoreError(MarioError):
    pass


class EngineError(MarioError):
    pass


class EngineUnavailable(EngineError):
    pass


class BudgetReached(EngineError):
    exit_code = 3


class InterpreterError(MarioError):
    pass


class TrainingError(MarioError):
    pass


class MissingExtra(MarioError):
    exit_code = 2

    def __init__(self, needs: str, extra: str) -> None:
        super().__init__(f"{needs} is not installed; type: pip install 'mario-math[{extra}]'")
