"""What the generators draw is what they say, and plays without breaking an invariant."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.models import Bar, TradingRules
from backtest.money import is_multiple
from backtest.testing import OrderFlow, Step, bar, pair_of, play, rules
from backtest.testing.generators import (
    bars,
    fees,
    order_flows,
    prices,
    steps,
    trading_rules,
    volumes,
)
from tests.effort import examples
from tests.harness import D

QUARTERS = pair_of("BTCUSD", price_increment="0.25", volume_increment="0.5")


@given(prices(QUARTERS, "10", "11"), volumes(QUARTERS, "2"))
def test_prices_and_volumes_are_on_the_increments(price: Decimal, volume: Decimal) -> None:
    assert price in [D(one) for one in ("10", "10.25", "10.5", "10.75", "11")]
    assert volume in [D(one) for one in ("0.5", "1", "1.5", "2")]


@given(bars(QUARTERS, min_size=2, max_size=5, low="10", high="20"))
def test_bars_are_in_order_and_in_range(made: list[Bar]) -> None:
    assert 2 <= len(made) <= 5
    for one in made:
        assert D(10) <= one.low <= min(one.open, one.close)
        assert max(one.open, one.close) <= one.high <= D(20)
        assert all(is_multiple(price, D("0.25")) for price in (one.open, one.high, one.close))
        assert one.volume is None or is_multiple(one.volume, D("0.5"))
    for one, following in pairwise(made):
        assert one.close_ns <= following.open_ns


@given(bars(gaps=False, capped=False, min_size=3))
def test_bars_without_gaps_and_caps(made: list[Bar]) -> None:
    assert all(one.volume is None for one in made)
    assert made[-1].open_ns == (len(made) - 1) * (made[0].close_ns - made[0].open_ns)


@given(trading_rules(slippage="0.07"), fees(), steps())
def test_rules_keep_what_is_fixed(drawn: TradingRules, fee: object, step: Step) -> None:
    assert drawn.slippage == rules(slippage="0.07").slippage
    assert isinstance(fee, dict)
    assert step.bar >= 0


@settings(max_examples=examples(60))
@given(
    bars(min_size=3, max_size=12),
    st.lists(order_flows(), min_size=1, max_size=2),
    trading_rules(),
)
def test_every_flow_keeps_every_invariant(
    market: list[Bar], flows: list[OrderFlow], drawn: TradingRules
) -> None:
    world = play(market, *(flow.trader() for flow in flows), rules=drawn)
    assert world.oracle.checks > 0


def test_a_flow_written_by_hand() -> None:
    flow = OrderFlow(
        (
            Step(0, "buy", D(2)),
            Step(0, "long", D(1), None, D("0.1"), D("0.1"), 2),
            Step(1, "modify", D(1), D("-0.1"), target=0),
            Step(1, "sell", D(2), D("0.05")),
            Step(1, "split", D(1), target=2),
            Step(2, "cancel", D("0.5"), D(0), target=3),
            Step(2, "close", D(1), None, target=1),
            Step(2, "cancel", D("0.5"), target=4),
        )
    )
    trader = flow.trader()
    world = play([bar(0, 100), bar(1, 100), bar(2, 100), bar(3, 101)], trader)
    # The modify is for an order that is filled: refused. The sell at 105 is split in two of 1, of
    # the first 0.5 is cancelled and the second wholly; the long closes at the open of bar 3.
    assert world.fills() == [
        "entry LONG 2 @ 100 open",
        "entry LONG 1 @ 100 open",
        "close SHORT 1 @ 101 open",
    ]
    assert [type(one).__name__ for one in trader.refusals] == ["OrderRejected"]
    assert world.orders() == [
        "LONG 2 FILLED",
        "LONG 1 CLOSED close",
        "SHORT 2 REPLACED REQUESTED",
        "SHORT 0.5 CANCELLED REQUESTED",
        "SHORT 1 CANCELLED REQUESTED",
        "SHORT 0.5 PENDING",
    ]


def test_a_change_before_there_is_any_order_is_nothing() -> None:
    trader = OrderFlow((Step(0, "cancel", D(1)),)).trader()
    world = play(
        [bar(0, 100), bar(1, 5, pair="ETHUSD")], trader, pairs=[pair_of(), pair_of("ETHUSD")]
    )
    assert world.orders() == []
    assert trader.number == 0
