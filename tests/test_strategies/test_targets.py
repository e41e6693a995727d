"""Targets: how much a strategy is to have, and the orders that bring it there."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.actors import OrderEvent
from backtest.errors import FieldError, FieldTypeError, OrderRejected, RejectReason
from backtest.models import Bar, Fee, FeeKind, FeeStage, TradingPair, TradingRules
from backtest.strategies import OrderHandle
from tests.effort import examples

from .playing import D, Story, logged, market, play


class Aiming(Story):
    """Aims once, at the first bar, and tells what it has at each; ``again``: aims at each."""

    given: Any = None
    again: bool = False

    async def on_bar(self, bar: Bar) -> None:
        if self.minute == 1 or self.again:
            orders = await self.target("BTCUSD", **self.given)
            self.tell([sized(one) for one in orders], dict(orders.missing))
        self.tell(self.holding("BTCUSD"), self.position("BTCUSD").volume, self.equity())


def sized(order: OrderHandle) -> Decimal:
    """The volume of an order, negative where it sells."""
    return order.volume * order.direction.sign


def aimed(*bars: Any, given: Any, again: bool = False, **how: Any) -> list[Any]:
    story = Aiming(given=given, again=again)
    play(story, market(*bars), **how)
    return story.told


class TestSpot:
    def test_a_percentage_is_of_the_equity(self) -> None:
        # Half of 1000 at 100 are 5; filled at the next open, 100; at 120 they are worth 600.
        for share in (50, "50", "50%", D(50)):
            told = aimed(100, 100, 120, given={"percent": share})
            assert told == [(1, [5], {}), (1, 0, 0, 1000), (2, 5, 0, 1000), (3, 5, 0, 1100)]

    def test_a_volume_and_a_value(self) -> None:
        assert aimed(100, 100, given={"volume": "2.5"})[0] == (1, [D("2.5")], {})
        # 333 / 100, by steps of 0.1: 3.3.
        pair = TradingPair("BTCUSD", "BTC", "USD", volume_increment=D("0.1"))
        assert aimed(100, 100, given={"value": 333}, pair=pair)[0] == (1, [D("3.3")], {})

    def test_it_keeps_to_the_share_when_prices_move(self) -> None:
        told = aimed(100, 100, (100, 200, 100, 200), 200, given={"percent": 50}, again=True)
        orders = [one[1] for one in told if isinstance(one[1], list)]
        # 5 at 100. At 200 they are 1000 of 1500: 750 / 200 = 3.75, so 1.25 are sold, and then
        # 3.75 x 200 = 750 are half of 1500.
        assert orders == [[5], [], [D("-1.25")], []]
        assert told[-1] == (4, D("3.75"), 0, 1500)

    def test_the_share_is_of_what_the_fees_leave(self) -> None:
        # v x 100 = (1000 - v x 100 x 1 %) / 2: v = 500 / 100.5 = 4.97512437...; the fee is
        # 4.97512437 to 8 digits, and equity 995.02487563, of which half is 497.512437815.
        told = aimed(100, 100, given={"percent": 50}, rules=TradingRules(commission=D("0.01")))
        assert told[0] == (1, [D("4.97512437")], {})
        assert told[-1] == (2, D("4.97512437"), 0, D("995.02487563"))

    def test_all_of_it_is_what_a_market_order_can_reserve(self) -> None:
        # 1000 / 105 = 9.52380952; 10 were wanted.
        told = aimed(100, 100, given={"percent": 100})
        assert told[0] == (1, [D("9.52380952")], {"BTCUSD": D("0.47619048")})
        # A limit reserves for itself.
        told = aimed(100, 100, given={"percent": 100, "limit_price": 100})
        assert told[0] == (1, [10], {})

    def test_nothing_is_sent_within_one_increment_nor_below_the_least(self) -> None:
        pair = TradingPair("BTCUSD", "BTC", "USD", volume_increment=D("0.1"), min_notional=D(50))
        assert aimed(100, 100, given={"volume": "0.09"}, pair=pair)[0] == (1, [], {})
        # 0.4 x 100 is less than 50.
        told = aimed(100, 100, given={"volume": "0.4"}, pair=pair)
        assert told[0] == (1, [], {"BTCUSD": D("0.4")})

    def test_a_short_needs_margin(self) -> None:
        with pytest.raises(FieldError, match="give leverage=1"):
            aimed(100, given={"percent": -50})

    @pytest.mark.parametrize(
        ("given", "error", "said"),
        [
            ({}, FieldError, "takes one of percent, volume and value"),
            ({"percent": 1, "value": 1}, FieldError, "takes one of"),
            ({"percent": "0.5"}, FieldError, "write 50 for 50 %, or '0.5%' for less than one"),
            ({"percent": 0.5}, FieldTypeError, "not the float 0.5: 50 for 50 %"),
            ({"volume": 0.5}, FieldTypeError, "float"),
        ],
    )
    def test_what_is_meant_is_asked_for(self, given: Any, error: Any, said: str) -> None:
        with pytest.raises(error, match=said):
            aimed(100, given=given)

    def test_before_a_price_and_in_the_warm_up_it_says_so(self) -> None:
        class Early(Story):
            async def on_start(self) -> None:
                orders = await self.target("BTCUSD", percent=50)
                self.tell(len(orders), orders.refused["BTCUSD"].reason)

        early = Early()
        play(early, market(100))
        assert early.told == [(0, 0, RejectReason.NO_PRICE_YET)]

        class Warming(Story):
            warmup_bars = 2

            async def on_bar(self, bar: Bar) -> None:
                try:
                    self.tell(len(await self.target("BTCUSD", percent=50)))
                except OrderRejected as refusal:
                    self.tell(refusal.reason)

        warming = Warming()
        play(warming, market(100, 100, 100))
        assert warming.told == [(1, RejectReason.WARMING_UP), (2, 1), (3, 0)]


class TestWhatPends:
    def test_the_same_target_twice_is_one_order(self) -> None:
        class Twice(Story):
            async def on_bar(self, bar: Bar) -> None:
                for _ in range(2):
                    self.tell([sized(one) for one in await self.target("BTCUSD", volume=3)])

        story = Twice()
        result = play(story, market(100, 100))
        assert story.told == [(1, [3]), (1, []), (2, []), (2, [])]
        assert len(result.fills) == 1

    def test_another_target_takes_the_place_of_the_last(self) -> None:
        class Changing(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.target("BTCUSD", volume=3, limit_price=90)
                elif self.minute == 2:
                    await self.target("BTCUSD", volume=2)
                self.tell([(one.leaves, one.live.limit_price) for one in self.open_orders()])  # type: ignore[union-attr]

        story = Changing()
        play(story, market(100, 100, 100))
        assert story.told == [(1, [(3, 90)]), (2, [(2, None)]), (3, [])]

    def test_market_orders_count_as_done_and_resting_ones_do_not(self) -> None:
        class Both(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    self.buy("BTCUSD", 1)  # its answer has not come: it counts all the same
                    self.buy("BTCUSD", 1, limit_price=50)
                    self.tell([sized(one) for one in await self.target("BTCUSD", volume=3)])
                self.tell(len(self.open_orders()))

        story = Both()
        play(story, market(100, 100))
        assert story.told == [(1, [2]), (1, 3), (2, 1)]

    def test_a_sale_takes_what_resting_sells_hold_the_newest_first(self) -> None:
        class Leaving(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.buy("BTCUSD", 5)
                elif self.minute == 2:
                    await self.sell("BTCUSD", 3, limit_price=200)
                    await self.sell("BTCUSD", 2, limit_price=300)
                    self.tell([sized(one) for one in await self.target("BTCUSD", volume=1)])
                    self.tell([one.leaves for one in self.open_orders()])
                else:
                    self.tell(self.holding("BTCUSD"))

        story = Leaving()
        play(story, market(100, 100, 100))
        # 4 of the 5 are to be sold and none is free: all of the 2, and 2 of the 3.
        assert story.told == [(2, [-4]), (2, [1, 4]), (3, 1)]


class TestMargin:
    def test_long_short_and_nothing(self) -> None:
        class Turning(Story):
            async def on_bar(self, bar: Bar) -> None:
                plan = {1: 100, 2: -50, 4: 0}
                if self.minute in plan:
                    leverage = 2 if self.minute == 1 else None
                    orders = await self.target(
                        "BTCUSD", percent=plan[int(self.minute)], leverage=leverage
                    )
                    self.tell([sized(one) for one in orders])
                self.tell(self.position("BTCUSD").volume, self.holding("BTCUSD"))

        story = Turning()
        play(story, market(100, 100, 100, 100, 100))
        # 1000 at 100: long 10; then short 5: the money for that is there, so both are sent at once.
        assert story.told == [
            (1, [10]),
            (1, 0, 0),
            (2, [-10, -5]),
            (2, 10, 0),
            (3, -5, 0),
            (4, [5]),
            (4, -5, 0),
            (5, 0, 0),
        ]

    def test_a_turn_waits_for_the_margin_that_it_needs(self) -> None:
        class Turning(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.target("BTCUSD", volume=9, leverage=1)
                elif self.minute == 2:
                    orders = await self.target("BTCUSD", volume=-9)
                    self.tell([sized(one) for one in orders])

        story = Turning()
        result = play(story, market(100, 100, 100, 100))
        # 900 of the 1000 are margin, which the close in bar 3 brings back: then the short is sent.
        assert story.told == [(3, [-9, -9])]
        assert [fill.volume for fill in result.fills] == [9, 9, 9]

    def test_one_order_turns_a_position_where_the_account_nets(self) -> None:
        class Turning(Story):
            async def on_bar(self, bar: Bar) -> None:
                volume = {1: 5, 2: -4, 3: -1}.get(int(self.minute))
                if volume is not None:
                    orders = await self.target("BTCUSD", volume=volume, leverage=1)
                    self.tell([sized(one) for one in orders])
                self.tell(self.position("BTCUSD").volume)

        story = Turning()
        play(story, market(100, 100, 100, 100), netting=True)
        assert story.told == [
            (1, [5]),
            (1, 0),
            (2, [-9]),
            (2, 5),
            (3, [3]),
            (3, -4),
            (4, -1),
        ]

    def test_a_turn_where_the_account_nets_counts_on_what_the_close_brings(self) -> None:
        class Turning(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.target("BTCUSD", volume=9, leverage=1)
                elif self.minute == 2:
                    orders = await self.target("BTCUSD", volume=-8)
                    self.tell([sized(one) for one in orders], orders.missing, orders.refused)
                self.tell(self.position("BTCUSD").volume)

        story = Turning()
        rules = TradingRules(commission=D("0.01"))
        play(story, market(100, 100, 100, 100), netting=True, rules=rules)
        # 1000 less 900 of margin and 9 of fees are 91; the close brings 900 - 9 on top, which is
        # enough for 800 and 8.
        assert story.told == [(1, 0), (2, [-17], {}, {}), (2, 9), (3, -8), (4, -8)]

    def test_a_turn_where_the_account_nets_is_no_more_than_the_close_brings(self) -> None:
        class Turning(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.target("BTCUSD", volume=9, leverage=1)
                elif self.minute == 2:
                    orders = await self.target("BTCUSD", volume=-12)
                    self.tell([sized(one) for one in orders], orders.missing, orders.refused)
                self.tell(self.position("BTCUSD").volume)

        story = Turning()
        pair = TradingPair("BTCUSD", "BTC", "USD", volume_increment=D("0.001"))
        play(story, market(100, *[(90, 90, 90, 90)] * 3), netting=True, pair=pair)
        # 9 at 90 leave 190; the close brings 810: 1000 / 90 = 11.111.
        assert story.told == [
            (1, 0),
            (2, [D("-20.111")], {"BTCUSD": D("0.889")}, {}),
            (2, 9),
            (3, D("-11.111")),
            (4, D("-11.111")),
        ]

    def test_contracts_are_counted_with_their_size(self) -> None:
        pair = TradingPair("BTCUSD", "BTC", "USD", volume_increment=D(1), contract_size=D("0.1"))
        # 500 / (100 x 0.1) = 50 contracts; spot orders have no contracts, so margin it is.
        told = aimed(100, 100, given={"percent": 50}, pair=pair)
        assert told[0] == (1, [50], {})
        assert told[-1] == (2, 0, 50, 1000)


class TestWeights:
    def test_what_is_sold_pays_for_what_is_bought(self) -> None:
        class Turning(Story):
            async def on_bar(self, bar: Bar) -> None:
                if bar.pair != "ETHUSD":
                    return
                if self.minute == 1:
                    await self.target_weights({"ETHUSD": "0.8"})
                elif self.minute == 2:
                    orders = await self.target_weights({"BTCUSD": "0.8", "ETHUSD": "10%"})
                    self.tell([(one.pair, sized(one)) for one in orders])

        story = Turning()
        data = {
            "BTCUSD": market(100, 100, 100, 100),
            "ETHUSD": market(10, 10, 10, 10, pair="ETHUSD"),
        }
        result = play(story, data)
        # 80 of ETH at 10; of those 70 are sold in bar 3, which pays for 8 BTC at 100.
        assert story.told == [(3, [("ETHUSD", D(-70)), ("BTCUSD", D(8))])]
        assert [(fill.pair, fill.volume) for fill in result.fills] == [
            ("ETHUSD", D(80)),
            ("ETHUSD", D(70)),
            ("BTCUSD", D(8)),
        ]

    def test_what_is_reduced_pays_for_what_is_opened_where_the_account_nets(self) -> None:
        class Turning(Story):
            async def on_bar(self, bar: Bar) -> None:
                if bar.pair != "ETHUSD":
                    return
                if self.minute == 1:
                    await self.target_weights({"ETHUSD": "0.8"}, leverage=1)
                elif self.minute == 2:
                    weights = {"BTCUSD": "0.8", "ETHUSD": "0.1"}
                    orders = await self.target_weights(weights, leverage=1)
                    self.tell([(one.pair, sized(one)) for one in orders], orders.missing)

        story = Turning()
        data = {
            "BTCUSD": market(100, 100, 100, 100),
            "ETHUSD": market(10, 10, 10, 10, pair="ETHUSD"),
        }
        play(story, data, netting=True)
        assert story.told == [(3, [("ETHUSD", D(-70)), ("BTCUSD", D(8))], {})]

    def test_targets_of_two_tasks_come_one_after_the_other(self) -> None:
        class Both(Story):
            async def on_bar(self, bar: Bar) -> None:
                if bar.pair == "ETHUSD":
                    if self.minute < 2:
                        await self.target_weights({"BTCUSD": "0.4", "ETHUSD": "0.4"})
                    elif self.minute < 3:
                        async with anyio.create_task_group() as tasks:
                            tasks.start_soon(self.first)
                            tasks.start_soon(self.second)
                    self.last = [one.leaves for one in self.open_orders("BTCUSD")]

            async def first(self) -> None:
                await self.target_weights({"ETHUSD": 0, "BTCUSD": "0.1"})

            async def second(self) -> None:
                orders = await self.target("BTCUSD", percent=20)
                self.tell([sized(one) for one in orders], orders.missing)

        story = Both()
        data = {"BTCUSD": market(*[100] * 3), "ETHUSD": market(*[10] * 3, pair="ETHUSD")}
        play(story, data, latency="1ms")
        # The 4 of the first bar still pend at the second: the first task cancels them, and the
        # second does not take them for what can be sold.
        assert [one[1:] for one in story.told] == [([2], {})]

    def test_purchases_share_the_money_that_there_is(self) -> None:
        story = Weighing(weights={"BTCUSD": "0.5", "ETHUSD": "0.5"})
        play(story, two_pairs())
        # Each alone could have 1000 / 105 = 9.52380952 and 1000 / 10.5 = 95.23809523, on the grid:
        # 5 / 9.52380952 + 50 / 95.23809523 = 1.05000000025, so both are cut by that.
        assert story.told == [
            (1, [("BTCUSD", D("4.76190476")), ("ETHUSD", D("47.61904760"))], {}),
        ]

    def test_a_refused_part_leaves_the_others(self) -> None:
        story = Weighing(weights={"BTCUSD": "0.4", "ETHUSD": "0.4"}, resting=True)
        rules = {"ETHUSD": TradingRules(max_open_orders=1)}
        with logged() as logs:
            play(story, two_pairs(), rules={"BTCUSD": TradingRules(), **rules})
        assert story.told == [
            (1, [("BTCUSD", 4)], {"ETHUSD": RejectReason.MAX_OPEN_ORDERS}),
        ]
        assert [one["reason"] for one in logs if one["event"] == "order.rejected"] == [
            "MAX_OPEN_ORDERS"
        ]

    def test_others_are_closed_on_request(self) -> None:
        class Closing(Story):
            async def on_bar(self, bar: Bar) -> None:
                if bar.pair == "ETHUSD" and self.minute < 4:
                    name = "ETHUSD" if self.minute == 1 else "BTCUSD"
                    others = self.minute == 3
                    orders = await self.target_weights({name: "0.3"}, close_others=others)
                    self.tell([(one.pair, sized(one)) for one in orders])

        story = Closing()
        data = {"BTCUSD": market(*[100] * 4), "ETHUSD": market(*[10] * 4, pair="ETHUSD")}
        play(story, data)
        assert story.told == [(1, [("ETHUSD", 30)]), (2, [("BTCUSD", 3)]), (3, [("ETHUSD", -30)])]

    @pytest.mark.parametrize(
        ("weights", "said"),
        [
            ({"BTCUSD": "0.8", "ETHUSD": "0.3"}, "are more than 1 together"),
            ({"BTCUSD": "-0.8"}, "is short, which spot orders cannot be"),
        ],
    )
    def test_spot_weights_that_cannot_be(self, weights: Any, said: str) -> None:
        with pytest.raises(FieldError, match=said):
            play(Weighing(weights=weights), two_pairs())

    def test_weights_on_margin_are_no_more_than_the_leverage(self) -> None:
        weights = {"BTCUSD": "1.5", "ETHUSD": "-0.5"}
        with pytest.raises(FieldError, match=r"more together than the leverage 1\.5"):
            play(Weighing(weights=weights, leverage="1.5"), two_pairs())
        story = Weighing(weights=weights, leverage=4)
        play(story, two_pairs())
        assert story.told == [(1, [("BTCUSD", D(15)), ("ETHUSD", D(-50))], {})]

    def test_of_one_base_on_margin_there_may_be_two_pairs(self) -> None:
        class Both(Story):
            async def on_bar(self, bar: Bar) -> None:
                if bar.pair == "XBTUSD":
                    weights = {"BTCUSD": "0.4", "XBTUSD": "-0.4"}
                    orders = await self.target_weights(weights, leverage=1)
                    self.tell([(one.pair, sized(one)) for one in orders])

        story = Both()
        play(
            story,
            {
                TradingPair("BTCUSD", "BTC", "USD"): market(100),
                TradingPair("XBTUSD", "BTC", "USD"): market(100, pair="XBTUSD"),
            },
        )
        assert story.told == [(1, [("BTCUSD", 4), ("XBTUSD", -4)])]

    def test_targets_work_in_a_handler_of_orders(self) -> None:
        class Following(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.target("BTCUSD", percent=40)

            async def on_order(self, event: OrderEvent) -> None:
                if event.kind == "filled" and self.minute == 2:
                    orders = await self.target("BTCUSD", percent=20)
                    self.tell([sized(one) for one in orders])

        story = Following()
        play(story, market(100, 100, 100))
        assert story.told == [(2, [-2])]


class Weighing(Story):
    weights: Any = None
    resting: bool = False
    leverage: Any = None

    async def on_bar(self, bar: Bar) -> None:
        if bar.pair == "ETHUSD":  # both have a price now
            if self.resting:
                await self.buy("ETHUSD", 1, limit_price=1)
            orders = await self.target_weights(self.weights, leverage=self.leverage)
            refused = {pair: one.reason for pair, one in orders.refused.items()}
            self.tell([(one.pair, sized(one)) for one in orders], refused)


def two_pairs() -> dict[str, Sequence[Bar]]:
    return {"BTCUSD": market(100), "ETHUSD": market(10, pair="ETHUSD")}


class TestSeveralAccounts:
    def test_each_has_its_own_equity_and_targets(self) -> None:
        class Two(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    for account in ("first", "second"):
                        self.tell(self.equity(account))
                        await self.target("BTCUSD", percent=50, account=account)
                else:
                    self.tell(*[self.holding("BTCUSD", one) for one in ("first", "second")])

        story = Two()
        play(
            story,
            market(100, 100),
            cash={"first": "1000 USD", "second": "400 USD"},
            accounts={"two": ["first", "second"]},
        )
        assert story.told == [(1, 1000), (1, 400), (2, 5, 2)]


class TestCloseAll:
    def test_sells_what_spot_orders_bought_too(self) -> None:
        class Leaving(Story):
            spot: bool = True

            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.buy("BTCUSD", 2, stop_loss=50)
                    await self.long("BTCUSD", 1)
                elif self.minute == 2:
                    orders = await self.close_all(spot=self.spot)
                    self.tell([sized(one) for one in orders])
                else:
                    self.tell(self.holding("BTCUSD"), self.position("BTCUSD").volume)

        story = Leaving()
        play(story, market(100, 100, 100))
        # The exit at 50, which held the 2, is cancelled first.
        assert story.told == [(2, [-1, -2]), (3, 0, 0)]
        story = Leaving(spot=False)
        play(story, market(100, 100, 100))
        assert story.told == [(2, [-1]), (3, 2, 0)]

    def test_what_was_just_sent_is_cancelled_too(self) -> None:
        class Leaving(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    self.buy("BTCUSD", 2)
                    await self.close_all()
                self.tell(len(self.open_orders()), self.holding("BTCUSD"))

        story = Leaving()
        play(story, market(100, 100))
        assert story.told == [(1, 0, 0), (2, 0, 0)]

    def test_in_the_warm_up_what_is_owned_is_refused(self) -> None:
        class Warming(Story):
            warmup_bars = 2

            async def on_bar(self, bar: Bar) -> None:
                orders = await self.close_all()
                self.tell(len(orders), [one.reason for one in orders.refused.values()])

        story = Warming()
        play(story, market(100, 100), cash=["1000 USD", "1 BTC"])
        assert story.told == [(1, 0, [RejectReason.WARMING_UP]), (2, 1, [])]


@settings(max_examples=examples(40), deadline=None)
@given(
    cash=st.integers(100, 10**5),
    price=st.integers(1, 10**4),
    shares=st.lists(st.integers(0, 90), min_size=1, max_size=4),
    rate=st.sampled_from(["0", "0.001", "0.02"]),
    flat=st.sampled_from(["0", "1"]),
    step=st.sampled_from(["1", "0.01", "0.00000001"]),
    leverage=st.sampled_from([None, 3]),
    netting=st.booleans(),
)
def test_at_constant_prices_it_has_its_share_within_one_increment_and_never_more(
    cash: int,
    price: int,
    shares: list[int],
    rate: str,
    flat: str,
    step: str,
    leverage: int | None,
    netting: bool,
) -> None:
    class Steady(Story):
        async def on_bar(self, bar: Bar) -> None:
            self.tell(self.equity(), self.holding("BTCUSD") + self.position("BTCUSD").volume)
            place = int(self.minute) - 1
            if place < len(shares):
                orders = await self.target("BTCUSD", percent=shares[place], leverage=leverage)
                assert not orders.refused
                self.tell(dict(orders.missing))

    fees = {
        stage: [
            Fee(FeeKind.PERCENT_OF_NOTIONAL, D(rate)),
            Fee(FeeKind.FLAT_PER_TRADE, D(flat)),
        ]
        for stage in (FeeStage.FILL, FeeStage.CLOSE)
    }
    rules = TradingRules(fees=fees)
    pair = TradingPair("BTCUSD", "BTC", "USD", volume_increment=D(step))
    story = Steady()
    bars = market(*[price] * (len(shares) + 1))
    play(story, bars, cash=f"{cash} USD", rules=rules, pair=pair, netting=netting)
    told = [one[1:] for one in story.told]
    for place, share in enumerate(shares):
        (before, _), (missing,), (after, has) = told[2 * place : 2 * place + 3]
        wanted = after * share / 100
        assert has * price <= wanted
        if before == after:  # nothing was traded: a trade would have cost its fee
            continue
        assert wanted - has * price < (D(step) + missing.get("BTCUSD", 0)) * price * 2
