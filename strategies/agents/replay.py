"""History as a participant: recorded bars, quotes or trades as the orders of one agent."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, NamedTuple

from backtest.data import open_data
from backtest.errors import DataError, FieldError
from backtest.models import Bar, MarketEvent, Quote, Trade
from backtest.money import add, decimal_of, div, mul, sub
from backtest.strategies.handle import Number, OrderHandle
from backtest.times import SECOND

from .agent import Agent

__all__ = ["Replay"]

_HALF = Decimal("0.5")
_POINTS = 4


class _Standing(NamedTuple):
    """What the agent quotes from a moment on: price and volume of both sides; None: nothing."""

    time_ns: int
    bid: tuple[Decimal, Decimal] | None
    ask: tuple[Decimal, Decimal] | None


class _Taking(NamedTuple):
    """What the agent takes at a moment."""

    time_ns: int
    buy: bool
    volume: Decimal
    price: Decimal


class Replay(Agent):
    """Turns what ``data`` recorded into orders, so that other agents trade inside real data.

    ``data`` is whatever `backtest.data.open_data` opens (a file, a dataframe, a list, a source),
    with ``bar``, ``stamp`` and ``tz`` as there.

    * A **quote** becomes two standing limit orders, at its bid and its ask with its sizes (``size``
      where they are not known), until the next quote replaces them; an order that need not change
      keeps its place in the queue. Where others offer something better than the recorded price, the
      order trades with them: the recorded market arbitrages the simulated one.
    * A **trade** becomes an order that takes, of the side of its aggressor, limited by its price,
      immediate or cancelled: it trades with what stands at that price or better, and leaves nothing
      behind. Where the aggressor is not known a higher price than the last is a purchase, a lower
      one a sale, the same as the one before (C. M. C. Lee, M. J. Ready, "Inferring Trade Direction
      from Intraday Data", 1991).
    * A **bar** becomes four pairs of standing orders, at its open, its two extremes (the nearer to
      the open first, the low if they are as near) and its close, at equal times from its open to
      its close, ``spread`` price increments apart around each price; each for a quarter of the
      bar's volume (``size`` where there is none).

    Volumes are multiplied by ``scale`` and rounded down to the volume increment, prices rounded to
    the price increment away from the other side. With ``from_start`` (the default) the first event
    happens when the market begins and the others as long after it as they did; else events happen
    at their own times, and those before the start are left out. It needs money, or inventory, for
    what it is to trade: an order that its account cannot pay for is refused and left out.
    """

    data: Any = None
    bar: Any = None
    stamp: str = "open"
    tz: Any = None
    size: Number = 100
    scale: Number = 1
    spread: int = 2
    from_start: bool = True

    def on_start(self) -> None:
        super().on_start()
        if self.data is None:
            raise FieldError("data", "is missing: give what backtest.data.open_data opens")
        if self.spread < 0:
            raise FieldError("spread", f"must not be negative, not {self.spread}")
        self.default = decimal_of(self.size, "size")
        self.factor = decimal_of(self.scale, "scale")
        self.bought = True
        """The side of the last trade."""
        self.last_trade: Decimal | None = None
        self.bid: OrderHandle | None = None
        self.ask: OrderHandle | None = None
        source = open_data(self.data, self.traded, bar=self.bar, stamp=self.stamp, tz=self.tz)
        self.doings = self.translate(iter(source))
        first = next(self.doings, None)
        if first is None:
            raise DataError("there is nothing to replay in the data")
        self.shift = self.now_ns - first.time_ns if self.from_start else 0
        while first is not None and first.time_ns + self.shift < self.now_ns:
            first = next(self.doings, None)
        self.following = first
        self.sleep_on()

    def on_timer(self, name: str) -> None:
        now = self.now_ns
        while self.following is not None and self.following.time_ns + self.shift <= now:
            doing = self.following
            if isinstance(doing, _Taking):
                self.place(doing.buy, doing.volume, doing.price, time_in_force="IOC")
            else:
                # Both go before either comes: the new bid may be where the old ask is.
                new_bid = self.moved(self.bid, doing.bid)
                new_ask = self.moved(self.ask, doing.ask)
                if new_bid and doing.bid is not None:
                    self.bid = self.place(True, doing.bid[1], doing.bid[0])
                if new_ask and doing.ask is not None:
                    self.ask = self.place(False, doing.ask[1], doing.ask[0])
            self.following = next(self.doings, None)
        self.sleep_on()

    def sleep_on(self) -> None:
        """Wake for the next event, if there is one."""
        if self.following is not None:
            due = self.following.time_ns + self.shift
            # Timers are set to the microsecond; a little later rather than before its time.
            self.wake(-((self.now_ns - due) // 1_000) * 1_000 / SECOND)

    def moved(self, standing: OrderHandle | None, wanted: tuple[Decimal, Decimal] | None) -> bool:
        """Take back a standing order unless it is what is wanted; whether it has to be replaced."""
        live = None if standing is None else standing.live
        if standing is not None and live is not None and wanted is not None:
            if live.limit_price == wanted[0] and standing.leaves == wanted[1]:
                return False
        self.withdraw(standing)
        return True

    # -- from events to orders ---------------------------------------------------------------------

    def translate(self, events: Iterator[MarketEvent]) -> Iterator[_Standing | _Taking]:
        """What to do about each event, in time."""
        for event in events:
            if isinstance(event, Bar):
                yield from self.path(event)
            elif isinstance(event, Quote):
                yield _Standing(
                    event.time_ns,
                    self.offer(event.bid, event.bid_size, ROUND_FLOOR),
                    self.offer(event.ask, event.ask_size, ROUND_CEILING),
                )
            else:
                yield self.taken(event)

    def offer(
        self, price: Decimal, size: Decimal | None, rounding: str
    ) -> tuple[Decimal, Decimal] | None:
        """Price and volume of a standing order; None where there is nothing to offer."""
        traded = self.traded
        volume = traded.round_volume(mul(self.default if size is None else size, self.factor))
        price = traded.round_price(price, rounding)
        return (price, volume) if volume > 0 and price > 0 else None

    def taken(self, trade: Trade) -> _Taking:
        """The order that a recorded trade becomes."""
        last, self.last_trade = self.last_trade, trade.price
        if trade.aggressor is not None:
            self.bought = trade.aggressor == "buy"
        elif last is not None and trade.price != last:
            self.bought = trade.price > last
        rounding = ROUND_CEILING if self.bought else ROUND_FLOOR
        volume = mul(self.default if trade.volume is None else trade.volume, self.factor)
        price = self.traded.round_price(trade.price, rounding)
        return _Taking(trade.time_ns, self.bought, volume, price)

    def path(self, bar: Bar) -> Iterator[_Standing]:
        """The standing orders of a bar."""
        down, up = sub(bar.open, bar.low), sub(bar.high, bar.open)
        extremes = (bar.low, bar.high) if down <= up else (bar.high, bar.low)
        size = None if bar.volume is None else div(bar.volume, Decimal(_POINTS))
        half = mul(mul(self.traded.price_increment, Decimal(self.spread)), _HALF)
        length = bar.close_ns - bar.open_ns
        for number, price in enumerate((bar.open, *extremes, bar.close)):
            yield _Standing(
                bar.open_ns + length * number // (_POINTS - 1),
                self.offer(sub(price, half), size, ROUND_FLOOR),
                self.offer(add(price, half), size, ROUND_CEILING),
            )
