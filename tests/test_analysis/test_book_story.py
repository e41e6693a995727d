"""The story of an order in an order book: what stood ahead of it, and where the market was."""

from __future__ import annotations

from functools import cache
from typing import Any

from backtest.markets import Instrument, MarketResult, MarketRunner, Scenario
from backtest.models import Asset, TradingPair
from tests.harness import D
from tests.market_harness import Does

PAIR = "ABMUSD"


async def first(me: Does) -> None:
    await me.long(PAIR, 5, limit_price="99")
    await me.long(PAIR, 3, limit_price="98")
    await me.short(PAIR, 4, limit_price="103")


async def second(me: Any) -> None:
    """Two at 99 behind five; one at 98 behind three at its price and seven at a better; a stop."""
    await me.sleep(1)
    me.patient = await me.long(PAIR, 2, limit_price="99")
    me.deep = await me.long(PAIR, 1, limit_price="98")
    me.stopped = await me.long(PAIR, 1, stop_price="110")
    await me.sleep(10)
    await me.deep.cancel()


async def taker(me: Does) -> None:
    await me.sleep(2)
    await me.short(PAIR, 3)
    await me.sleep(1)
    await me.long(PAIR, 1)


@cache
def played() -> tuple[MarketResult, Does]:
    pair = TradingPair(
        PAIR, Asset("ABM", 0), Asset("USD", 2), price_increment=D(1), volume_increment=D(1)
    )
    patient = Does(script=second)
    result = MarketRunner(
        scenario=Scenario(
            name="three", pairs=Instrument(pair=pair, reference_price=100), populations=[],
            start="2024-01-02T10:00:00Z", duration="20s", cash="10000 USD",
        ),
        strategies={"first": Does(script=first), "second": patient, "taker": Does(script=taker)},
    ).run()  # fmt: skip
    return result, patient


def story(name: str) -> str:
    result, patient = played()
    return result.explain(getattr(patient, name).id)


def test_it_verifies() -> None:
    result, _ = played()
    assert result.verify().ok, str(result.verify())
    assert [(one.price, one.volume) for one in result.trades] == [(D(99), D(3)), (D(103), D(1))]


def test_an_order_that_stood_behind_others_at_its_price() -> None:
    told = story("patient")
    assert "in the book: 5 before it at 99.00; the best ask was 103.00" in told
    assert (
        "until then 2 trades were made, at 99.00 to 103.00; 3 of that at its limit of 99.00 or "
        "better, with those who stood before it"
    ) in told
    assert "then 2 stood before it" in told


def test_an_order_at_a_price_that_nobody_came_to() -> None:
    told = story("deep")
    assert "in the book: 7 stood at better prices and 3 before it at 98.00" in told
    assert "until then 2 trades were made, at 99.00 to 103.00: all above its limit of 98.00" in told
    assert "CANCELLED" in told


def test_a_stop_that_was_not_reached() -> None:
    assert "until then 2 trades were made, at 99.00 to 103.00: its stop was not reached" in story(
        "stopped"
    )


def test_no_market_event_is_spoken_of() -> None:
    assert "market event" not in story("patient")
    assert "is not told" not in story("patient")
