"""Bars that a strategy never saw are counted, with the line that held it."""

from __future__ import annotations

from backtest.models import Bar
from backtest.strategies import Strategy

from .playing import logged, market, play

_BARS = [100] * 1000


def notes(strategy: Strategy) -> list[str]:
    """What the report says of bars that were not seen; a warning is logged of the same."""
    with logged() as logs:
        result = play(strategy, market(*_BARS))
    found = [one for one in result.notices if "never saw" in one]
    assert [one["notice"] for one in logs if one["event"] == "run.notice"] == found
    assert all(one in result.report() for one in found)
    return found


def test_a_wait_in_a_handler_that_never_ends() -> None:
    class Waiting(Strategy):
        async def on_bar(self, bar: Bar) -> None:
            order = await self.buy("BTCUSD", 1, limit_price=50)
            await order.filled()  # it never is

    (note,) = notes(Waiting())
    assert note.startswith(
        "strategy 'waiting' never saw 999 of the market events that it was sent; it waited at "
        "test_never_seen.py line "
    )
    assert note.endswith("in on_bar: await order.filled()  # it never is")


def test_a_loop_that_falls_behind() -> None:
    class Slow(Strategy):
        async def run(self) -> None:
            async for _ in self.bars("BTCUSD"):
                await self.sleep("10m")  # of ten bars it sees one

    (note,) = notes(Slow())
    # Asked at minutes 1, 11, ... 991: a hundred were taken.
    assert note.startswith("strategy 'slow' never saw 900 of the market events")
    assert note.endswith('in run: await self.sleep("10m")  # of ten bars it sees one')


def test_who_sees_all_or_wants_the_latest_only_is_not_told_of() -> None:
    class Seeing(Strategy):
        async def on_bar(self, bar: Bar) -> None:
            order = await self.buy("BTCUSD", "0.001", limit_price=100)
            await order.filled()

    class Latest(Strategy):
        async def run(self) -> None:
            async for _ in self.bars("BTCUSD", conflate=True):
                await self.sleep("10m")

    class Left(Strategy):
        async def run(self) -> None:
            async for _ in self.bars("BTCUSD"):
                break
            await self.sleep("1000d")

    for one in (Latest(), Left()):
        assert notes(one) == []
    assert len(notes(Seeing())) <= 1  # the last order may wait still
