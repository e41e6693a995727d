"""Latency by distance: how far apart two actors are says how long their messages take."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from math import dist, isfinite

from backtest.errors import ConfigError, FieldError, FieldTypeError
from backtest.times import duration_ns

from .latency import FixedLatency, JitteredLatency, Latency, LatencyLaw

__all__ = ["DistanceLatency", "Position"]

Position = int | float | tuple[float, ...]
"""Where somebody is: a point on a line, or in a plane or in space."""
FIBRE_KM_PER_S = 200_000
"""Of light in glass: two thirds of that in empty space, 5 µs for each kilometre."""


class DistanceLatency:
    """A message takes ``base + distance / speed``, and ``jitter``.

    ``positions`` are by the names of the agents and ``"broker"``, in km; with ``speed=None`` in
    nanoseconds, to be taken as they are. Whoever is not among them is on the line between 0 and
    ``spread``, at a place drawn of the run's seed and its name, which nobody else's joining changes
    (without ``spread`` it is a `ConfigError`). ``jitter`` is a `Latency` that is added to each
    message, or makes the link's of the least time (``jitter=CubicLatency``, as ABIDES has it).

    It holds for the links between each agent and the venue, and among the agents.

    >>> latency = DistanceLatency({"broker": 0, "near": 1, "far": 1_000}, base="10us")
    >>> latency.between(0, "near", "broker"), latency.between(0, "far", "near")
    (FixedLatency(15000), FixedLatency(5005000))
    """

    __slots__ = ("base", "jitter", "positions", "speed", "spread")

    def __init__(
        self,
        positions: Mapping[str, Position] | None = None,
        *,
        spread: float | None = None,
        base: int | float | str | timedelta = 0,
        speed: float | None = FIBRE_KM_PER_S,
        jitter: Latency | LatencyLaw | None = None,
    ) -> None:
        self.positions = {name: _point(one, name) for name, one in (positions or {}).items()}
        if len({len(one) for one in self.positions.values()}) > 1:
            raise FieldError("positions", "must all be on a line, or all in a plane or in space")
        if spread is not None and not (isfinite(spread) and spread >= 0):
            raise FieldError("spread", f"must be a distance >= 0, not {spread!r}")
        if speed is not None and not (isfinite(speed) and speed > 0):
            raise FieldError("speed", f"must be in km/s and above 0, or None, not {speed!r}")
        self.spread = spread
        self.base = duration_ns(base, "base")
        self.speed = speed
        self.jitter = jitter

    def __repr__(self) -> str:
        law = self.jitter.__name__ if isinstance(self.jitter, type) else repr(self.jitter)
        return (
            f"DistanceLatency({self.positions!r}, spread={self.spread!r}, base='{self.base}ns', "
            f"speed={self.speed!r}, jitter={law})"
        )

    def position(self, seed: int, name: str) -> tuple[float, ...]:
        """Where ``name`` is in a run of ``seed``."""
        known = self.positions.get(name)
        if known is not None:
            return known
        if self.spread is None:
            known_names = ", ".join(self.positions) or "nobody"
            raise ConfigError(
                f"where is {name!r}? positions are given for: {known_names}; give its own, or "
                "spread= for those who have none"
            )
        # Of the name alone, and without a random stream: that would take 2.5 kB for each agent.
        digest = sha256(f"{seed}/position/{name}".encode()).digest()
        share = int.from_bytes(digest[:6], "big") / 2**48
        others = next(iter(self.positions.values()), (0.0,))
        return (self.spread * share, *(0.0,) * (len(others) - 1))

    def least(self, seed: int, sender: str, target: str) -> int:
        """The time that a message takes at least, in nanoseconds."""
        away = dist(self.position(seed, sender), self.position(seed, target))
        return self.base + round(away if self.speed is None else away * 1e9 / self.speed)

    def between(self, seed: int, sender: str, target: str) -> Latency:
        """The latency of the link from ``sender`` to ``target``."""
        least = self.least(seed, sender, target)
        jitter = self.jitter
        if jitter is None:
            return FixedLatency(least)
        # A class of latencies has a ``draw`` too, and is a law all the same.
        if not isinstance(jitter, type) and isinstance(jitter, Latency):
            return JitteredLatency(least, jitter)
        return jitter(least)


def _point(position: Position, name: str) -> tuple[float, ...]:
    given: tuple[object, ...] = position if isinstance(position, tuple) else (position,)
    point = []
    for one in given:
        if isinstance(one, bool) or not isinstance(one, int | float) or not isfinite(one):
            raise FieldTypeError("positions", f"must be numbers, not {position!r} for {name!r}")
        point.append(float(one))
    return tuple(point)
