"""Do two trees denote the same answer? Dispatch by type to `regions`, `equations`, `containers`, `numeric`.

The order of the cases is the order of meaning: units, then sets of reals, equations, containers, words, values.

What it does not do: no reading of text, no status. A `Match` says yes, no or undecided, and why.
"""

from __future__ import annotations

from mario.grade.containers import Same, part_by_part, same_matrix, same_sequence
from mario.grade.equations import defines, same_equations
from mario.grade.notations import same_numeral, same_time
from mario.grade.numeric import Match, no, same_value
from mario.grade.options import Options
from mario.grade.regions import is_set, same_as_sets
from mario.grade.shape import simple
from mario.grade.tree import (
    Apply,
    Based,
    Clock,
    Constant,
    Mapping,
    Matrix,
    Node,
    Option,
    Quantity,
    Ratio,
    Relation,
    Sequence,
    Symbol,
    Text,
)


def compare(a: Node, b: Node, options: Options) -> Match:
    """`a` is the reference. Only `[a, b]` against `{a, b}` depends on which is which."""
    if a == b:
        return Match(True, "the same after reading")
    letter_a, letter_b = _letter(a), _letter(b)
    if letter_a and letter_b and (letter_a == letter_b or isinstance(a, Option) or isinstance(b, Option)):
        return Match(letter_a == letter_b, f"choice {letter_a} against {letter_b}")

    def same(x: Node, y: Node) -> Match:
        return compare(x, y, options)

    if isinstance(a, Quantity) or isinstance(b, Quantity):
        return _quantities(a, b, options, same)
    if is_set(a) or is_set(b):
        return same_as_sets(a, b, options, same)
    if isinstance(a, Relation | Mapping) or isinstance(b, Relation | Mapping) or defines(a) or defines(b):
        return same_equations(a, b, options, same)
    if isinstance(a, Matrix) or isinstance(b, Matrix):
        return same_matrix(a, b, same)
    if isinstance(a, Sequence) or isinstance(b, Sequence):
        return same_sequence(a, b, options, same)
    if isinstance(a, Text | Option) or isinstance(b, Text | Option):
        return _texts(a, b, options)
    if isinstance(a, Clock) or isinstance(b, Clock):
        return same_time(a, b)
    if isinstance(a, Ratio) or isinstance(b, Ratio):
        return _ratios(a, b, options)
    if isinstance(a, Based) or isinstance(b, Based):
        return same_numeral(a, b)
    return same_value(a, b, options)


def _letter(node: Node) -> str:
    match node:
        case Option(letter):
            return letter
        case Symbol(name) | Constant(name) if len(name) == 1:
            return name.upper()
        case Text((word,)) if len(word) == 1:
            return word.upper()
    return ""


# -- units


def _quantities(a: Node, b: Node, options: Options, same: Same) -> Match:
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        if a.unit == b.unit:
            return same(a.value, b.value)
        if {a.unit, b.unit} == {"deg", "rad"}:
            first = _radians(a.value) if a.unit == "deg" else a.value
            second = _radians(b.value) if b.unit == "deg" else b.value
            return same(first, second)
        return no(f"{a.unit} is not {b.unit}")
    unit = a.unit if isinstance(a, Quantity) else b.unit if isinstance(b, Quantity) else ""
    if isinstance(a, Relation) or isinstance(b, Relation):
        return same_equations(a, b, options, same)
    if isinstance(a, Text) or isinstance(b, Text):
        return no("a quantity against words")

    def side(node: Node, change: str) -> Node:
        if not isinstance(node, Quantity):
            return node
        value = node.value
        return _radians(value) if change == "rad" else Apply("div", (value, simple(100))) if change == "pct" else value

    changes = ["", "rad"] if unit == "deg" and options.degrees_as_radians else [""]
    if unit == "pct":
        changes = ["pct", ""] if options.percent_sign else ["pct"]
    elif unit != "deg" and not options.missing_unit:
        return no(f"the unit {unit} stands on one side only")
    matches = [same(side(a, change), side(b, change)) for change in changes]
    best = next((m for m in matches if m.same), matches[0])
    if best.same:
        return Match(True, f"{best.reason}; the unit {unit} stands on one side only")
    return best


def _radians(value: Node) -> Node:
    return Apply("div", (Apply("mul", (value, Constant("pi"))), simple(180)))


# -- words and numerals


def _texts(a: Node, b: Node, options: Options) -> Match:
    if isinstance(a, Text) and isinstance(b, Text):
        if "".join(a.words) == "".join(b.words):
            return Match(True, "the same words")
        return no(f"{' '.join(a.words)!r} is not {' '.join(b.words)!r}")
    for text, other in ((a, b), (b, a)):
        if isinstance(text, Text) and isinstance(other, Apply | Symbol) and len(text.words) == 1:
            word = text.words[0]
            if 2 <= len(word) <= 3 and word.isalpha():
                letters: tuple[Node, ...] = tuple(Constant(c) if c in "ei" else Symbol(c) for c in word)
                return same_value(Apply("mul", letters), other, options)
            if isinstance(other, Symbol):
                return Match(
                    word == other.name.lower(), "the same word" if word == other.name.lower() else "other words"
                )
    return no("words against a value")


def _ratios(a: Node, b: Node, options: Options) -> Match:
    x = a.parts if isinstance(a, Ratio) else ()
    y = b.parts if isinstance(b, Ratio) else ()
    if not x or not y:
        parts = x or y
        if len(parts) != 2:
            return no("a ratio against one value")
        quotient = Apply("div", (parts[0], parts[1]))
        return same_value(quotient, b, options) if x else same_value(a, quotient, options)
    if len(x) != len(y):
        return no("ratios of different lengths")
    pairs = [(Apply("mul", (p, y[0])), Apply("mul", (q, x[0]))) for p, q in zip(x[1:], y[1:], strict=True)]
    return part_by_part(pairs, lambda p, q: same_value(p, q, options))
