"""What an order's handle says and waits for, from creation to its end."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.actors import EventKind, OrderEvent
from backtest.errors import FieldTypeError, OrderRejected, RejectReason
from backtest.models import Bar, Fee, FeeKind, FeeStage, OrderStatus, TradingRules
from backtest.strategies import OrderHandle

from .playing import D, Story, market, play


def look(order: OrderHandle) -> tuple[Any, ...]:
    return (
        order.status.name,
        order.is_accepted,
        order.is_filled,
        order.is_done,
        order.filled_volume,
        order.leaves,
        order.average_price,
    )


class TestState:
    def test_of_a_market_order_from_sending_to_filled(self) -> None:
        class One(Story):
            async def run(self) -> None:
                async for _ in self.bars("BTCUSD"):
                    break
                order = self.buy("BTCUSD", "2")
                assert (order.id, order.branch, order.error) == (None, 0, None)
                self.tell("sent", *look(order))
                assert await order is order
                self.tell("accepted", *look(order))
                assert await order.filled()
                self.tell("filled", *look(order))
                assert order.id is not None
                assert (order.live, order.end_reason, order.error) == (None, None, None)
                assert (order.pair, order.direction.name, order.volume) == ("BTCUSD", "LONG", D(2))
                assert "LONG 2 BTCUSD FILLED" in repr(order)

        one = One()
        play(one, market(100, (101, 102, 99, 101)))
        # Sent and accepted at the first close; filled at the open (101) of the second bar, which
        # the strategy hears of at that bar's close.
        assert one.told == [
            (1, "sent", "PENDING", False, False, False, 0, 2, None),
            (1, "accepted", "PENDING", True, False, False, 0, 2, None),
            (2, "filled", "FILLED", True, True, True, 2, 0, 101),
        ]

    def test_of_partial_fills(self) -> None:
        class One(Story):
            async def run(self) -> None:
                async for _ in self.bars("BTCUSD"):
                    break
                order = await self.buy("BTCUSD", "2.5")
                async for event in order.events:
                    self.tell(event.kind.name, *look(order)[2:])

        one = One()
        # One unit a bar. Bars 2, 3 and 4 open at 100, 110 and 120: 1 + 1 + 0.5 are filled there.
        # Averages: 100; (100 + 110) / 2 = 105; (100 + 110 + 60) / 2.5 = 108.
        play(one, market(100, (100, 110, 100, 110), (110, 120, 110, 120), 120, volume=1))
        assert one.told == [
            (2, "FILLED", False, False, D(1), D("1.5"), 100),
            (3, "FILLED", False, False, D(2), D("0.5"), 105),
            (4, "FILLED", True, True, D("2.5"), D(0), 108),
        ]

    def test_of_a_cancelled_order(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    self.order = await self.buy("BTCUSD", "2", limit_price=90)
                    assert self.open_orders() == [self.order]
                    assert await self.order.cancel("0.5") is self.order
                    assert (self.order.leaves, self.order.cancelled_volume) == (D("1.5"), D("0.5"))
                    await self.order.cancel()
                    self.tell(*look(self.order), self.order.end_reason, self.open_orders())

        one = One()
        play(one, market(100, 100))
        assert one.told == [(1, "CANCELLED", True, False, True, 0, 0, None, "REQUESTED", [])]
        assert one.order.cancelled_volume == 2

    def test_of_a_refused_order(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                self.order = self.buy("BTCUSD", 1_000_000)
                with pytest.raises(OrderRejected, match="INSUFFICIENT_FUNDS") as caught:
                    await self.order
                assert self.order.error is caught.value
                assert self.order.error.reason is RejectReason.INSUFFICIENT_FUNDS
                assert self.order.is_rejected
                assert not await self.order.filled()
                assert await self.order.done()
                self.tell(*look(self.order), self.order.end_reason)

        one = One()
        play(one, market(100))
        expected = ("CANCELLED", False, False, True, 0, 0, None, "INSUFFICIENT_FUNDS")
        assert one.told == [(1, *expected)]

    def test_of_a_position_from_open_to_closed(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    self.order = await self.long("BTCUSD", 2, leverage=2)
                elif self.minute == 2:
                    self.tell(self.order.status.name, self.order.open_volume)
                    await self.order.close("0.5")
                elif self.minute == 3:
                    self.tell(self.order.status.name, self.order.open_volume)
                    await self.order.close()
                elif self.minute == 4:
                    self.tell(self.order.status.name, self.order.open_volume)

        one = One()
        play(one, market(100, 100, 100, 100))
        assert one.told == [(2, "FILLED", 2), (3, "FILLED", D("1.5")), (4, "CLOSED", 0)]

    @pytest.mark.parametrize("name", ["volume", "limit_price", "leverage", "stop_loss"])
    def test_a_float_is_refused_by_name(self, name: str) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                arguments: dict[str, Any] = {"volume": 1, name: 0.5}
                self.long("BTCUSD", **arguments)

        with pytest.raises(FieldTypeError, match=rf"^{name} must be a Decimal, not the float 0.5"):
            play(One(), market(100))


class TestWaiting:
    def test_filled_gives_up_after_its_timeout_in_simulated_time(self) -> None:
        class One(Story):
            async def run(self) -> None:
                order = await self.buy("BTCUSD", 1, limit_price=90)
                self.tell(await order.filled(timeout=90))
                self.tell(await order.filled(timeout="1m"))
                self.tell(await order.done(timeout="30s"))
                # Bar 4 touches 90: filled at its close, minute 4.
                self.tell(await order.filled(timeout=3600), order.average_price)

        one = One()
        play(one, market(100, 100, 100, (100, 100, 90, 95), 95))
        assert one.told == [(1.5, False), (2.5, False), (3, False), (4, True, 90)]

    def test_a_fill_at_the_very_moment_of_the_timeout_counts(self) -> None:
        class One(Story):
            async def run(self) -> None:
                order = await self.buy("BTCUSD", 1, limit_price=90)
                self.tell(await order.filled(timeout=120))

        one = One()
        play(one, market(100, (100, 100, 90, 95), 95))
        # Order events go before timers (semantics, section 1).
        assert one.told == [(2, True)]

    def test_commands_can_be_awaited_right_after_a_timeout(self) -> None:
        class One(Story):
            async def run(self) -> None:
                order = await self.buy("BTCUSD", 3, limit_price=90)
                for volume in ("0.5", "1.5"):
                    assert not await order.filled(timeout="1m")
                    await order.cancel(volume)
                    await self.buy("BTCUSD", 1, limit_price=80)
                    self.tell(order.leaves, len(self.open_orders()))
                assert await order.filled(timeout="1m")
                await self.sell("BTCUSD", 1)
                self.tell(order.average_price, self.balance("BTC").unavailable)

        one = One()
        play(one, market(100, 100, (100, 100, 85, 85)))
        assert one.told == [(1, D("2.5"), 2), (2, 1, 3), (3, 90, 1)]

    def test_filled_is_false_when_the_order_ends_otherwise(self) -> None:
        class One(Story):
            async def run(self) -> None:
                self.order = await self.buy("BTCUSD", 1, limit_price=90)
                self.tell("waits")
                self.tell(await self.order.filled(timeout=3600))

            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 2:
                    await self.order.cancel()

        one = One()
        play(one, market(100, 100, 100))
        assert one.told == [(0, "waits"), (2, False)]

    def test_a_part_that_filled_counts_when_the_rest_is_cancelled(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    self.order = await self.buy("BTCUSD", 3)
                elif self.minute == 2:
                    await self.order.cancel()
                    self.tell(await self.order.filled(), self.order.status.name)
                    self.tell(self.order.filled_volume, self.order.cancelled_volume)

        one = One()
        play(one, market(100, 100, 100, volume=1))
        assert one.told == [(2, True, "FILLED"), (2, 1, 2)]

    def test_closed_waits_for_the_position_to_end(self) -> None:
        class One(Story):
            async def run(self) -> None:
                async for _ in self.bars("BTCUSD"):
                    break
                order = await self.long("BTCUSD", 1, leverage=2, take_profit=110)
                self.tell(await order.closed(timeout=60))
                self.tell(await order.closed(), order.status.name)

        one = One()
        play(one, market(100, 100, 105, (105, 111, 105, 108), 108))
        assert one.told == [(2, False), (4, True, "CLOSED")]

    def test_several_may_wait_and_late_comers_do_not_wait(self) -> None:
        class One(Story):
            async def on_start(self) -> None:
                self.order = await self.buy("BTCUSD", 1, limit_price=100)

            async def run(self) -> None:
                self.tell("run", await self.order.filled())
                self.tell("late", await self.order.filled(), await self.order.done())

            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    self.tell("on_bar", await self.order.filled())

        one = One()
        play(one, market(101, (101, 101, 100, 100)))
        assert sorted(one.told) == [
            (2, "late", True, True),
            (2, "on_bar", True),
            (2, "run", True),
        ]

    def test_waiting_longer_than_the_data_ends_quietly(self) -> None:
        class One(Story):
            async def run(self) -> None:
                order = await self.buy("BTCUSD", 1, limit_price=1)
                self.tell("waits")
                await order.filled()
                self.tell("never")

            def on_stop(self) -> None:
                self.tell("stop", self.open_orders()[0].status.name)

        one = One()
        play(one, market(100, 100))
        assert one.told == [(0, "waits"), (2, "stop", "PENDING")]


class TestEvents:
    def test_are_those_of_the_order_alone_and_end_with_it(self) -> None:
        class One(Story):
            async def run(self) -> None:
                other = await self.buy("BTCUSD", 1, limit_price=100)
                order = await self.long("BTCUSD", 1, leverage=2, limit_price=99, stop_loss=90)
                events = order.events
                await order.modify(stop_loss=95)
                async for event in events:
                    self.tell(event.kind.name, event.fill and event.fill.price)
                self.tell("end", other.is_filled)

        one = One()
        play(one, market(100, (100, 100, 99, 99), (99, 99, 94, 94), 94))
        assert one.told == [
            (0, "MODIFIED", None),
            (2, "FILLED", 99),
            (3, "CLOSED", 95),
            (3, "end", True),
        ]

    def test_of_an_order_that_is_done_are_none(self) -> None:
        class One(Story):
            async def run(self) -> None:
                order = await self.buy("BTCUSD", 1, limit_price=90)
                await order.cancel()
                async for _ in order.events:
                    self.tell("never")
                self.tell("end")

        one = One()
        play(one, market(100))
        assert one.told == [(0, "end")]

    def test_end_with_the_data(self) -> None:
        class One(Story):
            async def run(self) -> None:
                order = await self.buy("BTCUSD", 1, limit_price=90)
                async for event in order.events:
                    self.tell(event.kind.name)
                self.tell("end")

        one = One()
        play(one, market(100, 100))
        assert one.told == [(2, "end")]

    def test_tell_of_commands_that_were_refused(self) -> None:
        class One(Story):
            async def run(self) -> None:
                order = await self.buy("BTCUSD", 1, limit_price=90)
                events = order.events
                with pytest.raises(OrderRejected):
                    await order.modify(limit_price="0.000000001")
                await order.cancel()
                async for event in events:
                    self.tell(event.kind.name, event.reason and event.reason.name)

        one = One()
        play(one, market(100))
        assert one.told == [(0, "REJECTED", "PRICE_INCREMENT"), (0, "CANCELLED", "REQUESTED")]


class TestBankruptcy:
    def test_a_charge_that_nobody_could_pay_is_told_after_the_order_is_gone(self) -> None:
        # 100 USD: an order to buy 1 at 100 leaves nothing, its fee on cancel is 5. The cancel
        # returns 100, so 5 are there. With a fee of 500, 400 are the insurance's.
        rules = TradingRules(fees={FeeStage.CANCEL: (Fee(FeeKind.FLAT_PER_TRADE, D(500)),)})

        class One(Story):
            def on_order(self, event: OrderEvent) -> None:
                self.tell(event.kind.name)

            async def on_start(self) -> None:
                order = await self.buy("BTCUSD", 1, limit_price=100)
                await order.cancel()
                assert order.status is OrderStatus.CANCELLED

        one = One()
        result = play(one, market(100), cash="100 USD", rules=rules)
        assert one.told == [(0, "ACCEPTED"), (0, "CANCELLED"), (0, "BANKRUPTCY")]
        assert result.balances["main"]["USD"] == {"available": 0, "unavailable": 0}

    def test_a_close_that_costs_more_than_there_is(self) -> None:
        # Margin 100, nothing else; the flat fee for closing is 150: 50 are the insurance's.
        rules = TradingRules(fees={FeeStage.CLOSE: (Fee(FeeKind.FLAT_PER_TRADE, D(150)),)})

        class One(Story):
            def on_order(self, event: OrderEvent) -> None:
                self.tell(event.kind)

            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    self.order = await self.long("BTCUSD", 1, limit_price=100)
                elif self.minute == 2:
                    await self.order.close()

        one = One()
        play(one, market(100, 100, 100), cash="100 USD", rules=rules)
        assert [kind for _, kind in one.told] == [
            EventKind.ACCEPTED,
            EventKind.FILLED,
            EventKind.CLOSING,
            EventKind.CLOSED,
            EventKind.BANKRUPTCY,
        ]
