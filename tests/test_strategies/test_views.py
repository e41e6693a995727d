"""What a strategy sees: its balances, its net position, its open orders."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backtest.actors import EventKind, OrderEvent
from backtest.errors import AccountError
from backtest.models import Bar, Fee, FeeKind, FeeStage, TradingPair, TradingRules
from backtest.strategies import PositionView

from .playing import D, Story, market, play


class TestBalance:
    def test_moves_from_free_to_locked_to_the_other_asset(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    self.tell(*self.balance("USD"), self.balance("USD").total)
                    await self.buy("BTCUSD", 2, limit_price=90)
                    self.tell(*self.balance("USD"), self.balance("USD").total)
                if self.minute == 2:
                    self.tell(*self.balance("USD"), *self.balance("BTC"))
                    # An asset that the run does not know is an error: it is mostly misspelt.
                    with pytest.raises(AccountError, match="no asset 'XRP'"):
                        self.balance("XRP")

        one = One()
        play(one, market(100, (100, 100, 85, 90)))
        assert one.told == [
            (1, 1000, 0, 1000),
            (1, 820, 180, 1000),
            (2, 820, 0, 2, 0),
        ]


class TestPosition:
    def test_is_false_when_there_is_none(self) -> None:
        class One(Story):
            def on_bar(self, bar: Bar) -> None:
                view = self.position("BTCUSD")
                assert not view
                self.tell(view.volume, view.average_price, view.unrealised_pnl, view.margin)

        one = One()
        play(one, market(100))
        assert one.told == [(1, 0, None, 0, 0)]

    def test_is_the_net_of_its_parts(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.long("BTCUSD", 1, leverage=2)
                elif self.minute == 2:
                    await self.long("BTCUSD", 3, leverage=2)
                elif self.minute == 3:
                    self.look()
                    await self.short("BTCUSD", 1, leverage=2)
                elif self.minute == 4:
                    self.look()

            def look(self) -> None:
                view = self.position("BTCUSD")
                assert (view.is_long, view.is_underfunded) == (True, False)
                self.tell(view.volume, view.average_price, view.unrealised_pnl, view.margin)

        one = One()
        play(one, market(100, 120, 130, 126))
        # 1 at 100 and 3 at 120: 4 at (100 + 360) / 4 = 115. At 130: 30 + 3 x 10 = 60.
        # Margin at leverage 2: 50 + 180 = 230.
        # With 1 short from 130, at 126: 26 + 3 x 6 + 4 = 48; margin 230 + 65 = 295. The average
        # is that of the longs, for long is the net side.
        assert one.told == [(3, 4, 115, 60, 230), (4, 3, 115, 48, 295)]

    def test_of_a_short(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.short("BTCUSD", "0.5", leverage=10)
                elif self.minute == 2:
                    view = self.position("BTCUSD")
                    assert (view.is_long, view.is_underfunded) == (False, True)
                    self.tell(view.volume, view.unrealised_pnl)

        one = One()
        play(one, market(100, 90))
        assert one.told == [(2, D("-0.5"), 5)]

    def test_counts_the_contract_size(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.long("BTCUSD", 2)
                elif self.minute == 2:
                    self.tell(self.position("BTCUSD").unrealised_pnl)

        one = One()
        pair = TradingPair.from_code("BTCUSD", "USD", contract_size=D("0.1"))
        result = play(one, market(100, 110), pair=pair)
        # 2 contracts of 0.1, ten up.
        assert one.told == [(2, 2)]
        assert result.final_equity == 1002

    def test_keeps_its_parts_oldest_first_whatever_is_done_to_them(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    self.first = await self.long("BTCUSD", 2, leverage=2)
                    await self.long("BTCUSD", 5, leverage=2)
                elif self.minute == 2:
                    self.look()
                    await self.first.modify(stop_loss=50)
                    self.look()
                    await self.first.close(1)
                elif self.minute == 3:
                    self.look()
                    await self.first.close("0.5")
                elif self.minute == 4:
                    await self.first.split(["0.25", "0.25"])
                    self.look()

            def look(self) -> None:
                self.tell([part.volume for part in self.position("BTCUSD").parts])

        one = One()
        play(one, market(100, 100, 100, 100))
        assert one.told == [
            (2, [2, 5]),
            (2, [2, 5]),
            (3, [1, 5]),
            (4, [D("0.25"), D("0.25"), 5]),
        ]

    def test_by_hand(self) -> None:
        view = PositionView("BTCUSD", (), None)
        assert (view.volume, view.average_price, view.unrealised_pnl) == (D(0), None, D(0))
        assert repr(view) == "<PositionView BTCUSD 0 at None>"


class TestOpenOrders:
    def test_are_in_the_order_of_acceptance_and_by_pair(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if bar.pair == "AUSD":
                    return
                a = await self.buy("AUSD", 1, limit_price=1)
                b = await self.buy("BUSD", 1, limit_price=1)
                c = await self.buy("AUSD", 2, limit_price=1)
                assert self.open_orders() == [a, b, c]
                await a.modify(limit_price=2)
                assert self.open_orders("AUSD") == [a, c]
                await b.cancel()
                assert self.open_orders("BUSD") == []
                assert self.open_orders() == [a, c]
                self.tell("seen")

        one = One()
        play(one, {"AUSD": market(10, pair="AUSD"), "BUSD": market(10, pair="BUSD")})
        assert one.told == [(1, "seen")]


class TestWithFees:
    def test_all_that_was_seen_adds_up_to_the_ledger(self) -> None:
        rules = TradingRules(
            fees={
                FeeStage.CREATE: (Fee(FeeKind.FLAT_PER_TRADE, D("0.5")),),
                FeeStage.FILL: (Fee(FeeKind.PERCENT_OF_NOTIONAL, D("0.01")),),
                FeeStage.CLOSE: (Fee(FeeKind.PERCENT_OF_NOTIONAL, D("0.02")),),
            }
        )

        class One(Story):
            earned = Decimal(0)

            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.long("BTCUSD", 1, leverage=4, take_profit=120)

            def on_order(self, event: OrderEvent) -> None:
                if event.fill is not None:
                    self.earned += (event.fill.realised_pnl or 0) - event.fill.fee
                if event.kind is EventKind.ACCEPTED:
                    self.tell("reserved", self.balance("USD").unavailable)

        one = One()
        result = play(one, market(100, 100, (100, 130, 100, 130)), rules=rules)
        # Worst price 100 x 1.05 = 105: margin 105 / 4 = 26.25, fee on fill 1.05.
        assert one.told == [(1, "reserved", D("27.30"))]
        # Fee on fill 1, take-profit +20, fee on close 120 x 0.02 = 2.4; on creation 0.5.
        assert one.earned == D("16.6")
        assert result.final_equity == D("1016.1")
