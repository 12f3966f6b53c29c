"""The thought before a program: the solution's own sentences, with nothing in them that is not yet computed.

The one idea: say what will be calculated, and leave the calculating to the interpreter. A calculation keeps its left
side, written with the program's variables, and loses its result; a result that a later sentence repeats becomes the
variable's name. `She sold 48/2 = 24 clips in May.` becomes `She sold 48/2 clips in May.`

What this module does not do: it chooses no variable and no origin (`names.py`, `origins.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from mario.data.calculator.arithmetic import to_python
from mario.data.calculator.notation import to_number
from mario.data.calculator.origins import Line
from mario.data.calculator.read import plain_lines

_NUMBER = re.compile(r"[$£€]?\s?(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)%?")


def write_thought(lines: Sequence[Line], solution: str, known: frozenset[Fraction]) -> str:
    """The sentences up to the last line of the program; `known` are the values that the question mentions."""
    sentences: list[str] = []
    done: list[Line] = []
    for number, text in enumerate(plain_lines(solution)):
        if number > lines[-1].step.line:
            break
        here = sorted((line for line in lines if line.step.line == number), key=lambda line: line.step.start)
        sentence, at = "", 0
        for line in here:
            sentence += _without_results(text[at : line.step.start], done, known)
            if line.step.start >= at:
                solved = "=" if text[line.step.start] == "=" else ""  # a letter that an equation solved
                sentence += solved + to_python(line.tree).replace(" ", "")
            at = max(at, line.step.end)
            done.append(line)
        sentence += _without_results(text[at:], done, known)
        sentences.append(re.sub(r"[ \t]+", " ", sentence).strip())
    return "\n".join(filter(None, sentences))


def _without_results(text: str, done: Sequence[Line], known: frozenset[Fraction]) -> str:
    """The text with every number that only an earlier result can be replaced by that result's name."""
    names = {line.step.value: line.variable.name for line in done}

    def name(match: re.Match[str]) -> str:
        value = to_number(match["number"])
        if value in known or value not in names:
            return match.group()
        blank = " " if match.group()[0].isspace() else ""
        said = names[value].replace("_", " ")  # "those 23 vehicles" are "those vehicles", not "those vehicles vehicles"
        return blank if text[match.end() :].lstrip().startswith(said) else blank + names[value]

    return _NUMBER.sub(name, text)
