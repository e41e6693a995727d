"""Funding rates from a file."""

from __future__ import annotations

import csv
import os
from decimal import Decimal

from backtest.data._files import InputFile
from backtest.data._stamps import StampReader, zone_of
from backtest.errors import BacktestError, DataError
from backtest.models import Funding
from backtest.money import decimal_of

__all__ = ["read_funding"]

_TIMES = ("time", "timestamp", "fundingtime", "funding_time", "calc_time", "datetime", "date")
_RATES = ("rate", "fundingrate", "funding_rate", "last_funding_rate")


def read_funding(path: str | os.PathLike[str], tz: str | None = None) -> Funding:
    """`Funding` from a CSV file (also ``.gz``) with a header: a column of times, one of rates.

    Names as exchanges write them are known (``fundingTime``, ``fundingRate``, ``calc_time``,
    ``last_funding_rate`` …). Times are read as those of bars are. Raises `DataError` with the line.
    """
    stamps = StampReader(zone_of(tz))
    rows: list[tuple[int, Decimal]] = []
    line = 1
    try:
        with InputFile(path).text() as text:
            reader = csv.reader(text)
            header = [name.strip().lower().lstrip("\ufeff") for name in next(reader, [])]
            time_at, rate_at = _column(header, _TIMES), _column(header, _RATES)
            for row in reader:
                line = reader.line_num
                if row:
                    rows.append((stamps.read(row[time_at]), decimal_of(row[rate_at], "rate")))
        return Funding(schedule=rows)
    except DataError:
        raise
    except IndexError:
        raise DataError("a column is missing", source=os.fspath(path), line=line) from None
    except (ValueError, BacktestError, UnicodeDecodeError) as error:
        raise DataError(str(error), source=os.fspath(path), line=line) from None


def _column(header: list[str], names: tuple[str, ...]) -> int:
    for place, name in enumerate(header):
        if name in names:
            return place
    raise ValueError(f"no column is called {' or '.join(names)}; there are: {', '.join(header)}")
