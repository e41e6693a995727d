"""Quotes and trades from CSV files, Parquet files and dataframes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import evolve

from backtest.data._assemble import check_decimal, pair_code
from backtest.data._assemble_ticks import TickAssembler
from backtest.data._columns import TickColumns, find_tick_columns
from backtest.data._csv_rows import CsvRows
from backtest.data._csv_table import CsvTable
from backtest.data._files import InputFile
from backtest.data._frame_rows import FrameRows, table_of
from backtest.data._notices import Notices
from backtest.data._rows import Rows
from backtest.data._stamps import StampReader
from backtest.data._symbols import no_rows
from backtest.data._tables import ParquetTable
from backtest.data._zones import zone_of
from backtest.data.tick_sources import MemoryTicks, Tick, TickSource, check_kind, tick_digest
from backtest.models.trading_pair import TradingPair

__all__ = ["FileTicks", "not_for_ticks", "read_ticks"]

PARQUET = {".parquet", ".pq"}


def read_ticks(
    data: Any,
    pair: str | TradingPair,
    kind: str,
    *,
    tz: str | tzinfo | None = None,
    symbol: str | None = None,
    stream: bool = False,
    decimal: str = ".",
    ignored: Sequence[str] = (),
) -> TickSource:
    """The quotes or trades of a file or dataframe: a list, or with ``stream`` read as one goes.
    ``ignored`` are settings that say nothing of them.

    Arguments and errors as `FileTicks`.
    """
    source = FileTicks(data, pair, kind, tz=tz, symbol=symbol, decimal=decimal)
    if ignored:
        source.tell_ignored(ignored)
    if stream:
        return source
    loaded = MemoryTicks(
        list(source), pair, kind, name=source.name, digest=source.digest(), rounded=source.rounded
    )
    loaded.reading, loaded.notices = source.reading, source.notices
    return loaded


def not_for_ticks(source: TickSource, settings: Sequence[str]) -> Sequence[str]:
    """The notice that ``settings`` say nothing of a ``source`` in memory."""
    notices = Notices(getattr(source, "name", "source"), source.pair)
    notices.not_for(source.kind, settings)
    return tuple(notices.told)


class FileTicks:
    """A file or dataframe of quotes or trades, read anew for each iteration, in batches.

    Args:
        data: path of a CSV (plain or gzip) or Parquet file, or a dataframe.
        pair: the code that the ticks get (or a `TradingPair`).
        kind: ``"quotes"`` or ``"trades"``.
        tz: the zone of times that name none; None: UTC.
        symbol: the rows to take where there is a column of symbols; None: those of the pair's
            code, or all when there is one symbol only.
        decimal: the mark of decimals in text, ``"."`` or ``","``.

    Raises `DataError` with file and line for whatever cannot be read exactly, `ConfigError` for
    arguments that make no sense.
    """

    def __init__(
        self,
        data: Any,
        pair: str | TradingPair,
        kind: str,
        *,
        tz: str | tzinfo | None = None,
        symbol: str | None = None,
        decimal: str = ".",
    ) -> None:
        self.pair = pair_code(pair)
        self.kind = check_kind(kind)
        zone = zone_of(tz)
        self._zone = zone
        self.reading: Mapping[str, str | None] = {
            "tz": "UTC" if zone is None else str(zone),
            "decimal": check_decimal(decimal),
        }
        """How it is read, as plain data."""
        self._file = InputFile(data) if isinstance(data, (str, os.PathLike)) else None
        self._digest: str | None = None
        self._rows: Rows
        if self._file is not None and Path(self._file.name).suffix.lower() not in PARQUET:
            table = CsvTable(self._file)
            self.columns = self._find(table.names, table.name, table.header_line)
            self._rows = CsvRows(table, self.columns, self.pair, symbol, decimal)
        else:
            typed = (
                table_of(data, self.pair, symbol)
                if self._file is None
                else ParquetTable(self._file.name)
            )
            name = "dataframe" if self._file is None else self._file.name
            self.columns = self._find(typed.names, name, None)
            self._rows = FrameRows(typed, name, self.columns, self.pair, symbol, decimal)
        self.name = self._rows.name
        self.symbol = self._rows.symbol
        self._notices = Notices(self.name, self.pair)
        next(iter(self))  # what is wrong from the start is refused here, not in the middle of a run
        sizes = [name for name in ("bid_size", "ask_size") if name in self.columns.at]
        if sizes and not self._is_sized(len(sizes)):
            names = [self.columns.names[self.columns.at[name]] for name in sizes]
            self._notices.no_volume("size", names)
            at = {name: place for name, place in self.columns.at.items() if name not in sizes}
            self.columns = self._rows.columns = evolve(self.columns, at=at)

    def _find(self, names: Any, source: str, line: int | None) -> TickColumns:
        return find_tick_columns(names, self.kind, source=source, line=line)

    def __repr__(self) -> str:
        return f"<{self.kind} of {self.pair} in {self.name}>"

    def tell_ignored(self, settings: Sequence[str]) -> None:
        """Say of ``settings`` that they concern bars alone."""
        self._notices.not_for(self.kind, settings)

    @property
    def notices(self) -> Sequence[str]:
        """What was left out, in words."""
        return tuple(self._notices.told)

    def _is_sized(self, sizes: int) -> bool:
        """Whether any quote has a size: sources that know none write zeros, at which nothing could
        ever be had."""

        def convert(_: object, numbers: list[list[Decimal]], __: object) -> list[bool]:
            return [any(map(any, numbers[-sizes:]))]

        stamps = StampReader(self._zone, self.columns.unit)
        return any(found for (found,) in self._rows.read(stamps, convert))

    @property
    def rounded(self) -> bool:
        """Whether numbers came as binary floats: see `BarReader`."""
        return self._rows.rounded

    def digest(self) -> str:
        """SHA-256 (hex) of the file's bytes; of a dataframe, the ticks' `tick_digest`."""
        if self._file is not None:
            return self._file.digest()
        if self._digest is None:
            self._digest = tick_digest(self)
        return self._digest

    def __iter__(self) -> Iterator[Tick]:
        stamps = StampReader(self._zone, self.columns.unit)
        assembler = TickAssembler(self.pair, self.columns, self._notices)
        empty = True
        if self.kind == "quotes":
            for quotes in self._rows.read(stamps, assembler.quotes):
                empty = False
                yield from quotes
        else:
            for trades in self._rows.read(stamps, assembler.trades):
                empty = False
                yield from trades
        if empty:
            raise no_rows(self.symbol, self.name, self.kind.removesuffix("s"))
