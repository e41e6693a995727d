"""Charges at the rollover, worked out by hand: once, at the right mark, from what there is."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from backtest.actors import EventKind
from tests.harness import DAY, HOUR, D, M, bar, pair_of, play, quote, rules

PERMILLE = {"overnight_filled": {"percent_of_notional": "0.001"}}


def hourly(*rows: tuple[Any, ...]) -> list[Any]:
    """Bars of an hour: ``(hour, price or open, high, low, close)``."""
    return [bar(row[0], *row[1:], length=HOUR) for row in rows]


async def _hold(me: Any) -> None:
    await me.next()
    await me.long("BTCUSD", 1, leverage=2)
    async for _ in me.stream:
        pass


def _charges(world: Any) -> list[tuple[int, str]]:
    return [
        (row.time // HOUR, str(row.available))
        for row in world.rows()
        if row.account == "main" and row.kind.name == "FEE_OVERNIGHT"
    ]


def test_charged_once_per_rollover_at_the_last_mark_before_it() -> None:
    rows = [(21, 100), (22, 100), (23, 100, 104, 100, 104), (24, 107), (25, 107), (26, 107)]
    world = play(hourly(*rows), _hold, rules=rules(fees=PERMILLE))
    # midnight: the mark is 104; 0.104 up to 0.11. Booked with the event of the bar after it.
    assert _charges(world) == [(25, "-0.11")]


def test_a_gap_over_two_nights_is_charged_twice_at_the_same_mark() -> None:
    rows = [(21, 100), (22, 100), (23, 104), (24 + 24 + 6, 90), (24 + 24 + 7, 90)]
    world = play(hourly(*rows), _hold, rules=rules(fees=PERMILLE))
    assert _charges(world) == [(55, "-0.11"), (55, "-0.11")]


def test_a_rollover_inside_a_bar_is_charged_at_its_close() -> None:
    rows = [(21, 100), (22, 100), (23, 104), (24, 107, 109, 107, 109), (25, 107)]
    world = play(hourly(*rows), _hold, rules=rules(fees=PERMILLE, rollover_ns=30 * M))
    # half past midnight, at the mark after the bar: 109
    assert _charges(world) == [(25, "-0.11")]
    (event,) = [one for one in world.strategies["s0"].heard if one.kind is EventKind.CHARGED]
    assert event.detail == "overnight 0.11 USD at 109"


def test_what_is_closed_before_or_opened_after_is_not_charged() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1)
        await me.next()
        await order.close()
        await me.next(2)
        await me.long("BTCUSD", 1)
        await me.next()

    rows = [(20, 100), (21, 100), (22, 100), (23, 100), (24, 100), (25, 100)]
    world = play(hourly(*rows), script, rules=rules(fees=PERMILLE))
    # closed at 22:00; the next one, accepted at midnight, fills on the bar that charged first
    assert _charges(world) == []


@pytest.mark.parametrize("fill_on", ["this_close", "next_close"])
def test_what_fills_at_the_close_of_the_rollover_comes_before_it(fill_on: str) -> None:
    """Days of UTC: each close is a rollover. Opened and closed at closes a day apart, it pays for
    the night at whose beginning it was opened, at the mark of then, and for no other."""

    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1)
        await me.next()
        await order.close()
        async for _ in me.stream:
            pass

    bars = [bar(number, 100 + number, length=DAY) for number in range(5)]
    world = play(bars, script, rules=rules(fees=PERMILLE, fill_on=fill_on))
    # Opened at the close of the first day at 100 (or of the second at 101): 0.10, or 0.101 up to
    # 0.11, booked with the day after.
    expected = {"this_close": (48, "-0.10"), "next_close": (72, "-0.11")}
    assert _charges(world) == [expected[fill_on]]


def test_income_for_holding() -> None:
    rows = [(21, 100), (22, 100), (23, 100), (24, 100)]
    fees = {"overnight_filled": {"percent_of_notional": "-0.0015"}}
    world = play(hourly(*rows), _hold, rules=rules(fees=fees))
    assert world.journal()[-1] == "FEE_OVERNIGHT USD 0.15 0"
    assert world.balance("USD", "market") == (D("-0.15"), D(0))


def test_from_margin_when_available_is_short_and_the_level_is_tested() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10)
        await me.next()
        assert me.balance("USD") == (D(5), D(100))
        await me.next(2)
        assert me.balance("USD") == (D(0), D(97))
        assert me.position("BTCUSD").margin == 97
        await me.next()

    # flat 8: 5 from available, 3 from the margin of 100; then (1000 - 97) / 10 = 90.30
    rows = [(21, 100), (22, 100), (23, 100), (24, 100), (25, 95, 95, "90.2", 92)]
    fees = {"overnight_filled": {"flat_per_trade": 8}}
    world = play(hourly(*rows), script, cash={"USD": 105}, rules=rules(fees=fees))
    assert world.entries()[2:] == [
        ["RETURN_MARGIN USD 3 -3", "FEE_OVERNIGHT USD -8 0"],
        ["RETURN_MARGIN USD 97 -97", "CLOSE_PNL USD -97 0"],
    ]
    assert world.fills()[-1] == "liquidation SHORT 10 @ 90.3 low"
    assert world.balance("USD") == (D(0), D(0))


def test_bankrupt_from_insurance() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10)
        await me.next(3)
        assert ("bankruptcy", None) in me.told()
        assert me.balance("USD") == (D(0), D(0))
        await me.next()
        assert not me.position("BTCUSD")

    # flat 200: 5 available, 100 margin, 95 from the insurance. Without margin the position ends
    # where it has lost nothing: at its entry price of 100.
    rows = [(21, 100), (22, 100), (23, 101), (24, 101), (25, 101, 101, 99, 99)]
    fees = {"overnight_filled": {"flat_per_trade": 200}}
    world = play(hourly(*rows), script, cash={"USD": 105}, rules=rules(fees=fees))
    assert world.entries()[2] == [
        "RETURN_MARGIN USD 100 -100",
        "ADJUSTMENT USD 95 0",
        "FEE_OVERNIGHT USD -200 0",
    ]
    assert world.fills()[-1] == "liquidation SHORT 10 @ 100 low"
    assert world.balance("USD") == (D(0), D(0))
    assert world.balance("USD", "insurance") == (D(-95), D(0))


def test_a_fully_paid_long_that_paid_from_its_margin_can_be_liquidated() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1)
        await me.next(4)

    # cash 105: 100 margin, 5 available; the charge of 25 takes 20 of the margin: liquidated at 20
    rows = [(21, 100), (22, 100), (23, 100), (24, 100), (25, 50, 50, 10, 15)]
    fees = {"overnight_filled": {"flat_per_trade": 25}}
    world = play(hourly(*rows), script, cash={"USD": 105}, rules=rules(fees=fees))
    assert world.fills()[-1] == "liquidation SHORT 1 @ 20 low"
    assert world.balance("USD", "insurance") == (D(0), D(0))


def test_pending_orders_are_charged_each_night_until_they_go() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", 2, limit_price=200)
        async for one in me.stream:
            if one.close_ns == 50 * HOUR:
                await order.cancel()

    rows = [(hour, 100) for hour in range(22, 75)]
    fees = {"overnight_pending": {"flat_per_volume": "0.01"}}
    world = play(hourly(*rows), script, cash={"USD": 1, "BTC": 2}, rules=rules(fees=fees))
    assert _charges(world) == [(25, "-0.02"), (49, "-0.02")]


def test_a_charge_on_a_pending_order_takes_nothing_from_its_reserve() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1, limit_price=90)
        await me.next(3)
        assert me.balance("USD") == (D(0), D(90))

    rows = [(21, 100), (22, 100), (23, 100), (24, 100)]
    fees = {"overnight_pending": {"flat_per_trade": 4}}
    world = play(hourly(*rows), script, cash={"USD": 91}, rules=rules(fees=fees))
    # 1 is available; an order has no margin to take from, the insurance bears 3
    assert world.entries()[1] == ["ADJUSTMENT USD 3 0", "FEE_OVERNIGHT USD -4 0"]


class TestASplitAfterTheNight:
    """What is split in a gap of the data was one position when the night was due, and pays once.

    Long 2 at 100 from hour 22 on; the next bar after hour 23 opens at hour 26; split at hour 25.
    """

    ROWS: ClassVar[list[tuple[Any, ...]]] = [(21, 100), (22, 100), (23, 104), (26, 110), (27, 110)]

    @staticmethod
    def _play(**own: Any) -> Any:
        async def script(me: Any) -> None:
            await me.next()
            order = await me.long("BTCUSD", 2)
            await me.next(2)
            await me.sleep(HOUR // 10**9)
            await order.split([1, 1])
            async for _ in me.stream:
                pass

        return play(hourly(*TestASplitAfterTheNight.ROWS), script, rules=rules(**own))

    def test_a_flat_fee_is_paid_once(self) -> None:
        world = self._play(fees={"overnight_filled": {"flat_per_trade": "1"}})
        # Midnight: 1 for one position, booked before the split, not 1 for each of its parts.
        assert _charges(world) == [(25, "-1.00")]

    def test_a_share_is_rounded_once_at_the_last_mark(self) -> None:
        world = self._play(fees={"overnight_filled": {"percent_of_notional": "0.0001"}})
        # 2 x 104 x 0.0001 = 0.0208, up to 0.03; of each part it would be 0.02.
        assert _charges(world) == [(25, "-0.03")]

    def test_night_and_funding_of_one_moment_are_both_charged(self) -> None:
        world = self._play(
            fees={"overnight_filled": {"flat_per_trade": "1"}},
            funding={"rate": "0.0001", "every": "24h"},
        )
        # Midnight: the night, and 2 x 104 x 0.0001 = 0.0208, up to 0.03.
        assert _charges(world) == [(25, "-1.00"), (25, "-0.03")]

    def test_funding_likewise_and_what_falls_due_later_is_charged_on_the_parts(self) -> None:
        world = self._play(funding={"rate": "0.0001", "every": "1h"})
        # Due at hours 23 (mark 100: 0.02 exactly), 24 and 25 (mark 104: 0.0208, up to 0.03), both
        # before the split at 25; at 26 each part pays 0.0104, up to 0.02; so they do at 27, at the
        # mark 110: 0.011, up to 0.02.
        assert _charges(world) == [
            (24, "-0.02"), (25, "-0.03"), (25, "-0.03"),
            (27, "-0.02"), (27, "-0.02"), (28, "-0.02"), (28, "-0.02"),
        ]  # fmt: skip


class TestSeveralCharges:
    """Each charge is followed by a test of the level: none falls on what is called already."""

    FUNDING: ClassVar[dict[str, Any]] = {
        "funding": {"rate": "0.03", "every": "4h"},
        "maintenance_rate": "0.05",
    }

    @staticmethod
    async def _all_in(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, limit_price=100, leverage=10)
        async for _ in me.stream:
            pass

    def test_a_position_is_liquidated_by_the_charge_that_calls_it(self) -> None:
        """11 dollars without cents: 10 of margin, 1 available. Each funding is 3: the first takes
        1 and 2 of the margin, the second 3: 5 of margin are the maintenance of 100 x 0.05."""
        bars = [bar(number, 100, length=DAY) for number in range(4)]
        settings: dict[str, Any] = {"cash": {"USD": 11}, "pairs": [pair_of(precision=0)]}
        world = play(bars, self._all_in, rules=rules(**self.FUNDING), **settings)
        assert _charges(world) == [(48, "-3"), (48, "-3")]
        assert world.fills() == ["entry LONG 1 @ 100 open", "liquidation SHORT 1 @ 100 close"]
        assert world.balance() == (D(5), D(0))
        assert world.balance("USD", "insurance") == (D(0), D(0))

    def test_a_night_and_a_funding_of_one_moment_are_two_charges(self) -> None:
        """The night at noon takes 1 + 4 of 10 + 1: 6 of margin are above 5, the funding of 3 is
        charged, 3 are not."""
        bars = [bar(number, 100, length=DAY) for number in range(4)]
        fees = {"overnight_filled": {"flat_per_trade": 5}}
        one = {**self.FUNDING, "fees": fees, "rollover_ns": 12 * HOUR}
        one["funding"] = {"rate": "0.03", "every": "24h", "at": "12:00"}
        settings: dict[str, Any] = {"cash": {"USD": 11}, "pairs": [pair_of(precision=0)]}
        world = play(bars, self._all_in, rules=rules(**one), **settings)
        assert len(_charges(world)) == 2
        assert world.balance() == (D(3), D(0))

    def test_in_a_gap_the_next_open_decides_and_nothing_more_is_charged_till_then(self) -> None:
        """Hourly bars with a gap of 12 hours: the charges at 04:00 and 08:00 leave 5 of margin,
        that of 12:00 is not charged. The market opens at 99: 5 - 1 come back."""
        rows = [bar(number, 100, length=HOUR) for number in (0, 1, 2)]
        bars = [*rows, bar(14, 99, length=HOUR), bar(15, 99, length=HOUR)]
        settings: dict[str, Any] = {"cash": {"USD": 11}, "pairs": [pair_of(precision=0)]}
        world = play(bars, self._all_in, rules=rules(**self.FUNDING), **settings)
        assert _charges(world) == [(15, "-3"), (15, "-3")]
        assert world.fills()[1:] == ["liquidation SHORT 1 @ 99 open"]
        assert world.balance() == (D(4), D(0))


class TestSeveralChargesWithCrossMargin:
    """The account is tested after each charge of any of its positions: what it has, 11 dollars
    without cents, is the margin of 10 and 1 available, and its maintenance is 5."""

    SETTINGS: ClassVar[dict[str, Any]] = {
        "cash": {"USD": 11},
        "pairs": [pair_of(precision=0)],
        "accounts": {"main": {"margin_mode": "cross"}},
        "rules": rules(**TestSeveralCharges.FUNDING),
    }
    _all_in = staticmethod(TestSeveralCharges._all_in)

    def test_it_is_called_by_the_charge_that_takes_it_to_its_maintenance(self) -> None:
        """Funding of 3 at 00:00 and 04:00 of the second day leaves 5, the maintenance."""
        bars = [bar(number, 100, length=DAY) for number in range(4)]
        world = play(bars, self._all_in, **self.SETTINGS)
        assert _charges(world) == [(48, "-3"), (48, "-3")]
        assert world.fills() == ["entry LONG 1 @ 100 open", "liquidation SHORT 1 @ 100 close"]
        assert world.balance() == (D(5), D(0))
        assert world.balance("USD", "insurance") == (D(0), D(0))

    def test_in_a_gap_the_next_open_decides_and_nothing_more_is_charged_till_then(self) -> None:
        rows = [bar(number, 100, length=HOUR) for number in (0, 1, 2)]
        bars = [*rows, bar(14, 99, length=HOUR), bar(15, 99, length=HOUR)]
        world = play(bars, self._all_in, **self.SETTINGS)
        assert _charges(world) == [(15, "-3"), (15, "-3")]
        assert world.fills()[1:] == ["liquidation SHORT 1 @ 99 open"]
        assert world.balance() == (D(4), D(0))

    def test_a_charge_of_one_position_calls_another(self) -> None:
        """21 and two positions of 1, whose maintenance is 10 together. Each pays 3 at each time:
        18, 15, 12, 9: called, the older is closed. 9 are above the 5 of the other, which pays 3
        and 3 more, and is called at 3. In one bar there would be time for five charges of each."""

        async def two(me: Any) -> None:
            await me.next()
            await me.long("BTCUSD", 1, limit_price=100, leverage=10)
            await me.long("BTCUSD", 1, limit_price=100, leverage=10)
            async for _ in me.stream:
                pass

        bars = [bar(number, 100, length=DAY) for number in range(4)]
        world = play(bars, two, **{**self.SETTINGS, "cash": {"USD": 21}})
        assert _charges(world) == [(48, "-3")] * 6
        assert world.fills()[2:] == ["liquidation SHORT 1 @ 100 close"] * 2
        assert world.balance() == (D(3), D(0))
        assert world.balance("USD", "insurance") == (D(0), D(0))


class TestPendingOrders:
    """What falls due is charged on what stood then, whatever a command makes of it before it is
    booked. A night costs 1 for each unit of volume that is pending."""

    FEES: ClassVar[dict[str, Any]] = {
        "fees": {"overnight_pending": {"flat_per_volume": 1}},
        "min_volume": "0.001",
    }

    def _booked(self, then: Any) -> list[tuple[int, str]]:
        """A limit order of 2 that rests from 01:00 on; ``then`` happens at 30:00, in a gap of
        the data from 03:00 to 40:00 across one midnight."""

        async def script(me: Any) -> None:
            await me.next()
            order = await me.buy("BTCUSD", 2, limit_price=50)
            await me.sleep(29 * 3600)
            await then(order)
            await me.next(3)

        rows = [bar(number, 100, length=HOUR) for number in (0, 1, 2, 40, 41)]
        return _charges(play(rows, script, rules=rules(**self.FEES), finishes=False))

    def test_what_nobody_touches_pays_with_the_next_bar(self) -> None:
        async def nothing(order: Any) -> None:
            pass

        assert self._booked(nothing) == [(41, "-2.00")]

    def test_a_volume_changed_after_the_rollover_is_not_what_is_charged(self) -> None:
        async def grows(order: Any) -> None:
            await order.modify(volume=10)

        assert self._booked(grows) == [(30, "-2.00")]

    def test_what_is_cancelled_after_the_rollover_pays_for_the_night(self) -> None:
        async def ends(order: Any) -> None:
            await order.cancel()

        assert self._booked(ends) == [(30, "-2.00")]

    def test_parts_of_a_split_do_not_pay_again(self) -> None:
        async def parts(order: Any) -> None:
            await order.split([1, 1])

        assert self._booked(parts) == [(30, "-2.00")]

    @pytest.mark.parametrize(("hour", "paid"), [(23, [(25, "-2.00")]), (24, [])])
    def test_what_comes_at_the_moment_of_the_rollover_was_not_there(
        self, hour: int, paid: list[tuple[int, str]]
    ) -> None:
        """A market order that is sent at midnight and fills at the open of midnight has not been
        pending for a night, no more than a position opened then has been held for one."""

        async def script(me: Any) -> None:
            await me.next()
            if hour == 24:
                await me.next()
            await me.buy("BTCUSD", 2, limit_price=50 if hour == 23 else None)
            await me.next()

        rows = [bar(number, 100, length=HOUR) for number in (22, 23, 24)]
        assert _charges(play(rows, script, rules=rules(**self.FEES), finishes=False)) == paid

    def test_what_expires_with_the_night_pays_for_none_though_nobody_knows_yet(self) -> None:
        """Good till midnight. A bar of two hours is under way then, whose open could have filled
        it; a quote at half past books the nights by then, before that is known."""

        async def script(me: Any) -> None:
            await me.next()
            await me.buy("BTCUSD", 2, limit_price=50, expires="1h")
            await me.next()

        bars = [bar(hour, 100, length=2 * HOUR, start=hour * HOUR) for hour in (21, 23)]
        rest = quote((24 * HOUR + 30 * M) // 10**9, 100, 101)
        data: list[Any] = [bars[0], rest, bars[1]]
        world = play(data, script, rules=rules(**self.FEES), finishes=False)
        assert _charges(world) == []

    def test_a_command_before_the_rollover_counts(self) -> None:
        async def script(me: Any) -> None:
            await me.next()
            order = await me.buy("BTCUSD", 2, limit_price=50)
            await me.next()
            await order.modify(volume=10)
            await me.next()

        rows = [bar(number, 100, length=HOUR) for number in (0, 1, 40, 41)]
        world = play(rows, script, rules=rules(**self.FEES))
        assert _charges(world) == [(41, "-10.00")]
