"""Order flows: what a trader does, as data that can be drawn, shrunk, printed and played."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, NamedTuple

from backtest.errors import FieldError, OrderRejected
from backtest.models import Bar
from backtest.strategies import OrderHandle, Strategy

__all__ = ["ACTIONS", "FlowTrader", "OrderFlow", "Step"]

ACTIONS: Final = ("buy", "sell", "long", "short", "cancel", "modify", "split", "close")
"""What a `Step` may do."""


class Step(NamedTuple):
    """One thing that is done at the close of a bar.

    Prices are given as distances from the last close, as a share of it: a flow that was drawn
    for no market in particular makes sense in every one.
    """

    bar: int
    """At the close of which bar of the pair, from 0."""
    action: str
    """One of `ACTIONS`."""
    volume: Decimal
    limit: Decimal | None = None
    """Distance of the limit price, negative for below; None for a market order."""
    stop_loss: Decimal | None = None
    """Its distance on the losing side, for long and short; likewise the take-profit."""
    take_profit: Decimal | None = None
    leverage: int = 1
    target: int = 0
    """Which of the orders so far a change is for (modulo their number)."""


class OrderFlow(NamedTuple):
    """Steps in the order of their bars, all in one pair."""

    steps: tuple[Step, ...]
    pair: str = "BTCUSD"

    def trader(self) -> FlowTrader:
        """A strategy that carries the flow out, for `backtest.testing.play` or `backtest.run`."""
        return FlowTrader(flow=self)


class FlowTrader(Strategy):
    """Carries out an `OrderFlow`; ``refusals`` are those that the venue did not accept."""

    flow: OrderFlow

    def on_start(self) -> None:
        self.handles: list[OrderHandle] = []
        self.refusals: list[Exception] = []
        self.number = -1

    async def on_bar(self, bar: Bar) -> None:
        if bar.pair != self.flow.pair:
            return
        self.number += 1
        for step in self.flow.steps:
            if step.bar == self.number:
                try:
                    await self.take(step, bar.close)
                except (OrderRejected, FieldError) as refusal:
                    self.refusals.append(refusal)

    async def take(self, step: Step, last: Decimal) -> None:
        """Carry out one step, with prices relative to ``last``."""
        pair = self.pair_of(self.flow.pair)

        def price(distance: Decimal | None) -> Decimal | None:
            return None if distance is None else pair.round_price(last * (1 + distance))

        if step.action in ("buy", "sell", "long", "short"):
            given: dict[str, Any] = {"limit_price": price(step.limit)}
            if step.action in ("long", "short"):
                sign = 1 if step.action == "long" else -1
                loss, profit = step.stop_loss, step.take_profit
                given["leverage"] = step.leverage
                given["stop_loss"] = price(None if loss is None else -sign * loss)
                given["take_profit"] = price(None if profit is None else sign * profit)
            handle = getattr(self, step.action)(self.flow.pair, step.volume, **given)
            self.handles.append(handle)
            await handle
        elif self.handles:
            await self._change(step, self.handles[step.target % len(self.handles)], price)

    async def _change(self, step: Step, handle: OrderHandle, price: Any) -> None:
        if step.action == "cancel":
            await handle.cancel(None if step.limit is None else step.volume)
        elif step.action == "close":
            await handle.close(None, price(step.limit))
        elif step.action == "modify":
            await handle.modify(volume=step.volume, limit_price=price(step.limit))
        else:
            whole = handle.leaves or handle.open_volume
            part = min(step.volume, whole)
            self.handles += await handle.split([part, whole - part])
