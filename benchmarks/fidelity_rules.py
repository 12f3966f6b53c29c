"""When two runs of a program count as the same, and the classes of those that do not. Pure functions of stored texts.

Cells are compared one after the other, up to the first that differs or times out; what follows may follow from it.

Against plain Python of the same versions texts must be equal to the letter, and a time-out meet a time-out. What
differs is classed by the first rule that holds:

    denied             the program is known to touch the system, read input or start processes: refused by design
    timeout            one side reached its limit of processor time
    nondeterministic   two plain runs differ as well, or the data says so
    memory             the kernel's memory limit stopped it
    refused            the kernel got an OSError where plain Python got none
    OURS               none of these: a fault of the sandbox

Against the record, the recorder's conventions are applied first (see the data's description): `script` rows strip the
text, keep the last line of an error, write `Done` for nothing, and cut long texts; `notebook` rows show IPython's
tracebacks, of which the last line is compared; `ans_variable` rows hold a number. What then differs is classed as
above where plain Python differs too, else:

    layout             equal but for white space, or cut by the recorder: IPython breaks long values into lines
    timeout            the record, or the kernel, was out of time
    recorder           the record is empty though the program gives a value (the recorder took 0 for none), or goes on
                       where a name is missing (its namespace was not fresh)
    wording            the same class of error with another text: versions of Python and SymPy
    versions           plain Python of today's versions prints what the kernel prints
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

PRELUDE = "import math\nimport numpy as np\nfrom sympy import *"
ANSWER = """
_ = next(iter(ans.values())) if isinstance(ans, dict) else ans
_ = _[0] if isinstance(_, (list, tuple)) else _
try:
    print(float(_))
except Exception:
    print(_)
"""
DENIED_FLAGS, DENIED_IMPORTS = {"touches_system", "reads_input"}, {"multiprocessing", "subprocess"}
Cell = dict[str, Any]  # its output and status
Cells = list[Cell]


def cells_of(row: dict[str, Any]) -> tuple[list[str], bool]:
    """What to run one after the other, and whether last expressions are echoed."""
    if row["style"] == "ans_variable":
        return [PRELUDE, row["code"], ANSWER], False
    if row["n_cells"] > 1:
        return [cell["code"] for cell in row["cells"]], True
    return [row["code"]], row["style"] == "notebook"


def records_of(row: dict[str, Any]) -> list[str]:
    """The recorded text of each cell of the row."""
    if row["n_cells"] > 1:
        return [cell["recorded_output"] for cell in row["cells"]]
    return [row["recorded_output"]]


@dataclass(frozen=True, slots=True)
class Classes:
    """One session: the class of its difference from plain Python and from its record, None where it is the same."""

    id: str
    style: str
    flags: frozenset[str]
    plain: str | None
    record: str | None
    cell: int | None = None  # the first that differs from the record
    recorded: str = ""

    def to_json(self, result: dict[str, Any]) -> dict[str, Any]:
        fields = {"id": self.id, "style": self.style, "plain": self.plain, "record": self.record, "cell": self.cell}
        return {**fields, "recorded": self.recorded, "ours_said": result["ours"], "plain_said": result["plain"]}


def classes(row: dict[str, Any], result: dict[str, Any]) -> Classes:
    against_plain = _against_plain(row, result["ours"], result["plain"], result["again"])
    against_record, cell, recorded = against_record_of(row, result["ours"], against_plain)
    return Classes(row["id"], row["style"], frozenset(row["flags"]), against_plain, against_record, cell, recorded)


def _against_plain(row: dict[str, Any], ours: Cells, plain: Cells, again: Cells | None) -> str | None:
    for mine, theirs in zip(ours, plain, strict=False):
        late = [cell["status"] == "timeout" for cell in (mine, theirs)]
        if all(late):
            return None
        if any(late) or mine["output"] != theirs["output"]:
            return _difference(row, mine, theirs, again is not None and texts(again) != texts(plain))
    return None if len(ours) == len(plain) else "OURS"


def _difference(row: dict[str, Any], mine: Cell, theirs: Cell, unsteady: bool) -> str:
    if is_denied(row):
        return "denied"
    if "timeout" in (mine["status"], theirs["status"]):
        return "timeout"
    if unsteady or "nondeterministic" in row["flags"]:
        return "nondeterministic"
    if mine["status"] == "memory":
        return "memory"
    if _OS_ERROR.search(mine["output"]) and not _OS_ERROR.search(theirs["output"]):
        return "refused"
    return "OURS"


_OS_ERROR = re.compile(r"^(PermissionError|OSError|BlockingIOError|FileNotFoundError)\b", re.MULTILINE)


def is_denied(row: dict[str, Any]) -> bool:
    return bool(DENIED_FLAGS & set(row["flags"]) or DENIED_IMPORTS & set(row["imports"]))


def texts(cells: Cells) -> list[str]:
    return [cell["output"] for cell in cells]


def against_record_of(
    row: dict[str, Any], ours: Cells, against_plain: str | None
) -> tuple[str | None, int | None, str]:
    """The class of the first difference from the record, the number of its cell, and the record's text."""
    said = ours[-1:] if row["style"] == "ans_variable" else ours
    same = {"script": _same_script, "notebook": _same_notebook, "ans_variable": _same_answer}[row["style"]]
    layout: tuple[str | None, int | None, str] = (None, None, "")
    for number, (record, cell) in enumerate(zip(records_of(row), said, strict=False)):
        if cell["status"] == "timeout" and _TIMED_OUT.search(record):
            break
        if same(cell, record):
            continue
        if _squeezed(cell["output"]) == _squeezed(record) or "output_truncated_in_record" in row["flags"]:
            layout = layout if layout[0] else ("layout", number, record)
            continue
        return _why(row, cell, record, against_plain), number, record
    return layout


_TIMED_OUT = re.compile(r"Timed Out|Timeout waiting|TimeoutError")
_MISSING_NAME = re.compile(r"NameError: name '\w+' is not defined")


def _why(row: dict[str, Any], cell: Cell, record: str, against_plain: str | None) -> str:
    if is_denied(row):
        return "denied"
    if cell["status"] == "timeout" or _TIMED_OUT.search(record):
        return "timeout"
    if against_plain:
        return against_plain
    missing = _MISSING_NAME.search(cell["output"])
    if not record.strip() or (missing and missing[0] not in record):
        return "recorder"
    name = cell["output"].strip().rpartition("\n")[2].partition(":")[0]
    if cell["status"] == "error" and re.search(rf"\b{re.escape(name)}: ", record):
        return "wording"
    return "versions"


def _same_script(cell: Cell, record: str) -> bool:
    text = cell["output"].strip()
    if cell["status"] == "error":
        text = text.splitlines()[-1]
    text = text or "Done"
    cut = text[:200] + "..." + text[-200:]
    return _unqualified(record.strip()) in (_unqualified(text), _unqualified(cut))


def _same_notebook(cell: Cell, record: str) -> bool:
    text, record = cell["output"].strip(), record.strip()
    if record == "<empty_execution>":
        record = ""
    if cell["status"] == "error" and ("Traceback" in record or "Cell In[" in record):
        return _squeezed(_no_folders(record)).endswith(_squeezed(_no_folders(text).splitlines()[-1]))
    return bool(text == record)


def _same_answer(cell: Cell, record: str) -> bool:
    if not record:
        return cell["status"] != "ok" or cell["output"] in ("None", "nan")
    value = json.loads(record)
    try:
        return bool(abs(float(cell["output"]) - float(value)) <= 1e-6 * max(1.0, abs(float(value))))
    except ValueError:
        return bool(cell["output"] == str(value))


def _no_folders(text: str) -> str:
    return re.sub(r"\(\S*site-packages>?/", "(", text)


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _unqualified(text: str) -> str:
    """An error's line without the module of its class: `a.b.SomeError: text` is `SomeError: text`."""
    return re.sub(r"^[\w.]+\.(\w+(?:Error|Exception|Exit|Interrupt|Warning)\b)", r"\1", text)


def report(found: list[Classes]) -> str:
    """Shares and classes, by style."""
    lines = [f"{'style':<14}{'sessions':>9}{'as plain':>10}{'of steady':>11}{'as recorded':>13}  classes of misses"]
    for style in [*sorted({it.style for it in found}), "all"]:
        of_style = [it for it in found if style in (it.style, "all")]
        steady = [it for it in of_style if it.plain not in ("timeout", "nondeterministic", "denied")]
        plain, recorded = Counter(it.plain for it in of_style), Counter(it.record for it in of_style)
        shares = f"{_share(steady, 'plain'):>11}{_share(of_style, 'record'):>13}"
        classes_found = f"plain: {_counts(plain)}; record: {_counts(recorded)}"
        lines.append(f"{style:<14}{len(of_style):>9}{plain[None]:>10}{shares}  {classes_found}")
    return "\n".join(lines)


def _share(found: list[Classes], of: str) -> str:
    same = sum(getattr(it, of) is None for it in found)
    return f"{100 * same / len(found):.2f} %" if found else "-"


def _counts(counter: Counter[str | None]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counter.most_common() if name) or "none"
