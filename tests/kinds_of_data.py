"""The same rows as a file, a stream, a frame: what is true of one must be true of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from backtest.data import open_bars
from backtest.models import Bar

__all__ = ["KINDS", "moment", "opened", "span", "spans"]

KINDS = ("csv", "csv stream", "parquet", "parquet stream", "pandas", "pandas index", "arrow")


class Foreign:
    """A frame of an unknown library: all it has is an Arrow stream, as polars frames do."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._table = pa.Table.from_pandas(frame, preserve_index=False)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


def opened(
    kind: str,
    times: Sequence[str] | None,
    folder: Path,
    columns: Mapping[str, Sequence[Any]] | None = None,
    **how: Any,
) -> Any:
    """The source of bars at ``times`` (or with ``columns`` of times), opened as a ``kind``."""
    given: Mapping[str, Sequence[Any]] = {"ts": times or ()} if columns is None else columns
    if kind.startswith("csv"):
        # As it is written: "2020-01-31" is a date, "23:59" is written to the minute.
        path = folder / "bars.csv"
        rows = zip(*given.values(), strict=True)
        lines = [",".join(map(str, row)) + ",1,1,1,1\n" for row in rows]
        path.write_text(",".join(given) + ",o,h,l,c\n" + "".join(lines))
        return open_bars(path, "BTCUSD", stream=kind.endswith("stream"), **how)
    frame = pd.DataFrame({name: _typed(column) for name, column in given.items()})
    frame[["open", "high", "low", "close"]] = 1.0
    if kind.startswith("parquet"):
        path = folder / "bars.parquet"
        frame.to_parquet(path)
        return open_bars(path, "BTCUSD", stream=kind.endswith("stream"), **how)
    if kind == "arrow":
        return open_bars(Foreign(frame), "BTCUSD", **how)
    return open_bars(frame.set_index("ts") if kind == "pandas index" else frame, "BTCUSD", **how)


def _typed(column: Sequence[Any]) -> Any:
    return pd.to_datetime(pd.Series(column)) if isinstance(column[0], str) else list(column)


def moment(text: str) -> int:
    """Nanoseconds of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def span(bar: Bar) -> str:
    """When a bar opens and closes, in UTC: ``"2020-01-31 23:00 to 2020-02-01 00:00"``."""
    return f"{bar.open_time:%Y-%m-%d %H:%M} to {bar.close_time:%Y-%m-%d %H:%M}"


def spans(source: Any) -> list[str]:
    """That of each bar."""
    return [span(bar) for bar in source]
