"""How long messages take between the agents and the exchange, as scenarios say it."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from backtest.actors import CubicLatency, DistanceLatency, FixedLatency, Latency, LinkLatencies
from backtest.actors.kernel.latency import Network
from backtest.errors import ConfigError
from backtest.markets.distribution import DISTRIBUTIONS, Distribution, distribution_of
from backtest.markets.strict import known_keys
from backtest.money import setting_of
from backtest.times import duration_ns

__all__ = ["DrawnLatency", "latencies_of", "latency_text"]

_OF_DISTANCE = ("spread", "base", "jitter")


class DrawnLatency:
    """Each message takes as long as is drawn from ``distribution``, one of lengths of time."""

    __slots__ = ("_count", "_low", "_step", "distribution")

    def __init__(self, distribution: Distribution) -> None:
        if not distribution.is_time:
            raise ConfigError(
                "a latency is drawn from lengths of time: write {uniform = ['1ms', '3ms']}"
            )
        self.distribution = distribution
        self._low = self._step = self._count = 0
        step = int(distribution.step)
        bounded = distribution.at_least is not None or distribution.at_most is not None
        if distribution.name == "uniform" and distribution.step == step and not bounded:
            # Drawn for every message: not through a `Decimal`.
            low, high = (int(one) for one in distribution.arguments)
            self._low, self._step, self._count = low, step, (high - low) // step + 1

    def __repr__(self) -> str:
        return f"DrawnLatency({self.distribution.text()!r})"

    def draw(self, random: Random) -> int:
        if self._count:
            return self._low + int(random.random() * self._count) * self._step
        return int(self.distribution.draw(random).removesuffix("ns"))


def latencies_of(value: Any, field: str = "latency") -> LinkLatencies | Network | None:
    """The latencies of a length of time, a distribution of such or a `Latency`, for all links or by
    link (``{"orders": "20us"}``), or by distance (``{"spread": 100, "base": "20us"}``, or any
    `Network`); None for None. Raises `ConfigError`."""
    if value is None or isinstance(value, LinkLatencies | Network):
        return value
    if isinstance(value, Mapping) and not any(name in DISTRIBUTIONS for name in value):
        if any(name in value for name in _OF_DISTANCE):
            return _by_distance(value, field)
        known_keys(value, (*LinkLatencies._fields, *_OF_DISTANCE), field)
        return LinkLatencies(**{link: _one(one, f"{field}.{link}") for link, one in value.items()})
    one = _one(value, field)
    return LinkLatencies(one, one, one)


def latency_text(value: LinkLatencies | Network | None) -> Any:
    """The same as plain data, for the manifest of a run."""
    if isinstance(value, LinkLatencies):
        return {link: None if one is None else repr(one) for link, one in value._asdict().items()}
    return None if value is None else repr(value)


def _by_distance(table: Mapping[str, Any], field: str) -> DistanceLatency:
    """Everybody has a place on a line of ``spread`` kilometres, drawn of his name; the exchange is
    at 0."""
    known_keys(table, _OF_DISTANCE, field)
    jitter = table.get("jitter")
    law = CubicLatency if jitter == "cubic" else None if jitter is None else _one(jitter, field)
    return DistanceLatency(
        {"broker": 0},
        spread=float(setting_of(table.get("spread", 0), f"{field}.spread")),
        base=table.get("base", 0),
        jitter=law,
    )


def _one(value: Any, field: str) -> Latency:
    if isinstance(value, Distribution):
        return DrawnLatency(value)
    if isinstance(value, Mapping):
        return DrawnLatency(distribution_of(value, field))
    if isinstance(value, Latency):
        return value
    return FixedLatency(duration_ns(value, field))
