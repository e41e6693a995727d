"""Cross margin where agents trade with each other, worked out by hand.

Two books of contracts, bitcoin about 100 and ether about 50; a position must maintain 1 % of its
worth, unless told otherwise. The agent ``a`` has cross margin, the others have money enough.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from backtest.actors.exchange.market import MarketSpec
from backtest.errors import OrderRejected, RejectReason
from backtest.models import Funding, TradingRules
from backtest.times import HOUR, MINUTE, SECOND
from tests.harness import D
from tests.market_harness import Does, Market, market_pair, play_market

Script = Callable[[Any], Awaitable[None]]
BTC, ETH = "BTCUSD", "ETHUSD"
RULES = TradingRules(maintenance_rate=D("0.01"))
FREE = TradingRules()
"""Nothing must be maintained: who is called has nothing left."""


def play(
    cash: str, scripts: Mapping[str, Script], rules: TradingRules = RULES, **settings: Any
) -> tuple[Market, dict[str, Does]]:
    """``a`` has so much, all others 100 000."""
    agents = {name: Does(script=script) for name, script in scripts.items()}
    ether = MarketSpec(
        pair=market_pair(ETH),
        rules=TradingRules(
            spot_allowed=False, maintenance_rate=rules.maintenance_rate, fees=rules.fees
        ),
        reference_price=D(50),
    )
    money = {name: {"USD": cash if name == "a" else "100000"} for name in agents}
    market = play_market(agents, money, rules=rules, cross=("a",), more=(ether,), **settings)
    conserved(market)
    return market, agents


def conserved(market: Market) -> None:
    """All money is somewhere, and clearing is what all open positions have won at the marks."""
    ledger = market.account.ledger
    assert ledger.fold() == ledger.balances()
    balances = [owned.get("USD", (D(0), D(0))) for owned in ledger.balances().values()]
    assert sum(one[0] + one[1] for one in balances) == 0
    won = [
        book.pnl(position, book.last)
        for book in market.exchange.books.values()
        for position in book.positions
        if book.last is not None
    ]
    assert market.balance("clearing")[0] == sum(won)


def at(seconds: float, *orders: tuple[str, str, str, str | None], leverage: int = 1) -> Script:
    """Sends orders at once: side, pair, volume, and limit or None for the market."""

    async def script(me: Does) -> None:
        await me.sleep(seconds)
        for side, pair, volume, limit in orders:
            await getattr(me, side)(pair, volume, limit_price=limit, leverage=leverage)

    return script


def told(agent: Does) -> list[str]:
    """What happened to its orders, with reasons."""
    return [
        event.kind.value if event.reason is None else f"{event.kind.value} {event.reason.name}"
        for event in agent.heard
    ]


async def holds_bitcoin(me: Does) -> None:
    """Buys 10 at 100; with a leverage of 100 their margin is 10."""
    await me.long(BTC, 10, limit_price="100", leverage=100)


SOLD = at(1, ("short", BTC, "10", "100"))
"""Who sells them."""


class TestTheCall:
    async def _with_an_order(self, me: Does) -> None:
        await holds_bitcoin(me)
        await me.sleep(1.5)
        await me.long(BTC, 1, limit_price="90", leverage=5)

    @pytest.mark.parametrize(("price", "called"), [("97.98", False), ("97.97", True)])
    def test_it_comes_where_equity_is_no_more_than_maintenance(
        self, price: str, called: bool
    ) -> None:
        """30 + 10 (p - 100) <= 0.1 p from p = 97.97... down. There 10 are sold at 97.50: -25."""
        market, agents = play(
            "30",
            {
                "a": self._with_an_order,
                "b": SOLD,
                "bids": at(2, ("long", BTC, "1", price), ("long", BTC, "20", "97.50")),
                "seller": at(3, ("short", BTC, "1", None)),
            },
        )
        if not called:
            assert market.balance("a") == (D(2), D(28))  # 10 of margin, 18 for the order
            assert "liquidated" not in told(agents["a"])
            return
        assert market.trades[-1] == (D("97.50"), D(10), "bids", "a")
        assert market.balance("a") == (D(5), D(0))
        assert told(agents["a"])[-3:] == ["cancelled MARGIN_CALL", "triggered", "liquidated"]
        assert market.balance("insurance") == (D(0), D(0))

    def test_the_worst_goes_first_and_the_rest_stays_once_the_account_suffices(self) -> None:
        """100, long 10 at 100 and 10 at 50. At 95 and 46 equity is 100 - 50 - 40 = 10, maintenance
        9.5 + 4.6. Bitcoin has lost more: at 95 it is sold. Then equity is 50 - 40 = 10, more than
        4.6."""

        async def a(me: Does) -> None:
            await holds_bitcoin(me)
            await me.long(ETH, 10, limit_price="50", leverage=100)

        market, agents = play(
            "100",
            {
                "a": a,
                "b": at(1, ("short", BTC, "10", "100"), ("short", ETH, "10", "50")),
                "bids": at(2, ("long", BTC, "20", "95"), ("long", ETH, "20", "46")),
                "seller": at(3, ("short", BTC, "1", None), ("short", ETH, "1", None)),
            },
        )
        assert market.trades[-1] == (D(95), D(10), "bids", "a")
        assert market.balance("a") == (D(45), D(5))
        assert agents["a"].position(ETH).volume == 10
        assert not agents["a"].position(BTC)

    def test_all_of_it_goes_where_the_worst_is_not_enough(self) -> None:
        """The same, but bitcoin meets 94.50 only: -55, and equity is 45 - 40 = 5 > 4.6; at 94.40:
        -56, and 4 <= 4.6. So ether goes, too, at 46: 44 - 40 = 4 are left."""

        async def a(me: Does) -> None:
            await holds_bitcoin(me)
            await me.long(ETH, 10, limit_price="50", leverage=100)

        market, _ = play(
            "100",
            {
                "a": a,
                "b": at(1, ("short", BTC, "10", "100"), ("short", ETH, "10", "50")),
                "bids": at(
                    2,
                    ("long", BTC, "1", "95"),
                    ("long", BTC, "20", "94.40"),
                    ("long", ETH, "20", "46"),
                ),
                "seller": at(3, ("short", BTC, "1", None), ("short", ETH, "1", None)),
            },
        )
        assert market.trades[-2:] == [
            (D("94.40"), D(10), "bids", "a"),
            (D(46), D(10), "bids", "a"),
        ]
        assert market.balance("a") == (D(4), D(0))

    def test_a_sweep_is_done_before_the_account_is_called(self) -> None:
        """31 and an own bid of 1 at 97.20. Two sold at the market meet 97.90, which calls, and that
        bid: 11 have cost 1097.20. At 97.20 equity is 31 + 1069.20 - 1097.20 = 3 <= 10.69. All are
        sold at 97: 1067 - 1097.20 = -30.20."""

        async def a(me: Does) -> None:
            await holds_bitcoin(me)
            await me.sleep(2)
            await me.long(BTC, 1, limit_price="97.20", leverage=100)

        market, _ = play(
            "31",
            {
                "a": a,
                "b": SOLD,
                "bids": at(1.5, ("long", BTC, "1", "97.90"), ("long", BTC, "20", "97")),
                "seller": at(3, ("short", BTC, "2", None)),
            },
        )
        assert market.trades[-4:] == [
            (D("97.90"), D(1), "bids", "seller"),
            (D("97.20"), D(1), "a", "seller"),
            (D(97), D(10), "bids", "a"),
            (D(97), D(1), "bids", "a"),
        ]
        assert market.balance("a") == (D("0.80"), D(0))

    def test_what_is_lost_beyond_all_money_is_the_insurances(self) -> None:
        """Sold at 96: -40 of 30."""
        market, agents = play(
            "30",
            {
                "a": holds_bitcoin,
                "b": SOLD,
                "bids": at(2, ("long", BTC, "1", "97.90"), ("long", BTC, "20", "96")),
                "seller": at(3, ("short", BTC, "1", None)),
            },
            insurance="25",
        )
        assert market.balance("a") == (D(0), D(0))
        assert market.balance("insurance") == (D(15), D(0))
        assert told(agents["a"])[-1] == "bankruptcy"

    def test_funding_calls(self) -> None:
        """2.5 % of 1000 leave 5 of 30, less than the 10 to be maintained. Sold at 99.90."""
        market, _ = play(
            "30",
            {"a": holds_bitcoin, "b": SOLD, "bids": at(2, ("long", BTC, "20", "99.90"))},
            TradingRules(maintenance_rate=D("0.01"), funding=Funding("0.025", every="1h")),
            until=HOUR + MINUTE,
        )
        assert market.trades[-1] == (D("99.90"), D(10), "bids", "a")
        assert market.balance("a") == (D(4), D(0))

    def test_accounts_that_one_trade_calls_come_one_after_the_other(self) -> None:
        """Both have bought 10 at 100; with 30 the one is called at 97.97, with 25 the other at
        97.47. What comes down to 97 has reached the first before."""

        async def a(me: Does) -> None:
            await me.sleep(0.5)
            await holds_bitcoin(me)

        agents = {
            "poor": Does(script=holds_bitcoin),
            "a": Does(script=a),
            "b": Does(script=at(1, ("short", BTC, "20", "100"))),
            "bids": Does(script=at(2, ("long", BTC, "1", "97"), ("long", BTC, "30", "96.95"))),
            "seller": Does(script=at(3, ("short", BTC, "1", None))),
        }
        money = {name: {"USD": "100000"} for name in agents} | {
            "poor": {"USD": "31"},
            "a": {"USD": "34"},
        }
        market = play_market(agents, money, rules=RULES, cross=("a", "poor"))
        conserved(market)
        # 31 + 10 p - 1000 <= 0.1 p at 97.87, with 34 at 97.57.
        assert [one[3] for one in market.trades[-2:]] == ["poor", "a"]


class TestNobodyThere:
    def test_it_waits_for_whoever_comes_and_takes_no_order_that_opens(self) -> None:
        """Nobody buys what is called at 97.90, until 6 are bid for at 97.80 and 10 at 97.60."""
        refused = []

        async def a(me: Does) -> None:
            await holds_bitcoin(me)
            await me.sleep(4)
            with pytest.raises(OrderRejected) as refusal:
                await me.long(BTC, 1, limit_price="90", leverage=100)
            refused.append(refusal.value.reason)

        market, _ = play(
            "30",
            {
                "a": a,
                "b": SOLD,
                "bids": at(2, ("long", BTC, "1", "97.90")),
                "seller": at(3, ("short", BTC, "1", None)),
                "late": at(5, ("long", BTC, "6", "97.80"), ("long", BTC, "10", "97.60")),
            },
        )
        assert refused == [RejectReason.MARGIN_CALL]
        # 6 at 97.80 have lost 13.20: equity 30 - 13.20 - 4 x 2.20 = 8, maintenance of 4 is 3.91:
        # it suffices, and the rest stays.
        assert market.trades[-1] == (D("97.80"), D(6), "late", "a")
        assert sum(market.balance("a")) == D("16.80")
        assert not market.exchange.books[BTC].unmet

    def test_of_two_lots_the_second_waits_no_more_where_the_first_was_enough(self) -> None:
        """6 and 4 at 100 come both; 6 are bid for at 97.80, after which the account suffices."""

        async def a(me: Does) -> None:
            await me.long(BTC, 6, limit_price="100", leverage=100)
            await me.long(BTC, 4, limit_price="100", leverage=100)

        market, agents = play(
            "30",
            {
                "a": a,
                "b": SOLD,
                "bids": at(2, ("long", BTC, "1", "97.90"), ("long", BTC, "6", "97.80")),
                "seller": at(3, ("short", BTC, "1", None)),
            },
        )
        assert market.trades[-1] == (D("97.80"), D(6), "bids", "a")
        assert told(agents["a"])[-1] == "close_cancelled MARGIN_CALL"
        assert not market.exchange.books[BTC].unmet

    def test_it_waits_no_more_once_the_account_suffices(self) -> None:
        async def a(me: Does) -> None:
            await holds_bitcoin(me)
            await me.sleep(7)
            assert me.position(BTC).volume == 10
            await me.long(BTC, 1, limit_price="100", leverage=5)

        market, agents = play(
            "30",
            {
                "a": a,
                "b": SOLD,
                "bids": at(2, ("long", BTC, "1", "97.90")),
                "seller": at(3, ("short", BTC, "1", None)),
                "offers": at(4, ("short", BTC, "5", "101")),
                "buyer": at(5, ("long", BTC, "1", None)),
                "late": at(6, ("long", BTC, "5", "97")),
            },
        )
        assert market.trades[-1] == (D(101), D(1), "buyer", "offers")
        assert told(agents["a"])[-2:] == ["close_cancelled MARGIN_CALL", "accepted"]
        assert not market.exchange.books[BTC].unmet
        assert market.balance("a") == (D(0), D(30))

    def test_the_next_worst_comes_where_nobody_wants_the_worst(self) -> None:
        """As above at 95 and 46, but nobody bids for bitcoin any more: ether goes, at 46, for -40.
        Equity is 60 - 50 = 10 then, and 9.5 is to be maintained: that suffices."""

        async def a(me: Does) -> None:
            await holds_bitcoin(me)
            await me.long(ETH, 10, limit_price="50", leverage=100)

        market, agents = play(
            "100",
            {
                "a": a,
                "b": at(1, ("short", BTC, "10", "100"), ("short", ETH, "10", "50")),
                "bids": at(2, ("long", BTC, "1", "95"), ("long", ETH, "20", "46")),
                "seller": at(3, ("short", BTC, "1", None), ("short", ETH, "1", None)),
            },
        )
        assert market.trades[-1] == (D(46), D(10), "bids", "a")
        assert told(agents["a"])[-1] == "close_cancelled MARGIN_CALL"
        assert market.balance("a") == (D(50), D(10))
        assert not market.exchange.books[BTC].unmet

    def test_in_an_auction_nobody_is_called_until_it_is_over(self) -> None:
        """Funding at eleven leaves 5 of 30 while orders are only collected; at half past ten to
        twelve they trade again, and what is called meets the bid at 99.90."""
        market, _ = play(
            "30",
            {"a": holds_bitcoin, "b": SOLD, "bids": at(2, ("long", BTC, "20", "99.90"))},
            TradingRules(maintenance_rate=D("0.01"), funding=Funding("0.025", every="1h")),
            phases=((30 * MINUTE, "auction"), (90 * MINUTE, "continuous")),
            until=HOUR + 40 * MINUTE,
        )
        assert market.trades[-1] == (D("99.90"), D(10), "bids", "a")
        assert market.exchange.trades_log[-1].time_ns == 11 * HOUR + 30 * MINUTE


class TestTheMoney:
    def test_the_margin_of_others_pays_for_a_close(self) -> None:
        """60: 10 in bitcoin, 50 in ether. Bitcoin is sold at 98 for -20: 10 come back, 10 are of
        ether's margin."""

        async def a(me: Does) -> None:
            order = await me.long(BTC, 10, limit_price="100", leverage=100)
            await me.long(ETH, 10, limit_price="50", leverage=10)
            await me.sleep(3)
            await order.close()

        market, agents = play(
            "60",
            {
                "a": a,
                "b": at(1, ("short", BTC, "10", "100"), ("short", ETH, "10", "50")),
                "bids": at(2, ("long", BTC, "10", "98")),
            },
        )
        assert market.balance("a") == (D(0), D(40))
        assert told(agents["a"])[-2:] == ["margin_used", "closed"]

    def test_the_reserves_of_orders_pay_before(self) -> None:
        """60: 10 in bitcoin, 30 in ether, 20 for an order, which is cancelled; so 10 are left."""

        async def a(me: Does) -> None:
            order = await me.long(BTC, 10, limit_price="100", leverage=100)
            await me.long(ETH, 6, limit_price="50", leverage=10)
            await me.long(ETH, 1, limit_price="40", leverage=2)
            await me.sleep(3)
            await order.close()

        market, agents = play(
            "60",
            {
                "a": a,
                "b": at(1, ("short", BTC, "10", "100"), ("short", ETH, "6", "50")),
                "bids": at(2, ("long", BTC, "10", "98")),
            },
        )
        assert market.balance("a") == (D(10), D(30))
        assert told(agents["a"])[-2:] == ["cancelled MARGIN_CALL", "closed"]

    async def _hedged(self, me: Does, stop_loss: str | None = None) -> Any:
        """20: 10 stand behind a long of 10 bitcoin, 10 behind a short of 10 ether."""
        order = await me.long(BTC, 10, limit_price="100", leverage=100, stop_loss=stop_loss)
        await me.short(ETH, 10, limit_price="50", leverage=50)
        return order

    _moves: Mapping[str, Script] = {
        "b": at(1, ("short", BTC, "10", "100"), ("long", ETH, "10", "50")),
        "offers": at(2, ("short", ETH, "21", "40")),
        "buyer": at(3, ("long", ETH, "1", None)),
        "bids": at(2, ("long", BTC, "21", "90")),
    }
    """Ether goes to 40 at 3, at which 20 more are offered; 21 are bid for bitcoin at 90."""

    def test_what_only_profits_of_others_can_pay_is_not_closed(self) -> None:
        """At 90 the long has lost 100, the short won 100. To sell takes 90 beside its margin, and
        there are 10: it stays, and so do the margins."""

        async def a(me: Does) -> None:
            order = await self._hedged(me)
            await me.sleep(4)
            await order.close()
            assert me.position(BTC).volume == 10

        market, agents = play("20", {"a": a, **self._moves}, FREE)
        assert told(agents["a"])[-1] == "close_cancelled INSUFFICIENT_FUNDS"
        assert market.balance("a") == (D(0), D(20))

    def test_for_a_stop_loss_they_are_closed(self) -> None:
        """The stop-loss at 95 is reached at 90: first ether is bought at 40, for 100, then bitcoin
        sold at 90, for -100."""

        async def a(me: Does) -> None:
            await self._hedged(me, stop_loss="95")

        moves = {**self._moves, "seller": at(4, ("short", BTC, "1", None))}
        market, agents = play("20", {"a": a, **moves}, FREE)
        assert market.trades[-2:] == [
            (D(40), D(10), "a", "offers"),
            (D(90), D(10), "bids", "a"),
        ]
        assert market.balance("a") == (D(20), D(0))
        assert "bankruptcy" not in told(agents["a"])

    def test_the_stop_loss_waits_for_them(self) -> None:
        """The same, but of ether 4 are offered at 40, which bring 40, and at 6 the other 6."""

        async def a(me: Does) -> None:
            await self._hedged(me, stop_loss="95")

        moves = {
            **self._moves,
            "offers": at(2, ("short", ETH, "5", "40")),
            "seller": at(4, ("short", BTC, "1", None)),
            "late": at(6, ("short", ETH, "6", "40")),
        }
        market, _ = play("20", {"a": a, **moves}, FREE)
        assert [(one[0], one[1]) for one in market.trades[-3:]] == [
            (D(40), D(4)),
            (D(40), D(6)),
            (D(90), D(10)),
        ]
        assert market.exchange.trades_log[-1].time_ns == 10 * HOUR + 6 * SECOND
        assert market.balance("a") == (D(20), D(0))

    def test_the_best_goes_first_where_the_worst_cannot_be_paid(self) -> None:
        """At 89 and 40 equity is 20 - 110 + 100 = 10, maintenance 8.9 + 4. To sell bitcoin takes
        110 of 20: so ether is bought, for 100. Then 10 are more than 8.9, and bitcoin stays."""

        async def a(me: Does) -> None:
            await self._hedged(me)

        moves = {
            **self._moves,
            "bids": at(2, ("long", BTC, "21", "89")),
            "seller": at(4, ("short", BTC, "1", None)),
        }
        market, agents = play("20", {"a": a, **moves})
        assert market.trades[-1] == (D(40), D(10), "a", "offers")
        assert agents["a"].position(BTC).volume == 10
        assert market.balance("a") == (D(110), D(10))

    def test_what_an_order_closes_together_pays_for_each_other(self) -> None:
        """Not netting: longs of 10 at 100 and of 10 at 90. A reduce-only sale of 20 at 95 loses 50
        on the one, wins 50 on the other, of an account that has 20 in all."""

        async def a(me: Does) -> None:
            await me.long(BTC, 10, limit_price="100", leverage=100)
            await me.sleep(2)
            await me.long(BTC, 10, limit_price="90", leverage=100)
            await me.sleep(2)
            await me.short(BTC, 20, reduce_only=True)
            assert not me.position(BTC)

        market, agents = play(
            "120",
            {
                "a": a,
                "b": at(1, ("short", BTC, "10", "100")),
                "c": at(2.5, ("short", BTC, "10", "90")),
                "bids": at(3, ("long", BTC, "30", "95")),
            },
            FREE,
            hedging=("a",),
        )
        assert market.balance("a") == (D(120), D(0))
        assert "margin_used" not in told(agents["a"])

    def test_what_positions_have_lost_cannot_be_spent(self) -> None:
        """20 are available, 15 lost at 98.50: an order of 6 is too much, one of 5 is not."""

        async def a(me: Does) -> None:
            await holds_bitcoin(me)
            await me.sleep(4)
            with pytest.raises(OrderRejected) as refusal:
                await me.long(ETH, 1, limit_price="6")
            assert refusal.value.reason is RejectReason.INSUFFICIENT_FUNDS
            await me.long(ETH, 1, limit_price="5")

        market, _ = play(
            "30",
            {
                "a": a,
                "b": SOLD,
                "bids": at(2, ("long", BTC, "1", "98.50")),
                "seller": at(3, ("short", BTC, "1", None)),
            },
        )
        assert market.balance("a") == (D(15), D(15))

    def test_a_reversal_is_paid_from_what_it_frees(self) -> None:
        """150: 100 stand behind a long of 10. At 98 it is turned into a short of 10: -20, 100 come
        back, 98 are needed."""

        async def a(me: Does) -> None:
            await me.long(BTC, 10, limit_price="100", leverage=10)
            await me.sleep(3)
            await me.short(BTC, 20, leverage=10)
            assert me.position(BTC).volume == -10

        market, _ = play("150", {"a": a, "b": SOLD, "bids": at(2, ("long", BTC, "20", "98"))})
        assert market.balance("a") == (D(32), D(98))
