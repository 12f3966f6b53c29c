"""The preview as one page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from mario.page import document, render
from mario.train.preview import REFUSALS_SHOWN, Preview, visible

KINDS = {
    "trained": "trained: what the model learns to write",
    "output": "interpreter's output: read, never learnt",
    "prompt": "prompt: read, never learnt",
}


def page(previews: Sequence[Preview], model: str) -> str:
    given = {"previews": previews, "model": model, "kinds": KINDS, "visible": visible, "most": REFUSALS_SHOWN}
    body = render("mario.train", "preview.html.j2", **given)
    style = files("mario.train").joinpath("preview.css").read_text("utf-8")
    return document(f"Training preview · {model}", body, styles=[style])
