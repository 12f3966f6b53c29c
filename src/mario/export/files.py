"""Writers whose bytes depend on the rows alone: no clock, no name of a machine, a fixed schema and fixed options.

What this module does not do: it knows no form; the schemas are those of `rows` and `forms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from mario.errors import MissingExtra
from mario.store.jsonl import dump_line, storing

ROW_GROUP = 500  # rows held before they are written: some MB


class JsonLines(AbstractContextManager["JsonLines"]):
    def __init__(self, path: Path) -> None:
        self._path = path
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = path.open("wb")

    def write(self, row: Any) -> None:
        with storing(self._path):
            self._file.write(dump_line(row))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        with storing(self._path):
            self._file.close()


class Parquet(AbstractContextManager["Parquet"]):
    """Rows of one schema; `schema` is one of this module's."""

    def __init__(self, path: Path, schema: Any) -> None:
        pyarrow, parquet = arrow()
        self._path, self._schema, self._arrow = path, schema, pyarrow
        self._rows: list[Mapping[str, Any]] = []
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = parquet.ParquetWriter(
                path, schema, version="2.6", compression="zstd", compression_level=9, data_page_version="1.0"
            )

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        with storing(self._path):
            self._writer.write_table(self._arrow.Table.from_pylist(_encodable(self._rows), schema=self._schema))
        self._rows = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._rows and kind is None:
            self._flush()
        with storing(self._path):
            self._writer.close()


def _encodable(value: Any) -> Any:
    """Half characters, which models do write, as their escapes: Arrow's strings are UTF-8."""
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case Mapping():
            return {name: _encodable(item) for name, item in value.items()}
        case list() | tuple():
            return [_encodable(item) for item in value]
    return value


def arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("pyarrow (to write Parquet)", "data") from None
    return pyarrow, parquet


def _messages_type(pa: Any) -> Any:
    function = pa.struct([("name", pa.string()), ("arguments", pa.struct([("code", pa.string())]))])
    call = pa.struct([("id", pa.string()), ("type", pa.string()), ("function", function)])
    return pa.list_(
        pa.struct(
            [
                ("role", pa.string()),
                ("content", pa.string()),
                ("tool_calls", pa.list_(call)),
                ("tool_call_id", pa.string()),
                ("name", pa.string()),
            ]
        )
    )


def _tools_type(pa: Any) -> Any:
    text = pa.string()
    code = pa.struct([("type", text), ("description", text)])
    parameters = pa.struct([("type", text), ("properties", pa.struct([("code", code)])), ("required", pa.list_(text))])
    function = pa.struct([("name", text), ("description", text), ("parameters", parameters)])
    return pa.list_(pa.struct([("type", text), ("function", function)]))


def row_schema() -> Any:
    """The columns of `rows.FIELDS`."""
    from mario.export.rows import FIELDS

    pa, _ = arrow()
    kinds = {
        "correct": pa.bool_(),
        "support": pa.int8(),
        "messages": _messages_type(pa),
        "tools": _tools_type(pa),
        "spans": pa.list_(pa.struct([("text", pa.string()), ("source", pa.string())])),
        "temperature": pa.float64(),
        "top_p": pa.float64(),
        **dict.fromkeys(("n_calls", "n_errors", "sample_index", "round"), pa.int32()),
        **dict.fromkeys(("prompt_tokens", "completion_tokens"), pa.int64()),
    }
    return pa.schema([(name, kinds.get(name, pa.string())) for name, _ in FIELDS])


def chat_schema() -> Any:
    """`messages` and `tools`."""
    pa, _ = arrow()
    return pa.schema([("messages", _messages_type(pa)), ("tools", _tools_type(pa))])


def rl_schema() -> Any:
    """verl's RL rows."""
    pa, _ = arrow()
    text = pa.string()
    return pa.schema(
        [
            ("data_source", text),
            ("prompt", pa.list_(pa.struct([("role", text), ("content", text)]))),
            ("ability", text),
            ("reward_model", pa.struct([("style", text), ("ground_truth", text)])),
            ("extra_info", pa.struct([("split", text), ("index", pa.int64()), ("problem_id", text)])),
        ]
    )
