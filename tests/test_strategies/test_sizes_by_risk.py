"""Orders whose size follows from what they may lose, and what an account is worth."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.errors import FieldError, FieldTypeError, OrderRejected, RejectReason
from backtest.models import Bar, TradingPair, TradingRules
from tests.effort import examples

from .playing import D, Story, market, play


class Risking(Story):
    """Sends one order at the first bar, and tells its volume."""

    kind: str = "long"
    given: Any = None

    async def on_bar(self, bar: Bar) -> None:
        if self.minute == 1:
            try:
                order = await getattr(self, self.kind)("BTCUSD", **self.given)
                self.tell(order.volume)
            except OrderRejected as refusal:
                self.tell(refusal.reason)


def risked(kind: str, *, bars: Any = (100, 100), given: Any, **how: Any) -> tuple[Any, Any]:
    story = Risking(kind=kind, given=given)
    result = play(story, market(*bars), **how)
    return story.told[0][1], result


class TestRisk:
    @pytest.mark.parametrize(
        ("kind", "given", "volume"),
        [
            # 1 % of 1000 are 10; from 100 to 96 one loses 4: 2.5.
            ("long", {"stop_loss": 96}, D("2.5")),
            ("short", {"stop_loss": 104}, D("2.5")),
            ("buy", {"stop_loss": 96}, D("2.5")),
            # From the limit, or from the stop that opens it.
            ("long", {"stop_loss": 93, "limit_price": 98}, D(2)),
            ("long", {"stop_loss": 96, "stop_price": 101}, D(2)),
            # 10 / 0.1 are 100, of which 1000 x 2 / 105 can be afforded.
            ("long", {"stop_loss": "99.9", "leverage": 2}, D("19.04761904")),
            # On the wrong side it is for the venue to refuse.
            ("long", {"stop_loss": 104}, RejectReason.PROTECTION_SIDE),
        ],
    )
    def test_the_stop_says_how_much(self, kind: str, given: Any, volume: Any) -> None:
        assert risked(kind, given={"risk": "1%", **given})[0] == volume
        assert risked(kind, given={"risk": 1, **given})[0] == volume

    def test_what_is_lost_at_the_stop_is_the_risk_fees_and_all(self) -> None:
        # v x (4 + 1 + 0.96) <= 10 with a commission of 1 %: v = 1.67785234...
        volume, result = risked(
            "long",
            bars=(100, 100, (100, 100, 90, 90)),
            given={"risk": "1%", "stop_loss": 96},
            rules=TradingRules(commission=D("0.01")),
            pair=TradingPair("BTCUSD", "BTC", "USD", volume_increment=D("0.0001")),
        )
        assert volume == D("1.6778")
        # 1.6778 x 5.96 = 9.999688
        assert result.final_equity == D("990.000312")

    def test_a_sale_counts_from_the_market_to_its_stop(self) -> None:
        class Selling(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.buy("BTCUSD", 4)
                elif self.minute == 2:
                    self.tell((await self.sell("BTCUSD", risk="1%", stop_loss=95)).volume)
                    self.tell((await self.sell("BTCUSD", risk="5%", stop_loss=95)).volume)

        story = Selling()
        play(story, market(100, 100))
        # 10 / 5; then 50 / 5 = 10, of which 2 are free.
        assert story.told == [(2, 2), (2, 2)]

    @pytest.mark.parametrize(
        ("given", "error", "said"),
        [
            ({"risk": "1%"}, FieldError, "needs a stop_loss"),
            ({"risk": "1%", "stop_loss": 96, "volume": 1}, FieldError, "leave out one"),
            ({"risk": "0.01", "stop_loss": 96}, FieldError, "may be meant as a fraction"),
            ({"risk": 0.01, "stop_loss": 96}, FieldTypeError, "not the float 0.01"),
            ({"risk": 0, "stop_loss": 96}, FieldError, "must be positive"),
            ({}, FieldTypeError, r"volume is missing in long\(\)"),
        ],
    )
    def test_what_is_meant_is_asked_for(self, given: Any, error: Any, said: str) -> None:
        with pytest.raises(error, match=said):
            risked("long", given=given)

    def test_too_little_is_refused(self) -> None:
        pair = TradingPair("BTCUSD", "BTC", "USD", volume_increment=D(10))
        found = risked("long", given={"risk": "1%", "stop_loss": 96}, pair=pair)[0]
        assert found is RejectReason.INVALID_VOLUME

    @settings(max_examples=examples(30), deadline=None)
    @given(
        cash=st.integers(100, 10**5),
        stop=st.integers(50, 99),
        percent=st.integers(1, 20),
        rate=st.sampled_from(["0", "0.001", "0.03"]),
        kind=st.sampled_from(["buy", "long"]),
    )
    def test_no_stop_loses_more(
        self, cash: int, stop: int, percent: int, rate: str, kind: str
    ) -> None:
        volume, result = risked(
            kind,
            bars=(100, 100, (100, 100, 40, 40), 40),
            given={"risk": percent, "stop_loss": stop},
            rules=TradingRules(commission=D(rate)),
            cash=f"{cash} USD",
        )
        lost = cash - result.final_equity
        assert volume > 0
        assert lost <= D(cash) * percent / 100
        most = D(cash) / (105 * (1 + D(rate)))  # what could be afforded
        a_unit = 100 - stop + D(rate) * (100 + stop)
        assert volume >= min(D(cash) * percent / 100 / a_unit, most) - D("0.001")


class TestEquity:
    def test_it_counts_all_at_last_prices(self) -> None:
        class Counting(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.buy("BTCUSD", 2)
                    await self.long("BTCUSD", 1, leverage=2)
                    await self.short("BTCUSD", 3)
                    await self.buy("BTCUSD", 1, limit_price=50)
                self.tell(self.equity())

        story = Counting()
        result = play(story, market(100, 100, 110, 90))
        # 2 + 1 - 3: whatever the price, and what is reserved is there, too.
        assert story.told == [(1, 1000), (2, 1000), (3, 1000), (4, 1000)]
        assert result.final_equity == 1000

    def test_it_is_the_final_equity_at_the_end(self) -> None:
        class Last(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.buy("BTCUSD", 2)
                    await self.short("BTCUSD", "0.5")
                self.last: Decimal = self.equity()

        story = Last()
        result = play(story, market(100, 101, 113, 94), rules=TradingRules(commission="0.001"))
        assert story.last == result.final_equity

    def test_an_account_that_nets_counts_with_its_average(self) -> None:
        class Averaging(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute < 3:
                    await self.long("BTCUSD", 1, leverage=2)
                elif self.minute == 3:
                    await self.short("BTCUSD", 1)
                self.tell(self.equity())

        story = Averaging()
        bars = market(100, *[(one,) * 4 for one in (100, 95, 90, 90)])
        result = play(story, bars, netting=True)
        # 1 at 100 and 1 at 95 cost 97.50 each: at 95 they have lost 5; one closed at 90 has lost
        # 7.50, and the other has at 90.
        assert story.told == [(1, 1000), (2, 1000), (3, 995), (4, 985), (5, 985)]
        assert result.final_equity == 985
