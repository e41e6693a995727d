"""Files that come without a header, known by the form of their first row."""

from __future__ import annotations

import re

__all__ = ["bare_names"]

_NUMBER = r"\d+(?:\.\d*)?"
_EPOCH = r"\d{13}(?:\d{3})?"
_BARS = "open high low close"


def _layout(fields: str, names: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """The pattern of a row whose ``fields``, and the names of its columns. ``N`` is a number."""
    parts = [_NUMBER if part == "N" else part for part in fields.split(" ")]
    first, second, *rest = parts
    pattern = rf"{first}(?P<by>[,;\t]){second}" + "".join(f"(?P=by){part}" for part in rest)
    return re.compile(pattern, re.ASCII | re.IGNORECASE), tuple(names.split(" "))


_KLINE = "quote_volume trades taker_buy_volume taker_buy_quote_volume ignore"
_LAYOUTS = (
    # HistData: quotes, bars, and bars as MetaTrader has them (with and without its other volumes).
    _layout(r"\d{8}\x20\d{9} N N", "time bid ask"),
    _layout(r"\d{8}\x20\d{9} N N N", "time bid ask volume"),
    _layout(r"\d{8}\x20\d{6} N N N N N", f"time {_BARS} volume"),
    _layout(r"\d{4}\.\d\d\.\d\d \d\d:\d\d(?::\d\d)? N N N N N", f"date time {_BARS} volume"),
    _layout(
        r"\d{4}\.\d\d\.\d\d \d\d:\d\d(?::\d\d)? N N N N N N N",
        f"date time {_BARS} tick_volume volume spread",
    ),
    # Binance: bars, aggregated trades, trades; the last two of the spot market and of futures.
    _layout(
        f"{_EPOCH} N N N N N {_EPOCH} N N N N N",
        f"open_time {_BARS} volume close_time {_KLINE}",
    ),
    _layout(
        rf"\d+ N N \d+ \d+ {_EPOCH} (?:true|false) (?:true|false)",
        "agg_trade_id price qty first_trade last_trade time is_buyer_maker best_match",
    ),
    _layout(
        rf"\d+ N N \d+ \d+ {_EPOCH} (?:true|false)",
        "agg_trade_id price qty first_trade last_trade time is_buyer_maker",
    ),
    _layout(
        rf"\d+ N N N {_EPOCH} (?:true|false) (?:true|false)",
        "trade_id price qty quote_qty time is_buyer_maker best_match",
    ),
    _layout(
        rf"\d+ N N N {_EPOCH} (?:true|false)",
        "trade_id price qty quote_qty time is_buyer_maker",
    ),
)


def bare_names(line: str) -> tuple[str, list[str]] | None:
    """The delimiter and the columns' names of a file whose first line is ``line``; None where that
    is no row of a known kind."""
    for pattern, names in _LAYOUTS:
        match = pattern.fullmatch(line)
        if match is not None:
            return match["by"], list(names)
    return None
