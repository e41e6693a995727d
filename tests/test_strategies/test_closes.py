"""An order to close a position is an order: listed, with a handle, cancelled and modified."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
import pytest

from backtest.actors import EventKind, OrderEvent
from backtest.errors import FieldError, OrderRejected, RejectReason
from backtest.models import Bar, Fee, FeeKind, FeeStage, OrderDirection, OrderStatus, TradingRules
from backtest.strategies import CloseHandle, OrderHandle

from .playing import D, Story, market, play

Act = Callable[[Any], Awaitable[None]]


class Closing(Story):
    """Opens 4 long at the first bar, which fill at the second's open; then does what is said, by
    the number of the bar."""

    acts: Mapping[int, Act] = attrs.field(factory=dict)
    stop_loss: Any = None

    def on_start(self) -> None:
        self.entry: OrderHandle = None  # type: ignore[assignment]
        self.close: CloseHandle = None  # type: ignore[assignment]
        self.kinds: list[EventKind] = []

    async def on_bar(self, bar: Bar) -> None:
        if self.minute == 1:
            self.entry = await self.long("BTCUSD", 4, leverage=10, stop_loss=self.stop_loss)
        act = self.acts.get(int(self.minute))
        if act is not None:
            await act(self)

    def on_order(self, event: OrderEvent) -> None:
        self.kinds.append(event.kind)

    def show(self) -> None:
        one = self.close
        self.tell(one.status.name, one.leaves, one.filled_volume, one.is_done)
        assert (one in self.open_orders()) is (one.live is not None)


def traded(bars: list[Bar], *volumes: int) -> list[Bar]:
    """``bars`` with those volumes."""
    return [attrs.evolve(bar, volume=D(one)) for bar, one in zip(bars, volumes, strict=True)]


async def close_at_110(s: Closing) -> None:
    s.close = s.entry.close(limit_price=110)
    await s.close
    s.show()
    assert s.close.is_accepted
    assert s.entry.status is OrderStatus.FILLED
    assert not s.entry.is_done  # a close of it is pending


async def show(s: Closing) -> None:
    s.show()


def test_a_pending_close_is_listed_and_fills() -> None:
    story = Closing(acts={2: close_at_110, 3: show, 4: show})
    # Bar 3 stays below 110, bar 4 reaches it.
    play(story, market(100, 100, 105, (105, 112, 105, 111)))
    assert story.told == [
        (2, "PENDING", 4, 0, False),
        (3, "PENDING", 4, 0, False),
        (4, "FILLED", 0, 4, True),
    ]
    one = story.close
    assert one.average_price == 110
    assert one.direction is OrderDirection.SHORT
    assert one.volume == 4
    assert (one.pair, one.entry) == ("BTCUSD", story.entry)
    assert story.entry.is_done
    assert repr(one) == "<CloseHandle 4 BTCUSD FILLED filled 4 leaves 0>"


def test_a_stop_loss_and_a_take_profit_are_not_listed() -> None:
    class Protected(Story):
        async def on_bar(self, bar: Bar) -> None:
            if self.minute == 1:
                self.entry = await self.long("BTCUSD", 4, stop_loss=50, take_profit=150, leverage=9)
            self.tell(len(self.open_orders()), self.entry.is_done)

    story = Protected()
    play(story, market(100, 100, 100))
    assert story.told == [(1, 1, False), (2, 0, True), (3, 0, True)]


def test_it_is_cancelled_alone_wholly_and_in_part() -> None:
    async def two(s: Closing) -> None:
        s.close = s.entry.close(3, limit_price=110)
        s.other = s.entry.close(1, limit_price=120)  # type: ignore[attr-defined]
        await s.close
        await s.other  # type: ignore[attr-defined]
        assert [one.leaves for one in s.open_orders()] == [3, 1]

    async def part(s: Closing) -> None:
        await s.close.cancel(1)
        s.show()
        with pytest.raises(OrderRejected) as raised:
            await s.close.cancel(3)
        assert raised.value.reason is RejectReason.STALE
        await s.close.cancel()
        s.show()
        assert s.close.end_reason == "REQUESTED"
        assert s.open_orders() == [s.other]  # type: ignore[attr-defined]
        with pytest.raises(OrderRejected) as raised:
            await s.close.cancel()
        assert raised.value.reason is RejectReason.ALREADY_DONE

    story = Closing(acts={2: two, 3: part})
    result = play(story, market(100, 100, 100, 130))
    assert story.told == [(3, "PENDING", 2, 0, False), (3, "CANCELLED", 0, 0, True)]
    # What is left of the other: 1 at 120. Bought at 100.
    assert [(one.volume, one.price) for one in result.fills[1:]] == [(D(1), D(120))]
    assert story.close.cancelled_volume == 2


def test_it_is_modified_and_keeps_its_id() -> None:
    ids = []

    async def change(s: Closing) -> None:
        ids.append(s.close.id)
        await s.close.modify(limit_price=120, volume=3)
        ids.append(s.close.id)
        s.show()
        assert s.close.live is not None
        s.tell(s.close.live.limit_price, s.close.volume)

    story = Closing(acts={2: close_at_110, 3: change, 4: show, 5: show})
    result = play(story, market(100, 100, 105, (105, 112, 105, 111), 125))
    assert story.told == [
        (2, "PENDING", 4, 0, False),
        (3, "PENDING", 3, 0, False),
        (3, 120, 3),
        (4, "PENDING", 3, 0, False),
        (5, "FILLED", 0, 3, True),
    ]
    assert ids[0] == ids[1] is not None
    fill = result.fills[-1]
    assert (fill.price, fill.volume, fill.closing_order_id) == (D(120), D(3), ids[0])
    assert story.entry.open_volume == 1


def test_the_total_of_a_modify_includes_what_it_has_closed() -> None:
    async def more(s: Closing) -> None:
        s.show()
        await s.close.modify(volume=3)  # 2 are closed: 1 more
        s.show()
        await s.close.modify(volume=2)  # nothing more
        s.show()
        assert s.close.end_reason == "MODIFIED_AWAY"

    story = Closing(acts={2: close_at_110, 3: more})
    # Of 4 at 110, 2 fill in bar 3, for there is no more volume.
    bars = traded(market(100, 100, (100, 110, 100, 108), 108), 8, 8, 2, 8)
    result = play(story, bars)
    assert story.told == [
        (2, "PENDING", 4, 0, False),
        (3, "PENDING", 2, 2, False),
        (3, "PENDING", 1, 2, False),
        (3, "FILLED", 0, 2, True),
    ]
    assert len(result.fills) == 2
    assert story.close.cancelled_volume == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"volume": 5}, "STALE"),
        ({"stop_price": 90}, "INVALID_ACTION"),
        ({"trail": 3}, "INVALID_ACTION"),
        ({"expires": "1h"}, "INVALID_ACTION"),
        ({"stop_loss": 90}, "INVALID_ACTION"),
        ({"limit_price": "110.000000001"}, "PRICE_INCREMENT"),
        ({"limit_price": 110}, "NOTHING_TO_CHANGE"),
        ({}, "NOTHING_TO_CHANGE"),
    ],
    ids=str,
)
def test_a_modify_that_makes_no_sense_changes_nothing(changes: Any, reason: str) -> None:
    async def change(s: Closing) -> None:
        with pytest.raises(OrderRejected) as raised:
            await s.close.modify(**changes)
        assert raised.value.reason.value == reason
        assert s.close.live is not None
        assert (s.close.live.limit_price, s.close.leaves) == (D(110), D(4))

    story = Closing(acts={2: close_at_110, 3: change, 4: show})
    play(story, market(100, 100, 105, (105, 112, 105, 111)))
    assert story.told[-1] == (4, "FILLED", 0, 4, True)


def test_a_stop_is_modified_as_a_stop() -> None:
    async def close(s: Closing) -> None:
        s.close = s.entry.close(stop_price=90)
        await s.close

    async def change(s: Closing) -> None:
        await s.close.modify(stop_price=95)
        assert s.close.live is not None
        s.tell(s.close.live.stop_price, s.close.live.limit_price)

    story = Closing(acts={2: close, 3: change})
    result = play(story, market(100, 100, 100, (100, 100, 92, 93)))
    assert story.told == [(3, 95, None)]
    assert (result.fills[-1].price, story.close.is_filled) == (D(95), True)


def test_a_close_ends_with_its_position() -> None:
    story = Closing(acts={2: close_at_110, 3: show}, stop_loss=90)
    play(story, market(100, 100, (100, 100, 80, 85)))
    assert story.told[1] == (3, "CANCELLED", 0, 0, True)
    assert (story.close.end_reason, story.close.cancelled_volume) == ("ALREADY_DONE", D(4))
    assert story.entry.is_done


def test_a_refused_one_is_done() -> None:
    async def close(s: Closing) -> None:
        one = s.entry.close(5, limit_price=110)
        with pytest.raises(OrderRejected):
            await one
        s.tell(one.status.name, one.is_rejected, one.end_reason, one.is_done, s.open_orders())
        assert s.entry.is_done

    story = Closing(acts={2: close})
    play(story, market(100, 100, 100))
    assert story.told == [(2, "CANCELLED", True, "STALE", True, [])]


def test_waiting_for_it() -> None:
    class Waiting(Story):
        async def run(self) -> None:
            entry = await self.long("BTCUSD", 4, leverage=10, limit_price=100)
            await entry.filled()
            close = entry.close(limit_price=110)
            assert await close is entry
            self.tell(await close.filled(timeout="90s"))
            await close.modify(limit_price=107)
            self.tell(await close.filled(), await entry.done(), await close.closed())

    story = Waiting()
    play(story, market(100, 100, 105, (105, 109, 105, 109), 109))
    # Sent before the first bar: filled in it, and known at its close. The change is of 2.5 minutes.
    assert story.told == [(2.5, False), (4, True, True, True)]


def test_close_all_ends_pending_closes() -> None:
    async def all_(s: Closing) -> None:
        await s.close_all()
        s.show()

    story = Closing(acts={2: close_at_110, 3: all_, 4: show})
    result = play(story, market(100, 100, 105, 106))
    assert story.told[1:] == [(3, "CANCELLED", 0, 0, True), (4, "CANCELLED", 0, 0, True)]
    assert not story.entry.parts
    assert result.fills[-1].price == 105


def test_what_a_close_cannot_do_says_so() -> None:
    async def ask(s: Closing) -> None:
        with pytest.raises(FieldError, match=r"cannot be split"):
            s.close.split([1, 3])
        with pytest.raises(FieldError, match=r"is a close already"):
            s.close.close()
        with pytest.raises(OrderRejected, match=r"cancel it first"):
            await s.entry.split([1, 3])

    story = Closing(acts={2: close_at_110, 3: ask})
    play(story, market(100, 100, 105, 106))


def test_a_flat_fee_is_charged_once_for_a_close_that_was_modified() -> None:
    fees = {FeeStage.CLOSE: [Fee(FeeKind.FLAT_PER_TRADE, D(3))]}

    async def change(s: Closing) -> None:
        await s.close.modify(limit_price=106)

    story = Closing(acts={2: close_at_110, 4: change})
    # Of 4, bar 4 may sell 2 at 110; the rest goes at 106 in bar 5, for no second fee.
    bars = traded(market(100, 100, 100, (100, 110, 100, 108), 108), 8, 8, 8, 2, 8)
    result = play(story, bars, rules=TradingRules(fees=fees))
    assert [(one.volume, one.price, one.fee) for one in result.fills[1:]] == [
        (D(2), D(110), D(3)),
        (D(2), D(108), D(0)),  # marketable at the open
    ]
