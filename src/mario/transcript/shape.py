"""When are two programs the same, and when are they alike? Read from their syntax trees, never run.

`program_key` forgets names, comments and layout: equal keys are one program written twice. `program_shape` also
forgets every constant, text and import: different shapes are different ways to a solution. A solution without code goes
by its words.

What this module does not do: prove that two programs compute the same.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from mario.types import Trajectory

LONGEST = 20_000  # characters of code; longer programs are compared as text, and the parser's stack stays shallow
_DEPTH = 150  # nested nodes; machine-made nonsense goes deeper
_WORD = re.compile(r"\w+|[^\w\s]")
# Calls that only show or convert what is there.
_PLAIN_CALLS = frozenset({"print", "str", "int", "float", "repr", "format", "display", "Integer", "Rational", "bool"})


def program_key(trajectory: Trajectory) -> str:
    """A hash that is equal for one program in two spellings."""
    return _digest(trajectory, shape=False)


def program_shape(trajectory: Trajectory) -> str:
    """A hash that is equal for programs that differ in names, constants, texts and imports only."""
    return _digest(trajectory, shape=True)


def computes(trajectory: Trajectory) -> bool:
    """Whether any snippet does more than state and show constants. Code that cannot be read gets the benefit."""
    snippets = _snippets(trajectory)
    trees = [_parse(code) for code in snippets]
    return any(tree is None or any(map(_is_work, ast.walk(tree))) for tree in trees)


def _is_work(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name not in _PLAIN_CALLS
        case ast.Call(func=ast.Attribute(attr=name)):
            return name not in _PLAIN_CALLS
        case ast.BinOp() | ast.BoolOp() | ast.Compare() | ast.AugAssign() | ast.comprehension() | ast.Subscript():
            return True
        case ast.For() | ast.While() | ast.FunctionDef():
            return True
    return False


def _snippets(trajectory: Trajectory) -> list[str]:
    return [step.code for step in trajectory.steps if step.code is not None]


def _digest(trajectory: Trajectory, *, shape: bool) -> str:
    snippets = _snippets(trajectory)
    if snippets:
        tokens = _code_tokens(snippets, shape=shape)
    elif shape:
        tokens = ["words"]
    else:
        text = " ".join([*(step.thought for step in trajectory.steps), trajectory.answer or ""])
        tokens = _WORD.findall(text.casefold())
    return hashlib.blake2b("\x1f".join(tokens).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _code_tokens(snippets: Sequence[str], *, shape: bool) -> list[str]:
    trees = [_parse(code) for code in snippets]
    own = {name for tree in trees if tree is not None for name in _assigned(tree)}
    numbered: dict[str, str] = {}

    def rename(name: str) -> str:
        if name not in own:
            return name
        return "v" if shape else numbered.setdefault(name, f"v{len(numbered)}")

    tokens: list[str] = []
    for code, tree in zip(snippets, trees, strict=True):
        tokens.append("snippet")
        if tree is None:
            words = _WORD.findall(code)
            tokens += [re.sub(r"\d+", "0", word) for word in words] if shape else words
        else:
            tokens += _write(tree, rename, shape)
    return tokens


@lru_cache(maxsize=64)  # an attempt is asked three things in a row
def _parse(code: str) -> ast.Module | None:
    """The tree, or None for what is no Python, too long or nested without sense."""
    if len(code) > LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # model-written code is full of invalid escapes
            tree = ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return tree if _depth_within(tree, _DEPTH) else None


def _depth_within(tree: ast.AST, limit: int) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(limit):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return True
    return False


def _assigned(tree: ast.AST) -> Iterator[str]:
    """Names that the program gives, as opposed to those it finds. A builtin that is shadowed stays itself."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                if not hasattr(builtins, name):
                    yield name


def _write(node: ast.AST, rename: Callable[[str], str], shape: bool) -> Iterator[str]:
    match node:
        case ast.Import() | ast.ImportFrom() if shape:
            return
        case ast.Expr(value=ast.Constant(value=str())):
            return  # a docstring, or a comment in its clothes
        case ast.Name(id=name):
            yield rename(name)
            return
        case ast.Constant(value=value):
            yield type(value).__name__ if shape else repr(value)[:200]
            return
        case ast.JoinedStr(values=values):
            shown = [part for part in values if isinstance(part, ast.FormattedValue)] if shape else values
            yield "text("
            for part in shown:
                yield from _write(part, rename, shape)
            yield ")"
            return
    yield type(node).__name__ + "("
    for _, value in ast.iter_fields(node):
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.AST):
                yield from _write(item, rename, shape)
            elif isinstance(item, str):
                yield rename(item)
    yield ")"
