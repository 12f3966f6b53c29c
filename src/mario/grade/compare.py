"""Do two trees denote the same answer? Dispatch by type; values go to `numeric`, sets of reals to `sets`.

The order of the cases is the order of meaning: units, then sets of reals, equations, containers, words, values.
Bare lists, sets and Python lists have no order; tuples and vectors have; every bracket kind is itself.

What it does not do: no reading of text, no status. A `Match` says yes, no or undecided, and why.
"""

from __future__ import annotations

from collections import Counter

from mario.grade.calls import matrix_of
from mario.grade.notations import same_numeral, same_time
from mario.grade.numeric import Match, same_value
from mario.grade.options import Options
from mario.grade.proportion import proportional, same_equation
from mario.grade.sets import NotASet, RealSet, real_set, same_set
from mario.grade.shape import is_name, simple
from mario.grade.tree import (
    Apply,
    Based,
    Clock,
    Constant,
    Interval,
    Mapping,
    Matrix,
    Node,
    Number,
    Option,
    Quantity,
    Ratio,
    Relation,
    Sequence,
    Symbol,
    Text,
    Unparsed,
)

MAX_PAIRS = 2_500  # comparisons in one matching of lists
INEQUALITIES = frozenset({"<", ">", "<=", ">=", "!="})
YES = Match(True, "the same")


def no(reason: str) -> Match:
    return Match(False, reason)


def compare(a: Node, b: Node, options: Options) -> Match:
    """`a` is the reference. Only `[a, b]` against `{a, b}` depends on which is which."""
    if a == b:
        return Match(True, "the same after reading")
    letter_a, letter_b = _letter(a), _letter(b)
    if letter_a and letter_b and (letter_a == letter_b or isinstance(a, Option) or isinstance(b, Option)):
        return Match(letter_a == letter_b, f"choice {letter_a} against {letter_b}")
    if isinstance(a, Quantity) or isinstance(b, Quantity):
        return _quantities(a, b, options)
    if _is_set(a) or _is_set(b):
        return _sets(a, b, options)
    if isinstance(a, Relation | Mapping) or isinstance(b, Relation | Mapping) or _defines(a) or _defines(b):
        return _equations(a, b, options)
    if isinstance(a, Matrix) or isinstance(b, Matrix):
        return _matrices(a, b, options)
    if isinstance(a, Sequence) or isinstance(b, Sequence):
        return _sequences(a, b, options)
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


def _quantities(a: Node, b: Node, options: Options) -> Match:
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        if a.unit == b.unit:
            return compare(a.value, b.value, options)
        if {a.unit, b.unit} == {"deg", "rad"}:
            first = _radians(a.value) if a.unit == "deg" else a.value
            second = _radians(b.value) if b.unit == "deg" else b.value
            return compare(first, second, options)
        return no(f"{a.unit} is not {b.unit}")
    unit = a.unit if isinstance(a, Quantity) else b.unit if isinstance(b, Quantity) else ""
    if isinstance(a, Relation) or isinstance(b, Relation):
        return _equations(a, b, options)
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
    matches = [compare(side(a, change), side(b, change), options) for change in changes]
    best = next((m for m in matches if m.same), matches[0])
    if best.same:
        return Match(True, f"{best.reason}; the unit {unit} stands on one side only")
    return best


def _radians(value: Node) -> Node:
    return Apply("div", (Apply("mul", (value, Constant("pi"))), simple(180)))


# -- sets of reals


def _is_set(node: Node) -> bool:
    match node:
        case Interval() | Constant("RR"):
            return True
        case Relation(ops, _):
            return ops == ("in",) or set(ops) <= INEQUALITIES
        case Apply(head, _):
            return head in ("union", "intersection", "difference", "and", "or", "not")
        case Sequence("", items):
            return bool(items) and all(isinstance(i, Relation) and set(i.ops) <= INEQUALITIES for i in items)
    return False


def _as_set(node: Node) -> RealSet:
    """A list of inequalities is their intersection where they have one, else their union."""
    if isinstance(node, Sequence) and node.kind == "" and _is_set(node):
        both = real_set(Apply("and", node.items))
        return both if both.pieces else real_set(Apply("or", node.items))
    if isinstance(node, Relation) and node.ops == ("=",) and is_name(node.terms[0]):
        return _as_set(node.terms[1])
    return real_set(node)


def _sets(a: Node, b: Node, options: Options) -> Match:
    try:
        return same_set(_as_set(a), _as_set(b), options)
    except NotASet as why:
        reason = str(why)
    x, y = _ends(a), _ends(b)
    if x and y and (isinstance(a, Interval) or isinstance(b, Interval)):
        if (x.low_open, x.high_open) != (y.low_open, y.high_open):
            return no("an end is open on one side and closed on the other")
        return _all([(x.low, y.low), (x.high, y.high)], options)
    for node in (a, b):
        if isinstance(node, Relation) and node.ops == ("in",):
            first = a.terms[1] if isinstance(a, Relation) and a.ops == ("in",) else a
            second = b.terms[1] if isinstance(b, Relation) and b.ops == ("in",) else b
            return compare(first, second, options)
    if isinstance(a, Relation) and isinstance(b, Relation):
        return _inequalities(a, b, options)
    if isinstance(a, Apply) and isinstance(b, Apply) and a.head == b.head and len(a.args) == len(b.args):
        return _unordered(a.args, b.args, options)
    if isinstance(a, Sequence) and isinstance(b, Sequence):
        return _unordered(a.items, b.items, options)
    return no(f"a set against what is none ({reason})")


def _ends(node: Node) -> Interval | None:
    """The interval that a node writes, in whatever order its ends are."""
    match node:
        case Interval():
            return node
        case Sequence("()" | "[]" as kind, (low, high)):
            return Interval(low, high, kind == "()", kind == "()")
    return None


def _inequalities(a: Relation, b: Relation, options: Options) -> Match:
    """One comparison each: equal when one is a positive multiple of the other."""
    if len(a.ops) != 1 or len(b.ops) != 1:
        if a.ops == b.ops:
            return _all(list(zip(a.terms, b.terms, strict=True)), options)
        return no("different chains of comparisons")
    (f, strict_f), (g, strict_g) = _difference(a), _difference(b)
    if strict_f != strict_g:
        return no(f"{a.ops[0]} against {b.ops[0]}")
    return proportional(f, g, positive=strict_f != "!=")


def _difference(node: Relation) -> tuple[Node, str]:
    left, right = node.terms
    op = node.ops[0]
    if op in (">", ">="):
        left, right, op = right, left, op.replace(">", "<")
    return Apply("add", (left, Apply("neg", (right,)))), op


# -- equations


def _definition(node: Node) -> tuple[Node, Node] | None:
    """Name and value of `x = 5`, `5 = x`, `f(x) = ..`; None for any other equation."""
    if not isinstance(node, Relation) or node.ops != ("=",):
        return None
    left, right = node.terms
    if is_name(left):
        return left, right
    if isinstance(right, Symbol) and not isinstance(left, Apply):
        return right, left
    return None


def _defines(node: Node) -> bool:
    return isinstance(node, Sequence) and bool(node.items) and all(_named(item) is not None for item in node.items)


def _named(node: Node) -> list[tuple[Node, Node]] | None:
    """Names and values of one solution: a definition, several of them, or a mapping."""
    definition = _definition(node)
    if definition is not None:
        name, value = definition
        if isinstance(name, Sequence) and isinstance(value, Sequence) and len(name.items) == len(value.items):
            return list(zip(name.items, value.items, strict=True))  # (x, y) = (1, 2)
        return [definition]
    if isinstance(node, Mapping) and all(isinstance(key, Symbol | Text) for key, _ in node.pairs):
        return list(node.pairs)
    if isinstance(node, Sequence) and node.items:
        found = [_definition(item) for item in node.items]
        pairs = [pair for pair in found if pair is not None]
        return pairs if len(pairs) == len(found) else None
    return None


def _equations(a: Node, b: Node, options: Options) -> Match:
    if isinstance(a, Mapping) and isinstance(b, Mapping) and not (_named(a) and _named(b)):
        entries = [tuple(Sequence("()", pair) for pair in node.pairs) for node in (a, b)]
        return _unordered(entries[0], entries[1], options)
    named_a, named_b = _named(a), _named(b)
    if named_a and named_b:
        direct = _by_name(named_a, named_b, options)
        if direct.same or len(named_a) > 1 or len(named_b) > 1:
            return direct
    if isinstance(a, Relation) and isinstance(b, Relation):
        return _two_equations(a, b, options)
    for node, named in ((a, named_a), (b, named_b)):
        if named is None:
            continue
        matches = [
            compare(value if node is a else a, value if node is b else b, options) for value in _plain(named, a, b)
        ]
        best = next((m for m in matches if m.same), matches[0])
        return best if not best.same else Match(True, f"{best.reason}; the name stands on one side only")
    for node in (a, b):
        if isinstance(node, Sequence) and node.items and all(_named(item) for item in node.items):
            # A list of solutions, each with names: compare the values of each.
            values = Sequence(node.kind, tuple(_plain(_named(item) or [], item, item)[0] for item in node.items))
            return compare(values if node is a else a, values if node is b else b, options)
    if isinstance(a, Sequence) and isinstance(b, Sequence):
        return _sequences(a, b, options)
    return no("an equation against what is none")


def _plain(named: list[tuple[Node, Node]], a: Node, b: Node) -> list[Node]:
    """The values without their names: alone, as a bare list, or as a tuple in written and in name order."""
    if len(named) == 1:
        return [named[0][1]]
    values = tuple(value for _, value in named)
    names = [str(name) for name, _ in named]
    if len(set(names)) < len(names):
        return [Sequence("{}", values)]  # solutions for one unknown: a set, never a point
    ordered = tuple(value for _, value in sorted(named, key=lambda pair: str(pair[0])))
    other_is_tuple = any(isinstance(n, Sequence) and n.kind in ("()", "<>") for n in (a, b)) or a is b
    other_is_tuple = other_is_tuple or any(isinstance(n, Matrix) for n in (a, b))
    if other_is_tuple:
        return [Sequence("()", ordered), Sequence("()", values)]
    return [Sequence("", values)]


def _by_name(a: list[tuple[Node, Node]], b: list[tuple[Node, Node]], options: Options) -> Match:
    if len(a) != len(b):
        return no(f"{len(a)} equations against {len(b)}")
    if len(a) == 1:
        (name_a, value_a), (name_b, value_b) = a[0], b[0]
        if _same_name(name_a, name_b):
            return compare(value_a, value_b, options)
        return no(f"another name: {_shown(name_a)} against {_shown(name_b)}")
    left = [Relation(("=",), pair) for pair in a]
    right = [Relation(("=",), pair) for pair in b]
    return _unordered(tuple(left), tuple(right), options)


def _same_name(a: Node, b: Node) -> bool:
    if a == b:
        return True
    calls = [isinstance(n, Apply) and n.head.startswith("?") for n in (a, b)]
    if all(calls):
        return False
    # `f(x) = ..` may be written `y = ..`, and a name in words may be a letter.
    return (any(calls) and Symbol("y") in (a, b)) or isinstance(a, Text) != isinstance(b, Text)


def _shown(node: Node) -> str:
    from mario.grade.render import render

    return render(node)


def _two_equations(a: Relation, b: Relation, options: Options) -> Match:
    if set(a.ops) != {"="} or set(b.ops) != {"="}:
        if a.ops == b.ops:
            return _all(list(zip(a.terms, b.terms, strict=True)), options)
        return no(f"{' '.join(a.ops)} against {' '.join(b.ops)}")
    if len(a.ops) != 1 or len(b.ops) != 1:
        if len(a.ops) == len(b.ops):
            return _all(list(zip(a.terms, b.terms, strict=True)), options)
        return no("chains of equations of different lengths")
    sides = (*a.terms, *b.terms)
    if any(not isinstance(side, Number | Symbol | Constant | Apply) for side in sides):
        return _all(list(zip(a.terms, b.terms, strict=True)), options)
    f = Apply("add", (a.terms[0], Apply("neg", (a.terms[1],))))
    g = Apply("add", (b.terms[0], Apply("neg", (b.terms[1],))))
    match = same_equation(f, g)
    if match.same is None:  # two identities: they agree when their sides do
        return _all(list(zip(a.terms, b.terms, strict=True)), options)
    return match


# -- containers


def _all(pairs: list[tuple[Node, Node]], options: Options) -> Match:
    undecided: Match | None = None
    for x, y in pairs:
        match = compare(x, y, options)
        if match.same is False:
            return match
        if match.same is None:
            undecided = match
    return undecided or Match(True, "the same part by part")


def _matrices(a: Node, b: Node, options: Options) -> Match:
    grids = []
    for node, other in ((a, b), (b, a)):
        if isinstance(node, Matrix):
            grids.append(node)
        elif isinstance(node, Sequence) and node.kind != "{}":
            try:
                grid = matrix_of(node)
            except Unparsed:
                return no("a matrix against a list of another shape")
            if not isinstance(grid, Matrix):
                return no("a matrix against one value")
            if isinstance(other, Matrix) and len(other.rows) == 1 and len(grid.rows[0]) == 1:
                grid = Matrix((tuple(row[0] for row in grid.rows),))
            grids.append(grid)
        else:
            return no("a matrix against what is none")
    left, right = grids
    if (len(left.rows), len(left.rows[0])) != (len(right.rows), len(right.rows[0])):
        return no("matrices of different shapes")
    cells = [(x, y) for r, s in zip(left.rows, right.rows, strict=True) for x, y in zip(r, s, strict=True)]
    return _all(cells, options)


def _sequences(a: Node, b: Node, options: Options) -> Match:
    if not isinstance(a, Sequence) or not isinstance(b, Sequence):
        return no("several values against one")
    kinds = {a.kind, b.kind}
    if not a.items or not b.items:
        empty = not a.items and not b.items and kinds <= {"{}", "[]", ""}
        return Match(empty, "both are empty" if empty else "an empty set against one with members")
    if "()" in kinds or "<>" in kinds:
        if kinds == {"()", ""} and not options.bare_list_as_tuple:
            return no("a tuple against a list")
        if (kinds == {"()", "[]"} and not options.tuple_as_list) or "{}" in kinds:
            return no("brackets of different kinds")
        if len(a.items) != len(b.items):
            return no(f"{len(a.items)} entries against {len(b.items)}")
        return _all(list(zip(a.items, b.items, strict=True)), options)
    if all(isinstance(item, Sequence) and item.kind == "()" for item in (*a.items, *b.items)):
        # Points are solutions: one given twice is given once. Numbers keep their multiplicity (2, 2, 3 is not 2, 3).
        return _unordered(tuple(dict.fromkeys(a.items)), tuple(dict.fromkeys(b.items)), options)
    if a.kind == "[]" and b.kind == "{}" and len(a.items) == 2 and _ascending(a):
        return no("an interval against a set of two values")
    return _unordered(a.items, b.items, options)


def _ascending(node: Sequence) -> bool:
    try:
        return bool(real_set(node).pieces)
    except NotASet:
        return False


def _unordered(a: tuple[Node, ...], b: tuple[Node, ...], options: Options) -> Match:
    """Every member of one has its own partner in the other (bipartite matching, in case rounding allows two)."""
    if len(a) != len(b):
        return no(f"{len(a)} values against {len(b)}")
    if len(a) * len(b) > MAX_PAIRS:
        a, b = _without_common(a, b)
        if len(a) * len(b) > MAX_PAIRS:
            return Match(None, f"more than {MAX_PAIRS} comparisons")
    undecided = False
    edges: list[list[int]] = []
    for x in a:
        row: list[int] = []
        for j, y in enumerate(b):
            match = compare(x, y, options)
            undecided = undecided or match.same is None
            if match.same:
                row.append(j)
        if not row:
            return Match(None, "a member could not be decided") if undecided else no(f"no partner for {_shown(x)}")
        edges.append(row)
    partner: dict[int, int] = {}

    def place(i: int, seen: set[int]) -> bool:
        for j in edges[i]:
            if j not in seen:
                seen.add(j)
                if j not in partner or place(partner[j], seen):
                    partner[j] = i
                    return True
        return False

    if all(place(i, set()) for i in range(len(a))):
        return Match(True, "the same members")
    return Match(None if undecided else False, "a member occurs more often on one side")


def _without_common(a: tuple[Node, ...], b: tuple[Node, ...]) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """Two long lists without the members that read the same in both."""
    names = Counter(_shown(x) for x in a), Counter(_shown(y) for y in b)
    common = names[0] & names[1]
    rests = []
    for items in (a, b):
        left = Counter(common)
        rest = []
        for item in items:
            if left[_shown(item)]:
                left[_shown(item)] -= 1
            else:
                rest.append(item)
        rests.append(tuple(rest))
    return rests[0], rests[1]


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
    return _all([(p, q) for p, q in pairs], options)
