"""`backtest` on the bars, with the strategy, under a profile: fills and final equity."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal
from itertools import pairwise
from typing import Any

import data
import decisions

import backtest
from backtest.errors import OrderRejected
from backtest.models import Asset, Bar, TradingPair
from backtest.profiles import profile
from backtest.strategies import Strategy
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
    result = backtest.run(
        Ours(what=name),
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
