"""Price increments that data ask for, where nobody says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from backtest.data._assemble import READING
from backtest.data.several import SeveralSources, parts_of
from backtest.data.sources import BarSource
from backtest.data.tick_sources import TickSource
from backtest.errors import ConfigError
from backtest.models.bar import Bar
from backtest.models.market_event import MarketEvent
from backtest.models.quote import Quote
from backtest.money import ONE, exponent, is_multiple

__all__ = ["finest_step", "usual_increment"]

_USUAL = Decimal("0.00000001")
_SMALL = Decimal("0.001")
_DIGITS, _PLACES = 12, 18


def usual_increment(source: BarSource | TickSource | SeveralSources) -> Decimal:
    """The increment of prices that begin like those of ``source``: eight digits after the point,
    or, below 0.001, twelve that count (at most 18 after the point).

    Of what can be read only once it is eight digits, for nothing is read.
    """
    if any(isinstance(part, Iterator) for part in parts_of(source)):
        return _USUAL
    first = next(iter(source), None)
    if first is None:
        return _USUAL
    price = _prices(first)[0]
    if price >= _SMALL:
        return _USUAL
    return exponent(min(_DIGITS - 1 - price.adjusted(), _PLACES))


def finest_step(source: BarSource | TickSource | SeveralSources) -> Decimal:
    """The last digit that any price of ``source`` has: 0.01 of 100.25 and 99.5. All of it is read.

    Raises `ConfigError` for what can be read only once.
    """
    step = ONE
    for part in parts_of(source):
        if isinstance(part, Iterator):
            raise ConfigError(
                f"price_increment = 'data' asks for all of the data before the run, and that of "
                f"{part.pair} can be read only once: give the increment"
            )
        for event in part:
            for price in _prices(event):
                if not is_multiple(price, step):
                    last = price.normalize(READING).as_tuple().exponent
                    step = exponent(-int(last))
    return step


def _prices(event: MarketEvent) -> tuple[Decimal, ...]:
    if isinstance(event, Bar):
        return event.open, event.high, event.low, event.close
    return (event.bid, event.ask) if isinstance(event, Quote) else (event.price,)
