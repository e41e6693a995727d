"""Restarted actors, volumes beyond all reckoning, errors that cross processes."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from backtest.actors import Actor, BrokerActor, Directive, Envelope, Supervision, System
from backtest.errors import (
    BacktestError,
    DataError,
    Deadlock,
    FieldError,
    InboxOverflow,
    InsufficientFunds,
    OrderRejected,
    RejectReason,
)
from backtest.models import Bar
from tests.harness import D, bar, play, refused, rules

BARS = [bar(0, 100), bar(1, 101), bar(2, 103), bar(3, 99)]


@pytest.mark.parametrize("volume", ["1e400", "1e61", "1e15"])
def test_a_volume_beyond_all_reckoning_is_refused(volume: str) -> None:
    """The venue divided it by the increment, which 60 digits do not hold, and the run ended."""

    async def script(me: Any) -> None:
        await me.next()
        await refused(me, lambda: me.buy("BTCUSD", volume), RejectReason.INVALID_VOLUME)
        await refused(
            me, lambda: me.buy("BTCUSD", 1, limit_price=volume), RejectReason.INVALID_PRICE
        )
        order = await me.buy("BTCUSD", 1)
        await me.next()
        assert order.is_filled

    play(BARS, script)


class _Stumbles(BrokerActor):
    """A broker that fails on its second bar, and is restarted."""

    supervision = Supervision(directive=Directive.RESTART)
    bars_heard = 0

    def handle(self, envelope: Envelope) -> Any:
        if type(envelope.payload) is Bar:
            self.bars_heard += 1
            if self.bars_heard == 2:
                raise RuntimeError("stumbled")
        return super().handle(envelope)


def test_a_restarted_broker_knows_its_agents_and_their_orders() -> None:
    """It made every desk anew: orders were nobody's any more, and bars came twice."""
    heard: list[int] = []

    async def script(me: Any) -> None:
        await me.next()  # bar 0; on bar 1 the broker fails
        order = await me.buy("BTCUSD", 1, limit_price=50)
        await me.next()  # bar 2
        await order.cancel()
        heard.append(len(me.heard))
        await me.next()  # bar 3 comes once: then the data is over
        heard.append(me._host.bars_seen)

    def prepare(system: System) -> None:
        # The same object, of a class whose `handle` stumbles.
        broker: Actor = system.actors["broker"]
        broker.__class__ = _Stumbles

    play(BARS, script, prepare=prepare)
    assert heard == [2, 3]


def test_a_stopped_strategy_does_not_take_the_venue_with_it() -> None:
    """What the broker sent to it was an error of the broker's, which ended the run."""

    async def fragile(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1, limit_price=98)
        await me.next()
        raise RuntimeError("fragile")

    async def steady(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2)
        await me.next(4)
        assert order.is_filled
        assert len(me.heard) == 2

    def prepare(system: System) -> None:
        system.actors["s0"].supervision = Supervision(directive=Directive.STOP)

    world = play([*BARS, bar(4, 97)], fragile, steady, prepare=prepare, finishes=False)
    assert world.strategies["s1"].has_finished
    # The order of the stopped strategy lives on; that it filled reaches nobody, visibly.
    told = [type(one.envelope.payload).__name__ for one in world.system.dead_letters]
    assert told == ["Bar", "OrderEvent"]
    assert world.orders() == ["LONG 1 FILLED", "LONG 2 FILLED"]


def test_a_spot_buy_reserves_no_fee_on_a_margin_that_it_has_not() -> None:
    """It reserved a fee of 10 % of its notional, which no fill of it is charged."""

    async def script(me: Any) -> None:
        await me.next()
        # 2 x 98 = 196, and nothing else: a spot order has no margin to charge 10 % of.
        order = await me.buy("BTCUSD", 2, limit_price=98)
        assert me.balance("USD").unavailable == D(196)
        await order.cancel()
        # All there is buys 10 at 100: with the fee on top it was refused.
        order = await me.buy("BTCUSD", 10, limit_price=100)
        await me.next(3)
        assert order.is_filled
        assert me.balance("USD").total == D(10)  # 1000 - 10 x 99, no fee

    play(
        BARS,
        script,
        rules=rules(fees={"fill": {"percent_of_margin": "0.1"}}),
    )


@pytest.mark.parametrize(
    "error",
    [
        FieldError("volume", "must be positive"),
        OrderRejected(RejectReason.STALE, "too late"),
        Deadlock([("broker", "account")]),
        InsufficientFunds("main", "USD", D(1), D(2), "available"),
        DataError("no number", source="bars.csv", line=3),
        InboxOverflow("slow", 16),
    ],
)
def test_errors_come_back_whole_from_another_process(error: BacktestError) -> None:
    """They could be pickled, but not read again: the pool whose process raised one broke down."""
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)


def test_two_closes_at_this_close_close_no_more_than_there_is() -> None:
    """The second wanted more than the first had left, and ended the run."""

    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2)
        await me.next()
        assert order.open_volume == D(2)
        one, two = order.close("1.5"), order.close("1.5")  # both under way at one close
        await one
        await two
        await me.next()
        assert order.open_volume == 0

    world = play(BARS, script, rules=rules(fill_on="this_close"))
    assert [fill.volume for fill in world.records.fills] == [D(2), D("1.5"), D("0.5")]
