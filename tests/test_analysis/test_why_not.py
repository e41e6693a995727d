"""Why an order did not fill, worked out by hand: one bar of each reason, in words with numbers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.analysis.explain.explain import explain
from backtest.analysis.rereading import reopened
from backtest.analysis.result import RunResult
from backtest.analysis.tables.files import read_run
from backtest.cli import main
from backtest.models import Asset, Bar, Fills, MarketEvent, TradingPair, TradingRules
from backtest.strategies import Strategy
from backtest.times import format_ns, parse_ns
from tests.harness import HOUR, bar, quote, trade

PAIR = TradingPair("BTCUSD", "BTC", Asset("USD", 2), D("0.01"), D("0.1"))


class Says(Strategy):
    """Does at each bar or quote what ``script`` says: functions of it, None for nothing."""

    script: Sequence[Callable[[Any], Awaitable[Any]] | None]

    def on_start(self) -> None:
        self.place = 0

    async def step(self) -> None:
        if self.place < len(self.script):
            act = self.script[self.place]
            self.place += 1
            if act is not None:
                await act(self)

    async def on_bar(self, bar: Any) -> None:
        await self.step()

    async def on_quote(self, quote: Any) -> None:
        await self.step()


def run(
    events: Sequence[MarketEvent],
    *script: Callable[[Any], Awaitable[Any]] | None,
    rules: Any = None,
    **more: Any,
) -> RunResult:
    return backtest.run(
        Says(script=script),
        data=events if "data" not in more else more.pop("data"),
        pair=PAIR,
        cash={"main": "10000 USD"},
        rules=rules,
        **more,
    )


def silent(result: RunResult, order: int = 1) -> list[str]:
    """What the story of an order says of events on which nothing happened, without the times."""
    found = []
    for line in result.explain(order).splitlines():
        for word in (
            "NOT FILLED",
            "NO STOP-LOSS",
            "NO TAKE-PROFIT",
            "NO LIQUIDATION",
            "NOT CLOSED",
        ):
            if word in line and not line.startswith(" "):
                found.append(line.partition("  ")[2])
    return found


async def buy_limit(me: Any) -> None:
    await me.buy("BTCUSD", 1, limit_price=100)


def test_a_price_that_is_not_reached_is_told_once_for_all_bars() -> None:
    bars = [bar(0, 105), bar(1, 105, 106, 103), bar(2, 104, 104, 101), bar(3, 104, 105, 102)]
    result = run(bars, buy_limit)
    assert result.explain(1).count("NOT FILLED") == 1
    line = next(one for one in result.explain(1).splitlines() if "NOT FILLED" in one)
    assert line == (
        "1970-01-01 00:02 to 1970-01-01 00:04  NOT FILLED on 3 bars (match): the low was never at "
        "or below the limit 100.00; nearest 101.00 at 1970-01-01 00:03"
    )


def test_a_single_bar_is_told_with_its_low() -> None:
    result = run([bar(0, 105), bar(1, 105, 106, 103)], buy_limit)
    assert silent(result) == [
        "NOT FILLED on this bar (match): the low 103.00 stayed above the limit 100.00"
    ]


def test_touched_but_not_penetrated() -> None:
    # Two ticks of 0.01: the market has to come to 99.98.
    result = run([bar(0, 105), bar(1, 105, 106, 100)], buy_limit, rules={"penetration_ticks": 2})
    assert silent(result) == [
        (
            "NOT FILLED on this bar (match): the low 100.00 touched the limit 100.00, but 99.98 "
            "was "
            "needed (2 ticks beyond it)"
        )
    ]


def test_the_volume_went_to_others() -> None:
    # 5 x 0.1 = 0.5: the better limit of 101 takes 0.3, the rest goes to the first of two at 100.
    async def several(me: Any) -> None:
        await me.buy("BTCUSD", 1, limit_price=100)
        await me.buy("BTCUSD", "0.3", limit_price=101)
        await me.buy("BTCUSD", 1, limit_price=100)

    bars = [bar(0, 105, volume=1), bar(1, 105, 106, 99, 100, volume=5)]
    result = run(bars, several, rules={"participation": "0.1"})
    assert silent(result, 3) == [
        (
            "NOT FILLED on this bar (match): volume 5 x participation 0.1 = 0.5 was used up: 0.3 "
            "to "
            "order #2, 0.2 to order #1"
        )
    ]
    # #1 filled 0.2; what is left of it has a story, too.
    story = result.explain(1)
    assert "THE REST, 0.8, NOT FILLED of order" in story
    assert "0.3 to order #2, 0.2 to itself" in story


def test_a_bar_without_volume_and_one_with_too_little() -> None:
    bars = [bar(0, 99), bar(1, 99, volume=0), bar(2, 99, volume="0.5")]
    result = run(bars, buy_limit, rules={"participation": "0.1"})
    assert silent(result) == [
        "NOT FILLED on this bar (match): the bar had no volume",
        (
            "NOT FILLED on this bar (match): volume 0.5 x participation 0.1 is less than one "
            "increment of 0.1"
        ),
    ]


def test_accepted_inside_a_bar() -> None:
    # 30 s into the bar: a limit may look at the close, a market order waits for the next open.
    async def later(me: Any) -> None:
        await me.sleep(30)
        await me.buy("BTCUSD", 1, limit_price=100)
        await me.buy("BTCUSD", 1)

    result = run([bar(0, 105), bar(1, 105, 106, 99, 104), bar(2, 104)], later)
    assert silent(result, 1)[0] == (
        "NOT FILLED on this bar (match): accepted inside the bar, so that only its close counts: "
        "104.00, above the limit 100.00"
    )
    assert silent(result, 2) == [
        (
            "NOT FILLED on this bar (match): accepted at 1970-01-01 00:01:30, after this bar had "
            "opened at 1970-01-01 00:01: a market order waits for an open after that"
        )
    ]


def test_an_order_for_the_day_and_one_till_a_moment_on_a_daily_bar() -> None:
    # Sent at 5:00, both are over inside the bar of a day that opens then, one at midnight as the
    # day is. It may still have the day's low; the other has the open alone.
    async def both(me: Any) -> None:
        await me.buy(PAIR.code, 1, limit_price=95, time_in_force="DAY")
        await me.buy(PAIR.code, 1, limit_price=96, expires="19h")

    days = [
        bar(0, 100, length=24 * HOUR, start=5 * HOUR),
        bar(0, 100, 100, 96, 99, length=24 * HOUR, start=29 * HOUR),
        bar(0, 90, length=24 * HOUR, start=53 * HOUR),
    ]
    result = run(days, both)
    assert not result.fills
    assert silent(result) == [
        "NOT FILLED on this bar (match): the low 96.00 stayed above the limit 95.00"
    ]
    (why,) = silent(result, 2)
    assert why.endswith("of this bar only the open counts for it: 100.00, above the limit 96.00")


def test_exits_that_came_too_early_or_too_late() -> None:
    # Bought at 100 on the way from 110 to 90 (the high first): 110 was there before, so no
    # take-profit at 108; then 95 stops it out before anything else.
    async def bracket(me: Any) -> None:
        await me.long("BTCUSD", 1, limit_price=100, stop_loss=80, take_profit=108)

    bars = [bar(0, 105), bar(1, 105, 110, 90, 95), bar(2, 95, 112, 75, 100)]
    result = run(bars, bracket, rules={"path": "open_high_low_close"})
    assert silent(result) == [
        "NO STOP-LOSS on this bar (trigger): the low 90.00 stayed above the stop-loss 80.00",
        (
            "NO TAKE-PROFIT on this bar (trigger): 108.00 was there only before the position was "
            "opened on this bar"
        ),
        "NO STOP-LOSS on this bar (trigger): its take-profit came first",
    ]


def test_a_stop_and_a_trailing_stop_that_are_not_reached() -> None:
    async def stops(me: Any) -> None:
        await me.buy("BTCUSD", 1, stop_price=110)
        await me.buy("BTCUSD", 1, trail=5)

    # The trailing stop begins at 105; after 98 it stands at 103.
    result = run([bar(0, 100), bar(1, 100, 101, 98, 99), bar(2, 99, 102, 99, 100)], stops)
    assert silent(result, 1) == [
        (
            "NOT FILLED on 2 bars (trigger): the high was never at or above the stop 110.00; "
            "nearest "
            "102.00 at 1970-01-01 00:03"
        )
    ]
    assert silent(result, 2) == [
        "NOT FILLED on this bar (trigger): the high 101.00 stayed below the trailing stop 105.00",
        "NOT FILLED on this bar (trigger): the high 102.00 stayed below the trailing stop 103.00",
    ]


def test_a_stop_limit_whose_stop_is_reached_and_whose_limit_is_not() -> None:
    async def stop_limit(me: Any) -> None:
        await me.buy("BTCUSD", 1, stop_price=105, limit_price=101)

    # To 105 and back to 103 only.
    bars = [bar(0, 100), bar(1, 102, 106, 100, 103), bar(2, 103, 104, 102, 103)]
    result = run(bars, stop_limit, rules={"path": "open_low_high_close"})
    assert silent(result) == [
        (
            "NOT FILLED on this bar (match): its stop was reached, and after that the limit 101.00 "
            "was not"
        ),
        "NOT FILLED on this bar (match): the low 102.00 stayed above the limit 101.00",
    ]


def test_what_must_fill_whole_or_at_once() -> None:
    async def at_once(me: Any) -> None:
        await me.buy("BTCUSD", 1, limit_price=101, time_in_force="FOK")
        await me.buy("BTCUSD", 1, limit_price=99, time_in_force="IOC")

    result = run([bar(0, 100), bar(1, 100, 102, 98, 99, volume="0.5")], at_once)
    assert silent(result, 1) == [
        "NOT FILLED on this bar (match): all of 1 must fill or nothing, and 0.5 was there"
    ]
    assert "(FILL_OR_KILL: all of it at once or nothing)" in result.explain(1)
    assert silent(result, 2) == [
        (
            "NOT FILLED on this bar (match): of this bar only the open counts for it: 100.00, "
            "above "
            "the limit 99.00"
        )
    ]


@pytest.mark.parametrize("volume", [2, "2.5"])
def test_what_others_take_later_on_the_path_was_there(volume: Any) -> None:
    # 3 are wanted at the open of 100, the first price that counts, and fewer are there; the stop
    # at 105 takes 1 after that, and at 106 another takes the rest.
    async def three(me: Any) -> None:
        await me.buy("BTCUSD", 3, limit_price=100, time_in_force="FOK")
        await me.buy("BTCUSD", 1, stop_price=105)
        await me.buy("BTCUSD", 2, stop_price=106)

    bars = [bar(0, 105), bar(1, 100, 107, 96, 100, volume)]
    result = run(bars, three)
    assert sum(fill.volume for fill in result.fills) == D(volume)
    assert silent(result) == [
        (f"NOT FILLED on this bar (match): all of 3 must fill or nothing, and {volume} was there")
    ]


def test_what_a_stop_that_fills_whole_lacked() -> None:
    # On the way up from 100 one takes 1 of 3 at 104; at 105 the order for 3 finds 2; at 106 another
    # takes 1.
    async def three(me: Any) -> None:
        await me.buy("BTCUSD", 1, stop_price=104)
        await me.buy("BTCUSD", 3, stop_price=105, time_in_force="FOK")
        await me.buy("BTCUSD", 1, stop_price=106)

    result = run([bar(0, 100), bar(1, 100, 107, 96, 100, 3)], three)
    assert silent(result, 2) == [
        "NOT FILLED on this bar (match): all of 3 must fill or nothing, and 2 was there"
    ]
    assert "first opportunity: the volume there was 2" in result.explain(2)


def test_a_trailing_stop_that_moves_and_finds_no_volume_on_one_bar() -> None:
    # Low first: at 94 the level moves from 106 to 100, which the way up to 101 reaches.
    async def trail(me: Any) -> None:
        await me.buy("BTCUSD", 1, trail=6)

    bars = [bar(0, 100), bar(1, 100, 101, 94, 97, 0), bar(2, 97)]
    result = run(bars, trail)
    assert silent(result) == ["NOT FILLED on this bar (match): the bar had no volume"]
    story = result.explain(1)
    assert story.index("trailing stop at 100\n") < story.index("trailing_stop at 100 was reached")
    assert "bought 1 at 97.00" in story


def test_nothing_was_left_at_this_close() -> None:
    async def two(me: Any) -> None:
        await me.buy("BTCUSD", 1)
        await me.buy("BTCUSD", 1)

    result = run([bar(0, 100, volume=1), bar(1, 101)], two, rules={"fill_on": "this_close"})
    assert silent(result, 2) == [
        (
            "NOT FILLED at this close (match): volume 1 x participation 1 = 1 was used up: 1 to "
            "order #1"
        ),
    ]


def test_quotes_and_trades() -> None:
    # The ask comes to 100.50 and never to 100; a trade of a quoted market fills no stop.
    async def both(me: Any) -> None:
        await me.buy("BTCUSD", 1, limit_price=100)
        await me.buy("BTCUSD", 1, stop_price=103)

    quotes = [quote(60, 101, 102), quote(120, 100, "100.5"), quote(180, 101, 102)]
    result = run((), both, data=[quotes, [trade(130, 104)]])
    stood = "NOT FILLED at once, at the quote of 1970-01-01 00:01"
    assert silent(result, 1) == [
        f"{stood} (match): the ask 102.00 stayed above the limit 100.00",
        (
            "NOT FILLED on 3 events (match): the ask was never at or below the limit 100.00; "
            "nearest "
            "100.50 at 1970-01-01 00:02"
        ),
    ]
    assert silent(result, 2) == [
        f"{stood} (trigger): the ask 102.00 stayed below the stop 103.00",
        "NOT FILLED on this quote (trigger): the ask 100.50 stayed below the stop 103.00",
        (
            "NOT FILLED on this trade (match): a trade of a market that is quoted fills resting "
            "limits only"
        ),
        "NOT FILLED on this quote (trigger): the ask 102.00 stayed below the stop 103.00",
    ]


@pytest.mark.parametrize("coarse_first", [False, True])
def test_a_bar_that_finer_data_has_told_is_no_event(coarse_first: bool) -> None:
    # One-minute bars for two minutes, two-minute bars for four: the first of these, with a low of
    # 90 that the minutes do not have, is news to strategies alone; the second is an event.
    async def limit(me: Any) -> None:
        await me.buy("BTCUSD", 1, limit_price=95)

    def long_bar(at: int, low: int) -> Bar:
        start, end = at * 60 * 10**9, (at + 2) * 60 * 10**9
        return Bar("BTCUSD", start, end, D(100), D(101), D(low), D(100), D(10))

    fine = [bar(0, 100), bar(1, 100, 101, 99, 100)]
    coarse = [long_bar(0, 90), long_bar(2, 96)]
    result = run((), limit, data=[coarse, fine] if coarse_first else [fine, coarse])
    assert silent(result) == [
        (
            "NOT FILLED on 2 bars (match): the low was never at or below the limit 95.00; "
            "nearest 96.00 at 1970-01-01 00:04"
        )
    ]


# -- where the data comes from ---------------------------------------------------------------------


def written(folder: Path) -> tuple[RunResult, Path]:
    """A run on a file, written to files."""
    data = folder / "btc.csv"
    data.write_text(
        "time,open,high,low,close,volume\n"
        "1970-01-01T00:00:00Z,105,105,105,105,10\n"
        "1970-01-01T00:01:00Z,105,106,103,104,10\n",
        encoding="utf-8",
    )
    result = run((), buy_limit, data=str(data))
    return result, result.write(folder / "run")


def test_the_files_of_a_run_tell_the_same(tmp_path: Path) -> None:
    result, folder = written(tmp_path)
    files = read_run(folder)
    bars, problem = reopened(files.facts, {})
    assert not problem
    story = explain(files, "1", bars)
    assert story == result.explain(1)
    assert "the low 103.00 stayed above the limit 100.00" in story


def test_the_command_finds_the_data_or_says_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder = written(tmp_path)
    assert main(["explain", str(folder), "1"]) == 0
    assert "the low 103.00 stayed above" in capsys.readouterr().out
    moved = (tmp_path / "btc.csv").rename(tmp_path / "moved.csv")
    assert main(["explain", str(folder), "1"]) == 0
    out = capsys.readouterr().out
    assert "is not told: there is no file" in out
    assert "--data BTCUSD=FILE" in out
    for given in (str(moved), f"BTCUSD={moved}"):
        assert main(["explain", str(folder), "1", "--data", given]) == 0
        assert "the low 103.00 stayed above" in capsys.readouterr().out
    assert main(["explain", str(folder), "1", "--data", f"ETHUSD={moved}"]) == 1
    assert "say which pair" in capsys.readouterr().err
    moved.write_text(moved.read_text("utf-8").replace("103", "102"), encoding="utf-8")
    assert main(["explain", str(folder), "1", "--data", str(moved)]) == 0
    assert "is not what the run was made on" in capsys.readouterr().out


def test_policies_that_are_code_do_not_stand_in_files(tmp_path: Path) -> None:
    class Half:
        """Of each bar's volume a half."""

        def pool(self, bar: Any, increment: D) -> D | None:
            return None if bar.volume is None else bar.volume / 2

    bars = [bar(0, 99, volume=4), bar(1, 99, volume="0.8")]
    rules = TradingRules(fills=Fills(volume=Half()))
    result = run(bars, buy_limit, rules=rules)
    assert "0.4 to itself" in result.explain(1)
    files = read_run(result.write(tmp_path / "run"))
    story = explain(files, "1", bars)
    assert "is not told: its rules cannot be read from files" in story
    assert "bought 0.4 at 99.00" in story


def test_rules_that_do_not_decide_fills_are_left_aside(tmp_path: Path) -> None:
    rules = {"funding": {"rate": "0.0001"}, "path": "adaptive"}
    bars = [bar(0, 105), bar(1, 105, 106, 103)]
    result = run(bars, buy_limit, rules=rules)
    files = read_run(result.write(tmp_path / "run"))
    assert explain(files, "1", bars) == result.explain(1)


@pytest.mark.parametrize(
    "ns", [0, 1, 999, 1_000, 1_500_000, 10**9, 1_577_836_800_000_000_001, 253_402_300_799 * 10**9]
)
def test_a_time_is_read_as_it_was_written(ns: int) -> None:
    assert parse_ns(format_ns(ns)) == ns
