"""An agent that offers to buy and to sell all the time, and lives of the difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from backtest.errors import FieldError
from backtest.models import Bar, Depth, Trade
from backtest.money import ZERO, add, decimal_of, div, mul, sub
from backtest.strategies.handle import Number, OrderHandle

from .agent import Agent, Duration, middle_of

__all__ = ["MarketMaker", "PovMarketMaker"]

_HALF = Decimal("0.5")
_TWO = Decimal(2)

Rung = tuple[bool, Decimal]
"""One order of a ladder: whether it buys, and at what price."""


class MarketMaker(Agent):
    """A ladder of limit orders on both sides of the middle, moved against its own inventory.

    Every ``every`` it looks at the market and quotes anew: ``levels`` prices on each side, the best
    two ``spread`` price increments apart, the others ``step`` increments behind one another, each
    for ``size``. The middle of the ladder is that of the market, moved by ``skew`` increments down
    for each ``size`` that it holds (up for each that it is short): what it has too much of it sells
    cheaper. Orders that stand where they should are left alone, and keep their place in the queue;
    the others are cancelled and replaced. ``post_only`` orders never take.

    ``reference`` is a price to begin with where nobody has quoted or traded yet (and to come back
    to when everything is gone); None: wait for one. ``random_first`` as in `Momentum`.

    Whether such a ladder earns or loses depends on how much prices return: T. Chakraborty and
    M. Kearns, "Market Making and Mean Reversion", 2011. `limit` bounds the inventory: orders that
    could exceed it are smaller, or not sent.
    """

    every: Duration = "10s"
    levels: int = 5
    spread: int = 4
    step: int = 1
    size: Number = 10
    skew: float = 1.0
    post_only: bool = True
    reference: Number | None = None
    random_first: bool = True

    def on_start(self) -> None:
        super().on_start()
        if self.levels < 1 or self.spread < 1 or self.step < 1:
            raise FieldError("levels", "spread and step must be at least 1")
        self.base_size = decimal_of(self.size, "size")
        if self.base_size <= 0:
            raise FieldError("size", f"must be positive, not {self.base_size}")
        self.anchor = None if self.reference is None else decimal_of(self.reference, "reference")
        self.lean = Decimal(repr(float(self.skew)))
        self.standing: dict[Rung, OrderHandle] = {}
        self.pause = self.wake_first(self.every, self.random_first)

    def on_timer(self, name: str) -> None:
        self.wake(self.pause)
        self.look()

    def act(self, depth: Depth) -> None:
        middle = middle_of(depth)
        if middle is None:
            middle = self.anchor
        if middle is not None:
            self.requote(self.uncrossed(self.ladder(middle), depth))

    def uncrossed(self, rungs: Iterable[Rung], depth: Depth) -> dict[Rung, None]:
        """``rungs`` without prices that would take: those wait one increment short of them."""
        if not self.post_only:
            return dict.fromkeys(rungs)
        tick, bid, ask = self.traded.price_increment, depth.best_bid, depth.best_ask
        found: dict[Rung, None] = {}
        for buy, price in rungs:
            if buy and ask is not None:
                price = min(price, sub(ask, tick))
            elif not buy and bid is not None:
                price = max(price, add(bid, tick))
            if price > 0:
                found[buy, price] = None
        return found

    def requote(self, wanted: Mapping[Rung, None]) -> None:
        """Cancel what stands elsewhere than at ``wanted``, best first; add what lacks."""
        size = self.quote_size()
        keep: dict[Rung, OrderHandle] = {}
        for rung, handle in self.standing.items():
            if handle.is_done:
                continue
            if rung in wanted and mul(handle.leaves, _TWO) >= size:
                keep[rung] = handle
            else:
                self.withdraw(handle)
                if handle.pending is None:
                    # Not accepted yet, so it cannot be cancelled: the next time.
                    keep[rung] = handle
        for buy in (True, False):
            room = self.room(buy)
            for rung in wanted:
                if rung[0] is not buy:
                    continue
                if rung in keep:
                    volume = keep[rung].leaves
                else:
                    volume = size if room is None else min(size, room)
                    made = self.place(buy, volume, rung[1], post_only=self.post_only)
                    if made is not None:
                        keep[rung] = made
                if room is not None:
                    room = max(ZERO, sub(room, volume))
        self.standing = keep

    def ladder(self, middle: Decimal) -> dict[Rung, None]:
        """Where its orders should stand, best first, for a market around ``middle``."""
        traded = self.traded
        tick = traded.price_increment
        held = div(self.inventory, self.base_size)
        middle = sub(middle, mul(mul(self.lean, held), tick))
        half = mul(mul(Decimal(self.spread), _HALF), tick)
        best_bid = traded.round_price(sub(middle, half), ROUND_FLOOR)
        best_ask = traded.round_price(add(middle, half), ROUND_CEILING)
        found: dict[Rung, None] = {}
        for level in range(self.levels):
            away = mul(tick, Decimal(level * self.step))
            bid = sub(best_bid, away)
            if bid > 0:
                found[True, bid] = None
            found[False, max(add(best_ask, away), tick)] = None
        return found

    def quote_size(self) -> Decimal:
        """The volume of each order of the ladder."""
        return self.base_size


class PovMarketMaker(MarketMaker):
    """A `MarketMaker` whose orders are a share of what the market trades.

    The volume of each is ``share`` of what was traded between its last two looks, and at least
    ``size``. It counts the market's trades where there are any, else the volumes of bars.
    """

    share: float = 0.05

    def on_start(self) -> None:
        super().on_start()
        if not 0 <= self.share <= 1:
            raise FieldError("share", f"must be from 0 to 1, not {self.share}")
        self.subscribe(self.pair)
        self.factor = Decimal(repr(float(self.share)))
        self.traded_volume = ZERO
        self.sees_trades = False

    def on_trade(self, trade: Trade) -> None:
        if not self.sees_trades:
            self.sees_trades, self.traded_volume = True, ZERO
        if trade.volume is not None:
            self.traded_volume = add(self.traded_volume, trade.volume)

    def on_bar(self, bar: Bar) -> None:
        if not self.sees_trades and bar.volume is not None:
            self.traded_volume = add(self.traded_volume, bar.volume)

    def requote(self, wanted: Mapping[Rung, None]) -> None:
        self.current_size = max(self.base_size, mul(self.traded_volume, self.factor))
        self.traded_volume = ZERO
        super().requote(wanted)

    def quote_size(self) -> Decimal:
        return self.traded.round_volume(self.current_size)
