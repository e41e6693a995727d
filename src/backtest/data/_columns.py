"""Which column of a table is what, found by its name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from backtest.errors import DataError
from backtest.times import SECOND

__all__ = ["Columns", "find_columns", "known_names", "normal"]

_FIELDS = {
    "open": ("open", "o", "open_price"),
    "high": ("high", "h", "high_price"),
    "low": ("low", "l", "low_price"),
    "close": ("close", "c", "close_price"),
    "volume": ("volume", "vol", "v"),
    "symbol": ("symbol", "pair", "ticker", "instrument"),
}
_TIMES = ("open_time", "timestamp", "datetime", "ts", "unix", "epoch", "time", "date")
"""In order of preference, when a table has several; ``date`` with ``time`` are read as one."""
_WITH_UNIT = re.compile(r"(?:ts|timestamp|time|datetime|date|unix|epoch|open_time)_(ns|us|ms|s)")
_UNITS = {"s": SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
_CLOSING = "close_time"
_QUOTES = {"bid", "ask", "bid_price", "ask_price"}
_ALIASES = {alias for aliases in _FIELDS.values() for alias in aliases}
_KNOWN = {*_ALIASES, *_TIMES, *_QUOTES, _CLOSING, "price"}


@frozen(kw_only=True)
class Columns:
    """Positions of the columns of a table.

    ``time`` holds one position, or two (date and time of day); ``unit`` the nanoseconds of one unit
    when the time column's name tells it; ``names`` the names as the table spells them.
    """

    names: tuple[str, ...]
    time: tuple[int, ...]
    unit: int | None
    open: int
    high: int
    low: int
    close: int
    volume: int | None
    symbol: int | None

    @property
    def numbers(self) -> tuple[int, ...]:
        """Positions of open, high, low, close and, if there is one, volume."""
        prices = (self.open, self.high, self.low, self.close)
        return prices if self.volume is None else (*prices, self.volume)

    @property
    def number_names(self) -> tuple[str, ...]:
        """The table's own names for `numbers`."""
        return tuple(self.names[at] for at in self.numbers)

    @property
    def time_name(self) -> str:
        """The table's own name for the time."""
        return " ".join(self.names[at] for at in self.time)


def normal(name: str) -> str:
    """A column's name for comparison: lower case, ``_`` for blanks and dashes, no ``<>``."""
    return re.sub(r"[\s\-]+", "_", name.strip().strip("<>").strip().lower())


def known_names(names: Sequence[str]) -> int:
    """How many of ``names`` are names of a bar's columns: what tells a header from a row."""
    return sum(
        name in _KNOWN or _WITH_UNIT.fullmatch(name) is not None for name in map(normal, names)
    )


def find_columns(
    names: Sequence[str], pair: str, stamp: str, *, source: str, line: int | None = None
) -> Columns:
    """The columns of a bar among ``names``.

    Raises `DataError`, with ``source`` and ``line``, when one is missing or there are two for one
    thing.
    """
    try:
        return _find(names, pair, stamp)
    except _Unfit as unfit:
        raise DataError(str(unfit), source=source, line=line) from None


class _Unfit(Exception):
    """The table has not the columns of bars; the text says why."""


_Places = dict[str, list[int]]
"""Positions of the columns by normalised name."""


def _find(names: Sequence[str], pair: str, stamp: str) -> Columns:
    at: _Places = {}
    for index, name in enumerate(names):
        at.setdefault(normal(name), []).append(index)

    def one(field: str) -> int | None:
        found = [index for alias in _FIELDS[field] for index in at.get(alias, ())]
        return _single(found, field, names)

    time, unit = _find_time(at, stamp, names)
    open_, high, low, close = one("open"), one("high"), one("low"), one("close")
    if not time or open_ is None or high is None or low is None or close is None:
        found = {"time": time or None, "open": open_, "high": high, "low": low, "close": close}
        raise _Unfit(_missing([field for field, at_ in found.items() if at_ is None], names, at))
    volume = one("volume")
    if volume is None:
        volume = _single(_base_volumes(at, pair), "volume", names)
    return Columns(
        names=tuple(names),
        time=time,
        unit=unit,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        symbol=one("symbol"),
    )


def _single(found: Sequence[int], field: str, names: Sequence[str]) -> int | None:
    if len(found) > 1:
        both = ", ".join(repr(names[index]) for index in found)
        raise _Unfit(f"has several columns for the {field}: {both}; keep one of them")
    return found[0] if found else None


def _base_volumes(at: _Places, pair: str) -> list[int]:
    """Columns such as "Volume BTC" where the pair's code begins with BTC (but not "Volume USD")."""
    found: list[int] = []
    for name, places in at.items():
        asset = name.removeprefix("volume_")
        if asset != name and asset and pair.lower().startswith(asset):
            found += places
    return found


def _find_time(at: _Places, stamp: str, names: Sequence[str]) -> tuple[tuple[int, ...], int | None]:
    """Positions of the time (none, one, or date and time of day), and the unit its name tells."""
    if stamp == "close" and _CLOSING in at:
        return (_one(at, _CLOSING, names),), None
    for name in at:
        match = _WITH_UNIT.fullmatch(name)
        if match is not None:
            return (_one(at, name, names),), _UNITS[match[1]]
    for name in _TIMES:
        if name not in at:
            continue
        if name == "open_time" and stamp == "close":
            raise _Unfit("has the bars' open times (open_time): leave out stamp='close'")
        if name in ("time", "date") and "time" in at and "date" in at:
            return (_one(at, "date", names), _one(at, "time", names)), None
        return (_one(at, name, names),), None
    if _CLOSING in at:
        raise _Unfit("has the bars' close times only: say so with stamp='close' (--stamp close)")
    return (), None


def _one(at: _Places, name: str, names: Sequence[str]) -> int:
    _single(at[name], "time", names)
    return at[name][0]


def _missing(missing: Sequence[str], names: Sequence[str], at: _Places) -> str:
    shown = ", ".join(repr(name) for name in names[:12])
    for what, there in (("quotes", _QUOTES & at.keys()), ("trades", "price" in at)):
        if there and "open" in missing:
            return f"holds {what} (columns {shown}), which are not supported yet: make bars of them"
    return (
        f"has no column for {' and '.join(missing)}: its columns are {shown}; "
        "name them timestamp, open, high, low, close, volume (volume may be left out)"
    )
