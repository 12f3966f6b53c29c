"""The records of the pipeline: frozen dataclasses, and nothing else.

A question is a `Problem`. Solving it makes a `Trajectory`: `Step`s, each a thought and perhaps code with the
`Observation` the interpreter answered, and the exact text as `Span`s that say who wrote it. Grading a
trajectory makes a `Verdict`. An engine is asked with a `Request` and answers with a `Completion`.

What this file does not do: no input or output, no validation beyond types, no import from the rest of the
package. How a record becomes JSON is in `provenance`; how it becomes text is in `transcript`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Source(StrEnum):
    """Who wrote a piece of text; training learns `MODEL` spans only."""

    PROMPT = "prompt"
    MODEL = "model"
    INTERPRETER = "interpreter"


class StopReason(StrEnum):
    """Why a trajectory ended. Every value is the model's doing; our own faults raise instead."""

    ANSWERED = "answered"
    NO_ACTION = "no_action"  # neither code nor a final answer
    CODE_AND_ANSWER = "code_and_answer"  # both in one step; the paper's harness stops here too
    UNCLOSED_CODE = "unclosed_code"  # the completion ended inside a code block
    TOKEN_LIMIT = "token_limit"  # the completion reached max_new_tokens before a step was closed
    STEP_LIMIT = "step_limit"
    CONTEXT_LIMIT = "context_limit"  # the transcript no longer fits the model's window


class ObservationStatus(StrEnum):
    OK = "ok"
    ERROR = "error"  # the snippet raised
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT_LIMIT = "output_limit"
    DIED = "died"  # the snippet ended its own kernel
    LOST = "lost"  # our server or host failed: retried by callers, never graded


class VerdictStatus(StrEnum):
    EQUIVALENT = "equivalent"
    DIFFERENT = "different"
    ANSWER_UNPARSED = "answer_unparsed"
    REFERENCE_UNPARSED = "reference_unparsed"  # never a wrong answer: the problem is left unscored
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Problem:
    """One question with its reference answer. `id` is stable and unique within `source`."""

    id: str
    question: str
    answer: str
    source: str
    split: str
    solution: str | None = None
    level: str | None = None
    subject: str | None = None
    licence: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """What the interpreter answered to one snippet; `seconds` is wall time."""

    output: str
    status: ObservationStatus
    seconds: float = 0.0
    truncated: int = 0  # characters cut from the output, 0 when whole


@dataclass(frozen=True, slots=True)
class Step:
    """One move of a solution: a thought and, unless it is the last, code and its observation."""

    thought: str
    code: str | None = None
    observation: Observation | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the transcript by one author, with the token ids generation saw where they are known."""

    text: str
    source: Source
    token_ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. `temperature` 0 is greedy; `max_new_tokens` bounds one completion."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 512
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One call to an engine: `spans` for a text completion, or `messages` (and `tools`) for chat, never both.

    `seed` is derived from (run seed, problem id, sample index, turn), so order and batching change no draw.
    """

    problem_id: str
    sample_index: int
    turn: int
    sampling: Sampling
    seed: int
    spans: tuple[Span, ...] = ()
    messages: tuple[Mapping[str, Any], ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    stop: tuple[str, ...] = ()


class FinishReason(StrEnum):
    STOP = "stop"  # a stop string or the model's own end token
    LENGTH = "length"  # max_new_tokens
    CONTEXT = "context"  # no room: the prompt alone fills the model's window


@dataclass(frozen=True, slots=True)
class Completion:
    """An engine's answer, cut before the first stop string; `stop` names the one that fired, if any.

    `token_ids` are the ids of `text` followed by those of `stop` (or of the end token), exactly as generated.
    `prompt_ids` are the ids the prompt was read as, one tuple for each span of the request.
    Token counts are None where a server did not report them. `value` is the raw logit of the model's own value head
    after the last of `token_ids`, where it has such a head and was run on exactly these ids.
    """

    text: str
    finish: FinishReason
    stop: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    token_ids: tuple[int, ...] | None = None
    prompt_ids: tuple[tuple[int, ...], ...] | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float = 0.0
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The record of one attempt at one problem.

    `spans` hold the exact text in the inline formats, `messages` the exact conversation in the tool format;
    `steps` are what was parsed from them. `answer` is None unless `stop_reason` is `ANSWERED`. `values` are raw logits
    of the generator's own value head, one for every turn; empty unless it gave all of them.
    """

    problem_id: str
    sample_index: int
    format: str
    model: str
    sampling: Sampling
    steps: tuple[Step, ...]
    stop_reason: StopReason
    answer: str | None = None
    spans: tuple[Span, ...] = ()
    messages: tuple[Mapping[str, Any], ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tags: Mapping[str, Any] = field(default_factory=dict)
    values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Value:
    """What a value model says of one attempt: a raw logit at the end of every turn, the last one of the whole."""

    problem_id: str
    sample_index: int
    logits: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A grader's result; `reference` and `answer` are the canonical texts of what it understood."""

    status: VerdictStatus
    reason: str
    reference: str | None = None
    answer: str | None = None

    @property
    def equivalent(self) -> bool:
        return self.status is VerdictStatus.EQUIVALENT


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that our side could not finish: kept apart, never counted as a wrong answer."""

    problem_id: str
    sample_index: int
    error: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What made an artefact: enough for a stranger to make it again and to see that it is the same."""

    kind: str
    recipe: Mapping[str, Any]
    inputs: Mapping[str, str]  # name -> tagged content hash
    seeds: Mapping[str, int]
    code: Mapping[str, Any]  # version, commit, dirty
    packages: Mapping[str, str]
    hardware: Mapping[str, Any]
    started: str
    seconds: float | None = None
    counts: Mapping[str, Any] = field(default_factory=dict)
