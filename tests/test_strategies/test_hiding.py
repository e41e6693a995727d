"""A strategy may call its own attributes what it likes; where that hides ours, one line says so."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.errors import OrderRejected
from backtest.models import Bar
from backtest.strategies import Strategy
from backtest.strategies.handlers import HANDLERS, OPTIONS

from .playing import D, logged, market, play

_NAMES = sorted(
    {name for name in dir(Strategy) if not name.startswith("_")} - {*HANDLERS, *OPTIONS}
)


def told(logs: Any) -> list[str]:
    return [one["told"] for one in logs if one["event"] == "strategy.odd"]


def clash(kind: str, name: str) -> str:
    return (
        f"{kind} uses the name {name!r} for something of its own, which hides Strategy.{name}: "
        "rename yours if you need that"
    )


class Hiding(Strategy):
    """Sets an attribute in its first handler, and then trades by what it kept before."""

    hidden: str = ""

    def on_start(self) -> None:
        self.kept = (self.buy, self.balance)
        vars(self)["seen"] = 0
        setattr(self, self.hidden, "mine")

    async def on_bar(self, bar: Bar) -> None:
        buy, balance = self.kept
        vars(self)["seen"] += 1
        order = await buy("BTCUSD", "0.1", limit_price=bar.close)
        if vars(self)["seen"] == 2:
            await order.cancel()
            buy("BTCUSD", 1_000_000)  # refused, and nobody awaits it: logged
        vars(self)["left"] = balance("USD").available


@pytest.mark.parametrize("name", _NAMES)
def test_any_name_may_be_set_and_the_run_goes_on(name: str) -> None:
    strategy = Hiding(hidden=name)
    with logged() as logs:
        result = play(strategy, market(100, 100, 100, 100))
    assert getattr(strategy, name) == "mine"
    # Bought 0.1 at 100 at bars 2 and 4; the order of bar 2 was cancelled, that of bar 4 rests.
    assert vars(strategy)["left"] == D("1000") - 10 - 10 - 10
    assert "Hiding(" in result.report()
    assert told(logs) == [clash("Hiding", name)]
    assert clash("Hiding", name) in result.report()


def test_a_run_that_hides_nothing_says_nothing() -> None:
    with logged() as logs:
        play(Hiding(hidden="mine"), market(100, 100, 100, 100))
    assert told(logs) == []


def test_a_method_of_the_same_name_is_told_of_before_the_run() -> None:
    class Talking(Strategy):
        def log(self, text: str) -> None:
            pass

        async def on_bar(self, bar: Bar) -> None:
            self.log("a refusal that is logged")
            if bar.open_ns == 0:
                self.buy("BTCUSD", 1_000_000)

    with logged() as logs:
        play(Talking(), market(100, 100))
    assert told(logs) == [clash("Talking", "log")]
    assert [one["reason"] for one in logs if one["event"] == "order.rejected"] == [
        "INSUFFICIENT_FUNDS"
    ]


def test_a_method_that_goes_on_with_ours_hides_nothing() -> None:
    class Counting(Strategy):
        def buy(self, *args: Any, **how: Any) -> Any:
            self.bought = getattr(self, "bought", 0) + 1
            return super().buy(*args, **how)

        async def on_bar(self, bar: Bar) -> None:
            await self.buy("BTCUSD", "0.1")

    strategy = Counting()
    with logged() as logs:
        play(strategy, market(100, 100))
    assert (strategy.bought, told(logs)) == (2, [])


def test_parameters_may_have_such_names() -> None:
    class Named(Strategy):
        name: str = "mine"
        position: int = 3  # type: ignore[assignment]
        parameters: int = 4  # type: ignore[assignment]

        def on_bar(self, bar: Bar) -> None:
            pass

    strategy = Named(position=5)
    with logged() as logs:
        result = play(strategy, market(100, 100))
    assert (strategy.name, strategy.position, strategy.parameters) == ("mine", 5, 4)
    assert "Named(name=mine, position=5, parameters=4)" in result.report()
    assert told(logs) == [clash("Named", name) for name in ("name", "parameters", "position")]


def test_it_is_told_also_where_it_broke_the_strategy() -> None:
    class Broken(Strategy):
        def on_start(self) -> None:
            self.position = None  # type: ignore[method-assign, assignment]

        def on_bar(self, bar: Bar) -> None:
            self.position("BTCUSD")

    with logged() as logs, pytest.raises(TypeError, match="not callable"):
        play(Broken(), market(100, 100))
    assert told(logs) == [clash("Broken", "position")]


def test_close_all_works_whatever_is_hidden() -> None:
    class Closing(Strategy):
        async def on_bar(self, bar: Bar) -> None:
            self.open_orders = self.last = [1]  # type: ignore[assignment]
            try:
                await self.buy("BTCUSD", "0.1", limit_price=50)
            except OrderRejected:
                pass
            await self.close_all()
            self.left = list(self._client.open)

    strategy = Closing()
    play(strategy, market(100, 100))
    assert strategy.left == []
