"""Several accounts, assets and strategies in one run."""

from __future__ import annotations

from typing import Any

from backtest.errors import RejectReason
from backtest.models import Asset, TradingPair
from tests.harness import D, bar, pair_of, play, refused

BTC_ETH = TradingPair(
    "ETHBTC",
    Asset("ETH", 8),
    Asset("BTC", 8),
    price_increment=D("0.0001"),
    volume_increment=D("0.01"),
)


def test_two_assets_and_two_accounts_of_one_strategy() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1)
        await me.buy("BTCUSD", 2, account="savings")
        assert me.balance("USD") == (D(895), D(105))
        assert me.balance("USD", "savings") == (D(290), D(210))
        await me.next()
        assert me.balance("BTC", "savings") == (D(2), D(0))
        await me.sell("BTCUSD", "0.5", account="savings")
        await me.next()

    world = play(
        [bar(0, 100), bar(1, 110), bar(2, 120)],
        script,
        cash={"main": {"USD": 1000}, "savings": {"USD": 500, "BTC": 0}},
        own=[["main", "savings"]],
    )
    assert world.balance("USD", "main") == (D(890), D(0))
    assert world.balance("BTC", "main") == (D(1), D(0))
    # 500 - 220 + 60
    assert world.balance("USD", "savings") == (D(340), D(0))
    assert world.balance("BTC", "savings") == (D("1.5"), D(0))
    assert world.journal("savings") == [
        "RESERVE_MARGIN USD -210 210",
        "RESERVE_MARGIN USD -10 10",
        "FILL_BUY USD 0 -220",
        "SPOT_EXCHANGE BTC 2 0",
        "RESERVE_MARGIN BTC -0.5 0.5",
        "FILL_SELL BTC 0 -0.5",
        "SPOT_EXCHANGE USD 60 0",
    ]
    # the market has what they paid, and owes what they have
    assert world.balance("USD", "market") == (D(110 + 220 - 60), D(0))
    assert world.balance("BTC", "market") == (D("-2.5"), D(0))
    # 890 + 340 + 2.5 x 120
    assert world.equity == 1530


def test_a_pair_quoted_in_another_asset() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("ETHBTC", 10, limit_price="0.05")
        assert me.balance("BTC") == (D("0.5"), D("0.5"))
        await me.next()
        await me.long("ETHBTC", 4, leverage=2)
        await me.next()

    bars = []
    for n, (btc, eth) in enumerate([(100, "0.06"), (100, "0.05"), (200, "0.05")]):
        bars += [bar(n, btc), bar(n, eth, pair="ETHBTC")]
    world = play(bars, script, cash={"USD": 10, "BTC": 1}, pairs=[pair_of(), BTC_ETH])
    # 10 x 0.05 = 0.5 BTC; margin of 4 x 0.05 / 2 = 0.1 BTC
    assert world.balance("BTC") == (D("0.4"), D("0.1"))
    assert world.balance("ETH") == (D(10), D(0))
    # 10 USD + 0.5 BTC at 200 + 10 ETH at 0.05 BTC at 200
    assert world.equity == 10 + 100 + 100


def test_two_strategies_share_an_account() -> None:
    orders: dict[str, Any] = {}

    async def one(me: Any) -> None:
        await me.next()
        orders["one"] = await me.buy("BTCUSD", 5, limit_price=90)
        await me.next()
        assert me.balance("USD") == (D(550), D(450))
        await me.sleep(1)
        # the other one's 400 are gone from here, too
        assert me.balance("USD") == (D(150), D(850))
        assert len(me.open_orders()) == 1
        await refused(
            me, lambda: me.buy("BTCUSD", 2, limit_price=90), RejectReason.INSUFFICIENT_FUNDS
        )
        await me.next()
        assert me.balance("USD") == (D(150), D(400))
        assert me.balance("BTC") == (D(5), D(0))

    async def two(me: Any) -> None:
        await me.next()
        await me.next()
        assert me.balance("USD") == (D(550), D(450))
        orders["two"] = await me.buy("BTCUSD", 5, limit_price=80)
        assert me.balance("USD") == (D(150), D(850))
        await me.next()
        assert me.balance("BTC") == (D(5), D(0))
        # what the other bought is the account's: it may be sold by either
        await me.sell("BTCUSD", 5)
        await me.next()
        assert me.balance("BTC") == (D(0), D(0))

    bars = [bar(0, 100), bar(1, 100), bar(2, 95, 95, 89, 89), bar(3, 100)]
    world = play(bars, two, one)
    assert world.balance("USD") == (D(650), D(400))


def test_positions_are_a_strategys_own() -> None:
    async def one(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1)
        await me.next(2)
        assert me.position("BTCUSD").volume == 1

    async def two(me: Any) -> None:
        await me.next()
        await me.short("BTCUSD", 2)
        await me.next(2)
        assert me.position("BTCUSD").volume == -2
        assert me.balance("USD").unavailable == 300

    world = play([bar(0, 100), bar(1, 100), bar(2, 90)], one, two)
    # 1 x -10 + 2 x 10
    assert world.equity == 1010


def test_accounts_do_not_pay_for_each_other() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await refused(
            me, lambda: me.buy("BTCUSD", 1, account="small"), RejectReason.INSUFFICIENT_FUNDS
        )
        await me.long("BTCUSD", 10, leverage=10)
        await me.next(2)

    world = play(
        [bar(0, 100), bar(1, 100), bar(2, 50)],
        script,
        cash={"main": {"USD": 105}, "small": {"USD": 100}},
        own=[["main", "small"]],
    )
    # main lost its margin of 100, not more
    assert world.balance("USD", "main") == (D(5), D(0))
    assert world.balance("USD", "small") == (D(100), D(0))
    assert world.balance("USD", "insurance") == (D(-400), D(0))
