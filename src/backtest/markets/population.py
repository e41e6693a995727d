"""Populations: many agents of one kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from backtest.errors import ConfigError
from backtest.markets.distribution import DISTRIBUTIONS, Distribution, distribution_of
from backtest.markets.kinds import KINDS, kind_called, name_of
from backtest.markets.latencies import latencies_of
from backtest.markets.parameters import Parameters
from backtest.markets.strict import meant
from backtest.models import HOUSE
from backtest.money import ONE, setting_of
from backtest.runs.config import cash_of
from backtest.strategies import Strategy
from backtest.times import duration_ns

__all__ = ["FILLED", "Population"]

FILLED = ("pair", "fundamental", "spot")
"""Parameters that the market gives an agent which has them and is told nothing else: the only pair,
what that is worth, and whether spot orders meet there."""

MOST = 1_000_000
"""How many agents a population may have: each takes some 45 kB."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
_DIGITS = 5


def _agent(value: Any) -> str | type[Strategy]:
    if isinstance(value, str):
        if value not in KINDS and ":" not in value and not value.endswith(".py"):
            told = meant(value, KINDS) or f"; known: {', '.join(KINDS)}, or yours, 'my.py:Class'"
            raise ConfigError(f"no agent is called {value!r}{told}")
        return value
    if isinstance(value, type) and issubclass(value, Strategy):
        return value
    raise ConfigError(
        f"an agent is named ('noise', 'my.py:Class') or a class of Strategy, not {value!r}"
    )


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"count must be a whole number of agents, not {value!r}")
    if value > MOST:
        raise ConfigError(f"count must be a number of agents up to {MOST:,}, not {value}")
    return value


def _cash(value: Any) -> dict[str, Decimal] | None:
    return None if value is None else cash_of(value)["main"]


def _leverage(value: Any) -> Decimal | None:
    leverage = None if value is None else setting_of(value, "leverage")
    if leverage is not None and leverage < ONE:
        raise ConfigError(f"leverage must be at least 1, not {leverage}")
    return leverage


def _fixed(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"fixed must be true or false, not {value!r}")
    return value


def _computation(value: Any) -> int:
    return 0 if value is None else duration_ns(value, "computation")


def _parameters(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"parameters must be a table of names and values, not {value!r}")
    return {
        str(name): distribution_of(one, name) if _is_distribution(one) else one
        for name, one in value.items()
    }


def _is_distribution(value: Any) -> bool:
    return isinstance(value, Mapping) and any(name in DISTRIBUTIONS for name in value)


@frozen
class Population:
    """``count`` agents of one kind, each an actor with an account of its own.

    Args:
        agent: what they are: a short name of `backtest.markets.KINDS` (``"noise"``), a class of
            `Strategy`, or ``"my.py:Class"``.
        count: how many.
        parameters: of the strategy, by name: a value for all, or a `Distribution` (or a table such
            as ``{"uniform": [1, 10]}``) from which each agent draws its own.
        cash: what each starts with, ``"10000 USD"`` or by asset; None: what the scenario says.
        leverage: of their orders, where the kind of agent has such a parameter.
        latency: of their links to the exchange, before that of the scenario.
        computation: how long each takes to think before its commands leave.
        margin_mode: of their accounts, before that of the scenario.
        fixed: whether the number stays as it is when the scenario is scaled.
        name: what they are called: ``noise-00001``, ``noise-00002`` …

    An agent's random streams are found by its name, which never depends on how many there are; so
    one more changes nothing for the others.
    """

    agent: str | type[Strategy] = field(converter=_agent)
    count: int = field(default=1, converter=_count)
    parameters: Mapping[str, Any] = field(factory=dict, converter=_parameters, kw_only=True)
    cash: Mapping[str, Decimal] | None = field(default=None, converter=_cash, kw_only=True)
    leverage: Decimal | None = field(default=None, converter=_leverage, kw_only=True)
    latency: Any = field(default=None, converter=latencies_of, kw_only=True)
    computation: int = field(default=None, converter=_computation, kw_only=True)
    margin_mode: str | None = field(default=None, kw_only=True)
    fixed: bool = field(default=False, converter=_fixed, kw_only=True)
    name: str = field(default="", kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", name_of(self.agent))
        if self.name in HOUSE:
            raise ConfigError(f"{self.name!r} is an account of the house: name the population else")
        if _NAME.fullmatch(self.name) is None:
            raise ConfigError(
                f"a population is called by letters, digits, '_' and '.', not {self.name!r}"
            )
        if self.margin_mode not in (None, "isolated", "cross"):
            raise ConfigError(f"margin_mode must be isolated or cross, not {self.margin_mode!r}")
        if self.leverage is not None and "leverage" in self.parameters:
            raise ConfigError("leverage is given twice: beside the parameters, and among them")
        if isinstance(self.agent, type):
            self.check(self.agent)

    @property
    def kind(self) -> type[Strategy]:
        """The class of its agents. Raises `ConfigError` where there is none."""
        return self.agent if isinstance(self.agent, type) else kind_called(self.agent)

    @property
    def settings(self) -> dict[str, Any]:
        """All that its agents are told: the parameters, with the leverage among them."""
        own = {} if self.leverage is None else {"leverage": self.leverage}
        return {**self.parameters, **own}

    def check(self, kind: type[Strategy]) -> None:
        """Raise `ConfigError` for a parameter that ``kind`` does not have, or lacks."""
        Parameters(kind).check(self.settings, filled=FILLED)

    def names(self, count: int | None = None) -> list[str]:
        """The names of the agents; of ``count`` of them, where that is given."""
        number = self.count if count is None else count
        return [f"{self.name}-{one:0{_DIGITS}d}" for one in range(1, number + 1)]

    def text(self) -> dict[str, Any]:
        """The same as plain data, for the manifest of a run."""
        agent = self.agent
        return {
            "agent": agent if isinstance(agent, str) else f"{agent.__module__}.{agent.__name__}",
            "count": self.count,
            "parameters": {
                name: one.text() if isinstance(one, Distribution) else str(one)
                for name, one in self.settings.items()
            },
            "computation_ns": self.computation,
        }
