"""Tables in Parquet (extra ``parquet``).

Amounts are stored as text: a Parquet decimal has at most 38 digits in most readers, an amount here
may have more, and a float would not be the number. Times are ``timestamp[ns, UTC]``, counters
integers, flags booleans, and nothing is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from backtest.analysis.tables.tables import BOOLEANS, INTEGERS, TIMES, Row
from backtest.analysis.tables.times import moment_ns
from backtest.errors import DataError, MissingExtra
from backtest.times import format_ns

__all__ = ["arrow", "read_parquet", "write_parquet"]

_BATCH = 50_000


def arrow() -> Any:
    """The package pyarrow, or `MissingExtra`."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow", "parquet", "writing and reading Parquet files") from None
    return pyarrow


def write_parquet(path: Path, columns: Row, rows: Iterable[Row]) -> int:
    """Write a table; the number of its rows."""
    pa = arrow()
    schema = pa.schema([(name, _type(pa, name)) for name in columns])
    number, source = 0, iter(rows)
    with pa.parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(source, _BATCH)):
            values = [
                pa.array([_value(name, row[at]) for row in batch], schema.field(at).type)
                for at, name in enumerate(columns)
            ]
            writer.write_table(pa.table(values, schema=schema))
            number += len(batch)
    return number


def read_parquet(path: Path, columns: Row) -> Iterator[Row]:
    """The rows of a table, as the text they were. Raises `DataError` for a file that is none."""
    pa = arrow()
    try:
        with pa.parquet.ParquetFile(path) as file:
            expected = pa.schema([(name, _type(pa, name)) for name in columns])
            if not file.schema_arrow.equals(expected):
                raise DataError(f"must have the columns {', '.join(columns)}", source=path)
            for batch in file.iter_batches(_BATCH):
                texts = [_texts(pa, name, batch.column(at)) for at, name in enumerate(columns)]
                yield from zip(*texts, strict=True)
    except pa.ArrowInvalid as error:
        raise DataError(f"is not a Parquet file: {error}", source=path) from None


def _type(pa: Any, name: str) -> Any:
    if name in TIMES:
        return pa.timestamp("ns", tz="UTC")
    if name in INTEGERS:
        return pa.int64()
    return pa.bool_() if name in BOOLEANS else pa.string()


def _value(name: str, text: str) -> Any:
    if not text:
        return None
    if name in TIMES:
        return moment_ns(text)
    if name in INTEGERS:
        return int(text)
    return text == "true" if name in BOOLEANS else text


def _texts(pa: Any, name: str, column: Any) -> list[str]:
    if name in TIMES:
        column = column.cast(pa.int64())
        return ["" if value is None else format_ns(value) for value in column.to_pylist()]
    values = column.to_pylist()
    if name in BOOLEANS:
        return ["" if value is None else ("true" if value else "false") for value in values]
    return ["" if value is None else str(value) for value in values]
