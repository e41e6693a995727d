"""`DAY` and good-till orders on all kinds of bars: of days, off the grid, where clocks change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from backtest.actors import EventKind
from backtest.errors import RejectReason
from backtest.models import Bar, MarketEvent
from backtest.times import from_ns, to_ns
from tests.harness import HOUR, D, M, Me, bar, pair_of, play, quote, refused, rules, text

pytest.importorskip("exchange_calendars")

DAY = 24 * HOUR
PATH = "open_high_low_close"


def ns(moment: str) -> int:
    """A time of UTC in nanoseconds."""
    return to_ns(datetime.fromisoformat(moment + "+00:00"))


def day(date: str, *prices: Any, length: int = DAY, time: str = "00:00") -> Bar:
    """A bar of 100, or of the open, high, low and close given, that begins on ``date``."""
    return bar(0, *(prices or (100,)), length=length, start=ns(f"{date}T{time}"))


def sends(count: int, **terms: Any) -> Callable[[Me], Any]:
    """A script: a DAY order to buy after bar ``count``, and all bars there are."""

    async def script(me: Any) -> None:
        if count:
            await me.next(count)
        me.order = await me.buy("BTCUSD", 1, **{"time_in_force": "DAY", **terms})
        async for _ in me.stream:
            pass

    return script


def ends(me: Any) -> list[tuple[str, str]]:
    """When and why orders ended unfilled."""
    return [
        (from_ns(one.time).strftime("%Y-%m-%dT%H:%M"), one.reason.value)
        for one in me.heard
        if one.kind is EventKind.CANCELLED
    ]


# -- daily bars of stocks --------------------------------------------------------------------------

NEW_YORK = [day("2020-01-02"), day("2020-01-03", 100, 100, 97, 99), day("2020-01-06", 99)]


@pytest.mark.parametrize("calendar", ["XNYS", "always_open"])
def test_a_day_order_takes_part_in_all_of_a_daily_bar(calendar: str) -> None:
    # Sent on 3 January at midnight UTC, good till the session closes at 21:00, inside the bar of
    # that day, whose low of 97 is the day's: it fills at 98.
    how = rules(calendar=calendar, path=PATH)
    world = play(NEW_YORK, sends(1, limit_price=98), rules=how)
    assert world.fills() == ["entry LONG 1 @ 98 low maker"]


@pytest.mark.parametrize(
    ("terms", "filled"),
    [
        ({"stop_price": 103}, "entry LONG 1 @ 103 high"),
        ({"stop_price": 103, "limit_price": 104}, "entry LONG 1 @ 103 high"),
        # Up to 105 first, then down to 96: 3 above the lowest price so far is 103 at first, and
        # reached on the way up.
        ({"trail": 3}, "entry LONG 1 @ 103 high ambiguous"),
        ({}, "entry LONG 1 @ 100 open"),
    ],
)
def test_stops_likewise(terms: dict[str, Any], filled: str) -> None:
    bars = [day("2020-01-02"), day("2020-01-03", 100, 105, 96, 99), day("2020-01-06", 99)]
    world = play(bars, sends(1, **terms), rules=rules(calendar="XNYS", path=PATH))
    assert world.fills() == [filled]


def test_what_did_not_fill_is_over_when_the_daily_bar_is() -> None:
    # Neither on the bar of its day, nor on Monday's, whose low would fill it.
    bars = [*NEW_YORK[:2], day("2020-01-06", 99, 99, 90, 99)]
    world = play(bars, sends(1, limit_price=96), rules=rules(calendar="XNYS"))
    assert world.fills() == []
    assert ends(world.strategies["s0"]) == [("2020-01-04T00:00", "EXPIRED")]


def test_till_a_moment_is_not_for_the_day() -> None:
    # Good till 21:00, when the session closes: the open of 100 counts, the low of 97 does not.
    till = datetime.fromisoformat("2020-01-03T21:00+00:00")
    how = rules(calendar="XNYS", path=PATH)
    world = play(NEW_YORK, sends(1, limit_price=98, time_in_force="GTD", expires=till), rules=how)
    assert world.fills() == []


def test_a_weekend_is_no_day() -> None:
    # Sent on Saturday at midnight UTC, when Friday's bar is over: good for Monday.
    bars = [day("2020-01-03"), day("2020-01-06", 100, 100, 97, 99), day("2020-01-07", 90)]
    how = rules(calendar="XNYS", path=PATH)
    assert play(bars, sends(1, limit_price=98), rules=how).fills() == [
        "entry LONG 1 @ 98 low maker"
    ]
    world = play(bars, sends(1, limit_price=96), rules=how)
    assert ends(world.strategies["s0"]) == [("2020-01-07T00:00", "EXPIRED")]


@pytest.mark.parametrize(
    ("calendar", "days"),
    [
        # The session of the 29th, after Thanksgiving, closes at 18:00.
        ("XNYS", ("2019-11-27", "2019-11-29", "2019-12-02")),
        # New Year's day has no session.
        ("XNYS", ("2019-12-31", "2020-01-02", "2020-01-03")),
        # No session on 5 December 2018, a day of mourning.
        ("XNYS", ("2018-12-04", "2018-12-06", "2018-12-07")),
        # 21:00 to 3:45 UTC: the session of the 6th, a Monday, begins on Sunday evening.
        ("XNZE", ("2020-01-03", "2020-01-06", "2020-01-07")),
        # In the New Zealand winter an hour later.
        ("XNZE", ("2020-06-04", "2020-06-05", "2020-06-08")),
        ("XHKG", ("2020-01-02", "2020-01-03", "2020-01-06")),
        ("XTKS", ("2020-01-06", "2020-01-07", "2020-01-08")),
        ("24/5", ("2020-01-03", "2020-01-06", "2020-01-07")),
        ("always_open", ("2020-01-03", "2020-01-04", "2020-01-05")),
    ],
)
def test_the_next_day_whatever_the_calendar(calendar: str, days: tuple[str, str, str]) -> None:
    first, second, third = days
    bars = [day(first), day(second, 100, 100, 97, 99), day(third, 90)]
    how = rules(calendar=calendar, path=PATH)
    assert play(bars, sends(1, limit_price=98), rules=how).fills() == [
        "entry LONG 1 @ 98 low maker"
    ]
    # Not on the third.
    assert play(bars, sends(1, limit_price=95), rules=how).fills() == []


def test_daily_bars_of_the_exchanges_own_days() -> None:
    # New Zealand's days begin at 11:00 UTC in summer: the session of 3 January, from 21:00 to 3:45,
    # is inside the bar from the 2nd to the 3rd.
    bars = [
        day("2020-01-01", time="11:00"),
        day("2020-01-02", 100, 100, 97, 99, time="11:00"),
        day("2020-01-05", 90, time="11:00"),
    ]
    how = rules(calendar="XNZE", path=PATH)
    assert play(bars, sends(1, limit_price=98), rules=how).fills() == [
        "entry LONG 1 @ 98 low maker"
    ]
    assert play(bars, sends(1, limit_price=95), rules=how).fills() == []


def test_sent_before_the_first_bar() -> None:
    world = play(NEW_YORK[1:], sends(0, limit_price=98), rules=rules(calendar="XNYS", path=PATH))
    assert world.fills() == ["entry LONG 1 @ 98 low maker"]


@pytest.mark.parametrize(
    ("hour", "filled"),
    [
        # Inside the bar and the session: the bar's prices may be older than the order.
        (15, []),
        # After the session: good for the next, whose bar opens after.
        (22, ["entry LONG 1 @ 98 low maker"]),
    ],
)
def test_sent_inside_a_daily_bar(hour: int, filled: list[str]) -> None:
    async def script(me: Me) -> None:
        await me.next()
        await me.sleep(hour * 3600)
        await me.buy("BTCUSD", 1, limit_price=98, time_in_force="DAY")
        await me.next(2)

    bars = [day("2020-01-02"), day("2020-01-03", 100, 100, 97, 99), day("2020-01-06", 99, 99, 97)]
    world = play(bars, script, rules=rules(calendar="XNYS", path=PATH))
    assert world.fills() == filled
    if not filled:
        assert ends(world.strategies["s0"]) == [("2020-01-04T00:00", "EXPIRED")]


def test_a_change_inside_the_bar_is_a_new_acceptance() -> None:
    async def script(me: Me) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=95, time_in_force="DAY")
        await me.sleep(15 * 3600)
        await order.modify(limit_price=98)
        await me.next(2)

    world = play(NEW_YORK, script, rules=rules(calendar="XNYS", path=PATH))
    assert world.fills() == []


def test_what_fills_at_the_next_close_fills_at_the_days() -> None:
    how = rules(calendar="XNYS", fill_on="next_close")
    assert play(NEW_YORK, sends(1), rules=how).fills() == ["entry LONG 1 @ 99 close"]


def test_a_bracket_a_group_and_the_rest_of_a_partial_fill() -> None:
    # The bar of the 3rd has 2 to trade, all of them for the entry, which keeps its protection when
    # the rest of it is over.
    async def script(me: Me) -> None:
        await me.next()
        entry = await me.long("BTCUSD", 3, limit_price=98, stop_loss=90, time_in_force="DAY")
        await me.buy("BTCUSD", 1, limit_price=60, time_in_force="DAY", oco="pair")
        await me.buy("BTCUSD", 1, limit_price=61, time_in_force="DAY", oco="pair")
        await me.next()
        assert (entry.filled_volume, entry.end_reason) == (D(2), "EXPIRED")
        await me.next()

    bars = [day("2020-01-02"), day("2020-01-03", 100, 100, 97, 99, 2), day("2020-01-06", 89)]
    world = play(bars, script, rules=rules(calendar="XNYS", path=PATH))
    assert world.fills() == [
        "entry LONG 2 @ 98 low maker",
        "stop_loss SHORT 2 @ 89 open",
    ]
    assert [why for _, why in ends(world.strategies["s0"])] == ["EXPIRED"] * 3


def test_a_week_is_no_day() -> None:
    # Good till Monday's close: of the week's bar the open counts, its low may be of Friday.
    bars = [
        day("2020-01-03"),
        bar(0, 100, 100, 97, 99, length=7 * DAY, start=ns("2020-01-06T00:00")),
    ]
    how = rules(calendar="XNYS", path=PATH)
    assert play(bars, sends(1, limit_price=98), rules=how).fills() == []
    assert play(bars, sends(1, limit_price=100), rules=how).fills() == ["entry LONG 1 @ 100 open"]


# -- bars inside the session -----------------------------------------------------------------------


def minutes(date: str, first: str, last: str, **prices: Any) -> list[Bar]:
    """Bars of a minute from ``first`` to ``last``; that of ``HHMM`` with its own prices."""
    start, end = ns(f"{date}T{first}"), ns(f"{date}T{last}")
    found = []
    for opens in range(start, end, M):
        own = prices.get(from_ns(opens).strftime("m%H%M"), (100,))
        found.append(bar(0, *own, start=opens))
    return found


def test_minutes_of_a_session() -> None:
    # 14:30 to 21:00 UTC. Sent at 14:31, good till 21:00: the last minute's low fills it.
    own = minutes("2020-01-03", "14:30", "21:00", m2059=(100, 100, 97, 99))
    following = minutes("2020-01-06", "14:30", "14:33", m1430=(90,))
    how = rules(calendar="XNYS", path=PATH)
    world = play([*own, *following], sends(1, limit_price=98), rules=how)
    assert world.fills() == ["entry LONG 1 @ 98 low maker"]
    # At 95 it would fill on Monday; it is told at 21:00 that it is over.
    world = play([*own, *following], sends(1, limit_price=95), rules=how)
    assert world.fills() == []
    assert ends(world.strategies["s0"]) == [("2020-01-03T21:00", "EXPIRED")]


def test_minutes_after_the_session_and_a_break_at_noon() -> None:
    # Hong Kong: 1:30 to 4:00 and 5:00 to 8:00 UTC. Sent at 1:31, it lives through the break; sent
    # at 8:00, when the session closes, it is for the next one.
    morning = minutes("2020-01-03", "01:30", "01:33")
    noon = minutes("2020-01-03", "05:00", "05:02", m0501=(100, 100, 97, 99))
    evening = minutes("2020-01-03", "07:58", "08:00")
    following = minutes("2020-01-06", "01:30", "01:32", m0131=(94,))
    bars = [*morning, *noon, *evening, *following]
    how = rules(calendar="XHKG", path=PATH)
    assert play(bars, sends(1, limit_price=98), rules=how).fills() == [
        "entry LONG 1 @ 98 low maker"
    ]
    world = play(bars, sends(len(bars) - 2, limit_price=95), rules=how)
    assert world.fills() == ["entry LONG 1 @ 94 open maker"]


def test_hours_that_run_past_the_close() -> None:
    # Hours from 14:30; the last one, from 20:30, runs to 21:30. Good till 21:00, only its open
    # counts: its low may be of after the close.
    earlier = [
        bar(0, 100, length=HOUR, start=ns("2020-01-03T14:30") + place * HOUR) for place in range(6)
    ]
    last = bar(0, 100, 100, 97, 99, length=HOUR, start=ns("2020-01-03T20:30"))
    how = rules(calendar="XNYS", path=PATH)
    world = play([*earlier, last], sends(1, limit_price=98), rules=how)
    assert world.fills() == []
    assert ends(world.strategies["s0"]) == [("2020-01-03T21:30", "EXPIRED")]


# -- off the grid ----------------------------------------------------------------------------------


def hours(*starts: int, last: tuple[int, ...] = (100,)) -> list[Bar]:
    """Bars of a day that begin so many hours after the beginning; the prices of the last one."""
    made = [bar(0, 100, length=DAY, start=at * HOUR) for at in starts[:-1]]
    return [*made, bar(0, *last, length=DAY, start=starts[-1] * HOUR)]


@pytest.mark.parametrize("third", [70, 71])
def test_the_open_of_a_bar_off_the_grid_counts(third: int) -> None:
    # Bars of a day from 22, 46 and 70 or, as clocks go back, 71. Sent at hour 70, good till 72.
    async def script(me: Me) -> None:
        await me.sleep(48 * 3600)
        await me.buy("BTCUSD", 1, time_in_force="DAY")
        await me.next()

    world = play(hours(22, 46, third), script)
    assert world.fills() == ["entry LONG 1 @ 100 open"]


@pytest.mark.parametrize("third", [70, 71])
def test_till_a_moment_the_open_counts_and_nothing_else(third: int) -> None:
    async def script(me: Me, price: int) -> None:
        await me.sleep(48 * 3600)
        await me.buy("BTCUSD", 1, limit_price=price, expires=2 * 3600)
        await me.next()

    bars = hours(22, 46, third, last=(100, 100, 97, 99))
    world = play(bars, partial(script, price=98))
    assert world.fills() == []
    assert [one.time // HOUR for one in world.strategies["s0"].heard[1:]] == [third + 24]
    assert play(bars, partial(script, price=100)).fills() == ["entry LONG 1 @ 100 open"]


@pytest.mark.parametrize(
    ("bars", "sent", "low"),
    [
        # New York's days. Clocks go forward on 8 March 2020, a day of 23 hours from 5:00 UTC...
        ([("2020-03-07", "05:00", 24), ("2020-03-08", "05:00", 23)], 1, 1),
        # ... and the next begins at 4:00.
        (
            [
                ("2020-03-07", "05:00", 24),
                ("2020-03-08", "05:00", 23),
                ("2020-03-09", "04:00", 24),
            ],
            2,
            2,
        ),
        # They go back on 1 November, a day of 25 hours from 4:00.
        ([("2020-10-31", "04:00", 24), ("2020-11-01", "04:00", 25)], 1, 1),
        (
            [
                ("2020-10-31", "04:00", 24),
                ("2020-11-01", "04:00", 25),
                ("2020-11-02", "05:00", 24),
            ],
            2,
            2,
        ),
    ],
)
def test_clock_changes(bars: list[tuple[str, str, int]], sent: int, low: int) -> None:
    # Good till midnight UTC, inside each of these bars.
    data = [
        day(date, *((100, 100, 97, 99) if place == low else (100,)), length=size * HOUR, time=time)
        for place, (date, time, size) in enumerate(bars)
    ]
    assert play(data, sends(sent, limit_price=98), rules=rules(path=PATH)).fills() == [
        "entry LONG 1 @ 98 low maker"
    ]


def test_clocks_change_over_a_weekend_of_stocks() -> None:
    # Friday's bar begins at 5:00 UTC, Monday's at 4:00; the session closes at 20:00.
    bars = [
        day("2020-03-06", time="05:00"),
        day("2020-03-09", 100, 100, 97, 99, time="04:00"),
        day("2020-03-10", 90, time="04:00"),
    ]
    how = rules(calendar="XNYS", path=PATH)
    assert play(bars, sends(1, limit_price=98), rules=how).fills() == [
        "entry LONG 1 @ 98 low maker"
    ]
    assert play(bars, sends(1, limit_price=95), rules=how).fills() == []


# -- when it is told -------------------------------------------------------------------------------


def test_in_a_gap_it_is_told_when_no_bar_can_be_under_way() -> None:
    # Minutes that lie on no grid: one that opened just before 10:00 ends just before 11:00.
    async def script(me: Me) -> None:
        await me.next(2)
        order = await me.buy("BTCUSD", 1, limit_price=90, expires="8m")
        assert await order.done()
        assert me.now_ns == 11 * M
        assert me.balance("USD") == (D(1000), D(0))
        await me.next()

    off = bar(0, 80, start=60 * M + M // 2)
    world = play([bar(0, 100), bar(1, 100), off], script)
    assert world.fills() == []


def test_where_bars_may_be_of_any_length_the_next_one_tells() -> None:
    # Nothing is known of these bars. Good till minute 10, an order is over for whoever sent it: no
    # change is taken, but its money stays where it is until a bar says that none opened by then.
    async def script(me: Me) -> None:
        await me.next(2)
        order = await me.buy("BTCUSD", 1, limit_price=90, expires="8m")
        await me.sleep(20 * 60)
        assert not order.is_done
        await refused(me, lambda: order.modify(limit_price=95), RejectReason.EXPIRED)
        assert me.balance("USD") == (D(910), D(90))
        await me.next()
        assert me.balance("USD") == (D(1000), D(0))

    async def other(me: Me) -> None:
        await me.next(2)
        order = await me.buy("BTCUSD", 1, limit_price=90, expires="8m")
        await me.sleep(20 * 60)
        await order.cancel()
        await me.next()

    bars = [bar(0, 100), bar(1, 100), bar(30, 80)]
    world = play(
        iter(bars), script, other, cash={"a": {"USD": 1000}, "b": {"USD": 1000}}, own=[["a"], ["b"]]
    )
    assert world.fills() == []
    assert ends(world.strategies["s0"]) == [("1970-01-01T00:31", "EXPIRED")]
    assert world.strategies["s1"].told()[1:] == [("cancelled", "REQUESTED")]


def test_nobody_is_told_of_a_bar_that_has_not_closed() -> None:
    # One run has a bar from hour 71 to 95, the other from 80 to 104. Until hour 94 both strategies
    # hear and see the same.
    async def script(me: Me, seen: list[Any]) -> None:
        await me.sleep(48 * 3600)
        order = await me.buy("BTCUSD", 1, limit_price=100, expires=2 * 3600)
        for _ in range(12):
            await me.sleep(2 * 3600)
            free = me.balance("USD")[0]
            seen.append((me.now_ns // HOUR, order.is_done, free, len(me.open_orders())))
        await me.next()

    both = []
    for third in (71, 80):
        seen: list[Any] = []
        world = play(hours(22, 46, third), partial(script, seen=seen))
        both.append(seen)
        assert len(world.fills()) == (third == 71)
    assert both[0] == both[1]
    assert both[0][-1] == (94, False, D(900), 1)


def test_another_pairs_bars_say_nothing_of_this_ones() -> None:
    # The day of BTCUSD from 71 to 95 is under way while hours of ETHUSD come and go.
    async def script(me: Me) -> None:
        await me.sleep(48 * 3600)
        await me.buy("BTCUSD", 1, time_in_force="DAY")
        await me.next()

    others = [bar(at, 50, length=HOUR, pair="ETHUSD") for at in range(22, 95)]
    bars = sorted([*hours(22, 46, 71), *others], key=lambda one: one.close_ns)
    world = play(bars, script, pairs=[pair_of(), pair_of("ETHUSD")])
    assert world.fills() == ["entry LONG 1 @ 100 open"]


def test_a_quote_at_the_close_of_a_bar_comes_before_it() -> None:
    # No quote lies in the minute from 10:00, so its bar counts. Good till 10:30, the order does not
    # meet the quote at 11:00, and does meet the bar's open of 89, which closes then.
    async def script(me: Me) -> None:
        await me.next()
        await me.sleep(9 * 60)
        await me.buy("BTCUSD", 1, limit_price=90, expires=30)
        await me.next()

    before: list[MarketEvent] = [quote(1, 99, 100), bar(0, 100)]
    late = quote(660, 79, 80)
    world = play([*before, late, bar(10, 89, 95, 89, 95)], script)
    assert [text(one.price) for one in world.records.fills] == ["89"]
    # Without the bar it is over at 11:00, and met nothing.
    world = play([*before, late, bar(12, 80)], script)
    assert world.fills() == []
    assert ends(world.strategies["s0"]) == [("1970-01-01T00:11", "EXPIRED")]


def test_quotes_alone_need_no_waiting() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await anext(quotes)
        order = await me.buy("BTCUSD", 1, limit_price=90, expires=30)
        assert await order.done()
        assert me.now_ns == 31 * 10**9
        await anext(quotes)

    world = play([quote(1, 99, 100), quote(600, 79, 80)], script)
    assert world.fills() == []


def test_a_night_is_not_charged_on_what_is_over() -> None:
    # Good till 20:00; the night of 21:00 (the session's close) costs pending orders 1. The bar that
    # would tell comes on Monday.
    fees = {"overnight_pending": {"flat_per_trade": 1}}
    till = datetime.fromisoformat("2020-01-03T20:00+00:00")
    bars = [*minutes("2020-01-03", "14:30", "14:32"), *minutes("2020-01-06", "14:30", "14:32")]
    order = sends(1, limit_price=50, time_in_force="GTD", expires=till)
    how = rules(calendar="XNYS", fees=fees)
    for data in (bars, iter(bars)):
        assert play(data, order, rules=how).balance() == (D(1000), D(0))


def test_a_strategy_makes_weeks_of_daily_bars_of_stocks() -> None:
    """By the pair's calendar: they were none, as midnight lies outside its sessions."""
    weeks = []

    async def script(me: Any) -> None:
        async for one in me.bars("BTCUSD", length="1w", resample="bars"):
            weeks.append((from_ns(me.now_ns).day, from_ns(one.close_ns).day, one.low, one.close))

    days = [*NEW_YORK, *(day(f"2020-01-{date:02}", date) for date in (7, 8, 9, 10))]
    play(days, script, rules=rules(calendar="XNYS"))
    # 2 and 3 January; 6 to 10 January. Each is there at the close of its Friday's bar.
    assert weeks == [(4, 4, D(97), D(99)), (11, 11, D(7), D(10))]
