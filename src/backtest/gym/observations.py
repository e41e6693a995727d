"""What a learner is shown."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
from attrs import field, frozen
from gymnasium import Space
from gymnasium.spaces import Box

from backtest.errors import FieldError
from backtest.gym.learner import Learner
from backtest.money import ZERO, add, mul, sub

__all__ = ["Absolute", "Observation", "ObserveWith", "Relative"]


class Observation(Protocol):
    """Makes what the policy sees of what the learner knows."""

    @property
    def space(self) -> Space[Any]:
        """What all observations are elements of."""

    def observe(self, learner: Learner) -> Any:
        """What it looks like now, a new object each time. Called while time stands still."""


@frozen
class Relative:
    """Ten numbers around zero, whatever the pair costs and the account owns: float32, ``names``.

    ``change`` of the price since the decision before and ``price`` against the first one, both as a
    share; ``spread`` as a share of the price; ``imbalance`` of the volumes at the best bid and ask
    (-1 to 1, 0 where nobody tells); ``exposure``, what is held and open at the last price,
    ``pending``, what is ordered, ``cash`` that is free and ``unrealised_pnl``, as shares of the
    first equity; ``equity`` against the first; ``time_left`` (`Learner.time_left`). What is beyond
    ``bound`` is shown as ``bound``.
    """

    bound: float = field(default=10.0)

    names = (
        "change",
        "price",
        "spread",
        "imbalance",
        "exposure",
        "pending",
        "cash",
        "equity",
        "unrealised_pnl",
        "time_left",
    )

    @bound.validator
    def _positive(self, _: Any, value: float) -> None:
        if not 0 < value < float("inf"):
            raise FieldError("bound", f"must be above 0 and finite, not {value!r}")

    @property
    def space(self) -> Space[Any]:
        return Box(-self.bound, self.bound, (len(self.names),), np.float32)

    def observe(self, learner: Learner) -> Any:
        price, position = learner.price, learner.net
        best_bid, best_ask = learner.best_bid, learner.best_ask
        whole = float(learner.first_equity) or 1.0
        last = float(price)
        imbalance = 0.0
        if best_bid.volume is not None and best_ask.volume is not None:
            bid, ask = float(best_bid.volume), float(best_ask.volume)
            imbalance = (bid - ask) / (bid + ask) if bid + ask else 0.0
        size, in_cash = learner.terms.contract_size, learner.in_cash
        exposure = mul(add(learner.held, mul(position.volume, size)), price)
        row = (
            last / float(learner.price_before) - 1,
            last / float(learner.first_price) - 1,
            float(sub(best_ask.price, best_bid.price)) / last,
            imbalance,
            float(in_cash(exposure)) / whole,
            float(in_cash(mul(mul(learner.pending(), size), price))) / whole,
            float(in_cash(learner.balance(learner.terms.quote.code).available)) / whole,
            float(learner.equity) / whole - 1,
            float(in_cash(position.unrealised_pnl)) / whole,
            learner.time_left,
        )
        return np.clip(np.array(row, np.float32), -self.bound, self.bound)


LIMIT = 1e15
"""No price, volume or sum of money is shown as more than this."""


@frozen
class Absolute:
    """The numbers themselves: float64, ``names``; unknown volumes are 0.

    ``bid`` and ``ask`` are the last price where nobody tells; ``held`` is base that the
    account owns, ``position`` the signed net volume on margin with its ``average_price`` (0 without
    one); ``available`` and ``unavailable`` are of the quote asset, ``equity`` of the cash.
    """

    names = (
        "price",
        "bid",
        "ask",
        "bid_volume",
        "ask_volume",
        "held",
        "position",
        "average_price",
        "pending",
        "available",
        "unavailable",
        "equity",
        "unrealised_pnl",
        "time_left",
    )

    @property
    def space(self) -> Space[Any]:
        return Box(-LIMIT, LIMIT, (len(self.names),), np.float64)

    def observe(self, learner: Learner) -> Any:
        best_bid, best_ask, position = learner.best_bid, learner.best_ask, learner.net
        balance = learner.balance(learner.terms.quote.code)
        row: tuple[Decimal | float, ...] = (
            learner.price,
            best_bid.price,
            best_ask.price,
            best_bid.volume or ZERO,
            best_ask.volume or ZERO,
            learner.held,
            position.volume,
            position.average_price or ZERO,
            learner.pending(),
            balance.available,
            balance.unavailable,
            learner.equity,
            position.unrealised_pnl,
            learner.time_left,
        )
        return np.clip(np.array(row, np.float64), -LIMIT, LIMIT)


@frozen
class ObserveWith:
    """An observation of your own: ``function(learner)`` gives an element of ``space``."""

    space: Space[Any]
    function: Callable[[Learner], Any]

    def observe(self, learner: Learner) -> Any:
        return self.function(learner)
