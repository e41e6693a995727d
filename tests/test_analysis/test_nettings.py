"""The stories of orders that close what is open on the other side, worked out by hand."""

from __future__ import annotations

from typing import Any

import backtest
from backtest.analysis.result import RunResult
from backtest.strategies import Strategy
from backtest.testing import Scripted, pair_of
from tests.harness import bar, rules

FEES = {"percent_of_notional": "0.001"}


def run(bars: list[Any], *scripts: Any, **more: Any) -> RunResult:
    """A run of ``scripts`` on one account with 1000 USD."""
    names = ("first", "second")
    strategies: dict[str, Strategy] = {
        name: Scripted(script=script) for name, script in zip(names, scripts, strict=False)
    }
    return backtest.run(strategies, data={pair_of(): bars}, cash="1000 USD", **more)


def test_an_order_that_nets_tells_what_it_closed_and_whose() -> None:
    # 2 long at 100, of one strategy; another's short of 3 at 102 closes them, PnL 2 x 2 = +4, fee
    # 2 x 102 / 1000 = 0.204, up to 0.21; opens 1: the order then owes 0.306, up to 0.31, so 0.10
    # more: 3.79 - 0.10 = 3.69.
    async def opens(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 2, leverage=10)
        await me.next(2)

    async def nets(me: Any) -> None:
        await me.next(2)
        await me.short("BTCUSD", 3, leverage=10)
        await me.next()

    bars = [bar(0, 100), bar(1, 100), bar(2, 102, 103, 100, 101)]
    fees = {"close": FEES, "fill": FEES}
    result = run(bars, opens, nets, netting=True, rules=rules(fees=fees))
    position, order = result.orders[0], result.orders[1]
    story = result.explain(order.id)
    for words in (
        f"it was a long of order #1, {position.id}, of strategy 'first', opened at 100.00",
        "sold 2 at 102.00, worth 204.00, fee 0.21 USD, PnL +4.00, as taker",
        "at the open of the bar that opened 1970-01-01 00:02",
        "traded 3 at 102:",
        "main    CLOSE_PNL       USD  available +4.00",
        "2 filled at 102.00 and closed as much of the other side: it opened nothing",
        "in all, the account received +3.69 USD",
        "of that, -0.10 USD is of this chain, and +3.79 USD of the positions that it closed",
        "of that, 0.31 USD were fees",
    ):
        assert words in story, words
    story = result.explain(position.id)
    assert f"by the short order #2, {order.id}, of strategy 'second'" in story
    assert "in all, the account received +3.59 USD" in story


def test_an_order_that_nets_tells_of_all_that_it_closed() -> None:
    # 1 at 100 and 1 at 95: 97.5 on average. 3 sold at 98: +0.5 and +0.5, 1 is opened.
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, leverage=10)
        await me.next()
        await me.long("BTCUSD", 1, leverage=10)
        await me.next()
        await me.short("BTCUSD", 3, leverage=10)
        await me.next()

    result = run([bar(0, 100), bar(1, 100), bar(2, 95), bar(3, 98)], script, netting=True)
    first, second, order = result.orders[:3]
    story = result.explain(order.id)
    for position, number in ((first, 1), (second, 2)):
        assert (
            f"1 of it was a long of order #{number}, {position.id}, of strategy 'first', "
            "opened at 97.50"
        ) in story
        assert f"by the short order #3, {order.id}" in result.explain(position.id)
    assert story.count("PnL +0.50, as taker") == 2
    assert story.count("main    CLOSE_PNL       USD  available +0.50") == 2
    assert "and +1.00 USD of the positions that it closed" in story


def test_a_reduce_only_order_names_what_took_its_position() -> None:
    # The way down meets the stop-loss at 97 before the stop at 95.
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=5, stop_loss=97)
        await me.next()
        await me.short("BTCUSD", 10, stop_price=95, reduce_only=True)
        await me.next()

    result = run([bar(0, 100), bar(1, 100), bar(2, 100, 100, 85, 91)], script)
    position, order = result.orders[0], result.orders[1]
    assert (
        f"before it, 10 of order #1, {position.id}, of strategy 'first' was closed by its "
        "stop-loss at 97.00, on the way to the low of this bar, where that price came first"
    ) in result.explain(order.id)


def test_of_two_reduce_only_orders_at_one_price_the_first_accepted_closes() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=5)
        await me.next()
        await me.short("BTCUSD", 10, stop_price=95, reduce_only=True)
        await me.short("BTCUSD", 10, stop_price=95, reduce_only=True)
        await me.next()

    result = run([bar(0, 100), bar(1, 100), bar(2, 100, 100, 85, 91)], script)
    position, first, second = result.orders[:3]
    assert (
        f"before it, 10 of order #1, {position.id}, of strategy 'first' was closed by "
        f"order #2, {first.id}, of strategy 'first' at 95.00, at the same price at the low; of "
        "orders at one price stops come before limits, then the one accepted first"
    ) in result.explain(second.id)


def test_a_reduce_only_order_names_what_came_on_another_bar_or_point() -> None:
    # Of 4 long, the first stop at 95 closes 3 on bar 2, the second finds 1 on bar 3 at 92. On
    # bar 4, high first, a position of 2 takes its profit at 110 before the stop at 90 is met.
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 4)
        await me.next()
        await me.short("BTCUSD", 3, stop_price=95, reduce_only=True)
        await me.short("BTCUSD", 4, stop_price=92, reduce_only=True)
        await me.next(2)
        await me.long("BTCUSD", 2, take_profit=110)
        await me.next()
        await me.short("BTCUSD", 2, stop_price=90, reduce_only=True)
        await me.next()

    bars = [
        bar(0, 100),
        bar(1, 100),
        bar(2, 100, 100, 94, 96),
        bar(3, 96, 96, 91, 96),
        bar(4, 96),
        bar(5, 96, 112, 85, 96),
    ]
    result = run(bars, script, rules=rules(path="open_high_low_close"))
    first, second, last = (
        next(one for one in result.orders if one.stop_price == price and one.parent_id is None)
        for price in (95, 92, 90)
    )
    story = result.explain(second.id)
    assert "at 92, at the low, there was no more than that to close" in story
    assert (
        f"of strategy 'first' was closed by order #{first.order_number}, {first.id}, "
        "of strategy 'first' at 95.00, at 1970-01-01 00:03" in story
    )
    story = result.explain(last.id)
    assert (
        "was closed by its take-profit at 110.00, at the high of this bar, which the venue took "
        "before its low" in story
    )


def test_of_many_the_last_are_told() -> None:
    # Six longs of 1 are closed one after the other; the stop at 95 finds a seventh of 1 for its 2.
    async def script(me: Any) -> None:
        await me.next()
        opened = [await me.long("BTCUSD", 1, leverage=2) for _ in range(7)]
        await me.next()
        await me.short("BTCUSD", 2, stop_price=95, reduce_only=True)
        for one in opened[:6]:
            await one.close()
            await me.next()
        await me.next()

    bars = [*(bar(at, 100) for at in range(8)), bar(8, 100, 100, 94, 96)]
    result = run(bars, script)
    order = next(one for one in result.orders if one.instructions.reduce_only)
    lines = [line for line in result.explain(order.id).splitlines() if "before it, " in line]
    assert lines[0] == "    before it, 2 times more what it could close was closed"
    assert [line.partition(" was ")[2] for line in lines[1:]] == [
        f"closed by its own order to close at 100.00, at 1970-01-01 00:0{minute}"
        for minute in (5, 6, 7, 8)
    ]


def test_what_an_order_closes_it_takes_of_the_volume_itself() -> None:
    # Of 8 to sell there are 5 on bar 2, with which 5 of the position of 10 are closed.
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10)
        await me.next()
        await me.short("BTCUSD", 8, reduce_only=True)
        await me.next()

    result = run([bar(0, 100), bar(1, 100), bar(2, 100, 100, 100, 100, 5)], script)
    story = result.explain(2)
    assert "THE REST, 3, NOT FILLED of order " in story
    assert "volume 5 x participation 1 = 5 was used up: 5 to itself" in story
