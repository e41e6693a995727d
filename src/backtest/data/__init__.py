"""Market data: readers of files and dataframes, a generator, and the merge by time."""

from __future__ import annotations

from backtest.data.csv_bars import CsvBars, read_csv, write_csv
from backtest.data.frames import FrameBars, ParquetBars, read_frame, read_parquet
from backtest.data.funding import read_funding
from backtest.data.merge import merge
from backtest.data.opening import open_bars, open_data, open_quotes, open_trades
from backtest.data.ranges import EVERYTHING, DataRange, events_of, range_of
from backtest.data.resample import ResampledBars, resample
from backtest.data.several import SeveralSources, parts_of
from backtest.data.sources import BarReader, BarSource, MemoryBars, canonical_digest
from backtest.data.synthetic import SyntheticBars, synthetic_bars, synthetic_pairs
from backtest.data.tick_sources import MemoryTicks, Tick, TickSource, tick_digest
from backtest.data.ticks import FileTicks, read_ticks

__all__ = [
    "EVERYTHING",
    "BarReader",
    "BarSource",
    "CsvBars",
    "DataRange",
    "FileTicks",
    "FrameBars",
    "MemoryBars",
    "MemoryTicks",
    "ParquetBars",
    "ResampledBars",
    "SeveralSources",
    "SyntheticBars",
    "Tick",
    "TickSource",
    "canonical_digest",
    "events_of",
    "merge",
    "open_bars",
    "open_data",
    "open_quotes",
    "open_trades",
    "parts_of",
    "range_of",
    "read_csv",
    "read_frame",
    "read_funding",
    "read_parquet",
    "read_ticks",
    "resample",
    "synthetic_bars",
    "synthetic_pairs",
    "tick_digest",
    "write_csv",
]
