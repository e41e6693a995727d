"""Sessions: days of UTC, and those of exchanges."""

from __future__ import annotations

import sys
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from backtest.data import MemoryBars, MemoryTicks, resample
from backtest.errors import ConfigError, DataError, FieldTypeError, MissingExtra
from backtest.models import Bar, Trade, TradingRules
from backtest.services.calendars import (
    ALWAYS_OPEN,
    ExchangeCalendar,
    Session,
    always_open,
    calendar_of,
    from_exchange,
)
from backtest.times import DAY, HOUR, MINUTE, format_ns, to_ns
from tests.generators import D


def ns(text: str) -> int:
    return to_ns(datetime.fromisoformat(f"{text}+00:00"))


def shown(*moments: int) -> list[str]:
    return [format_ns(one)[:16] for one in moments]


def test_always_open_has_days_of_utc() -> None:
    calendar = always_open()
    assert repr(calendar) == "always_open()"
    assert calendar is ALWAYS_OPEN is calendar_of(None) is calendar_of("always_open")
    assert calendar.session(DAY) == Session(DAY, 2 * DAY, 1)
    assert calendar.session(2 * DAY - 1) == Session(DAY, 2 * DAY, 1)
    assert (calendar.day_end(DAY - 1), calendar.day_end(DAY)) == (DAY, 2 * DAY)
    # Nights at 21:00: after 20:59 of the same day, at 21:00 and later of the next.
    at = 21 * HOUR
    assert [calendar.rollover(t, at) for t in (at - 1, at, at + 1)] == [at, at + DAY, at + DAY]


@pytest.fixture(scope="module")
def new_york() -> ExchangeCalendar:
    pytest.importorskip("exchange_calendars")
    return from_exchange("XNYS")


def test_sessions_of_new_york(new_york: ExchangeCalendar) -> None:
    # 2024: Wednesday 3 July closed at 13:00 (17:00 UTC), the 4th was a holiday.
    assert from_exchange("XNYS") is new_york is calendar_of("XNYS")
    third = new_york.session(ns("2024-07-03T15:00"))
    assert third is not None
    assert shown(third.open_ns, third.close_ns) == ["2024-07-03T13:30", "2024-07-03T17:00"]
    assert third.label == ns("2024-07-03T00:00") // DAY
    assert new_york.session(ns("2024-07-03T17:00")) == third  # the close is still of it
    for moment in ("2024-07-03T13:29", "2024-07-03T17:01", "2024-07-04T15:00", "2024-07-06T15:00"):
        assert new_york.session(ns(moment)) is None
    ends = [
        new_york.day_end(ns(moment))
        for moment in (
            "2024-07-03T16:59",
            "2024-07-03T17:00",
            "2024-07-04T12:00",
            "2024-07-05T21:00",
        )
    ]
    assert shown(*ends) == [
        "2024-07-03T17:00",
        "2024-07-05T20:00",
        "2024-07-05T20:00",
        "2024-07-08T20:00",
    ]
    assert new_york.rollover(ns("2024-07-03T17:00"), 0) == ns("2024-07-05T20:00")
    # Winter time: an hour later in UTC. And years far away, in any order.
    winter = new_york.session(ns("2024-12-02T15:00"))
    assert winter is not None
    assert shown(winter.open_ns, winter.close_ns) == ["2024-12-02T14:30", "2024-12-02T21:00"]
    assert shown(new_york.day_end(ns("2012-12-31T22:00"))) == ["2013-01-02T21:00"]
    assert shown(new_york.day_end(ns("2024-07-03T16:59"))) == ["2024-07-03T17:00"]
    assert repr(new_york) == "from_exchange('XNYS')"


def test_what_is_no_calendar(new_york: ExchangeCalendar) -> None:
    with pytest.raises(ConfigError, match="there is no calendar 'MARS': give 'always_open'"):
        calendar_of("MARS")
    with pytest.raises(FieldTypeError, match="calendar must be a Calendar or its name, not 7"):
        calendar_of(7)
    with pytest.raises(FieldTypeError, match="calendar must be a Calendar or its name, not 7"):
        TradingRules(calendar=7)
    with pytest.raises(ConfigError, match="calendar XKRX does not know 1950"):
        from_exchange("XKRX").session(ns("1950-06-01T00:00"))


class Nights:
    """A market of one's own: open from 18:00 to 6:00 UTC, and charged for at 6:00."""

    name = "nights"

    def session(self, ns: int) -> Session | None:
        day = (ns + 6 * HOUR) // DAY  # a session is of the day it ends on
        closes = day * DAY + 6 * HOUR
        return Session(closes - 12 * HOUR, closes, day) if ns <= closes else None

    def day_end(self, ns: int) -> int:
        return (ns + 18 * HOUR) // DAY * DAY + 6 * HOUR

    def rollover(self, ns: int, time_of_day: int) -> int:
        return self.day_end(ns)


def test_a_calendar_of_ones_own_is_taken_as_it_is_but_not_its_class() -> None:
    own = Nights()
    assert calendar_of(own) is own is TradingRules(calendar=own).calendar
    with pytest.raises(FieldTypeError, match="calendar must be a Calendar or its name, not <class"):
        calendar_of(Nights)
    # Trades at 19:00, 5:00, noon (closed) and 19:00 again: two nights.
    items = [
        Trade("X", hour * HOUR, D(price), D(1))
        for hour, price in ((19, 1), (29, 2), (36, 99), (43, 3))
    ]
    nights = [
        (one.open_ns // HOUR, one.close_ns // HOUR, one.open, one.close)
        for one in resample(MemoryTicks(items, "X"), "1d", calendar=own)
    ]
    assert nights == [(18, 30, D(1), D(2)), (42, 54, D(3), D(3))]


def test_an_exchange_that_shut_for_good_has_no_next_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exchanges = pytest.importorskip("exchange_calendars")
    pandas = pytest.importorskip("pandas")
    monkeypatch.setattr("backtest.services.calendars._known", {})
    first = date(2021, 1, 1)
    shut = [pandas.Timestamp(first + timedelta(days=n)) for n in range(730)]
    members = {
        "name": "SHUT",
        "tz": ZoneInfo("UTC"),
        "open_times": ((None, time(9)),),
        "close_times": ((None, time(17)),),
        "adhoc_holidays": shut,
    }
    kind = type("Shut", (exchanges.ExchangeCalendar,), members)
    exchanges.register_calendar_type("SHUT", kind)
    try:
        calendar = from_exchange("SHUT")
        # The last day of trading was Thursday 31 December 2020.
        last = ns("2020-12-31T17:00")
        assert calendar.day_end(ns("2020-12-31T12:00")) == last
        assert calendar.session(ns("2021-01-04T12:00")) is None
        with pytest.raises(ConfigError, match="SHUT knows no session after 2020-12-31 17:00"):
            calendar.day_end(last)
    finally:
        exchanges.deregister_calendar("SHUT")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    with pytest.raises(MissingExtra, match=r"exchange_calendars.*backtest-actors\[calendars\]"):
        from_exchange("XLON")


# -- resampling by sessions ------------------------------------------------------------------------


def trade(moment: str, price: int) -> Trade:
    return Trade("X", ns(moment), D(price), D(1))


def made(items: list[Trade], length: str) -> list[tuple[str, str, str, str]]:
    bars = list(resample(MemoryTicks(items, "X"), length, calendar="XNYS"))
    return [(*shown(b.open_ns, b.close_ns), str(b.open), str(b.close)) for b in bars]  # type: ignore[misc]


TRADES = [
    trade("2024-07-02T19:59", 1),
    trade("2024-07-02T20:00", 2),  # the closing price is of the session
    trade("2024-07-02T20:01", 99),  # after hours
    trade("2024-07-03T13:29", 98),  # before them
    trade("2024-07-03T13:30", 3),
    trade("2024-07-03T16:45", 4),
    trade("2024-07-05T14:00", 5),
    trade("2024-07-08T14:00", 6),
]


def test_daily_bars_are_sessions(new_york: ExchangeCalendar) -> None:
    assert made(TRADES, "1d") == [
        ("2024-07-02T13:30", "2024-07-02T20:00", "1", "2"),
        ("2024-07-03T13:30", "2024-07-03T17:00", "3", "4"),
        ("2024-07-05T13:30", "2024-07-05T20:00", "5", "5"),
        ("2024-07-08T13:30", "2024-07-08T20:00", "6", "6"),
    ]


def test_hours_begin_with_the_session_and_end_with_it(new_york: ExchangeCalendar) -> None:
    assert made(TRADES, "1h")[:4] == [
        ("2024-07-02T19:30", "2024-07-02T20:00", "1", "2"),
        ("2024-07-03T13:30", "2024-07-03T14:30", "3", "3"),
        ("2024-07-03T16:30", "2024-07-03T17:00", "4", "4"),
        ("2024-07-05T13:30", "2024-07-05T14:30", "5", "5"),
    ]


def test_weeks_end_with_their_last_session(new_york: ExchangeCalendar) -> None:
    assert made(TRADES, "1w") == [
        ("2024-07-02T13:30", "2024-07-05T20:00", "1", "5"),
        ("2024-07-08T13:30", "2024-07-12T20:00", "6", "6"),
    ]
    with pytest.raises(ConfigError, match="give less than a day, '1d', '1w' or months"):
        resample(MemoryTicks(TRADES, "X"), "2d", calendar="XNYS")


def test_bars_must_lie_in_sessions_or_outside(new_york: ExchangeCalendar) -> None:
    def bar(moment: str, length: int) -> Bar:
        at = ns(moment)
        return Bar("X", at, at + length, D(1), D(1), D(1), D(1), D(1))

    halves = [bar(f"2024-07-05T{hour}:30", 30 * MINUTE) for hour in (12, 13, 14, 19, 20)]
    days = list(resample(MemoryBars(halves, "X"), "1d", calendar="XNYS"))
    # 12:30 and 20:30 are outside; at 20:00, the close, the bar of 19:30 completes the day.
    assert [(one.volume, *shown(one.close_ns)) for one in days] == [(D(3), "2024-07-05T20:00")]
    hours = [bar("2024-07-05T13:00", HOUR), bar("2024-07-05T14:00", HOUR)]
    with pytest.raises(DataError, match="begins before the session of XNYS that opens at 2024-07"):
        list(resample(MemoryBars(hours, "X"), "1d", calendar="XNYS"))


# -- bars of days ----------------------------------------------------------------------------------


def coarser(length: str, calendar: str, days: list[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Open, close and volume of coarser bars of ``days``, opens and closes, each with a volume of
    its number from 1 on."""
    pytest.importorskip("exchange_calendars")
    bars = [
        Bar("X", ns(opens), ns(closes), D(1), D(1), D(1), D(1), D(number))
        for number, (opens, closes) in enumerate(days, 1)
    ]
    made = resample(MemoryBars(bars, "X"), length, calendar=calendar)
    return [(*shown(one.open_ns, one.close_ns), str(one.volume)) for one in made]


def of_utc(*dates: str) -> list[tuple[str, str]]:
    """Bars of days of UTC, as files of stocks are stamped."""
    day = timedelta(days=1)
    return [(f"{one}T00:00", f"{date.fromisoformat(one) + day}T00:00") for one in dates]


def test_a_day_is_of_the_session_that_closes_in_it() -> None:
    # 2 January 2020 was a Thursday: its week is over with Friday's bar, at Saturday's midnight.
    days = of_utc("2020-01-02", "2020-01-03", "2020-01-06", "2020-01-08")
    assert coarser("1w", "XNYS", days) == [
        ("2020-01-02T00:00", "2020-01-04T00:00", "3"),
        ("2020-01-06T00:00", "2020-01-11T00:00", "7"),
    ]
    # January's last session was on Friday, the 31st.
    assert coarser("1M", "XNYS", days) == [("2020-01-02T00:00", "2020-02-01T00:00", "10")]
    assert coarser("1d", "XNYS", days[:2]) == [(*of_utc("2020-01-02")[0], "1"), (*days[1], "2")]
    # A Saturday has no session, and is left out.
    assert coarser("1w", "XNYS", of_utc("2020-01-03", "2020-01-04")) == [
        ("2020-01-03T00:00", "2020-01-04T00:00", "1")
    ]


def test_a_session_that_lies_across_midnight_is_of_the_day_in_which_it_closes() -> None:
    # Wellington's Friday, 5 January 2024, was open from 21:00 on Thursday to 03:45 UTC.
    assert coarser("1w", "XNZE", of_utc("2024-01-04", "2024-01-05", "2024-01-08")) == [
        ("2024-01-04T00:00", "2024-01-06T00:00", "3"),
        ("2024-01-08T00:00", "2024-01-13T00:00", "3"),
    ]


def test_months_of_local_days_over_both_changes_of_the_clocks() -> None:
    autumn = [
        ("2024-11-01T04:00", "2024-11-02T04:00"),
        ("2024-11-04T05:00", "2024-11-05T05:00"),
        ("2024-11-29T05:00", "2024-11-30T05:00"),
        ("2024-12-02T05:00", "2024-12-03T05:00"),
    ]
    assert coarser("1M", "XNYS", autumn) == [
        ("2024-11-01T04:00", "2024-11-30T05:00", "6"),
        ("2024-12-02T05:00", "2025-01-01T05:00", "4"),
    ]
    spring = [
        ("2025-03-07T05:00", "2025-03-08T05:00"),
        ("2025-03-10T04:00", "2025-03-11T04:00"),
        ("2025-03-31T04:00", "2025-04-01T04:00"),
        ("2025-04-01T04:00", "2025-04-02T04:00"),
    ]
    # By 7 March, the month would end at 05:00; the next day opens before.
    assert coarser("1M", "XNYS", spring) == [
        ("2025-03-07T05:00", "2025-04-01T04:00", "6"),
        ("2025-04-01T04:00", "2025-05-01T04:00", "4"),
    ]


def test_a_bar_that_holds_a_session_whole_and_is_no_day_is_refused() -> None:
    half = [("2024-07-05T12:00", "2024-07-06T00:00")]
    with pytest.raises(DataError, match=r"that opens at 2024-07-05T13:30:00.* and ends after it"):
        coarser("1w", "XNYS", half)
    week = [("2024-07-01T00:00", "2024-07-08T00:00")]
    with pytest.raises(DataError, match=r"that opens at 2024-07-01T13:30:00.* and ends after it"):
        coarser("1M", "XNYS", week)
