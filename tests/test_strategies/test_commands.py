"""What a handle can be asked for: modify, split, cancel, close; awaited or not; and refusals."""

from __future__ import annotations

import re

import pytest

from backtest.actors import EventKind, OrderEvent
from backtest.errors import AccountError, FieldError, OrderRejected, RejectReason
from backtest.models import ActionType, Bar, OrderDirection, OrderStatus
from backtest.strategies import OrderHandle

from .playing import D, Story, market, play


class TestModify:
    def test_moves_a_limit_and_the_money_behind_it(self) -> None:
        class One(Story):
            async def on_start(self) -> None:
                order = await self.buy("BTCUSD", 2, limit_price=90)
                self.tell(self.balance("USD").unavailable)
                assert await order.modify(limit_price="95") is order
                self.tell(self.balance("USD").unavailable, order.live and order.live.limit_price)
                first = order.id
                assert order.volume == 2
                await order.modify(volume="1.5")
                assert order.volume == D("1.5")
                self.tell(self.balance("USD").unavailable, order.leaves)
                assert order.id == first
                assert await order.filled()
                self.tell(order.average_price, order.filled_volume)

        one = One()
        play(one, market(100, (100, 100, 94, 96)))
        # 2 x 90 = 180; 2 x 95 = 190; 1.5 x 95 = 142.5
        assert one.told == [(0, 180), (0, 190, 95), (0, D("142.5"), D("1.5")), (2, 95, D("1.5"))]

    def test_to_what_has_filled_cancels_the_rest(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    self.order = await self.buy("BTCUSD", 3)
                elif self.minute == 2:
                    assert (self.order.filled_volume, self.order.leaves) == (D(1), D(2))
                    await self.order.modify(volume=1)
                    self.tell(self.order.status.name, self.order.leaves, self.order.end_reason)

        one = One()
        play(one, market(100, 100, 100, volume=1))
        assert one.told == [(2, "FILLED", 0, "MODIFIED_AWAY")]

    def test_of_a_position_moves_and_clears_its_protection(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    self.order = await self.long("BTCUSD", 1, leverage=2, stop_loss=90)
                elif self.minute == 2:
                    await self.order.modify(stop_loss=95, take_profit=120)
                    (part,) = self.position("BTCUSD").parts
                    self.tell(part.stop_loss, part.take_profit)
                    await self.order.modify(clear=["take_profit"])
                    (part,) = self.position("BTCUSD").parts
                    self.tell(part.stop_loss, part.take_profit)
                elif self.minute == 3:
                    self.tell(self.order.status.name, bool(self.position("BTCUSD")))

        one = One()
        # The third bar goes to 94 (the new stop-loss) and would have gone to 120.
        result = play(one, market(100, 100, (100, 121, 94, 100)))
        assert one.told == [(2, 95, 120), (2, 95, None), (3, "CLOSED", False)]
        assert [fill.kind for fill in result.fills] == ["entry", "stop_loss"]

    def test_that_cannot_be_afforded_leaves_the_order_as_it_was(self) -> None:
        class One(Story):
            async def on_start(self) -> None:
                order = await self.buy("BTCUSD", 1, limit_price=90)
                with pytest.raises(OrderRejected) as caught:
                    await order.modify(volume=1000)
                assert caught.value.reason is RejectReason.INSUFFICIENT_FUNDS
                assert caught.value.order_id == order.id
                self.tell(order.status.name, order.leaves, self.balance("USD").unavailable)

        one = One()
        play(one, market(100))
        assert one.told == [(0, "PENDING", 1, 90)]


class TestSplit:
    def test_of_a_pending_order_gives_handles_that_live_their_own_lives(self) -> None:
        class One(Story):
            async def on_start(self) -> None:
                order = await self.buy("BTCUSD", 3, limit_price=90)
                low, high = await order.split([1, 2], [85, 95])
                assert (order.status, order.is_done) == (OrderStatus.REPLACED, True)
                assert not await order.filled()
                assert self.open_orders() == [low, high]
                assert len({order.id, low.id, high.id}) == 3
                assert (low.leaves, high.leaves, high.volume) == (D(1), D(2), D(2))
                # 1 x 85 + 2 x 95
                assert self.balance("USD").unavailable == 275
                with pytest.raises(OrderRejected, match="ALREADY_DONE"):
                    await order.cancel()
                await low.cancel()
                self.tell(await high.filled(), high.average_price, low.status.name)

        one = One()
        play(one, market(100, (100, 100, 94, 96)))
        assert one.told == [(2, True, 95, "CANCELLED")]

    def test_of_a_position_gives_parts_that_close_apart(self) -> None:
        class One(Story):
            async def run(self) -> None:
                async for _ in self.bars("BTCUSD"):
                    break
                order = await self.long("BTCUSD", 3, leverage=3, stop_loss=95)
                await order.filled()
                one, two = await order.split(["1", "2"])
                assert (order.status, order.parts) == (OrderStatus.REPLACED, {})
                assert await order.closed()
                assert (one.status, one.open_volume) == (OrderStatus.FILLED, D(1))
                assert (one.average_price, one.is_filled, one.leaves) == (D(100), True, D(0))
                assert (two.filled_volume, two.is_done) == (D(2), True)
                assert [part.volume for part in self.position("BTCUSD").parts] == [1, 2]
                await one.close(limit_price=104)
                self.tell("one", await one.closed(), self.position("BTCUSD").volume)
                self.tell("two", await two.closed(), self.position("BTCUSD").volume)

        one = One()
        result = play(one, market(100, 100, (100, 105, 100, 100), (100, 100, 94, 94)))
        assert one.told == [(3, "one", True, 2), (4, "two", True, 0)]
        # 1 x (104 - 100) + 2 x (95 - 100) = -6
        assert result.final_equity == 994
        assert [fill.realised_pnl for fill in result.fills] == [None, 4, -10]

    def test_of_what_is_left_of_an_order_leaves_it_the_position_it_opened(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    self.order = await self.long("BTCUSD", 4, limit_price=100)
                elif self.minute == 2:
                    assert (self.order.open_volume, self.order.leaves) == (D(1), D(3))
                    parts = await self.order.split([1, 2], [50, 60])
                    self.tell(self.order.open_volume, [part.open_volume for part in parts])
                    await self.order.close()
                elif self.minute == 3:
                    self.tell(self.order.open_volume, len(self.open_orders()))

        one = One()
        play(one, market(100, 100, 100, volume=1))
        assert one.told == [(2, 1, [0, 0]), (3, 0, 2)]

    def test_to_the_wrong_sum_is_refused(self) -> None:
        class One(Story):
            async def on_start(self) -> None:
                order = await self.buy("BTCUSD", 3, limit_price=90)
                with pytest.raises(OrderRejected, match="STALE"):
                    await order.split([1, 1])
                self.tell(order.status.name, self.open_orders() == [order])

        one = One()
        play(one, market(100))
        assert one.told == [(0, "PENDING", True)]


class TestClose:
    def test_a_pending_close_can_be_cancelled(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    self.order = await self.short("BTCUSD", 1, leverage=2)
                elif self.minute == 2:
                    await self.order.close(limit_price=80)
                    assert await self.order.cancel() is self.order
                    self.tell(self.order.status.name, self.order.open_volume)

        one = One()
        result = play(one, market(100, 100, (100, 100, 70, 75)))
        assert one.told == [(2, "FILLED", 1)]
        # Still short 1 from 100: 25 are gained, unrealised.
        assert result.final_equity == 1025

    def test_close_all_leaves_nothing_behind(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.long("BTCUSD", 1, leverage=2)
                    await self.short("BTCUSD", 2, leverage=2)
                    await self.buy("BTCUSD", 1, limit_price=50)
                elif self.minute == 2:
                    self.tell(len(self.open_orders()), self.position("BTCUSD").volume)
                    await self.close_all("BTCUSD")
                    self.tell(len(self.open_orders()), self.position("BTCUSD").volume)
                elif self.minute == 3:
                    self.tell(len(self.open_orders()), self.position("BTCUSD").volume)

        one = One()
        play(one, market(100, 100, 100))
        # Two closes at the market wait for the next bar: they are orders.
        assert one.told == [(2, 1, -1), (2, 2, -1), (3, 0, 0)]

    def test_of_what_is_not_filled_is_refused(self) -> None:
        class One(Story):
            async def on_start(self) -> None:
                order = await self.long("BTCUSD", 1, limit_price=90)
                with pytest.raises(OrderRejected, match="cancel it instead"):
                    await order.close()
                self.tell("done")

        one = One()
        play(one, market(100))
        assert one.told == [(0, "done")]


class TestUnawaited:
    def test_commands_are_carried_out(self) -> None:
        class One(Story):
            def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    self.order = self.buy("BTCUSD", 1, limit_price=90)
                    self.tell(self.order.is_accepted)
                elif self.minute == 2:
                    self.tell(self.order.is_accepted, self.balance("USD").unavailable)
                    self.order.modify(limit_price=80)
                    self.order.cancel("0.5")
                elif self.minute == 3:
                    self.tell(self.order.leaves, self.balance("USD").unavailable)

        one = One()
        play(one, market(100, 100, 100))
        assert one.told == [(1, False), (2, True, 90), (3, D("0.5"), 40)]

    def test_a_refusal_is_logged_and_comes_to_on_order(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class One(Story):
            def on_bar(self, bar: Bar) -> None:
                self.sell("BTCUSD", 1)

            def on_order(self, event: OrderEvent) -> None:
                self.tell(event.kind.name, event.reason and event.reason.name)

        one = One()
        play(one, market(100))
        assert one.told == [(1, "REJECTED", "INSUFFICIENT_FUNDS")]
        logged = caplog.text
        assert "order.rejected" in logged
        assert "main has 0 BTC available, 1 needed" in logged
        assert "1970-01-01T00:01:00+00:00" in logged

    def test_a_warning_tells_the_first_refusal_of_each_reason(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Refusals at 1, 2, 3 for want of coins, at 2 and 3 for a pair that is not there."""

        class One(Story):
            def on_bar(self, bar: Bar) -> None:
                self.sell("BTCUSD", 1)
                if self.minute > 1:
                    self.buy("XRPUSD", 1)

        with caplog.at_level("DEBUG", "backtest"):
            play(One(), market(100, 100, 100))
        reason = re.compile(r"time='1970-01-01T00:0(\d).* reason='(\w+)'")
        told = [
            (record.levelname, *reason.search(record.getMessage()).groups())  # type: ignore[union-attr]
            for record in caplog.records
        ]
        assert told == [
            ("WARNING", "1", "INSUFFICIENT_FUNDS"),
            ("DEBUG", "2", "INSUFFICIENT_FUNDS"),
            ("WARNING", "2", "UNKNOWN_PAIR"),
            ("DEBUG", "3", "INSUFFICIENT_FUNDS"),
            ("DEBUG", "3", "UNKNOWN_PAIR"),
        ]
        assert {record.name for record in caplog.records} == {"backtest.strategy"}

    def test_a_refusal_that_is_awaited_is_not_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                with pytest.raises(OrderRejected):
                    await self.sell("BTCUSD", 1)
                self.tell("refused")

        one = One()
        play(one, market(100))
        assert one.told == [(1, "refused")]
        assert not caplog.records

    def test_a_refused_change_leaves_the_order_and_is_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class One(Story):
            def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    self.order = self.buy("BTCUSD", 1, limit_price=90)
                elif self.minute == 2:
                    self.order.cancel(5)
                elif self.minute == 3:
                    self.tell(self.order.status.name, self.order.is_rejected)

        one = One()
        play(one, market(100, 100, 100))
        assert one.told == [(3, "PENDING", False)]
        assert "5 is more than the 1 left to cancel" in caplog.text

    def test_an_order_that_is_not_accepted_cannot_be_changed_yet(self) -> None:
        class One(Story):
            def on_bar(self, bar: Bar) -> None:
                order = self.buy("BTCUSD", 1)
                with pytest.raises(FieldError, match="await it before you change it"):
                    order.cancel()
                self.tell("told so")

        one = One()
        play(one, market(100))
        assert one.told == [(1, "told so")]

    def test_a_plain_handler_may_return_what_is_to_be_awaited(self) -> None:
        class One(Story):
            def on_bar(self, bar: Bar) -> OrderHandle | None:
                return self.buy("BTCUSD", 1) if self.minute == 1 else None

        with pytest.raises(OrderRejected, match="INSUFFICIENT_FUNDS"):
            play(One(), market(100), cash="10 USD")


class TestAccounts:
    def test_an_order_goes_to_the_account_it_names(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.buy("BTCUSD", 1, account="second")
                    with pytest.raises(AccountError, match="it has: first, second"):
                        self.buy("BTCUSD", 1, account="third")
                elif self.minute == 2:
                    self.tell(self.balance("BTC").total, self.balance("BTC", "second").total)

        one = One()
        result = play(
            {"one": one},
            market(100, 100),
            cash={"first": "500 USD", "second": "300 USD"},
            accounts={"one": ["first", "second"]},
        )
        assert one.told == [(2, 0, 1)]
        assert result.balances["second"]["USD"]["available"] == 200

    def test_two_who_share_an_account_see_each_other_spend(self) -> None:
        class Buyer(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    await self.buy("BTCUSD", 1, limit_price=90)

        class Watcher(Story):
            async def run(self) -> None:
                async for _ in self.bars("BTCUSD"):
                    await self.sleep(1)
                    self.tell(self.balance("USD").available, len(self.open_orders()))

        watcher = Watcher()
        play([Buyer(), watcher], market(100, 100, 100))
        # It is the account's money that both see; the order is the buyer's alone.
        assert [told[1:] for told in watcher.told] == [(910, 0), (910, 0)]


class TestSubmit:
    def test_a_command_as_a_value_is_carried_out_and_followed(self) -> None:
        class One(Story):
            async def on_start(self) -> None:
                self.submit(
                    self.action(
                        ActionType.CREATE_SPOT_LIMIT,
                        "BTCUSD",
                        volume=D(1),
                        price=D(90),
                        direction=OrderDirection.LONG,
                    )
                )

            def on_order(self, event: OrderEvent) -> None:
                self.tell(event.kind.name, len(self.open_orders()))
                if event.kind is EventKind.ACCEPTED:
                    self.submit(
                        self.action(
                            ActionType.CANCEL_SPOT_LIMIT, "BTCUSD", order_id=event.branch_id
                        )
                    )

        one = One()
        play(one, market(100))
        assert one.told == [(0, "ACCEPTED", 1), (0, "CANCELLED", 0)]

    def test_one_that_is_not_complete_is_refused_at_once(self) -> None:
        class One(Story):
            def on_start(self) -> None:
                self.submit(self.action(ActionType.CREATE_SPOT_LIMIT, "BTCUSD"))

        with pytest.raises(OrderRejected, match="volume is required"):
            play(One(), market(100))
