"""What the server imports once, so that no kernel has to: the guest's packages, and what these import late.

The one idea: sympy imports parts of itself only when a function first needs them, some 25 ms of every program that
solves an equation. Such parts are imported here too, then put out of sight: until a snippet, or sympy, imports one of
them, `sys.modules` and the attributes of its parents are what they are in a plain interpreter, where
`import sympy; sympy.physics` is an error. The import then finds the part ready.

What it does not do: it calls nothing of the packages. Warming sympy's caches was measured and gained nothing.
"""

from __future__ import annotations

import importlib
import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

# What programs of three data sets import late, the most wanted first; each brings what it needs itself.
LATE = {
    "sympy": (
        "sympy.combinatorics",
        "sympy.integrals.heurisch",
        "sympy.integrals.manualintegrate",
        "sympy.integrals.risch",
        "sympy.sets.setexpr",
        "sympy.sets.handlers.functions",
        "sympy.sets.handlers.issubset",
        "sympy.assumptions.wrapper",
        "sympy.tensor.tensor",
        "sympy.vector",
        "sympy.physics.units",
    ),
}


def import_packages(names: Sequence[str]) -> dict[str, str]:
    """Import what is there; returns the reason for each that is not."""
    missing = {}
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            missing[name] = f"{type(error).__name__}: {error}"
    larder = Larder()
    for name in names:
        for late in LATE.get(name, ()) if name not in missing else ():
            larder.fill(late)
    larder.open()
    return missing


class Larder:
    """Modules that are imported but out of sight; a finder of the import system, first in `sys.meta_path`."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, ModuleType]] = {}  # module -> all that its import brings, itself among them

    def fill(self, name: str) -> None:
        """Import a module, as long as there is one, and remember what came with it."""
        before = set(sys.modules)
        try:
            importlib.import_module(name)
        except ImportError:  # another version of the package
            return
        group = {new: module for new, module in sys.modules.items() if new not in before}
        self._groups.update(dict.fromkeys(group, group))

    def open(self) -> None:
        """Put everything out of sight, and stand ready."""
        for name, group in self._groups.items():
            module = group[name]
            if sys.modules.pop(name, None) is module:
                _detach(name, module)
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        group = self._groups.get(name)
        if group is None:
            return None
        for member in group:
            self._groups.pop(member, None)
        for member, module in group.items():
            if member != name:  # that one the import system puts in place
                sys.modules[member] = module
            parent, _, child = member.rpartition(".")
            if owner := group.get(parent) or sys.modules.get(parent):
                setattr(owner, child, module)
        return ModuleSpec(name, _Ready(group[name]), is_package=hasattr(group[name], "__path__"))


class _Ready(importlib.abc.Loader):
    """The loader of a module that was loaded before."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, _spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


def _detach(name: str, module: ModuleType) -> None:
    parent, _, child = name.rpartition(".")
    if parent in sys.modules and vars(sys.modules[parent]).get(child) is module:
        delattr(sys.modules[parent], child)
