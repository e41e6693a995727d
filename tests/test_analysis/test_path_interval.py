"""Between what a run's profit lies, whichever extreme of each bar came first."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backtest
from backtest.analysis.report.path_interval import PATHS
from backtest.errors import ConfigError, NotRepeatable, OrderRejected
from backtest.models import Bar
from backtest.strategies import Strategy
from tests.effort import examples
from tests.harness import D, M, bar

FLAT = [bar(0, 100), bar(1, 100)]
# Long 1 from 100; stop-loss 97 and take-profit 104 both within 100 / 105 / 95 / 102.
BOTH = [*FLAT, bar(2, 100, 105, 95, 102), bar(3, 102)]


class Bracket(Strategy):
    """Long 1 at the market after the first bar, with a stop-loss and a take-profit."""

    stop_loss: str | None = "97"
    take_profit: str | None = "104"
    seen: list[int]

    async def on_bar(self, bar: Bar) -> None:
        self.seen.append(1)
        if len(self.seen) == 1:
            await self.long("BTCUSD", 1, stop_loss=self.stop_loss, take_profit=self.take_profit)


def run(strategy: Strategy, bars: Any, **more: Any) -> Any:
    return backtest.run(strategy, data=bars, pair="BTCUSD", cash="1000 USD", **more)


def test_a_run_without_forks_is_a_point_and_is_not_repeated() -> None:
    # Only the take-profit at 104 is within 100 / 105 / 98 / 102: +4 whichever came first.
    result = run(Bracket(seen=[]), [*FLAT, bar(2, 100, 105, 98, 102)])
    interval = result.path_interval()
    assert interval.is_point
    assert (interval.low, interval.high, interval.forks) == (D(1004), D(1004), 0)
    assert [one.path for one in interval.runs] == ["pessimistic"]
    assert interval.orders == ()
    assert "on every path: no bar's order of extremes matters" in str(interval)


def test_a_stop_loss_and_a_take_profit_in_one_bar_make_an_interval() -> None:
    # Low first: 97 - 100 = -3. High first: 104 - 100 = +4. Adaptive: 105 and 95 are equally near,
    # so the low comes first.
    result = run(Bracket(seen=[]), BOTH)
    interval = result.path_interval()
    assert {one.path: one.final_equity for one in interval.runs} == {
        "pessimistic": D(997),
        "open_high_low_close": D(1004),
        "open_low_high_close": D(997),
        "adaptive": D(997),
    }
    assert (interval.low, interval.high) == (D(997), D(1004))
    assert interval.profit == (D(-3), D(4))
    assert not interval.is_point
    assert interval.forks == 1


def test_the_interval_names_the_orders_responsible_and_what_they_would_have_been() -> None:
    result = run(Bracket(seen=[]), BOTH)
    interval = result.path_interval()
    (fill,) = interval.responsible
    assert (fill.kind, fill.price, fill.ambiguous) == ("stop_loss", D(97), True)
    assert (fill.other_price, fill.other_volume) == (None, None)  # this exit: nothing
    assert fill.otherwise == (("take_profit", D(104), D(1)),)
    assert interval.orders == (str(fill.order_id),)
    high = next(one for one in interval.runs if one.path == "open_high_low_close")
    assert [(one.kind, one.price) for one in high.only_here] == [("take_profit", D(104))]
    assert [(one.kind, one.price) for one in high.missing] == [("stop_loss", D(97))]
    text = str(interval)
    assert "final equity 997.00 to 1,004.00 USD, profit -3.00 to +4.00" in text.replace("−", "-")
    assert "stop-loss: sold 1 BTCUSD at 97.00; otherwise take-profit at 104.00" in text


def test_an_entry_whose_exit_only_the_other_path_reaches_is_responsible() -> None:
    # Limit long 98, take-profit 103, bar 100 / 104 / 97 / 99. Low first: 98, then 103: +5. High
    # first, which the pessimist sees: 98 after the high, still open at 99: +1.
    class Entry(Strategy):
        async def on_start(self) -> None:
            await self.long("BTCUSD", 1, limit_price=98, take_profit=103)

    result = run(Entry(), [bar(0, 100), bar(1, 100, 104, 97, 99)])
    interval = result.path_interval()
    (fill,) = interval.responsible
    assert (fill.kind, fill.other_price, fill.other_volume) == ("entry", D(98), D(1))
    assert fill.otherwise == (("entry", D(98), D(1)), ("take_profit", D(103), D(1)))
    assert (interval.low, interval.high) == (D(1001), D(1005))


def test_two_orders_that_share_too_little_volume_fork_the_run() -> None:
    # Volume 1: the limit buy at 96 and the stop buy at 104 want 1 each; who comes first has it.
    # Neither fill is ambiguous by itself. Low first: 96, worth 102: +6; high first: 104: -2.
    class Two(Strategy):
        async def on_start(self) -> None:
            await self.buy("BTCUSD", 1, limit_price=96)
            await self.buy("BTCUSD", 1, stop_price=104)

    result = run(Two(), [bar(0, 100), bar(1, 100, 105, 95, 102, 1)])
    interval = result.path_interval()
    assert sum(fill.ambiguous for fill in result.fills) == 0
    assert (interval.low, interval.high, interval.forks) == (D(998), D(1006), 1)
    assert len(interval.orders) == 1


def test_mutable_parameters_are_as_they_were_given_in_each_run() -> None:
    # `seen` grows during a run; a repeated run that began with it full would never order.
    seen: list[int] = []
    interval = run(Bracket(seen=seen), BOTH).path_interval()
    assert len(seen) == 4
    assert all(len(one.only_here) == len(one.missing) for one in interval.runs)


def test_the_interval_is_in_report_json_and_files(tmp_path: Path) -> None:
    result = run(Bracket(seen=[]), BOTH)
    assert "Over the path policies" not in result.report()
    assert result.verify().ok  # which looks at the tables, and they are kept
    result.path_interval()
    assert "Over the path policies" in result.report()
    assert result.verify().ok
    folder = result.write(tmp_path / "run")
    told = json.loads((folder / "run.json").read_text())["paths"]
    assert (told["low"], told["high"], told["forks"]) == ("997", "1004", 1)
    assert set(told["paths"]) == set(PATHS)


def test_explain_tells_both_outcomes() -> None:
    result = run(Bracket(seen=[]), BOTH)
    story = result.explain(result.orders[0].id)
    assert (
        "with the bar's extremes the other way round: this would not have filled; "
        "take-profit 1 at 104" in story
    )


def test_a_result_that_no_runner_made_says_so() -> None:
    result = run(Bracket(seen=[]), BOTH)
    result.again = None
    with pytest.raises(ConfigError, match="not made by a BacktestRunner"):
        result.path_interval()


def test_a_generator_is_kept_in_memory_and_can_be_repeated() -> None:
    interval = run(Bracket(seen=[]), (one for one in BOTH)).path_interval()
    assert (interval.low, interval.high) == (D(997), D(1004))


class Once:
    """A source that gives its bars for one run only: its first is looked at before the run."""

    pair, bar_ns, name = "BTCUSD", M, "once"

    def __init__(self, left: int = 0) -> None:
        self.bars = list(BOTH)
        self.left = left
        self.times = 0

    def __iter__(self) -> Iterator[Bar]:
        self.times += 1
        return iter(self.bars if self.times <= 2 else self.bars[: self.left])

    def digest(self) -> str:
        return "0" * 64


@pytest.mark.parametrize("left", [0, 3])
def test_a_source_that_gives_less_when_read_again_is_a_typed_error(left: int) -> None:
    result = run(Bracket(seen=[]), Once(left))
    with pytest.raises(NotRepeatable):
        result.path_interval()


def test_inside_a_running_loop_too() -> None:
    async def main() -> Any:
        result = await backtest.run_async(
            Bracket(seen=[]), data=BOTH, pair="BTCUSD", cash="1000 USD"
        )
        return result.path_interval()

    interval = asyncio.run(main())
    assert (interval.low, interval.high) == (D(997), D(1004))


def test_a_run_without_a_path_is_repeated_under_all() -> None:
    result = run(Bracket(seen=[]), BOTH, rules={"path": "queue_order"})
    interval = result.path_interval()
    assert [one.path for one in interval.runs] == ["queue_order", *PATHS]
    assert (interval.low, interval.high) == (D(997), D(1004))


# --- the property: no forks, one profit -----------------------------------------------------------


Order = tuple[int, str, str, int, int, int, str | None]
KINDS = ("market", "limit", "stop", "stop_limit", "trailing")


class Scripted(Strategy):
    """Sends the orders that it was given, at the bars that it was given them for."""

    script: tuple[Order, ...]

    def on_start(self) -> None:
        self.number = 0

    async def on_bar(self, bar: Bar) -> None:
        for at, side, kind, offset, stop, profit, oco in self.script:
            if at == self.number:
                await self.place(bar, side, kind, offset, stop, profit, oco)
        self.number += 1

    async def place(
        self, bar: Bar, side: str, kind: str, offset: int, stop: int, profit: int, oco: str | None
    ) -> None:
        price = bar.close + offset
        sign = 1 if side in ("long", "buy") else -1
        settings: dict[str, Any] = {"oco": oco}
        if stop:
            settings["stop_loss"] = price - sign * stop
        if profit:
            settings["take_profit"] = price + sign * profit
        if kind in ("limit", "stop_limit"):
            settings["limit_price"] = price
        if kind in ("stop", "stop_limit"):
            settings["stop_price"] = price
        if kind == "trailing":
            settings["trail"] = abs(offset) + 1
        if side in ("long", "short"):
            settings["leverage"] = 10
        try:
            await getattr(self, side)("BTCUSD", 2, **settings)
        except (OrderRejected, TypeError, ValueError):
            pass  # not every combination is an order


@st.composite
def scripts(draw: st.DrawFn) -> tuple[Order, ...]:
    return tuple(
        (
            draw(st.integers(0, 4)),
            draw(st.sampled_from(("long", "short", "buy"))),
            draw(st.sampled_from(KINDS)),
            draw(st.integers(-6, 6)),
            draw(st.sampled_from([0, 2, 5])),
            draw(st.sampled_from([0, 2, 5])),
            draw(st.sampled_from([None, None, "group"])),
        )
        for _ in range(draw(st.integers(1, 4)))
    )


@st.composite
def markets(draw: st.DrawFn) -> list[Bar]:
    bars, price = [], 100
    for number in range(8):
        close = max(20, price + draw(st.integers(-5, 5)))
        high = max(price, close) + draw(st.integers(0, 4))
        low = min(price, close) - draw(st.integers(0, 4))
        volume = draw(st.sampled_from([None, 1, 3, 100]))
        bars.append(bar(number, price, high, low, close, volume))
        price = close
    return bars


@settings(max_examples=examples(60), deadline=None)
@given(bars=markets(), script=scripts(), margin=st.sampled_from(["isolated", "cross"]))
def test_where_no_bar_forks_every_path_gives_the_same_run(
    bars: list[Bar], script: tuple[Order, ...], margin: str
) -> None:
    # 10 times leverage and 150 of cash: liquidations and margin calls are within reach.
    result = backtest.run(
        Scripted(script=script),
        data=bars,
        pair="BTCUSD",
        cash="150 USD",
        rules={"maintenance_rate": "0.05"},
        margin_mode=margin,
    )
    assert result.again is not None
    others = [result.again(path) for path in PATHS]
    if not result.records.forks:
        assert {one.journal_sha256 for one in others} == {result.journal_sha256}
        assert not any(fill.ambiguous for fill in result.fills)
    interval = result.path_interval()
    equities = [one.final_equity for one in others]
    assert (interval.low, interval.high) == (min(equities), max(equities))
    assert interval.low <= result.final_equity <= interval.high


def test_decimal_is_what_the_figures_are() -> None:
    interval = run(Bracket(seen=[]), BOTH).path_interval()
    assert all(type(one) is Decimal for one in (interval.low, interval.high, *interval.profit))
