"""The tape cut into intervals: prices, volumes and spreads of each, exact."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from backtest.analysis.market.samples import BestQuote
from backtest.errors import ConfigError
from backtest.models import MarketTrade
from backtest.money import ZERO, add, div, mul, round_half_even, sub

__all__ = ["IntervalBar", "interval_bars"]

_PLACES = Decimal("0.00000001")


class IntervalBar(NamedTuple):
    """What happened in the interval that ends at ``close_ns``; its end belongs to it."""

    close_ns: int
    open: Decimal | None
    """Of the trades in it; None where nobody traded."""
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    """The last trade until its end, also of an interval before; None before the first trade."""
    volume: Decimal
    bought: Decimal
    """Of the volume, what buyers took who came in."""
    sold: Decimal
    trades: int
    notional: Decimal
    """Price times volume of all its trades."""
    bid: Decimal | None
    """The best bid at its end; None where nobody bids, or nothing is known."""
    ask: Decimal | None
    spread: Decimal | None
    """The mean spread in it, weighted by time, rounded to 8 places; None: a side was empty."""

    @property
    def average_price(self) -> Decimal | None:
        """Notional over volume, rounded to 8 places; None where nobody traded."""
        return round_half_even(div(self.notional, self.volume), _PLACES) if self.volume else None

    @property
    def mid(self) -> Decimal | None:
        """Half way between bid and ask at its end."""
        if self.bid is None or self.ask is None:
            return None
        return div(add(self.bid, self.ask), Decimal(2))


def interval_bars(
    trades: Sequence[MarketTrade],
    start_ns: int,
    end_ns: int,
    interval_ns: int,
    quotes: Sequence[BestQuote] = (),
) -> list[IntervalBar]:
    """One bar for each interval from ``start_ns`` to ``end_ns``, also where nothing happened.

    The last one may be shorter. What happened at ``start_ns`` belongs to the first; what happened
    before or after the span to none. Raises `ConfigError` for an interval that is not above 0.
    """
    if interval_ns <= 0:
        raise ConfigError(f"an interval must be longer than 0 ns, not {interval_ns}")
    bars: list[IntervalBar] = []
    at = count = 0
    last: Decimal | None = None
    while at < len(trades) and trades[at].time_ns < start_ns:
        last = trades[at].price
        at += 1
    spreads = _Spreads(quotes, start_ns)
    close_ns = start_ns
    while close_ns < end_ns:
        close_ns = min(close_ns + interval_ns, end_ns)
        first = at
        high = low = None
        volume = bought = sold = notional = ZERO
        while at < len(trades) and trades[at].time_ns <= close_ns:
            trade = trades[at]
            last = trade.price
            high = last if high is None or last > high else high
            low = last if low is None or last < low else low
            volume = add(volume, trade.volume)
            notional = add(notional, mul(last, trade.volume))
            if trade.aggressor == "buy":
                bought = add(bought, trade.volume)
            elif trade.aggressor == "sell":
                sold = add(sold, trade.volume)
            at += 1
        count = at - first
        spread = spreads.until(close_ns)
        bars.append(
            IntervalBar(
                close_ns,
                trades[first].price if count else None,
                high,
                low,
                last,
                volume,
                bought,
                sold,
                count,
                notional,
                spreads.bid,
                spreads.ask,
                spread,
            )
        )
    return bars


class _Spreads:
    """Walks the quotes once, and has the mean spread of one interval after the other."""

    def __init__(self, quotes: Sequence[BestQuote], start_ns: int) -> None:
        self._quotes = quotes
        self._at = 0
        self._now = start_ns
        self.bid: Decimal | None = None
        self.ask: Decimal | None = None

    def until(self, close_ns: int) -> Decimal | None:
        total, known = ZERO, 0
        while True:
            more = self._at < len(self._quotes)
            until = min(self._quotes[self._at].time_ns, close_ns) if more else close_ns
            if self.bid is not None and self.ask is not None and until > self._now:
                lasted = until - self._now
                total = add(total, mul(sub(self.ask, self.bid), Decimal(lasted)))
                known += lasted
            self._now = max(self._now, until)
            if not more or self._quotes[self._at].time_ns > close_ns:
                break
            _, self.bid, self.ask, _, _ = self._quotes[self._at]
            self._at += 1
        return round_half_even(div(total, Decimal(known)), _PLACES) if known else None
