"""What the agents of a market have in common."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from backtest.errors import FieldError
from backtest.models import Depth, OrderDirection, TradingPair
from backtest.money import ZERO, add, decimal_of, sub
from backtest.services.draws import exponential
from backtest.strategies.handle import Number, OrderHandle
from backtest.strategies.strategy import Strategy
from backtest.times import duration_ns

__all__ = ["Agent", "Duration", "middle_of", "seconds_of"]

Duration = float | int | str
"""A length of time as agents take it: seconds, or text such as ``"90s"``, ``"4h"``."""

_SECOND = 1e9


class Agent(Strategy):
    """A strategy that sleeps, wakes, looks at the best prices, and gives an order or two.

    Nothing in it needs an order book: it runs on historical data as well. ``pair`` is what it
    trades. With ``spot=False`` (the default) its orders are long and short ones with ``leverage``,
    and it may sell what it does not have; with ``spot=True`` it buys and sells what it owns.
    ``limit`` is the most that it holds on either side, beside what it had at the start; None: no
    limit but its money.

    To write another: override `on_start` (call ``super().on_start()``, then `wake` or
    `wake_at_random`), `on_timer` (wake again, cancel what is no longer wanted, then `look`) and
    `act`, which is given what it sees. A refused order is a matter of course for an agent; it is
    not logged, and stands in the run's records like every other.
    """

    pair: str = "BTCUSD"
    spot: bool = False
    leverage: Number = 1
    limit: Number | None = None

    def on_start(self) -> None:
        self.traded: TradingPair = self.pair_of(self.pair)
        self.at_start = self._held() if self.spot else ZERO
        self.most = None if self.limit is None else decimal_of(self.limit, "limit")
        if self.most is not None and self.most < 0:
            raise FieldError("limit", f"must not be negative, not {self.most}")

    # -- time --------------------------------------------------------------------------------------

    def wake(self, seconds: float, name: str = "wake") -> int:
        """Call ``on_timer(name)`` after so many seconds; gives a number for `cancel_timer`."""
        return self.set_timer(name, after=seconds)

    def wake_at_random(self, mean_seconds: float, name: str = "wake") -> int:
        """The same after a random while: wake-ups that come like this are a Poisson process."""
        return self.set_timer(name, after=mean_seconds * exponential(self.random))

    def wake_first(self, every: Duration, random_first: bool) -> float:
        """Wake after ``every``, or a random part of it if ``random_first``; ``every`` in seconds,
        which is for `on_timer` to wake after from then on."""
        pause = seconds_of(every, "every")
        self.wake(pause * self.random.random() if random_first else pause)
        return pause

    # -- what it sees and has ----------------------------------------------------------------------

    def look(self) -> None:
        """Ask for the best prices: `act` is called with the answer. Nobody waits for it."""
        self.ask_depth(self.pair)

    def on_timer(self, name: str) -> None:
        self.look()

    def on_snapshot(self, depth: Depth) -> None:
        self.act(depth)

    def act(self, depth: Depth) -> None:
        """What it does about the best prices that it sees; here nothing."""

    @property
    def inventory(self) -> Decimal:
        """What it holds more than at the start; negative when it is short (or has sold)."""
        if self.spot:
            return sub(self._held(), self.at_start)
        position = self.position(self.pair)
        return position.volume if position else ZERO

    def _held(self) -> Decimal:
        return self.balance(self.traded.base.code).total

    def room(self, buy: bool) -> Decimal | None:
        """How much more it may buy (or sell) before its ``limit``; None: as much as it likes."""
        if self.most is None:
            return None
        held = self.inventory if buy else self.inventory.copy_negate()
        side = OrderDirection.LONG if buy else OrderDirection.SHORT
        for handle in self.open_orders(self.pair):
            live = handle.live if handle.direction is side else None
            if live is not None and live.limit_price is None:
                held = add(held, handle.leaves)  # it will fill, whatever the price
        return max(ZERO, sub(self.most, held))

    # -- orders ------------------------------------------------------------------------------------

    def place(
        self, buy: bool, volume: Decimal, price: Decimal | None = None, **terms: Any
    ) -> OrderHandle | None:
        """Send an order: at the market, or limited by ``price``, which is rounded to the grid.

        ``volume`` is rounded down to the grid and cut to what ``limit`` leaves; None, and no order,
        when nothing is left of it. ``terms`` are further arguments of `buy` and `long`.
        """
        traded = self.traded
        room = self.room(buy)
        if self.spot and not buy:
            owned = self.balance(traded.base.code).available
            room = owned if room is None else min(room, owned)
        volume = traded.round_volume(volume if room is None else min(volume, room))
        if volume < traded.least_volume:
            return None
        if price is not None:
            price = max(traded.round_price(price), traded.price_increment)
        if self.spot:
            send = self.buy if buy else self.sell
            handle = send(self.pair, volume, limit_price=price, **terms)
        else:
            open_ = self.long if buy else self.short
            handle = open_(self.pair, volume, leverage=self.leverage, limit_price=price, **terms)
        # As if somebody waited for the answer: a refusal is no news, and is not logged.
        handle.awaited = True
        return handle

    def withdraw(self, *handles: OrderHandle | None) -> None:
        """Cancel what is pending of ``handles``."""
        for handle in handles:
            if handle is not None and handle.pending is not None:
                # It may fill while the cancel is on its way; the refusal is no news either.
                handle.cancel().awaited = True

    def withdraw_all(self) -> None:
        """Cancel all that is pending in its pair."""
        self.withdraw(*self.open_orders(self.pair))

    def withdraw_resting(self) -> None:
        """Cancel the limit orders that are pending. A market order is left alone: on bars it waits
        for the next open, and would never get there if every look took it back."""
        for handle in self.open_orders(self.pair):
            live = handle.live
            if live is not None and live.limit_price is not None:
                self.withdraw(handle)


def middle_of(depth: Depth) -> Decimal | None:
    """The middle between the best prices. Where a side is empty it is the last price, or the price
    of the other side if that has gone beyond it: bids above the last price say it is worth more."""
    bid, ask, last = depth.best_bid, depth.best_ask, depth.last
    if bid is not None and ask is not None:
        return depth.mid
    if bid is not None:
        return bid if last is None else max(bid, last)
    if ask is not None:
        return ask if last is None else min(ask, last)
    return last


def seconds_of(duration: Duration, field: str) -> float:
    """A length of time in seconds, longer than nothing."""
    ns = duration_ns(duration, field)
    if not ns:
        raise FieldError(field, "must be longer than nothing")
    return ns / _SECOND
