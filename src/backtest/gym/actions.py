"""What a learner can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
from attrs import field, frozen
from gymnasium import Space
from gymnasium.spaces import Box, Discrete

from backtest.gym.learner import Learner
from backtest.money import ONE, add, decimal_of, mul

__all__ = ["ActWith", "Actions", "LimitOrders", "MarketOrders"]

Number = Decimal | int | str


def _number(value: Number) -> Decimal:
    return decimal_of(value, "volume")


class Actions(Protocol):
    """Makes orders of what the policy says."""

    @property
    def space(self) -> Space[Any]:
        """What all actions are elements of."""

    def act(self, learner: Learner, action: Any) -> Awaitable[None] | None:
        """Carry ``action`` out, inside the run: orders are sent as a strategy sends them.

        What it gives to be awaited is awaited, in simulated time, before the next decision. What
        it raises ends the run; a refused order raises nothing unless it is awaited.
        """


@frozen
class MarketOrders:
    """0 hold, 1 buy, 2 sell, 3 close all: at the market, ``volume`` each time.

    Without ``leverage`` spot orders, or, where the pair allows none, long and short ones with
    leverage 1; with it long and short ones on margin. To close is to cancel what is pending, sell
    what is held and close what is open.
    """

    volume: Decimal = field(converter=_number)
    leverage: Number | None = None

    names = ("hold", "buy", "sell", "close")

    @property
    def space(self) -> Space[Any]:
        return Discrete(len(self.names))

    def act(self, learner: Learner, action: Any) -> None:
        what = self.names[int(action)]
        if what == "close":
            learner.flatten()
        elif what != "hold":
            _order(learner, what == "buy", self.volume, self.leverage, None)


@frozen
class LimitOrders:
    """Two numbers from -1 to 1, offset and size: the learner's one limit order from now on.

    Of ``size``, the sign says buy or sell and the rest how much of ``volume``, rounded down to the
    pair's increment; less than the smallest order is none. The price is the last one, away from
    the market (below it for a buy) by ``offset`` × ``reach`` of it; a negative offset goes to meet
    the market. Whatever is pending is cancelled first. ``leverage`` as in `MarketOrders`.
    """

    volume: Decimal = field(converter=_number)
    reach: Decimal = field(default=Decimal("0.01"), converter=_number)
    leverage: Number | None = None

    @property
    def space(self) -> Space[Any]:
        return Box(-1.0, 1.0, (2,), np.float32)

    def act(self, learner: Learner, action: Any) -> None:
        # The only way from floats to money: their shortest decimal form, then the pair's grid.
        offset, size = (Decimal(str(one)) for one in action)
        learner.withdraw()
        volume = learner.terms.round_volume(mul(self.volume, size.copy_abs()))
        if volume < learner.terms.least_volume:
            return
        buys = size > 0
        away = mul(self.reach, offset.copy_negate() if buys else offset)
        price = learner.terms.round_price(mul(learner.price, add(ONE, away)))
        if price > 0:
            _order(learner, buys, volume, self.leverage, price)


@frozen
class ActWith:
    """Actions of your own: ``function(learner, action)`` for each element of ``space``."""

    space: Space[Any]
    function: Callable[[Learner, Any], Awaitable[None] | None]

    def act(self, learner: Learner, action: Any) -> Awaitable[None] | None:
        return self.function(learner, action)


def _order(
    learner: Learner,
    buys: bool,
    volume: Decimal,
    leverage: Number | None,
    limit_price: Decimal | None,
) -> None:
    if leverage is None and learner.takes_spot:
        trade = learner.buy if buys else learner.sell
        trade(learner.pair, volume, limit_price=limit_price)
    else:
        position = learner.long if buys else learner.short
        position(learner.pair, volume, leverage=leverage or 1, limit_price=limit_price)
