"""Bars that a strategy never saw are counted, with the line that held it."""

from __future__ import annotations

from backtest.models import Bar
from backtest.strategies import Strategy

from .playing import logged, market, play

_BARS = [100] * 1000


def notes(strategy: Strategy, *prices: int) -> list[str]:
    """What the report says of bars that were not seen; a warning is logged of the same."""
    with logged() as logs:
        result = play(strategy, market(*prices or _BARS))
    found = [one for one in result.notices if "never saw" in one or " late, " in one]
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
    # Asked at minutes 1, 11, ... 991: a hundred were taken; that of minute 100 last, at 991, and
    # all but the first when newer ones had come.
    assert note.startswith(
        "strategy 'slow' never saw 900 of the market events that it was sent, and saw 99 late, "
        "when newer ones had come, by up to 14h51m; it waited at test_never_seen.py line "
    )
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


def test_a_loop_that_fell_behind_and_caught_up_is_told_of_too() -> None:
    class Napping(Strategy):
        async def run(self) -> None:
            napped = False
            async for _ in self.bars("BTCUSD"):
                if not napped:
                    napped = True
                    await self.sleep("4m")  # the nap

    # It wakes at minute 5, when bars 2 to 5 have come: it sees 2, 3 and 4 late, 2 by 3 minutes.
    (note,) = notes(Napping(), *[100] * 10)
    assert note.startswith(
        "strategy 'napping' saw 3 late, when newer ones had come, by up to 3m, of the market "
        "events that it was sent; it waited at test_never_seen.py line "
    )
    assert note.endswith('in run: await self.sleep("4m")  # the nap')


def test_a_handler_that_held_bars_for_a_while_is_told_of_too() -> None:
    class Holding(Strategy):
        bars_so_far = 0

        async def on_bar(self, bar: Bar) -> None:
            self.bars_so_far += 1
            if self.bars_so_far == 2:
                await self.sleep("90s")  # the hold

    # Held from minute 2 to 3:30; bar 3 is seen then, and nothing newer is there: it is not late.
    assert notes(Holding(), *[100] * 10) == []

    class Longer(Strategy):
        bars_so_far = 0

        async def on_bar(self, bar: Bar) -> None:
            self.bars_so_far += 1
            if self.bars_so_far == 2:
                await self.sleep("150s")  # the hold

    # Held from minute 2 to 4:30: bar 3 is seen then, 90 s after its close, and bar 4 waits.
    (note,) = notes(Longer(), *[100] * 10)
    assert "saw 1 late, when newer ones had come, by up to 1m30s, of the" in note
    assert note.endswith('in on_bar: await self.sleep("150s")  # the hold')


def test_bars_of_two_pairs_at_one_moment_are_not_late() -> None:
    class Two(Strategy):
        async def on_bar(self, bar: Bar) -> None:
            await self.buy(bar.pair, "0.001", limit_price=1)

    result = play(
        Two(), {"BTCUSD": market(*[100] * 20), "ETHUSD": market(*[100] * 20, pair="ETHUSD")}
    )
    assert not [one for one in result.notices if " late, " in one]
