"""When a fill happened, beside when it was told: at an open, at a close, or nobody knows."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.actors import OrderEvent
from backtest.analysis.result import RunResult
from backtest.analysis.verify.verify import verify_run, verify_tables
from backtest.testing import MINUTE, Scripted, bar, pair_of, quote, rules, trade
from backtest.times import from_ns

D = Decimal
SECOND = 10**9


def run(script: Any, market: list[Any], **settings: Any) -> RunResult:
    given = rules(path="open_high_low_close", **settings)
    result = backtest.run(
        Scripted(script=script), data=market, pair=pair_of(), cash="1000 USD", rules=given
    )
    result.verify().raise_for_problems()
    return result


def times(result: RunResult, unit: int = MINUTE) -> list[tuple[str, float, float | None]]:
    """Kind and point, when it was told, and when it happened."""
    return [
        (
            f"{one.kind} {one.point}",
            one.timestamp_ns / unit,
            None if one.executed_ns is None else one.executed_ns / unit,
        )
        for one in result.fills
    ]


async def bracket(me: Any) -> None:
    await me.next()
    await me.long("BTCUSD", 1, stop_loss=95, take_profit=110)
    await me.next(2)
    await me.buy("BTCUSD", 1, limit_price=98)


BRACKET = [
    bar(0, 100),
    bar(1, 100, 104, 99, 101),  # the market order at its open
    bar(2, 101, 111, 101, 105),  # the take-profit on the way to the high
    bar(3, 105, 106, 98, 99),  # the limit at the low
]


def test_at_an_open_it_is_the_opens_time_and_inside_the_bar_unknown() -> None:
    result = run(bracket, BRACKET)
    assert times(result) == [
        ("entry open", 2, 1),
        ("take_profit high", 3, None),
        ("entry low", 4, None),
    ]
    assert result.fills[0].executed_at == from_ns(MINUTE)
    assert result.fills[1].executed_at is None


@pytest.mark.parametrize("fill_on", ["next_close", "this_close"])
def test_at_a_close_it_is_the_closes_time(fill_on: str) -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1)
        await me.next()
        await order.filled()
        await order.close()

    result = run(script, [bar(number, 100, 104, 99, 101) for number in range(4)], fill_on=fill_on)
    # Ordered at 1 and at 2: filled a bar later, or at once.
    later = int(fill_on == "next_close")
    assert times(result) == [
        ("entry close", 1 + later, 1 + later),
        ("close close", 2 + later, 2 + later),
    ]


@pytest.mark.parametrize(("target", "executed"), [(95, None), (99, 2)])
def test_on_the_way_to_the_close_it_is_unknown_but_where_the_way_ends(
    target: int, executed: int | None
) -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, limit_price=91, take_profit=target)

    # 100, 103, down to 90, where the limit fills, and up to 99: past 95, and 99 is the close.
    result = run(script, [bar(0, 100), bar(1, 100, 103, 90, 99)])
    assert times(result) == [("entry low", 2, None), ("take_profit close", 2, executed)]


def test_quotes_and_trades_happen_when_they_are_told() -> None:
    async def script(me: Any) -> None:
        await me.sleep(2)
        await me.buy("BTCUSD", 1, limit_price=99)

    result = run(script, [quote(1, 99, 100), quote(3, 99, 101), quote(5, 97, 98)])
    assert times(result, SECOND) == [("entry ask", 5, 5)]
    result = run(script, [trade(1, 100), trade(3, 100), trade(5, 98)])
    assert times(result, SECOND) == [("entry trade", 5, 5)]


def test_the_events_and_the_files_say_it_too(tmp_path: Path) -> None:
    heard: list[OrderEvent] = []

    async def script(me: Any) -> None:
        await bracket(me)
        heard.extend(me.heard)

    result = run(script, BRACKET)
    result.write(tmp_path / "run")
    assert [one.fill.executed_at for one in heard if one.fill] == [from_ns(MINUTE), None]
    for name in ("fills", "events"):
        with (tmp_path / "run" / f"{name}.csv").open() as file:
            rows = list(csv.DictReader(file))
        told = [row for row in rows if name == "fills" or row["kind"] in ("filled", "closed")]
        assert [row["executed_at"] for row in told] == ["1970-01-01T00:01:00+00:00", "", ""]
    assert verify_run(tmp_path / "run").ok


class Tampered:
    """The tables of a run, one field of the table of fills changed."""

    def __init__(self, result: RunResult, number: int, text: str) -> None:
        self._tables, self._number, self._text = result.tables, number, text
        self.facts = result.tables.facts

    def rows(self, name: str) -> Any:
        for number, row in enumerate(self._tables.rows(name)):
            if name == "fills" and number == self._number:
                row = (*row[:-1], self._text)
            yield row


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, ""),
        (0, "1970-01-01T00:02:00+00:00"),  # told then, happened before
        (1, "1970-01-01T00:02:00+00:00"),  # inside the bar nobody knows
    ],
)
def test_a_time_that_cannot_be_is_found(number: int, text: str) -> None:
    result = run(bracket, BRACKET)
    problems = verify_tables(Tampered(result, number, text)).problems
    assert any("so not at" in str(problem) for problem in problems)
