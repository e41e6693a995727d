"""Fees of orders that are split, cancelled or charged for a night; commands that make no sense."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import anyio
import pytest

import backtest
from backtest.data import synthetic_bars
from backtest.errors import ConfigError, OrderRejected, RejectReason
from backtest.models import ActionType, Asset, Bar, OrderDirection, TradingPair
from backtest.strategies import OrderHandle, Strategy
from tests.harness import HOUR, D, bar, play, refused, rules


def _fees(world: Any, kind: str) -> list[str]:
    """What account main paid at a stage, in order."""
    return [
        f"{row.asset} {row.available}"
        for row in world.rows()
        if row.account == "main" and row.kind.name == kind
    ]


def test_a_pending_order_pays_for_no_night_before_it_was_there() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.sleep(29 * 3600)  # from hour 23 to hour 52
        await me.buy("BTCUSD", 1, limit_price=50)
        async for _ in me.stream:
            pass

    # Bars of hours 22, 70, 71, 72; rollovers at 24, 48 and 72 h. The order is there from 52 h on:
    # when the bar of hour 70 opens, those of 24 h and 48 h are due, and neither is its own.
    bars = [bar(22, 100, length=HOUR), bar(70, 100, length=HOUR), bar(71, 100, length=HOUR)]
    bars += [bar(72, 100, length=HOUR)]
    fees = {"overnight_pending": {"flat_per_trade": "1"}}
    world = play(bars, script, rules=rules(fees=fees))
    assert _fees(world, "FEE_OVERNIGHT") == ["USD -1.00"]  # that of 72 h alone


def test_a_cancel_fee_on_margin_is_of_margin_only() -> None:
    fees = {
        "cancel": {"percent_of_margin": "0.1"},
        "fill": {"percent_of_notional": "0.01"},
    }

    async def script(me: Any) -> None:
        await me.next()
        for order in (
            await me.sell("BTCUSD", 10, limit_price=200),  # no margin: no fee
            await me.buy("BTCUSD", 1, limit_price=50),  # no margin: no fee
            await me.long("BTCUSD", 1, leverage=2, limit_price=50),  # margin 25, fill fee 0.50
        ):
            await order.cancel()

    cash = {"USD": "1000", "BTC": "10"}
    world = play([bar(0, 100), bar(1, 100)], script, cash=cash, rules=rules(fees=fees))
    assert _fees(world, "FEE_CANCEL") == ["USD -2.50"]  # 10 % of 25


def test_an_overnight_fee_on_margin_leaves_the_fill_fee_out() -> None:
    fees = {
        "overnight_pending": {"percent_of_margin": "0.1"},
        "fill": {"percent_of_notional": "0.01"},
    }

    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, leverage=2, limit_price=50)
        async for _ in me.stream:
            pass

    bars = [bar(hour, 100, length=HOUR) for hour in (22, 23, 24)]
    world = play(bars, script, rules=rules(fees=fees))
    assert _fees(world, "FEE_OVERNIGHT") == ["USD -2.50"]  # 10 % of 25, not of 25.50


def test_each_part_of_a_split_owes_a_flat_fill_fee_before_and_after_a_fill() -> None:
    fees = {"fill": {"flat_per_trade": "5"}}

    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, limit_price=100)
        assert me.balance("USD").unavailable == 305  # 3 x 100 + 5
        await me.next()  # the bar has a volume of 1: one fills, with the flat fee
        assert (order.filled_volume, order.leaves) == (1, 2)
        assert me.balance("USD").unavailable == 200
        await order.split([1, 1])
        assert me.balance("USD").unavailable == 210  # as orders of their own: 100 + 5 each
        async for _ in me.stream:
            pass

    bars = [bar(0, 110), bar(1, 105, 105, 95, 100, 1), bar(2, 105, 105, 95, 100)]
    world = play(bars, script, rules=rules(fees=fees))
    # Each part begins a branch, and a flat fee is charged with a branch's first fill.
    assert [(fill.volume, fill.fee) for fill in world.records.fills] == [(1, 5), (1, 5), (1, 5)]
    assert world.balance("USD") == (D(685), D(0))  # 1000 - 3 x 100 - 3 x 5


def test_the_parts_of_a_split_obey_the_least_volume() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, limit_price=100)
        await refused(me, lambda: order.split(["0.5", "1.5"]), RejectReason.MIN_VOLUME)

    play([bar(0, 110), bar(1, 110)], script, rules=rules(min_volume="1"))


def test_a_fill_that_returns_nothing_still_has_an_entry() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, limit_price=100)  # reserves 100, the margin at 100 is 100
        async for _ in me.stream:
            pass

    world = play([bar(0, 110), bar(1, 105, 105, 95, 100)], script)
    assert [len(entry.legs) for entry in world.ledger.entries[-1:]] == [1]
    (fill,) = world.records.fills
    assert fill.entry_id is not None
    assert world.balance("USD") == (D(900), D(100))


def test_cash_finer_than_its_asset_is_refused() -> None:
    pair = TradingPair("BTCUSD", Asset("BTC"), Asset("USD", 2))
    bars = synthetic_bars("BTCUSD", 2, seed=1)
    with pytest.raises(ConfigError, match=r"100\.005 USD has more digits than USD: 2"):
        backtest.run(Strategy(), data={pair: bars}, cash="100.005 USD")


class _BySubmit(Strategy):
    """Orders by values, and awaits what comes of them."""

    def on_start(self) -> None:
        self.order: OrderHandle | None = None
        self.error: OrderRejected | None = None

    async def on_bar(self, bar: Bar) -> None:
        if self.order is not None:
            return
        create = self.action(
            ActionType.CREATE_SPOT_LIMIT,
            "BTCUSD",
            volume=Decimal(1),
            price=Decimal(50),
            direction=OrderDirection.BUY,
        )
        self.order = await self.submit(create)
        assert self.order is not None
        cancel = self.action(ActionType.CANCEL_SPOT_LIMIT, "BTCUSD", order_id=self.order.id)
        await self.submit(cancel)
        try:
            await self.submit(cancel)
        except OrderRejected as error:
            self.error = error


def test_a_submitted_action_can_be_awaited() -> None:
    strategy = _BySubmit()
    bars = synthetic_bars("BTCUSD", 2, seed=1)
    backtest.run(strategy, data=bars, pair="BTCUSD", cash="1000 USD")
    assert strategy.order is not None
    assert strategy.order.cancelled_volume == 1
    assert strategy.error is not None
    assert strategy.error.reason is RejectReason.ALREADY_DONE


@pytest.mark.parametrize("what", [42, "yes"])
def test_a_handler_that_returns_nonsense_is_told_so(what: object) -> None:
    class Nonsense(Strategy):
        def on_bar(self, bar: Bar) -> object:
            return what

    class Late(Strategy):
        def on_start(self) -> None:
            self.set_timer("late", after="1s")

        def on_timer(self, name: str) -> object:
            return what

    bars = synthetic_bars("BTCUSD", 2, seed=1)
    for strategy, handler in ((Nonsense(), "on_bar"), (Late(), "on_timer")):
        with pytest.raises(TypeError, match=f"{handler} returned .*: a handler returns nothing"):
            backtest.run(strategy, data=bars, pair="BTCUSD", cash="1000 USD")


def test_a_run_that_is_no_coroutine_is_told_so() -> None:
    class Plain(Strategy):
        def run(self) -> None:  # type: ignore[override]
            pass

    bars = synthetic_bars("BTCUSD", 2, seed=1)
    with pytest.raises(ConfigError, match="run must be an 'async def'"):
        backtest.run(Plain(), data=bars, pair="BTCUSD", cash="1000 USD")


def test_a_child_process_is_refused_where_it_would_not_stop_time() -> None:
    class Child(Strategy):
        async def run(self) -> None:
            await anyio.run_process(["true"])

    bars = synthetic_bars("BTCUSD", 2, seed=1)
    with pytest.raises(ConfigError, match="run it in a thread"):
        backtest.run(Child(), data=bars, pair="BTCUSD", cash="1000 USD")
