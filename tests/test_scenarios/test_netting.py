"""Netting accounts: a fill closes what is open on the other side before it opens anything."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

import backtest
from backtest.actors import EventKind
from backtest.errors import ConfigError, RejectReason
from backtest.models import Bar
from backtest.strategies import Strategy
from tests.harness import D, bar, pair_of, play, refused, rules
from tests.random_trading import random_bars

NETS: dict[str, Any] = {"accounts": {"main": {"netting": True}}}


async def _open(me: Any, volume: Any = 2, **more: Any) -> Any:
    """A long position, opened at 100 on the second bar."""
    await me.next()
    order = await me.long("BTCUSD", volume, **more)
    await me.next()
    return order


def test_the_other_side_is_closed_and_only_the_rest_opens() -> None:
    async def script(me: Any) -> None:
        long = await _open(me)
        short = await me.short("BTCUSD", 3)
        # 2 of the 3 close what is open; 1 reserves, at the last price
        assert me.balance("USD") == (D(700), D(300))
        await me.next()
        assert (long.open_volume, long.status.name) == (0, "CLOSED")
        assert (short.filled_volume, short.average_price, short.open_volume) == (3, 110, 1)
        position = me.position("BTCUSD")
        assert (position.volume, position.average_price) == (-1, 110)
        assert me.balance("USD") == (D(910), D(110))
        await me.next()

    world = play([bar(0, 100), bar(1, 100), bar(2, 110), bar(3, 110)], script, **NETS)
    # All of a fill is one entry: 200 of margin come back with a gain of 20; of what it opens the
    # reserve of 100 is 10 short.
    assert world.entries()[2:] == [
        ["RESERVE_MARGIN USD -100 100"],
        ["RETURN_MARGIN USD 200 -200", "CLOSE_PNL USD 20 0", "RESERVE_MARGIN USD -10 10"],
    ]
    assert world.fills() == [
        "entry LONG 2 @ 100 open",
        "netting SHORT 2 @ 110 open",
        "entry SHORT 1 @ 110 open",
    ]
    assert world.orders() == [
        "LONG 2 CLOSED netting",
        "SHORT 2 CLOSED offset",
        "SHORT 1 FILLED",
    ]


def test_on_a_hedging_account_both_stay_open() -> None:
    async def script(me: Any) -> None:
        await _open(me)
        await me.short("BTCUSD", 3)
        await me.next()
        assert [one.volume for one in me.position("BTCUSD").parts] == [2, 3]
        assert me.position("BTCUSD").volume == -1

    play([bar(0, 100), bar(1, 100), bar(2, 110)], script)


def test_an_exact_opposite_leaves_nothing() -> None:
    async def script(me: Any) -> None:
        await _open(me, leverage=10)
        short = await me.short("BTCUSD", 2, leverage=5)
        assert me.balance("USD").unavailable == 20
        await me.next()
        assert (short.is_filled, short.open_volume) == (True, 0)
        assert not me.position("BTCUSD")
        assert me.balance("USD") == (D(990), D(0))

    play([bar(0, 100), bar(1, 100), bar(2, 95)], script, **NETS)


def test_the_oldest_is_closed_first() -> None:
    async def script(me: Any) -> None:
        await me.next()
        first = await me.long("BTCUSD", 1)
        await me.next()
        second = await me.long("BTCUSD", 2)
        await me.next()
        await me.short("BTCUSD", 2)
        await me.next()
        assert (first.open_volume, second.open_volume) == (0, 1)
        # 320 for three; two of them for 240: 26.666... down to 26.66, and 106.66 and 106.67 of the
        # margin come back
        assert me.balance("USD") == (D("919.99"), D("106.67"))

    bars = [bar(0, 100), bar(1, 100), bar(2, 110), bar(3, 120)]
    world = play(bars, script, **NETS)
    assert world.fills()[2:] == ["netting SHORT 1 @ 120 open"] * 2


def test_the_same_side_adds_a_position() -> None:
    async def script(me: Any) -> None:
        await _open(me)
        more = await me.long("BTCUSD", 1)
        assert me.balance("USD") == (D(695), D(305))
        await me.next()
        assert more.open_volume == 1
        assert me.position("BTCUSD").volume == 3

    play([bar(0, 100), bar(1, 100), bar(2, 100)], script, **NETS)


def test_it_goes_on_bar_by_bar_as_volume_allows() -> None:
    async def script(me: Any) -> None:
        await _open(me)
        short = await me.short("BTCUSD", 4, limit_price=105)
        # 2 beyond what is open, at 105
        assert me.balance("USD") == (D(590), D(410))
        await me.next()
        assert (short.filled_volume, short.leaves) == (D("1.5"), D("2.5"))
        assert short.open_volume == 0
        assert me.position("BTCUSD").volume == D("0.5")
        # 150 margin back, 7.50 gained; 50 of margin and still 210 for the order
        assert me.balance("USD") == (D("747.5"), D(260))
        await me.next()
        assert (short.leaves, short.open_volume) == (D("1.5"), D("0.5"))
        assert me.position("BTCUSD").volume == D("-0.5")
        # 50 back, 2.50 gained; 52.50 margin taken out of the order's reserve, 157.50 stay for it
        assert me.balance("USD") == (D(800), D("210"))
        await me.next()
        assert short.is_filled
        assert me.balance("USD") == (D(800), D(210))

    bars = [bar(0, 100), bar(1, 100), bar(2, 105, volume="1.5"), bar(3, 105, volume=1), bar(4, 105)]
    world = play(bars, script, **NETS)
    assert world.orders() == [
        "LONG 1.5 CLOSED netting",
        "SHORT 1.5 CLOSED offset",
        "SHORT 0.5 CLOSED offset",
        "LONG 0.5 CLOSED netting",
        "SHORT 0.5 FILLED",
        "SHORT 1.5 FILLED",
    ]


def test_each_part_pays_its_own_kind_of_fee() -> None:
    async def script(me: Any) -> None:
        await _open(me)
        await me.short("BTCUSD", 3)
        # the open 1 reserves 100 and 1 % of it
        assert me.balance("USD").unavailable == 200 + 101
        await me.next()

    fees = {"fill": {"percent_of_notional": "0.01"}, "close": {"percent_of_notional": "0.02"}}
    world = play([bar(0, 100), bar(1, 100), bar(2, 110)], script, rules=rules(fees=fees), **NETS)
    # 1 % of 200 to open, 2 % of 220 to close, 1 % of 110 to open
    assert [line for line in world.journal() if "FEE" in line] == [
        "FEE_FILL USD -2 0",
        "FEE_CLOSE USD -4.4 0",
        "FEE_FILL USD -1.1 0",
    ]
    assert world.balance("USD") == (D("1020") - D("7.5") - 110, D(110))


def test_protection_vanishes_with_what_it_protected() -> None:
    async def script(me: Any) -> None:
        await _open(me, 2, stop_loss=90, take_profit=130)
        await me.short("BTCUSD", 1)
        await me.next()
        (part,) = me.position("BTCUSD").parts
        assert (part.volume, part.stop_loss, part.take_profit) == (1, 90, 130)
        await me.short("BTCUSD", 1)
        await me.next()
        assert not me.position("BTCUSD")
        await me.next(2)

    bars = [bar(0, 100), bar(1, 100), bar(2, 100), bar(3, 100), bar(4, 89), bar(5, 131)]
    world = play(bars, script, **NETS)
    assert len(world.fills()) == 3
    assert world.balance("USD") == (D(1000), D(0))


def test_protection_of_the_order_is_that_of_what_it_opens() -> None:
    async def script(me: Any) -> None:
        await _open(me, 1)
        short = await me.short("BTCUSD", 2, stop_loss=115, take_profit=80)
        await me.next()
        assert short.open_volume == 0

    # the bar opens at 110: one closes the long, one opens and is stopped at 115 on the way up
    world = play([bar(0, 100), bar(1, 100), bar(2, 110, 116, 110, 112)], script, **NETS)
    assert world.fills()[1:] == [
        "netting SHORT 1 @ 110 open",
        "entry SHORT 1 @ 110 open",
        "stop_loss LONG 1 @ 115 high",
    ]
    assert world.balance("USD") == (D(1005), D(0))


def test_two_orders_do_not_count_on_the_same_position() -> None:
    async def script(me: Any) -> None:
        await _open(me, 2)
        one = await me.short("BTCUSD", 2, limit_price=110)
        assert me.balance("USD").unavailable == 200
        two = await me.short("BTCUSD", 2, limit_price=120)
        # what the first is to close is spoken for
        assert me.balance("USD").unavailable == 200 + 240
        await one.cancel()
        assert me.balance("USD").unavailable == 200 + 240
        three = await me.short("BTCUSD", 1, limit_price=125)
        assert me.balance("USD").unavailable == 200 + 240
        await two.cancel()
        await three.cancel()
        assert me.balance("USD") == (D(800), D(200))

    play([bar(0, 100), bar(1, 100)], script, **NETS)


def test_what_counted_on_a_position_that_has_gone_takes_from_available() -> None:
    async def script(me: Any) -> None:
        long = await _open(me, 2)
        short = await me.short("BTCUSD", 2, limit_price=110)
        assert me.balance("USD").unavailable == 200
        await long.close()
        await me.next()
        assert me.balance("USD") == (D(1000), D(0))
        await me.next()
        # nothing to close any more: it opens, for 220 out of what is available
        assert short.open_volume == 2
        assert me.balance("USD") == (D(780), D(220))

    play([bar(0, 100), bar(1, 100), bar(2, 100), bar(3, 110)], script, **NETS)


def test_what_money_does_not_allow_to_open_is_cancelled() -> None:
    async def script(me: Any) -> None:
        long = await _open(me, 5)
        other = await me.buy("BTCUSD", 4, limit_price=99)
        short = await me.short("BTCUSD", 6, limit_price=110)
        # 500 of margin, 396 for the buy, 110 for the one beyond the five
        assert me.balance("USD") == (D(4), D(1006))
        await long.close()
        await me.next()
        assert other.leaves == 4
        await me.next()
        assert short.end_reason == "INSUFFICIENT_FUNDS"

    bars = [bar(0, 100), bar(1, 100), bar(2, 100), bar(3, 110)]
    world = play(bars, script, cash={"USD": 1010}, **NETS)
    # 1010 - 396 = 614 pays for 5.581 at 110
    assert world.fills()[-1] == "entry SHORT 5.581 @ 110 open maker"


def test_closing_pays_for_opening() -> None:
    async def script(me: Any) -> None:
        await _open(me, 9, limit_price=100)
        short = await me.short("BTCUSD", 10, limit_price=100)
        # only the tenth reserves
        assert me.balance("USD") == (D(0), D(1000))
        await me.next()
        assert short.open_volume == 1
        # 9 x 10 gained, and 1 at 110 as margin
        assert me.balance("USD") == (D(980), D(110))

    play([bar(0, 101), bar(1, 100), bar(2, 110)], script, **NETS)


@pytest.mark.parametrize("force", ["GTC", "FOK"])
def test_what_the_close_frees_counts_for_a_reversal(force: str) -> None:
    """9 at 100: 100 are available, and the close frees 900. 10 more need 1000, 11 need 1100."""

    async def script(me: Any) -> None:
        await _open(me, 9)
        assert me.balance("USD") == (D(100), D(900))
        reverse = partial(me.short, "BTCUSD", 20, time_in_force=force)
        await refused(me, reverse, RejectReason.INSUFFICIENT_FUNDS)
        await me.short("BTCUSD", 19, time_in_force=force)
        # 10 of it reserve what is there; the rest is paid at the fill
        assert me.balance("USD") == (D(0), D(1000))
        await me.next()
        assert me.position("BTCUSD").volume == -10
        assert me.balance("USD") == (D(0), D(1000))

    play([bar(0, 100), bar(1, 100), bar(2, 100), bar(3, 100)], script, **NETS)


def test_a_loss_beyond_the_margin_is_the_insurances() -> None:
    async def script(me: Any) -> None:
        await _open(me, 10, leverage=10)
        await me.short("BTCUSD", 10, limit_price=80)
        await me.next()

    # The bar opens at 85, beyond the 90 at which the position is liquidated: liquidation and limit
    # order meet at the open, and at one price the order comes first. Of 10 x 15 lost the position
    # bears its margin of 100, and the insurance the rest.
    world = play([bar(0, 100), bar(1, 100), bar(2, 85)], script, **NETS)
    assert world.fills()[1:] == ["netting SHORT 10 @ 85 open"]
    assert (world.balance("USD"), world.balance("USD", "insurance")) == (
        (D(900), D(0)),
        (D(-50), D(0)),
    )


def test_an_opposite_stop_closes_before_the_liquidation_beyond_it() -> None:
    async def script(me: Any) -> None:
        await _open(me, 10, leverage=10)
        await me.short("BTCUSD", 10, stop_price=95)

    # liquidated at 90; the price passes 95 before, and nothing is opened there
    world = play([bar(0, 100), bar(1, 100), bar(2, 100, 100, 85, 91)], script, **NETS)
    assert world.fills()[1:] == ["netting SHORT 10 @ 95 low"]
    assert world.balance("USD") == (D(950), D(0))


def test_the_worse_path_of_all_that_the_account_has_is_taken() -> None:
    async def script(me: Any) -> None:
        await _open(me, 1, leverage=10, stop_loss=97)
        await me.short("BTCUSD", 1, leverage=10, limit_price=104)

    # High first: 104 closes the long, +4. Low first: it is stopped at 97, -3, and 104 opens a
    # short, at 99 at the close: +5. That is 2 and the less. Both fills would have been others.
    world = play([bar(0, 100), bar(1, 100), bar(2, 100, 107, 96, 99)], script, **NETS)
    assert world.fills()[1:] == [
        "stop_loss SHORT 1 @ 97 low ambiguous",
        "entry SHORT 1 @ 104 high maker ambiguous",
    ]
    assert world.equity == 1002


def test_positions_of_another_account_or_pair_are_left_alone() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, account="a")
        await me.long("ETHUSD", 1, account="b")
        await me.next()
        order = await me.short("BTCUSD", 1, account="b")
        await me.next()
        assert order.open_volume == 1
        assert me.position("BTCUSD").volume == 0
        assert len(me.position("BTCUSD").parts) == 2

    bars = [bar(number, 100, pair=pair) for number in range(3) for pair in ("BTCUSD", "ETHUSD")]
    play(
        bars,
        script,
        cash={"a": {"USD": 1000}, "b": {"USD": 1000}},
        own=[["a", "b"]],
        pairs=[pair_of("BTCUSD"), pair_of("ETHUSD")],
        accounts={"a": {"netting": True}, "b": {"netting": True}},
    )


def test_the_owner_of_the_position_hears_who_closed_it() -> None:
    async def first(me: Any) -> None:
        order = await _open(me, 1)
        await me.next()
        assert order.open_volume == 0
        assert me.told(EventKind.CLOSED) == [("closed", None)]

    async def second(me: Any) -> None:
        await me.next(2)
        await me.short("BTCUSD", 1)
        await me.next()
        assert me.told() == [("accepted", None), ("netted", None)]

    play([bar(0, 100), bar(1, 100), bar(2, 100)], first, second, **NETS)


def test_modify_reserves_for_what_goes_beyond() -> None:
    async def script(me: Any) -> None:
        await _open(me, 2)
        short = await me.short("BTCUSD", 1, limit_price=110)
        assert me.balance("USD").unavailable == 200
        await short.modify(volume=4)
        assert me.balance("USD").unavailable == 200 + 220
        await short.modify(limit_price=120)
        assert me.balance("USD").unavailable == 200 + 240
        await refused(me, lambda: short.modify(volume=20), RejectReason.INSUFFICIENT_FUNDS)
        await short.modify(volume=3)
        assert me.balance("USD").unavailable == 200 + 120
        await short.cancel(1)
        assert me.balance("USD").unavailable == 200
        await me.next()
        assert short.is_filled
        assert me.balance("USD") == (D(1040), D(0))

    play([bar(0, 100), bar(1, 100), bar(2, 120)], script, **NETS)


def test_the_parts_of_a_split_share_what_there_is_to_close() -> None:
    async def script(me: Any) -> None:
        await _open(me, 2)
        short = await me.short("BTCUSD", 4, limit_price=110)
        assert me.balance("USD").unavailable == 200 + 220
        one, two = await short.split([1, 3])
        assert me.balance("USD").unavailable == 200 + 220
        await two.cancel()
        # half of each was to close: 0.5 of the one, 1.5 of the other
        assert me.balance("USD").unavailable == 200 + 55
        await one.cancel()
        assert me.balance("USD") == (D(800), D(200))

    play([bar(0, 100), bar(1, 100)], script, **NETS)


def test_any_fill_cancels_the_partners() -> None:
    async def script(me: Any) -> None:
        await _open(me, 1)
        target = await me.short("BTCUSD", 1, limit_price=110, oco="out")
        stop = await me.short("BTCUSD", 1, stop_price=90, oco="out")
        await me.next()
        assert target.is_filled
        assert stop.end_reason == "ONE_CANCELS_OTHER"
        assert not me.position("BTCUSD")

    world = play([bar(0, 100), bar(1, 100), bar(2, 110)], script, **NETS)
    assert world.balance("USD") == (D(1010), D(0))


def test_partners_count_once_on_what_there_is_to_close() -> None:
    async def script(me: Any) -> None:
        await _open(me, 90, leverage=10)
        assert me.balance("USD") == (D(100), D(900))
        # Only one of the two can fill, so each may close all that is open, and neither reserves.
        target = await me.short("BTCUSD", 90, leverage=10, limit_price=105, oco="exit")
        stop = await me.short("BTCUSD", 90, leverage=10, stop_price=95, oco="exit")
        assert me.balance("USD") == (D(100), D(900))
        # Together they speak for all of it: one that is no partner opens, for 1 x 110 / 2.
        other = await me.short("BTCUSD", 1, leverage=2, limit_price=110)
        assert me.balance("USD") == (D(45), D(955))
        await target.cancel()
        await other.modify(volume="1.5")
        assert me.balance("USD") == (D("17.5"), D("982.5"))
        await other.cancel()
        again = await me.short("BTCUSD", 80, leverage=10, limit_price=105, oco="exit")
        await again.modify(volume=90)
        assert me.balance("USD") == (D(100), D(900))
        await me.next()
        assert stop.is_filled
        assert again.end_reason == "ONE_CANCELS_OTHER"
        assert not me.position("BTCUSD")
        assert me.balance("USD") == (D(550), D(0))

    play([bar(0, 100), bar(1, 100), bar(2, 99, 100, 94, 96)], script, **NETS)


def test_parts_of_a_partner_count_together() -> None:
    async def script(me: Any) -> None:
        await _open(me, 4)
        target = await me.short("BTCUSD", 4, limit_price=105, oco="exit")
        _, two = await target.split([1, 3])
        # The parts close 1 + 3, the stop 4 in their stead, and nothing is left for another.
        await me.short("BTCUSD", 4, stop_price=95, oco="exit")
        assert me.balance("USD").unavailable == 400
        await two.cancel(1)
        other = await me.short("BTCUSD", 1, limit_price=110)
        assert me.balance("USD").unavailable == 510
        await other.cancel()
        # More of one part has what the other part leaves: 4 - 1 = 3, so the fourth reserves.
        await two.modify(volume=4)
        assert me.balance("USD").unavailable == 400 + 105

    play([bar(0, 100), bar(1, 100)], script, **NETS)


def test_spot_orders_net_nothing() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1)
        await me.next()
        await me.sell("BTCUSD", 1)
        await me.next()
        assert me.position("BTCUSD").volume == 1

    play([bar(0, 100), bar(1, 100), bar(2, 100)], script, cash={"USD": 1000, "BTC": 1}, **NETS)


class Flipping(Strategy):
    """Goes long and short by turns, by more than it has."""

    async def on_bar(self, bar: Bar) -> None:
        turn = bar.close_ns // 60_000_000_000 % 4
        volume = D(self.random.randrange(1, 3000)) / 1000
        if turn == 1:
            await self.long(bar.pair, volume, leverage=2, stop_loss=bar.close // 2)
        elif turn == 3:
            await self.short(bar.pair, volume, leverage=2)


def _flips(**more: Any) -> Any:
    bars = [one for one in random_bars(5, 200) if one.pair == "BTCUSD"]
    fees = {"fill": {"percent_of_notional": "0.001"}, "close": {"percent_of_notional": "0.002"}}
    return backtest.run(
        Flipping(), data={pair_of("BTCUSD"): bars}, cash="10000 USD", rules=rules(fees=fees), **more
    )


def test_a_netting_run_proves_and_explains_itself() -> None:
    result = _flips(netting=True)
    assert result.verify().ok
    assert result.config["accounts"]["main"]["netting"] is True
    closed = [one for one in result.orders if getattr(one, "closing_reason", None) == "offset"]
    assert closed
    assert "NETTED" in result.explain(closed[0].id)
    netted = next(one for one in result.fills if one.kind == "netting")
    assert "netting" in result.explain(netted.order_id)
    # what closed others and opened nothing is no trade of its own
    opened = {str(one.root_id) for one in result.fills if one.kind == "entry"}
    assert {str(trade.root_id) for trade in result.trades} <= opened
    assert _flips().config["accounts"]["main"]["netting"] is False


def test_an_unknown_account_cannot_net() -> None:
    with pytest.raises(ConfigError, match="'other' is to net, but cash is given for: main"):
        _flips(netting="other")


CROSS: dict[str, Any] = {"accounts": {"main": {"netting": True, "margin_mode": "cross"}}}


def test_a_cross_margin_account_can_net() -> None:
    async def script(me: Any) -> None:
        await _open(me, leverage=10)
        short = await me.short("BTCUSD", 3, leverage=10)
        # only the third reserves, 10
        assert me.balance("USD") == (D(970), D(30))
        await me.next()
        assert short.open_volume == 1
        assert me.balance("USD") == (D(1000 - 20) - D(9), D(9))

    world = play([bar(0, 100), bar(1, 100), bar(2, 90)], script, **CROSS)
    assert world.fills()[1:] == ["netting SHORT 2 @ 90 open", "entry SHORT 1 @ 90 open"]


def test_what_an_order_closes_is_paid_by_other_orders_before_it_goes_on() -> None:
    async def script(me: Any) -> None:
        await _open(me, 9, leverage=10)
        other = await me.buy("BTCUSD", 50, limit_price=14)
        short = await me.short("BTCUSD", 12, leverage=3)
        # margin 90, 50 x 14, and 3 of the 12 at 100 / 3
        assert me.balance("USD") == (D(110), D(890))
        await me.next()
        # Closing 9 at 15 loses 765: beyond the margin of 90 that takes 675, and the other order
        # goes for it. 3 are opened with a margin of 15.
        assert (short.filled_volume, short.open_volume) == (12, 3)
        assert other.end_reason == "MARGIN_CALL"
        assert me.balance("USD") == (D(220), D(15))

    world = play([bar(0, 100), bar(1, 100), bar(2, 15)], script, **CROSS)
    assert world.fills()[1:] == ["netting SHORT 9 @ 15 open", "entry SHORT 3 @ 15 open"]


def test_partners_and_exits_on_a_cross_margin_account() -> None:
    async def script(me: Any) -> None:
        await me.next()
        up = await me.long("BTCUSD", 1, stop_price=105, oco="break")
        down = await me.short("BTCUSD", 1, stop_price=95, oco="break")
        entry = await me.buy("BTCUSD", 1, stop_loss=90, take_profit=106)
        await me.next()
        assert up.end_reason == "ONE_CANCELS_OTHER"
        assert down.open_volume == 1
        assert entry.exits[0].leaves == 0

    # High first: long at 105 (-1 at the close of 104), the base sold at 106 (+6). Low first:
    # short at 95 (-9), the base sold at 106 (+6).
    cross: dict[str, Any] = {"accounts": {"main": {"margin_mode": "cross"}}}
    world = play([bar(0, 100), bar(1, 100, 107, 94, 104)], script, **cross)
    assert world.fills() == [
        "entry LONG 1 @ 100 open",
        "entry SHORT 1 @ 95 low ambiguous",
        "take_profit SHORT 1 @ 106 high maker",
    ]


async def _fill_or_kill(me: Any) -> Any:
    """Short 5 at 100, and long 8 at the market, all or nothing."""
    await me.next()
    await me.short("BTCUSD", 5)
    await me.next()
    order = await me.long("BTCUSD", 8, time_in_force="FOK")
    # 500 of margin, and 3 x 105 for what is beyond the five
    assert me.balance("USD") == (D(185), D(815))
    await me.next()
    return order


def test_fill_or_kill_fills_with_what_the_closes_bring() -> None:
    async def script(me: Any) -> None:
        order = await _fill_or_kill(me)
        # The gap to 150: the close loses 250 and brings 250; 3 x 150 of the 750 there are then.
        assert (order.filled_volume, order.open_volume) == (8, 3)
        assert me.balance("USD") == (D(300), D(450))

    play([bar(0, 100), bar(1, 100), bar(2, 150)], script, **NETS)


def test_fill_or_kill_closes_nothing_when_it_cannot_open_the_rest() -> None:
    async def script(me: Any) -> None:
        order = await _fill_or_kill(me)
        # The gap to 190: the close would bring 50; 3 x 190 of 550 cannot be paid.
        assert (order.filled_volume, order.end_reason) == (0, "INSUFFICIENT_FUNDS")
        assert me.position("BTCUSD").volume == -5
        assert me.balance("USD") == (D(500), D(500))

    play([bar(0, 100), bar(1, 100), bar(2, 190)], script, **NETS)


def test_fill_or_kill_reduces_all_of_it_or_nothing() -> None:
    async def script(me: Any) -> None:
        await _open(me, 2)
        much = await me.short("BTCUSD", 3, reduce_only=True, time_in_force="FOK")
        some = await me.short("BTCUSD", 1, reduce_only=True, time_in_force="FOK")
        await me.next()
        assert (much.filled_volume, much.end_reason) == (0, "FILL_OR_KILL")
        assert some.is_filled
        assert me.position("BTCUSD").volume == 1

    play([bar(0, 100), bar(1, 100), bar(2, 100)], script)
