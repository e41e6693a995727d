"""Several sources of one pair: the finest is traded against, all are delivered; by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.actors.venue.coverage import Coverage
from backtest.data import MemoryBars, SeveralSources, merge, open_data, write_csv
from backtest.errors import ConfigError, DataError
from backtest.models import Bar, Quote
from backtest.strategies import Strategy
from backtest.times import to_ns
from tests.harness import HOUR, D, M, Me, bar, play, quote, trade

S = 10**9


def minutes(start: int, *prices: int) -> list[Bar]:
    """Flat minute bars from minute ``start`` on."""
    return [bar(start + at, price) for at, price in enumerate(prices)]


def five(number: int, *prices: int) -> Bar:
    """A bar of five minutes: open, high, low, close."""
    return bar(number, *prices, length=5 * M)


def mixed(*sources: list[Any]) -> list[Any]:
    return list(merge(sources))


def test_a_bar_that_minutes_have_told_is_not_walked() -> None:
    async def script(me: Me) -> None:
        stream = me.bars("BTCUSD", length="1m")
        await anext(stream)  # minute 0 closes
        await me.buy("BTCUSD", 1, limit_price="90")
        for _ in range(9):
            await anext(stream)

    # The five-minute bars pretend that 80 was there; the minutes know better.
    data = mixed(minutes(0, *[100] * 10), [five(0, 100, 120, 80, 100), five(1, 100, 120, 80, 100)])
    assert [one.length // M for one in data[:7]] == [1, 1, 1, 1, 1, 5, 1]
    assert play(data, script).fills() == []


def test_a_bar_in_a_gap_of_the_minutes_is_walked() -> None:
    async def script(me: Me) -> None:
        stream = me.bars("BTCUSD")
        await anext(stream)
        await me.buy("BTCUSD", 1, limit_price="90")
        async for _ in stream:
            pass

    data = mixed(
        minutes(0, 100, 100, 100, 100, 100), [five(0, *[100] * 4), five(1, 100, 105, 80, 95)]
    )
    world = play(data, script)
    assert world.fills() == ["entry LONG 1 @ 90 low maker"]
    assert world.records.fills[0].timestamp_ns == 10 * M


def test_ticks_go_before_bars_and_mark() -> None:
    async def script(me: Me) -> None:
        stream = me.bars("BTCUSD")
        await anext(stream)  # the quotes of minute 0 have told it
        await me.buy("BTCUSD", 1)  # what was quoted stands, and has 1
        assert me.last_price("BTCUSD") == D("99.5")
        order = await me.buy("BTCUSD", 1)
        await anext(stream)  # nothing was quoted in minute 1: its open, if it had opened since
        assert order.average_price == D(107)

    data: list[Any] = [quote(10, 99, 100, 1, 1), bar(0, 100, 110, 90, 105), bar(1, 107)]
    world = play(data, script)
    assert world.fills() == ["entry LONG 1 @ 100 ask", "entry LONG 1 @ 107 open"]


def test_an_order_inside_a_bar_meets_ticks_but_not_the_open_of_a_bar_before_it() -> None:
    async def script(me: Me) -> None:
        quotes, stream = me.quotes("BTCUSD"), me.bars("BTCUSD")
        await anext(quotes)  # second 61: inside minute 1
        order = await me.buy("BTCUSD", 2)
        assert order.filled_volume == D(1)  # all that was asked
        await anext(stream)
        assert not order.is_filled
        await anext(stream)  # minute 2, in which nothing was quoted
        assert order.average_price == D("101.5")  # 100 and 103

    play([quote(61, 99, 100, 1, 1), bar(1, 101), bar(2, 103)], script)


def test_on_bar_gets_the_lengths_that_were_subscribed() -> None:
    seen: list[int] = []

    class Watcher(Strategy):
        def on_start(self) -> None:
            self.subscribe("BTCUSD", length="5m")

        def on_bar(self, bar: Bar) -> None:
            seen.append(bar.length)

    class All(Strategy):
        def on_bar(self, bar: Bar) -> None:
            every.append(bar.length)

    every: list[int] = []
    data = mixed(minutes(0, *[100] * 5), [five(0, *[100] * 4)])
    play(data, kinds=[Watcher, All])
    assert seen == [5 * M]
    assert every == [M] * 5 + [5 * M]


def test_iterators_over_lengths() -> None:
    got: dict[Any, list[int]] = {}

    async def script(me: Me) -> None:
        for length in ("1m", 5 * M, None):
            got[length] = []
        streams = {length: me.bars("BTCUSD", length=length) for length in got}
        for length, stream in streams.items():
            async for one in stream:
                got[length].append(one.close_ns // M)

    play(mixed(minutes(0, *[100] * 5), [five(0, *[100] * 4)]), script)
    assert got == {"1m": [1, 2, 3, 4, 5], 5 * M: [5], None: [1, 2, 3, 4, 5, 5]}


def test_what_covers_a_bar() -> None:
    coverage = Coverage()
    hour = bar(0, 1, length=HOUR)
    assert not coverage.takes(hour)
    coverage.ticked(2 * HOUR)  # a tick at the very end of an hour is of the next
    assert not coverage.takes(bar(1, 1, length=HOUR))
    assert coverage.takes(bar(2, 1, length=HOUR))
    coverage.ticked(3 * HOUR)
    assert coverage.takes(bar(2, 1, length=HOUR))  # by the tick before that one
    coverage = Coverage()
    assert not coverage.takes(bar(3, 1, length=M, start=3 * HOUR))
    assert coverage.takes(bar(3, 1, length=HOUR))  # by the minute in it


# -- from the runner -------------------------------------------------------------------------------


class Buyer(Strategy):
    pair: str = "BTCUSD"

    def on_start(self) -> None:
        self.lengths: list[int] = []
        self.quotes_seen = 0

    async def on_bar(self, bar: Bar) -> None:
        self.lengths.append(bar.length // M)
        if len(self.lengths) == 1:
            await self.buy(self.pair, 1)

    def on_quote(self, quote: Quote) -> None:
        self.quotes_seen += 1


def test_several_files_of_one_pair(tmp_path: Path) -> None:
    write_csv(tmp_path / "minutes.csv", minutes(0, 100, 101, 102, 103, 104))
    write_csv(tmp_path / "five.csv", [five(0, 100, 104, 100, 104), five(1, 100, 104, 100, 104)])
    write_csv(tmp_path / "quotes.csv", [quote(70, 99, 100, 5, 5), quote(80, 100, 101, 5, 5)])
    names = ["five.csv", "quotes.csv", "minutes.csv"]
    files = [str(tmp_path / name) for name in names]
    strategy = Buyer()
    result = backtest.run(strategy, data=files, pair="BTCUSD", cash="1000 USD")
    # Minutes 0, 2, 3, 4 have no quote in them: they are walked; minute 1 is not. The buy, given at
    # the end of minute 0, meets the quote of second 70.
    assert [(one.price, one.point) for one in result.fills] == [(D(100), "ask")]
    assert strategy.lengths == [1, 1, 1, 1, 1, 5, 5]
    assert (result.bars, result.ticks, strategy.quotes_seen) == (7, 2, 2)
    assert [list(one) for one in result.config["data"]["BTCUSD"]["sources"]] == [
        ["kind", "sha256"],
        ["bar_ns", "sha256"],
        ["bar_ns", "sha256"],
    ]
    assert "7 bars and 2 quotes and trades of BTCUSD" in result.report()
    assert result.verify().ok
    again = backtest.run(Buyer(), data={"BTCUSD": files}, cash="1000 USD")
    assert again.journal_sha256 == result.journal_sha256


def test_ticks_alone_run_and_tell_what_they_are() -> None:
    class Nothing(Strategy):
        pass

    ticks = [trade(1, 100), trade(2, 101)]
    result = backtest.run(Nothing(), data=ticks, pair="BTCUSD", cash="1000 USD")
    assert result.config["data"]["BTCUSD"]["kind"] == "trades"
    assert "2 quotes and trades of BTCUSD" in result.report()
    source = open_data(ticks, "BTCUSD")
    assert backtest.run(Nothing(), data=[source], cash="1000 USD").ticks == 2


def test_two_sources_of_one_kind_are_refused() -> None:
    first, second = MemoryBars(minutes(0, 100), "BTCUSD"), MemoryBars(minutes(9, 100), "BTCUSD")
    with pytest.raises(DataError, match="bars of the same length of BTCUSD, as another source"):
        SeveralSources([first, second])
    with pytest.raises(DataError, match="there is no source"):
        SeveralSources([])
    other = open_data([quote(1, 1, 1, pair="ETHUSD")], "ETHUSD")
    with pytest.raises(DataError, match="give each pair sources of its own"):
        SeveralSources([first, other])
    with pytest.raises(ConfigError, match="which pair is the data of"):
        backtest.run(Buyer(), data=[[*minutes(0, 100)]], cash="1 USD")


def test_several_sources_are_one_stream() -> None:
    source = SeveralSources(
        [
            MemoryBars([five(0, *[100] * 4)], "BTCUSD"),
            MemoryBars(minutes(0, *[100] * 5), "BTCUSD"),
            open_data([trade(300, 100)], "BTCUSD"),
            open_data([quote(300, 99, 100)], "BTCUSD"),
        ]
    )
    kinds = [type(one).__name__ for one in source]
    assert kinds == ["Bar"] * 4 + ["Quote", "Trade", "Bar", "Bar"]
    assert [one.length // M for one in source if isinstance(one, Bar)][-2:] == [1, 5]
    assert len(source.digest()) == 64
    assert repr(source) == "<4 sources of BTCUSD>"


def _until(seen: list[Any], minute: int) -> Any:
    """Bid 92 at minute 5, good for 2.5 minutes more; when it was told to be over."""

    async def script(me: Me) -> None:
        while to_ns(me.now) < minute * M:
            await me.next()
        order = await me.buy("BTCUSD", 1, limit_price="92", expires="150s")
        await order.done()
        seen.append((to_ns(me.now), order.end_reason))

    return script


def test_what_expires_inside_a_bar_that_fills_a_gap_takes_part_at_its_open() -> None:
    gap = mixed(minutes(0, *[100] * 5), [five(0, *[100] * 4), five(1, 91, 101, 90, 100)])
    seen: list[Any] = []
    world = play(gap, _until(seen, 5))
    # Good till 7:30, and the bar from 5 to 10, which no minute has told, opened at 91.
    assert world.fills() == ["entry LONG 1 @ 91 open"]
    assert seen == [(10 * M, None)]

    seen.clear()
    dear = mixed(minutes(0, *[100] * 5), [five(0, *[100] * 4), five(1, 93, 101, 90, 100)])
    assert play(dear, _until(seen, 5)).fills() == []
    assert seen == [(10 * M, "EXPIRED")]


def test_where_minutes_tell_the_bar_an_order_expires_at_its_moment() -> None:
    told = mixed(minutes(0, *[100] * 10), [five(0, *[100] * 4), five(1, 91, 101, 90, 100)])
    seen: list[Any] = []
    assert play(told, _until(seen, 5)).fills() == []
    # At 7:30 a minute may be under way whose open counts, and it opened before: known at 8.
    assert seen == [(8 * M, "EXPIRED")]


def test_a_bar_that_never_comes_does_not_keep_an_order_alive() -> None:
    data = mixed(minutes(0, *[100] * 5), [five(0, *[100] * 4), five(3, 100, 101, 99, 100)])
    seen: list[Any] = []
    play(data, _until(seen, 5))
    assert seen == [(10 * M, "EXPIRED")]
