"""What names mean: functions, constants, Greek letters, units, number words, Unicode look-alikes.

One table for LaTeX commands, SymPy names and plain words, so that `\\arcsin`, `asin` and `arcsin` are one head.
What this file does not do: nothing here looks at context; the parser decides whether `m` is a metre.
"""

from __future__ import annotations


def words(text: str) -> list[str]:
    return text.split()


FUNCTIONS: dict[str, str] = {
    name: name
    for name in words(
        "sin cos tan cot sec csc sinh cosh tanh coth sech csch asin acos atan acot asec acsc asinh acosh "
        "atanh acoth exp log ln lg abs floor ceil factorial gamma gcd lcm max min re im arg conjugate sign "
        "det erf phi_of sqrt cbrt root binom mod deg rad"
    )
} | {
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arccot": "acot",
    "arcsec": "asec",
    "arccsc": "acsc",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "arsinh": "asinh",
    "arcosh": "acosh",
    "artanh": "atanh",
    "tg": "tan",
    "ctg": "cot",
    "cosec": "csc",
    "Abs": "abs",
    "ceiling": "ceil",
    "binomial": "binom",
    "nCr": "binom",
    "comb": "binom",
    "Mod": "mod",
    "Max": "max",
    "Min": "min",
    "sgn": "sign",
    "Re": "re",
    "Im": "im",
    "real_root": "root",
    "Pow": "pow",
    "Add": "add",
    "Mul": "mul",
}
del FUNCTIONS["phi_of"], FUNCTIONS["deg"], FUNCTIONS["rad"]

# Plain letter runs that are split when one letter is glued on: sinx, cotx, lnx.
GLUED = ("sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "sqrt")

# Heads that a Python print writes as calls and that are not functions of numbers.
CALLS: dict[str, str] = {
    "Fraction": "fraction",
    "Rational": "fraction",
    "Integer": "wrap",
    "Float": "wrap",
    "Decimal": "wrap",
    "mpf": "wrap",
    "mpq": "fraction",
    "mpz": "wrap",
    "int": "wrap",
    "float": "wrap",
    "complex": "complex",
    "mpc": "complex",
    "float64": "wrap",
    "float32": "wrap",
    "int64": "wrap",
    "int32": "wrap",
    "array": "matrix",
    "tensor": "matrix",
    "Matrix": "matrix",
    "ImmutableMatrix": "matrix",
    "ImmutableDenseMatrix": "matrix",
    "MutableDenseMatrix": "matrix",
    "Eq": "=",
    "Ne": "!=",
    "Unequality": "!=",
    "Lt": "<",
    "Le": "<=",
    "Gt": ">",
    "Ge": ">=",
    "And": "and",
    "Or": "or",
    "Not": "not",
    "Interval": "interval",
    "Interval.open": "interval()",
    "Interval.Lopen": "interval(]",
    "Interval.Ropen": "interval[)",
    "Union": "union",
    "Intersection": "intersection",
    "Complement": "difference",
    "Contains": "in",
    "FiniteSet": "set",
    "set": "set",
    "frozenset": "set",
    "list": "list",
    "tuple": "tuple",
    "Tuple": "tuple",
    "Point": "tuple",
    "Point2D": "tuple",
    "Point3D": "tuple",
    "Sum": "sum",
    "Product": "product",
    "Integral": "integral",
    "Limit": "limit",
    "Derivative": "derivative",
    "Piecewise": "piecewise",
    "Poly": "polynomial",
}

CONSTANTS: dict[str, str] = {
    "pi": "pi",
    "Pi": "pi",
    "infty": "oo",
    "infinity": "oo",
    "Infinity": "oo",
    "inf": "oo",
    "oo": "oo",
    "zoo": "nan",
    "nan": "nan",
    "NaN": "nan",
    "exponentialE": "e",
    "GoldenRatio": "phi",
    "Reals": "RR",
    "Integers": "ZZ",
    "Rationals": "QQ",
    "Naturals": "NN",
    "Complexes": "CC",
    "emptyset": "empty",
    "varnothing": "empty",
    "oslash": "empty",
    "EmptySet": "empty",
}

GREEK = frozenset(
    words(
        "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho "
        "sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma Upsilon Phi Psi Omega "
        "ell hbar"
    )
)

# LaTeX commands that only say how things look: read past.
LOOKS = frozenset(
    words(
        "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr middle displaystyle "
        "textstyle scriptstyle limits nolimits quad qquad hspace vspace thinspace enspace bf rm it sf tt "
        "hfill hline rule normalsize large Large small tiny strut phantom cr"
    )
)
WORDY = frozenset(words("text textbf textit textrm texttt textsf textnormal mbox hbox emph textup textsc"))
FONTS = frozenset(words("mathrm mathbf mathit mathsf mathcal mathtt mathscr mathfrak boldsymbol bm operatorname pmb"))
ACCENTS = frozenset(words("overline vec hat bar overrightarrow widehat tilde underline dot ddot overleftrightarrow"))

RELATIONS: dict[str, str] = {
    "=": "=",
    "==": "=",
    "=>": ">=",
    "=<": "<=",
    "<": "<",
    ">": ">",
    "<=": "<=",
    ">=": ">=",
    "!=": "!=",
    "lt": "<",
    "gt": ">",
    "le": "<=",
    "leq": "<=",
    "leqslant": "<=",
    "leqq": "<=",
    "ge": ">=",
    "geq": ">=",
    "geqslant": ">=",
    "geqq": ">=",
    "ne": "!=",
    "neq": "!=",
    "approx": "~",
    "thickapprox": "~",
    "simeq": "~",
    "in": "in",
    "equiv": "equiv",
    "cong": "equiv",
    "sim": "sim",
    "to": "to",
    "rightarrow": "to",
    "->": "to",
    "mapsto": "to",
    "parallel": "parallel",
    "perp": "perp",
    "subset": "subset",
    "subseteq": "subseteq",
    "propto": "propto",
}

UNICODE = {
    "−": "-",
    "–": "-",
    "—": "-",
    "‐": "-",
    "‑": "-",
    "﹣": "-",
    "×": "\\times ",
    "·": "\\cdot ",
    "⋅": "\\cdot ",
    "∙": "\\cdot ",
    "÷": "\\div ",
    "∕": "/",
    "⁄": "/",
    "≤": "\\le ",
    "≦": "\\le ",
    "⩽": "\\le ",
    "≥": "\\ge ",
    "≧": "\\ge ",
    "⩾": "\\ge ",
    "≠": "\\ne ",
    "≈": "\\approx ",
    "∞": "\\infty ",
    "∪": "\\cup ",
    "∩": "\\cap ",
    "∈": "\\in ",
    "∅": "\\emptyset ",
    "∖": "\\setminus ",
    "±": "\\pm ",
    "∓": "\\mp ",
    "√": "\\sqrt ",
    "∛": "\\sqrt[3] ",
    "∜": "\\sqrt[4] ",
    "°": "^\\circ ",
    "º": "^\\circ ",
    "∠": "\\angle ",
    "△": "\\triangle ",
    "ℝ": "\\mathbb{R}",
    "ℤ": "\\mathbb{Z}",
    "ℚ": "\\mathbb{Q}",
    "ℕ": "\\mathbb{N}",
    "ℂ": "\\mathbb{C}",
    "∑": "\\sum ",
    "∏": "\\prod ",
    "∫": "\\int ",
    "→": "\\to ",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "′": "'",
    "″": "''",
    "\u00a0": " ",
    "\u2009": " ",
    "\u202f": " ",
    "\u2003": " ",
    "\u3000": " ",
    "\u200b": "",
    "\u200c": "",
    "\u200d": "",
    "\u2060": "",
    "\ufeff": "",
    "，": ",",
    "：": ":",
    "；": ";",
    "（": "(",
    "）": ")",
    "％": "%",
    "＝": "=",
    "½": " 1/2",
    "⅓": " 1/3",
    "⅔": " 2/3",
    "¼": " 1/4",
    "¾": " 3/4",
    "⅕": " 1/5",
    "⅖": " 2/5",
    "⅗": " 3/5",
    "⅘": " 4/5",
    "⅙": " 1/6",
    "⅚": " 5/6",
    "⅛": " 1/8",
    "⅜": " 3/8",
    "⅝": " 5/8",
    "⅞": " 7/8",
} | {
    letter: f"\\{name} "
    for letter, name in zip(
        "αβγδεζηθικλμνξρστυφχψωΓΔΘΛΞΣΦΨΩ",
        words(
            "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi "
            "chi psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega"
        ),
        strict=True,
    )
}
UNICODE["π"] = "\\pi "
UNICODE |= {chr(0xFF10 + i): str(i) for i in range(10)}
SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-", strict=True))

NUMBER_WORDS = {
    word: value
    for value, word in enumerate(
        words(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
            "sixteen seventeen eighteen nineteen twenty"
        )
    )
} | {
    word: 10 * value
    for value, word in enumerate(words("thirty forty fifty sixty seventy eighty ninety hundred"), start=3)
}
PART_WORDS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7}
PART_WORDS |= {"eighth": 8, "ninth": 9, "tenth": 10, "twelfth": 12, "hundredth": 100}
PART_WORDS |= {f"{word}s": value for word, value in PART_WORDS.items() if word not in ("half", "halves")}
SCALE_WORDS = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}

CONNECTIVES = frozenset({"and", "or"})
# Words that are read as signs and numbers, even inside `\\text{..}`.
SPOKEN = CONNECTIVES | {"percent", "pi", "infinity", "per"} | SCALE_WORDS.keys()
# Words that make a phrase more than "number and unit".
PROSE = frozenset(
    words(
        "is are was the it i you we that this to be not no less more than over under greater at times plus "
        "minus of if when then so because there for with without by from answer"
    )
)
