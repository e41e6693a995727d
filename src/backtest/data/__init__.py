"""Market data: readers of files and dataframes, a generator, and the merge by time."""

from __future__ import annotations

from backtest.data.csv_bars import CsvBars, read_csv, write_csv
from backtest.data.frames import FrameBars, ParquetBars, read_frame, read_parquet
from backtest.data.merge import merge
from backtest.data.opening import open_bars
from backtest.data.sources import BarReader, BarSource, MemoryBars, canonical_digest
from backtest.data.synthetic import SyntheticBars, synthetic_bars, synthetic_pairs

__all__ = [
    "BarReader",
    "BarSource",
    "CsvBars",
    "FrameBars",
    "MemoryBars",
    "ParquetBars",
    "SyntheticBars",
    "canonical_digest",
    "merge",
    "open_bars",
    "read_csv",
    "read_frame",
    "read_parquet",
    "synthetic_bars",
    "synthetic_pairs",
    "write_csv",
]
