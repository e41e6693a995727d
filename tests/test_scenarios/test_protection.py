"""Stop-loss, take-profit and stop orders, worked out by hand: gaps, both in one bar, no volume."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.actors import EventKind
from backtest.errors import RejectReason
from tests.harness import D, bar, play, refused, rules


@pytest.mark.parametrize(
    ("side", "stop", "open", "pnl"),
    [("long", 95, 90, -10), ("short", 105, 112, -12)],
)
def test_a_stop_loss_on_a_gap_fills_at_the_open(side: str, stop: int, open: int, pnl: int) -> None:
    async def script(me: Any) -> None:
        await me.next()
        await getattr(me, side)("BTCUSD", 1, stop_loss=stop)
        await me.next(2)

    world = play([bar(0, 100), bar(1, 100), bar(2, open)], script)
    assert world.fills()[1].startswith("stop_loss")
    assert world.fills()[1].endswith(f"1 @ {open} open")
    assert world.balance("USD") == (D(1000 + pnl), D(0))


@pytest.mark.parametrize(
    ("side", "stop", "target", "kind"),
    [
        ("long", 95, 110, "stop_loss SHORT 1 @ 95 low"),
        ("short", 105, 90, "stop_loss LONG 1 @ 105 high"),
    ],
)
def test_both_in_one_bar_take_the_loss(side: str, stop: int, target: int, kind: str) -> None:
    async def script(me: Any) -> None:
        await me.next()
        await getattr(me, side)("BTCUSD", 1, stop_loss=stop, take_profit=target)
        await me.next(2)

    world = play([bar(0, 100), bar(1, 100), bar(2, 100, 112, 88, 100)], script)
    assert world.fills()[1] == f"{kind} ambiguous"
    assert world.balance("USD") == (D(995), D(0))


def test_both_in_one_bar_on_a_given_path() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, stop_loss=95, take_profit=110)
        await me.next(2)

    bars = [bar(0, 100), bar(1, 100), bar(2, 100, 112, 94, 100)]
    world = play(bars, script, rules=rules(path="open_high_low_close"))
    assert world.fills()[1] == "take_profit SHORT 1 @ 110 high maker ambiguous"
    assert world.balance("USD") == (D(1010), D(0))
    # adaptive: the low is 6 away, the high 12: the low comes first
    world = play(bars, script, rules=rules(path="adaptive"))
    assert world.balance("USD") == (D(995), D(0))


@pytest.mark.parametrize(
    ("side", "limit", "stop", "pnl"), [("long", 98, 95, -3), ("short", 102, 105, -3)]
)
def test_an_entry_is_stopped_on_its_bar(side: str, limit: int, stop: int, pnl: int) -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await getattr(me, side)("BTCUSD", 1, limit_price=limit, stop_loss=stop)
        await me.next()
        assert order.filled_volume == 1
        assert not order.parts

    world = play([bar(0, 100), bar(1, 100, 106, 94, 100)], script)
    kinds = [line.split()[0] for line in world.fills()]
    assert kinds == ["entry", "stop_loss"]
    assert world.balance("USD") == (D(1000 + pnl), D(0))


def test_an_entry_and_its_take_profit_on_one_bar_depend_on_the_path() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, limit_price=98, take_profit=103)
        await me.next()

    # low first: bought at 98, sold at 103. High first: bought at 98 after the high, still open at
    # the close of 99: +1 is less than +5, so the pessimist sees the high first.
    bars = [bar(0, 100), bar(1, 100, 104, 97, 99)]
    world = play(bars, script)
    assert world.fills() == ["entry LONG 1 @ 98 low maker ambiguous"]
    assert world.equity == 1001
    world = play(bars, script, rules=rules(path="open_low_high_close"))
    assert world.balance("USD") == (D(1005), D(0))
    assert world.fills()[1] == "take_profit SHORT 1 @ 103 high maker ambiguous"


@pytest.mark.parametrize(
    ("side", "stop", "target", "prices"),
    [
        ("long", 100, None, {}),
        ("long", None, 100, {}),
        ("long", 101, None, {}),
        ("short", 99, None, {}),
        ("short", None, 100, {}),
        ("long", 95, None, {"limit_price": 95}),
        ("long", None, 90, {"limit_price": 95}),
        ("long", 110, None, {"stop_price": 110}),
        ("short", 90, None, {"stop_price": 90}),
        ("short", None, 105, {"limit_price": 105}),
    ],
)
def test_protection_on_the_wrong_side_is_refused(
    side: str, stop: int | None, target: int | None, prices: dict[str, int]
) -> None:
    async def script(me: Any) -> None:
        await me.next()
        await refused(
            me,
            lambda: getattr(me, side)("BTCUSD", 1, stop_loss=stop, take_profit=target, **prices),
            RejectReason.PROTECTION_SIDE,
        )

    world = play([bar(0, 100)], script)
    assert world.journal() == []


@pytest.mark.parametrize(
    ("side", "protection", "open"),
    [
        ("long", {"stop_loss": 95}, 95),
        ("long", {"take_profit": 105}, 106),
        ("short", {"stop_loss": 105}, 107),
        ("short", {"take_profit": 95}, 95),
    ],
)
def test_a_fill_beyond_its_own_protection_does_not_happen(
    side: str, protection: dict[str, int], open: int
) -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await getattr(me, side)("BTCUSD", 1, **protection)
        await me.next()
        assert order.is_done
        assert not order.is_filled
        assert order.end_reason == "PROTECTION_PASSED"
        assert me.told(EventKind.CANCELLED) == [("cancelled", "PROTECTION_PASSED")]
        assert me.balance("USD") == (D(1000), D(0))

    world = play([bar(0, 100), bar(1, open)], script)
    assert world.fills() == []
    reserve = "105" if side == "long" else "100"
    assert world.journal() == [
        f"RESERVE_MARGIN USD -{reserve} {reserve}",
        f"RETURN_MARGIN USD {reserve} -{reserve}",
    ]
    assert world.orders() == [f"{side.upper()} 1 CANCELLED PROTECTION_PASSED"]


def test_slippage_beyond_the_own_take_profit_is_seen_at_this_close_too() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1, take_profit=101)
        await order.done()
        assert order.end_reason == "PROTECTION_PASSED"
        await me.next()

    # bought at the close of 100 + 2 of slippage = 102, beyond 101
    world = play(
        [bar(0, 100, 105, 95, 100), bar(1, 100)],
        script,
        rules=rules(fill_on="this_close", slippage=2),
    )
    assert world.fills() == []
    assert world.balance("USD") == (D(1000), D(0))


def test_a_stop_that_finds_too_little_volume_fills_at_the_following_opens() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, stop_price=105)
        await me.next()
        assert (order.filled_volume, order.leaves) == (1, 2)
        assert ("triggered", None) in me.told()
        await me.next()
        assert order.filled_volume == 2
        await me.next()
        assert order.filled_volume == 2
        await me.next()
        assert order.is_filled

    bars = [
        bar(0, 100),
        bar(1, 103, 106, 103, 103, 1),
        bar(2, 102, volume=1),
        bar(3, 101, volume=0),
        bar(4, 107, volume=5),
    ]
    world = play(bars, script)
    assert world.fills() == [
        "entry LONG 1 @ 105 high",
        "entry LONG 1 @ 102 open",
        "entry LONG 1 @ 107 open",
    ]
    # 1000 - 105 - 102 - 107
    assert world.balance("USD") == (D(686), D(0))


def test_a_stop_loss_without_volume_stays_triggered_though_the_price_recovers() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2, stop_loss=95)
        await me.next()
        assert order.open_volume == 2
        await me.next()
        assert order.open_volume == 2
        await me.next()
        assert order.open_volume == 0

    bars = [bar(0, 100), bar(1, 100), bar(2, 97, 97, 94, 96, 0), bar(3, 99)]
    world = play(bars, script)
    assert world.fills()[-1] == "stop_loss SHORT 2 @ 99 open"
    assert world.balance("USD") == (D(998), D(0))


def test_stop_loss_and_take_profit_cover_what_has_filled() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 4, limit_price=98, stop_loss=90, take_profit=104)
        await me.next()
        assert (order.open_volume, order.leaves) == (1, 3)
        await me.next()
        assert (order.open_volume, order.leaves) == (0, 3)
        await me.next()
        assert (order.open_volume, order.leaves) == (3, 0)

    bars = [
        bar(0, 100),
        bar(1, 99, 99, 98, 99, 1),
        bar(2, 103, 105, 102, 103, 9),
        bar(3, 97, volume=9),
    ]
    world = play(bars, script)
    assert world.fills() == [
        "entry LONG 1 @ 98 low maker",
        "take_profit SHORT 1 @ 104 high maker",
        "entry LONG 3 @ 97 open maker",
    ]
    assert world.balance("USD") == (D(1006 - 291), D(291))


def test_protections_of_an_open_position_are_changed_and_removed() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1, stop_loss=95, take_profit=110)
        await me.next()
        await order.modify(stop_loss=98)
        await order.modify(clear=["take_profit"])
        await refused(me, lambda: order.modify(stop_loss=100), RejectReason.PROTECTION_SIDE)
        await me.next()
        assert order.open_volume == 1  # the high of 115 took nothing
        await me.next()
        assert order.open_volume == 0

    bars = [bar(0, 100), bar(1, 100), bar(2, 105, 115, 105, 106), bar(3, 99, 99, 96, 97)]
    world = play(bars, script)
    assert world.fills()[-1] == "stop_loss SHORT 1 @ 98 low"
    assert world.balance("USD") == (D(998), D(0))


def test_nothing_disappears_a_limit_close_ends_with_its_position() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1, stop_loss=95)
        await me.next()
        await order.close(limit_price=120)
        await me.next()
        assert order.open_volume == 0
        kinds = [kind for kind, _ in me.told()]
        assert kinds[-3:] == ["closing", "closed", "close_cancelled"]

    world = play([bar(0, 100), bar(1, 100), bar(2, 94)], script)
    assert world.fills()[-1] == "stop_loss SHORT 1 @ 94 open"


TARGET_FEES = {"close": {"percent_of_notional": "0.01", "maker": "0"}}


@pytest.mark.parametrize("how", ["entry", "modify", "split", "close"])
def test_a_target_that_is_marketable_at_the_first_price_it_sees_takes(how: str) -> None:
    async def script(me: Any) -> None:
        await me.next()
        target = {"take_profit": 105} if how == "entry" else {}
        order = await me.long("BTCUSD", 2, **target)
        await me.next()
        if how == "modify":
            await order.modify(take_profit=105)
        elif how == "split":
            await order.split([1, 1], take_profits=[105, 105])
        elif how == "close":
            await order.close(limit_price=105)
        await me.next()

    world = play([bar(0, 100), bar(1, 100), bar(2, 110)], script, rules=rules(fees=TARGET_FEES))
    fills = world.fills()[1:]
    # The entry's own target has rested since the entry: 220 to a maker. The others come anew, as
    # the limit order to close does: takers at the open, 1 % of 220 in all.
    volume, taker = ("1", 2) if how == "split" else ("2", 1)
    assert len(fills) == taker
    kind = "close" if how == "close" else "take_profit"
    fee = "maker" if how == "entry" else f"fee {D('1.1') * D(volume)}"
    assert fills[0] == f"{kind} SHORT {volume} @ 110 open {fee}"
    assert world.balance()[0] == D(1000 + 20) - (D(0) if how == "entry" else D("2.20"))


def test_a_target_that_has_seen_a_price_makes() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2)
        await me.next()
        await order.modify(take_profit=105)
        await me.next(2)

    bars = [bar(0, 100), bar(1, 100), bar(2, 101), bar(3, 110)]
    world = play(bars, script, rules=rules(fees=TARGET_FEES))
    assert world.fills()[1:] == ["take_profit SHORT 2 @ 110 open maker"]
