"""The report in a real browser: it draws, filters, follows links, and shows hostile text without obeying it.

A driver script is added to each page under test; the page's own content security policy stays in force, with the
driver's hash allowed beside those of its own scripts. The driver leaves what it saw in an element that `--dump-dom`
prints.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mario.estimate import wilson
from mario.provenance import make_manifest, to_json
from mario.report import TrainingRun, build_report
from report_samples import HOSTILE, four_runs, hostile_run

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER: pages were not looked at; apt-get install chromium"),
]

OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,1000",
    "--virtual-time-budget=20000",
]

DRIVER = """
const faults = [], refused = [];
addEventListener("error", (event) => faults.push(String(event.message)));
addEventListener("securitypolicyviolation", (event) => refused.push(event.violatedDirective + " " + event.blockedURI));
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const all = (selector) => [...document.querySelectorAll(selector)];
const set = async (name, value, kind) => {
  const control = document.querySelector(`#filters [name=${name}]`);
  control.value = value;
  control.dispatchEvent(new Event(kind || "change"));
  await wait(400);
  return document.getElementById("found").textContent;
};
addEventListener("load", async () => {
  let seen;
  try {
    await wait(500);
    seen = await (async () => { %s })();
  } catch (error) {
    faults.push(String(error));
  }
  const result = document.createElement("pre");
  result.id = "driver-result";
  result.textContent = JSON.stringify({ seen, faults, refused });
  document.body.replaceChildren(result);
});
"""


def drive(page: str, body: str, folder: Path, address: str = "") -> dict[str, Any]:
    """Open the page at `address`, run `body` in it, and return what it returned, with faults and refusals."""
    driver = DRIVER % body
    allowed = base64.b64encode(hashlib.sha256(driver.encode()).digest()).decode()
    page = page.replace("script-src ", f"script-src 'sha256-{allowed}' ", 1)
    page = page.replace("<title>", f"<script>{driver}</script>\n<title>", 1)
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    done = subprocess.run(
        [str(CHROMIUM), *OPTIONS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", path.as_uri() + address],
        capture_output=True,
        text=True,
        timeout=150,
        check=True,
    )
    found = re.search(r'<pre id="driver-result">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, f"the driver did not finish: {done.stderr[-2000:]}"
    got = dict(json.loads(html.unescape(found[1])))
    assert "seen" in got, got["faults"]
    return got


@pytest.fixture(scope="module")
def report() -> str:
    return build_report("Does the interpreter help?", four_runs(60))


def test_everything_is_drawn_and_nothing_is_refused(report: str, tmp_path: Path) -> None:
    got = drive(
        report,
        """
        await document.fonts.ready;
        all("#list details")[0].open = true;
        await wait(300);
        return {
          plots: all(".plot .main-svg").length, lines: all('[data-figure="difficulty-0"] .scatterlayer .trace').length,
          fits: document.documentElement.scrollWidth <= innerWidth, rows: all("#list > li").length,
        };
        """,
        tmp_path,
    )
    assert got["faults"] == [] and got["refused"] == []
    assert got["seen"]["plots"] >= 6
    assert got["seen"]["lines"] == 4
    assert got["seen"]["fits"]
    assert got["seen"]["rows"] == 50  # the rest waits behind a button


def test_a_training_run_is_drawn_without_attempts(tmp_path: Path) -> None:
    metrics = [{"step": i, "loss": 4 / i, "tokens": 100 * i, "seconds": i} for i in range(1, 30)]
    metrics[-1]["heldout"] = to_json(wilson(6, 10))
    run = TrainingRun("model", make_manifest("sft", {"model": "tiny"}, inputs={}, seeds={}), metrics)
    got = drive(
        build_report("Trained", [], [run]),
        """return { plots: all(".plot .main-svg").length, lines: all(".scatterlayer .trace").length,
          fits: document.documentElement.scrollWidth <= innerWidth };""",
        tmp_path,
    )
    assert got["faults"] == [] and got["refused"] == []
    assert got["seen"]["plots"] >= 1 and got["seen"]["lines"] == 3 and got["seen"]["fits"]


def test_filters_list_what_they_say_and_keep_it_in_the_address(report: str, tmp_path: Path) -> None:
    got = drive(
        report,
        """
        const found = [await set("run", "3"), await set("outcome", "wrong"), await set("outcome", ""),
          await set("difficulty", "2"), await set("text", "seed0/000001", "input")];
        const address = location.hash;
        const about = all("#list .about").map((at) => at.textContent);
        all("#chips button").at(-1).click();
        await wait(100);
        return { found, address, about, after: document.getElementById("found").textContent };
        """,
        tmp_path,
    )
    runs = four_runs(60)
    wrong = sum(not row.correct for row in runs[3].judged)
    assert got["seen"]["found"] == [
        "60 of 240 attempts",
        f"{wrong} of 240 attempts",
        "60 of 240 attempts",
        "15 of 240 attempts",
        "1 of 240 attempts",
    ]
    assert got["seen"]["address"] == "#find?run=3&difficulty=2&text=seed0%2F000001"
    assert (
        "trained-code" in got["seen"]["about"][0] and "wordproblems/test-shared/seed0/000001" in got["seen"]["about"][0]
    )
    assert got["seen"]["after"] == "240 attempts"
    assert got["faults"] == []


def test_a_number_leads_to_its_attempts(report: str, tmp_path: Path) -> None:
    """Every linked count of the page equals the attempts its link finds."""
    got = drive(
        report,
        """
        const wrong = [];
        let links = 0;
        for (const link of all('#endings a[href^="#find"]')) {
          location.hash = link.getAttribute("href");
          await wait(60);
          const found = Number(document.getElementById("found").textContent.split(" ")[0]);
          const said = Number(link.textContent.split(" ")[0]);
          links += 1;
          // a snippet counts once each time it ran, an attempt once: at most one snippet a solution here
          if (found !== said) wrong.push([link.getAttribute("href"), said, found]);
        }
        return { wrong, links };
        """,
        tmp_path,
    )
    assert got["seen"]["links"] > 10
    assert got["seen"]["wrong"] == []
    assert got["faults"] == []


def test_a_problem_id_in_the_address_opens_all_its_attempts(report: str, tmp_path: Path) -> None:
    got = drive(
        report,
        """
        return {
          open: all("#list details[open]").length, asked: document.getElementById("asked").textContent,
          code: all("#list .hljs-number").length, math: all("#list .katex").length,
          font: document.fonts.check("12px KaTeX_Main"),
          loaded: [...document.fonts].filter((f) => f.status === "loaded").length,
        };
        """,
        tmp_path,
        "#wordproblems/test-shared/seed0/000001",
    )
    seen = got["seen"]
    assert seen["open"] == 4
    assert "A mill grinds" in seen["asked"]
    assert seen["code"] > 0 and seen["math"] > 0
    assert seen["font"] and seen["loaded"] > 0
    assert got["faults"] == [] and got["refused"] == []


def test_flips_are_listed_from_a_link(report: str, tmp_path: Path) -> None:
    got = drive(report, "return all('#flips-3-2 tbody tr').length;", tmp_path, "#flips-3-2")
    runs = four_runs(60)
    right = [{row.problem.id for row in r.judged if row.correct} for r in runs]
    assert got["seen"] == len(right[2] ^ right[3])


def test_money_is_prose_and_formulas_are_formulas(report: str, tmp_path: Path) -> None:
    texts = {
        "It costs $5 and she has $12 left": 0,
        "He has $5, she has 10$ in all": 0,
        "from $10-$20": 0,
        "so $x + 1$ and $2$": 2,
        "\\(a\\) then \\[b\\] then $$c$$": 3,
        "\\begin{align*} a &= b \\end{align*}": 1,
        "he paid \\$3 for $y$": 1,
        "unclosed $x and \\( y": 0,
    }
    got = drive(
        report,
        f"return {json.dumps(list(texts))}.map((text) => show.prose(text).querySelectorAll('.katex').length);",
        tmp_path,
    )
    assert dict(zip(texts, got["seen"], strict=True)) == texts


def test_hostile_text_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    got = drive(
        build_report(HOSTILE, [hostile_run()]),
        """
        const title = document.title;
        all("#list details").forEach((details) => (details.open = true));
        await wait(1500);
        all("#list button").forEach((button) => button.click());
        await wait(500);
        return {
          title, after: document.title, heading: document.querySelector("h1").textContent,
          alien: all("#list img, #list script, #list b, #list textarea, [onerror], a[href^=javascript]").length,
          images: all("img, iframe, object, embed").length, open: all("#list details[open]").length,
          code: all("#list pre code")[0].textContent,
          shown: Math.max(...all("#list pre").map((at) => at.textContent.length)),
        };
        """,
        tmp_path,
    )
    seen = got["seen"]
    assert got["faults"] == [] and got["refused"] == []
    assert seen["title"] == seen["after"] and seen["title"].startswith("<script>")
    # the parser of HTML turns NUL into U+FFFD; a lone surrogate cannot be written in UTF-8 at all
    assert seen["heading"] == HOSTILE.replace("\x00", "\ufffd").replace("\ud800", "\\ud800")
    assert seen["alien"] == 0 and seen["images"] == 0
    assert seen["code"].startswith("print('</script>')\n<script>document.title='pwned'</script>")
    assert seen["open"] == 2
    assert seen["shown"] > 15_000


def test_markup_that_slipped_through_would_still_not_run(tmp_path: Path) -> None:
    """The second defence alone: a handler and a script written into the page itself, past all escaping."""
    page = build_report("t", four_runs(4)).replace(
        "<footer>", "<footer><img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>", 1
    )
    got = drive(page, "return document.title;", tmp_path)
    assert got["seen"] == "t"
    assert any("script-src" in refusal for refusal in got["refused"])
    assert any("img-src" in refusal for refusal in got["refused"])
