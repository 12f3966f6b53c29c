"""The keyless teacher: GSM8K's own worked solutions, turned into tool-integrated trajectories by machine.

It is an engine like any other, so the one rollout loop runs its code in the sandbox and the grader judges what comes
out. Its first turn is a thought and a program made from the reference solution's arithmetic; its second reads
the program's output and gives that as the answer. It never sees the reference answer at that point: a program that
prints a wrong number makes a wrong trajectory, which verification drops.

Sample i of a problem is its program in shape i (`data/calculator/programs.py`): several samples, several programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from mario.data.calculator import SHAPES, Conversion, Refusal, RefusalReason, convert
from mario.engine.protocol import TextListener
from mario.errors import UsageError
from mario.solve import SolveConfig
from mario.transcript import Context, Format
from mario.types import Completion, FinishReason, Problem, Request, Step


@dataclass(frozen=True, slots=True)
class CalculatorConfig:
    """The teacher that needs no model.

    thoughts: say in words what will be computed; without them an attempt is a program and the answer it printed
    """

    thoughts: bool = True

    def check(self, solve: SolveConfig) -> None:
        """Raises:
        UsageError: attempts are asked for that this teacher cannot write.
        """
        shapes = 1 if solve.format == "text" else SHAPES
        if solve.samples > shapes:
            many = "one text" if shapes == 1 else f"{shapes} different programs"
            raise UsageError(
                f"the calculator teacher has {many} a problem, got solve.samples = {solve.samples}; "
                f"set solve.samples = {shapes}"
            )
        if solve.format == "text" and not self.thoughts:
            raise UsageError('solve.format = "text" is nothing but thoughts; leave out calculator.thoughts = false')


class CalculatorTeacher:
    """Knows the problems that `offer` let through until it has taught them, `samples` times each."""

    def __init__(self, format: Format, config: CalculatorConfig, samples: int) -> None:
        self._format = format
        self._thoughts = config.thoughts
        self._samples = samples
        self._known: dict[str, tuple[Conversion, set[int]]] = {}  # with the sample indices still to be taught

    @property
    def name(self) -> str:
        return "calculator-2"  # raise it when a conversion changes, so that journals do not mix

    def offer(self, problems: Iterable[Problem], refuse: Callable[[Problem, Refusal], None]) -> Iterator[Problem]:
        """Let through the problems that convert; tell of the others."""
        for problem in problems:
            made = convert(problem)
            if isinstance(made, Conversion) and not self._writable(made):
                made = Refusal(problem.id, RefusalReason.NOT_WRITABLE, "the solution holds words of the markup")
            if isinstance(made, Refusal):
                refuse(problem, made)
            else:
                self._known[problem.id] = made, set(range(self._samples))
                yield problem

    def _writable(self, made: Conversion) -> bool:
        try:
            self._format.render("", (self._first_step(made, 0),), None)
        except ValueError:
            return False
        return True

    async def generate(self, request: Request, on_text: TextListener | None = None) -> Completion:
        completion = self._turn(request)
        if on_text:
            on_text(completion.text)
        return completion

    def _turn(self, request: Request) -> Completion:
        if request.turn == 0:
            made = self._recall(request)
            answer = made.output if self._format.name == "text" else None
            return self._written(request, self._first_step(made, request.sample_index), answer)
        steps, _ = self._format.parse(Context(spans=request.spans, messages=request.messages))
        observation = steps[-1].observation
        output = observation.output.strip() if observation else ""
        return self._written(request, Step(f"The answer is {output}." if self._thoughts else ""), output)

    def _recall(self, request: Request) -> Conversion:
        made, left = self._known[request.problem_id]
        left.discard(request.sample_index)
        if not left:
            del self._known[request.problem_id]
        return made

    def _first_step(self, made: Conversion, sample_index: int) -> Step:
        if self._format.name == "text":
            return Step(made.text_thought)
        return Step(made.thought if self._thoughts else "", made.programs[sample_index])

    def _written(self, request: Request, step: Step, answer: str | None) -> Completion:
        """One turn in the format at hand, cut as an engine would cut it."""
        context = self._format.render("", (step,), answer)
        if context.messages:
            turn = context.messages[-1]
            return Completion(turn["content"], FinishReason.STOP, tool_calls=tuple(turn.get("tool_calls", ())))
        text = context.spans[-1].text
        for stop in request.stop:
            if text.endswith(stop):
                return Completion(text.removesuffix(stop), FinishReason.STOP, stop)
        return Completion(text, FinishReason.STOP)

    async def close(self) -> None:
        self._known.clear()
