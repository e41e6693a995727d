"""The quote that stands: what orders meet that are accepted between two quotes."""

from __future__ import annotations

from decimal import Decimal

from backtest.models import MarketEvent, Quote, TradingPair, TradingRules
from backtest.money import to_step
from backtest.services.calendars import ALWAYS_OPEN, calendar_of
from backtest.services.fills.walk import on_offer

__all__ = ["StandingQuote"]

Pools = tuple[Decimal | None, Decimal | None]
"""Volume for buys and for sells; None: no cap."""


class StandingQuote:
    """The last quote of a pair while it stands, and what fills have left of its sizes.

    It stands within its session, up to the rules' ``quote_max_age``, and until a bar or a trade of
    the pair opens after it. Under ``quotes="next"`` none ever stands.
    """

    __slots__ = ("_calendar", "_left", "_pair", "_rules", "quote")

    def __init__(self, pair: TradingPair, rules: TradingRules) -> None:
        self._pair = pair
        self._rules = rules
        self._calendar = calendar_of(rules.calendar)
        self.quote: Quote | None = None
        """None where nothing stands; else whether it still does is `at`'s to say."""
        self._left: Pools | None = None
        """None where nobody has looked yet."""

    def begin(self, quote: Quote, left: Pools | None) -> None:
        """``quote`` was matched, and stands from now on, with what that has ``left`` of it."""
        if self._rules.quotes == "standing":
            self.quote, self._left = quote, left

    def end_by(self, event: MarketEvent) -> None:
        """Something came: what was quoted before it opened stands no more, nor what was quoted
        before a quote."""
        quote = self.quote
        if quote is not None and (event.open_ns > quote.time_ns or type(event) is Quote):
            self.quote = None

    def at(self, now: int) -> Quote | None:
        """The quote that stands at ``now``, if any."""
        quote = self.quote
        if quote is None:
            return None
        age = self._rules.quote_max_age
        if age is not None and now - quote.time_ns > age:
            return None
        if self._calendar is ALWAYS_OPEN:
            return quote  # it has days, but none of them ends anything
        session = self._calendar.session(quote.time_ns)
        return quote if session is not None and now <= session.close_ns else None

    def left(self) -> Pools:
        """What fills have left of it for buys and for sells."""
        quote = self.quote
        assert quote is not None
        if self._left is None:
            rules = self._rules
            own = None if rules.fills is None else rules.fills.volume
            step = self._pair.volume_increment
            self._left = on_offer(quote, rules.participation, step, own)
        return self._left

    def use(self, left: Pools) -> None:
        """Fills have left so much of it."""
        self._left = left

    def suffices(self, buy: bool, volume: Decimal) -> bool:
        """Whether there is ``volume`` of it to be had."""
        left = self.left()[0 if buy else 1]
        return left is None or to_step(left, self._pair.volume_increment) >= volume
