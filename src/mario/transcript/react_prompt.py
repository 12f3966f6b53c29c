"""What opens a ReAct conversation: the rules and two demonstrations, in our own words, not the paper's."""

from __future__ import annotations

from mario.transcript.moves import Demonstration
from mario.types import Observation, ObservationStatus, Step

FINAL = "Final Answer:"
RULES = f"""\
You are good at mathematics and at Python, and you know that you slip in mental arithmetic. Solve the question below \
in the form of the examples.

Rules:
1. Work in small steps. Each step is a thought, then either code to run or the final answer.
2. Leave every exact calculation, with numbers or with symbols, to the code. math, sympy, numpy and scipy are there.
3. Names and imports of earlier steps are still there. Print what you need to see; the value of a last expression is \
shown too.
4. After the code, stop: the observation will be given to you. Never write an observation yourself.
5. Close with a thought and one line: {FINAL} followed by the answer alone, between dollar signs."""

SHOTS = (
    Demonstration(
        "A baker sells rolls at 40 cents and loaves at 3 dollars. On Monday she sold 55 rolls and twice as many loaves "
        "as on Sunday, when she sold 7. How many dollars did she take on Monday?",
        (
            Step(
                "On Monday she sold 2 * 7 loaves. I add what the rolls and the loaves brought, in dollars.",
                "rolls = 55 * 40 / 100\nloaves = 2 * 7 * 3\nprint(rolls + loaves)",
                Observation("64.0", ObservationStatus.OK),
            ),
            Step("The rolls brought 22 dollars and the loaves 42, together 64."),
        ),
        "64",
    ),
    Demonstration(
        "The sum of two numbers is 11 and the sum of their squares is 73. What is the larger one?",
        (
            Step(
                "I call the numbers x and y and solve both equations with sympy.",
                "from sympy import symbols, solve\nx, y = symbols('x y')\n"
                "pairs = solve([x + y - 11, x**2 + y**2 - 73], [x, y])\nprint(pairs)",
                Observation("[(3, 8), (8, 3)]", ObservationStatus.OK),
            ),
            Step(
                "The pairs are the same two numbers in either order. I check the squares and take the larger one.",
                "print(3**2 + 8**2)\nmax(pairs[0])",
                Observation("73\n8", ObservationStatus.OK),
            ),
            Step("The check holds, so the larger number is 8."),
        ),
        "8",
    ),
)
