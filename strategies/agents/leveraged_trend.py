"""An agent that bets its money on the trend, on margin and without a stop."""

from __future__ import annotations

from decimal import Decimal

from backtest.errors import FieldError
from backtest.models import Depth, OrderDirection
from backtest.money import ZERO, decimal_of, div, mul
from backtest.strategies.handle import Number

from .agent import middle_of
from .momentum import Momentum

__all__ = ["LeveragedTrend"]


class LeveragedTrend(Momentum):
    """Holds a long or short position as large as its leverage lets it, whichever way it goes.

    The trend is that of `Momentum`: the moving averages of ``fast`` and ``slow`` looks, one every
    ``every``. Without a position it opens one that takes ``use`` of its available money as margin,
    at ``leverage``. When the trend turns it cancels what is pending and closes what it has, at the
    market and reduce-only, and opens the other at the next look. It has no stop: when the price
    goes against it far enough the venue liquidates it, and that order meets whatever is in the
    book. ``size`` is not used.
    """

    leverage: Number = 10
    use: Number = "0.9"  # type: ignore[assignment]

    def on_start(self) -> None:
        if self.spot:
            raise FieldError("spot", "must be False: a spot account has no leverage")
        super().on_start()
        self.stake = decimal_of(self.use, "use")
        if not 0 < self.stake <= 1:
            raise FieldError("use", f"must be above 0 and at most 1, not {self.stake}")

    def on_timer(self, name: str) -> None:
        self.wake(self.pause)
        self.look()

    def act(self, depth: Depth) -> None:
        price = middle_of(depth)
        side = 0 if price is None else self.side(price)
        if price is None or not side:
            return
        buy = side > 0
        for order in self.open_orders(self.pair):
            if order.direction is (OrderDirection.LONG if buy else OrderDirection.SHORT):
                return  # on its way already
            self.withdraw(order)
        held = self.inventory
        if not held:
            self.place(buy, self.volume_within_means(price))
        elif (held > ZERO) != buy:
            self.place(buy, abs(held), reduce_only=True)

    def volume_within_means(self, price: Decimal) -> Decimal:
        """The volume for which the margin is ``use`` of what is available."""
        money = mul(self.balance(self.traded.settlement.code).available, self.stake)
        worth = mul(money, decimal_of(self.leverage, "leverage"))
        return div(worth, mul(price, self.traded.contract_size))
