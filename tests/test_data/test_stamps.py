"""Times as files write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from backtest.data._stamps import StampReader, Zone, zone_of
from backtest.times import DAY, HOUR, MINUTE, SECOND, to_ns


def ns(text: str) -> int:
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1970-01-01", 0),
        ("1969-12-31 23:59:59", -SECOND),
        ("2020-02-29T12:34:56.789", ns("2020-02-29 12:34:56.789")),
        ("20200229T123456", ns("2020-02-29 12:34:56")),
        ("20200229 12:34", ns("2020-02-29 12:34:00")),
        ("20200229123456", ns("2020-02-29 12:34:56")),
        ("20200101 170000065", ns("2020-01-01 17:00:00.065")),
        ("2020-02-29t12:34:56z", ns("2020-02-29 12:34:56")),
        ("2020-02-29 12:34:56+05:45", ns("2020-02-29 06:49:56")),
        ("2020-02-29 12:34:56 GMT", ns("2020-02-29 12:34:56")),
        ("2020-02-29 12:34-03", ns("2020-02-29 15:34:00")),
        ("100000000", 100_000_000 * SECOND),
        ("9000000000", 9_000_000_000 * SECOND),
        ("100000000000", 100_000_000 * SECOND),
        ("100000000000000", 100_000_000 * SECOND),
        ("100000000000000000", 100_000_000 * SECOND),
        ("1577836800.123456789", 1_577_836_800_123_456_789),
    ],
)
def test_one_time(text: str, wanted: int) -> None:
    assert StampReader().read(text) == wanted
    assert StampReader().read_many([f" {text} "]) == [wanted]
    assert StampReader().read_many([text, text]) == [wanted, wanted]


def test_the_first_time_settles_the_unit_for_all() -> None:
    reader = StampReader()
    assert reader.read_many(["1577836800", "1577836860"]) == [
        1_577_836_800 * SECOND,
        1_577_836_860 * SECOND,
    ]
    with pytest.raises(ValueError, match="out of range for an epoch number in seconds"):
        reader.read_many(["1577836860", "1577836860000"])
    assert reader.read("100000000") == 100_000_000 * SECOND


def test_more_distinct_times_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backtest.data._stamps._REMEMBERED", 3)
    reader = StampReader()
    texts = [f"2020-01-{day:02} 00:00:{day:02}" for day in range(1, 30)]
    assert reader.read_many(texts) == [ns(text) for text in texts]


def test_a_whole_day_of_constant_offset_is_looked_up_once() -> None:
    class Counting(tzinfo):
        calls = 0

        def utcoffset(self, moment: datetime | None) -> timedelta:
            Counting.calls += 1
            return timedelta(hours=2)

        def dst(self, moment: datetime | None) -> None:
            return None

        def tzname(self, moment: datetime | None) -> str:
            return "counting"

    reader = StampReader(Zone(Counting()))
    texts = [f"2020-01-01 {hour:02}:{minute:02}" for hour in range(24) for minute in range(60)]
    assert reader.read_many(texts) == [ns("2019-12-31 22:00:00") + i * MINUTE for i in range(1440)]
    assert Counting.calls == 4  # both ends of the day, on both sides of a change of the clocks


def test_a_zone_that_changes_at_midnight() -> None:
    """Beirut sets its clocks forward at 00:00 (2020-03-29), so that midnight does not exist."""
    zone = zone_of("Asia/Beirut")
    assert zone is not None
    assert zone.to_utc(ns("2020-03-28 23:59:00")) == ns("2020-03-28 21:59:00")
    assert zone.to_utc(ns("2020-03-29 01:00:00")) == ns("2020-03-28 22:00:00")
    with pytest.raises(ValueError, match="2020-03-29 00:30:00 does not exist in Asia/Beirut"):
        zone.to_utc(ns("2020-03-29 00:30:00"))


def test_every_hour_of_a_year_of_new_york() -> None:
    """Against the definition: a local time is right if its zone gives it back, both ways alike."""
    new_york = ZoneInfo("America/New_York")
    zone = zone_of(new_york)
    assert zone is not None
    refused = 0
    for hour in range(365 * 24):
        local = ns("2021-01-01 00:00:00") + hour * HOUR
        moment = datetime(2021, 1, 1) + timedelta(hours=hour)
        there = [moment.replace(tzinfo=new_york, fold=fold) for fold in (0, 1)]
        utc = {to_ns(at.astimezone(UTC)) for at in there}
        if len(utc) == 1:
            assert zone.to_utc(local) == utc.pop()
        else:
            refused += 1
            with pytest.raises(ValueError, match=r"2021-(03-14|11-07)"):
                zone.to_utc(local)
    assert refused == 2  # one hour that is not, one that is twice


def test_zone_of_a_tzinfo_that_knows_no_offset() -> None:
    class Vague(tzinfo):
        def utcoffset(self, moment: datetime | None) -> None:
            return None

        def dst(self, moment: datetime | None) -> None:
            return None

        def tzname(self, moment: datetime | None) -> str:
            return "vague"

    with pytest.raises(ValueError, match="does not know its offset"):
        Zone(Vague()).to_utc(DAY)
    assert repr(Zone(timezone.utc)) == "UTC"  # noqa: UP017
    assert zone_of(None) is None


@pytest.mark.parametrize(
    ("text", "clock"),
    [("20200131", ""), ("202001312359", " 23:59"), ("20200131235930", " 23:59:30")],
)
def test_dates_and_times_in_digits_alone_are_no_epochs(text: str, clock: str) -> None:
    """Twelve digits were taken for milliseconds: the year 1976."""
    assert StampReader().read(text) == StampReader().read("2020-01-31" + clock)
    assert StampReader().read_many([text]) == [StampReader().read(text)]


def test_twelve_digits_that_are_no_date_are_milliseconds() -> None:
    assert StampReader().read("199756800000") == 199_756_800 * 10**9  # 1976-05-01
    assert StampReader(unit=10**6).read("202001312359") == 202_001_312_359 * 10**6
