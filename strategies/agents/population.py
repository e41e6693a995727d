"""Crowds: many agents of one kind, each a little different, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from random import Random
from typing import Any

from backtest.errors import ConfigError, FieldError
from backtest.services.draws import stream
from backtest.strategies.strategy import Strategy
from backtest.times import SECOND

__all__ = ["Population", "population"]

_DIGITS = 5


class Population(Mapping[str, Strategy]):
    """Agents by name, and the ``cash`` of each account by the same names; ``|`` joins two.

    ::

        crowd = population(ZeroIntelligence, 100, name="noise", cash="100000 USD")
        crowd |= population(MarketMaker, 2, name="maker", cash="10000000 USD")
        result = backtest.run(crowd, data=bars, cash=crowd.cash)
    """

    __slots__ = ("_agents", "cash")

    def __init__(
        self, agents: Mapping[str, Strategy] | None = None, cash: Mapping[str, Any] | None = None
    ) -> None:
        self._agents = dict(agents or {})
        self.cash = dict(cash or {})

    def __getitem__(self, name: str) -> Strategy:
        return self._agents[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._agents)

    def __len__(self) -> int:
        return len(self._agents)

    def __or__(self, other: Population) -> Population:
        both = [name for name in other if name in self._agents]
        if both:
            raise ConfigError(f"two agents are called {both[0]!r}: give the populations two names")
        return Population({**self._agents, **other._agents}, {**self.cash, **other.cash})

    def __repr__(self) -> str:
        return f"<Population of {len(self)}>"


def population(
    kind: type[Strategy],
    count: int,
    *,
    name: str | None = None,
    cash: Any = None,
    seed: int = 0,
    arrivals: Iterator[int] | None = None,
    **parameters: Any,
) -> Population:
    """``count`` agents of ``kind``, called ``name-00000``, ``name-00001`` and so on.

    Args:
        kind: a class of strategies; its name in lower case where no ``name`` is given.
        cash: what each has, as `backtest.run` takes it.
        seed: of the streams from which parameters are drawn.
        arrivals: times in nanoseconds after the start (`backtest.services.arrivals`): each agent
            is given one, in order, as its parameter ``at``.
        parameters: of the agents. One that is callable is called for each agent with its index and
            its own random stream: ``noise=lambda index, random: 0.01 * random.random()``. So is
            ``cash``.

    Parameters are drawn from a stream by the name of the agent, as its decisions are: one agent
    more changes nothing about the others.
    """
    if count < 0:
        raise FieldError("count", f"must not be negative, not {count!r}")
    if arrivals is not None:
        times = [time / SECOND for time in islice(arrivals, count)]
        if len(times) < count:
            raise FieldError("arrivals", f"end after {len(times)} of {count}")
        parameters["at"] = lambda index, random: times[index]
    stem = kind.__name__.lower() if name is None else name
    drawn: dict[str, Callable[[int, Random], Any]] = {}
    fixed: dict[str, Any] = {}
    for one, value in parameters.items():
        (drawn if callable(value) else fixed)[one] = value
    agents: dict[str, Strategy] = {}
    money: dict[str, Any] = {}
    for index in range(count):
        own = f"{stem}-{index:0{_DIGITS}d}"
        random = stream(seed, f"population/{own}")
        values = {one: draw(index, random) for one, draw in drawn.items()}
        agents[own] = kind(**fixed, **values)
        if cash is not None:
            money[own] = cash(index, random) if callable(cash) else cash
    return Population(agents, money)
