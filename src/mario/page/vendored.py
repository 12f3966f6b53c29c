"""The vendored browser libraries and our own style and script, as text to inline or as files to serve.

One idea: what lies in `assets/` is byte for byte what its authors published (`assets/VERSIONS` has the sums), and
every change needed to inline it is made here, when it is read. What this module does not do: it builds no page.
"""

from __future__ import annotations

import base64
import functools
import re
from dataclasses import dataclass
from importlib.resources import files as package_files
from importlib.resources.abc import Traversable
from typing import Literal

Library = Literal["katex", "highlight", "plotly"]
LIBRARIES: tuple[Library, ...] = ("katex", "highlight", "plotly")
SERVED = (*LIBRARIES, "htmx")  # htmx is of use only where there is a server

_HERE = package_files("mario.page")
_SCRIPTS: dict[Library, str] = {
    "katex": "katex/katex.min.js",
    "highlight": "highlight/highlight.min.js",
    "plotly": "plotly/plotly-basic.min.js",
}
_FONT = re.compile(r"src:url\((fonts/[\w-]+\.woff2)\)[^;}]*")


@dataclass(frozen=True, slots=True)
class Inlined:
    """A library ready for one document: script text with its licence in front, and style text, perhaps empty."""

    script: str
    style: str


@functools.cache
def inlined(library: Library) -> Inlined:
    """Read one library for inlining; KaTeX's fonts become data URIs."""
    script = _SCRIPTS[library]
    licence = (_asset(library) / "LICENSE").read_text("utf-8").replace("*/", "* /")
    style = _katex_style() if library == "katex" else ""
    return Inlined(f"/*! {library}\n{licence}*/\n{_asset(script).read_text('utf-8')}", style)


def own(name: Literal["base.css", "show.js"]) -> str:
    """Our own style sheet or script."""
    return (_HERE / name).read_text("utf-8")


def files() -> dict[str, Traversable]:
    """Every file a served page may ask for, by its name in a URL, such as `katex/katex.min.css`."""
    found: dict[str, Traversable] = {"base.css": _HERE / "base.css", "show.js": _HERE / "show.js"}
    for library in SERVED:
        for path in _walk(_asset(library), library):
            found[path[0]] = path[1]
    return found


def _asset(name: str) -> Traversable:
    return _HERE.joinpath("assets", *name.split("/"))


def _walk(folder: Traversable, name: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for entry in folder.iterdir():
        here = f"{name}/{entry.name}"
        found += _walk(entry, here) if entry.is_dir() else [(here, entry)]
    return sorted(found, key=lambda pair: pair[0])


def _katex_style() -> str:
    """The style sheet with each woff2 font in place; the older font formats, which we do not ship, are dropped."""

    def embed(match: re.Match[str]) -> str:
        font = base64.b64encode(_asset(f"katex/{match[1]}").read_bytes()).decode()
        return f'src:url(data:font/woff2;base64,{font}) format("woff2")'

    return _FONT.sub(embed, _asset("katex/katex.min.css").read_text("utf-8"))
