"""Pages stand alone and show what others wrote as text: what can be checked without a browser.

`test_report_browser.py` checks the same promises where they count, in Chromium.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import Markup

import mario.page
from mario.page import LIBRARIES, document, files, json_block
from mario.page.vendored import inlined

ASSETS = Path(mario.page.__file__).parent / "assets"


class Elements(HTMLParser):
    """Start tags with their attributes, and the text of each script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._script: tuple[dict[str, str | None], list[str]] | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self._script = (dict(attrs), [])

    def handle_data(self, data: str) -> None:
        if self._script:
            self._script[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "script" and self._script:
            self.scripts.append((self._script[0], "".join(self._script[1])))
            self._script = None


def test_vendored_files_are_the_published_ones() -> None:
    lines = [line.split() for line in (ASSETS / "VERSIONS").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 20
    for digest, name in lines:
        assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == digest, name
    present = {str(path.relative_to(ASSETS)) for path in ASSETS.rglob("*") if path.is_file()} - {"VERSIONS"}
    assert present == {name for _, name in lines}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_inlined_with_its_licence(library: str) -> None:
    assert (ASSETS / library / "LICENSE").read_text().split("\n")[2] in inlined(library).script  # type: ignore[arg-type]


def test_every_font_is_a_data_uri() -> None:
    style = inlined("katex").style
    addresses = re.findall(r"url\(([^)]{0,30})", style)
    assert len(addresses) == 20
    assert all(address.startswith("data:font/woff2;base64,") for address in addresses)


def test_a_server_finds_every_file_a_page_asks_for() -> None:
    found = files()
    assert {"base.css", "show.js", "katex/katex.min.css", "plotly/plotly-basic.min.js"} <= set(found)
    fonts = re.findall(r"url\((fonts/[\w-]+\.woff2)\)", found["katex/katex.min.css"].read_text("utf-8"))
    assert fonts
    assert all(f"katex/{font}" in found for font in fonts)


def test_a_page_runs_only_its_own_scripts_and_fetches_nothing() -> None:
    page = document("t", Markup("<p>x</p>"), libraries=LIBRARIES, scripts=["let one = '</script>';"], data={"d": 1})
    elements = Elements(page)
    policy = next(a["content"] for tag, a in elements.tags if tag == "meta" and "http-equiv" in a) or ""
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in policy and "'unsafe-eval'" not in policy
    running = [text for attrs, text in elements.scripts if "type" not in attrs]
    assert len(running) == 5
    for text in running:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert not any("src" in attrs or tag in ("link", "img", "iframe") for tag, attrs in elements.tags)


@pytest.mark.parametrize(
    "text", ["</script><script>alert(1)</script>", "<!--<script>", "\u2028\u2029", "a\x00b", "\ud800", "&lt; & <b>"]
)
def test_data_comes_back_whole_and_closes_nothing(text: str) -> None:
    page = document("t", Markup(""), data={"d": [text]})
    blocks = [body for attrs, body in Elements(page).scripts if attrs.get("id") == "d"]
    assert [json.loads(block) for block in blocks] == [[text]]
    assert "<" not in blocks[0]
    page.encode("utf-8")


def test_titles_are_escaped() -> None:
    assert "<title>&lt;/title&gt;&lt;script&gt;</title>" in document("</title><script>", Markup(""))


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_block("d", float("nan"))


def test_a_style_sheet_that_ends_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="style"):
        document("t", Markup(""), styles=["p{} </STYLE><script>"])


def test_the_shared_part_stays_small() -> None:
    assert len(document("t", Markup(""), libraries=LIBRARIES).encode()) < 2_200_000
