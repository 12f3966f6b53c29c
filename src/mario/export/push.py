"""Onto the hub, a data set or a model; and everything that can be checked before, without a network.

What this module does not do: log in. The token is the hub library's own (`hf auth login`, or HF_TOKEN).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mario.errors import DataError, MissingExtra, StoreError, UsageError
from mario.provenance import file_hash
from mario.store.run import read_manifest

Kind = Literal["dataset", "model"]
_OURS = {"refused.jsonl", "checkpoints"}  # of a trained directory: rows that nobody trained on, and what resuming needs


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be sent where. `token` says whether the hub's library has one."""

    kind: Kind
    repository: str
    private: bool
    files: int
    bytes: int
    token: bool


def plan_push(folder: Path, repository: str, *, private: bool = True) -> Plan:
    """Check the data set, its card and the name.

    Raises:
        UsageError: the hub takes no such name. DataError: a file has changed since it was written, or the card is bad.
    """
    check_name(repository)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for name, said in manifest["files"].items():
        if file_hash(folder / name) != said["hash"]:
            raise DataError(f"{folder / name} has changed since it was exported; export again")
    return _plan("dataset", folder, repository, private)


def plan_model_push(folder: Path, repository: str, *, private: bool = True) -> Plan:
    """Check a trained directory, its card and the name.

    Raises:
        UsageError: the hub takes no such name. StoreError: no run of ours made the directory.
        DataError: its training is not finished, a part is missing, or the card is bad.
    """
    check_name(repository)
    if read_manifest(folder).seconds is None:
        raise DataError(f"{folder} is not trained to its end; run the command that trains it again")
    for name in ("config.json", "generation_config.json", "*.safetensors", "tokenizer_config.json", "README.md"):
        if not any(folder.glob(name)):
            raise DataError(f"{folder} has no {name}; train it again, or copy what its training wrote")
    return _plan("model", folder, repository, private)


def check_name(repository: str) -> None:
    """Raises:
    UsageError: the hub takes no such name.
    """
    try:
        _hub().utils.validate_repo_id(repository)
        if repository.count("/") != 1:
            raise ValueError("expected OWNER/NAME")
    except ValueError as error:
        raise UsageError(f"push to {repository!r}: {error}; write OWNER/NAME") from error


def _plan(kind: Kind, folder: Path, repository: str, private: bool) -> Plan:
    hub = _hub()
    try:
        (hub.ModelCard if kind == "model" else hub.DatasetCard).load(folder / "README.md", ignore_metadata_errors=False)
    except ValueError as error:
        raise DataError(f"{folder / 'README.md'}: the hub cannot read its header: {error}") from error
    files = list(_public(folder))
    size = sum(file.stat().st_size for file in files)
    return Plan(kind, repository, private, len(files), size, bool(hub.get_token()))


def push(folder: Path, plan: Plan) -> str:
    """Create the repository where it is missing and upload; returns its address.

    Raises:
        StoreError: the hub refused or cannot be reached.
    """
    hub = _hub()
    names = [path.relative_to(folder).as_posix() for path in _public(folder)]
    try:
        api = hub.HfApi()
        where = api.create_repo(plan.repository, repo_type=plan.kind, private=plan.private, exist_ok=True)
        api.upload_folder(
            repo_id=plan.repository,
            repo_type=plan.kind,
            folder_path=folder,
            allow_patterns=names,
            commit_message="As written by mario; see manifest.json",
        )
    except Exception as error:  # the hub's library has no common class for refusals and lost connections
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise StoreError(
            f"{plan.repository} cannot be pushed to: {first}; check the name, the network and hf auth whoami"
        ) from error
    return str(where)


def _public(folder: Path) -> Iterator[Path]:
    """Everything but dot files and what concerns nobody else."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and parts[0] not in _OURS and not any(part.startswith(".") for part in parts):
            yield path


def _hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.utils
    except ImportError:
        raise MissingExtra("huggingface-hub (to push)", "hf") from None
    return huggingface_hub
