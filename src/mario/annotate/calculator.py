"""The keyless teacher: GSM8K's own worked solutions, turned into tool-integrated trajectories by machine.

It is an engine like any other, so the one rollout loop runs its code in the sandbox and the grader judges what comes
out. Its first turn is a thought and a program made from the reference solution's arithmetic; its second reads
the program's output and gives that as the answer. It never sees the reference answer at that point: a program that
prints a wrong number makes a wrong trajectory, which verification drops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mario.data.calculator import Conversion, Refusal, RefusalReason, convert
from mario.engine.protocol import TextListener
from mario.transcript import Context, Format
from mario.types import Completion, FinishReason, Problem, Request, Step


class CalculatorTeacher:
    """Knows the problems that `offer` let through until it has taught them, once each."""

    def __init__(self, format: Format) -> None:
        self._format = format
        self._known: dict[str, Conversion] = {}

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
                self._known[problem.id] = made
                yield problem

    def _writable(self, made: Conversion) -> bool:
        try:
            self._format.render("", (_first_step(made, self._format.name),), None)
        except ValueError:
            return False
        return True

    async def generate(self, request: Request, on_text: TextListener | None = None) -> Completion:
        completion = self._turn(request)
        if on_text:
            on_text(completion.text)
        return completion

    def _turn(self, request: Request) -> Completion:
        if self._format.name == "text":
            made = self._known.pop(request.problem_id)
            return self._written(request, (Step(made.text_thought),), made.output)
        if request.turn == 0:
            made = self._known.pop(request.problem_id)
            return self._written(request, (Step(made.thought, made.code),), None)
        steps, _ = self._format.parse(Context(spans=request.spans, messages=request.messages))
        observation = steps[-1].observation
        output = observation.output.strip() if observation else ""
        return self._written(request, (Step(f"The answer is {output}."),), output)

    def _written(self, request: Request, steps: tuple[Step, ...], answer: str | None) -> Completion:
        """One turn in the format at hand, cut as an engine would cut it."""
        context = self._format.render("", steps, answer)
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


def _first_step(made: Conversion, format: str) -> Step:
    return Step(made.text_thought) if format == "text" else Step(made.thought, made.code)
