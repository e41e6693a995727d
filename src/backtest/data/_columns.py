"""Which column of a table is what, found by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import frozen

from backtest.data._stamps import UNITS
from backtest.errors import DataError

__all__ = [
    "Columns",
    "RowColumns",
    "TickColumns",
    "find_columns",
    "find_tick_columns",
    "kind_of",
    "known_names",
    "normal",
]

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
_INDEX = ("index", "__index_level_0__", "unnamed:_0", "")
"""What the index of a pandas frame is called that has no name, once it is a column: the time, where
there is no other."""
_WITH_UNIT = re.compile(r"(?:ts|timestamp|time|datetime|date|unix|epoch|open_time)_(ns|us|ms|s)")
_CLOSING = re.compile(r"close_?time(?:_(ns|us|ms|s))?")
_TICK_FIELDS = {
    "bid": ("bid", "bid_price", "bidprice"),
    "ask": ("ask", "ask_price", "askprice", "offer"),
    "bid_size": ("bid_size", "bidsize", "bid_volume", "bid_qty", "bid_quantity", "bid_amount"),
    "ask_size": ("ask_size", "asksize", "ask_volume", "ask_qty", "ask_quantity", "ask_amount"),
    "price": ("price", "trade_price", "p"),
    "volume": ("volume", "size", "qty", "quantity", "amount", "vol", "v", "q"),
    "side": ("side", "aggressor", "aggressor_side", "taker_side"),
    "is_buyer_maker": ("is_buyer_maker", "isbuyermaker", "buyer_maker"),
    "trade_id": ("trade_id", "id", "tid", "agg_trade_id"),
    "symbol": _FIELDS["symbol"],
}
_ALIASES = {
    alias for fields in (_FIELDS, _TICK_FIELDS) for aliases in fields.values() for alias in aliases
}
_KNOWN = {*_ALIASES, *_TIMES}
_OF_KIND = {"quotes": ("bid", "ask"), "trades": ("price",)}
"""What a table of ticks must have, beside the time."""


class RowColumns(Protocol):
    """Where a row's time, numbers and texts are, whatever is made of them."""

    @property
    def names(self) -> tuple[str, ...]:
        """All columns' names, as the table spells them."""

    @property
    def time(self) -> tuple[int, ...]:
        """Position of the time, or of date and time of day."""

    @property
    def unit(self) -> int | None:
        """Nanoseconds of one unit of the time, where its name tells."""

    @property
    def close_time(self) -> int | None:
        """Position of the time of close, where that stands beside the time."""

    @property
    def symbol(self) -> int | None:
        """Position of the symbol."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Positions of the numbers: prices first, then volumes."""

    @property
    def prices(self) -> int:
        """How many of `numbers` are prices."""

    @property
    def texts(self) -> tuple[int, ...]:
        """Positions of what is read as text."""


@frozen(kw_only=True)
class Columns:
    """Positions of the columns of a table.

    ``time`` holds one position, or two (date and time of day), and ``close_time`` that of the time
    of close where there are both; ``unit`` and ``close_unit`` are the nanoseconds of one unit when
    the column's name tells it; ``names`` the names as the table spells them.
    """

    names: tuple[str, ...]
    time: tuple[int, ...]
    unit: int | None
    close_time: int | None
    close_unit: int | None
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
    def prices(self) -> int:
        """How many of `numbers` are prices."""
        return 4

    @property
    def texts(self) -> tuple[int, ...]:
        """None: a bar is numbers."""
        return ()


@frozen(kw_only=True)
class TickColumns:
    """Positions of the columns of quotes or trades, by the names of `_TICK_FIELDS`.

    ``kind`` is ``"quotes"`` or ``"trades"``; ``time``, ``unit`` and ``names`` are as in `Columns`.
    """

    kind: str
    names: tuple[str, ...]
    time: tuple[int, ...]
    unit: int | None
    at: dict[str, int]

    @property
    def close_time(self) -> None:
        """A tick has none."""

    @property
    def symbol(self) -> int | None:
        """Position of the symbol."""
        return self.at.get("symbol")

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that `numbers` are, in their order."""
        wanted: tuple[str, ...] = ("price", "volume")
        if self.kind == "quotes":
            wanted = ("bid", "ask", "bid_size", "ask_size")
        return tuple(field for field in wanted if field in self.at)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Positions of bid, ask and their sizes, or of price and volume; as far as there are."""
        return tuple(self.at[field] for field in self.fields)

    @property
    def prices(self) -> int:
        """How many of `numbers` are prices."""
        return len(_OF_KIND[self.kind])

    @property
    def text_fields(self) -> tuple[str, ...]:
        """The fields that `texts` are, in their order."""
        wanted = ("side", "is_buyer_maker", "trade_id") if self.kind == "trades" else ()
        return tuple(field for field in wanted if field in self.at)

    @property
    def texts(self) -> tuple[int, ...]:
        """Positions of a trade's side and id, as far as there are."""
        return tuple(self.at[field] for field in self.text_fields)


def normal(name: str) -> str:
    """A column's name for comparison: lower case, ``_`` for blanks and dashes, no ``<>``."""
    return re.sub(r"[\s\-]+", "_", name.strip().strip("<>").strip().lower())


def known_names(names: Sequence[str]) -> int:
    """How many of ``names`` are names of a bar's columns: what tells a header from a row."""
    return sum(
        name in _KNOWN
        or _WITH_UNIT.fullmatch(name) is not None
        or _CLOSING.fullmatch(name) is not None
        for name in map(normal, names)
    )


def kind_of(names: Sequence[str]) -> str:
    """What a table with columns of these ``names`` holds: ``bars``, ``quotes`` or ``trades``.

    Bars where there are open, high, low and close; quotes where there are bid and ask; trades where
    there is a price; else bars, whose reader says what is missing.
    """
    there = set(map(normal, names))

    def has(fields: Mapping[str, Sequence[str]], *wanted: str) -> bool:
        return all(not there.isdisjoint(fields[field]) for field in wanted)

    if not has(_FIELDS, "open", "high", "low", "close"):
        for kind, wanted in _OF_KIND.items():
            if has(_TICK_FIELDS, *wanted):
                return kind
    return "bars"


def find_tick_columns(
    names: Sequence[str], kind: str, *, source: str, line: int | None = None
) -> TickColumns:
    """The columns of quotes or trades (``kind``) among ``names``; errors as `find_columns`."""
    try:
        return _find_ticks(names, kind)
    except _Unfit as unfit:
        raise DataError(str(unfit), source=source, line=line) from None


def _find_ticks(names: Sequence[str], kind: str) -> TickColumns:
    at = _places(names)
    found = {}
    fields = ["bid", "ask", "bid_size", "ask_size", "symbol"]
    if kind == "trades":
        fields = ["price", "volume", "side", "is_buyer_maker", "trade_id", "symbol"]
    for field in fields:
        places = [index for alias in _TICK_FIELDS[field] for index in at.get(alias, ())]
        one = _single(places, field.replace("_", " "), names)
        if one is not None:
            found[field] = one
    if "side" in found and "is_buyer_maker" in found:
        both = f"{names[found['side']]!r}, {names[found['is_buyer_maker']]!r}"
        raise _Unfit(f"has several columns for the side: {both}; keep one of them")
    time, unit = _find_time(at, names)
    missing = [field for field in _OF_KIND[kind] if field not in found]
    if not time or missing:
        missing = missing if time else ["time", *missing]
        shown = ", ".join(repr(name) for name in names[:12])
        example = "timestamp, bid, ask, bid_size, ask_size"
        if kind == "trades":
            example = "timestamp, price, size, side"
        raise _Unfit(
            f"has no column for {' and '.join(missing)}: its columns are {shown}; {kind} need "
            f"{example} (all but time and prices may be left out)"
        )
    return TickColumns(kind=kind, names=tuple(names), time=time, unit=unit, at=found)


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


def _places(names: Sequence[str]) -> _Places:
    at: _Places = {}
    for index, name in enumerate(names):
        at.setdefault(normal(name), []).append(index)
    return at


def _find(names: Sequence[str], pair: str, stamp: str) -> Columns:
    at = _places(names)

    def one(field: str) -> int | None:
        found = [index for alias in _FIELDS[field] for index in at.get(alias, ())]
        return _single(found, field, names)

    time, unit, close_time, close_unit = _find_times(at, stamp, names)
    open_, high, low, close = one("open"), one("high"), one("low"), one("close")
    if not time or open_ is None or high is None or low is None or close is None:
        found = {"time": time or None, "open": open_, "high": high, "low": low, "close": close}
        raise _Unfit(_missing([field for field, at_ in found.items() if at_ is None], names))
    volume = one("volume")
    if volume is None:
        volume = _single(_base_volumes(at, pair), "volume", names)
    return Columns(
        names=tuple(names),
        time=time,
        unit=unit,
        close_time=close_time,
        close_unit=close_unit,
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


def _find_times(
    at: _Places, stamp: str, names: Sequence[str]
) -> tuple[tuple[int, ...], int | None, int | None, int | None]:
    """Positions of the time and of the time of close beside it, each with the unit its name tells.

    Beside times of close, those of another column are times of open, unless they are said to be
    closes, too; then only what is called ``open_time`` is.
    """
    time, unit = _find_time(at, names)
    closing, close_unit = _find_closing(at, names)
    if time and stamp == "close" and normal(names[time[0]]).startswith("open_time"):
        if closing is None:
            raise _Unfit("has the bars' open times (open_time): leave out stamp='close'")
        return time, unit, closing, close_unit
    if closing is None:
        return time, unit, None, None
    if stamp == "close":
        return (closing,), close_unit, None, None
    if not time:
        raise _Unfit("has the bars' close times only: say so with stamp='close' (--stamp close)")
    return time, unit, closing, close_unit


def _find_closing(at: _Places, names: Sequence[str]) -> tuple[int | None, int | None]:
    """Position of the time of close, and the unit its name tells."""
    found = [(place, name) for name in at if _CLOSING.fullmatch(name) for place in at[name]]
    place = _single([place for place, _ in found], "close time", names)
    if place is None:
        return None, None
    match = _CLOSING.fullmatch(found[0][1])
    return place, None if match is None or match[1] is None else UNITS[match[1]]


def _find_time(at: _Places, names: Sequence[str]) -> tuple[tuple[int, ...], int | None]:
    """Positions of the time (none, one, or date and time of day), and the unit its name tells."""
    for name in at:
        match = _WITH_UNIT.fullmatch(name)
        if match is not None:
            return (_one(at, name, names),), UNITS[match[1]]
    for name in (*_TIMES, *_INDEX):
        if name not in at:
            continue
        if name in ("time", "date") and "time" in at and "date" in at:
            return (_one(at, "date", names), _one(at, "time", names)), None
        return (_one(at, name, names),), None
    return (), None


def _one(at: _Places, name: str, names: Sequence[str]) -> int:
    _single(at[name], "time", names)
    return at[name][0]


def _missing(missing: Sequence[str], names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:12])
    kind = kind_of(names)
    if kind != "bars" and "open" in missing:
        return (
            f"holds {kind} (columns {shown}), not bars: read them with open_{kind} or open_data, "
            "and make bars of them with resample"
        )
    return (
        f"has no column for {' and '.join(missing)}: its columns are {shown}; "
        "name them timestamp, open, high, low, close, volume (volume may be left out)"
    )
