"""One snippet as a notebook cell: run it, echo its last expression, and tell of an error in few lines.

Echo styles: `repr` (what a REPL shows), `str`, `none`, and `mario`: the labels of the MARIO paper, where a program with
two prints or more shows each as `source of the arguments: text`, and any other echoes the str of its last expression.
The paper's own code loses the text of prints in nested blocks, cuts labels at the first `)`, and does not run what
follows the last print; here every print is labelled where it stands and all code runs.

What it does not do: it sets no limits and catches no interrupts (`runner`).
"""

from __future__ import annotations

import ast
import builtins
import linecache
import sys
import types
from ast import Expr, Expression, parse  # bound before any snippet: snippets patch modules
from collections.abc import Callable
from typing import Any

from .private import BUILTINS

__builtins__ = BUILTINS  # type: ignore[assignment]  # see there

MAX_FRAMES = 6  # of the snippet's own, in a traceback; the middle of a deep recursion says nothing new
_sources = linecache.cache


def execute(code: str, filename: str, namespace: dict[str, Any], echo: str, write: Callable[[str], None]) -> None:
    """Run `code` in `namespace` and write the echo of its last expression; whatever the snippet raises comes out."""
    lines = code.splitlines(keepends=True)
    linecache.cache = _sources
    _sources[filename] = (len(code), None, lines, filename)
    if echo == "none":
        exec(compile(code, filename, "exec", dont_inherit=True), namespace)  # a tree would touch a hundred pages more
        return
    tree = parse(code, filename)
    labelled = echo == "mario" and _label_prints(tree, code)
    last = tree.body[-1] if tree.body else None
    if labelled or not isinstance(last, Expr):
        exec(compile(tree, filename, "exec", dont_inherit=True), namespace)
        return
    if len(tree.body) > 1:
        tree.body.pop()
        exec(compile(tree, filename, "exec", dont_inherit=True), namespace)
    value = eval(compile(Expression(last.value), filename, "eval", dont_inherit=True), namespace)
    if value is not None:
        write((repr(value) if echo == "repr" else str(value)) + "\n")


def _label_prints(tree: ast.Module, code: str) -> bool:
    """Turn `print(x)` into `__labelled__("x: ", print)(x)` where the program has two prints or more."""
    prints = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    if len(prints) < 2:
        return False
    for node in prints:
        if not node.args or any(keyword.arg == "file" for keyword in node.keywords):
            continue
        sources = [ast.get_source_segment(code, argument) or ast.unparse(argument) for argument in node.args]
        label = ast.Constant(" ".join(", ".join(sources).split()) + ": ")
        helper = ast.Name("__labelled__", ast.Load())
        node.func = ast.Call(helper, [label, node.func], [])
        for new in (label, helper, node.func):
            ast.copy_location(new, node)
    builtins.__labelled__ = _labelled  # type: ignore[attr-defined]
    return True


def _labelled(label: str, function: Callable[..., object]) -> Callable[..., object]:
    def show(*arguments: object, **options: Any) -> object:
        sys.stdout.write(label)
        return function(*arguments, **options)

    return show


def format_error(error: BaseException, style: str) -> str:
    """`line`: "Name: message", as in the paper. `short`: the snippet's own frames, and Python's last line."""
    last = _last_line(error, qualified=style != "line")
    if style == "line":
        return last + "\n"
    if isinstance(error, SyntaxError) and not _frames(error.__traceback__):
        return _syntax(error) + last + "\n"
    frames = _frames(error.__traceback__)
    if not frames:
        return last + "\n"
    cut = len(frames) - MAX_FRAMES
    shown = [_frame(*frame) for frame in frames]
    if cut > 0:
        half = MAX_FRAMES // 2
        shown = [*shown[:half], f"  ... {cut} more calls ...\n", *shown[-half:]]
    cause = _cause(error)
    return f"{cause}Traceback (most recent call last):\n{''.join(shown)}{last}\n"


def _last_line(error: BaseException, qualified: bool) -> str:
    name = type.__getattribute__(type(error), "__qualname__")
    module = type.__getattribute__(type(error), "__module__")
    if qualified and isinstance(module, str) and module not in ("builtins", "__main__"):
        name = f"{module}.{name}"
    try:
        message = str(error)
    except Exception as second:
        message = f"<its message cannot be shown: {type(second).__name__}>"
    if isinstance(error, SyntaxError) and isinstance(error.msg, str):
        message = error.msg
    notes = getattr(error, "__notes__", None)
    lines = [f"{name}: {message}" if message else str(name)]
    if isinstance(notes, list):
        lines += [note for note in notes if isinstance(note, str)]
    return "\n".join(lines)


def _cause(error: BaseException) -> str:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is None or cause is error:
        return ""
    link = "caused by it" if error.__cause__ else "while that was handled"
    return f"{_last_line(cause, qualified=True)}\nThen, {link}:\n"


def _frames(traceback: types.TracebackType | None) -> list[tuple[str, int, str]]:
    found = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename.startswith("<snippet"):
            found.append((code.co_filename, traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    return found


def _frame(filename: str, number: int, name: str) -> str:
    entry = _sources.get(filename)
    lines = entry[2] if isinstance(entry, tuple) and len(entry) == 4 else []
    source = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    where = f"  line {number}" + ("" if name == "<module>" else f", in {name}")
    return f"{where}\n    {source[:200]}\n" if source else f"{where}\n"


def _syntax(error: SyntaxError) -> str:
    if not isinstance(error.lineno, int):
        return ""
    text = error.text if isinstance(error.text, str) else ""
    stripped = text.strip()[:200]
    shown = f"  line {error.lineno}\n" + (f"    {stripped}\n" if stripped else "")
    if stripped and isinstance(error.offset, int) and error.offset > 0:
        column = error.offset - 1 - (len(text) - len(text.lstrip()))
        if 0 <= column <= len(stripped):
            shown += f"    {' ' * column}^\n"
    return shown
