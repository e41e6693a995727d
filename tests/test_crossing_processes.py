"""Results and strategies that have run can be pickled and copied; a run in a thread cancelled."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context
from typing import Any

import anyio
import anyio.to_thread
import pytest

import backtest
from backtest.analysis.result import RunResult
from backtest.data import synthetic_bars
from backtest.errors import SimulationEnded
from backtest.markets import run_market
from backtest.models import Bar
from backtest.strategies import OrderHandle, Strategy

Way = Callable[[Any], Any]


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


WAYS: list[Way] = [pickled, copy.deepcopy, copy.copy]


class Keeper(Strategy):
    """Keeps handles and streams, as strategies do."""

    def on_start(self) -> None:
        self.handles: list[OrderHandle] = []
        self.seen = 0
        self.stream = self.bars("BTCUSD")
        self.set_timer("often", every="1h")

    async def on_bar(self, bar: Bar) -> None:
        self.seen += 1
        if self.seen % 10 == 1:
            loss = round(bar.close * Decimal("0.9"), 2)
            self.handles.append(await self.long("BTCUSD", "0.001", stop_loss=loss))
        elif self.seen == 15:
            self.handles.append(await self.buy("BTCUSD", "0.1", limit_price=1000))


def kept(seed: int = 1) -> RunResult:
    data = synthetic_bars("BTCUSD", 60, seed=seed, bar="1h")
    return backtest.run(Keeper(), data=data, cash="10000 USD", seed=seed)


@pytest.mark.parametrize("way", WAYS)
def test_a_result_comes_through_whole(way: Way) -> None:
    result = kept()
    other = way(result)
    assert other.report() == result.report()
    assert other.receipt == result.receipt
    assert other.fills == result.fills
    assert other.verify()
    order = str(result.orders[0].id)
    assert other.explain(order) == result.explain(order)


def test_so_does_one_of_another_process() -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(kept, [1, 2]))
    for seed, result in zip((1, 2), found, strict=True):
        assert result.journal_sha256 == kept(seed).journal_sha256
        assert result.verify()


@pytest.mark.parametrize("way", [pickled, copy.deepcopy])
def test_a_strategy_knows_what_it_knew(way: Way) -> None:
    ran = kept().strategies["keeper"]
    other = way(ran)
    assert (other.seen, len(other.handles)) == (60, 7)
    assert other.position("BTCUSD").volume == ran.position("BTCUSD").volume == Decimal("0.006")
    assert other.balance("USD") == ran.balance("USD")
    assert [one.leaves for one in other.open_orders()] == [Decimal("0.1")]
    assert other.handles[0].average_price == ran.handles[0].average_price
    asks: list[Callable[[], Any]] = [
        lambda: other.now,
        lambda: other.buy("BTCUSD", 1),
        lambda: other.handles[0].close(),
        lambda: other.random,
    ]
    for ask in asks:
        with pytest.raises(SimulationEnded, match="a copy of what ran"):
            ask()


def test_a_market_comes_through_too() -> None:
    result = run_market("reference-day", until="09:32")
    other = pickled(result)
    assert other.report() == result.report()
    assert other.trades == result.trades
    assert other.verify()


# -- cancelling ------------------------------------------------------------------------------------

BEGUN = threading.Event()


class Endless(Strategy):
    """Goes on for a million hours, and tells at the thousandth that it has begun."""

    seen = 0

    async def on_start(self) -> None:
        for _ in range(1_000_000):
            self.seen += 1
            if self.seen == 1000:
                BEGUN.set()
            await anyio.sleep(3600)


class Waiting(Endless):
    """Waits for a thread."""

    async def on_start(self) -> None:
        BEGUN.set()
        await anyio.to_thread.run_sync(threading.Event().wait, 0.2)
        await super().on_start()


def settings() -> dict[str, Any]:
    day = 86_400_000_000_000
    last = 50_000 * day
    bars = [Bar("BTCUSD", at, at + day, *[Decimal(1)] * 4) for at in (0, last)]
    return {"data": bars, "pair": "BTCUSD", "cash": "1 USD"}


async def begun() -> None:
    await anyio.to_thread.run_sync(BEGUN.wait)
    BEGUN.clear()


@pytest.mark.parametrize("kind", [Endless, Waiting])
def test_a_task_that_runs_one_can_be_cancelled(kind: type[Endless]) -> None:
    async def main() -> None:
        strategy = kind()
        task = asyncio.create_task(backtest.run_async(strategy, **settings()))
        await begun()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        seen = strategy.seen
        await anyio.sleep(0.05)
        assert strategy.seen == seen < 1_000_000

    asyncio.run(main())


def test_so_can_its_scope() -> None:
    async def main() -> None:
        strategy = Endless()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def cancels() -> None:
                    await begun()
                    scope.cancel()

                group.start_soon(cancels)
                await backtest.run_async(strategy, **settings())
                raise AssertionError("it ended by itself")
        assert scope.cancelled_caught
        seen = strategy.seen
        await anyio.sleep(0.05)
        assert strategy.seen == seen

    anyio.run(main)


def test_one_that_is_cancelled_before_it_begins_does_not_begin() -> None:
    async def main() -> None:
        strategy = Endless()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await backtest.run_async(strategy, **settings())
        assert strategy.seen == 0

    anyio.run(main)
