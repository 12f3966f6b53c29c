r"""A question that is a formula: "Compute $3 \cdot 4 + 5$." Its value is the answer, and the grader can tell.

One idea: the grader already decides whether two answers are one value, and a formula to compute is an answer that has
not been worked out. Only a question that says nothing else is read so.

What this module does not do: solve equations, or read a formula with an unknown that the question explains.
"""

from __future__ import annotations

import re

_VERB = (
    r"(?:compute|evaluate|simplify|expand|calculate|find|what is|determine)"
    r"(?: the (?:exact |numerical )?(?:value|sum|product|quotient|result)(?: of)?)?(?: the (?:following )?expression)?"
)
_ASKED = re.compile(
    rf"^\s*{_VERB}[:,]?\s*(?:\$\$?(?P<inline>[^$]+)\$\$?|\\\[(?P<display>.+?)\\\])\s*[.?]?\s*"
    r"(?:(?:express|write|give|simplify) (?:your|the) answer\b.*)?$",
    re.IGNORECASE | re.DOTALL,
)
# Signs that the value is wanted in another form, or that there is more to it.
_OTHER = re.compile(r"=|\bbase\b|mod\b|\\[lcd]?dots[mbc]?\b|nearest|decimal|percent|[<>]|\\[lg]e\b", re.IGNORECASE)
_LONGEST = 600


def formula_of(question: str) -> str | None:
    """The formula whose value is all that the question asks for, if that is so."""
    if len(question) > _LONGEST or _OTHER.search(question):
        return None
    found = _ASKED.match(question)
    if found is None:
        return None
    formula = (found["inline"] or found["display"]).strip().rstrip(".,?")
    return formula if re.search(r"\d.*[-+*/^{\\]|[{\\^].*\d", formula, re.DOTALL) else None
