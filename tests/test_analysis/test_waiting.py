"""The report says what orders that are still pending have waited for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.analysis.report import waiting as module
from backtest.data import write_csv
from backtest.strategies import Strategy
from tests.harness import bar, quote


class Waits(Strategy):
    """Sends what it is told to at the first close, and listens on."""

    orders: tuple[Any, ...] = ()

    async def run(self) -> None:
        events = self.quotes("BTCUSD") if self.orders == ("quoted",) else self.bars("BTCUSD")
        await anext(events)
        for one in self.orders:
            await self.buy("BTCUSD", 1, **({"limit_price": 1} if one == "quoted" else one))
        async for _ in events:
            pass


def pending(result: Any) -> list[str]:
    """The lines of the report about pending orders."""
    _, _, rest = result.report().partition("\nPending at the end\n")
    return [line.strip() for line in rest.partition("\n\n")[0].splitlines()]


def test_what_each_waited_for_is_counted() -> None:
    """30 bars from 99 to 101 without volume, the first to decide on: 29 to wait on. Limits at 90
    and 80 are never reached, a stop at 200 neither; a limit at 99 is, on each."""
    bars = [bar(number, 100, 101, 99, 100, volume=0) for number in range(30)]
    result = backtest.run(Waits(orders=({},)), data=bars, cash="1000 USD")
    assert pending(result) == ["1 order waited for volume on 29 of 29 bars (order #1)"]
    orders = ({"limit_price": 90}, {"limit_price": 80}, {"stop_price": 200}, {"limit_price": 99})
    result = backtest.run(Waits(orders=orders), data=bars, cash="1000 USD")
    assert pending(result) == [
        "2 orders waited for the limit price, longest order #1 on 29 of 29 bars",
        "1 order waited for the stop price on 29 of 29 bars (order #3)",
        "1 order waited for volume on 29 of 29 bars (order #4)",
    ]


def test_one_order_may_wait_for_several_things() -> None:
    """A limit at 95: two bars that do not reach it, then one that does and has no volume."""
    lows = [99, 99, 99, 94]
    bars = [bar(n, 100, 101, low, 100, volume=0) for n, low in enumerate(lows)]
    result = backtest.run(Waits(orders=({"limit_price": 95},)), data=bars, cash="1000 USD")
    assert pending(result) == [
        "1 order waited for the limit price on 2 of 3 bars (order #1)",
        "1 order waited for volume on 1 of 3 bars (order #1)",
    ]


def test_what_is_left_of_an_order_waits_for_the_rest() -> None:
    """Two of five fill on the second bar, which has no more; the third has nothing."""
    bars = [bar(number, 100, volume=volume) for number, volume in enumerate((9, 2, 0))]

    class Five(Waits):
        async def run(self) -> None:
            await anext(self.bars("BTCUSD"))
            await self.buy("BTCUSD", 5)

    result = backtest.run(Five(), data=bars, cash="1000 USD")
    assert len(result.fills) == 1
    assert pending(result) == ["1 order waited for volume on 1 of 1 bars (order #2)"]


def test_an_order_that_came_with_the_last_bar() -> None:
    result = backtest.run(Waits(orders=({},)), data=[bar(0, 100)], cash="1000 USD")
    assert pending(result) == ["1 order waited for what comes after the data (order #1)"]


def test_nothing_pending_is_not_spoken_of() -> None:
    result = backtest.run(Waits(orders=({},)), data=[bar(0, 100), bar(1, 100)], cash="1000 USD")
    assert len(result.fills) == 1
    assert "Pending" not in result.report()


def test_quotes_are_events() -> None:
    ticks = [quote(second, 9, 10) for second in range(4)]
    result = backtest.run(Waits(orders=("quoted",)), data=ticks, cash="1000 USD")
    assert pending(result) == ["1 order waited for the limit price on 3 of 3 events (order #1)"]


def test_a_large_run_is_not_looked_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_MOST", 9)
    bars = [bar(number, 100, volume=0) for number in range(10)]
    result = backtest.run(Waits(orders=({},)), data=bars, cash="1000 USD")
    assert pending(result) == ["1 order is pending: explain(1) tells what it waited for"]
    result = backtest.run(Waits(orders=({}, {})), data=bars, cash="1000 USD")
    assert pending(result) == ["2 orders are pending: explain(1) tells of the first"]


def test_data_that_is_gone_leaves_a_report(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    write_csv(path, [bar(number, 100, volume=1) for number in range(5)])
    result = backtest.run(
        Waits(orders=({"limit_price": 1},)), data=path, pair="BTCUSD", cash="1000 USD", stream=True
    )
    path.unlink()
    assert pending(result) == ["1 order is pending: explain(1) tells what it waited for"]
