"""Canonical JSON, content hashes, derived seeds, and the manifest that says what made an artefact.

One idea: two things are the same when their canonical JSON is the same bytes, so a hash of it can key a journal,
check a shard and name an input. Hashes carry their algorithm: `sha256:…`.

What this module does not do: it decides nothing about where files lie (`store`).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import types
import typing
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from mario import types as records

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """Records, enums, tuples and mappings as plain JSON values; what is empty by default and empty is left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: to_json(item)
            for f in dataclasses.fields(value)
            if not _is_empty_default(f, item := getattr(value, f.name))
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has neither NaN nor infinity; a rate over nothing is null
    return value


def _is_empty_default(f: dataclasses.Field[Any], item: Any) -> bool:
    if item is None:
        return f.default is None
    if item == ():
        return f.default == ()
    return item == {} and f.default_factory is dict


def from_json(kind: type[T], value: Any) -> T:
    """Rebuild a record from `to_json`'s output.

    Raises:
        TypeError: a field is missing, unknown, or has the wrong type; the message names the record and the field.
    """
    return typing.cast(T, _decode(kind, value, kind.__name__))


def _decode(kind: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(kind)
        if value is None and type(None) in options:
            return None
        return _decode(next(o for o in options if o is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise TypeError(f"{where}: expected a list, got {type(value).__name__}")
        item_kind = typing.get_args(kind)[0]
        return tuple(_decode(item_kind, item, f"{where}[{i}]") for i, item in enumerate(value))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise TypeError(f"{where}: expected an object, got {type(value).__name__}")
        return dict(value)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise TypeError(f"{where}: expected an object, got {type(value).__name__}")
        hints = _hints(typing.cast(type, kind))
        unknown = set(value) - set(hints)
        if unknown:
            raise TypeError(f"{where}: unknown field {sorted(unknown)[0]!r}")
        try:
            return typing.cast(type, kind)(
                **{name: _decode(hints[name], item, f"{where}.{name}") for name, item in value.items()}
            )
        except TypeError as error:
            if "missing" in str(error):
                raise TypeError(f"{where}: {str(error).split(') ', 1)[-1]}") from None
            raise
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError:
            raise TypeError(f"{where}: {value!r} is none of {[e.value for e in kind]}") from None
    if kind is float and value is None:
        return math.nan  # as `to_json` writes it
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        raise TypeError(f"{where}: expected {kind.__name__}, got {value!r}")
    return value


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; equal values give equal text. NaN and infinity are null."""
    return json.dumps(to_json(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(value: Any) -> str:
    """`sha256:` and the hex digest of the canonical JSON."""
    text = canonical_json(value).encode("utf-8", "surrogatepass")
    return "sha256:" + hashlib.sha256(text).hexdigest()


def file_hash(path: Path) -> str:
    """`sha256:` and the hex digest of a file's bytes."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def derive_seed(*parts: str | int) -> int:
    """A 63-bit seed from (run seed, problem id, sample index, …): a draw never depends on its position in a batch."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def now() -> str:
    """The time in UTC, to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def make_manifest(
    kind: str,
    recipe: Any,
    *,
    inputs: Mapping[str, str] | None = None,
    seeds: Mapping[str, int] | None = None,
    packages: Iterable[str] = ("mario-math", "sympy", "python-flint", "torch", "transformers", "openai", "numpy"),
) -> records.Manifest:
    """Describe what is about to make an artefact of this `kind`; add counts and seconds with `dataclasses.replace`."""
    return records.Manifest(
        kind=kind,
        recipe=to_json(recipe),
        inputs=dict(inputs or {}),
        seeds=dict(seeds or {}),
        code=code_version(),
        packages={name: found for name in packages if (found := installed_version(name))},
        hardware=hardware(),
        started=now(),
    )


def installed_version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def code_version() -> dict[str, Any]:
    """Version, and commit and dirty flag where the package runs from a checkout."""
    version: dict[str, Any] = {"version": installed_version("mario-math") or "unknown"}
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return version
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, timeout=10)
        status = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return version
    if commit.returncode == 0:
        version |= {"commit": commit.stdout.strip(), "dirty": bool(status.stdout.strip())}
    return version


@functools.cache
def hardware() -> dict[str, Any]:
    """Processor, cores, memory in MiB, and the system, as far as the standard library can tell."""
    found: dict[str, Any] = {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found["memory_mib"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        found |= {"processor": models[0]} if models else {}
    return found
