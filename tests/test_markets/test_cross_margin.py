"""A market whose agents have cross margin: what it says of itself when it is over."""

from __future__ import annotations

import pytest

from backtest.errors import ConfigError
from backtest.markets import Instrument, MarketResult, Scenario
from backtest.models import TradingRules
from tests.harness import D
from tests.market_harness import Does

PAIR = "BTCUSD"


def run(margin_mode: str = "cross") -> MarketResult:
    """``a`` has 30, long 10 at 100; 30 + 10 (p - 100) is no more than 1 % of 10 p at 97.90."""

    async def a(me: Does) -> None:
        await me.long(PAIR, 10, limit_price="100", leverage=100)

    async def b(me: Does) -> None:
        await me.sleep(1)
        await me.short(PAIR, 10, limit_price="100")
        await me.long(PAIR, 1, limit_price="97.90")
        await me.long(PAIR, 20, limit_price="97.50")

    async def seller(me: Does) -> None:
        await me.sleep(2)
        await me.short(PAIR, 1)

    market = Scenario(
        pairs=Instrument(
            pair=PAIR,
            price_increment="0.01",
            volume_increment=1,
            reference_price=100,
            rules=TradingRules(maintenance_rate=D("0.01")),
        ),
        margin_mode=margin_mode,
        duration="5s",
    )
    scripts = {"a": Does(script=a), "b": Does(script=b), "seller": Does(script=seller)}
    cash = {name: {"USD": "30" if name == "a" else "100000"} for name in scripts}
    return market.run(scripts, cash=cash)


def test_it_proves_itself_and_tells_why_it_liquidates() -> None:
    result = run()
    assert result.verify().ok
    taken = [fill for fill in result.fills if fill.kind == "liquidation"]
    # At 97.50: -25 of 30.
    assert [(fill.price, fill.volume) for fill in taken] == [(D("97.50"), D(10))]
    assert result.balances["a"]["USD"]["available"] == 5
    told = str(result.explain(taken[0].order_id))
    assert "account a is called: equity 9, maintenance 9.79" in told


def test_an_isolated_position_has_less_behind_it() -> None:
    """10 of margin are no more than the 10 that must be maintained at 100 already: it is liquidated
    by whoever bids."""
    result = run("isolated")
    taken = [(fill.price, fill.volume) for fill in result.fills if fill.kind == "liquidation"]
    assert taken == [(D("97.90"), D(1)), (D("97.50"), D(9))]


def test_another_margin_is_refused() -> None:
    with pytest.raises(ConfigError, match="margin_mode must be isolated or cross"):
        run("shared")
