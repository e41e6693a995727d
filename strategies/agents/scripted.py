"""Agents that do what they were told, when they were told."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from backtest.errors import FieldError
from backtest.money import decimal_of
from backtest.strategies.handle import Number
from backtest.times import SECOND, duration_ns

from .agent import Agent, Duration

__all__ = ["Once", "Scripted"]

Step = Sequence[Any]
"""``(after, "buy" or "sell", volume)``, ``(after, side, volume, limit price)``, or
``(after, "cancel")``; ``after`` the start."""


class Scripted(Agent):
    """Sends the orders of ``steps``, each so long after the start.

    A step is ``("10s", "sell", 500)``, a market order; ``("10s", "buy", 3, "99.5")``, a limit
    order; or ``("1m", "cancel")``, which cancels whatever of it is pending.
    """

    steps: Sequence[Step] = ()

    def on_start(self) -> None:
        super().on_start()
        began = self.now_ns
        self.plan = [_checked(step) for step in self.steps]
        for number, (after, *_) in enumerate(self.plan):
            self.wake((began + after - self.now_ns) / SECOND, str(number))

    def on_timer(self, name: str) -> None:
        _, side, volume, price = self.plan[int(name)]
        if volume is None:
            self.withdraw_all()
        else:
            self.place(side == "buy", volume, price)


class Once(Agent):
    """One order at one time: ``volume`` at the market (or limited by ``price``), ``after`` so long.

    A large sale of this kind into a thin book is how a flash crash begins.
    """

    side: str = "sell"
    volume: Number = 1000
    after: Duration = "1h"
    price: Number | None = None

    def on_start(self) -> None:
        super().on_start()
        _, _, self.amount, self.worst = _checked((self.after, self.side, self.volume, self.price))
        self.wake(duration_ns(self.after, "after") / SECOND)

    def on_timer(self, name: str) -> None:
        assert self.amount is not None
        self.place(self.side == "buy", self.amount, self.worst)


def _checked(step: Step) -> tuple[int, str, Decimal | None, Decimal | None]:
    """When, what, how much and at what limit."""
    after, side, *rest = step
    when = duration_ns(after, "after")
    if side == "cancel" and not rest:
        return when, side, None, None
    if side not in ("buy", "sell") or not 1 <= len(rest) <= 2:
        raise FieldError(
            "steps",
            "must be (after, 'buy' or 'sell', volume), with a limit price or without, or "
            f"(after, 'cancel'), not {tuple(step)!r}",
        )
    price = None if len(rest) == 1 or rest[1] is None else decimal_of(rest[1], "price")
    volume = decimal_of(rest[0], "volume")
    if volume <= 0:
        raise FieldError("volume", f"must be positive, not {volume}")
    return when, side, volume, price
