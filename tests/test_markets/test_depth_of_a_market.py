"""The depth of a market, read in every way at once: all ways say the same."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from backtest.markets import run_market
from backtest.models import Depth, DepthUpdate
from backtest.services.book.depth_view import DepthView
from backtest.strategies import Strategy

from .crowd import CROWD, PAIR

MARKET = evolve(CROWD, until=None, duration="90s")


def plain(depth: Depth) -> Any:
    return tuple(
        tuple((one.price, one.volume, one.orders) for one in side)
        for side in (depth.bids, depth.asks)
    )


class Reader(Strategy):
    """Folds the increments by hand, iterates, and asks."""

    def on_start(self) -> None:
        self.view: DepthView[Any] | None = None
        self.told = self.iterated = self.asked = 0

    def on_depth(self, news: Depth | DepthUpdate) -> None:
        self.told += 1
        if isinstance(news, Depth):
            self.view = DepthView(news.sequence, *plain(news))
        else:
            assert self.view is not None
            self.view.apply(news.sequence, news.changes)

    async def run(self) -> None:
        async for depth in self.depths(PAIR.code, levels=5):
            self.iterated += 1
            view = self.view
            assert view is not None
            if view.sequence == depth.sequence:
                assert plain(depth) == view.depth(5)
            now = await self.depth(PAIR.code, 5)
            if now.sequence == depth.sequence:
                self.asked += 1
                assert (plain(now), now.last) == (plain(depth), depth.last)


@pytest.mark.parametrize("latency", [None, "3ms"])
def test_increments_iterators_and_questions_agree(latency: str | None) -> None:
    reader = Reader()
    result = run_market(
        MARKET, strategies={"reader": reader}, cash="1000 USD", seed=3, latency=latency
    )
    assert result.trades
    # A snapshot and updates, each once, by handler and by iterator; many found unchanged.
    assert reader.told == reader.iterated > 200
    assert reader.asked > 100


def test_who_only_reads_changes_nothing_for_the_others() -> None:
    class Idle(Strategy):
        pass

    kinds = (Reader, Idle)
    runs = [
        run_market(MARKET, strategies={"one": kind()}, cash="1000 USD", seed=3) for kind in kinds
    ]
    first, second = ([(one.price, one.volume) for one in run.trades] for run in runs)
    assert first == second
