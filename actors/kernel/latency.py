"""How long a message takes on a link, charged to simulated time."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, isfinite, log
from random import Random
from statistics import NormalDist
from typing import NamedTuple, Protocol, runtime_checkable

from backtest.errors import FieldError, FieldTypeError

__all__ = [
    "CubicLatency",
    "ExponentialLatency",
    "FixedLatency",
    "JitteredLatency",
    "Latency",
    "LatencyLaw",
    "LinkLatencies",
    "LogNormalLatency",
    "Network",
    "UniformLatency",
]

_NORMAL = NormalDist()
_BITS = 52
_STEPS = float(2**_BITS)


@runtime_checkable
class Latency(Protocol):
    """Draws the time a message takes, in nanoseconds, from the link's own random stream."""

    def draw(self, random: Random) -> int: ...


LatencyLaw = Callable[[int], Latency]
"""Makes the latency of a link of the least time that it takes, in nanoseconds."""


@runtime_checkable
class Network(Protocol):
    """Says how long each link takes by who is at its ends, which are names of agents or
    ``"broker"``. ``seed`` is the run's."""

    def between(self, seed: int, sender: str, target: str) -> Latency | None: ...


class LinkLatencies(NamedTuple):
    """The latencies between a strategy and the venue; None: none."""

    orders: Latency | None = None
    """Of commands, from the strategy to the venue."""
    market_data: Latency | None = None
    """Of bars, quotes and trades, from the venue to the strategy."""
    order_events: Latency | None = None
    """Of what happened to orders, from the venue to the strategy."""


class FixedLatency:
    """Every message takes ``ns`` nanoseconds."""

    __slots__ = ("ns",)

    def __init__(self, ns: int) -> None:
        _whole(ns)
        if ns < 0:
            raise FieldError("latency", f"must be non-negative, not {ns} ns")
        self.ns = ns

    def __repr__(self) -> str:
        return f"FixedLatency({self.ns})"

    def draw(self, random: Random) -> int:
        return self.ns


class UniformLatency:
    """Each message takes between ``low`` and ``high`` nanoseconds, both included."""

    __slots__ = ("high", "low")

    def __init__(self, low: int, high: int) -> None:
        _whole(low, high)
        if not 0 <= low <= high:
            raise FieldError("latency", f"must be 0 <= low <= high, not {low} and {high} ns")
        self.low = low
        self.high = high

    def __repr__(self) -> str:
        return f"UniformLatency({self.low}, {self.high})"

    def draw(self, random: Random) -> int:
        return random.randint(self.low, self.high)


class ExponentialLatency:
    """``least`` nanoseconds, and beyond them an exponential tail of ``mean`` nanoseconds.

    ``least - mean * ln(u)`` with u uniform in (0, 1): the wait for an event that is as likely at
    any moment.
    """

    __slots__ = ("least", "mean")

    def __init__(self, least: int, mean: int) -> None:
        _whole(least, mean)
        if least < 0 or mean < 0:
            raise FieldError("latency", f"must be >= 0, not {least} ns and a mean of {mean} ns")
        self.least = least
        self.mean = mean

    def __repr__(self) -> str:
        return f"ExponentialLatency({self.least}, {self.mean})"

    def draw(self, random: Random) -> int:
        return self.least + round(-self.mean * log(_open_uniform(random)))


class LogNormalLatency:
    """Half of the messages take less than ``least + median`` nanoseconds; few take very long.

    ``least + median * exp(sigma * z)`` with z of the standard normal distribution, by inversion:
    one number is drawn for each message, whatever the parameters.
    """

    __slots__ = ("least", "median", "sigma")

    def __init__(self, median: int, sigma: float, *, least: int = 0) -> None:
        _whole(median, least)
        _finite(sigma)
        if median <= 0 or least < 0 or sigma < 0:
            raise FieldError(
                "latency",
                f"needs median > 0, sigma >= 0, least >= 0, not {median}, {sigma}, {least}",
            )
        self.median = median
        self.sigma = float(sigma)
        self.least = least

    def __repr__(self) -> str:
        return f"LogNormalLatency({self.median}, {self.sigma}, least={self.least})"

    def draw(self, random: Random) -> int:
        z = _NORMAL.inv_cdf(_open_uniform(random))
        return self.least + round(self.median * exp(self.sigma * z))


class CubicLatency:
    """``least`` nanoseconds, and a tail that falls with the cube: of ABIDES.

    ``least + jitter / x^3 * least / unit`` with x uniform in [clip, 1): Byrd, Hybinette, Balch:
    "ABIDES: Towards High-Fidelity Market Simulation for AI Research" (2019), and the
    ``LatencyModel`` of abides-core, whose defaults these are. With them a message takes at least
    1.05 and at most 51 times ``least``.
    """

    __slots__ = ("clip", "jitter", "least", "unit")

    def __init__(
        self, least: int, jitter: float = 0.5, clip: float = 0.1, unit: float = 10.0
    ) -> None:
        _whole(least)
        for value in (jitter, clip, unit):
            _finite(value)
        if least < 0 or jitter < 0 or not 0 < clip <= 1 or unit <= 0:
            raise FieldError(
                "latency",
                "needs least >= 0, jitter >= 0, 0 < clip <= 1, unit > 0, not "
                f"{least}, {jitter}, {clip}, {unit}",
            )
        self.least = least
        self.jitter = float(jitter)
        self.clip = float(clip)
        self.unit = float(unit)

    def __repr__(self) -> str:
        return f"CubicLatency({self.least}, {self.jitter}, {self.clip}, {self.unit})"

    def draw(self, random: Random) -> int:
        x = self.clip + (1.0 - self.clip) * random.random()
        return self.least + round(self.jitter / x**3 * (self.least / self.unit))


class JitteredLatency:
    """``least`` nanoseconds, and what ``jitter`` draws, for each message."""

    __slots__ = ("jitter", "least")

    def __init__(self, least: int, jitter: Latency) -> None:
        _whole(least)
        if least < 0:
            raise FieldError("latency", f"must be non-negative, not {least} ns")
        self.least = least
        self.jitter = jitter

    def __repr__(self) -> str:
        return f"JitteredLatency({self.least}, {self.jitter!r})"

    def draw(self, random: Random) -> int:
        return self.least + self.jitter.draw(random)


def _open_uniform(random: Random) -> float:
    """Uniform in (0, 1), both excluded: of either end a logarithm or an inverse is infinite."""
    return (random.getrandbits(_BITS) + 0.5) / _STEPS


def _finite(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise FieldTypeError("latency", f"must be a finite number, not {value!r}")


def _whole(*values: int) -> None:
    for value in values:
        if type(value) is not int:
            raise FieldTypeError("latency", f"must be a whole number of nanoseconds, not {value!r}")
