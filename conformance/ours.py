"""`backtest` on the bars, with the strategy, under a profile: fills and final equity."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import data
import decisions
import flow

import backtest
from backtest.errors import OrderRejected
from backtest.models import Asset, Bar, TradingPair
from backtest.profiles import profile
from backtest.strategies import OrderHandle, Strategy
from backtest.times import to_ns

PAIR = TradingPair(
    "BTCUSD",
    Asset("BTC", 8),
    Asset("USD", 8),
    price_increment=Decimal("0.01"),
    volume_increment=Decimal(1),
)


class Ours(Strategy):
    """Does what the decisions say, one unit at a time."""

    what: str

    def on_start(self) -> None:
        self.brain = decisions.make(self.what)
        self.order: Any = None

    async def on_bar(self, bar: Bar) -> None:
        bracket = "bracket" in self.what
        held = 1 if self.position("BTCUSD") or self.balance("BTC").total else 0
        pending = self.open_orders("BTCUSD")
        busy = bool(pending) and self.what in ("sma", "bracket", "short-bracket")
        if not busy and not (bracket and held):
            for order in pending:
                await order.cancel()
        do = self.brain.decide(int(bar.close * 100), held, busy)
        if do is None:
            return
        settings: dict[str, Any] = {}
        if do.kind != "market":
            settings[f"{do.kind}_price"] = cents(do.price)
        if do.stop_loss is not None:
            settings |= {"stop_loss": cents(do.stop_loss), "take_profit": cents(do.take_profit)}
            send = self.long if do.side == "buy" else self.short
        else:
            send = self.buy if do.side == "buy" else self.sell
        try:
            await send("BTCUSD", 1, **settings)
        except OrderRejected as refused:
            REFUSED.append(str(refused))


class Drawn(Strategy):
    """Does what the random flow says."""

    profile: str
    last: int

    def on_start(self) -> None:
        self.flow = flow.Flow(self.profile, self.last)
        self.sent: dict[int, OrderHandle] = {}

    async def on_bar(self, bar: Bar) -> None:
        waiting = [number for number, order in self.sent.items() if order.live is not None]
        held = {number: int(order.open_volume) for number, order in self.sent.items()}
        held = {number: volume for number, volume in held.items() if volume}
        self.sent = {number: self.sent[number] for number in {*waiting, *held}}
        for do in self.flow.decide(int(bar.close * 100), waiting, held):
            try:
                await self.carry_out(do)
            except OrderRejected as refused:
                REFUSED.append(str(refused))

    async def carry_out(self, do: flow.Do) -> None:
        guards = {"stop_loss": do.stop_loss, "take_profit": do.take_profit}
        prices = {"limit_price" if do.kind == "limit" else "stop_price": do.price}
        told = prices | ({} if do.limit is None else {"limit_price": do.limit}) | guards
        settings = {name: cents(one) for name, one in told.items() if one is not None}
        if do.verb == "enter":
            send = self.long if do.buy else self.short
            order = self.sent[do.number] = await send("BTCUSD", do.volume, **settings)
            assert order.id is not None
            NUMBERS[order.id] = do.number
            return
        order = self.sent[do.number]
        if do.verb == "cancel":
            await order.cancel()
        elif do.verb == "modify":
            await order.modify(volume=do.volume, **settings)
        elif do.verb == "close":
            await order.close(do.volume)
        else:
            settings = {name: one for name, one in settings.items() if name in guards}
            await order.modify(**settings)


NUMBERS: dict[UUID, int] = {}
"""Of the orders of the random flow, by branch."""
REFUSED: list[str] = []


def cents(value: int | None) -> Decimal:
    assert value is not None
    return Decimal(value) / 100


def run(rows: list[data.Row], name: str, fee: str, profile_name: str) -> dict[str, Any]:
    """What `backtest` makes of it: ``fills`` (bar, side, price, volume) and ``equity``."""
    from datetime import datetime

    times = [to_ns(datetime.strptime(row.time, data.FORMAT).replace(tzinfo=UTC)) for row in rows]
    length = min(later - one for one, later in pairwise(times))
    bars = [
        Bar("BTCUSD", time, time + length, *(cents(one) for one in row[1:]), Decimal(1_000_000))
        for time, row in zip(times, rows, strict=True)
    ]
    charge = {"percent_of_notional": fee}
    REFUSED.clear()
    NUMBERS.clear()
    drawn = name == flow.NAME
    result = backtest.run(
        Drawn(profile=profile_name, last=len(rows)) if drawn else Ours(what=name),
        data={PAIR: bars},
        cash=f"{decisions.CASH} USD",
        rules=profile(profile_name).rules(fees={"fill": charge, "close": charge}),
    )
    number = {time: place for place, time in enumerate(times)}
    fills = [
        [
            number[fill.bar_open_ns],
            "buy" if fill.direction.sign > 0 else "sell",
            float(fill.price),
            float(fill.volume),
            *([NUMBERS[fill.branch_id]] if drawn else []),
        ]
        for fill in result.fills
    ]
    ends = [order.end_reason for order in result.orders if order.end_reason == "PROTECTION_PASSED"]
    return {
        "fills": fills,
        "equity": float(result.final_equity),
        "refused": len(REFUSED),
        "passed": len(ends),
    }
