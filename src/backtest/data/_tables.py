"""Tables in memory or in Parquet as typed columns of plain Python values.

Two kinds of table are understood: Arrow's (Parquet, polars and whatever else speaks the Arrow C
stream) and pandas' (by way of numpy, so that pandas does not need pyarrow). Both give `Batch`es.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from attrs import frozen

from backtest.data._columns import known_names
from backtest.data._stamps import UNITS
from backtest.data._symbols import choose_symbol
from backtest.errors import DataError, MissingExtra
from backtest.times import DAY

__all__ = ["ArrowTable", "Batch", "Column", "PandasTable", "ParquetTable", "Table", "required"]

_BATCH_ROWS = 8192
_EPOCH = datetime(1970, 1, 1)


def required(package: str, extra: str, purpose: str) -> Any:
    """The module ``package``, or `MissingExtra` that names the extra which brings it."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise MissingExtra(package.partition(".")[0], extra, purpose) from None


@frozen
class Column:
    """Values of one column of a batch.

    ``kind`` tells what they are: "utc" (ns since 1970 UTC), "local" (ns as if the wall clock were
    UTC's), "date" (likewise, of its midnight), "int", "float", "decimal" (text, with the zeros that
    fill the column) or "text". A missing value is None. ``inexact``: the values were binary floats
    in the table, whatever they are now.
    """

    kind: str
    values: Sequence[Any]
    inexact: bool = False


class Batch(Protocol):
    """Some consecutive rows of a table, less those left out by `where`."""

    def column(self, at: int) -> Column:
        """The column at a position; a `TypeError` tells what the column is if not of any kind."""

    def where(self, at: int, text: str) -> Batch | None:
        """The rows that hold ``text`` in a column, or None if there are none."""

    def row(self, index: int) -> int:
        """The number, from 1, that row ``index`` of this batch has in the table."""


class Table(Protocol):
    """Named columns that can be read in batches as often as one likes."""

    names: Sequence[str]

    def batches(self, columns: Sequence[int]) -> Iterator[Batch]:
        """The batches; positions not in ``columns`` need not be read."""

    def zone(self, at: int) -> str | None:
        """The name of the time zone that a column of times has; None for one that has none."""


# -- Arrow -----------------------------------------------------------------------------------------


class _ArrowBatch:
    def __init__(self, batch: Any, names: Sequence[str], before: int, chosen: Any = None) -> None:
        self._batch = batch
        self._names = names
        self._before = before
        self._chosen = chosen

    def column(self, at: int) -> Column:
        return _arrow_column(self._batch.column(self._names[at]))

    def where(self, at: int, text: str) -> _ArrowBatch | None:
        pa, pc = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.compute")
        column = _decoded(self._batch.column(self._names[at]))
        mask = pc.fill_null(pc.equal(column.cast(pa.string()), text), False)
        batch = self._batch.filter(mask)
        return _ArrowBatch(batch, self._names, self._before, mask) if batch.num_rows else None

    def row(self, index: int) -> int:
        if self._chosen is not None:
            index = [at for at, take in enumerate(self._chosen.to_pylist()) if take][index]
        return self._before + index + 1


def _arrow_column(array: Any) -> Column:
    pa = importlib.import_module("pyarrow")
    array = _decoded(array)
    types, type_ = pa.types, array.type
    if types.is_timestamp(type_):
        unit = UNITS[type_.unit]
        kind = "local" if type_.tz is None else "utc"
        return Column(kind, _scaled(_plain(array.cast(pa.int64())), unit))
    if types.is_date(type_):
        days = array.cast(pa.date32()).cast(pa.int32())
        return Column("date", _scaled(_plain(days), DAY))
    if types.is_integer(type_):
        return Column("int", _plain(array))
    if types.is_float64(type_):
        return Column("float", _plain(array), inexact=True)
    if types.is_float16(type_):
        array = array.cast(pa.float32())  # arrow writes no text of a float16
    if types.is_floating(type_):
        # As text: the shortest that tells the number, 7160.69 and not 7160.68994140625.
        return Column("text", array.cast(pa.string()).to_pylist(), inexact=True)
    if types.is_decimal(type_):
        # By way of text: as exact, and in half the time.
        return Column("decimal", array.cast(pa.string()).to_pylist())
    if types.is_boolean(type_):
        return Column("text", [None if one is None else str(one) for one in array.to_pylist()])
    if types.is_string(type_) or types.is_large_string(type_):
        return Column("text", array.to_pylist())
    raise TypeError(str(type_))


def _decoded(array: Any) -> Any:
    """The values of a dictionary array (a categorical column); any other as it is."""
    types = importlib.import_module("pyarrow").types
    return array.dictionary_decode() if types.is_dictionary(array.type) else array


def _without_views(table: Any) -> Any:
    """``table`` with plain strings for string views, which polars gives and Arrow cannot filter."""
    pa = importlib.import_module("pyarrow")
    for at, column in enumerate(table.columns):
        if "string_view" not in str(column.type):
            continue
        chunks = column.chunks
        if pa.types.is_dictionary(column.type):
            chunks = [
                pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(pa.string()))
                for chunk in chunks
            ]
            chunks = [chunk.dictionary_decode() for chunk in chunks]
        plain = pa.chunked_array([chunk.cast(pa.string()) for chunk in chunks], pa.string())
        table = table.set_column(at, table.column_names[at], plain)
    return table


def _plain(array: Any) -> Sequence[Any]:
    """`to_pylist`, ten times as fast where numpy is there and nothing is missing."""
    if not array.null_count:
        try:
            return array.to_numpy(zero_copy_only=False).tolist()  # type: ignore[no-any-return]
        except ImportError:
            pass
    return array.to_pylist()  # type: ignore[no-any-return]


def _scaled(values: Sequence[Any], unit: int) -> Sequence[Any]:
    if unit == 1:
        return values
    return [None if value is None else value * unit for value in values]


class ArrowTable:
    """Anything that exports an Arrow C stream: a pyarrow table, a polars frame and so on."""

    def __init__(self, frame: Any) -> None:
        pa = required("pyarrow", "parquet", "reading a dataframe")
        try:
            self._table = _without_views(pa.table(frame))
        except (TypeError, ValueError) as error:
            raise DataError(f"cannot be read as a table ({error})", source="dataframe") from None
        self.names: Sequence[str] = self._table.column_names

    def zone(self, at: int) -> str | None:
        return getattr(self._table.schema.field(at).type, "tz", None)

    def batches(self, columns: Sequence[int]) -> Iterator[_ArrowBatch]:
        before = 0
        for batch in self._table.to_batches(max_chunksize=_BATCH_ROWS):
            if batch.num_rows:
                yield _ArrowBatch(batch, self.names, before)
            before += batch.num_rows


class ParquetTable:
    """A Parquet file, read some row groups' pages at a time."""

    def __init__(self, path: str) -> None:
        self._parquet = required("pyarrow.parquet", "parquet", "reading Parquet")
        self._path = path
        with self._opened() as file:
            self._schema = file.schema_arrow
        self.names: Sequence[str] = self._schema.names

    def zone(self, at: int) -> str | None:
        return getattr(self._schema.field(at).type, "tz", None)

    def _opened(self) -> Any:
        arrow_error = importlib.import_module("pyarrow").ArrowException
        try:
            return self._parquet.ParquetFile(self._path)
        except (arrow_error, OSError) as error:
            raise DataError(
                f"is not a readable Parquet file ({error})", source=self._path
            ) from None

    def batches(self, columns: Sequence[int]) -> Iterator[_ArrowBatch]:
        arrow_error = importlib.import_module("pyarrow").ArrowException
        before = 0
        names = [self.names[at] for at in sorted(set(columns))]
        with self._opened() as file:
            try:
                for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=names):
                    if batch.num_rows:
                        yield _ArrowBatch(batch, self.names, before)
                    before += batch.num_rows
            except (arrow_error, OSError) as error:
                raise DataError(
                    f"the Parquet file is damaged ({error}): fetch it again",
                    source=self._path,
                    line=before + 1,
                ) from None


# -- pandas ----------------------------------------------------------------------------------------


class _PandasBatch:
    def __init__(self, frame: Any, before: int, chosen: Any = None) -> None:
        self._frame = frame
        self._before = before
        self._chosen = chosen

    def column(self, at: int) -> Column:
        return _pandas_column(self._frame.iloc[:, at])

    def where(self, at: int, text: str) -> _PandasBatch | None:
        chosen = [value == text for value in self._frame.iloc[:, at].tolist()]
        frame = self._frame.loc[chosen]
        return _PandasBatch(frame, self._before, chosen) if len(frame) else None

    def row(self, index: int) -> int:
        if self._chosen is not None:
            index = [at for at, take in enumerate(self._chosen) if take][index]
        return self._before + index + 1


def _pandas_column(series: Any) -> Column:
    dtype = series.dtype
    kind = getattr(dtype, "kind", "O")
    if kind == "M" and not series.hasnans:
        aware = getattr(dtype, "tz", None) is not None
        moments = (series.dt.tz_convert(None) if aware else series).to_numpy("datetime64[ns]")
        return Column("utc" if aware else "local", moments.astype("int64").tolist())
    if kind in "iu" and not series.hasnans:
        return Column("int", series.tolist())
    if kind == "f" and not series.hasnans:
        numbers = series.to_numpy()
        if numbers.dtype.itemsize == 8:
            return Column("float", numbers.tolist(), inexact=True)
        return Column("text", [str(value) for value in numbers], inexact=True)
    if kind == "b":
        return Column("text", list(map(str, series.tolist())))
    return _object_column(series.tolist())


def _object_column(values: list[Any]) -> Column:
    """A column of Python objects: times if the first is one, else numbers and text, as text."""
    given = [None if _is_missing(value) else value for value in values]
    values = list(map(_native, given))
    first = next((value for value in values if value is not None), None)
    if isinstance(first, datetime):
        # A pandas Timestamp knows its nanoseconds, a datetime its microseconds.
        kind = "local" if first.tzinfo is None else "utc"
        return Column(kind, [_moment_ns(value, kind) for value in values])
    if isinstance(first, date):
        return Column("date", [_moment_ns(value, "date") for value in values])
    types = {type(value) for value in values if value is not None}
    if types - {str, Decimal, float, int, bool}:
        raise TypeError(type(first).__name__)
    # A float of single precision, too, goes by its own shortest text, not by that of its double.
    texts = [None if value is None else str(value) for value in given]
    return Column("decimal" if types == {Decimal} else "text", texts, inexact=float in types)


def _native(value: Any) -> Any:
    """A numpy scalar as what Python has for it; all else as it is."""
    scalar = type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0
    return value.item() if scalar else value


def _is_missing(value: Any) -> bool:
    """None, NaN, pandas' NA and NaT: none of them equals itself."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:
        return True  # pandas.NA refuses to be a bool


def _moment_ns(value: Any, kind: str) -> int | None:
    """Nanoseconds of a datetime or date that is of the column's kind; None for what is not."""
    if not isinstance(value, date):
        return None
    if not isinstance(value, datetime):
        return (value - _EPOCH.date()).days * DAY if kind != "utc" else None
    if (value.tzinfo is None) != (kind != "utc"):
        return None
    moment = value if value.tzinfo is None else (value - value.utcoffset()).replace(tzinfo=None)  # type: ignore[operator]
    since = moment - _EPOCH
    fine = getattr(value, "nanosecond", 0)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000 + int(fine)


def _of_one_ticker(frame: Any, pair: str, symbol: str | None) -> Any:
    """The columns of one ticker, with the ticker beside them in a column of symbols."""
    levels = [{*map(str, frame.columns.get_level_values(level))} for level in (0, 1)]
    prices = next((at for at in (0, 1) if known_names([*levels[at]]) >= 4), None)
    if prices is None:
        raise DataError(
            f"has columns in two levels, and neither names open, high, low and close: "
            f"{', '.join(map(str, frame.columns[:4]))}",
            source="dataframe",
        )
    tickers = levels[1 - prices]
    chosen = symbol or choose_symbol(None, tickers, pair, True, "dataframe") or min(tickers)
    if chosen not in tickers:
        raise DataError(
            f"has no columns of {chosen!r}: there are {', '.join(sorted(tickers)[:10])}",
            source="dataframe",
        )
    mine = [str(one) == chosen for one in frame.columns.get_level_values(1 - prices)]
    frame = frame.loc[:, mine]
    return frame.set_axis(frame.columns.get_level_values(prices), axis=1).assign(symbol=chosen)


class PandasTable:
    """A pandas DataFrame; an index with a name, or of times, counts as its first column.

    Of columns in two levels, as yfinance gives them (``Close`` of ``AAPL``), those of ``symbol``
    are taken, or of the ticker that fits ``pair``.
    """

    def __init__(self, frame: Any, pair: str, symbol: str | None) -> None:
        if frame.columns.nlevels == 2:
            frame = _of_one_ticker(frame, pair, symbol)
        index = frame.index
        if index.name is not None or getattr(index.dtype, "kind", "O") == "M":
            name = index.name if index.name is not None else "timestamp"
            try:
                frame = frame.rename_axis(name).reset_index()
            except ValueError as error:
                raise DataError(
                    f"the index cannot be taken as a column ({error}): rename it",
                    source="dataframe",
                ) from None
        self._frame = frame
        self.names: Sequence[str] = [str(name) for name in frame.columns]

    def zone(self, at: int) -> str | None:
        dtype = self._frame.dtypes.iloc[at]
        zone = getattr(dtype, "tz", None) or getattr(
            getattr(dtype, "pyarrow_dtype", None), "tz", None
        )
        return None if zone is None else str(zone)

    def batches(self, columns: Sequence[int]) -> Iterator[_PandasBatch]:
        for before in range(0, len(self._frame), _BATCH_ROWS):
            yield _PandasBatch(self._frame.iloc[before : before + _BATCH_ROWS], before)
