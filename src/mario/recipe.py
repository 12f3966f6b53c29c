"""Recipes: a tree of frozen dataclasses with defaults, filled from a TOML file and then from dotted flags.

One mechanism for files, flags and help: a setting is a field of a dataclass, its help is its line in the class's
docstring (`name: text`), and an unknown key is an error that names the nearest one. Checks of values stand in the
dataclasses' own `__post_init__`.

What this module does not do: it knows no setting by name, and reads no file but the recipe.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from mario.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setting:
    """One leaf of a recipe: its dotted path, type, default and help."""

    path: str
    kind: Any
    default: Any
    help: str


def settings(kind: type, prefix: str = "", owner: Any = None) -> Iterator[Setting]:
    """Every leaf of a recipe class, in order; `owner` is an instance whose values are the defaults."""
    hints = typing.get_type_hints(kind)
    notes = _field_notes(kind)
    for field in dataclasses.fields(kind):
        hint, default = hints[field.name], _default(field, owner)
        if dataclasses.is_dataclass(hint):
            inner = None if default is dataclasses.MISSING else default
            yield from settings(typing.cast(type, hint), f"{prefix}{field.name}.", inner)
        else:
            yield Setting(prefix + field.name, hint, default, notes.get(field.name, ""))


def read_toml(path: Path) -> dict[str, Any]:
    """A recipe file as nested tables.

    Raises:
        UsageError: the file is missing or not TOML; names the line.
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError as error:
        raise UsageError(f"recipe {path} does not exist; check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"recipe {path} is not TOML: {error}") from error
    except OSError as error:
        raise UsageError(f"recipe {path} cannot be read: {error.strerror}") from error


def build(kind: type[T], tables: Mapping[str, Any], where: str) -> T:
    """A recipe from nested tables; `where` opens every message.

    Raises:
        UsageError: a key is unknown (names the nearest), a value has the wrong type, or a check fails.
    """
    return typing.cast(T, _build(kind, tables, where, ""))


def _build(kind: Any, tables: Any, where: str, prefix: str, owner: Any = None) -> Any:
    """`owner` is what the enclosing class sets by default: keys that are not given keep its values."""
    if not isinstance(tables, Mapping):
        raise UsageError(f"{where}: {prefix.rstrip('.')} must be a table, got {tables!r}")
    hints = typing.get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind)]
    values: dict[str, Any] = {}
    for key, value in tables.items():
        if key not in known:
            raise UsageError(f"{where}: {unknown_key(prefix + key, [s.path for s in settings(kind, prefix)])}")
        hint = hints[key]
        if dataclasses.is_dataclass(hint):
            default = next(_default(field, owner) for field in dataclasses.fields(kind) if field.name == key)
            inner = None if default is dataclasses.MISSING else default
            values[key] = _build(hint, value, where, f"{prefix}{key}.", inner)
        else:
            values[key] = _convert(hint, value, f"{where}: {prefix}{key}")
    missing = [
        f.name for f in dataclasses.fields(kind) if f.name not in values and _default(f, owner) is dataclasses.MISSING
    ]
    if missing:
        raise UsageError(f"{where}: {prefix}{missing[0]} is missing; set it with --{prefix}{missing[0]}")
    try:
        return kind(**values) if owner is None else dataclasses.replace(owner, **values)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def unknown_key(key: str, known: Sequence[str], what: str = "key") -> str:
    """That `key` is unknown, and the nearest that is known; `what` names what keys are called here."""
    near = difflib.get_close_matches(key, known, 1, 0.5)
    if not near:
        leaf = key.rsplit(".", 1)[-1]
        near = [path for path in known if path.rsplit(".", 1)[-1] == leaf][:1]
    return f"unknown {what} {key!r}" + (f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}")


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None or value == "none":  # TOML has no null
            return None
        inner = next(option for option in typing.get_args(hint) if option is not type(None))
        return _convert(inner, value, where)
    if origin is Literal:
        if value not in typing.get_args(hint):
            raise UsageError(f"{where} must be one of {', '.join(map(str, typing.get_args(hint)))}, got {value!r}")
        return value
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(_convert(typing.get_args(hint)[0], item, where) for item in items)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise UsageError(f"{where} must be a table, got {value!r}")
        return dict(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise UsageError(f"{where} must be {_article(hint)}, got {json.dumps(value, default=str)}")
    return value


def _article(hint: type) -> str:
    names = {int: "an integer", float: "a number", str: "a text", bool: "true or false", Path: "a path"}
    return names.get(hint, hint.__name__)


def flag_value(hint: Any, text: str) -> Any:
    """A flag's text as a value of its setting's type: TOML where it reads as such, else the text itself."""
    options = [option for option in typing.get_args(hint) if option is not type(None)]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        if text == "none":
            return None
        return flag_value(options[0], text)
    if hint in (str, Path):
        return text
    if typing.get_origin(hint) is tuple and not text.startswith("["):
        return [flag_value(options[0], item) for item in text.split(",") if item]
    return toml_value(text)


def toml_value(text: str) -> Any:
    """What a text says as a TOML value; itself where it says none."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def set_path(tables: dict[str, Any], path: str, value: Any) -> None:
    """Set a dotted path in nested tables.

    Raises:
        UsageError: the path leads through something that is no table.
    """
    *parents, leaf = path.split(".")
    for depth, name in enumerate(parents, start=1):
        tables = tables.setdefault(name, {})
        if not isinstance(tables, dict):
            raise UsageError(f"{path} cannot be set: {'.'.join(parents[:depth])} is {tables!r}, not a table")
    tables[leaf] = value


def _default(field: dataclasses.Field[Any], owner: Any = None) -> Any:
    if owner is not None:
        return getattr(owner, field.name)
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return dataclasses.MISSING


_NOTE = re.compile(r"^\s*(\w+): (.*)$")


def _field_notes(kind: type) -> dict[str, str]:
    """The `name: text` lines of a class docstring; indented lines go on with the note above."""
    names = {field.name for field in dataclasses.fields(kind)}
    notes: dict[str, str] = {}
    current: str | None = None
    for line in (kind.__doc__ or "").splitlines():
        found = _NOTE.match(line)
        if found and found.group(1) in names:
            current = found.group(1)
            notes[current] = found.group(2).strip()
        elif current and line.strip():
            notes[current] += " " + line.strip()
        else:
            current = None
    return notes
