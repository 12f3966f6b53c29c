"""The steps of a written solution: every calculation it states, annotated (`<<48/2=24>>`) or in plain text.

The one idea: a calculation is believed only when it is true. An annotation or a plain `a * b = c` becomes a `Step` when
its left side, evaluated exactly, is its right side; a plain equation that an annotation covers is the same step.
Where a letter gets a value (`x = 9`), the first linear equation in that letter which this value solves is the step.
What does not hold, or states no operation (`<<9=9>>`), gives no step: a number from nowhere must not enter a program.

What this module does not do: it names nothing and looks for no origins (`teacher.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from mario.data.calculator.arithmetic import Number, Operation, Tree, Unreadable, Variable, evaluate, without_percent
from mario.data.calculator.equations import UNKNOWN, solve
from mario.data.calculator.notation import Token, parse, to_number, tokenize

_ANNOTATION = re.compile(r"<<([^<>]*)>>")
_WEAK_EQUALS = {"is", "are", "was", "equals", "equal", "gives", "makes", "leaves", "or"}
_FILLERS = {"to", "a", "total", "of", "about", "only", "just", "exactly", "us", "you"}
MAX_TOKENS = 60  # of an expression; a bound on the search for where it starts


@dataclass(frozen=True, slots=True)
class Step:
    """One true calculation. `value` is what it claims, in percent points where `percent`.

    `text` is its line without annotations; the calculation and its result stand at text[start:end].
    """

    tree: Tree
    value: Fraction
    percent: bool
    annotated: bool
    line: int
    text: str
    start: int
    end: int
    unknown: str | None = None  # the letter that this step solves for


@dataclass(frozen=True, slots=True)
class _Claim:
    value: Fraction
    percent: bool
    at: int
    end: int


def strip_annotations(solution: str) -> str:
    """The solution as a person reads it: without annotations and without the final `#### x`."""
    return _ANNOTATION.sub("", solution.partition("####")[0]).strip()


def plain_lines(solution: str) -> list[str]:
    """The lines that steps refer to, without annotations."""
    return [_split_annotations(line)[0] for line in solution.partition("####")[0].splitlines()]


def read_steps(solution: str) -> list[Step]:
    """All calculations of a solution in their order."""
    lines = [_split_annotations(line) for line in solution.partition("####")[0].splitlines()]
    letters = sorted({letter for text, _ in lines for letter in find_unknowns(text)})
    unknowns = _Unknowns({}, {letter: [] for letter in letters})
    return [step for number, (text, found) in enumerate(lines) for step in _line_steps(number, text, found, unknowns)]


@dataclass(frozen=True, slots=True)
class _Unknowns:
    """The letters of a solution: those with a value, and the equations seen so far of each."""

    solved: dict[str, Variable]
    equations: dict[str, list[Tree]]

    @property
    def symbols(self) -> dict[str, Tree | None]:
        return {letter: self.solved.get(letter) for letter in self.equations}


def _line_steps(number: int, text: str, annotations: list[tuple[int, str]], unknowns: _Unknowns) -> list[Step]:
    tokens = tokenize(text)
    plain = _plain_steps(number, text, tokens, unknowns)
    solved = _solve_steps(number, text, tokens, unknowns)  # after: a letter has its value from the next line on
    steps: list[Step] = []
    for at, annotation in annotations:
        covered = [step for step in plain if _covers(step, at)]
        plain = [step for step in plain if step not in covered]
        annotated = _annotated_step(number, text, at, annotation, covered)
        if annotated is None:
            steps += covered
        elif not any(annotated.start <= step.end <= annotated.end and step.value == annotated.value for step in plain):
            steps.append(annotated)  # in "1/4 * 12 = 12/4 = 3" the second is the first again
    steps = [_bound_to_letter(step, unknowns) for step in sorted(steps + plain, key=lambda step: step.end)]
    return sorted(steps + solved, key=lambda step: step.end)


def _bound_to_letter(step: Step, unknowns: _Unknowns) -> Step:
    """`x = 160 / 2 = 80`: the step gives the letter its value."""
    found = re.search(r"(?:^|[^\w*/+^-])\s*([A-Za-z])\s*=[\s$£€]*$", step.text[: step.start])
    letter = found.group(1) if found else ""
    if letter not in unknowns.equations or letter in unknowns.solved:
        return step
    unknowns.solved[letter] = Variable(letter, step.value)
    return replace(step, unknown=letter)


def _split_annotations(line: str) -> tuple[str, list[tuple[int, str]]]:
    """The line without its annotations, and each annotation with the place where its number now stands."""
    text, found, last = "", [], 0
    for match in _ANNOTATION.finditer(line):
        text += line[last : match.start()]
        found.append((len(text), match.group(1)))
        last = match.end()
    return text + line[last:], found


def _covers(step: Step, at: int) -> bool:
    claim = step.text[at : step.end]
    return step.start < at <= step.end and re.fullmatch(r"[\s$£€]*-?[\d.,/% ]*", claim) is not None


def _annotated_step(number: int, text: str, at: int, annotation: str, covered: list[Step]) -> Step | None:
    left, _, right = annotation.rpartition("=")
    try:
        tree, claim = parse(tokenize(left)), parse(tokenize(right))
        if not isinstance(tree, Operation):
            return None
        found = _match(tree, _Claim(evaluate(without_percent(claim)), "%" in right, at, at))
    except Unreadable:
        return None
    if found is None:
        return None
    written = re.match(r"[\s$£€]*-?[\d.,]*\d", text[at:])
    end = at + (written.end() if written else 0)
    start = covered[0].start if covered else _expression_start(text, at)
    return Step(found[0], found[1], found[2], True, number, text, start, end)


def _expression_start(text: str, at: int) -> int:
    """Where the symbols directly before an annotation begin, when the plain text could not be read."""
    symbols = re.search(r"[-+*/x×÷=().,%$\d\s]*$", text[:at])
    return symbols.start() if symbols else at


def _match(tree: Tree, claim: _Claim) -> tuple[Tree, Fraction, bool] | None:
    """The reading of the percent signs that makes the claim true, if any: a unit, or hundredths."""
    plain = without_percent(tree)
    if evaluate(plain) == claim.value:
        return plain, claim.value, claim.percent
    if evaluate(tree) == claim.value and not claim.percent:
        return tree, claim.value, False
    if claim.percent and evaluate(tree) * 100 == claim.value:
        return Operation("*", tree, Number(Fraction(100))), claim.value, True
    return None


def find_unknowns(text: str) -> set[str]:
    """The single letters that stand in equations: `x = 5`, `2x`, `(x + 3)`, "Let y be"."""
    found = re.findall(r"(?:^|[\s\d=+*(\"“,:;-])([A-Za-z])\s*[”\"]?\s*(?==)", text)
    found += re.findall(r"=\s*([A-Za-z])(?=[.,\s]|$)", text)
    found += re.findall(r"\b[Ll]et(?:['’]s \w+)?\s+[\"“]?([A-Za-z])[\"”]?\s+(?:be|represent|stand|equal)", text)
    return set(found) - {"I"}


def _solve_steps(number: int, text: str, tokens: list[Token], unknowns: _Unknowns) -> list[Step]:
    """Remember this line's equations; where a letter is given its value, the step that computes it."""
    steps = []
    for at, token in enumerate(tokens):
        if token.kind != "equals":
            continue
        for letter, equations in unknowns.equations.items():
            if letter in unknowns.solved:
                continue
            claim = _letter_claim(tokens, at, letter)
            solution = next((tree for tree in equations if claim and evaluate(tree) == claim.value), None)
            if claim is not None and solution is not None and isinstance(solution, Operation):
                unknowns.solved[letter] = Variable(letter, claim.value)
                steps.append(Step(solution, claim.value, False, False, number, text, token.at, claim.end, letter))
            elif letter not in unknowns.solved:
                equations += _equation(tokens, at, letter, unknowns)
    return steps


def _letter_claim(tokens: list[Token], at: int, letter: str) -> _Claim | None:
    """The number in `x = 9` or `9 = x` around the equals sign at `at`, unless the letter has a coefficient there."""
    before, after = tokens[max(0, at - 2) : at], tokens[at + 1 : at + 3]
    if before and before[-1].text == letter and (len(before) == 1 or before[0].kind in ("word", "break", "close")):
        claims = [claim for claim in _claims(tokens, at + 1) if not _goes_on(tokens, claim)]
        return claims[0] if claims else None
    if len(before) and before[-1].kind == "number" and after and after[0].text == letter:
        alone = len(before) == 1 or before[0].kind in ("word", "break")
        ends = len(after) == 1 or after[1].kind in ("word", "break")
        if alone and ends:
            return _Claim(to_number(before[-1].text), False, before[-1].at, after[0].end)
    return None


def _goes_on(tokens: list[Token], claim: _Claim) -> bool:
    """Whether the claimed number is only the first of another calculation (`x = 160/2`)."""
    after = next((token for token in tokens if token.at >= claim.end), None)
    return after is not None and after.kind in ("operator", "equals", "open")


def _equation(tokens: list[Token], at: int, letter: str, unknowns: _Unknowns) -> list[Tree]:
    """What the equation around the equals sign at `at` makes of the letter, if it is linear in it alone."""
    symbols = unknowns.symbols | {letter: UNKNOWN}
    left, right = _longest(tokens[:at], symbols, from_end=True), _longest(tokens[at + 1 :], symbols, from_end=False)
    if left is None or right is None:
        return []
    try:
        tree = solve(left, right)
        evaluate(tree)
    except Unreadable:
        return []
    return [tree]


def _longest(tokens: list[Token], symbols: Mapping[str, Tree | None], *, from_end: bool) -> Tree | None:
    """The longest expression that ends (or begins) at the edge of the tokens."""
    for size in range(min(len(tokens), MAX_TOKENS), 0, -1):
        taken = tokens[-size:] if from_end else tokens[:size]
        if taken[0].kind == "word" and taken[0].text not in symbols:
            continue
        try:
            return parse(taken, symbols)
        except Unreadable:
            continue
    return None


def _plain_steps(number: int, text: str, tokens: list[Token], unknowns: _Unknowns) -> list[Step]:
    steps: list[Step] = []
    for at, token in enumerate(tokens):
        if token.kind == "equals" or token.text.lower() in _WEAK_EQUALS:
            since = steps[-1].end if steps else 0
            step = _plain_step(number, text, tokens, at, unknowns.symbols, since)
            restates = step and steps and step.start <= steps[-1].end and step.value == steps[-1].value
            if step is not None and not restates:  # "24/8 * 2 = 3 * 2 = 6" states one calculation, and then 6 again
                steps.append(step)
    return steps


def _plain_step(
    number: int, text: str, tokens: list[Token], at: int, symbols: Mapping[str, Tree | None], since: int
) -> Step | None:
    """The calculation that the equals sign at `at` closes; what stands before `since` belongs to another one."""
    for claim in _claims(tokens, at + 1):
        found = _expression(tokens, at, claim, symbols)
        while found and found.start and tokens[found.start - 1].kind == "equals" and tokens[found.start - 1].at > since:
            earlier = _expression(tokens, found.start - 1, claim, symbols)  # "24/8 * 2 = 3 * 2 = 6": the first one
            if earlier is None:
                break
            found = earlier
        if found is not None:
            tree, value, percent = found.match
            return Step(tree, value, percent, False, number, text, tokens[found.start].at, claim.end)
    return None


@dataclass(frozen=True, slots=True)
class _Expression:
    start: int  # the index of its first token
    match: tuple[Tree, Fraction, bool]


def _expression(tokens: list[Token], end: int, claim: _Claim, symbols: Mapping[str, Tree | None]) -> _Expression | None:
    """The longest calculation that ends before token `end` and has the claimed value."""
    for start in range(max(0, end - MAX_TOKENS), end - 1):
        first = tokens[start]
        if first.kind not in ("number", "open") and first.text != "-" and first.text not in symbols:
            continue
        for tight in (False, True):
            try:
                tree = parse(tokens[start:end], symbols, tight_fractions=tight)
                match = _match(tree, claim) if isinstance(tree, Operation) else None
            except Unreadable:
                break
            if match is not None:
                return _Expression(start, match)
    return None


def _claims(tokens: list[Token], at: int) -> list[_Claim]:
    """What may be claimed right after an equals sign, longest first: `1 1/2`, `3/4`, `20%`, `24`."""
    while at < len(tokens) and tokens[at].text.lower() in _FILLERS:
        at += 1
    claims = []
    for size in (5, 4, 3, 2, 1):
        taken = tokens[at : at + size]
        if len(taken) < size or taken[0].kind not in ("number", "operator") or any(t.kind == "word" for t in taken):
            continue
        try:
            tree = parse(taken)
        except Unreadable:
            continue
        if isinstance(tree, Operation) and (len(taken) != 3 or tree.operator != "/"):
            continue  # a claim is a number or a fraction, not another calculation
        percent = taken[-1].kind == "percent"
        claims.append(_Claim(evaluate(without_percent(tree)), percent, taken[0].at, taken[-1].end))
    return claims
