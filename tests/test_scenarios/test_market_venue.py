"""The exchange as a venue: who may be there, what it publishes, and what a failure leaves of it.

Every agent nets, prices are whole dollars about 100, volumes whole units.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from backtest.actors import BROKER, Directive, EventKind, Supervision, System
from backtest.actors.exchange.actor import ExchangeActor
from backtest.actors.exchange.market import MarketBook, MarketSpec
from backtest.actors.protocol import Create, Post, ReadDepth, Subscribe
from backtest.errors import BacktestError, ConfigError, FieldError, OrderRejected, RejectReason
from backtest.models import Account, ActionType, Agent, OrderDirection, TradingRules
from backtest.services.valuation import Valuation
from backtest.testing.injection import inject
from backtest.times import MINUTE, SECOND
from tests.harness import D
from tests.market_harness import Does, market_pair, play_market

from .test_market_trades import PAIR, after, conserved, play, rests


class TestSpec:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"reference_price": D(0)}, "reference_price must be a positive Decimal"),
            ({"reference_price": 100}, "reference_price must be a positive Decimal"),
            ({"reference_price": D("100.005")}, "not a multiple of the price increment 0.01"),
            ({"self_trade": "cancel_some"}, "self_trade must be one of cancel_newest"),
            ({"band": D(1)}, "band must be a share between 0 and 1"),
            ({"halt_ns": 0}, "halt_ns must be a positive int"),
            ({"bar_ns": 1.5}, "bar_ns must be a positive int"),
            ({"phase": "lunch"}, "phase must be one of auction, continuous, closed"),
            ({"rules": TradingRules()}, "takes spot orders or trading orders, not both"),
            (
                {"rules": TradingRules(spot_allowed=False, fill_on="this_close")},
                "fill policies are for historical data",
            ),
        ],
    )
    def test_what_makes_no_market_is_refused(self, wrong: dict[str, Any], said: str) -> None:
        right: dict[str, Any] = {
            "pair": market_pair(),
            "rules": TradingRules(spot_allowed=False),
            "reference_price": D(100),
        }
        assert MarketSpec(**right).band is None
        with pytest.raises(ConfigError, match=said):
            MarketSpec(**{**right, **wrong})

    def test_a_price_off_the_grid_never_becomes_a_number_of_ticks(self) -> None:
        rules = TradingRules(spot_allowed=False)
        spec = MarketSpec(pair=market_pair(), rules=rules, reference_price=D(100))
        book = MarketBook(spec, actor=None)  # type: ignore[arg-type]
        assert (book.ticks(D("100.01")), book.lots(D(3))) == (10_001, 3)
        with pytest.raises(FieldError, match=r"price 100\.005 is not a multiple of 0\.01"):
            book.ticks(D("100.005"))

    def test_what_is_remembered_of_prices_is_bounded(self, monkeypatch: Any) -> None:
        monkeypatch.setattr("backtest.actors.exchange.market._MANY", 3)
        rules = TradingRules(spot_allowed=False)
        spec = MarketSpec(pair=market_pair(), rules=rules, reference_price=D(100))
        book = MarketBook(spec, actor=None)  # type: ignore[arg-type]
        for _ in range(2):
            assert [book.price_of(ticks) for ticks in range(1, 9)] == [
                D(ticks) / 100 for ticks in range(1, 9)
            ]

    def test_an_account_with_collateral_may_not_trade_here(self) -> None:
        backing = {"BTC": D("0.9")}
        account = Account(UUID(int=3), "a", "USD", margin_mode="cross", collateral=backing)
        agent = Agent(UUID(int=4), "a", (account.account_id,))
        with pytest.raises(ConfigError, match="account 'a' has BTC as collateral, which on an"):
            ExchangeActor(
                UUID(int=1),
                UUID(int=2),
                {},
                {"strategy/a": (agent, (account,))},
                Valuation("USD", []),
            )


def to_venue(me: Does, message: Any) -> None:
    """As a faulty line or a foreign actor would send it."""
    me._host.link(BROKER).post(message)


class TestMessages:
    @pytest.mark.parametrize(
        ("message", "said"),
        [
            ("hello", "the exchange does not understand 'hello'"),
            (Subscribe("ETHUSD", "bars", True), "there is no pair 'ETHUSD' to subscribe to"),
            (ReadDepth("ETHUSD", 1), "there is no pair 'ETHUSD' here; there are: BTCUSD"),
        ],
    )
    def test_what_it_cannot_do_ends_the_run_with_the_reason(self, message: Any, said: str) -> None:
        async def sends(me: Does) -> None:
            to_venue(me, message)
            await me.sleep(1)

        with pytest.raises(BacktestError, match=said):
            play({"sends": sends})

    @pytest.mark.parametrize("phases", [(), ((SECOND, "closed"),)])
    def test_a_command_that_comes_twice_is_refused_the_second_time(
        self, phases: tuple[tuple[int, str], ...]
    ) -> None:
        """Also where the market has closed meanwhile: nothing disappears."""

        async def twice(me: Does) -> None:
            order = await me.buy(PAIR, 1, limit_price="90")
            await me.sleep(2)
            buy, one = OrderDirection.LONG, D(1)
            to_venue(me, Create(1, "twice", PAIR, True, "limit", buy, one, D(90), None))
            await me.sleep(1)
            assert me.open_orders() == [order]

        _, agents = play({"twice": twice}, spot=True, phases=phases)
        refused = [one for one in agents["twice"].heard if one.kind is EventKind.REJECTED]
        assert [one.reason for one in refused] == [RejectReason.DUPLICATE_COMMAND]
        assert refused[0].command == 0  # the answer of the first stays the answer

    def test_commands_in_the_words_of_an_action_are_taken_too(self) -> None:
        async def acts(me: Does) -> None:
            more: dict[str, Any] = {
                "direction": OrderDirection.LONG,
                "volume": D(1),
                "price": D(99),
            }
            order = await me.submit(me.action(ActionType.CREATE_SPOT_LIMIT, PAIR, **more))
            assert (await me.depth(PAIR)).best_bid == D(99)
            await me.sleep(2)
            with pytest.raises(OrderRejected) as refused:
                await me.submit(me.action(ActionType.CREATE_SPOT_LIMIT, PAIR, **more))
            assert refused.value.reason is RejectReason.MARKET_CLOSED
            await me.submit(me.action(ActionType.CANCEL_SPOT_LIMIT, PAIR, order_id=order.id))
            assert order.is_done

        market, _ = play({"acts": acts}, spot=True, phases=((SECOND, "closed"),))
        assert market.balance("acts") == (D(10000), D(0))

    def test_an_action_that_comes_twice_or_too_late_is_refused(self) -> None:
        async def acts(me: Does) -> None:
            more: dict[str, Any] = {"volume": D(1), "price": D(99)}
            more["direction"] = OrderDirection.LONG
            action = me.action(ActionType.CREATE_SPOT_LIMIT, PAIR, command_id=UUID(int=9), **more)
            to_venue(me, action)
            to_venue(me, action)
            await me.sleep(1)
            order = await me.buy(PAIR, 1, limit_price="99")
            await order.cancel()
            change = me.action(ActionType.MODIFY_SPOT_LIMIT, PAIR, order_id=order.id, price=D(98))
            with pytest.raises(OrderRejected) as refused:
                await me.submit(change)
            assert refused.value.reason is RejectReason.ALREADY_DONE

        market, agents = play({"acts": acts}, spot=True)
        kinds = ["accepted", "rejected", "accepted", "cancelled", "rejected"]
        assert agents["acts"].kinds == kinds
        assert agents["acts"].heard[1].reason is RejectReason.DUPLICATE_COMMAND
        assert market.balance("acts") == (D(9901), D(99))  # the first is there, once


class TestOwners:
    def test_agents_that_share_an_account_do_not_trade_with_each_other(self) -> None:
        """ "b" may trade for "a" as well, and "a" for "x": all three accounts are one owner's; "c"
        is another."""

        async def sells(me: Does) -> None:
            await me.sell(PAIR, 2, limit_price="101", account="x")

        async def buys(me: Does) -> None:
            order = await me.buy(PAIR, 1, limit_price="101")
            assert order.end_reason == "SELF_TRADE"

        market = play_market(
            {
                "a": Does(script=sells),
                "b": Does(script=after(1, buys)),
                "c": Does(script=after(2, rests(("buy", 1, "101")))),
            },
            {name: {"USD": 1000, "BTC": 5} for name in "abcx"},
            shared={"a": ["x"], "b": ["a"]},
            spot=True,
        )
        assert market.trades == [(D(101), D(1), "c", "x")]
        conserved(market)


class TestReaders:
    def test_who_reads_gets_what_happens_and_who_leaves_no_more(self) -> None:
        """One unit trades at 101 at 30 s, another at 150 s: the bars of the first and second minute
        are read (the second is flat), and the reader of trades leaves after the first."""
        got: dict[str, list[Any]] = {"bars": [], "trades": [], "quotes": []}

        class Reader(Does):
            async def run(self) -> None:
                async for bar in self.bars(PAIR):
                    got["bars"].append((bar.open, bar.close, bar.volume))
                    if len(got["bars"]) == 2:
                        break
                del bar
                await self.sleep(90)
                assert market_of[0].publication.has_bars(PAIR) is False

        class Ticks(Does):
            async def run(self) -> None:
                async for trade in self.trades(PAIR):
                    got["trades"].append(trade.price)
                    break
                async for quote in self.quotes(PAIR):
                    got["quotes"].append((quote.bid, quote.ask))

        async def both(me: Does) -> None:
            await me.sleep(30)
            await me.buy(PAIR, 1, limit_price="101")
            await me.buy(PAIR, 1, limit_price="99")
            await me.sleep(120)
            await me.buy(PAIR, 1, limit_price="101")

        market_of: list[Any] = []
        play_market(
            {
                "reader": Reader(),
                "ticks": Ticks(),
                "asks": Does(script=rests(("sell", 3, "101"))),
                "both": Does(script=both),
            },
            {name: {"USD": 1000, "BTC": 5} for name in ("reader", "ticks", "asks", "both")},
            spot=True,
            until=5 * MINUTE,
            prepare=lambda system: market_of.append(system.actors[BROKER]),
        )
        assert got["bars"] == [(D(101), D(101), D(1)), (D(101), D(101), D(0))]
        assert got["trades"] == [D(101)]
        # The bid at 99 makes a quote; the second purchase changes what is offered at 101.
        assert got["quotes"] == [(D(99), D(101)), (D(99), D(101))]

    def test_a_strategy_that_was_stopped_is_sent_nothing_more_and_its_order_stays(self) -> None:
        class Fragile(Does):
            def on_trade(self, trade: Any) -> None:
                raise RuntimeError("fragile")

        async def fragile(me: Does) -> None:
            await me.buy(PAIR, 1, limit_price="98")

        async def buys(me: Does) -> None:
            await me.buy(PAIR, 1)
            await me.sleep(1)
            await me.buy(PAIR, 1)
            await me.sell(PAIR, 1)

        def prepare(system: System) -> None:
            rule = Supervision(directive=Directive.STOP)
            system.actors["strategy/fragile"].supervision = rule

        market = play_market(
            {
                "fragile": Fragile(script=fragile),
                "asks": Does(script=rests(("sell", 3, "101"))),
                "buys": Does(script=after(1, buys)),
            },
            {name: {"USD": 1000, "BTC": 5} for name in ("fragile", "asks", "buys")},
            spot=True,
            prepare=prepare,
        )
        assert market.trades == [
            (D(101), D(1), "buys", "asks"),
            (D(101), D(1), "buys", "asks"),
            (D(98), D(1), "fragile", "buys"),
        ]
        conserved(market)


class TestRestart:
    def test_what_it_was_about_when_it_failed_comes_again(self) -> None:
        """The ledger refuses to write down the trade of 2 at 101, once: the exchange fails with it,
        and both begin again. What rests, rests; the order that was about to trade does so with the
        next command that comes, which is at 3 s, and before it."""
        rule = Supervision(directive=Directive.RESTART)

        def prepare(system: System) -> None:
            for name in ("account", BROKER):
                system.actors[name].supervision = rule
            failed: list[bool] = []

            def first_trade(envelope: Any) -> bool:
                said = envelope.payload
                if failed or type(said) is not Post or not said.why.startswith("traded"):
                    return False
                failed.append(True)
                return True

            inject(system, "account", "raise_before", first_trade)

        async def taker(me: Does) -> None:
            await me.sleep(1)
            await me.buy(PAIR, 2)

        async def late(me: Does) -> None:
            await me.sleep(3)
            order = await me.buy(PAIR, 5, limit_price="101")
            assert (order.filled_volume, order.leaves) == (D(1), D(4))

        market = play_market(
            {
                "maker": Does(script=rests(("sell", 3, "101"), ("buy", 1, "95"))),
                "taker": Does(script=taker),
                "late": Does(script=late),
            },
            {name: {"USD": 1000, "BTC": 5} for name in ("maker", "taker", "late")},
            spot=True,
            prepare=prepare,
        )
        assert market.trades == [
            (D(101), D(2), "taker", "maker"),
            (D(101), D(1), "late", "maker"),
        ]
        assert market.balance("taker") == (D(798), D(0))
        conserved(market)
