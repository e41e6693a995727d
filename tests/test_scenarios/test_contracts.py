"""Where a pair trades contracts there are no spot orders: these exchange the base itself."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.errors import ConfigError, OrderRejected
from backtest.errors import RejectReason as R
from backtest.markets import Instrument
from backtest.models import ActionType, DecisionAction, OrderDirection
from tests.harness import D, bar, pair_of, play, refused
from tests.market_harness import Does, market_pair, play_market

SIZES = ("100", "0.01")


def _action(me: Any) -> DecisionAction:
    """The sale of one unit, as a value."""
    venue = me._host.system.actors["broker"].venue
    return DecisionAction(
        ActionType.CREATE_SPOT_MARKET,
        me.now,
        agent_id=venue.clients[me.name].agent.agent_id,
        account_id=next(iter(me._client.holdings.accounts.values())),
        broker_id=venue.broker_id,
        backtest_run_id=venue.run_id,
        trading_pair_code="XAUUSD",
        direction=OrderDirection.SHORT,
        volume=D(1),
    )


@pytest.mark.parametrize("size", SIZES)
def test_no_spot_order_is_taken_however_it_comes(size: str) -> None:
    """At 20 with contracts of 100, the sale of 100 XAU would bring 200 000 for what is worth 2 000;
    with contracts of 0.01 it would bring 20. A long of one contract is what the pair is for."""

    async def script(me: Any) -> None:
        await me.next()
        for order in (
            lambda: me.buy("XAUUSD", 1),
            lambda: me.sell("XAUUSD", 1),
            lambda: me.buy("XAUUSD", 1, limit_price=19),
            lambda: me.sell("XAUUSD", 1, stop_price=19),
            lambda: me.buy("XAUUSD", 1, stop_price=21, limit_price=22),
            lambda: me.sell("XAUUSD", 1, trail=1),
            lambda: me.buy("XAUUSD", 1, stop_loss=18, take_profit=22),
            lambda: me.sell("XAUUSD", 1, stop_loss=18, take_profit=22),
            lambda: me.buy("XAUUSD", 1, limit_price=19, oco="either"),
            lambda: me.submit(_action(me)),
        ):
            error = await refused(me, order, R.NOT_SUPPORTED)
            assert "contract_size 1" in str(error)
        position = await me.long("XAUUSD", 1)
        await me.next()
        assert position.is_filled

    world = play(
        [bar(0, 20, pair="XAUUSD"), bar(1, 20, pair="XAUUSD")],
        script,
        pairs=[pair_of("XAUUSD", contract_size=size)],
        cash={"main": {"USD": "5000", "XAU": "100"}},
    )
    assert world.balance("XAU") == (D(100), D(0))
    assert sum(world.balance("USD")) == 5000


def test_nor_where_agents_trade_with_each_other() -> None:
    async def seller(me: Does) -> None:
        for order in (me.sell("BTCUSD", 1, limit_price=100), me.buy("BTCUSD", 1)):
            with pytest.raises(OrderRejected) as refusal:
                await order
            assert refusal.value.reason is R.NOT_SUPPORTED

    market = play_market(
        {"seller": Does(script=seller)},
        {"seller": {"USD": 1000, "BTC": 10}},
        spot=True,
        pair=market_pair(size="10"),
    )
    assert not market.trades


def test_a_market_of_agents_for_spot_orders_has_no_contracts() -> None:
    with pytest.raises(ConfigError, match="exchange the base itself"):
        Instrument(pair=market_pair(size="10"), reference_price=D(100), kind="spot")
    market = Instrument(pair=market_pair(size="10"), reference_price=D(100), kind="trading")
    assert market.code == "BTCUSD"


def test_what_backs_an_account_can_be_sold_so_a_pair_of_contracts_does_not_price_it() -> None:
    with pytest.raises(ConfigError, match="contract_size of 1"):
        play(
            [bar(0, 100)],
            lambda me: me.next(),
            pairs=[pair_of("BTCUSD", contract_size="10")],
            accounts={"main": {"margin_mode": "cross", "collateral": {"BTC": "0.9"}}},
        )
