"""What a problem says against its own reference, without any model: its solution worked again, and its question.

One idea: a rule observes and says what it saw in a sentence; how much that is worth is decided elsewhere (`score`),
from counts. So each rule stays simple, and one that fires often on right labels costs little.

What this module does not do: run anything (arithmetic is read into exact trees, never evaluated as code), understand a
question, or weigh.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from mario.data.calculator.arithmetic import Operation, Unreadable, decimal_text, evaluate, leaves, without_percent
from mario.data.calculator.mentions import find_mentions
from mario.data.calculator.notation import Token, parse, tokenize
from mario.data.calculator.question import question_values
from mario.data.calculator.read import read_steps, strip_annotations
from mario.data.calculator.teacher import Refusal, read_program
from mario.data.readers import find_boxed
from mario.grade import grade
from mario.labels.formula import formula_of
from mario.labels.plausible import number_of
from mario.labels.readings import inverted_percentage, other_half_of_the_day
from mario.types import Problem, VerdictStatus

_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|-?\.\d+")
_MOST_LINES, _MOST_TOKENS, _MOST_PIECES = 60, 40, 40  # of one solution; longer ones are read in part
# "How many" of these may well be a fraction.
_DIVISIBLE = re.compile(
    r"\b(hours?|minutes?|seconds?|days?|weeks?|months?|years?|dollars?|cents?|pounds?|ounces?|grams?|kilograms?|kg|miles?"
    r"|feet|foot|inch(?:es)?|yards?|meters?|metres?|kilomet\w+|km|cm|gallons?|lit(?:er|re)s?|cups?|quarts?|pints?"
    r"|(?:table|tea)spoons?|acres?|degrees?|percent|times|tons?|points?|calories|square|cubic|units?|money|kwh?|mph)\b",
    re.IGNORECASE,
)
CONTRADICTIONS = frozenset({"boxed", "chain", "last_line"})  # the solution gives another answer than the reference
_WORDS = re.split(" ", "zero one two three four five six seven eight nine ten eleven twelve")
_HOW_MANY = re.compile(r"how many((?:\s+[\w'’-]+){1,4})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation. `rule` names it; `answer` is the value it speaks for, if it names one."""

    rule: str
    says: str
    answer: str | None = None


def find_faults(problem: Problem) -> list[Finding]:
    """Everything the rules see; pure, and linear in the length of the problem."""
    found = [*_formula_rule(problem), *_question_rules(problem)]
    if not problem.solution:
        return found
    boxed = find_boxed(problem.solution)
    if boxed:
        return found + list(_box_rules(problem, boxed)) + list(_latex_rules(problem.solution))
    return found + list(_story_rules(problem, problem.solution))


def _formula_rule(problem: Problem) -> Iterator[Finding]:
    if (formula := formula_of(problem.question)) is None:
        return
    status = grade(problem.answer, formula).status
    if status is VerdictStatus.EQUIVALENT:
        yield Finding("formula_holds", f"the question asks for a formula's value, and {problem.answer} is its value")
    elif status is VerdictStatus.DIFFERENT:
        yield Finding("formula", f"the question asks for the value of {formula}, and {problem.answer} is another one")


def _question_rules(problem: Problem) -> Iterator[Finding]:
    value = number_of(problem.answer)
    if value is None:
        return
    asked = _HOW_MANY.findall(problem.question)
    counted = bool(asked) and not _DIVISIBLE.search(asked[-1])
    if counted and value.denominator != 1:
        yield Finding("integrality", f"the question asks how many{asked[-1]}, and {problem.answer} is no whole number")
    if counted and value < 0:
        yield Finding("bounds", f"the question asks how many{asked[-1]}, and {problem.answer} is negative")
    if re.search(r"\bprobability\b", problem.question, re.IGNORECASE) and "%" not in problem.answer:
        tail = problem.question.lower().rpartition("probability")[2]
        if not 0 <= value <= 1 and not re.search(r"percent|express|form|m\s*\+\s*n|a\s*\+\s*b", tail):
            yield Finding("bounds", f"the question asks for a probability, and {problem.answer} is none")


def _box_rules(problem: Problem, boxed: Sequence[str]) -> Iterator[Finding]:
    status = grade(problem.answer, boxed[-1]).status
    if status is VerdictStatus.DIFFERENT and not any(grade(problem.answer, box).equivalent for box in boxed):
        yield Finding("boxed", "the solution boxes another answer than the reference", boxed[-1])
    different = [box for box in boxed[:-1] if grade(boxed[-1], box).status is VerdictStatus.DIFFERENT]
    if different and status is VerdictStatus.EQUIVALENT:
        whole = ", ".join(dict.fromkeys(boxed))
        yield Finding("boxes", f"the solution boxes {len(boxed)} values and the reference has the last only", whole)


def _latex_rules(solution: str) -> Iterator[Finding]:
    r"""Chains of numbers in formulas, `3 \cdot 4 = 12`: neighbours that the grader finds different."""
    pieces = 0
    for formula in re.findall(r"\$\$?(.+?)\$\$?|\\\[(.+?)\\\]", solution, re.DOTALL):
        text = formula[0] or formula[1]
        text = re.sub(r"\\(?:boxed|fbox)\s*\{(.*)\}", r"\1", text)
        if len(text) > 400 or re.search(
            r"\\(?:begin|text|mod|pmod|equiv|approx|ne|le|ge|Right|right[aA]rrow|ldots|dots)\b", text
        ):
            continue
        parts = [re.sub(r"^[\s&\\]+|[\s&\\.,;]+$", "", part) for part in text.split("=")]
        for left, right in pairwise(parts):
            if not (_is_numeric(left) and _is_numeric(right)):
                continue
            pieces += 1
            if pieces > _MOST_PIECES:
                return
            if grade(left, right).status is VerdictStatus.DIFFERENT:
                yield Finding("arithmetic", f"the solution claims {left} = {right}, which does not hold")


def _is_numeric(text: str) -> bool:
    """Numbers and arithmetic only, so that both sides have one value."""
    plain = re.sub(r"\\(?:[dt]?frac|sqrt|cdot|times|left|right|div|pi|,|!|;)", "", text)
    shown = re.fullmatch(r"[\d\s+\-*/^(){}!]*\d[\d\s+\-*/^(){}!]*", plain)  # no decimals: they are rounded
    return shown is not None and len(text) < 120 and not re.search(r"\^\d\d|\^\S+\^|[-+*/^({]$|\n", text)


def _story_rules(problem: Problem, solution: str) -> Iterator[Finding]:
    """A solution in words: does its last line give the reference, do its equations hold, whose are its numbers?"""
    reference = number_of(problem.answer)
    lines = [line for line in strip_annotations(solution).splitlines() if re.search(r"\d", line)][:_MOST_LINES]
    if reference is None or not lines:
        return
    false = [claim for line in lines for claim in _false_claims(line)]
    for claim in false:
        value = decimal_text(claim.value) or str(claim.value)
        if _alike(reference, claim.value) and not _alike(reference, claim.claimed):
            yield Finding(
                "slip_in_text", f"{claim.text} does not hold; done right it gives the reference, {value}", value
            )
        else:
            yield Finding("arithmetic", f"the solution claims {claim.text}; it is {value}", value)
    yield from _last_line(reference, lines, solution)
    text = strip_annotations(solution)
    for rule, reading in (("clock", other_half_of_the_day), ("inverted", inverted_percentage)):
        if says := reading(problem.question, text):
            yield Finding(rule, says)
    yield from _origin_rules(problem, solution)


def _last_line(reference: Fraction, lines: Sequence[str], solution: str) -> Iterator[Finding]:
    steps = read_steps(solution)
    said = lines[-1].partition("=")[2] or lines[-1]  # what stands before it went in, and did not come out
    last = _values(said)
    if any(_alike(reference, value) for value in last) or _spelled(reference) in lines[-1].lower():
        return
    result = steps[-1].value if steps and steps[-1].line >= solution.count("\n") else (last[-1] if last else None)
    shown = (decimal_text(result) or str(result)) if result is not None else None
    if any(_alike(reference, value) for line in lines for value in _values(line)):
        yield Finding("last_line", "the reference stands in the solution, but not in its last line", shown)
    else:
        yield Finding(
            "chain",
            "the reference stands nowhere in its own solution" + (f", which ends in {shown}" if shown else ""),
            shown,
        )


def _values(line: str) -> list[Fraction]:
    line = re.sub(r"(?<=\d) (?=\d{3}\b)", "", line)
    found = [Fraction(text.replace(",", "")) for text in _NUMBER.findall(line)]
    found += [Fraction(int(a), int(b)) for a, b in re.findall(r"(\d{1,9})\s*/\s*(\d{1,9})", line) if int(b)]
    found += [
        int(n) + Fraction(int(a), int(b)) for n, a, b in re.findall(r"(\d{1,9})[ -](\d{1,4})/(\d{1,4})", line) if int(b)
    ]
    return found


def _alike(reference: Fraction, value: Fraction) -> bool:
    """Equal, up to a sign that is a dash and up to hundredths (percent, cents)."""
    return abs(value) in (abs(reference), abs(reference) / 100, abs(reference) * 100) or (
        value.denominator > 1 and reference.denominator == 1 and abs(value - reference) < 1
    )


def _spelled(value: Fraction) -> str:
    return _WORDS[int(value)] if value.denominator == 1 and 0 <= value <= 12 else "\0"


@dataclass(frozen=True, slots=True)
class _Claim:
    text: str
    claimed: Fraction
    value: Fraction


def _false_claims(line: str) -> Iterator[_Claim]:
    """Plain equations `a op b = c` of a line that hold in no reading, not even rounded."""
    tokens = tokenize(line)
    for at, token in enumerate(tokens):
        if token.kind != "equals" or at + 1 >= len(tokens) or tokens[at + 1].kind != "number":
            continue
        after = tokens[at + 2] if at + 2 < len(tokens) else None
        if after is not None and (after.kind in ("operator", "open", "equals") or after.text in (",", ".", "/", "of")):
            continue  # the number is only the first of another calculation
        if after is not None and (after.kind == "number" or (after.kind == "word" and after.at == tokens[at + 1].end)):
            continue  # a mixed number, or a coefficient
        if any(_is_letter(tokens, i) for i in range(max(0, at - _MOST_TOKENS), min(at + 3, len(tokens)))):
            continue  # an equation with an unknown is no claim about numbers
        claimed = evaluate(without_percent(parse(tokens[at + 1 : at + 2])))
        values = list(_readings(tokens[max(0, at - _MOST_TOKENS) : at]))
        if values and not any(_holds(value, claimed) for _, value in values):
            start, value = values[0]
            if (
                tokens[max(0, at - _MOST_TOKENS) + start - 1].kind in ("equals", "number", "close", "operator")
                and start
            ):
                continue  # what stands before belongs to it, in a way we cannot read
            begin = tokens[max(0, at - _MOST_TOKENS) + start].at
            yield _Claim(" ".join(line[begin : tokens[at + 1].end].split()), claimed, value)


def _is_letter(tokens: Sequence[Token], at: int) -> bool:
    token = tokens[at]
    if token.kind != "word":
        return False
    return (len(token.text) == 1 and token.text != "a") or (at > 0 and tokens[at - 1].end == token.at)


def _readings(tokens: Sequence[Token]) -> Iterator[tuple[int, Fraction]]:
    """Values of every calculation that ends here, the longest first, with each sense of percent signs and slashes."""
    for start in range(len(tokens)):
        if tokens[start].kind not in ("number", "open") or (start and tokens[start - 1].kind == "equals"):
            continue
        for tight in (False, True):
            try:
                tree = parse(list(tokens[start:]), tight_fractions=tight)
                if isinstance(tree, Operation):
                    yield start, evaluate(tree)
                    yield start, evaluate(without_percent(tree))
            except Unreadable:
                break


def _holds(value: Fraction, claimed: Fraction) -> bool:
    scale = max(Fraction(1), abs(claimed) / 50)
    return any(
        abs(value * factor - claimed) < scale for factor in (1, 100, Fraction(1, 100), -1, 1000, Fraction(1, 1000))
    )


def _origin_rules(problem: Problem, solution: str) -> Iterator[Finding]:
    """Numbers of the solution that nothing explains, results it drops, and numbers of the question it does not use."""
    program = read_program(problem)
    if isinstance(program, Refusal) or not (unexplained := program.doubts[1]):
        return
    known = question_values(problem.question)
    derived = {a + 1 for a in known} | {a - 1 for a in known} | {1 - a for a in known}
    derived |= {(100 + a) for a in known} | {(100 + a) / 100 for a in known} | {(100 - a) / 100 for a in known}
    derived |= {100 - a for a in known} | {a * 60 for a in known} | {1 / a for a in known if a}
    chance = {a + b for a in known for b in known} | {a * b for a in known for b in known}
    strange = [text for text in unexplained if number_of(text) not in derived]
    if not strange:
        return
    used = question_values(strip_annotations(solution))
    unused = [m.text for m in find_mentions(problem.question) if m.is_numeral and not m.values & used]
    operands = {leaf.value for line in program.lines for leaf in leaves(line.tree)}
    dropped = [line.step.value for line in program.lines[:-1] if line.step.value not in operands]
    if dropped:
        shown = decimal_text(dropped[0]) or str(dropped[0])
        yield Finding("dropped", f"the solution works out {shown}, never uses it, and goes on with {strange[0]}")
    if unused:
        yield Finding(
            "misread",
            f"the solution computes with {strange[0]}, which nothing explains, never with the question's {unused[0]}",
        )
    if not (dropped or unused) and number_of(strange[0]) not in chance:
        yield Finding("origin", f"the solution computes with {strange[0]}, which nothing explains")
