"""When orders are over: (order, sources of bars, time) -> cancelled, or not known yet.

An order that expires inside a bar takes part at its open. So the clock alone does not say that it
is over while a bar may be under way that opened before.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backtest.actors.venue.expiry import hold_back, shorten
from backtest.services.cadence import Cadence
from backtest.services.fills.walk import CLOSE_ONLY, NOT_ON_THIS_BAR, OPEN_ONLY, WHOLE_BAR
from tests.harness import DAY, HOUR, M, bar
from tests.room import Room, at_once, buy

BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


def after(minutes: int) -> datetime:
    return BEGIN + timedelta(minutes=minutes)


def room(*cadences: Cadence) -> Room:
    made = Room()
    made.at(100)
    if cadences:
        made.book.expect(cadences)
    return made


def ring(made: Room, minutes: int) -> list[str]:
    """The clock says so late, and the venue looks."""
    made.shell.events.now = minutes * M
    at_once(made.expiry.ring(made.book))
    return made.news()


OVER = ["RETURN_MARGIN USD 99 -99", "CANCELLED EXPIRED"]


def hourly(*hours: int) -> Cadence:
    return Cadence.of([bar(hour, 100, length=HOUR) for hour in hours])


@pytest.mark.parametrize(
    ("cadences", "minute", "told"),
    [
        # Bars of an hour on the hour: one of 1:00 may be under way at 1:30, until 2:00.
        ([hourly(0, 1, 2)], 90, []),
        ([hourly(0, 1, 2)], 119, []),
        ([hourly(0, 1, 2)], 120, OVER),
        # Nothing is known of the bars: the next one says it.
        ([Cadence()], 90, []),
        ([Cadence()], 10_000, []),
        # No source of bars at all: the clock says it.
        ([], 90, OVER),
    ],
)
def test_an_order_is_over_when_no_bar_can_have_opened_before(
    cadences: list[Cadence], minute: int, told: list[str]
) -> None:
    """It is good till 1:30."""
    made = room()
    made.book.expect(cadences)
    made.do(buy(1, limit=99, expires=after(90)))
    assert made.alarms() == [90 * M]
    assert ring(made, 90) == (told if minute == 90 else [])
    if minute > 90:
        assert ring(made, minute) == told


def test_the_venue_asks_to_be_woken_when_it_will_know() -> None:
    made = room(hourly(0, 1, 2))
    made.do(buy(1, limit=99, expires=after(90)))
    ring(made, 90)
    assert made.alarms() == [90 * M, 120 * M]


def test_of_two_orders_the_first_to_expire_wakes_it() -> None:
    made = room(hourly(0, 1, 2))
    made.do(buy(1, limit=99, expires=after(90)))
    made.do(buy(1, limit=98, expires=after(60)))
    made.do(buy(1, limit=97, expires=after(120)))
    assert made.alarms() == [90 * M, 60 * M]
    assert ring(made, 60) == ["RETURN_MARGIN USD 98 -98", "CANCELLED EXPIRED"]


@pytest.mark.parametrize(
    ("prices", "told"),
    [
        # at its open it counts
        ((99, 99, 99, 99), ["FILL_BUY USD 0 -99", "SPOT_EXCHANGE BTC 1 0", "FILLED"]),
        # later on the bar it does not
        ((100, 101, 98, 100), OVER),
    ],
)
def test_inside_a_bar_it_takes_part_at_the_open(prices: tuple[int, ...], told: list[str]) -> None:
    """The bar is from 1:00 to 2:00, the order good till 1:30."""
    made = room(hourly(0, 1, 2))
    made.do(buy(1, limit=99, expires=after(90)))
    assert made.bar(bar(1, *prices, length=HOUR)) == told


@pytest.mark.parametrize(("good_till", "told"), [(60, OVER), (59, OVER)])
def test_what_expired_by_the_open_does_not(good_till: int, told: list[str]) -> None:
    """The bar is from 1:00 to 2:00."""
    made = room(hourly(0, 1, 2))
    made.do(buy(1, limit=99, expires=after(good_till)))
    assert made.bar(bar(1, 99, length=HOUR)) == told


@pytest.mark.parametrize(
    ("force", "accepted", "length", "end"),
    [
        # An order for the day lives through the bar of that day, accepted by its open.
        ("DAY", 0, DAY, WHOLE_BAR),
        ("DAY", 1, DAY, OPEN_ONLY),
        # A longer bar is none of a day.
        ("DAY", 0, 2 * DAY, OPEN_ONLY),
        # One that is good till a moment does not, whatever the bar.
        ("GTD", 0, DAY, OPEN_ONLY),
    ],
)
def test_what_expires_inside_a_bar_has_its_open_only(
    force: str, accepted: int, length: int, end: int
) -> None:
    made = room()
    made.shell.events.now = accepted
    more: dict[str, Any] = {"expires": after(60)} if force == "GTD" else {"force": force}
    made.do(buy(1, limit=99, **more))
    branch = made.branch()
    # It expires inside the bar, not at its very end.
    made.book.expiring = [(HOUR, 1, branch)]
    branch.expires = HOUR
    shorten(made.book, bar(0, 100, length=length, start=0))
    assert branch.end == end


def test_what_counts_from_the_close_on_has_no_open_left() -> None:
    made = room()
    made.do(buy(1, limit=99, expires=after(60)))
    branch = made.branch()
    branch.start = CLOSE_ONLY
    shorten(made.book, bar(0, 100, length=2 * HOUR, start=0))
    assert (branch.start, branch.end) == (NOT_ON_THIS_BAR, OPEN_ONLY)


@pytest.mark.parametrize(("length", "blocked"), [(60, True), (90, True), (91, False)])
def test_a_tick_passes_by_what_has_expired(length: int, blocked: bool) -> None:
    """A tick at 1:30 passes by what was good till then or before."""
    made = room()
    made.do(buy(1, limit=99, expires=after(length)))
    hold_back(made.book, 90 * M)
    assert made.branch().blocked is blocked


def test_an_order_that_was_given_another_time_is_over_then() -> None:
    made = room()
    made.book.expect([])
    made.do(buy(1, limit=99, expires=after(60)))
    made.modify(expires_at=after(90))
    assert ring(made, 60) == []
    assert ring(made, 90) == OVER


def test_what_ended_since_says_that_it_is_over() -> None:
    """A bar that closed at 1:30 or later, of bars of half an hour: none of an hour of 1:00 counts
    that lies on it; but one of a source of finer bars might be under way."""
    half = Cadence.of([bar(number, 100, length=30 * M) for number in range(4)])
    made = room(half, hourly(0, 1, 2))
    made.do(buy(1, limit=99, expires=after(90)))
    assert ring(made, 90) == []
    made.book.cover().takes(bar(2, 100, length=30 * M))
    assert made.book.settled_ns(90 * M) is not None
