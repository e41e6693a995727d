"""How long messages take between the agents and the exchange, as scenarios say it."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from backtest.actors import FixedLatency, Latency, LinkLatencies
from backtest.errors import ConfigError
from backtest.markets.distribution import DISTRIBUTIONS, Distribution, distribution_of
from backtest.markets.strict import known_keys
from backtest.times import duration_ns

__all__ = ["DrawnLatency", "latencies_of", "latency_text"]


class DrawnLatency:
    """Each message takes as long as is drawn from ``distribution``, one of lengths of time."""

    __slots__ = ("distribution",)

    def __init__(self, distribution: Distribution) -> None:
        if not distribution.is_time:
            raise ConfigError(
                "a latency is drawn from lengths of time: write {uniform = ['1ms', '3ms']}"
            )
        self.distribution = distribution

    def __repr__(self) -> str:
        return f"DrawnLatency({self.distribution.text()!r})"

    def draw(self, random: Random) -> int:
        return int(self.distribution.draw(random).removesuffix("ns"))


def latencies_of(value: Any, field: str = "latency") -> LinkLatencies | None:
    """The latencies by link of a length of time, a distribution of such or a `Latency`, for all
    links or by link (``{"orders": "20us"}``); None for None. Raises `ConfigError`."""
    if value is None or isinstance(value, LinkLatencies):
        return value
    if isinstance(value, Mapping) and not any(name in DISTRIBUTIONS for name in value):
        known_keys(value, LinkLatencies._fields, field)
        return LinkLatencies(**{link: _one(one, f"{field}.{link}") for link, one in value.items()})
    one = _one(value, field)
    return LinkLatencies(one, one, one)


def latency_text(value: LinkLatencies | None) -> Any:
    """The same as plain data, for the manifest of a run."""
    if value is None:
        return None
    return {link: None if one is None else repr(one) for link, one in value._asdict().items()}


def _one(value: Any, field: str) -> Latency:
    if isinstance(value, Distribution):
        return DrawnLatency(value)
    if isinstance(value, Mapping):
        return DrawnLatency(distribution_of(value, field))
    if isinstance(value, Latency):
        return value
    return FixedLatency(duration_ns(value, field))
