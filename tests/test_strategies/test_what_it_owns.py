"""What a strategy is told of its money: balances, holdings, positions, and what it can afford."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.errors import AccountError, OrderRejected, RejectReason
from backtest.models import Asset, Bar, Fee, FeeKind, FeeStage, Quote, TradingPair, TradingRules
from backtest.times import MINUTE
from tests.effort import examples

from .playing import D, Story, market, play


class TestBalances:
    def test_an_asset_is_as_good_as_its_code_and_an_unknown_one_is_an_error(self) -> None:
        class Asking(Story):
            def on_bar(self, bar: Bar) -> None:
                self.tell(self.balance("USD").available, self.balance(Asset("USD", 2)).available)
                self.tell(self.balance("BTC").total)  # known, and there is none
                for asset, account in (("USDD", None), ("XYZ", None), ("USD", "other")):
                    with pytest.raises(AccountError) as raised:
                        self.balance(asset, account)
                    self.tell(str(raised.value))

        story = Asking()
        play(story, market(100))
        assert story.told == [
            (1, 1000, 1000),
            (1, 0),
            (1, "there is no asset 'USDD' here; did you mean 'USD'?"),
            (1, "there is no asset 'XYZ' here; there are: USD, BTC"),
            (1, "account 'other' is not strategy/asking's; it has: main"),
        ]

    def test_the_names_of_the_model_work_too(self) -> None:
        class Asking(Story):
            async def on_bar(self, bar: Bar) -> None:
                await self.buy("BTCUSD", "2.5", limit_price=100)
                view = self.balance("USD")
                self.tell(view.available_balance, view.unavailable_balance, view.total_balance)
                self.tell(view.utilization_rate, bool(view), bool(self.balance("BTC")))
                self.tell(self.balance("BTC").utilization_rate)

        story = Asking()
        play(story, market(100))
        # 2.5 x 100 of 1000 are reserved: a quarter.
        assert story.told == [(1, 750, 250, 1000), (1, 25, True, False), (1, 0)]


class TestWhatItHolds:
    def test_spot_orders_make_a_holding_and_no_position(self) -> None:
        class Buying(Story):
            async def on_bar(self, bar: Bar) -> None:
                self.tell(self.holding("BTCUSD"), bool(self.position("BTCUSD")))
                if not self.holding("BTCUSD"):
                    await self.buy("BTCUSD", 2)
                else:
                    await self.sell("BTCUSD", 1, limit_price=500)

        story = Buying()
        result = play(story, market(100, 100, 100))
        # The order of bar 1 fills in bar 2; what a pending sell holds is still owned.
        assert story.told == [(1, 0, False), (2, 2, False), (3, 2, False)]
        assert len(result.fills) == 1

    def test_a_hedge_is_a_position_and_shows_both_sides(self) -> None:
        class Hedging(Story):
            async def on_bar(self, bar: Bar) -> None:
                if not self.position("BTCUSD"):
                    await self.long("BTCUSD", 2)
                    await self.short("BTCUSD", 2)
                position = self.position("BTCUSD")
                self.tell(bool(position), position.volume, position.long_volume)
                self.tell(position.short_volume, repr(position), self.holding("BTCUSD"))

        story = Hedging()
        play(story, market(100, 100))
        assert story.told[2:] == [
            (2, True, 0, 2),
            (2, 2, "<PositionView BTCUSD 0 (long 2, short 2) at None>", 0),
        ]


class Spending(Story):
    """Buys all that it can afford, after a step more was refused."""

    limit: Any = None
    step: Decimal = D("0.00000001")

    async def on_bar(self, bar: Bar) -> None:
        volume = self.affordable("BTCUSD", self.limit)
        self.tell(volume)
        with pytest.raises(OrderRejected) as raised:
            await self.buy("BTCUSD", volume + self.step, limit_price=self.limit)
        self.tell(raised.value.reason, raised.value.detail)
        if volume:
            await self.buy("BTCUSD", volume, limit_price=self.limit)


class TestAffordable:
    def test_at_the_market_the_buffer_is_reserved_and_named(self) -> None:
        story = Spending()
        play(story, market(100))
        # 1000 / (100 x 1.05) = 9.523809523..., on the grid of 8 digits.
        assert story.told[0] == (1, D("9.52380952"))
        assert story.told[1][2] == (
            "main has 1000 USD available, 1000.00000065 needed: it reserves at 105, the last "
            "price 100 and the market_buffer of 5 % on top, which comes back with the fill; "
            "self.affordable('BTCUSD') is what would be accepted"
        )

    def test_at_a_limit_it_is_the_limit_alone(self) -> None:
        story = Spending(limit=80)
        play(story, market(100))
        assert story.told == [
            (1, D("12.5")),
            (
                1,
                RejectReason.INSUFFICIENT_FUNDS,
                "main has 1000 USD available, 1000.0000008 needed",
            ),
        ]

    def test_fees_are_left_room_for(self) -> None:
        rules = TradingRules(commission=D("0.01"))
        story = Spending(limit=100)
        play(story, market(100), rules=rules)
        # v x 100 x 1.01 <= 1000: v <= 9.900990099...
        assert story.told[0] == (1, D("9.90099009"))

    @pytest.mark.parametrize(
        ("leverage", "short", "limit", "settings", "most"),
        [
            # 1000 x 5 / (100 x 1.05) = 47.6190476190..., a market order with its buffer.
            (5, False, None, {}, D("47.61904761")),
            # A limit reserves for itself: 1000 x 5 / 80.
            (5, False, 80, {}, D("62.5")),
            # A short has no buffer, and below the market it reserves for the market: 100.
            (5, True, None, {}, D(50)),
            (5, True, 80, {}, D(50)),
            (5, True, 125, {}, D(40)),
            (None, True, None, {}, D(10)),
            # v x (100 / 5 + 1 %) = v x 21 <= 1000: 47.619047619...; the fee is of the notional.
            (5, True, 100, {"commission": D("0.01")}, D("47.61904761")),
            # Two digits of margin, rounded up: 100 v / 3 <= 1000 gives 30.
            (3, False, 100, {}, D(30)),
            (5, False, 100, {"max_leverage": D(4)}, D(0)),
            (5, False, 100, {"trading_allowed": False}, D(0)),
            (2, False, 100, {"min_margin": D(1001)}, D(0)),
            # Up to 3000 leverage 5 is allowed, and 4 beyond: 30 at 100.
            (5, False, 100, {"maintenance_tiers": [(3000, "0.01", 5), (None, "0.02", 4)]}, D(30)),
            (4, False, 100, {"maintenance_tiers": [(3000, "0.01", 5), (None, "0.02", 4)]}, D(40)),
        ],
    )
    def test_with_leverage_it_is_what_a_long_or_a_short_may_have(
        self, leverage: Any, short: bool, limit: Any, settings: dict[str, Any], most: Decimal
    ) -> None:
        class Levered(Story):
            async def on_bar(self, bar: Bar) -> None:
                volume = self.affordable("BTCUSD", limit, leverage=leverage, short=short)
                self.tell(volume)
                send = self.short if short else self.long
                with pytest.raises(OrderRejected):
                    await send(
                        "BTCUSD", volume + D("0.00000001"), leverage=leverage, limit_price=limit
                    )
                if volume:
                    await send("BTCUSD", volume, leverage=leverage, limit_price=limit)

        story = Levered()
        play(story, market(100), rules=TradingRules(**settings))
        assert story.told == [(1, most)]

    def test_a_refused_long_names_it_with_its_leverage(self) -> None:
        class Greedy(Story):
            async def on_bar(self, bar: Bar) -> None:
                with pytest.raises(OrderRejected) as raised:
                    await self.long("BTCUSD", 50, leverage=5)
                self.tell(raised.value.detail.rpartition("; ")[2])

        story = Greedy()
        play(story, market(100))
        assert story.told == [
            (1, "self.affordable('BTCUSD', leverage=5) is what would be accepted")
        ]

    def test_nothing_before_a_price_and_below_the_least_volume(self) -> None:
        class Early(Story):
            def on_start(self) -> None:
                self.tell(self.affordable("BTCUSD"))

            def on_bar(self, bar: Bar) -> None:
                self.tell(self.affordable("BTCUSD"), self.affordable("BTCUSD", "99.5"))

        story = Early()
        pair = TradingPair("BTCUSD", "BTC", "USD", volume_increment=D(1), min_volume=D(10))
        play(story, market(100), pair=pair)
        assert story.told == [(0, 0), (1, 0, 10)]

    def test_of_a_quote_it_is_the_ask(self) -> None:
        class Quoted(Story):
            async def on_quote(self, quote: Quote) -> None:
                self.tell(self.affordable("BTCUSD"))
                await self.buy("BTCUSD", self.affordable("BTCUSD"))

        story = Quoted()
        play(story, [Quote("BTCUSD", MINUTE, D(99), D(100), None, None)])
        # 1000 / 105, not / (99.5 x 1.05)
        assert story.told == [(1, D("9.52380952"))]

    @settings(max_examples=examples(40), deadline=None)
    @given(
        cash=st.integers(1, 10**6),
        price=st.integers(1, 10**5),
        buffer=st.integers(0, 30),
        rate=st.sampled_from(["0", "0.001", "0.05"]),
        flat=st.sampled_from(["0", "1", "7.5"]),
        limit=st.sampled_from([None, "0.9", "1", "1.1"]),
        step=st.sampled_from(["1", "0.01", "0.00000001"]),
    )
    def test_it_is_accepted_and_one_step_more_is_not(
        self, cash: int, price: int, buffer: int, rate: str, flat: str, limit: Any, step: str
    ) -> None:
        class Testing(Spending):
            async def on_bar(self, bar: Bar) -> None:
                if self.limit is not None:
                    self.limit = self.pair_of("BTCUSD").round_price(bar.close * D(self.limit))
                await super().on_bar(bar)

        fees = {
            FeeStage.FILL: [Fee(FeeKind.PERCENT_OF_NOTIONAL, D(rate), maker_rate=D(rate) / 2)],
            FeeStage.CREATE: [Fee(FeeKind.FLAT_PER_TRADE, D(flat))],
        }
        rules = TradingRules(market_buffer=D(buffer) / 100, fees=fees)
        pair = TradingPair("BTCUSD", "BTC", "USD", volume_increment=D(step))
        story = Testing(limit=limit, step=D(step))
        play(story, market(price), cash=f"{cash} USD", rules=rules, pair=pair)
        assert story.told[1][1] is RejectReason.INSUFFICIENT_FUNDS
