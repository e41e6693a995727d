"""When orders expire, and what their instructions mean to the walk."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from backtest.errors import OrderRejected, RejectReason
from backtest.models import PLAIN, Bar, Instructions, TimeInForce
from backtest.services.calendars import ALWAYS_OPEN
from backtest.services.fills.path import Terms
from backtest.services.orders.expiry import ended_because, expiry_of, lives_through, terms_of
from backtest.times import DAY, HOUR

from .walking import D


def never(now: int) -> int:
    raise AssertionError("only DAY asks for the end of the day")


def test_the_day_ends_at_the_next_midnight() -> None:
    assert ALWAYS_OPEN.day_end(0) == DAY
    assert ALWAYS_OPEN.day_end(DAY - 1) == DAY
    assert ALWAYS_OPEN.day_end(DAY) == 2 * DAY


def test_when_an_order_expires() -> None:
    assert expiry_of(PLAIN, 5, never) is None
    for force in (TimeInForce.IOC, TimeInForce.FOK):
        assert expiry_of(Instructions(force), 5, never) is None
    assert expiry_of(Instructions(TimeInForce.DAY), 5 * HOUR, ALWAYS_OPEN.day_end) == DAY
    assert expiry_of(Instructions(TimeInForce.DAY), 5, lambda now: now + 7) == 12
    moment = datetime(1970, 1, 1, 2, tzinfo=UTC)
    assert expiry_of(Instructions(TimeInForce.GTD, moment), 5, never) == 2 * HOUR


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (datetime(1970, 1, 1, 1, tzinfo=UTC), RejectReason.EXPIRED),
        (datetime(1970, 1, 1, 2, tzinfo=UTC), RejectReason.EXPIRED),
        (datetime(1970, 1, 1, 3), RejectReason.INVALID_ACTION),
    ],
)
def test_an_expiry_that_cannot_be(moment: datetime, reason: RejectReason) -> None:
    with pytest.raises(OrderRejected) as caught:
        expiry_of(Instructions(TimeInForce.GTD, moment), 2 * HOUR, never)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("force", "accepted", "hours", "whole"),
    [
        (TimeInForce.DAY, 5, 24, True),
        (TimeInForce.DAY, 4, 23, True),  # clocks go forward
        (TimeInForce.DAY, 5, 25, True),  # clocks go back
        (TimeInForce.DAY, 6, 24, False),  # accepted after the open
        (TimeInForce.DAY, 5, 12, False),
        (TimeInForce.DAY, 5, 7 * 24, False),
        (TimeInForce.GTD, 5, 24, False),
    ],
)
def test_a_day_order_takes_part_in_all_of_a_day(
    force: TimeInForce, accepted: int, hours: int, whole: bool
) -> None:
    bar = Bar("X", 5 * HOUR, (5 + hours) * HOUR, D(1), D(1), D(1), D(1))
    assert lives_through(force, accepted * HOUR, bar) is whole


def test_most_orders_ask_nothing_of_the_walk() -> None:
    assert terms_of(None, PLAIN) is None
    assert terms_of(None, Instructions(TimeInForce.DAY)) is None
    assert terms_of(None, Instructions(reduce_only=True, oco="x")) is None


def test_what_the_walk_is_told() -> None:
    assert terms_of(D(5), PLAIN) == Terms(limit=D(5))
    assert terms_of(None, Instructions(TimeInForce.IOC)) == Terms(immediate=True)
    assert terms_of(None, Instructions(TimeInForce.FOK)) == Terms(immediate=True, whole=True)
    assert terms_of(None, Instructions(post_only=True)) == Terms(maker_only=True)
    assert terms_of(None, Instructions(trail=D(2))) == Terms(trail=D(2))
    assert terms_of(None, Instructions(trail_percent=D(2))) == Terms(trail_percent=D(2))


def test_why_the_rest_is_cancelled() -> None:
    assert ended_because(Instructions(TimeInForce.IOC)) is RejectReason.IMMEDIATE_OR_CANCEL
    assert ended_because(Instructions(TimeInForce.FOK)) is RejectReason.FILL_OR_KILL
