"""Flags from recipes: every setting of a recipe class is a dotted flag, in the file's spelling."""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from mario.errors import UsageError
from mario.recipe import Setting, build, flag_value, read_toml, set_path, settings, unknown_key

T = TypeVar("T")
_FLAG = "flag:"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, add_help=False, **options
        )
        self.add_argument("-h", "--help", action="help", help="show this and stop")

    def format_usage(self) -> str:
        """Without the settings: they are listed below, and there are many."""
        plain = argparse.ArgumentParser(prog=self.prog, add_help=False)
        for action in self._actions:
            if not action.dest.startswith(_FLAG):
                plain._add_action(action)
        return plain.format_usage().rstrip() + " [--setting VALUE …]\n"

    def format_help(self) -> str:
        self.usage = self.format_usage().removeprefix("usage: ").rstrip()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see: {self.prog} --help")

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        args, rest = self.parse_known_args(argv)
        if rest:
            known = [option.removeprefix("--") for action in self._actions for option in action.option_strings]
            if rest[0].startswith("--"):
                self.error(unknown_key(rest[0].removeprefix("--").split("=")[0], known, "flag"))
            self.error(f"unexpected argument {rest[0]!r}")
        return args


def add_settings(
    parser: Parser, kind: type, *, skip: Sequence[str] = (), short: Mapping[str, str] | None = None
) -> None:
    """One flag a setting, but for those in `skip`, which are positional; `short` gives some paths a second name."""
    parser.add_argument("--recipe", type=Path, metavar="FILE", help="TOML file with these settings; flags win over it")
    group = parser.add_argument_group("settings")
    for setting in settings(kind):
        if setting.path in skip:
            continue
        names = [f"--{setting.path}"]
        if "_" in setting.path:
            names.append(f"--{setting.path.replace('_', '-')}")
        if short and setting.path in short:
            names.append(f"--{short[setting.path]}")
        action = group.add_argument(
            *names,
            dest=_FLAG + setting.path,
            default=argparse.SUPPRESS,
            metavar=_metavar(setting),
            help=_help(setting),
        )
        if setting.kind is bool:  # `--interpreter.unsafe` alone says true
            action.nargs, action.const = "?", "true"


def resolve(kind: type[T], args: argparse.Namespace, **given: Any) -> T:
    """The recipe: defaults, then the file, then positional arguments (`given`), then flags.

    Raises:
        UsageError: see `recipe.build`.
    """
    recipe: Path | None = getattr(args, "recipe", None)
    where = f"recipe {recipe}" if recipe else "flags"
    tables = read_toml(recipe) if recipe else {}
    needed = {setting.path for setting in settings(kind) if setting.default is dataclasses.MISSING}
    for path, value in given.items():
        if value is not None and value != []:
            set_path(tables, path, value)
        elif path in needed and path not in tables:
            raise UsageError(f"{where}: {path} is missing; name it after the verb, without a flag")
    kinds = {setting.path: setting.kind for setting in settings(kind)}
    for name, text in vars(args).items():
        if name.startswith(_FLAG):
            path = name.removeprefix(_FLAG)
            set_path(tables, path, flag_value(kinds[path], text))
    return build(kind, tables, where)


def given(args: argparse.Namespace, path: str) -> bool:
    """Whether a setting was given as a flag."""
    return hasattr(args, _FLAG + path)


def _metavar(setting: Setting) -> str:
    if typing.get_origin(setting.kind) is typing.Literal:
        return "|".join(map(str, typing.get_args(setting.kind)))
    return setting.path.rsplit(".", 1)[-1].upper()


def _help(setting: Setting) -> str:
    default = "" if setting.default is dataclasses.MISSING else f" [{_shown(setting.default)}]"
    return (setting.help + default).replace("%", "%%")


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return ",".join(map(str, default)) or "none"
    return "none" if default is None else str(default)
