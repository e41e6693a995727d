"""A venue of quotes and trades, by the rules alone: one pair, one account, one order after another.

A quote is a state: what stands is met at once. A trade is a point, and meets who rests.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tests.models.common import Unclear
from tests.models.purse import NONE, Order, Purse, steps

__all__ = ["Venue"]


class Pool:
    """What one side has to give; None is without limit."""

    def __init__(self, size: Fraction | None) -> None:
        self.size = size

    def most(self, wanted: Fraction, lot: Fraction) -> Fraction:
        return wanted if self.size is None else min(wanted, self.size // lot * lot)

    def take(self, volume: Fraction) -> None:
        if self.size is not None:
            self.size -= volume


class Quote:
    """The last quote: prices by the side that meets them, and what is left of its sizes."""

    def __init__(self, at: int, bid: Fraction, ask: Fraction, sizes: list[Fraction | None]) -> None:
        self.at = at
        self.prices = {True: ask, False: bid}
        self.pools = {True: Pool(sizes[1]), False: Pool(sizes[0])}


class Venue:
    """Takes commands and market events in their order; keeps orders, fills and the account."""

    def __init__(self, purse: Purse, waits: bool, most_age: int | None, quoted: bool) -> None:
        self.purse, self.terms = purse, purse.terms
        self.waits, self.most_age, self.quoted = waits, most_age, quoted
        self.now = 0
        self.quote: Quote | None = None
        self.last: Any = None
        self.mark: Any = None
        """Fractions, once there was a price."""
        self.ended: int | None = None
        """When a trade or bar opened after the quote, which ended it."""
        self.orders: list[Order] = []
        """Everything pending, closes too, in no order."""
        self.positions: list[Order] = []
        """Trading orders, in the order of acceptance."""
        self.fills: list[list[Any]] = []
        self.places = NONE

    # -- what stands -------------------------------------------------------------------------------

    def standing(self) -> Quote | None:
        """The quote that stands now, if orders meet it at once."""
        quote = self.quote
        if quote is None or self.waits:
            return None
        if self.ended is not None:
            return None
        if self.most_age is not None and self.now - quote.at > self.most_age:
            return None
        return quote

    def price_for(self, buy: bool) -> Any:
        """The last price that a side met, whether it stands or not."""
        return self.quote.prices[buy] if self.quote is not None else self.last

    # -- market events -----------------------------------------------------------------------------

    def on_quote(
        self, bid: Fraction, ask: Fraction, sizes: list[Fraction | None], mark: Fraction
    ) -> None:
        self.quote, self.ended, self.mark = Quote(self.now, bid, ask, sizes), None, mark
        self.match(self.quote.prices, self.quote.pools, limits_only=False)

    def on_trade(self, price: Fraction, size: Fraction | None) -> None:
        prices = {True: price, False: price}
        pools = {True: Pool(size), False: Pool(size)}
        if not self.quoted:
            self.last = self.mark = price
        elif self.quote is not None and self.now > self.quote.at:
            self.ended = self.now
        self.match(prices, pools, limits_only=self.quoted)

    def match(
        self, prices: dict[bool, Fraction], pools: dict[bool, Pool], limits_only: bool
    ) -> None:
        """Fill what one event reaches: markets and triggered stops first, then limits by price."""
        there = sorted(self.orders, key=lambda one: one.place)
        if not limits_only:
            for order in there:
                self.trigger(order, prices[order.buy])
        ready = [one for one in there if not one.waits_for_stop]
        if limits_only:
            ready = [one for one in ready if one.limit is not None]
            if any(one.fresh or one.force in ("IOC", "FOK") for one in ready):
                raise Unclear("a trade meets a limit that waits for a quote")
        # A close that was asked for goes before the position's own stop-loss at the same price.
        markets = [one for one in ready if one.is_market]
        markets.sort(key=lambda one: one.kind == "stop_loss")
        limits = [one for one in ready if not one.is_market]
        limits.sort(key=lambda one: (-one.limit if one.buy else one.limit, one.place))
        for order in markets:
            if order.alive:
                self.meet(order, prices[order.buy], pools[order.buy])
        if not limits_only:
            self.liquidate(prices)
        for order in limits:
            if order.alive:
                self.meet(order, prices[order.buy], pools[order.buy])
        if not limits_only:
            for order in self.orders:
                if order.trail is not None and not order.triggered:
                    self.trail(order, prices[order.buy])
        for order in ready:
            order.fresh = False
            order.seen = True
            self.first_opportunity_over(order)
        if not limits_only:
            self.protect(prices, pools)

    def protect(self, prices: dict[bool, Fraction], pools: dict[bool, Pool]) -> None:
        """Test the exits of what has just opened: stop-losses, liquidations, take-profits."""
        for order in [one for one in self.orders if one.kind == "stop_loss"]:
            self.trigger(order, prices[order.buy])
            if order.triggered:
                self.meet(order, prices[order.buy], pools[order.buy])
        self.liquidate(prices)

    def trigger(self, order: Order, price: Fraction) -> bool:
        if order.waits_for_stop and (price >= order.stop if order.buy else price <= order.stop):
            order.triggered = True
            order.fresh = order.limit is not None
            return True
        return False

    def trail(self, order: Order, price: Fraction) -> None:
        """Let a trailing stop follow the price, one way only, rounded against the trader."""
        away = price + order.trail if order.buy else price - order.trail
        level = steps(away, self.terms.tick, up=order.buy)
        order.stop = min(order.stop, level) if order.buy else max(order.stop, level)

    def meet(self, order: Order, price: Fraction, pool: Pool) -> None:
        """Let one order meet one price, as far as size and money go."""
        if order.limit is not None:
            if (price > order.limit) if order.buy else (price < order.limit):
                return
        maker = order.limit is not None and not order.fresh
        at = order.limit if maker else price
        if order.limit is None:
            at += self.terms.slippage if order.buy else -self.terms.slippage
        wanted = pool.most(order.leaves, self.terms.lot)
        if order.closes is not None:
            wanted = min(wanted, order.closes.open)
        if not wanted:
            return
        if self.passed(order, at):
            self.end(order, "PROTECTION_PASSED")
            return
        if order.force == "FOK" and wanted < order.leaves:
            return
        volume = self.purse.affordable(order, wanted, at, maker)
        if order.force == "FOK" and volume < wanted:
            self.end(order, "INSUFFICIENT_FUNDS")
            return
        if volume:
            pool.take(volume)
            fee = self.purse.fill(order, volume, at, maker)
            self.note(order, volume, at, fee, maker)
            self.after_fill(order)
        if volume < wanted:
            self.end(order, "INSUFFICIENT_FUNDS")
        self.settle(order)

    def note(
        self, order: Order, volume: Fraction, price: Fraction, fee: Fraction, maker: bool
    ) -> None:
        kind = "entry" if order.closes is None else order.kind
        whose = order if order.closes is None else order.closes
        self.fills.append([self.now, whose.name, kind, order.buy, price, volume, fee, maker])

    def passed(self, order: Order, price: Fraction) -> bool:
        """Whether an entry would fill at or beyond its own stop-loss or take-profit."""
        low, high = order.stop_loss, order.take_profit
        if not order.buy:
            low, high = high, low
        return (low is not None and price <= low) or (high is not None and price >= high)

    def after_fill(self, order: Order) -> None:
        """End the partners of an order that has filled; give what it opened its protections."""
        for other in list(self.orders):
            if order.label is not None and other.label == order.label:
                if other.name[0] != order.name[0]:
                    self.end(other, "ONE_CANCELS_OTHER")
        if order.spot or order.closes is not None:
            return
        for kind, name in (("stop_loss", "stop"), ("take_profit", "limit")):
            price = getattr(order, kind)
            if price is not None and all(one.kind != kind for one in order.exits):
                self.places += 1
                exit_ = Order("", False, not order.buy, order.open, kind=kind, closes=order)
                exit_.place = self.places
                setattr(exit_, name, price)
                order.exits.append(exit_)
                self.orders.append(exit_)

    def settle(self, order: Order) -> None:
        """Bring reserve, order and its position's closes in line after a fill."""
        if order.closes is not None:
            if not order.closes.open:
                for other in list(order.closes.exits):
                    self.end(other, None if other is order else "ALREADY_DONE")
            elif not order.leaves:
                self.end(order, None)
            return
        if not order.alive:
            return
        if not order.leaves:
            self.end(order, None)
        elif not self.purse.hold(order, order.leaves):
            if not self.purse.cut(order):
                self.end(order, "INSUFFICIENT_FUNDS")
        elif order.spot and not order.buy:
            step = self.terms.step
            if (order.exact + order.leaves * order.worst) // step * step <= order.posted:
                self.end(order, "MIN_NOTIONAL")

    def first_opportunity_over(self, order: Order) -> None:
        if order.alive and order.force in ("IOC", "FOK") and not order.waits_for_stop:
            full = {"IOC": "IMMEDIATE_OR_CANCEL", "FOK": "FILL_OR_KILL"}
            self.end(order, full[order.force])

    def end(self, order: Order, reason: str | None) -> None:
        """Nothing of it is pending any more: what is left is cancelled for ``reason``."""
        if not order.alive:
            return
        if order.leaves:
            order.cancelled += order.leaves
            order.reason = reason
        order.alive = False
        self.purse.hold(order, NONE)
        self.orders.remove(order)
        if order.closes is not None:
            order.closes.exits.remove(order)

    def liquidate(self, prices: dict[bool, Fraction]) -> None:
        """Take away the positions whose price of liquidation their own side has reached."""
        for position in self.positions:
            if not position.open:
                continue
            doom = self.purse.doom(position)
            price = prices[not position.buy]
            if doom is not None and (price <= doom if position.buy else price >= doom):
                volume = position.open
                for other in list(position.exits):
                    self.end(other, "ALREADY_DONE")
                price += -self.terms.slippage if position.buy else self.terms.slippage
                fee = self.purse.liquidate(position, price)
                row = [self.now, position.name, "liquidation", not position.buy]
                self.fills.append([*row, price, volume, fee, False])

    # -- time --------------------------------------------------------------------------------------

    def expire(self, now: int) -> None:
        """End what was good till ``now``, or a moment before."""
        for order in sorted(self.orders, key=lambda one: one.place):
            if order.expires is not None and order.expires <= now:
                self.end(order, "EXPIRED")
