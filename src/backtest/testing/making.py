"""What a test makes by hand: bars, pairs and rules from plain numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, Literal

from backtest.models import Asset, Bar, Quote, Trade, TradingPair, TradingRules
from backtest.money import mul

__all__ = ["DAY", "HOUR", "MINUTE", "bar", "pair_of", "plain_text", "quote", "rules", "trade"]

MINUTE: Final = 60 * 10**9
"""A minute in nanoseconds: the length of a bar made by `bar`."""
_SECOND: Final = Decimal(10**9)
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


def bar(
    number: int,
    open: int | str | Decimal,
    high: int | str | Decimal | None = None,
    low: int | str | Decimal | None = None,
    close: int | str | Decimal | None = None,
    volume: int | str | Decimal | None = None,
    *,
    pair: str = "BTCUSD",
    length: int = MINUTE,
    start: int | None = None,
) -> Bar:
    """Bar ``number`` of a row of bars; one price alone makes a flat bar. No volume: no cap."""
    begin = number * length if start is None else start
    first = Decimal(open)
    top, bottom, last = (first if one is None else Decimal(one) for one in (high, low, close))
    size = None if volume is None else Decimal(volume)
    return Bar(pair, begin, begin + length, first, top, bottom, last, size)


def quote(
    second: int | str | Decimal,
    bid: int | str | Decimal,
    ask: int | str | Decimal,
    bid_size: int | str | Decimal | None = None,
    ask_size: int | str | Decimal | None = None,
    *,
    pair: str = "BTCUSD",
) -> Quote:
    """A quote, so many seconds after the beginning. No sizes: no cap."""
    sizes = (None if one is None else Decimal(one) for one in (bid_size, ask_size))
    return Quote(pair, int(mul(Decimal(second), _SECOND)), Decimal(bid), Decimal(ask), *sizes)


def trade(
    second: int | str | Decimal,
    price: int | str | Decimal,
    volume: int | str | Decimal | None = None,
    aggressor: Literal["buy", "sell"] | None = None,
    *,
    pair: str = "BTCUSD",
) -> Trade:
    """A trade of the market, so many seconds after the beginning. No volume: no cap."""
    size = None if volume is None else Decimal(volume)
    return Trade(pair, int(mul(Decimal(second), _SECOND)), Decimal(price), size, aggressor)


def pair_of(
    code: str = "BTCUSD", precision: int = 2, quote: str = "USD", **settings: Any
) -> TradingPair:
    """A pair quoted in ``quote`` with cents, price increment 0.01 and volume increment 0.001; its
    code ends with the quote asset (``pair_of("BTCUSDT", quote="USDT")``)."""
    values = {"price_increment": Decimal("0.01"), "volume_increment": Decimal("0.001")}
    for name, value in settings.items():
        values[name] = Decimal(value)
    return TradingPair.from_code(code, Asset(quote, precision), **values)


def rules(**settings: Any) -> TradingRules:
    """Rules from plain values: ``rules(fees={"fill": {"percent_of_notional": "0.001"}})``."""
    return TradingRules.from_mapping(settings)


def plain_text(value: Decimal) -> str:
    """``value`` in plain digits without trailing zeros: a number has one spelling."""
    if not value:
        return "0"
    digits = format(value, "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
