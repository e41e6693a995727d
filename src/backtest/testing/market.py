"""A market that a test moves step by step, in between doing what a strategy would do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from backtest.actors import BROKER, Actor, System
from backtest.actors.kernel.message import MARKET_TO_VENUE, TIMER
from backtest.actors.protocol import EndOfData
from backtest.models import Bar, MarketEvent, Quote, Trade, TradingPair, TradingRules
from backtest.money import decimal_of
from backtest.strategies import Strategy
from backtest.times import duration_ns

from .making import pair_of
from .stage import Scripted, assemble, assets_of, conclude
from .world import World

__all__ = ["Market", "tick_by_tick"]

Price = int | str | Decimal
Length = int | str | timedelta


class Market(Actor):
    """The market of a `tick_by_tick` simulation; every call waits until all that follows is done.

    ``pair`` is the pair of a call that names none. Time begins at 1970-01-01 and is moved by the
    market alone: a `tick` takes a second, a `bar` a minute, unless told otherwise.
    """

    handles_inside = False

    def __init__(self, pair: str = "BTCUSD") -> None:
        super().__init__("market-data")
        self.pair = pair
        self.sent = 0
        """Market events so far."""

    async def tick(
        self,
        price: Price,
        volume: Price | None = None,
        *,
        pair: str | None = None,
        length: Length = "1s",
    ) -> Bar:
        """One price: a flat bar that ends ``length`` from now. No ``volume``: no cap."""
        return await self.bar(price, volume=volume, pair=pair, length=length)

    async def bar(
        self,
        open: Price,
        high: Price | None = None,
        low: Price | None = None,
        close: Price | None = None,
        volume: Price | None = None,
        *,
        pair: str | None = None,
        length: Length = "1m",
    ) -> Bar:
        """A bar that begins now and ends after ``length``; left-out prices are the open."""
        begin = self.system.now
        end = begin + duration_ns(length, "length")
        first = decimal_of(open, "open")
        top, bottom, last = (
            first if price is None else decimal_of(price, name)
            for name, price in (("high", high), ("low", low), ("close", close))
        )
        size = None if volume is None else decimal_of(volume, "volume")
        made = Bar(pair or self.pair, begin, end, first, top, bottom, last, size)
        await self.send(made)
        return made

    async def quote(
        self,
        bid: Price,
        ask: Price,
        bid_size: Price | None = None,
        ask_size: Price | None = None,
        *,
        pair: str | None = None,
        after: Length = "1s",
    ) -> Quote:
        """A quote, ``after`` so long from now. No sizes: no cap."""
        at = self.system.now + duration_ns(after, "after")
        sizes = (
            None if size is None else decimal_of(size, name)
            for size, name in ((bid_size, "bid_size"), (ask_size, "ask_size"))
        )
        made = Quote(pair or self.pair, at, decimal_of(bid, "bid"), decimal_of(ask, "ask"), *sizes)
        await self.send(made)
        return made

    async def trade(
        self,
        price: Price,
        volume: Price | None = None,
        aggressor: Literal["buy", "sell"] | None = None,
        *,
        pair: str | None = None,
        after: Length = "1s",
    ) -> Trade:
        """A trade of the market, ``after`` so long from now. No ``volume``: no cap."""
        at = self.system.now + duration_ns(after, "after")
        size = None if volume is None else decimal_of(volume, "volume")
        made = Trade(pair or self.pair, at, decimal_of(price, "price"), size, aggressor)
        await self.send(made)
        return made

    async def send(self, *bars: MarketEvent) -> None:
        """Send events that were made elsewhere, bars at their close, in this order."""
        for one in bars:
            self._post(one.close_ns, one)
            self.sent += 1
            # The last class of a moment: whatever the bar led to at its time has been done.
            await self.system.sleep_until(one.close_ns, TIMER)

    async def wait(self, length: Length) -> None:
        """Let time pass without a market event."""
        await self.system.sleep_until(self.system.now + duration_ns(length, "length"), TIMER)

    def end(self) -> None:
        """No more market data: the run ends when all that follows at this time is done."""
        self._post(self.system.now, EndOfData())
        self.system.stop()

    def _post(self, at: int, payload: Any) -> None:
        fiber = self.system.events.current
        if fiber is None:
            self.link(BROKER).post_at(at, payload, MARKET_TO_VENUE)
            return
        # A market event has no cause, though it is the script's own line that sends it.
        cause, fiber.cause = fiber.cause, 0
        self.link(BROKER).post_at(at, payload, MARKET_TO_VENUE)
        fiber.cause = cause


def tick_by_tick(
    script: Callable[[Any, Market], Awaitable[None]],
    *others: Strategy,
    cash: Mapping[str, Any] | None = None,
    rules: TradingRules | Mapping[str, TradingRules] | None = None,
    pairs: Sequence[TradingPair] = (),
    own: Sequence[Sequence[str]] = (),
    seed: int = 7,
    prepare: Callable[[System], None] | None = None,
) -> World:
    """Run ``script(me, market)``, which moves the market and trades as the strategy ``me``.

    The pair is bitcoin in the first cash asset (in USD, if none is given) unless ``pairs`` are. The
    run ends when the script does. ``others`` are further strategies (``s1``, ``s2``, ...) in
    the same market; the settings are those of `play`, and so is what it raises.
    """
    if not pairs:
        quote = next((asset for asset in assets_of(cash) if asset != "BTC"), "USD")
        pairs = [pair_of(f"BTC{quote}", quote=quote)]
    market = Market(pairs[0].code)

    async def whole(me: Scripted) -> None:
        await script(me, market)
        market.end()

    world = assemble(market, [whole, *others], cash, rules, pairs, own, (), seed)
    return conclude(world, prepare)
