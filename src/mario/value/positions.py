"""Where in a trajectory a value is taken: at the last token of every turn of the model, the last one being the whole's.

One idea: a value speaks of a prefix, and the prefixes worth comparing are those after which the model waits, for the
interpreter or for a judgement. An answer's last token is its end token.

What this module does not do: it knows no markup and no tokenizer; which tokens there are is `engine.rows`.
"""

from __future__ import annotations

from mario.engine.rows import Written
from mario.types import Source
from mario.value.checkpoint import Positions


def places(row: Written, positions: Positions) -> tuple[int, ...]:
    """Places in `row.input_ids` at which a head of this kind learns; its values are read at `step_ends` in any case."""
    if positions != "token":
        return step_ends(row) if positions == "step" else step_ends(row)[-1:]
    sources = [span.source for span, ids in zip(row.spans, row.ids, strict=True) for _ in ids]
    sources += [Source.MODEL] * len(row.end)
    return tuple(place for place, source in enumerate(sources) if source is Source.MODEL)


def step_ends(row: Written) -> tuple[int, ...]:
    """Places in `row.input_ids`, rising, never empty: the last token of every run of spans by the model.

    What a chat template writes after the model's last token is no prefix of its own. Where the interpreter had the
    last word (the window was full) its last token stands for the turn that never came.
    """
    places: list[int] = []
    length, last = 0, Source.PROMPT
    for span, ids in zip(row.spans, row.ids, strict=True):
        if ids:
            if span.source is Source.MODEL and last is Source.MODEL:
                places.pop()
            length += len(ids)
            if span.source is Source.MODEL:
                places.append(length - 1)
        last = span.source
    if row.end:
        length += len(row.end)
        places[-1:] = [length - 1]
    elif last is Source.INTERPRETER or not places:
        places.append(length - 1)
    return tuple(places)
