"""Bars of a month beside days, of an hour beside half hours: who sees them when, and what fills."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import backtest
from backtest.analysis.rereading import reopened
from backtest.analysis.tables.files import read_run
from backtest.data import write_csv
from backtest.errors import ConfigError, DataError
from backtest.models import Bar
from backtest.strategies import Strategy
from backtest.times import DAY, HOUR, MINUTE, MONTH
from tests.generators import D


def frame(times: Any, prices: Any) -> pd.DataFrame:
    columns = ("open", "high", "low", "close")
    return pd.DataFrame(dict.fromkeys(columns, prices), index=pd.DatetimeIndex(times))


def days() -> pd.DataFrame:
    """Daily bars at 100, from 31 December at 200."""
    index = pd.date_range("2022-10-01", "2023-03-30")
    prices = [200.0 if day >= pd.Timestamp("2022-12-31") else 100.0 for day in index]
    return frame(index, prices)


def months() -> pd.DataFrame:
    """The same as months: only December closes above its open."""
    made = frame(pd.date_range("2022-10-01", "2023-03-01", freq="MS"), 100.0)
    made.loc["2022-12-01", ["high", "close"]] = 200.0
    made.loc["2023-01-01":, :] = 200.0
    return made


class Monthly(Strategy):
    """Buys when a month closed above its open."""

    how: str = "all"

    def on_start(self) -> None:
        self.seen: list[tuple[str, int]] = []
        if self.how == "subscription":
            self.subscribe("BTCUSD", length="1M")

    async def on_bar(self, bar: Bar) -> None:
        if self.how != "iterator" and bar.nominal_length == MONTH:
            await self.note(bar)

    async def run(self) -> None:
        if self.how == "iterator":
            async for bar in self.bars("BTCUSD", length="1M"):
                await self.note(bar)

    async def note(self, bar: Bar) -> None:
        self.seen.append((f"{self.now:%Y-%m-%d}", bar.length // DAY))
        if bar.close > bar.open:
            await self.buy("BTCUSD", 4)


@pytest.mark.parametrize("how", ["all", "subscription", "iterator"])
@pytest.mark.parametrize("bar", [None, ["1d", "1M"], {"BTCUSD": ["1d", "1M"]}])
def test_a_month_is_known_when_it_is_over(how: str, bar: Any) -> None:
    """December's bar is told on 1 January, when the price is 200, and bought at that: no profit.

    With months as short as February it would be told on 29 December, when the price is 100.
    """
    strategy = Monthly(how=how)
    result = backtest.run(
        strategy, data=[days(), months()], pair="BTCUSD", cash="1000 USD", bar=bar
    )
    assert strategy.seen == [
        ("2022-11-01", 31),
        ("2022-12-01", 30),
        ("2023-01-01", 31),
        ("2023-02-01", 31),
        ("2023-03-01", 28),
        ("2023-04-01", 31),
    ]
    assert [(one.price, f"{one.timestamp:%Y-%m-%d}") for one in result.fills] == [
        (D(200), "2023-01-02")
    ]
    assert result.final_equity == D(1000)
    assert result.verify().ok


class Lengths(Strategy):
    """Notes when each bar it subscribed to ends, in hours of its day, and how long it was."""

    pair: str = "BTCUSD"
    length: str = "1d"

    def on_start(self) -> None:
        self.subscribe(self.pair, length=self.length)
        self.by_handler: list[tuple[int, int]] = []
        self.by_iterator: list[tuple[int, int]] = []

    def on_bar(self, bar: Bar) -> None:
        self.by_handler.append((bar.close_time.hour, bar.length // MINUTE))

    async def run(self) -> None:
        async for bar in self.bars(self.pair, length=self.length):
            self.by_iterator.append((bar.close_time.hour, bar.length // MINUTE))


def test_a_subscription_takes_days_of_23_hours_and_bars_that_were_cut() -> None:
    index = pd.date_range("2020-03-28", periods=3)
    strategy = Lengths()
    backtest.run(
        strategy, data=frame(index, 100.0), pair="BTCUSD", cash="1 USD", tz="Europe/Berlin"
    )
    assert strategy.by_handler == strategy.by_iterator == [(23, 1440), (22, 23 * 60), (22, 1440)]
    opens = [f"2020-01-02 {clock}" for clock in ("09:30", "10:00", "11:00", "12:00")]
    strategy = Lengths(length="1h")
    backtest.run(strategy, data=frame(opens, 1.0), pair="BTCUSD", cash="1 USD", bar="1h")
    assert strategy.by_handler == strategy.by_iterator == [(10, 30), (11, 60), (12, 60), (13, 60)]


def made(start: int, end: int, volume: int = 1) -> Bar:
    return Bar("BTCUSD", start, end, D(100), D(100), D(100), D(100), D(volume))


def test_bars_made_by_hand_are_days_and_months_too() -> None:
    """A custom source says nothing of its bars' names: a day may be an hour off."""

    class Own:
        pair = "BTCUSD"
        bar_ns = DAY

        def __iter__(self) -> Any:
            return iter([made(0, DAY), made(DAY, 47 * HOUR), made(47 * HOUR, 71 * HOUR)])

        def digest(self) -> str:
            return "mine"

    strategy = Lengths()
    backtest.run(strategy, data=Own(), cash="1 USD")
    assert strategy.by_handler == strategy.by_iterator == [(0, 1440), (23, 23 * 60), (23, 1440)]
    strategy = Lengths(length="1h")
    backtest.run(strategy, data=Own(), cash="1 USD")
    assert strategy.by_handler == strategy.by_iterator == []


class Patient(Strategy):
    """Bids for 9 at once."""

    async def run(self) -> None:
        await self.buy("BTCUSD", 9, limit_price=100)


def test_a_bar_that_was_cut_is_told_by_finer_ones(tmp_path: Path) -> None:
    """Hours whose first lasts half an hour, beside half hours: each trade is there once.

    The three half hours fill 1 each; the hours are news to strategies alone. Were the cut one taken
    for a half hour, it would fill once more.
    """
    half = [made(at * 30 * MINUTE, (at + 1) * 30 * MINUTE) for at in (19, 20, 21)]
    write_csv(tmp_path / "half.csv", half)
    path = tmp_path / "hours.csv"
    path.write_text(
        "ts,o,h,l,c,v\n"
        "1970-01-01 09:30:00,100,100,100,100,1\n1970-01-01 10:00:00,100,100,100,100,2\n"
        "1970-01-01 13:00:00,100,100,100,100,0\n"
    )
    result = backtest.run(
        Patient(),
        data=[tmp_path / "half.csv", path],
        pair="BTCUSD",
        cash="1000 USD",
        bar=[None, "1h"],
    )
    assert [(one.volume, one.timestamp_ns // MINUTE) for one in result.fills] == [
        (D(1), 600),
        (D(1), 630),
        (D(1), 660),
    ]
    assert result.verify().ok


def test_a_day_is_made_of_all_its_hours_also_of_the_one_that_was_cut() -> None:
    got: list[tuple[Decimal | None, int]] = []

    class Days(Strategy):
        async def run(self) -> None:
            async for bar in self.bars("BTCUSD", length="1d", resample="bars"):
                got.append((bar.volume, bar.length // HOUR))

    opens = [f"2020-01-02 {clock}" for clock in ("09:30", "10:00", "11:00", "12:00")]
    hours = frame([*opens, "2020-01-03 10:00"], 100.0).assign(volume=[1, 2, 3, 4, 5])
    backtest.run(Days(), data=hours, pair="BTCUSD", cash="1 USD", bar="1h")
    assert got == [(D(10), 24)]  # 1 + 2 + 3 + 4


def test_the_latest_of_months_is_the_latest_whatever_their_length() -> None:
    got: list[int] = []

    class Slow(Strategy):
        def on_start(self) -> None:
            self.subscribe("BTCUSD", length="1M", conflate=True)

        async def on_bar(self, bar: Bar) -> None:
            got.append(bar.open_time.month)
            await self.sleep("100d")

    data = frame(pd.date_range("2020-01-01", "2020-08-01", freq="MS"), 100.0)
    backtest.run(Slow(), data=data, pair="BTCUSD", cash="1 USD")
    # January, told on 1 February, keeps it busy until 11 May: April is the latest by then, and on
    # 19 August it is July. August is told on 1 September, while it is still busy.
    assert got == [1, 4, 7]


# -- each file in its own way ----------------------------------------------------------------------


def test_each_source_of_a_pair_may_be_read_in_its_own_way(tmp_path: Path) -> None:
    opens, closes = tmp_path / "opens.csv", tmp_path / "closes.csv"
    rows = "".join(f"{clock},1,1,1,1\n" for clock in ("00:00", "00:01", "00:02"))
    opens.write_text("date,o,h,l,c\n" + rows.replace("00:0", "2020-01-01 00:0"))
    closes.write_text("date,o,h,l,c\n2020-01-01 01:02,1,1,1,1\n2020-01-01 01:04,1,1,1,1\n")
    how: dict[str, Any] = {
        "bar": ["1m", None],
        "stamp": [None, "close"],
        "tz": {"BTCUSD": [None, "Europe/Berlin"]},
    }
    result = backtest.run(
        Patient(), data=[opens, closes], pair="BTCUSD", cash="1000 USD", stream=True, **how
    )
    assert result.config["stamp"] == ["open", "close"]
    sources = result.config["data"]["BTCUSD"]["sources"]
    assert [{**one, "sha256": ""} for one in sources] == [
        {"bar_ns": MINUTE, "bar": "1m", "sha256": ""},
        {"bar_ns": 2 * MINUTE, "stamp": "close", "tz": "Europe/Berlin", "sha256": ""},
    ]
    result.write(tmp_path / "run")
    bars, problem = reopened(read_run(tmp_path / "run").facts, {})
    assert problem == ""
    assert [(one.open_ns // MINUTE % 60, one.close_ns // MINUTE % 60) for one in bars or ()] == [
        (0, 1),
        (1, 2),
        (0, 2),
        (2, 3),
        (2, 4),
    ]


def test_settings_that_fit_no_source(tmp_path: Path) -> None:
    for how, message in (
        ({"bar": ["1d"]}, "bar has 1 values, and BTCUSD has 2 sources: give one value for all"),
        ({"tz": {"ETHUSD": "UTC"}}, "tz names pair 'ETHUSD', which is not in the data"),
    ):
        with pytest.raises(ConfigError, match=message):
            backtest.run(Patient(), data=[days(), months()], pair="BTCUSD", cash="1 USD", **how)
    with pytest.raises(DataError, match="as most rows do"):
        backtest.run(Patient(), data=[days(), months()], pair="BTCUSD", cash="1 USD", bar="1M")
