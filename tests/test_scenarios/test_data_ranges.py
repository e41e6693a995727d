"""A run is about a part of its data: from a start to an end, with bars to warm up on before it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.analysis.result import RunResult
from backtest.data import DataRange, range_of, write_csv
from backtest.data.sources import MemoryBars
from backtest.errors import BacktestError, ConfigError, DataError, OrderRejected, RejectReason
from backtest.models import Bar, Quote
from backtest.strategies import Strategy
from backtest.times import DAY, to_ns

FIELDS = ("open_ns", "close_ns", "open", "high", "low", "close", "volume")
FIRST = to_ns(datetime(2024, 1, 1, tzinfo=UTC))


def day(number: int, price: int | None = None) -> Bar:
    """The bar of a day of January 2024: it opens at 100 + its number, closes half above."""
    opens = Decimal(100 + number if price is None else price)
    start = FIRST + (number - 1) * DAY
    close = opens + Decimal("0.5")
    return Bar("BTCUSD", start, start + DAY, opens, close + 1, opens - 1, close, Decimal(10))


BARS = [day(number) for number in range(1, 31)]


class Watching(Strategy):
    """Buys once, as soon as it may; notes what it saw and whether it might order."""

    def on_start(self) -> None:
        self.seen: list[tuple[int, bool]] = []
        self.refused: list[OrderRejected] = []

    async def on_bar(self, bar: Bar) -> None:
        opened = datetime.fromtimestamp(bar.open_ns // 10**9, UTC).day
        self.seen.append((opened, self.is_warming_up))
        if not self.holding("BTCUSD"):
            try:
                await self.buy("BTCUSD", 1)
            except OrderRejected as error:
                self.refused.append(error)


def watched(**settings: Any) -> tuple[Watching, RunResult]:
    watching = Watching()
    result = backtest.run(
        watching, **{"data": BARS, "pair": "BTCUSD", "cash": "1000 USD", **settings}
    )
    assert result.verify(data=True).ok
    return watching, result


def test_a_run_begins_with_the_bar_that_opens_at_the_start_and_leaves_the_end_out() -> None:
    watching, result = watched(start="2024-01-10", end="2024-01-13")
    assert watching.seen == [(10, False), (11, False), (12, False)]
    assert result.summary["start"] == "2024-01-10T00:00:00+00:00"
    # The bar of the 12th ends with the range: it belongs to it.
    assert result.summary["end"] == "2024-01-13T00:00:00+00:00"
    assert result.summary["bars"] == 3


def test_two_ranges_that_meet_share_no_bar_and_lose_none() -> None:
    first, _ = watched(end="2024-01-10")
    second, _ = watched(start="2024-01-10")
    assert [number for number, _ in first.seen + second.seen] == list(range(1, 31))


def test_a_bar_across_the_end_tells_of_what_comes_after_and_is_left_out() -> None:
    watching, _ = watched(start="2024-01-10", end="2024-01-12 12:00")
    assert [number for number, _ in watching.seen] == [10, 11]


@pytest.mark.parametrize("warmup", ["3 bars", 3, "3d", timedelta(days=3)])
def test_bars_before_the_start_are_seen_and_not_traded(warmup: Any) -> None:
    watching, result = watched(start="2024-01-10", end="2024-01-13", warmup=warmup)
    # The bar of the 9th closes at the start: what is decided on it is decided in the run.
    assert watching.seen[:4] == [(7, True), (8, True), (9, False), (10, False)]
    assert [one.reason for one in watching.refused] == [RejectReason.WARMING_UP] * 2
    assert "starts at 2024-01-10" in str(watching.refused[0])
    assert result.summary["rejections_by_reason"] == {"WARMING_UP": 2}
    (fill,) = result.fills
    assert fill.price == Decimal(110)  # the open of the 10th
    assert result.summary["start"] == "2024-01-10T00:00:00+00:00"
    assert result.summary["days"] == Decimal(3)


def test_figures_are_of_what_comes_after_the_start() -> None:
    # One bitcoin is there from the beginning; it falls from 200 to 100 before the start, and after
    # it rises by one a day. So nothing is lost that counts.
    bars = [day(number, 200 - 20 * number if number < 6 else None) for number in range(1, 31)]

    class Idle(Strategy):
        def on_bar(self, bar: Bar) -> None: ...

    result = backtest.run(
        Idle(), data=bars, pair="BTCUSD", cash={"USD": 100, "BTC": 1},
        start="2024-01-10", warmup="9 bars",
    )  # fmt: skip
    assert result.summary["max_drawdown"] == 0
    # At the start a bitcoin is worth the close of the 9th, 109.5; at the end that of the 30th.
    assert result.summary["start_equity"] == Decimal("209.5")
    assert result.summary["final_equity"] == Decimal("230.5")
    assert result.summary["exposure_percent"] == Decimal(100)
    assert result.verify(data=True).ok


def test_warm_up_bars_of_the_class_are_counted_from_the_warm_up_on() -> None:
    class Slow(Watching):
        warmup_bars = 5

    slow = Slow()
    backtest.run(
        slow, data=BARS, pair="BTCUSD", cash="1000 USD", start="2024-01-10", warmup="3 bars"
    )
    # Three before the start and two after it.
    assert next(number for number, warming in slow.seen if not warming) == 11


def test_an_order_of_a_timer_at_the_start_needs_no_bar_to_be_accepted() -> None:
    class Timed(Strategy):
        def on_start(self) -> None:
            self.may: list[bool] = []
            self.set_timer("start", at=datetime(2024, 1, 10, 6, tzinfo=UTC))

        def on_timer(self, name: str) -> None:
            self.may.append(not self.is_warming_up)
            self.buy("BTCUSD", 1)

        def on_bar(self, bar: Bar) -> None: ...

    timed = Timed()
    result = backtest.run(
        timed, data=BARS, pair="BTCUSD", cash="1000 USD", start="2024-01-10 06:00", warmup="2 bars"
    )
    assert timed.may == [True]
    # The bar of the 10th opened before the order came: it fills at the open of the 11th.
    assert [fill.price for fill in result.fills] == [Decimal(111)]


def test_quotes_warm_up_beside_bars_from_where_those_begin() -> None:
    quotes = [Quote("BTCUSD", FIRST + n * DAY // 2, Decimal(100), Decimal(101)) for n in range(60)]

    class Both(Strategy):
        def on_start(self) -> None:
            self.heard: list[Quote] = []

        def on_quote(self, quote: Quote) -> None:
            self.heard.append(quote)

    both = Both()
    backtest.run(
        both, data=[BARS, quotes], pair="BTCUSD", cash="1000 USD", start="2024-01-10",
        end="2024-01-12", warmup="2 bars",
    )  # fmt: skip
    assert both.heard[0].time_ns == FIRST + 7 * DAY  # the 8th
    assert both.heard[-1].time_ns == FIRST + 10 * DAY + DAY // 2  # before the 12th, not at it
    with pytest.raises(ConfigError, match="give a length of time"):
        backtest.run(Both(), data=quotes, pair="BTCUSD", cash="1 USD", start="2024-01-10", warmup=3)


def test_what_was_written_is_verified_and_explained_with_its_range(tmp_path: Path) -> None:
    file = tmp_path / "days.csv"
    write_csv(file, MemoryBars(BARS, "BTCUSD"))
    _, result = watched(data=file, start="2024-01-10", end="2024-01-13", warmup="3 bars")
    result.write(tmp_path / "out")
    from backtest.analysis.verify.verify import verify_run

    verification = verify_run(tmp_path / "out")
    assert verification.ok
    assert not [one for one in verification.unproven if "against the data" in one]
    assert result.config["range"] == {
        "start": "2024-01-10T00:00:00+00:00",
        "end": "2024-01-13T00:00:00+00:00",
        "warmup": "3 bars",
    }
    assert "with those of the warm-up before (3 bars)" in result.report()
    assert result.explain(1)


def test_streams_and_files_give_the_same_run(tmp_path: Path) -> None:
    file = tmp_path / "days.csv"
    write_csv(file, MemoryBars(BARS, "BTCUSD"))
    settings = {"data": file, "start": "2024-01-10", "end": "2024-01-20", "warmup": "5 bars"}
    hashes = {watched(**settings, stream=stream)[1].journal_sha256 for stream in (False, True)}
    assert len(hashes) == 1


def test_a_run_of_all_the_data_is_what_it_was() -> None:
    _, result = watched()
    assert "range" not in result.config


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"start": "2024-03-01"}, ("no bars of BTCUSD from 2024-03-01T00:00:00+00:00: the data "
         "goes from 2024-01-01T00:00:00+00:00 to 2024-01-31T00:00:00+00:00")),
        ({"end": "2023-01-01"}, "no bars of BTCUSD to 2023-01-01"),
        ({"start": "2024-01-03", "warmup": "5 bars"},
         "BTCUSD has 2 bars before the start, and warmup asks for 5: the data begins at 2024"),
        ({"start": "2024-01-01", "warmup": "5d"}, "has 0 bars before the start, and warmup asks"),
        ({"start": "2024-01-05", "end": "2024-01-05"}, "end must be after start"),
        ({"start": "January"}, "start must be a date or a time"),
        ({"start": datetime(2024, 1, 2)}, "must know its time zone"),
        ({"start": 5}, "start must be like '2024-01-01' or a datetime, not 5"),
        ({"warmup": "5d"}, "give start, too"),
        ({"start": "2024-01-05", "warmup": "5 cars"}, "or a number of bars, '200 bars'"),
        ({"start": "2024-01-05", "warmup": 1.5}, "warmup must be like '30d' or '200 bars'"),
        ({"start": "2024-01-05 Mars/Base"}, "unknown time zone 'Mars/Base'"),
        ({"begin": "2024-01-05"}, "did you mean start?"),
    ],
)  # fmt: skip
def test_an_error_says_what_there_is_or_how_to_write_it(settings: Any, told: str) -> None:
    with pytest.raises(BacktestError) as caught:
        watched(**settings)
    assert told in str(caught.value)


def test_a_range_beyond_the_data_is_told_of() -> None:
    _, result = watched(start="2023-12-01", end="2024-03-01")
    assert result.notices[:2] == [
        (
            "the bars of BTCUSD begin at 2024-01-01T00:00:00+00:00, after the start "
            "(2023-12-01T00:00:00+00:00)"
        ),
        (
            "the bars of BTCUSD end at 2024-01-31T00:00:00+00:00, before the end "
            "(2024-03-01T00:00:00+00:00)"
        ),
    ]


def test_times_are_of_the_zone_that_is_named_else_of_the_datas_else_utc() -> None:
    # In January Berlin is an hour ahead of UTC, New York five behind.
    def start(text: Any, tz: Any = None) -> str:
        return str(range_of(text, None, None, tz).text()["start"])

    assert start("2024-01-10") == start(date(2024, 1, 10)) == "2024-01-10T00:00:00+00:00"
    assert start("2024-01-10", "Europe/Berlin") == "2024-01-09T23:00:00+00:00"
    assert start("2024-01-10 09:30 America/New_York", "UTC") == "2024-01-10T14:30:00+00:00"
    assert start("2024-01-10T09:30+01:00", "America/New_York") == "2024-01-10T08:30:00+00:00"
    # The clocks skipped 02:30 on the last day of March.
    with pytest.raises(ConfigError, match="does not exist in Europe/Berlin"):
        start("2024-03-31 02:30", "Europe/Berlin")


def test_where_the_zone_of_one_pair_alone_is_said_times_are_of_utc() -> None:
    others = [Bar("ETHUSD", *[getattr(bar, name) for name in FIELDS]) for bar in BARS]
    data = {"BTCUSD": BARS, "ETHUSD": others}
    for zones, begins in (
        ({"BTCUSD": "Europe/Berlin"}, "2024-01-10T00:00:00+00:00"),
        ({"BTCUSD": "Europe/Berlin", "ETHUSD": "Europe/Berlin"}, "2024-01-09T23:00:00+00:00"),
    ):
        result = backtest.run(
            Watching(), data=data, cash="1000 USD", tz=zones, start="2024-01-10", warmup="5d"
        )
        assert result.summary["start"] == begins


def test_what_is_seen_before_the_start_feeds_history_and_indicators_and_targets_are_refused() -> (
    None
):
    class Counting:
        value = 0

        def add(self, price: float) -> None:
            self.value += 1

    class Aiming(Strategy):
        def on_start(self) -> None:
            self.seen: list[Any] = []
            self.feed = self.use(Counting(), "BTCUSD")

        async def on_bar(self, bar: Bar) -> None:
            orders = await self.target("BTCUSD", volume=1)
            refused = [one.reason for one in orders.refused.values()]
            self.seen.append(
                (self.feed.value, len(self.history("BTCUSD", 9)), len(orders), refused)
            )

    aiming = Aiming()
    backtest.run(
        aiming, data=BARS, pair="BTCUSD", cash="1000 USD", start="2024-01-10", end="2024-01-12",
        warmup="2 bars",
    )  # fmt: skip
    # The bar that closes at the start is there to decide on.
    assert aiming.seen == [
        (1, 1, 0, [RejectReason.WARMING_UP]),
        (2, 2, 1, []),
        (3, 3, 0, []),
        (4, 4, 0, []),
    ]


def test_trades_are_of_the_range_with_their_excursions() -> None:
    class Closing(Watching):
        async def on_bar(self, bar: Bar) -> None:
            await super().on_bar(bar)
            if bar.open_ns == BARS[12].open_ns:
                await self.close_all()

    result = backtest.run(
        Closing(), data=BARS, pair="BTCUSD", cash="1000 USD", start="2024-01-10", warmup="5 bars"
    )
    # Bought at the open of the tenth, 110, sold at that of the fourteenth, 114; the bars between
    # go from 109 up to the high of the thirteenth, 114.5.
    trade = result.trades[0]
    assert (trade.entry_price, trade.exit_price) == (Decimal(110), Decimal(114))
    assert (trade.mae, trade.mfe) == (Decimal(-1), Decimal("4.5"))


def test_a_range_is_plain_data_and_comes_back() -> None:
    for one in (
        range_of("2024-01-10", "2024-02-01", "30d"),
        range_of("2024-01-10 06:00", None, "200 bars"),
        range_of("2024-01-10 06:00", None, timedelta(hours=36)),
        range_of(None, "2024-02-01", None),
        DataRange(),
    ):
        assert range_of(**one.text()) == one
    assert range_of("2024-01-10", None, "7200s").text()["warmup"] == "2h"


def test_once_only_sources_take_a_length_of_time_and_no_count() -> None:
    class Once:
        pair, bar_ns = "BTCUSD", DAY

        def __init__(self) -> None:
            self._bars = iter(BARS)

        def __iter__(self) -> Once:
            return self

        def __next__(self) -> Bar:
            return next(self._bars)

        def digest(self) -> str:
            return "once"

    watching = Watching()
    backtest.run(
        watching, data=Once(), pair="BTCUSD", cash="1000 USD", start="2024-01-10", warmup="2d"
    )
    assert watching.seen[0] == (8, True)
    with pytest.raises((ConfigError, DataError), match="only once"):
        backtest.run(
            Watching(), data=Once(), pair="BTCUSD", cash="1 USD", start="2024-01-10", warmup=2
        )
