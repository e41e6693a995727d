"""The agents of one run, made of its populations: each with name, parameters and money."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import fields, frozen

from backtest.actors import LinkLatencies
from backtest.actors.kernel.latency import Network
from backtest.errors import ConfigError
from backtest.markets.distribution import Distribution
from backtest.markets.instrument import Instrument
from backtest.markets.parameters import Parameters
from backtest.markets.population import FILLED, Population
from backtest.markets.scenario import Scenario
from backtest.services.draws import stream
from backtest.services.fundamental import Fundamental
from backtest.strategies import Strategy
from backtest.times import duration_ns

__all__ = ["Member", "cast_of"]


@frozen(kw_only=True)
class Member:
    """One agent, ready to join."""

    name: str
    strategy: Strategy
    population: str
    """The name of its population: what type of agent it is."""
    cash: Mapping[str, Decimal]
    margin_mode: str
    latency: LinkLatencies | Network | None
    computation: int
    """How long it thinks before its commands leave, in nanoseconds."""


def cast_of(
    scenario: Scenario, seed: int, worths: Mapping[str, Fundamental | None]
) -> Iterator[Member]:
    """The agents of ``scenario`` in a run of ``seed``; ``worths`` are the fundamental values of its
    pairs. What one of them draws depends on its name and the seed alone."""
    common = duration_ns(scenario.computation or 0, "computation")
    for population in scenario.populations:
        if not population.count:
            continue
        try:
            maker = _Maker(population, scenario, worths)
        except ConfigError as error:
            raise ConfigError(f"population {population.name!r}: {error}") from error
        for name in population.names():
            yield Member(
                name=name,
                strategy=maker.make(name, seed),
                population=population.name,
                cash=maker.cash,
                margin_mode=population.margin_mode or scenario.margin_mode,
                latency=population.latency or scenario.latency,
                computation=population.computation or common,
            )


class _Maker:
    """Makes the agents of one population."""

    def __init__(
        self, population: Population, scenario: Scenario, worths: Mapping[str, Fundamental | None]
    ) -> None:
        self.name = population.name
        self.kind = population.kind
        self._parameters = Parameters(self.kind)
        given = population.settings
        self._parameters.check(given, filled=FILLED)
        self._drawn: dict[str, Distribution] = {}
        self._settings = filled(self.kind, given, scenario.pairs, worths)
        for name, value in list(self._settings.items()):
            if isinstance(value, Distribution):
                self._drawn[name] = self._settings.pop(name)
            else:
                self._settings[name] = self._parameters.typed(name, value)
        self.cash = population.cash if population.cash is not None else scenario.cash or {}

    def make(self, name: str, seed: int) -> Strategy:
        settings = dict(self._settings)
        for parameter, one in self._drawn.items():
            # A stream for each: a parameter more, or one less, leaves the others as they were.
            drawn = one.draw(stream(seed, f"{name}/parameter/{parameter}"))
            settings[parameter] = self._parameters.typed(parameter, drawn)
        try:
            return self.kind(**settings)
        except Exception as error:
            told = ", ".join(f"{one}={value}" for one, value in settings.items())
            raise ConfigError(
                f"population {self.name!r}: cannot make {self.kind.__name__}({told}): "
                f"{type(error).__name__}: {error}"
            ) from error


def filled(
    kind: type[Strategy],
    given: Mapping[str, Any],
    markets: Sequence[Instrument],
    worths: Mapping[str, Fundamental | None],
) -> dict[str, Any]:
    """``given`` with what the market knows: the ``pair``, where there is one, what it is worth, and
    whether it is a spot market.

    Raises `ConfigError` for a pair that there is not.
    """
    settings = dict(given)
    by_code = {one.code: one for one in markets}
    pairs = list(by_code)
    known = {one.name: one for one in fields(kind) if one.init}  # type: ignore[arg-type]
    if "pair" in known:
        asked = settings.get("pair", known["pair"].default)
        if "pair" not in settings and asked not in pairs:
            if len(pairs) > 1:
                raise ConfigError(f"needs parameter pair, one of {', '.join(pairs)}")
            settings["pair"] = pairs[0]
        elif not isinstance(asked, Distribution) and asked not in pairs:
            raise ConfigError(f"there is no pair {asked!r}; there are: {', '.join(pairs)}")
    pair = settings.get("pair", known["pair"].default if "pair" in known else None)
    market = by_code.get(pair) if isinstance(pair, str) else None
    if market is None:
        return settings
    if "fundamental" in known and "fundamental" not in settings and worths[market.code]:
        settings["fundamental"] = worths[market.code]
    if "spot" in known and "spot" not in settings:
        settings["spot"] = market.kind == "spot"
    return settings
