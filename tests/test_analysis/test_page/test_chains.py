"""The story of a chain from its own rows is that from all rows of the run."""

from __future__ import annotations

import pytest

import backtest
from backtest.analysis.explain.explain import explain
from backtest.analysis.page.chains import _WHY, Chains
from backtest.analysis.result import RunResult
from backtest.data import synthetic_bars
from backtest.errors import OrderRejected
from backtest.models import Bar
from backtest.strategies import Strategy
from tests.test_analysis.runs import busy_run, small_run


class Reducing(Strategy):
    """A long, and an order that only reduces it and comes too late to."""

    async def on_bar(self, bar: Bar) -> None:
        self.seen = getattr(self, "seen", 0) + 1
        if self.seen == 1:
            self.first = await self.long(bar.pair, 2, leverage=2)
        elif self.seen == 2:
            await self.short(bar.pair, 1, limit_price=bar.close * 2, reduce_only=True)
        elif self.seen == 3:
            await self.first.close()
        elif self.seen % 5 == 0:
            side = self.long if self.seen % 2 else self.short
            try:
                await side(bar.pair, self.seen % 3 + 1, leverage=2)
            except OrderRejected:
                pass


def netting_run() -> RunResult:
    """Longs and shorts of one account close each other, some of several at once."""
    return backtest.run(
        Reducing(),
        data=synthetic_bars("BTCUSD", 60, bar="1h", seed=3),
        cash="100000 USD",
        netting=True,
        seed=1,
    )


@pytest.mark.parametrize("make", [small_run, busy_run, netting_run])
def test_a_story_from_its_own_rows_is_the_same(make: object) -> None:
    assert callable(make)
    run: RunResult = make()
    chains = Chains(run.tables, run.rules)
    told = 0
    for root in dict.fromkeys(str(order.root_id) for order in run.orders):
        story = chains.story(root)
        if story is not None:
            assert story == explain(run.tables, root, None, _WHY, run.rules)
            told += 1
    assert told
    assert chains.story("no such chain") is None
