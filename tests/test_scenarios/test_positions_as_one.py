"""A position is one thing: its lots share one margin, one cost and one liquidation price.

On a hedging account all fills of one order are lots of one position; on a netting account a pair
has one position. The numbers are worked out by hand.

BTCUSD has a price increment of 0.01 and a volume increment of 0.001, USD has cents; the account has
1000 USD unless said otherwise. Bars at one price each, an order of one bar fills at the next open.
"""

from __future__ import annotations

from typing import Any

import pytest

from backtest.errors import RejectReason
from backtest.models import TradingOrder
from tests.harness import D, bar, pair_of, play, refused, rules
from tests.market_harness import Does

from .test_market_trades import PAIR, after, conserved
from .test_market_trades import play as trade_in_book

NETS: dict[str, Any] = {"accounts": {"main": {"netting": True}}}


def flat(*prices: Any) -> list[Any]:
    """Bars of one price each."""
    return [bar(number, price) for number, price in enumerate(prices)]


class TestFillsOfOneOrder:
    """Hedging: an order that fills in parts is one position."""

    def test_two_closes_close_what_two_fills_opened(self) -> None:
        """7 fill as 2 and 5; two closes of 2 each leave 3."""

        async def script(me: Any) -> None:
            await me.next()
            order = await me.long("BTCUSD", 7)
            await me.next(2)
            assert (order.filled_volume, order.open_volume) == (7, 7)
            await order.close(2)
            await order.close(2)
            await me.next()
            assert order.open_volume == 3
            assert me.position("BTCUSD").volume == 3

        bars = [bar(0, 100), bar(1, 100, volume=2), bar(2, 100), bar(3, 100)]
        world = play(bars, script)
        assert world.balance() == (D(700), D(300))

    def test_a_flat_close_fee_is_charged_once_however_many_fills_it_closes(self) -> None:
        """1000 - 5, and not 1000 - 5 - 5."""

        async def script(me: Any) -> None:
            await me.next()
            order = await me.long("BTCUSD", 7)
            await me.next(2)
            await order.close()
            await me.next()

        bars = [bar(0, 100), bar(1, 100, volume=2), bar(2, 100), bar(3, 100)]
        fees = {"close": {"flat_per_trade": "5"}}
        world = play(bars, script, rules=rules(fees=fees))
        assert [line for line in world.journal() if "FEE" in line] == ["FEE_CLOSE USD -5 0"]
        assert world.balance() == (D(995), D(0))

    def test_its_margin_is_rounded_up_once(self) -> None:
        """Ten fills of 0.004 at 1.00: 0.04 of margin, and not ten times a cent."""

        async def script(me: Any) -> None:
            await me.next()
            order = await me.long("BTCUSD", "0.04", limit_price=1)
            assert me.balance("USD") == (D("999.96"), D("0.04"))
            await me.next(5)
            # 0.02 are filled and 0.02 wait
            assert order.filled_volume == D("0.02")
            assert me.balance("USD") == (D("999.96"), D("0.04"))
            await me.next(5)
            assert order.is_filled

        bars = [bar(0, 1), *(bar(number, 1, volume="0.004") for number in range(1, 11))]
        world = play(bars, script)
        assert world.balance() == (D("999.96"), D("0.04"))

    def test_its_profit_is_rounded_once(self) -> None:
        """Ten fills of 0.004 at 1.00, closed at 2.10: 0.04 x 1.10 = 0.044 down to 0.04, and not ten
        times 0.0044 down to nothing."""

        async def script(me: Any) -> None:
            await me.next()
            order = await me.long("BTCUSD", "0.04")
            await me.next(10)
            await order.close()
            await me.next()
            assert not me.position("BTCUSD")

        bars = [
            bar(0, 1),
            *(bar(number, 1, volume="0.004") for number in range(1, 11)),
            bar(11, "2.1"),
        ]
        world = play(bars, script)
        assert world.balance() == (D("1000.04"), D(0))

    def test_what_filled_in_parts_can_be_split(self) -> None:
        """700 of margin are apportioned as 300 and 400."""

        async def script(me: Any) -> None:
            await me.next()
            order = await me.long("BTCUSD", 7)
            await me.next(2)
            three, four = await order.split([3, 4])
            assert (three.open_volume, four.open_volume) == (3, 4)
            await four.close()
            await me.next()
            assert me.balance("USD") == (D(700), D(300))

        bars = [bar(0, 100), bar(1, 100, volume=2), bar(2, 100), bar(3, 100)]
        play(bars, script)

    def test_it_has_one_liquidation_price(self) -> None:
        """1 at 100 and 1 at 95 at 10 x: (195 - 19.50) / 2 = 87.75 for both, and not 90 and
        85.50."""

        async def script(me: Any) -> None:
            await me.next()
            order = await me.long("BTCUSD", 2, leverage=10)
            await me.next(2)
            assert order.average_price == D("97.5")
            assert me.balance("USD") == (D("980.50"), D("19.50"))
            assert order.liquidation_price == D("87.75")
            await me.next()
            assert order.open_volume == 2
            await me.next()
            assert order.open_volume == 0

        bars = [
            bar(0, 100),
            bar(1, 100, volume=1),
            bar(2, 95, volume=1),
            bar(3, 95, 95, 88, 95),
            bar(4, 95, 95, 87, 87),
        ]
        world = play(bars, script)
        assert {line.split(" @ ")[1] for line in world.fills()[2:]} == {"87.75 low"}
        assert world.balance() == (D("980.50"), D(0))


class TestCharges:
    """What a position pays is taken from its margin before insurance bears it."""

    def test_a_close_fee_is_taken_from_the_margin_of_what_remains_open(self) -> None:
        """Long 10 at 100 at 10 x, all of the cash. One closed at 95: 10 of margin less 5 lost come
        back; the fee of 20 takes these 5 and 15 of the other 90. (900 - 75) / 9 = 91.666..., down
        to 91.66."""

        async def script(me: Any) -> None:
            await me.next()
            order = await me.long("BTCUSD", 10, leverage=10, limit_price=100)
            await me.next()
            await order.close(1)
            await me.next()
            assert me.balance("USD") == (D(0), D(75))
            assert order.liquidation_price == D("91.66")

        fees = {"close": {"flat_per_trade": "20"}}
        world = play(flat(100, 100, 95), script, cash={"USD": 100}, rules=rules(fees=fees))
        assert world.balance(account="insurance") == (D(0), D(0))

    def test_a_close_fee_can_call_what_remains_open(self) -> None:
        """As before, but at 92: 2 come back, 18 are taken from 90. What remains stands at
        72 - 9 x 8 = 0, and is liquidated; its own fee of 20 nobody can pay but insurance."""

        async def script(me: Any) -> None:
            await me.next()
            order = await me.long("BTCUSD", 10, leverage=10, limit_price=100)
            await me.next()
            await order.close(1)
            await me.next()
            assert order.open_volume == 0

        fees = {"close": {"flat_per_trade": "20"}}
        world = play(flat(100, 100, 92), script, cash={"USD": 100}, rules=rules(fees=fees))
        assert [line.split()[0] for line in world.fills()] == ["entry", "close", "liquidation"]
        assert world.balance() == (D(0), D(0))
        assert world.balance(account="insurance") == (D(-20), D(0))

    def test_the_liquidation_price_follows_a_partial_close_inside_the_bar(self) -> None:
        """Precision 0, contracts of 0.1: short 8 at 98 at 20 x has 3.92, rounded 4, of margin and
        is called at (78.4 + 4) / 0.8 = 103. One closed at the open: an eighth of 4 rounds to
        nothing, 4 stay for 7: (68.6 + 4) / 0.7 = 103.714..., up to 103.72. The high of 103.50 calls
        nothing."""

        async def script(me: Any) -> None:
            await me.next()
            order = await me.short("BTCUSD", 8, leverage=20)
            await me.next()
            assert order.liquidation_price == 103
            await order.close(1)
            await me.next()
            assert order.open_volume == 7
            assert order.liquidation_price == D("103.72")

        bars = [bar(0, 98), bar(1, 98), bar(2, 98, "103.5", 98, 98)]
        world = play(bars, script, pairs=[pair_of(precision=0, contract_size="0.1")])
        assert [line.split()[0] for line in world.fills()] == ["entry", "close"]

    def test_a_loss_beyond_the_share_of_margin_is_taken_from_the_rest_of_it(self) -> None:
        """Long 2 at 100 at 10 x: 20 of margin. The market opens at 85; 1 is closed there with a
        loss of 15, 5 more than its share: the rest gives them. With 5 left the other loses 15 as
        well, and insurance bears 10, once."""

        async def script(me: Any) -> None:
            await me.next()
            order = await me.long("BTCUSD", 2, leverage=10)
            await me.next()
            await order.close(1)
            await me.next()
            assert order.open_volume == 0

        world = play(flat(100, 100, 85), script)
        assert [line.split()[0] for line in world.fills()] == ["entry", "close", "liquidation"]
        assert world.balance() == (D(980), D(0))
        assert [line for line in world.journal("insurance") if "ADJUSTMENT" in line] == [
            "ADJUSTMENT USD -10 0"
        ]


class TestNetting:
    """A netting account has one position in a pair: cost and margin are pooled."""

    def test_what_was_added_is_liquidated_with_the_rest(self) -> None:
        """1 at 100 and 1 at 95 at 10 x: cost 195, margin 19.50, called at (195 - 19.50) / 2 =
        87.75; the first alone would be at 90."""

        async def script(me: Any) -> None:
            await me.next()
            await me.long("BTCUSD", 1, leverage=10)
            await me.next()
            await me.long("BTCUSD", 1, leverage=10)
            await me.next()
            position = me.position("BTCUSD")
            assert (position.volume, position.average_price) == (2, D("97.5"))
            assert position.liquidation_price == D("87.75")
            await me.next()
            assert me.position("BTCUSD").volume == 2
            await me.next()
            assert not me.position("BTCUSD")

        bars = [*flat(100, 100, 95), bar(3, 95, 95, "87.76", 95), bar(4, 95, 95, "87.75", 95)]
        world = play(bars, script, **NETS)
        assert {line.split(" @ ")[1] for line in world.fills()[2:]} == {"87.75 low"}
        assert world.balance() == (D("980.50"), D(0))

    def test_a_close_takes_its_share_of_cost_and_margin(self) -> None:
        """1 at 100 and 1 at 95 at 10 x; one closed at 90: 90 - 97.50 = -7.50, half of 19.50 comes
        back, and the other is still called at 97.50 - 9.75 = 87.75."""

        async def script(me: Any) -> None:
            await me.next()
            first = await me.long("BTCUSD", 1, leverage=10)
            await me.next()
            second = await me.long("BTCUSD", 1, leverage=10)
            await me.next()
            await first.close()
            await me.next()
            assert (first.open_volume, second.open_volume) == (0, 1)
            assert me.position("BTCUSD").average_price == D("97.5")
            assert me.position("BTCUSD").liquidation_price == D("87.75")
            assert second.liquidation_price == D("87.75")

        world = play(flat(100, 100, 95, 90), script, **NETS)
        assert world.entries()[-1] == ["RETURN_MARGIN USD 9.75 -9.75", "CLOSE_PNL USD -7.5 0"]
        closed = [one for one in world.records.orders if one.status.name == "CLOSED"]
        assert [(one.fill_price, one.close_price) for one in closed] == [(D("97.5"), D(90))]
        # 1000 - 7.50 less 9.75 of margin
        assert world.balance() == (D("982.75"), D("9.75"))

    def test_a_stop_loss_closes_its_own_lot_at_the_average_cost(self) -> None:
        """1 at 100 with a stop at 92, and 1 at 96: the stop realises 92 - 98 = -6, not -8."""

        async def script(me: Any) -> None:
            await me.next()
            first = await me.long("BTCUSD", 1, stop_loss=92)
            await me.next()
            second = await me.long("BTCUSD", 1)
            await me.next(2)
            assert (first.open_volume, second.open_volume) == (0, 1)

        bars = [*flat(100, 100, 96), bar(3, 96, 96, 91, 95)]
        world = play(bars, script, **NETS)
        assert [line for line in world.journal() if "PNL" in line] == ["CLOSE_PNL USD -6 0"]
        # 1000 - 6 less 98 of margin
        assert world.balance() == (D(896), D(98))

    def test_a_reversal_is_paid_for_by_what_it_frees(self) -> None:
        """All of the cash is margin of 1 long at 100. Short 2: one closes, and the other needs 100,
        which the margin covers: accepted, nothing is reserved. At 110: 100 + 10 come back, 110 are
        taken."""

        async def script(me: Any) -> None:
            await me.next()
            await me.long("BTCUSD", 1, limit_price=100)
            await me.next()
            assert me.balance("USD") == (D(0), D(100))
            await me.short("BTCUSD", 2)
            assert me.balance("USD") == (D(0), D(100))
            await me.next()
            position = me.position("BTCUSD")
            assert (position.volume, position.average_price) == (-1, 110)

        world = play(flat(100, 100, 110), script, cash={"USD": 100}, **NETS)
        assert world.balance() == (D(0), D(110))

    def test_what_a_reversal_cannot_open_at_the_fill_is_cancelled(self) -> None:
        """Long 1 at 100 at 2 x, with 50 in all. Short 2 at 2 x: accepted against 0 + 50 + 0. At 80
        the close leaves 50 - 20 = 30, and a short at 80 needs 40: 0.75 are opened, in steps of
        0.001, with 30 of margin; 0.25 are cancelled."""

        async def script(me: Any) -> None:
            await me.next()
            await me.long("BTCUSD", 1, leverage=2, limit_price=100)
            await me.next()
            order = await me.short("BTCUSD", 2, leverage=2)
            await me.next()
            assert me.position("BTCUSD").volume == D("-0.75")
            assert (order.filled_volume, order.leaves) == (D("1.75"), 0)
            assert order.end_reason == "INSUFFICIENT_FUNDS"

        world = play(flat(100, 100, 80), script, cash={"USD": 50}, **NETS)
        assert world.balance() == (D(0), D(30))

    def test_a_reversal_beyond_what_it_frees_is_refused(self) -> None:
        """Short 3 against 1 long at 100, with 100 in all: the other 2 need 200."""

        async def script(me: Any) -> None:
            await me.next()
            await me.long("BTCUSD", 1, limit_price=100)
            await me.next()
            await refused(me, lambda: me.short("BTCUSD", 3), RejectReason.INSUFFICIENT_FUNDS)

        play(flat(100, 100), script, cash={"USD": 100}, **NETS)

    def test_maintenance_is_that_of_the_pooled_notional(self) -> None:
        """Brackets: 1 % up to a notional of 100, 5 % beyond (amount 100 x 0.04 = 4). Twice 1 at 100
        at 10 x: (200 - 20 - 4) / (2 x 0.95) = 92.631..., down to 92.63, where the notional is above
        100. Each alone stays in the first bracket: (100 - 10) / 0.99 = 90.90."""

        async def script(me: Any) -> None:
            await me.next()
            await me.long("BTCUSD", 1, leverage=10)
            await me.long("BTCUSD", 1, leverage=10)
            await me.next()
            assert me.position("BTCUSD").liquidation_price == D("92.63")

        tiers = [["100", "0.01"], ["1000", "0.05"]]
        play(flat(100, 100), script, rules=rules(maintenance_tiers=tiers), **NETS)

    def test_funding_is_rounded_once_for_the_pair(self) -> None:
        """0.00005 of 100 is half a cent: two lots pay one cent together, and not one each."""

        async def script(me: Any) -> None:
            await me.next()
            await me.long("BTCUSD", 1)
            await me.long("BTCUSD", 1)
            await me.next(2)

        funding = {"rate": "0.00005", "every": "1m", "at": "00:00"}
        bars = [bar(0, 100), bar(1, 100), bar(2, 100)]
        world = play(bars, script, rules=rules(funding=funding), **NETS)
        charged = [line for line in world.journal() if "FEE_OVERNIGHT" in line]
        assert charged
        assert set(charged) == {"FEE_OVERNIGHT USD -0.01 0"}
        times = [row.time for row in world.rows() if row.kind.name == "FEE_OVERNIGHT"]
        assert len(set(times)) * 2 == len(times)  # one for the account and one for the market

    def test_a_split_divides_lots_and_not_the_margin(self) -> None:
        """0.003 at 101 at 10 x: 0.0303 up to 0.04 of margin. Split into 0.001 and 0.002, the
        position is called where it was: (0.303 - 0.04) / 0.003 = 87.666..., down to 87.66, for both
        parts."""

        async def script(me: Any) -> None:
            await me.next()
            order = await me.long("BTCUSD", "0.003", leverage=10)
            await me.next()
            assert order.liquidation_price == D("87.66")
            parts = await order.split(["0.001", "0.002"])
            assert [one.liquidation_price for one in parts] == [D("87.66")] * 2
            assert me.position("BTCUSD").liquidation_price == D("87.66")

        play(flat(101, 101), script, **NETS)

    def test_with_cross_margin_a_close_that_came_first_gets_the_volume_first(self) -> None:
        """2 long, one unit of volume: the close, accepted before the short, takes it."""

        async def script(me: Any) -> None:
            await me.next()
            order = await me.long("BTCUSD", 2)
            await me.next()
            await order.close(1)
            short = await me.short("BTCUSD", 1)
            await me.next()
            assert (order.open_volume, short.filled_volume) == (1, 0)

        bars = [bar(0, 100), bar(1, 100), bar(2, 100, volume=1)]
        cross = {"main": {"netting": True, "margin_mode": "cross"}}
        world = play(bars, script, accounts=cross)
        assert [line.split()[0] for line in world.fills()] == ["entry", "close"]


class TestPartsAndPartners:
    """A position is walked, told and paid for however it came to be."""

    def test_a_part_of_a_split_partner_is_liquidated(self) -> None:
        """Of a one-cancels-other order one part of a split filled, 1 at 100 at 10 x, while both
        parts are pending: it is called at 90. 960 of 1000 are left beside what 3 more reserve."""

        async def script(me: Any) -> None:
            await me.next()
            order = await me.long("BTCUSD", 4, limit_price=100, oco="either", leverage=10)
            await me.long("BTCUSD", 4, stop_price=150, oco="either", leverage=10)
            await order.split([2, 2])
            await me.next(2)
            assert me.balance("USD") == (D(960), D(30))

        bars = [
            bar(0, 103),
            bar(1, 103, 103, 100, 103, volume=1),
            bar(2, 103, 106, 50, 103, volume=0),
        ]
        world = play(bars, script)
        assert world.fills()[-1] == "liquidation SHORT 1 @ 90 low"

    def test_shares_without_an_end_sum_to_what_is_round(self) -> None:
        """1 at 100 and 5 at 101 cost 605. A half three times at 100: 150 - 605 / 4 = -1.25, though
        a twelfth of 605 has no end."""

        async def script(me: Any) -> None:
            await me.next()
            await me.long("BTCUSD", 1)
            await me.next()
            order = await me.long("BTCUSD", 5)
            await me.next()
            for _ in range(3):
                await order.close("0.5")
                await me.next()

        world = play(flat(100, 100, 101, 100, 100, 100), script, **NETS)
        lost = [D(line.split()[2]) for line in world.journal() if "PNL" in line]
        assert sum(lost) == D("-1.25")

    def test_a_split_of_one_order_changes_nothing_for_the_others(self) -> None:
        """2 at 100 and 1 at 95 at 10 x: (295 - 29.50) / 3 = 88.50, before the split and after."""

        async def script(me: Any) -> None:
            await me.next()
            first = await me.long("BTCUSD", 2, leverage=10)
            await me.next()
            await me.long("BTCUSD", 1, leverage=10)
            await me.next()
            assert me.position("BTCUSD").liquidation_price == D("88.50")
            await first.split([1, 1])
            position = me.position("BTCUSD")
            assert position.liquidation_price == D("88.50")
            assert (position.margin, round(position.average_price * 3, 12)) == (D("29.50"), 295)

        play(flat(100, 100, 95), script, **NETS)

    def test_what_a_reversal_puts_aside_is_rounded_down_to_what_there_is(self) -> None:
        """Cross, cash 20, long 1.001 at 100 at 10 x: 9.99 are available. At 99.99 it has lost
        0.01001, which leaves 9.97999: the short of 1.5 more reserves 9.97 of the 15 it needs."""

        async def script(me: Any) -> None:
            await me.next()
            await me.long("BTCUSD", "1.001", leverage=10)
            await me.next(2)
            assert me.balance("USD") == (D("9.99"), D("10.01"))
            await me.short("BTCUSD", "2.501", leverage=10)
            assert me.balance("USD") == (D("0.02"), D("19.98"))

        nets: dict[str, Any] = {"accounts": {"main": {"netting": True, "margin_mode": "cross"}}}
        play(flat(100, 100, "99.99"), script, cash={"USD": 20}, **nets)

    @pytest.mark.parametrize("mode", ["isolated", "cross"])
    def test_what_a_reversal_frees_has_lost_what_it_has_once(self, mode: str) -> None:
        """Cash 200, long 10 at 100 at 10 x, at 95 now: 100 available and 100 - 50 are freed. 15
        more at 95 need 142.50, 16 more 152."""

        async def script(me: Any) -> None:
            await me.next()
            await me.long("BTCUSD", 10, leverage=10)
            await me.next(2)
            await refused(
                me, lambda: me.short("BTCUSD", 26, leverage=10), RejectReason.INSUFFICIENT_FUNDS
            )
            await me.short("BTCUSD", 25, leverage=10)
            await me.next()
            assert me.position("BTCUSD").volume == -15

        account = {"netting": True, "margin_mode": mode}
        bars = flat(100, 100, 95, 95)
        world = play(bars, script, cash={"USD": 200}, accounts={"main": account})
        assert world.balance() == (D("7.50"), D("142.50"))

    def test_an_order_accepted_on_what_it_frees_can_be_split(self) -> None:
        """Long 10 at 100 with 1050: a short of 19 puts aside the 50 that are there, and so do its
        parts."""

        async def script(me: Any) -> None:
            await me.next()
            await me.long("BTCUSD", 10)
            await me.next()
            order = await me.short("BTCUSD", 19, limit_price=101)
            assert me.balance("USD") == (D(0), D(1050))
            await order.split([10, 9])
            assert me.balance("USD") == (D(0), D(1050))
            await me.next()
            assert me.position("BTCUSD").volume == -9

        play(flat(100, 100, 101), script, cash={"USD": 1050}, **NETS)

    def test_a_close_at_this_close_can_call_what_remains_open(self) -> None:
        """Cash 21, long 2 at 100 at 10 x, close fee 15. One closed at 91: 10 - 9 come back, 1 is
        there, the fee takes both and the other 10, and insurance bears 3. Nothing is left for the
        other, which has lost 9: it goes at 91, too."""

        async def script(me: Any) -> None:
            await me.next()
            order = await me.long("BTCUSD", 2, leverage=10)
            await me.next()
            await order.close(1)
            await me.next()
            assert order.open_volume == 0

        fees = {"close": {"flat_per_trade": "15"}}
        given = rules(fees=fees, fill_on="this_close")
        world = play(flat(100, 91, 105), script, cash={"USD": 21}, rules=given)
        assert [line.split()[0] for line in world.fills()] == ["entry", "close", "liquidation"]
        assert {line.split()[4] for line in world.fills()[1:]} == {"91"}

    def test_a_liquidation_in_the_book_gives_back_its_margin_at_its_end(self) -> None:
        """Long 10 at 100 and 10 at 95 at 10 x with 195 of margin; one half is liquidated at 95, the
        other at 70: 950 + 700 - 1950 = -300. The account loses its 195, insurance the other 105."""

        async def long(me: Does) -> None:
            await me.long(PAIR, 10, limit_price="100", leverage=10)
            await me.sleep(3)
            await me.long(PAIR, 10, limit_price="95", leverage=10)

        async def seller(me: Does) -> None:
            await me.sleep(1)
            await me.short(PAIR, 10)
            await me.sleep(3)
            await me.short(PAIR, 10)
            await me.sleep(8)
            await me.short(PAIR, 1, limit_price="87")

        async def bids(me: Does) -> None:
            await me.sleep(8)
            await me.long(PAIR, 1, limit_price="87.5")
            await me.sleep(8)
            await me.long(PAIR, 10, limit_price="95")
            await me.sleep(2)
            await me.long(PAIR, 10, limit_price="70")

        market, _ = trade_in_book({"long": long, "seller": seller, "bids": bids}, insurance="10000")
        assert [one[0] for one in market.trades[-2:]] == [D(95), D(70)]
        assert market.balance("long") == (D(10000 - 195), D(0))
        assert market.account.ledger.balances()["insurance"]["USD"][0] == D(10000 - 105)

    def test_of_one_trade_each_closed_lot_shows_the_margin_that_it_had_by_then(
        self,
    ) -> None:
        """Long 1 at 100 and 1 at 95 at 10 x, margin 10 + 9.50 = 19.50; 2 are sold at 97 by one
        trade. The first shows its own 10; by its close the other has half of the 19.50, and not
        the 9.50 that it began with."""

        async def long(me: Does) -> None:
            await me.long(PAIR, 1, limit_price="100", leverage=10)
            await me.sleep(3)
            await me.long(PAIR, 1, limit_price="95", leverage=10)
            await me.sleep(6)
            await me.short(PAIR, 2)

        async def seller(me: Does) -> None:
            await me.sleep(1)
            await me.short(PAIR, 1)
            await me.sleep(3)
            await me.short(PAIR, 1)

        async def bids(me: Does) -> None:
            await me.sleep(6)
            await me.long(PAIR, 2, limit_price="97")

        market, _ = trade_in_book({"long": long, "seller": seller, "bids": bids})
        closed = [
            (order.margin_reserved, order.gross_pnl)
            for order in market.exchange.venue.records.orders
            if isinstance(order, TradingOrder) and order.closing_reason == "netting"
        ]
        # 97 - 97.50 each: what it cost is shared by volume, too.
        assert closed == [(D(10), D("-0.5")), (D("9.75"), D("-0.5"))]
        assert market.balance("long") == (D(9999), D(0))


class TestReduceOnlyInTheBook:
    """Two reduce-only orders meet: each trades what both can close, and keeps what it can."""

    @pytest.mark.parametrize("volume", [2, 5])
    def test_what_rests_keeps_what_it_may_still_close(self, volume: int) -> None:
        """The maker is short 4 and bids for 7 to close, the taker is long 2 and sells ``volume`` to
        close: 2 trade, and the bid stands for the other 2."""

        async def maker(me: Does) -> None:
            await me.short(PAIR, 4, limit_price="100")
            await me.sleep(10)
            bid = await me.long(PAIR, 7, limit_price="99", reduce_only=True)
            await me.sleep(15)
            assert (bid.filled_volume, bid.leaves) == (D(2), D(2))
            assert (await me.depth(PAIR)).best_bid == D(99)

        async def taker(me: Does) -> None:
            await me.short(PAIR, volume, limit_price="99", reduce_only=True)
            assert not me.position(PAIR)

        async def takes(me: Does) -> None:
            await me.long(PAIR, 2)

        async def both(me: Does) -> None:
            await takes(me)
            await me.sleep(19)
            await taker(me)

        market, _ = trade_in_book(
            {"maker": maker, "taker": after(1, both), "other": after(2, takes)}
        )
        assert [one[:2] for one in market.trades] == [
            (D(100), D(2)),
            (D(100), D(2)),
            (D(99), D(2)),
        ]
        conserved(market)
