"""One self-contained HTML document: everything inlined, nothing fetched, nothing run that we did not write.

Three defences, each enough alone. Text is escaped: templates by jinja2, data as JSON in which no `<` is left. The
content security policy allows the scripts of this very document, by hash, and no network at all: markup that slipped
through could not run. And `show.js` puts text on the page as text nodes only.

What this module does not do: it reads no records and writes no files.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from mario.page.vendored import Library, inlined, own

# In a script element these would end it or change how it is read; in a string or a regular expression, the only
# places they stand in code that is not hostile, \x3C means the same. https://html.spec.whatwg.org/#restrictions-for-contents-of-script-elements
_SCRIPT_DANGER = re.compile(r"<(?=!--|/?script)", re.IGNORECASE)
_STYLE_DANGER = re.compile(r"</style", re.IGNORECASE)

_DOCUMENT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
{styles}
</head>
<body>
{body}
{data}
{scripts}
</body>
</html>
"""


def document(
    title: str,
    body: Markup,
    *,
    libraries: Sequence[Library] = (),
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    data: Mapping[str, Any] | None = None,
) -> str:
    """A whole page as text, encodable in UTF-8 whatever was in it.

    `body` is markup already escaped (from `render`); `styles` and `scripts` are our own code, run after `show.js`;
    `data` are JSON values by the id of the element that will hold them.

    Raises:
        ValueError: `data` holds a NaN or an infinity, which JSON does not have.
    """
    parts = [inlined(library) for library in libraries]
    style_texts = [*(part.style for part in parts if part.style), own("base.css"), *styles]
    script_texts = [_script_text(text) for text in [*(part.script for part in parts), own("show.js"), *scripts]]
    page = _DOCUMENT.format(
        policy=_policy(script_texts),
        title=escape(title),
        styles="\n".join(f"<style>{_style_text(text)}</style>" for text in style_texts),
        body=body,
        data="\n".join(json_block(name, value) for name, value in (data or {}).items()),
        scripts="\n".join(f"<script>{text}</script>" for text in script_texts),
    )
    # A lone surrogate in a model's text cannot be encoded; as \udXXX it stays readable, and is right in JSON too.
    return page.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\ufffd")


def json_block(name: str, value: Any) -> Markup:
    """A script element of type JSON that no text inside can close or escape from."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return Markup('<script type="application/json" id="{}">{}</script>').format(name, Markup(text))


def render(package: str, template: str, **values: Any) -> Markup:
    """Fill the template of that name in a package's folder; every value is escaped unless it is `Markup` already."""
    return Markup(_environment(package).get_template(template).render(**values))


@functools.cache
def _environment(package: str) -> Environment:
    return Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _policy(scripts: Sequence[str]) -> str:
    # Styles stay 'unsafe-inline': plotly and KaTeX set them element by element, and without a network a style can do
    # no more than look wrong.
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; font-src data:; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _script_text(text: str) -> str:
    return _SCRIPT_DANGER.sub(r"\\x3C", text.replace("\r\n", "\n"))


def _style_text(text: str) -> str:
    if _STYLE_DANGER.search(text):
        raise ValueError("a style sheet contains '</style'; styles of a page are our own code, never data")
    return text
