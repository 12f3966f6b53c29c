"""One attempt at one problem, as a pure state machine.

It asks for `Generate` or `Execute` and is fed the answer; it touches neither engine nor interpreter. So a thousand
attempts batch freely, a slow program never stalls its neighbours, and every branch is testable without a model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mario.errors import UsageError
from mario.provenance import derive_seed
from mario.recipe import unknown_key
from mario.transcript import FORMATS, Answer, Context, Demonstration, Format, Malformed, RunCode
from mario.types import Completion, Observation, Problem, Request, Sampling, Step, StopReason, Trajectory


@dataclass(frozen=True, slots=True)
class SolveConfig:
    """How problems are attempted.

    format: inline (the paper's, with code), text (without code, ours), tools (native tool calls), react (the paper's
        prompt for teachers, as a conversation) or react-text (the same, for engines that continue a text)
    samples: attempts a problem
    greedy_first: sample 0 is greedy, whatever the temperature of the others
    temperature: 0 is greedy
    top_p: nucleus share
    max_new_tokens: bound of one turn
    max_steps: turns that may run code; the paper's harness allows 8
    seed: of the run; each draw is seeded by (seed, problem id, sample index, turn)
    concurrency: attempts in flight at once
    """

    format: str = "inline"
    samples: int = 1
    greedy_first: bool = False
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 512
    max_steps: int = 8
    seed: int = 0
    concurrency: int = 64

    def __post_init__(self) -> None:
        for name in ("samples", "max_new_tokens", "max_steps", "concurrency"):
            if getattr(self, name) < 1:
                raise UsageError(f"solve.{name} must be a positive integer, got {getattr(self, name)}")
        if not 0 <= self.temperature <= 5:
            raise UsageError(f"solve.temperature must be from 0 to 5, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"solve.top_p must be above 0 and at most 1, got {self.top_p}")
        if self.format not in FORMATS:
            raise UsageError(f"solve.format: {unknown_key(self.format, FORMATS, 'format')}")
        if self.samples > 1 and self.temperature == 0:
            raise UsageError(
                f"solve.samples = {self.samples} at temperature 0 would draw the same answer {self.samples} times; "
                "set solve.temperature, for example 0.7"
            )

    def sampling(self, sample_index: int) -> Sampling:
        if self.greedy_first and sample_index == 0:
            return Sampling(0.0, 1.0, self.max_new_tokens, self.seed)
        return Sampling(self.temperature, self.top_p, self.max_new_tokens, self.seed)


@dataclass(frozen=True, slots=True)
class Generate:
    request: Request


@dataclass(frozen=True, slots=True)
class Execute:
    code: str
    turn: int


@dataclass(frozen=True, slots=True)
class Finished:
    trajectory: Trajectory


Action = Generate | Execute | Finished


@dataclass(frozen=True, slots=True)
class Rollout:
    """The state of one attempt. `pending` is code that waits for its observation."""

    problem: Problem
    sample_index: int
    model: str
    config: SolveConfig
    format: Format
    context: Context
    steps: tuple[Step, ...] = ()
    pending: RunCode | None = None
    stop_reason: StopReason | None = None
    answer: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    values: tuple[float | None, ...] = ()

    @property
    def turn(self) -> int:
        return len(self.steps)

    def next(self) -> Action:
        """What this attempt waits for."""
        if self.stop_reason is not None:
            return Finished(self._trajectory(self.stop_reason))
        if self.pending is not None:
            return Execute(self.pending.code, self.turn)
        return Generate(
            Request(
                problem_id=self.problem.id,
                sample_index=self.sample_index,
                turn=self.turn,
                sampling=self.config.sampling(self.sample_index),
                seed=derive_seed(self.config.seed, self.problem.id, self.sample_index, self.turn),
                spans=self.context.spans,
                messages=self.context.messages,
                tools=self.format.tools,
                stop=self.format.stop,
            )
        )

    def completed(self, completion: Completion) -> Rollout:
        """The state after the engine's answer."""
        move = self.format.read(completion)
        after = replace(
            self,
            context=self.format.add_completion(self.context, completion),
            prompt_tokens=self.prompt_tokens + (completion.prompt_tokens or 0),
            completion_tokens=self.completion_tokens + (completion.completion_tokens or 0),
            values=(*self.values, completion.value),
        )
        match move:
            case RunCode(thought, code):
                if self.turn >= self.config.max_steps:
                    last = Step(thought, code)
                    return replace(after, steps=(*self.steps, last), stop_reason=StopReason.STEP_LIMIT)
                return replace(after, pending=move)
            case Answer(thought, answer):
                done = replace(after, steps=(*self.steps, Step(thought)), answer=answer)
                return replace(done, stop_reason=StopReason.ANSWERED)
            case Malformed(thought, reason):
                return replace(after, steps=(*self.steps, Step(thought)), stop_reason=reason)

    def observed(self, observation: Observation) -> Rollout:
        """The state after the interpreter's answer."""
        if self.pending is None:
            raise ValueError("an observation came, but no code is pending")
        step = Step(self.pending.thought, self.pending.code, observation)
        context = self.format.add_observation(self.context, observation)
        return replace(self, context=context, steps=(*self.steps, step), pending=None)

    def _trajectory(self, reason: StopReason) -> Trajectory:
        values = tuple(value for value in self.values if value is not None)
        return Trajectory(
            problem_id=self.problem.id,
            sample_index=self.sample_index,
            format=self.format.name,
            model=self.model,
            sampling=self.config.sampling(self.sample_index),
            steps=self.steps,
            stop_reason=reason,
            answer=self.answer,
            spans=self.context.spans,
            messages=self.context.messages,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            values=values if len(values) == len(self.values) else (),
        )


def start(
    problem: Problem,
    sample_index: int,
    model: str,
    config: SolveConfig,
    format: Format,
    demonstrations: tuple[Demonstration, ...] = (),
) -> Rollout:
    context = format.start(problem.question, demonstrations)
    return Rollout(problem, sample_index, model, config, format, context)
