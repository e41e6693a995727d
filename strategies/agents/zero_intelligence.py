"""Agents that know nothing: noise, and traders whom only their budget keeps from folly."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

from backtest.errors import FieldError
from backtest.models import Depth
from backtest.money import add, decimal_of, div, mul, sub
from backtest.services.arrivals import hawkes
from backtest.services.draws import exponential, normal
from backtest.strategies.handle import Number
from backtest.times import SECOND, duration_ns

from .agent import Agent, Duration, middle_of, seconds_of
from .sizes import drawn_size

__all__ = ["PLACES", "PrivateValue", "ZeroIntelligence"]

PLACES = ("market", "cross", "join", "inside", "away")
"""Where an order can be placed: at the market; limited at the far side's best price; at the own
side's best; between the two; behind the own side's best."""


class ZeroIntelligence(Agent):
    """Noise: wakes at random times, throws a coin for the side and dice for price and size.

    Parameters, beside those of `Agent`: ``every``, the mean time between its wake-ups, a Poisson
    process; ``first``: the first wake-up comes at a uniformly drawn moment within so long of the
    start (None: like the others), or ``at`` exactly so long after it; ``wakes``, how many there
    are (0: no end). So ``wakes=1, first="390m"`` is an agent that trades once on a day of 6½ hours,
    as the noise agents of ABIDES' reference configurations do (D. Byrd, M. Hybinette, T. Balch,
    "ABIDES: Towards High-Fidelity Multi-Agent Market Simulation", 2020).

    With ``clustering`` n above 0 its wake-ups are a Hawkes process with the same mean rate: each
    brings on n others by itself, within about ``cluster_time`` (`backtest.services.arrivals`).

    ``size`` is the mean volume and ``sizes`` its distribution (``"fixed"``, ``"exponential"``,
    ``"pareto"`` with tail exponent 2; never less than the pair allows); ``places`` the weights of
    `PLACES`; ``distance`` the mean distance behind the best price, in price increments, of an order
    that goes away from it. Whatever is pending is cancelled at the next wake-up (``replaces``), or
    after ``lifetime``.
    """

    every: Duration = "300s"
    first: Duration | None = None
    at: Duration | None = None
    wakes: int = 0
    clustering: float = 0.0
    cluster_time: Duration = "10s"
    size: Number = 1
    sizes: str = "exponential"
    places: Mapping[str, float] = attrs.field(
        factory=lambda: {"market": 0.1, "cross": 0.2, "join": 0.3, "inside": 0.1, "away": 0.3}
    )
    distance: float = 5.0
    replaces: bool = True
    lifetime: Duration | None = None

    def on_start(self) -> None:
        super().on_start()
        self.pause = seconds_of(self.every, "every")
        self.mean_size = decimal_of(self.size, "size")
        self.weights = _weights(self.places)
        self.woken = 0
        self.terms: dict[str, Any] = {}
        if self.lifetime is not None:
            self.terms["expires"] = seconds_of(self.lifetime, "lifetime")
        rate, excited = 1.0 / self.pause, seconds_of(self.cluster_time, "cluster_time")
        self.arrivals = (
            hawkes(rate, self.clustering, excited, self.random) if self.clustering else None
        )
        self.arrived = 0
        if self.at is not None:
            self.wake(duration_ns(self.at, "at") / SECOND)
        elif self.first is not None:
            self.wake(seconds_of(self.first, "first") * self.random.random())
        else:
            self.wake_again()

    def on_timer(self, name: str) -> None:
        self.woken += 1
        if self.woken != self.wakes:
            self.wake_again()
        if self.replaces:
            self.withdraw_resting()
        self.look()

    def act(self, depth: Depth) -> None:
        if middle_of(depth) is None:
            return
        buy = self.random.random() < 0.5
        size = drawn_size(self.sizes, self.mean_size, self.traded.least_volume, self.random)
        place = self.random.choices(PLACES, cum_weights=self.weights)[0]
        self.place(buy, size, self.price(buy, place, depth), **self.terms)

    def wake_again(self) -> None:
        """Wake up at the next arrival of its process."""
        if self.arrivals is None:
            self.wake_at_random(self.pause)
            return
        before, self.arrived = self.arrived, next(self.arrivals)
        self.wake((self.arrived - before) / SECOND)

    def price(self, buy: bool, place: str, depth: Depth) -> Decimal | None:
        """The limit of an order of that side at that place; None for one at the market."""
        if place == "market":
            return None
        own, other = depth.best_bid, depth.best_ask
        if not buy:
            own, other = other, own
        tick = self.traded.price_increment
        step = tick if buy else tick.copy_negate()
        if place == "cross" and other is not None:
            return other
        if own is None:
            # Nobody is there to join: behind the middle, as if that were the best price.
            own, place = middle_of(depth) or tick, "away"
        if place == "inside" and other is not None:
            free = int(div(sub(other, own), step)) - 1
            return own if free < 1 else add(own, mul(step, Decimal(1 + self.die(free))))
        if place == "away":
            return sub(own, mul(step, Decimal(1 + int(self.distance * exponential(self.random)))))
        return own

    def die(self, sides: int) -> int:
        """A whole number from 0 to ``sides`` − 1."""
        return int(self.random.random() * sides)


class PrivateValue(Agent):
    """A zero-intelligence trader with a budget constraint, after D. K. Gode and S. Sunder,
    "Allocative Efficiency of Markets with Zero-Intelligence Traders", 1993.

    To each wake-up it is given a side and a private value at random, and it offers a price that is
    uniform among those at which it could not lose: a buyer's below the value, a seller's above.
    With ``constrained=False`` the price is uniform on both sides of the value, losses and all.

    Parameters, beside those of `Agent`: ``every``, the mean time between wake-ups; ``size``;
    ``value``, around which private values lie (None: the first price that it sees); ``spread``,
    their standard deviation, and ``band``, how far a price may be from its value, both in shares.
    There, values are handed out by an experimenter; here they are normal around ``value``.
    """

    every: Duration = "60s"
    size: Number = 1
    value: Number | None = None
    spread: float = 0.01
    band: float = 0.02
    constrained: bool = True

    def on_start(self) -> None:
        super().on_start()
        self.pause = seconds_of(self.every, "every")
        self.order_size = decimal_of(self.size, "size")
        self.centre = None if self.value is None else decimal_of(self.value, "value")
        if not 0 <= self.band < 1 or not 0 <= self.spread < 1:
            raise FieldError("band", "and spread must be from 0 to 1: prices are positive")
        self.wake_at_random(self.pause)

    def on_timer(self, name: str) -> None:
        self.wake_at_random(self.pause)
        self.withdraw_resting()
        if self.centre is None:
            self.look()
        else:
            self.trade()

    def act(self, depth: Depth) -> None:
        self.centre = middle_of(depth)
        if self.centre is not None:
            self.trade()

    def trade(self) -> None:
        """Be given a side and a value, and offer a price."""
        buy = self.random.random() < 0.5
        value = self.spread * normal(self.random)
        self.place(buy, self.order_size, self.offer(buy, value, self.random.random()))

    def offer(self, buy: bool, value: float, share: float) -> Decimal:
        """The price offered for a private value (as a deviation from ``value``), ``share`` of the
        band away from it."""
        assert self.centre is not None
        away = share if self.constrained else 2.0 * share - 1.0
        factor = (1.0 + value) * (1.0 - away * self.band if buy else 1.0 + away * self.band)
        return mul(self.centre, Decimal(repr(max(factor, 0.0))))


def _weights(places: Mapping[str, float]) -> list[float]:
    """The weights of `PLACES`, each added to those before it."""
    unknown = [place for place in places if place not in PLACES]
    if unknown or any(weight < 0 for weight in places.values()):
        raise FieldError(
            "places", f"must give weights (0 or more) to {', '.join(PLACES)}, not {dict(places)}"
        )
    total, found = 0.0, []
    for place in PLACES:
        total += places.get(place, 0.0)
        found.append(total)
    if total <= 0:
        raise FieldError("places", "must give at least one place a positive weight")
    return found
