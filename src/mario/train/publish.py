"""What makes a trained directory fit to be handed on: its prompt in the chat template, its stops, and a model card.

One idea: whoever downloads the directory must get our prompt, token by token, without our code. So a model trained on
the inline formats carries a chat template that writes them, and a generation config that stops where its turns end;
one trained on tool calls carries the template that its rows were written by. Whether the ids agree is tried on the
spot, and the card says so where they do not.

The card is a pure function of the manifest and of results named later (`mario push`). What is not known, it calls
unknown. What this module does not do: evaluate, upload.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mario.engine.checkpoint import EMBEDDED_LABEL
from mario.engine.tokens import encode_spans
from mario.estimate import Estimate
from mario.transcript import format_named
from mario.transcript.inlinechat import inline_chat
from mario.types import Manifest

UNKNOWN = "unknown"  # also the hub's own word for a licence that is not known
_INLINE = ("inline", "text")
_PROBE = "A box holds 24 pencils. How many pencils do 17 boxes hold?"
_EMBEDDED_HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Result:
    """A row of the card's table: `settings` says how the attempts were made; a share is of problems solved."""

    problems: str
    metric: str
    estimate: Estimate
    settings: str
    is_share: bool = True

    def cells(self) -> tuple[Any, ...]:
        value, low, high = (getattr(self.estimate, name) for name in ("value", "low", "high"))
        if self.is_share:
            shown = f"{100 * value:.1f} %", f"{100 * low:.1f} to {100 * high:.1f} %"
        else:
            shown = f"{value:.3f}", f"{low:.3f} to {high:.3f}"
        return self.problems, self.metric, *shown, self.estimate.n, self.settings


def dress(tokenizer: Any, generation: Any, formats: Sequence[str]) -> bool:
    """Give a tokenizer and a generation config what the trained formats need; whether our prompt's ids come out.

    A tokenizer whose template writes tool calls keeps it for them, under the name that transformers looks for.
    """
    inline = [name for name in _INLINE if name in formats]
    if inline:
        others = set(formats) - set(_INLINE)
        kept = tokenizer.chat_template if others else None
        exact = False
        for space in ("", " "):  # some tokenizers put a space before a text, but not after a BOS token that they read
            own = inline_chat(code="inline" in inline, before=_before(tokenizer) + space, end=tokenizer.eos_token)
            tokenizer.chat_template = {"default": own, "tool_use": kept} if isinstance(kept, str) else own
            exact = writes_our_prompt(tokenizer, inline[0])
            if exact:
                break
        if not others:
            generation.stop_strings = [stop for stop in format_named("inline").stop if not stop.startswith("\n<")]
        return exact
    return bool(formats) and bool(tokenizer.chat_template)


def writes_our_prompt(tokenizer: Any, name: str) -> bool:
    """Whether the chat template gives the ids that solving in this inline format begins with."""
    question: Mapping[str, Any] = {"role": "user", "content": _PROBE}
    text = tokenizer.apply_chat_template([question], add_generation_prompt=True, tokenize=False)
    (ours,) = encode_spans(tokenizer, format_named(name).start(_PROBE).spans)
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) == tuple(ours)


def _before(tokenizer: Any) -> str:
    """The special tokens that this tokenizer puts before every text."""
    bare, dressed = (list(tokenizer("x", add_special_tokens=add)["input_ids"]) for add in (False, True))
    count = next((i for i in range(len(dressed)) if dressed[i : i + len(bare)] == bare), 0)
    text: str = tokenizer.decode(dressed[:count])
    return text


def licence_of(base: Path, name: str) -> str:
    """The licence that a base model's card states; that of the embedded model is known."""
    if name == EMBEDDED_LABEL:
        return "apache-2.0"
    card = base / "README.md"
    head = card.read_text(encoding="utf-8", errors="replace").split("\n---", 1)[0] if card.exists() else ""
    found = re.search(r"^license:[ \t]*(\S+)", head, re.MULTILINE)
    return found.group(1) if found else UNKNOWN


def card(manifest: Manifest, results: Sequence[Result] = (), licence: str | None = None) -> str:
    """The model card of a finished run, with the hub's header."""
    licence = licence or str(manifest.counts.get("licence", UNKNOWN))
    return "\n".join([*_header(manifest, licence, results), *_body(manifest, licence, results)]) + "\n"


_TITLES = {"sft": "solving with Python", "ovm": "solving and valuing", "lm": "trained further"}
_ABOUT = {
    "sft": "fine-tuned to solve mathematics problems by reasoning in text and computing in Python",
    "ovm": "trained at two tasks at once: to write solutions with Python, and to value them. Beside the language "
    "model's head it has a `score` head; the same directory loads as a causal language model and as a token "
    "classifier whose logit says how likely the text so far ends in a right answer (`ovm.json` says how to read it)",
    "lm": "trained further on plain text. It is a base to fine-tune, not a model to ask",
}


def _header(manifest: Manifest, licence: str, results: Sequence[Result]) -> Iterator[str]:
    base = _base(manifest)
    yield "---"
    if _HUB_ID.fullmatch(base):
        yield f"base_model: {base}"
    yield "library_name: transformers"
    yield "pipeline_tag: text-generation"
    yield "language: [en]"
    yield f"license: {licence}"
    yield f"tags: [math, reasoning, tool-use, code-interpreter, mario, {manifest.kind}]"
    shares = [result for result in results if result.is_share]
    if shares:
        yield "model-index:"
        yield f"- name: {json.dumps(f'{base} by mario train {manifest.kind}')}"
        yield "  results:"
        for result in shares:
            yield "  - task: {type: text-generation}"
            yield f"    dataset: {{name: {json.dumps(result.problems)}, type: {json.dumps(_slug(result.problems))}}}"
            metric = f"type: accuracy, name: {json.dumps(result.metric)}, value: {result.estimate.value:.4f}"
            yield f"    metrics: [{{{metric}}}]"
    yield "---"


def _body(manifest: Manifest, licence: str, results: Sequence[Result]) -> Iterator[str]:
    base, counts = _base(manifest), manifest.counts
    yield f"# {base}, {_TITLES[manifest.kind]}\n"
    yield f"{base}, {_ABOUT[manifest.kind]}.{_learnt(manifest)}\n"
    yield from _use(manifest)
    yield "## Results\n"
    if results:
        yield from _table(
            ("problems", "measure", "value", "95 % interval", "n", "attempts"),
            [result.cells() for result in results],
        )
    else:
        yield "None were named when this card was written: nothing is claimed.\n"
    yield "## Training\n"
    heldout = counts.get("heldout")
    rows = [
        ("steps", f"{counts['steps']:,}"),
        ("loss, first and last step", f"{counts['first_loss']:.3f}, {counts['last_loss']:.3f}"),
        ("time", f"{(manifest.seconds or 0) / 60:.1f} minutes on {_machine(manifest)}"),
    ]
    if heldout:
        value, low, high = (f"{100 * heldout[name]:.0f} %" for name in ("value", "low", "high"))
        rows.append(("held-out problems solved at the end", f"{value} of {heldout['n']} (95 %: {low} to {high})"))
    if "heldout_loss" in counts:
        rows.append(("loss on held-out rows at the end", f"{counts['heldout_loss']:.3f}"))
    if held_out := counts.get("heldout_inputs"):
        rows.append(("held out", ", ".join(f"{name} `{digest}`" for name, digest in held_out.items())))
    yield from _table(("", ""), rows)
    yield from _table(
        ("source", "rows", "tokens", "of them trained", "content hash"),
        [
            (
                name,
                f"{source['rows']:,}",
                f"{source['tokens']:,}",
                f"{source['trained_tokens']:,}",
                f"`{manifest.inputs.get(f'source/{name}') or manifest.inputs.get(name, UNKNOWN)}`",
            )
            for name, source in counts["sources"].items()
        ],
    )
    yield f"The base model's files: `{manifest.inputs.get('model', UNKNOWN)}`. The recipe:\n"
    yield f"```json\n{json.dumps(manifest.recipe, indent=2, ensure_ascii=False)}\n```\n"
    packages = ", ".join(f"{name} {version}" for name, version in manifest.packages.items())
    yield f"Code: mario-math {_code(manifest)}; {packages}. `manifest.json` and `metrics.jsonl` hold the rest.\n"
    yield "## Licence\n"
    if licence == UNKNOWN:
        yield "Not known: neither the base model's card nor the publisher has stated one. Ask before you use it.\n"
    else:
        yield f"`{licence}`, as the base model's card or the publisher states it. The training data has its own.\n"
    yield "## What it is not\n"
    yield (
        "It writes programs to be run: run them in a sandbox. A right answer does not make a right solution, and on "
        "problems unlike those it was trained on it can be confidently wrong."
    )


def _learnt(manifest: Manifest) -> str:
    if manifest.kind == "lm":
        return ""
    if manifest.recipe.get("train", {}).get("train_on_output"):
        return " It learnt the interpreter's output beside its own turns, as an ablation."
    return " It learnt its own turns; what the interpreter answers was read, never learnt."


def _use(manifest: Manifest) -> Iterator[str]:
    formats = manifest.counts.get("formats") or []
    if not formats:
        return
    yield "## Use\n"
    inline = [name for name in _INLINE if name in formats]
    if inline:
        yield (
            "The model stops where it wants code to be run: run it, and add what it printed as a `tool` message. "
            "`mario solve --engine.model DIRECTORY QUESTION` does all of that in a sandbox. One turn by transformers "
            "alone:\n"
        )
        yield (
            "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
            "tokenizer = AutoTokenizer.from_pretrained(DIRECTORY)\n"
            "model = AutoModelForCausalLM.from_pretrained(DIRECTORY)\n"
            f'messages = [{{"role": "user", "content": "{_PROBE}"}}]\n'
            'prompt = tokenizer.apply_chat_template(messages, return_tensors="pt", return_dict=True)\n'
            "output = model.generate(**prompt, max_new_tokens=256, tokenizer=tokenizer)\n"
            "print(tokenizer.decode(output[0]))\n```\n"
        )
        yield "A system message has no place in its format and is left out.\n"
        if not manifest.counts.get("exact_prompt", False):
            yield (
                "**The chat template does not give the exact token ids of training**: this tokenizer reads a text that "
                "follows its first token differently. `mario solve` does.\n"
            )
    else:
        yield f"Trained on the {', '.join(formats)} format, as its chat template writes it.\n"


def _base(manifest: Manifest) -> str:
    name = str(manifest.recipe.get("model", UNKNOWN))
    return _EMBEDDED_HUB if name == EMBEDDED_LABEL else name


def _machine(manifest: Manifest) -> str:
    hardware = manifest.hardware
    return str(hardware.get("accelerator") or hardware.get("processor") or hardware.get("machine") or UNKNOWN)


def _code(manifest: Manifest) -> str:
    code = manifest.code
    commit = f", commit {str(code['commit'])[:12]}" if "commit" in code else ""
    return f"{code.get('version', UNKNOWN)}{commit}{' with changes' if code.get('dirty') else ''}"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "problems"


def _table(head: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> Iterator[str]:
    for cells in (head, ("---",) * len(head), *rows):
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
    yield ""
